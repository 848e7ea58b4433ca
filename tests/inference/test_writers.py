"""yolo3.inference.writers: each format read back, and files that are there whole or not at all."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from tests.inference.test_videos import new_video
from yolo3.datasets.formats.yolo_labels import parse_label
from yolo3.datasets.images import read_image
from yolo3.detections import Detections
from yolo3.inference.sources import Shot, Source
from yolo3.inference.videos import read_frames
from yolo3.inference.writers import (
    CocoFile,
    CropsFolder,
    CsvFile,
    DrawnFiles,
    JsonFile,
    YoloTxtFolder,
    folder_names,
    read_coco_ids,
    writing,
)
from yolo3.visualize.boxes import draw_boxes

NAMES = ["dog", "žába/frog"]
STILL = Source("image", "in/a.png", "a")
EMPTY = Source("image", "in/b.png", "sub/b")
VIDEO = Source("video", "in/clip.avi", "clip")
IMAGE = np.random.default_rng(0).integers(0, 255, (40, 80, 3), np.uint8)
FOUND = Detections([[8, 10, 24, 30], [0, 0, 80.0, 40.0]], [0.875, 0.5], [1, 0])
NOTHING = Detections(np.zeros((0, 4)), [], [])


def frame(number, rate=10.0):
    return Shot(VIDEO, f"clip/{number:06d}", IMAGE, number, number / rate, rate)


SHOTS = [(Shot(STILL, "a", "in/a.png"), FOUND), (Shot(EMPTY, "sub/b", "in/b.png"), NOTHING), (frame(7), FOUND)]


def write(*writers, shots=SHOTS):
    with writing(writers):
        for shot, found in shots:
            for writer in writers:
                writer.add(shot, IMAGE, found)


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# Formats


def test_json_says_what_is_where_in_each_image_and_frame(tmp_path):
    write(JsonFile(tmp_path / "new" / "found.json", NAMES))
    image, empty, video = json.loads((tmp_path / "new" / "found.json").read_text())
    assert image == {
        "image": "in/a.png", "width": 80, "height": 40,
        "detections": [
            {"class_id": 1, "class_name": "žába/frog", "score": 0.875, "box": [8, 10, 24, 30]},
            {"class_id": 0, "class_name": "dog", "score": 0.5, "box": [0, 0, 80, 40]},
        ],
    }  # fmt: skip
    assert empty == {"image": "in/b.png", "width": 80, "height": 40, "detections": []}
    assert (video["image"], video["frame"], video["seconds"]) == ("in/clip.avi", 7, 0.7)


def test_csv_has_a_line_a_detection(tmp_path):
    write(CsvFile(tmp_path / "found.csv", NAMES))
    with open(tmp_path / "found.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["in/a.png", "in/a.png", "in/clip.avi", "in/clip.avi"]
    assert list(rows[0].values()) == ["in/a.png", "", "", "1", "žába/frog", "0.875", "8.0", "10.0", "24.0", "30.0"]
    assert (rows[2]["frame"], rows[2]["seconds"]) == ("7", "0.7")


def test_yolo_txt_has_a_file_a_image_also_for_nothing(tmp_path):
    write(YoloTxtFolder(tmp_path))
    assert files_below(tmp_path) == ["a.txt", "clip/000007.txt", "sub/b.txt"]
    assert (tmp_path / "sub" / "b.txt").read_text() == ""
    # 8..24 of 80 is .2 in the middle and .2 wide; 10..30 of 40 is .5 in the middle and .5 high
    assert (tmp_path / "a.txt").read_text() == (
        "1 0.200000 0.500000 0.200000 0.500000\n0 0.500000 0.500000 1.000000 1.000000\n"
    )


def test_yolo_txt_reads_back_as_labels_unless_it_holds_scores(tmp_path):
    write(YoloTxtFolder(tmp_path / "labels"), YoloTxtFolder(tmp_path / "scores", scores=True))
    boxes, faults = parse_label((tmp_path / "labels" / "a.txt").read_text(), IMAGE.shape[:2])
    assert not faults and [box.class_id for box in boxes] == [1, 0]
    np.testing.assert_allclose([box.xyxy for box in boxes], FOUND.boxes, atol=1e-3)
    text = (tmp_path / "scores" / "a.txt").read_text()
    assert [line.split()[-1] for line in text.splitlines()] == ["0.875000", "0.500000"]
    assert len(parse_label(text, IMAGE.shape[:2])[1]) == 2


def test_crops_are_the_parts_of_the_image_in_folders_by_class(tmp_path):
    write(CropsFolder(tmp_path, NAMES))
    assert files_below(tmp_path) == [
        "dog/a_2.jpg", "dog/clip/000007_2.jpg", "žába_frog/a_1.jpg", "žába_frog/clip/000007_1.jpg",
    ]  # fmt: skip
    assert read_image(tmp_path / "žába_frog" / "a_1.jpg").shape == (20, 16, 3)
    assert read_image(tmp_path / "dog" / "a_2.jpg").shape == (40, 80, 3)


def test_crops_hold_every_pixel_that_a_box_touches_and_none_outside_the_image(tmp_path):
    image = np.zeros((40, 80, 3), np.uint8)
    image[9:12, 7:10] = 255  # pixels 7 to 9 and 9 to 11
    crops = CropsFolder(tmp_path, NAMES)
    boxes = [[7.4, 9.4, 9.6, 11.6], [-5, -5, 3, 3], [80, 10, 90, 20]]
    crops.add(SHOTS[0][0], image, Detections(boxes, [0.9, 0.8, 0.7], [0, 0, 0]))
    assert files_below(tmp_path) == ["dog/a_1.jpg", "dog/a_2.jpg"]  # nothing is left of the third
    assert read_image(tmp_path / "dog" / "a_1.jpg").shape == (3, 3, 3)
    assert read_image(tmp_path / "dog" / "a_1.jpg").min() > 240
    assert read_image(tmp_path / "dog" / "a_2.jpg").shape == (3, 3, 3)


def test_class_names_become_folder_names_that_every_system_takes():
    names = ["traffic light", "and/or", "and\\or", "AND_OR", "..", " x. ", "con", "犬", "a:b?", ""]
    assert folder_names(names) == [
        "traffic light", "and_or", "and_or_2", "AND_OR_3", "class", "x", "con_", "犬", "a_b_", "class_2",
    ]  # fmt: skip


# COCO results


def coco_file(path, images, categories=("dog", "žába/frog")):
    content = {
        "images": [{"id": image_id, "file_name": name} for image_id, name in images],
        "annotations": [],
        "categories": [{"id": 10 * (number + 1), "name": name} for number, name in enumerate(categories)],
    }
    path.write_text(json.dumps(content))
    return str(path)


def coco_items(tmp_path, sources, ids=None, shots=SHOTS):
    write(CocoFile(tmp_path / "found.json", NAMES, sources, ids), shots=shots)
    return json.loads((tmp_path / "found.json").read_text())


def test_coco_results_number_images_and_frames_and_name_them(tmp_path):
    items = coco_items(tmp_path, [STILL, EMPTY, VIDEO])
    assert items[0] == {
        "image_id": 1, "category_id": 2, "bbox": [8, 10, 16, 20], "score": 0.875, "file_name": "in/a.png",
    }  # fmt: skip
    assert [item["image_id"] for item in items] == [1, 1, 3, 3]  # the second image has none
    assert (items[2]["file_name"], items[2]["frame"]) == ("in/clip.avi", 7)


def test_coco_results_take_numbers_from_names_that_are_numbers(tmp_path):
    sources = [Source("image", f"in/{name}.jpg", name) for name in ("000000000139", "785")]
    shots = [(Shot(source, source.name, source.path), FOUND) for source in sources]
    items = coco_items(tmp_path, sources, shots=shots)
    assert [item["image_id"] for item in items] == [139, 139, 785, 785] and "file_name" not in items[0]
    twice = [sources[0], Source("image", "other/139.jpg", "139")]
    shots = [(Shot(source, source.name, source.path), FOUND) for source in twice]
    assert [item["image_id"] for item in coco_items(tmp_path, twice, shots=shots)] == [1, 1, 2, 2]


def test_coco_results_have_cocos_own_ids_for_its_80_classes(tmp_path):
    names = ["person", *map(str, range(78)), "toothbrush"]
    found = Detections([[0, 0, 8, 8]] * 4, [0.5] * 4, [0, 10, 11, 79])
    write(CocoFile(tmp_path / "found.json", names, [STILL]), shots=[(SHOTS[0][0], found)])
    # fire hydrant, the eleventh, is 11; 12 is not used, so the stop sign is 13; toothbrush is 90
    items = json.loads((tmp_path / "found.json").read_text())
    assert [item["category_id"] for item in items] == [1, 11, 13, 90]


def test_coco_results_take_ids_from_annotations(tmp_path):
    path = coco_file(tmp_path / "gt.json", [(5, "other/a.png"), (6, "a.png"), (7, "in/a.png"), (9, "b.png")])
    ids = read_coco_ids(path, [STILL, EMPTY])
    items = coco_items(tmp_path, [STILL, EMPTY], ids, SHOTS[:2])
    assert [(item["image_id"], item["category_id"]) for item in items] == [(7, 20), (7, 10)]
    assert set(items[0]) == {"image_id", "category_id", "bbox", "score"}


def test_annotations_that_do_not_know_a_image_or_a_class_are_refused(tmp_path):
    path = coco_file(tmp_path / "gt.json", [(5, "a.png")], ["dog"])
    for source in (EMPTY, VIDEO):
        with pytest.raises(ValueError, match=f"gt.json: expected an id for each image, got none for {source.path}"):
            read_coco_ids(path, [STILL, source])
    with pytest.raises(ValueError, match="gt.json: .*got none called žába/frog"):
        CocoFile(tmp_path / "found.json", NAMES, [STILL], read_coco_ids(path, [STILL]))
    assert [item.name for item in tmp_path.iterdir()] == ["gt.json"]


@pytest.mark.parametrize("names", [("train/a.png", "val/a.png"), ("in/a.png", "in/a.png")])
def test_annotations_that_cannot_say_which_image_is_which_are_refused(tmp_path, names):
    path = coco_file(tmp_path / "gt.json", [(5, names[0]), (7, names[1])])
    message = rf"in/a.png can mean, got several: {names[0]} \(id 5\), {names[1]} \(id 7\)"
    with pytest.raises(ValueError, match=message):
        read_coco_ids(path, [STILL])


def test_the_nearest_folders_say_which_image_of_annotations_is_meant(tmp_path):
    path = coco_file(tmp_path / "gt.json", [(5, "set/out/a.png"), (7, "set\\in\\a.png")])
    assert coco_items(tmp_path, [STILL], read_coco_ids(path, [STILL]), SHOTS[:1])[0]["image_id"] == 7


def test_annotations_without_ids_or_names_of_images_are_refused(tmp_path):
    path = coco_file(tmp_path / "gt.json", [])
    for image in ({"id": 1}, 3, {"file_name": "a.png"}):
        Path(path).write_text(json.dumps({"images": [image], "annotations": [], "categories": []}))
        with pytest.raises(ValueError, match="gt.json: expected images with 'id' and 'file_name', got "):
            read_coco_ids(path, [STILL])


# Images and videos with boxes


def test_images_and_videos_are_drawn_each_to_its_place(tmp_path):
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


# Whole or not at all


def all_writers(folder):
    drawn = {STILL: folder / "a.png", EMPTY: folder / "b.png", VIDEO: folder / "clip.mp4"}
    return [
        JsonFile(folder / "a.json", NAMES), CsvFile(folder / "a.csv", NAMES),
        CocoFile(folder / "coco.json", NAMES, [STILL, EMPTY, VIDEO]), DrawnFiles(drawn, NAMES),
    ]  # fmt: skip


def test_an_interrupted_run_leaves_whole_files_of_what_was_done(tmp_path):
    new_video(tmp_path / "probe.mp4").discard()
    writers = all_writers(tmp_path)
    with pytest.raises(KeyboardInterrupt), writing(writers):
        for shot, found in [SHOTS[0], (frame(0), FOUND), (frame(1), FOUND)]:
            for writer in writers:
                writer.add(shot, IMAGE, found)
        raise KeyboardInterrupt
    assert len(json.loads((tmp_path / "a.json").read_text())) == 3
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 7
    assert len(list(read_frames(str(tmp_path / "clip.mp4")))) == 2
    assert files_below(tmp_path) == ["a.csv", "a.json", "a.png", "clip.mp4", "coco.json"]


def test_a_failed_run_leaves_the_old_files_and_no_litter(tmp_path):
    new_video(tmp_path / "probe.mp4").discard()
    (tmp_path / "a.json").write_text("old")
    writers = all_writers(tmp_path)
    with pytest.raises(OSError, match="disk"), writing(writers):
        for writer in writers:
            writer.add(frame(0), IMAGE, FOUND)
        raise OSError("disk")
    assert files_below(tmp_path) == ["a.json"] and (tmp_path / "a.json").read_text() == "old"


def test_a_file_that_cannot_be_closed_takes_no_other_with_it(tmp_path):
    class Broken(JsonFile):
        def close(self):
            raise OSError("disk")

    first, last = JsonFile(tmp_path / "first.json", NAMES), JsonFile(tmp_path / "last.json", NAMES)
    with pytest.raises(OSError, match="disk"):
        write(first, Broken(tmp_path / "broken.json", NAMES), last)
    assert files_below(tmp_path) == ["first.json"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.json").write_text("old")
    try:
        (tmp_path / "a.json").symlink_to("real.json")
    except OSError:
        pytest.skip("no links here")
    write(JsonFile(tmp_path / "a.json", NAMES), shots=[])
    assert (tmp_path / "a.json").is_symlink() and json.loads((tmp_path / "real.json").read_text()) == []


def test_files_of_nothing_are_files_too(tmp_path):
    write(JsonFile(tmp_path / "a.json", NAMES), CsvFile(tmp_path / "a.csv", NAMES), shots=[])
    assert json.loads((tmp_path / "a.json").read_text()) == []
    assert (tmp_path / "a.csv").read_text() == ",".join(CsvFile.COLUMNS) + "\n"
    assert Path(tmp_path / "a.json").stat().st_mode & 0o444 == 0o444
