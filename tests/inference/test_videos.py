"""yolo3.inference.videos: every frame of what OpenCV can decode, and videos that appear whole or not at all."""

import itertools
import struct

import cv2
import numpy as np
import pytest

from yolo3.inference import videos
from yolo3.inference.videos import VideoFile, count_frames, read_frames


def write_video(path, num_frames=5, rate=25.0, size_wh=(64, 48), codec="MJPG"):
    """Frame k is grey, 20 k bright."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, size_wh)
    if not writer.isOpened():
        pytest.skip(f"OpenCV has no {codec} encoder here")
    for number in range(num_frames):
        writer.write(np.full((size_wh[1], size_wh[0], 3), 20 * number, np.uint8))
    writer.release()
    return str(path)


def brightness(frames):
    return [round(float(frame.image.mean()) / 20) for frame in frames]


class Camera:
    """Stands in for cv2.VideoCapture: gives ``frames``, then nothing; the clock goes on by ``step`` at each."""

    def __init__(self, monkeypatch, frames, step=0.5, rate=0.0, opened=True):
        self.frames, self.step, self.rate, self.opened = list(frames), step, rate, opened
        self.now, self.released, self.asked_for = 100.0, False, None
        monkeypatch.setattr(videos.cv2, "VideoCapture", self._open)
        monkeypatch.setattr(videos.time, "monotonic", lambda: self.now)

    def _open(self, number):
        self.asked_for = number
        return self

    def isOpened(self):
        return self.opened

    def get(self, _):
        return self.rate

    def set(self, *_):
        return False

    def read(self):
        self.now += self.step
        return (True, self.frames.pop(0)) if self.frames else (False, None)

    def grab(self):
        return self.read()[0]

    def release(self):
        self.released = True


def test_frames_come_in_order_with_number_and_time_until_the_end(tmp_path):
    path = write_video(tmp_path / "a.avi", 5, rate=10)
    frames = list(read_frames(path))
    assert brightness(frames) == [0, 1, 2, 3, 4]
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.seconds for frame in frames] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert {frame.rate for frame in frames} == {10.0} and frames[0].image.shape == (48, 64, 3)
    assert count_frames(path) == 5


def test_every_third_frame_keeps_its_own_number_and_time(tmp_path):
    path = write_video(tmp_path / "a.avi", 8, rate=30)
    frames = list(read_frames(path, every=3))
    assert brightness(frames) == [0, 3, 6] and [frame.number for frame in frames] == [0, 3, 6]
    assert [frame.seconds for frame in frames] == pytest.approx([0, 0.1, 0.2])
    assert frames[0].rate == 10
    assert count_frames(path, every=3) == 3


def test_frames_are_rgb(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    if not writer.isOpened():
        pytest.skip("OpenCV has no MJPG encoder here")
    writer.write(np.full((48, 64, 3), (0, 0, 255), np.uint8))  # red, in OpenCV's order
    writer.release()
    (frame,) = read_frames(str(tmp_path / "a.avi"))
    assert frame.image[..., 0].min() > 200 and frame.image[..., 2].max() < 50


def test_a_wrong_number_of_frames_in_the_header_does_no_harm(tmp_path):
    path = write_video(tmp_path / "a.avi", 4)
    content = bytearray((tmp_path / "a.avi").read_bytes())
    for chunk, offset in ((b"avih", 16), (b"strh", 32)):  # dwTotalFrames of the file, dwLength of the stream
        struct.pack_into("<I", content, content.find(chunk) + 8 + offset, 1000)
    (tmp_path / "a.avi").write_bytes(content)
    assert count_frames(path) == 1000
    assert brightness(read_frames(path)) == [0, 1, 2, 3]


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 5000])
def test_a_file_that_is_not_a_video_is_reported_in_one_line(tmp_path, content, capfd):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.mp4: expected a video .*, got no frame from {len(content)} bytes"):
        list(read_frames(str(path)))
    assert count_frames(str(path)) == 0
    assert capfd.readouterr().err == ""  # FFmpeg's own notes


def test_a_video_without_frames_is_reported_in_one_line(monkeypatch, tmp_path):
    (tmp_path / "a.avi").write_bytes(b"x")
    camera = Camera(monkeypatch, [])
    with pytest.raises(ValueError, match="got no frame"):
        list(read_frames(str(tmp_path / "a.avi")))
    assert camera.released
    Camera(monkeypatch, [None])  # some backends say there is a frame and give none
    with pytest.raises(ValueError, match="got no frame"):
        list(read_frames(str(tmp_path / "a.avi")))


def test_a_camera_is_timed_by_the_clock_from_its_first_frame(monkeypatch):
    camera = Camera(monkeypatch, [np.zeros((4, 6, 3), np.uint8)] * 3, step=0.5)
    frames = list(itertools.islice(read_frames(2), 3))
    assert camera.asked_for == 2 and camera.released
    assert [frame.seconds for frame in frames] == [0, 0.5, 1.0]
    assert frames[0].rate == 25  # it said 0


def test_a_camera_that_goes_away_is_named_after_its_last_frame(monkeypatch):
    Camera(monkeypatch, [np.zeros((4, 6, 3), np.uint8)] * 3)
    frames = read_frames(1)
    assert len(list(itertools.islice(frames, 3))) == 3
    with pytest.raises(ValueError, match="camera 1: expected further images, got none after 3"):
        next(frames)


def damage(path, start, end):
    """Overwrite a part of a file, given as shares of its length."""
    content = bytearray(path.read_bytes())
    start, end = int(start * len(content)), int(end * len(content))
    content[start:end] = np.random.default_rng(1).integers(0, 256, end - start, np.uint8).tobytes()
    path.write_bytes(content)


def noisy_video(path, num_frames=250):
    video = new_video(path)
    noise = np.random.default_rng(0).integers(0, 100, (48, 64, 3), np.uint8)
    for number in range(num_frames):
        video.add(noise + np.uint8(number % 100), number / 25)
    video.close()
    return path


@pytest.mark.parametrize("every", [1, 3])
def test_what_follows_damage_in_the_middle_is_read_and_the_damage_is_named(every, tmp_path):
    whole = list(read_frames(str(noisy_video(tmp_path / "a.mp4")), every))
    damage(tmp_path / "a.mp4", 0.4, 0.7)  # FFmpeg gives up after 64 frames
    frames = []
    with pytest.raises(
        ValueError, match=r"a\.mp4: expected a whole video, got \d+ of 250 frames that cannot be decoded"
    ):
        for frame in read_frames(str(tmp_path / "a.mp4"), every):
            frames.append(frame)
    assert frames[-1].number == whole[-1].number and len(whole) > len(frames) > len(whole) / 3
    assert [frame.number % every for frame in frames] == [0] * len(frames)
    np.testing.assert_array_equal(frames[-1].image, whole[-1].image)


def test_a_video_that_ends_early_is_told(tmp_path, caplog):
    path = tmp_path / "a.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for number in range(12):
        writer.write(np.random.default_rng(number).integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    frames = list(read_frames(str(path)))
    assert 4 < len(frames) < 10
    assert f"a.avi: gave {len(frames)} of the 12 frames that its header states" in caplog.text


def test_a_whole_video_is_read_without_a_word(tmp_path, caplog):
    assert len(list(read_frames(str(noisy_video(tmp_path / "a.mp4"))))) == 250 and not caplog.text


def test_a_missing_camera_is_reported_in_one_line(monkeypatch):
    Camera(monkeypatch, [], opened=False)
    with pytest.raises(ValueError, match="camera 3: expected a camera"):
        list(read_frames(3))


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), 1000.0, 90000.0])
def test_an_impossible_rate_is_replaced_by_the_default(monkeypatch, rate):
    Camera(monkeypatch, [np.zeros((4, 6, 3), np.uint8)], rate=rate)
    assert next(read_frames(0)).rate == 25


def test_the_file_is_closed_when_iteration_stops(monkeypatch):
    camera = Camera(monkeypatch, [np.zeros((4, 6, 3), np.uint8)] * 3)
    frames = read_frames(0)
    next(frames)
    frames.close()
    assert camera.released


def new_video(path, rate=25.0):
    """A video file, if OpenCV can write one here."""
    probe = VideoFile(path.with_name("probe.mp4"), 25)
    try:
        probe.add(np.zeros((48, 64, 3), np.uint8), 0)
    except ValueError:
        pytest.skip("OpenCV has no mp4v encoder here")
    probe.discard()
    return VideoFile(path, rate)


def grey(level, height=48, width=64):
    return np.full((height, width, 3), level, np.uint8)


def test_a_video_is_read_back_with_its_size_rate_and_colours(tmp_path):
    video = new_video(tmp_path / "new folder" / "größe.mp4", 12.5)
    image = grey(0)
    image[...] = (200, 30, 30)
    for number in range(4):
        video.add(image, number / 12.5)
    assert not (tmp_path / "new folder" / "größe.mp4").exists()  # not before it is whole
    video.close()
    frames = list(read_frames(str(tmp_path / "new folder" / "größe.mp4")))
    assert len(frames) == 4 and frames[0].rate == 12.5
    np.testing.assert_allclose(frames[3].image.mean((0, 1)), (200, 30, 30), atol=12)
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == ["größe.mp4"]


def test_slow_frames_are_repeated_and_fast_ones_dropped(tmp_path):
    video = new_video(tmp_path / "a.mp4", 10)
    # 0 s is frame 0; .3 s is frame 3, shown as 1 to 3; .33 s rounds to frame 3 again; .5 s is frame 5.
    for level, seconds in ((0, 0.0), (60, 0.3), (120, 0.33), (180, 0.5)):
        video.add(grey(level), seconds)
    video.close()
    assert [round(frame.image.mean() / 60) for frame in read_frames(str(tmp_path / "a.mp4"))] == [0, 1, 1, 1, 3, 3]


@pytest.mark.parametrize("rate", [24000 / 1001, 30000 / 1001, 60000 / 1001, 25 / 3, 1000 / 7, 240.0])
def test_each_frame_of_a_video_is_written_once_at_any_rate(tmp_path, rate):
    video = new_video(tmp_path / "a.mp4", rate)
    for number in range(9):
        video.add(grey(10 * number), number / rate)
    video.close()
    frames = list(read_frames(str(tmp_path / "a.mp4")))
    assert len(frames) == 9 and frames[0].rate == pytest.approx(rate, rel=1e-3)


def test_a_rate_below_one_is_one_with_frames_repeated(tmp_path):
    video = new_video(tmp_path / "a.mp4", 0.5)
    for number in range(3):
        video.add(grey(0), 2.0 * number)
    video.close()
    assert len(list(read_frames(str(tmp_path / "a.mp4")))) == 5


def test_frames_of_another_size_are_resized_to_the_first_ones(tmp_path):
    video = new_video(tmp_path / "a.mp4")
    for number, size in enumerate([(48, 64), (96, 64), (10, 20)]):
        video.add(grey(100, *size), number / 25)
    video.close()
    assert [frame.image.shape for frame in read_frames(str(tmp_path / "a.mp4"))] == [(48, 64, 3)] * 3


def test_a_discarded_video_leaves_the_old_file_and_no_temporary_file(tmp_path):
    (tmp_path / "a.mp4").write_text("old")
    video = new_video(tmp_path / "a.mp4")
    video.add(grey(0), 0)
    video.discard()
    assert (tmp_path / "a.mp4").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    video.close()  # nothing is left to close
    assert (tmp_path / "a.mp4").read_text() == "old"


def test_a_video_that_was_not_written_whole_is_an_error(tmp_path, monkeypatch):
    video = new_video(tmp_path / "a.mp4")
    video.add(grey(0), 0)
    monkeypatch.setattr(videos, "count_frames", lambda path: 0)  # as after a full disk
    with pytest.raises(OSError, match=r"a\.mp4: the video could not be written completely"):
        video.close()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_encoder_is_reported_in_one_line(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(videos.cv2.VideoWriter, "fourcc", lambda *letters: 0, raising=False)
    with pytest.raises(ValueError, match=r"a\.mp4: OpenCV cannot write a video \(mp4v\) of 64 x 48 pixels here$"):
        VideoFile(tmp_path / "a.mp4", 25).add(grey(0), 0)
    assert list(tmp_path.iterdir()) == [] and capfd.readouterr().err == ""
