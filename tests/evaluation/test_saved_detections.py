"""Detections from files: which image an entry is of, classes, and what is refused."""

import json

import numpy as np
import pytest

from tests.inference.writers.examples import FOUND, NAMES, NOTHING, STILL, write
from yolo3.datasets.annotation import build_annotation
from yolo3.evaluation.saved_detections import SavedDetections, all_classes
from yolo3.inference.sources import Shot, Source
from yolo3.inference.writers.json_csv import JsonFile

BOX = {"class_id": 2, "class_name": "c", "score": 0.5, "box": [0, 0, 1, 1]}


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Function that writes entries to files in the current folder, one for each list, and reads them."""
    monkeypatch.chdir(tmp_path)

    def read(*parts):
        for number, part in enumerate(parts):
            (tmp_path / f"{number}.json").write_text(json.dumps(part))
        return SavedDetections([f"{number}.json" for number in range(len(parts))])

    return read


def entry(image, *detections):
    return {"image": image, "width": 9, "height": 9, "detections": list(detections)}


def annotated(path):
    return build_annotation(str(path), [], path, (9, 9))


def test_what_detect_writes_is_read_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(0)
    one = type(FOUND)(rng.uniform(0, 999, (50, 4)), rng.uniform(size=50), rng.integers(0, 2, 50))
    shots = [(Shot(STILL, "a", STILL.path), one), (Shot(Source("image", "in/b.png", "b"), "b", "in/b.png"), NOTHING)]
    write(JsonFile(tmp_path / "a.json", NAMES), shots=shots)
    read = SavedDetections([str(tmp_path / "a.json")])
    assert read.class_names == NAMES
    found, nothing = read.of([annotated("in/a.png"), annotated("in/b.png")], NAMES)
    for part in ("boxes", "scores", "class_ids"):
        np.testing.assert_array_equal(getattr(found, part), getattr(one, part))
    assert len(nothing) == 0


def test_an_image_is_known_by_its_path_else_by_the_end_of_it(saved, tmp_path):
    read = saved([entry("a/1.png", BOX), entry("b/1.png")], [entry("/elsewhere/set/c/2.png", BOX, BOX)])
    annotations = [annotated(tmp_path / "b" / "1.png"), annotated("/data/set/c/2.png"), annotated("/moved/a/1.png")]
    assert [len(found) for found in read.of(annotations, ["c"])] == [0, 2, 1]


@pytest.mark.parametrize(
    "images, message",
    [
        (["/data/9.png"], "^/data/9.png: expected its detections in one of the files, got 2 others$"),
        (["/data/1.png"], "^/data/1.png: expected its .*, got several that may be it, such as a/1.png, b/1.png$"),
        (["a/1.png", "/x/a/1.png"], "^/x/a/1.png: expected its .*, got a/1.png alone, which is a/1.png$"),
    ],
)
def test_an_image_in_no_file_or_of_a_doubtful_name_is_one_line(images, message, saved):
    read = saved([entry("a/1.png")], [entry("b/1.png")])
    with pytest.raises(ValueError, match=message):
        read.of([annotated(image) for image in images], [])


def test_an_image_in_several_files_is_one_line(saved):
    with pytest.raises(ValueError, match="^1.json: expected each image once, got ./a/1.png again, after 0.json$"):
        saved([entry("a/1.png")], [entry("b/1.png"), entry("./a/1.png")])


@pytest.mark.parametrize(
    "content",
    [3, {"images": []}, [3], [{"image": "a"}], [entry(3)], [entry("a", {**BOX, "box": [1, 2, 3]})],
     [entry("a", {**BOX, "score": None})], [entry("a", {**BOX, "class_id": None})], [{"image_id": 3, "bbox": []}]],
)  # fmt: skip
def test_files_of_another_kind_are_one_line(content, saved):
    with pytest.raises(ValueError, match="^0.json: expected what `yolo3 detect --json` writes for images, got "):
        saved(content)


def test_frames_of_a_video_are_one_line(saved):
    with pytest.raises(ValueError, match="^0.json: .* for images, got a frame of clip.avi$"):
        saved([entry("clip.avi") | {"frame": 0}])


def test_the_classes_are_those_named_or_those_of_the_data_and_others_that_were_detected(saved):
    read = saved([entry("a", BOX, {**BOX, "class_id": 0, "class_name": "a"})])
    assert read.class_names == ["a", "c"]
    assert all_classes(read, ["c", "d"], None, "data") == ["c", "d", "a"]
    assert all_classes(read, ["c"], ["a", "b", "c"], "names.txt") == ["a", "b", "c"]
    with pytest.raises(ValueError, match="^names.txt: expected the classes that were detected, a, got c, d$"):
        all_classes(read, ["c"], ["c", "d"], "names.txt")
    with pytest.raises(ValueError, match="^data: expected the classes that were detected, a, c, got x$"):
        all_classes(read, ["x"], None, "data")
    assert all_classes(saved([entry("a")]), ["x"], None, "data") == ["x"]
