"""Images and videos with boxes, read back."""

import numpy as np
import pytest

from tests.inference.test_videos import new_video
from tests.inference.writers.examples import (
    FOUND,
    IMAGE,
    NAMES,
    NOTHING,
    SHOTS,
    STILL,
    VIDEO,
    files_below,
    frame,
    write,
)
from yolo3.datasets.images import read_image
from yolo3.inference import videos
from yolo3.inference.sources import Shot, Source
from yolo3.inference.videos import read_frames
from yolo3.inference.writers.drawn import DrawnFiles
from yolo3.visualize.boxes import draw_boxes


def test_images_and_videos_are_each_drawn_to_their_own_path(tmp_path):
    new_video(tmp_path / "probe.mp4").discard()  # skips without an encoder
    other = Source("video", "in/other.avi", "other")
    paths = {STILL: tmp_path / "a.png", VIDEO: tmp_path / "clip.mp4", other: tmp_path / "other.mp4"}
    last = Shot(other, "other/000000", IMAGE, 0, 0.0, 25.0)
    write(DrawnFiles(paths, NAMES), shots=[(frame(0), FOUND), (frame(1), FOUND), SHOTS[0], (last, NOTHING)])
    expected = draw_boxes(IMAGE, FOUND.boxes, FOUND.class_ids, NAMES, FOUND.scores)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)
    frames = list(read_frames(str(tmp_path / "clip.mp4")))
    assert len(frames) == 2 and frames[0].rate == 10 and frames[0].image.shape == IMAGE.shape
    assert len(list(read_frames(str(tmp_path / "other.mp4")))) == 1
    assert files_below(tmp_path) == ["a.png", "clip.mp4", "other.mp4"]


def test_without_an_encoder_the_command_says_how_to_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(videos.cv2.VideoWriter, "fourcc", lambda *letters: 0, raising=False)
    writer = DrawnFiles({VIDEO: tmp_path / "clip.mp4"}, NAMES)
    with pytest.raises(ValueError, match="cannot write a video .* here; --no-images does without$"):
        writer.add(frame(0), IMAGE, FOUND)
