"""``yolo3 detect`` as a user types it; where the network does not matter, a detector of red replaces it."""

import csv
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.cli.test_main import fails_in_one_line
from tests.inference.test_detector import sample_image
from tests.inference.test_videos import new_video, write_video
from tests.inference.test_window import Screen
from yolo3.cli import detect
from yolo3.cli.main import main
from yolo3.datasets import pixel_limit
from yolo3.datasets.formats.registry import read_dataset
from yolo3.datasets.images import read_image, write_image
from yolo3.detections import Detections
from yolo3.inference.sources import Shot, Source
from yolo3.inference.summary import Summary
from yolo3.inference.videos import read_frames
from yolo3.training.preparation import prepare
from yolo3.training.settings import TrainConfig

pytestmark = pytest.mark.usefixtures("eagerly")  # the network is a layer, whose graph takes longer to build than to run


class RedDetector:
    """Finds what is red in an image, score .9, and all of it, score .1; ``stop`` images later it is interrupted."""

    class_names = ["red", "all"]
    score_threshold, iou_threshold, max_boxes = 0.0, 0.45, 300
    input_shape, resize = (416, 608), "letterbox"

    def __init__(self, stop=None, **options):
        self.stop, self.options, self.seen = stop, options, []

    def detect_each(self, photos, on_error=None):
        for index, item in enumerate(photos):
            if index == self.stop:
                raise KeyboardInterrupt
            try:
                image = item if isinstance(item, np.ndarray) else read_image(item)
            except ValueError as error:
                on_error(item, error)
                continue
            self.seen.append(image.shape[:2])
            yield index, image, self._find(image)

    def _find(self, image):
        rows, columns = np.nonzero((image[..., 0] > 150) & (image[..., 1] < 100))
        found = Detections([[0, 0, image.shape[1], image.shape[0]]], [0.1], [1])
        if len(rows):
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            found = Detections([box, found.boxes[0]], [0.9, 0.1], [0, 1])
        return found


@pytest.fixture
def red(monkeypatch):
    """Run ``yolo3 detect`` with a RedDetector: red("a.png", stop=3); returns (status, the detector)."""

    def run(*argv, stop=None):
        detector = RedDetector(stop)

        def load(**options):
            detector.options = options
            return detector

        monkeypatch.setattr("yolo3.inference.loading.load_detector", load)
        return main(["detect", "--weights", "m.h5", *map(str, argv)]), detector

    return run


def red_video(path, num_frames=6, first_red=2, size_wh=(128, 64)):
    """A video whose right half is red from a frame on, black before."""
    write_video(path, 0, size_wh=size_wh)  # skips without an encoder
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, size_wh)
    for number in range(num_frames):
        image = sample_image(*size_wh[::-1], colour=(255, 0, 0) if number >= first_red else (0, 0, 0))
        writer.write(np.ascontiguousarray(image[..., ::-1]))
    writer.release()


def read_json(path="found.json"):
    return json.loads(Path(path).read_text())


# Images, with the network


def test_detect_writes_images_and_json(weights, folder, capsys):
    assert main(["detect", "--weights", weights, "--json", "out/found.json", "red.png", "green.png"]) == 0
    records = json.loads(Path("out/found.json").read_text())
    assert [record["image"] for record in records] == ["red.png", "green.png"]
    assert (records[0]["width"], records[0]["height"]) == (128, 64)
    detection = min(records[0]["detections"], key=lambda detection: detection["box"])
    assert detection["class_id"] == 0 and detection["class_name"] == "red" and detection["score"] > 0.999
    assert detection["box"] == [64, 0, 128, 32]
    assert {detection["class_name"] for detection in records[1]["detections"]} == {"green"}
    drawn = read_image("detections/red.png")
    assert drawn.shape == (64, 128, 3) and not np.array_equal(drawn, read_image("red.png"))
    assert "red.png: 2 red" in capsys.readouterr().out


def test_when_nothing_is_found_the_best_scores_are_shown(weights, folder, capsys):
    assert main(["detect", "--weights", weights, "--resize", "letterbox", "--score-threshold", ".6", "red.png"]) == 0
    output = capsys.readouterr().out
    assert "red.png: nothing above 0.6" in output and "Nothing was found above 0.6" in output
    shown = [line.split() for line in output.splitlines() if line.startswith("  ")]
    assert [line[1] for line in shown[:2]] == ["red", "red"] and len(shown) <= 10
    assert all(float(line[0]) == pytest.approx(0.5, abs=0.01) for line in shown[:2])
    assert "--score-threshold 0.2" in output or "--score-threshold 0.3" in output


def test_scores_too_low_to_mean_anything_are_reported_as_such(red, folder, capsys):
    assert red("green.png", "--no-images")[0] == 0
    output = capsys.readouterr().out
    assert (
        "--score-threshold 0.05" in output
        and "network input was 416 x 608 pixels (letterbox); do --input-size" in output
    )
    summary = Summary(["a"], 0.125, 300, "416 x 416 pixels (stretch)")
    strong = summary.add(Shot(Source("image", "a.png", "a"), "a", "a.png"), Detections([[0, 0, 1, 1]], [0.125], [0]))
    assert len(strong) == 0  # scores have to be above
    summary._weak = [(0.001, "a", "a.png")]
    *_, weak, advice = summary.lines("")
    assert weak == "  0.0010  a  a.png"
    assert "recognizes nothing" in advice and "--score-threshold" not in advice


def test_an_unreadable_image_is_reported_and_the_others_are_processed(weights, folder, capsys):
    Path("bad.jpg").write_bytes(b"no image")
    assert main(["detect", "--weights", weights, "--json", "found.json", "bad.jpg", "red.png"]) == 1
    assert "bad.jpg: expected an image" in capsys.readouterr().err
    assert [record["image"] for record in json.loads(Path("found.json").read_text())] == ["red.png"]


def test_an_image_of_too_many_pixels_is_reported_unless_the_limit_is_lifted(red, folder, capsys, monkeypatch):
    monkeypatch.setattr(pixel_limit, "_max_pixels", pixel_limit.MAX_PIXELS)  # and put back after the test
    pixels = ["--max-pixels", str(64 * 128 - 1)]
    assert red("red.png", "green.png", *pixels)[0] == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        f"yolo3 detect: {name}.png: expected an image, got 128x64 pixels, more than the 8,191 allowed; --max-pixels "
        "allows up to 2^30"
        for name in ("red", "green")
    ]
    assert red("red.png")[0] == 0  # the limit of one command is not that of the next


def test_user_errors_of_detect_end_in_one_line(weights, folder, capsys):
    assert "nope.jpg: No such file" in fails_in_one_line(["detect", "--weights", weights, "nope.jpg"], capsys)
    assert "nope.h5: No such file" in fails_in_one_line(["detect", "--weights", "nope.h5", "red.png"], capsys)
    Path("empty").mkdir()
    assert "empty: expected images" in fails_in_one_line(["detect", "--weights", weights, "empty"], capsys)
    Path("page.h5").write_text("<html>")
    assert "page.h5: expected a Keras file" in fails_in_one_line(["detect", "--weights", "page.h5", "red.png"], capsys)
    Path("names.txt").write_text("red\ngreen\n")
    line = fails_in_one_line(["detect", "--weights", weights, "--classes", "names.txt", "red.png"], capsys)
    assert "names.txt names 2 classes" in line and f"{weights} has 3" in line


# Images


def test_every_format_is_written_in_one_run(red, folder, capsys):
    files = ["--json", "out/f.json", "--csv", "f.csv", "--coco", "f.coco", "--yolo-txt", "txt", "--crops", "crops"]
    status, detector = red("red.png", "green.png", *files)
    assert status == 0 and detector.options["score_threshold"] is None
    assert [len(record["detections"]) for record in read_json("out/f.json")] == [1, 0]
    with open("f.csv", newline="") as file:
        assert [(row["image"], row["class_name"]) for row in csv.DictReader(file)] == [("red.png", "red")]
    assert [item["image_id"] for item in read_json("f.coco")] == [1]
    assert Path("txt/red.txt").read_text() == "0 0.750000 0.500000 0.500000 1.000000\n"
    assert Path("txt/green.txt").read_text() == ""
    np.testing.assert_array_less(150, read_image("crops/red/red_1.jpg")[..., 0])
    assert sorted(path.name for path in Path("detections").iterdir()) == ["green.png", "red.png"]
    output = capsys.readouterr().out
    assert "red.png: 1 red\ngreen.png: nothing above 0.3\n" in output
    assert "Images with boxes: detections; detections: out/f.json, f.csv, f.coco, txt, crops" in output


def test_labels_may_carry_scores(red, folder):
    assert red("red.png", "--yolo-txt", "txt", "--yolo-scores")[0] == 0
    assert Path("txt/red.txt").read_text() == "0 0.750000 0.500000 0.500000 1.000000 0.900000\n"


def test_existing_labels_are_not_overwritten(red, folder, capsys):
    for label in ("red.txt", "labels/red.txt"):
        Path(label).parent.mkdir(exist_ok=True)
        Path(label).write_text("0 .5 .5 .1 .1\n")
        argv = ["detect", "--weights", "m.h5", "red.png", "--yolo-txt", str(Path(label).parent)]
        assert f"{label}: expected a new file, got the labels of red.png" in fails_in_one_line(argv, capsys)
        assert red("green.png", "red.png", "--yolo-txt", "other")[0] == 0
        Path(label).unlink()
    assert red("red.png", "--yolo-txt", "other")[0] == 0  # an earlier run's detections are nobody's labels


def test_unreadable_and_full_images_are_counted_at_the_end(red, folder, capsys):
    Path("bad.jpg").write_bytes(b"no image")
    assert red("bad.jpg", "red.png", "green.png", "--max-boxes", "1")[0] == 1
    output = capsys.readouterr().out
    assert "\nImages that could not be read (see above): 1\n" in output
    assert "\nImages with the maximum of 1 objects (--max-boxes): 1\n" in output


@pytest.mark.parametrize("option", ["--no-images", "--no-pictures"])  # the second is its name in earlier versions
def test_drawn_images_can_be_left_out(option, red, folder, capsys):
    assert red("red.png", option, "--json", "found.json")[0] == 0
    assert not Path("detections").exists() and len(read_json()) == 1
    assert "Images with boxes" not in capsys.readouterr().out


def test_images_with_the_same_name_get_separate_results(red, folder):
    for name in ("a", "b"):
        Path(name).mkdir()
        shutil.copy("red.png", f"{name}/same.png")
    shutil.copy("red.png", "scan.tif")
    assert red("a", "b/same.png", "scan.tif", "--output", "out", "--yolo-txt", "txt")[0] == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["same.png", "same_2.png", "scan.png"]
    assert sorted(path.name for path in Path("txt").iterdir()) == ["same.txt", "same_2.txt", "scan.txt"]


def test_detect_overwrites_neither_an_input_nor_another_result(red, folder):
    for name in ("a", "b"):
        Path(name).mkdir()
        shutil.copy("red.png", f"{name}/same.png")
    before = {path: path.read_bytes() for path in folder.rglob("*.png")}
    assert red("--output", ".", ".", "a/same.png", "b")[0] == 0
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(list(folder.rglob("*.png"))) == 8  # four images, each once, and four results


def test_results_of_an_earlier_run_are_not_read_as_input(red, folder):
    for _ in range(2):
        assert red(".", "--json", "found.json")[0] == 0
        assert len(read_json()) == 2


def test_crops_of_an_earlier_run_are_not_read_as_input(red, folder):
    for _ in range(2):
        _, detector = red("**/*.*g", "--crops", "crops")
        assert len(detector.seen) == 2


def test_coco_ids_come_from_the_annotation_file(red, folder, capsys):
    content = {"images": [{"id": 42, "file_name": "red.png"}], "annotations": []}
    content["categories"] = [{"id": 5, "name": "all"}, {"id": 9, "name": "red"}]
    Path("gt.json").write_text(json.dumps(content))
    assert red("red.png", "--coco", "found.json", "--coco-images", "gt.json")[0] == 0
    assert [(item["image_id"], item["category_id"]) for item in read_json()] == [(42, 9)]
    line = fails_in_one_line(
        ["detect", "--weights", "m.h5", "green.png", "--coco", "a.json", "--coco-images", "gt.json"], capsys
    )
    assert "gt.json: expected an id for each image, got none for green.png" in line


# Videos and cameras


def test_a_video_gives_a_video_and_one_record_per_frame(red, folder, capsys):
    new_video(folder / "probe.mp4").discard()
    red_video("clip.avi")
    assert red("clip.avi", "red.png", "--json", "found.json", "--yolo-txt", "txt", "--crops", "crops")[0] == 0
    frames = list(read_frames("detections/clip.mp4"))
    assert len(frames) == 6 and frames[0].rate == 10 and frames[0].image.shape == (64, 128, 3)
    records = read_json()
    assert [record.get("frame") for record in records] == [0, 1, 2, 3, 4, 5, None]
    assert [len(record["detections"]) for record in records] == [0, 0, 1, 1, 1, 1, 1]
    assert records[3]["seconds"] == 0.3
    assert len(list(Path("txt/clip").iterdir())) == 6 and len(list(Path("crops/red/clip").iterdir())) == 4
    assert "clip.avi: 6 frames; red in 4\nred.png: 1 red\n" in capsys.readouterr().out


def test_every_second_frame_is_used(red, folder):
    new_video(folder / "probe.mp4").discard()
    red_video("clip.avi")
    assert red("clip.avi", "--every", "2", "--json", "found.json")[0] == 0
    assert [record["frame"] for record in read_json()] == [0, 2, 4]
    frames = list(read_frames("detections/clip.mp4"))
    assert len(frames) == 3 and frames[0].rate == 5  # as long as the video


def test_a_video_without_frames_is_reported_in_one_line_and_the_others_are_processed(red, folder, capfd):
    Path("empty.mp4").write_bytes(b"")
    assert red("empty.mp4", "red.png", "--json", "found.json")[0] == 1
    error = capfd.readouterr().err
    assert error == "yolo3 detect: empty.mp4: expected a video that OpenCV can decode, got no frame from 0 bytes\n"
    assert [record["image"] for record in read_json()] == ["red.png"]


def test_ctrl_c_leaves_usable_files(red, folder, capsys):
    new_video(folder / "probe.mp4").discard()
    red_video("clip.avi")
    assert red("clip.avi", "--json", "found.json", stop=4)[0] == 130
    said = capsys.readouterr()
    assert said.err == "yolo3 detect: interrupted\n" and "clip.avi: 4 frames; red in 2" in said.out
    assert len(read_json()) == 4 and len(list(read_frames("detections/clip.mp4"))) == 4


def test_camera_frames_do_not_wait_for_a_full_batch(red, folder, monkeypatch, capsys):
    asked = []

    def frames(source, every):
        asked.append((source, every))
        return iter(())

    monkeypatch.setattr("yolo3.inference.sources.read_frames", frames)
    status, detector = red("--camera", "1", "--every", "5", "--no-images")
    assert asked == [(1, 5)] and detector.options["batch_size"] == 1
    assert red("red.png")[1].options["batch_size"] == 8


# Tiles over large images


def test_tiles_are_given_the_score_threshold(red, folder, monkeypatch):
    write_image("large.png", sample_image(height=100, width=180))
    told = []
    monkeypatch.setattr(
        detect, "TiledDetector", lambda *given, **options: told.append((*given[1:], options)) or given[0]
    )
    red("large.png", "--tile", "100", "--score-threshold", "0.7", "--no-images")
    assert told == [(100, {"overlap": 0.2, "whole": True, "strong": 0.7})]


def test_large_images_are_tiled_and_detected_as_a_whole_too(red, folder):
    image = sample_image(height=100, width=180)
    write_image("large.png", image)
    status, detector = red("large.png", "--tile", "100", "--json", "found.json")
    assert status == 0 and detector.seen == [(100, 180), (100, 100), (100, 100)]
    assert [found["box"] for found in read_json()[0]["detections"]] == [[90, 0, 180, 100]]
    assert red("large.png", "--tile", "100", "--tiles-only")[1].seen == [(100, 100)] * 2
    assert red("large.png", "--tile", "100", "--overlap", "0", "--tiles-only")[1].seen == [(100, 100)] * 2
    assert red("large.png", "--tile", "180")[1].seen == [(100, 180)]


# The window


def test_an_image_is_shown_until_a_key_is_pressed(red, folder, monkeypatch):
    screen = Screen(monkeypatch, [-1, -1, ord(" "), ord("n")])
    assert red("red.png", "green.png", "--show")[0] == 0
    assert len(screen.shown) == 2 and screen.keys == []
    np.testing.assert_array_equal(screen.shown[0], read_image("detections/red.png"))
    assert screen.closed == ["yolo3 detect"]


@pytest.mark.parametrize("key", [27, ord("q"), 0])
def test_escape_q_and_closing_the_window_end_the_run_with_whole_files(red, folder, monkeypatch, key):
    new_video(folder / "probe.mp4").discard()
    red_video("clip.avi")
    screen = Screen(monkeypatch, [-1, -1, key])
    assert red("clip.avi", "red.png", "--show", "--json", "found.json")[0] == 0
    assert len(screen.shown) == 3 and len(read_json()) == 3
    assert len(list(read_frames("detections/clip.mp4"))) == 3


def test_show_without_a_screen_is_an_error_before_any_work(folder, monkeypatch, capsys):
    monkeypatch.setattr(detect, "loading_network", lambda weights: pytest.fail("too late"))
    Screen(monkeypatch)
    monkeypatch.setattr("yolo3.inference.window.sys.platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    line = fails_in_one_line(["detect", "--weights", "m.h5", "red.png", "--show"], capsys)
    assert "--show: expected a display" in line


# Mistakes


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "expected at least one INPUT, or --camera N"),
        (["a.jpg", "--tile", "31"], "--tile: expected at least 32 pixels, got 31"),
        (["a.jpg", "--tile", "64", "--overlap", "1.0"], "--overlap: expected a number from 0 to 0.9, got 1"),
        (["a.jpg", "--tiles-only"], "--tiles-only: expected --tile SIZE with it"),
        (["a.jpg", "--coco-images", "gt.json"], "--coco-images: expected --coco FILE with it"),
        (["a.jpg", "--yolo-scores"], "--yolo-scores: expected --yolo-txt DIR with it"),
        (["a.jpg", "--every", "0"], "expected a whole number above 0"),
        (["--camera", "front"], "expected a whole number, 0 or above"),
    ],
)
def test_options_that_do_not_go_together_end_with_status_2(argv, message, capsys):
    with pytest.raises(SystemExit) as end:
        main(["detect", "--weights", "m.h5", *argv])
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--json", "red.png"], "red.png: expected a file for detections alone, got an input"),
        (["--csv", "a", "--coco", "./a"], "./a: expected a file for detections alone, got that of another format"),
        (["--json", "detections/red.png"], "got an image with boxes"),
        (["--csv", "folder"], "folder: expected a file to write, got a folder"),
        (["--crops", "green.png"], "expected a folder at"),
        (["--yolo-txt", "green.png/txt"], "expected a folder at"),
        (["--crops", "."], ".: expected a folder for crops alone, got one that holds red.png"),
        (["--coco", "a.json", "--coco-images", "nowhere.json"], "nowhere.json: No such file"),
        (["--json", "pipe"], "pipe: expected a file to write, got a device"),
        ([""], "'': expected the path of an image"),
        (["0"], "0: no such file; the camera with this number is --camera 0"),
        (["*.gif"], "*.gif: expected images"),
    ],
)
def test_impossible_requests_are_reported_in_one_line_before_any_work(folder, monkeypatch, capsys, argv, message):
    monkeypatch.setattr(detect, "loading_network", lambda weights: pytest.fail("too late"))
    Path("folder").mkdir()
    if "pipe" in argv:
        getattr(os, "mkfifo", lambda _: pytest.skip("no pipes here"))("pipe")
    before = sorted(folder.rglob("*"))
    assert message in fails_in_one_line(["detect", "--weights", "m.h5", "red.png", *argv], capsys)
    assert sorted(folder.rglob("*")) == before


def test_what_was_found_becomes_a_data_set_that_is_counted_and_prepared(red, folder, capsys):
    assert red("red.png", "green.png", "--dataset", "labelled", "--no-images")[0] == 0
    assert "detections: labelled" in capsys.readouterr().out
    dataset = read_dataset("labelled")
    assert {Path(item.image_path).name: item.boxes.tolist() for item in dataset.annotations} == {
        "red.png": [[64, 0, 128, 64]],
        "green.png": [],
    }
    assert main(["data", "stats", "labelled", "--json"]) == 0
    stats = json.loads(capsys.readouterr().out)
    assert stats["lists"] == {"train": {"images": 2, "boxes": 1}}
    prepared = prepare(TrainConfig(data="labelled", val_split=0.0))
    assert prepared.class_names == ["red", "all"] and len(prepared.train) == 2

    # Once more, into the folder that is there.
    error = fails_in_one_line(["detect", "--weights", "m.h5", "red.png", "--dataset", "labelled"], capsys)
    assert error.startswith("yolo3 detect: labelled: expected a new or empty folder")


# Parts, for jobs that share the inputs


def test_the_parts_of_the_inputs_give_together_what_one_job_gives(red, folder):
    Path("more").mkdir()
    for name in ("red.png", "b.png", "c.png"):  # of two of one name the second is numbered, whichever part it is in
        write_image(Path("more", name), sample_image())
    inputs = ["red.png", "green.png", "more"]
    assert red(*inputs, "--json", "whole.json", "--output", "whole")[0] == 0
    parts = []
    for number in (1, 2):
        assert red(*inputs, "--part", f"{number}/2", "--json", f"{number}.json", "--output", "parts")[0] == 0
        parts += [read_json(f"{number}.json")]
    assert [len(part) for part in parts] == [3, 2]
    both = [record for pair in zip(parts[0], [*parts[1], None]) for record in pair if record]
    assert both == read_json("whole.json")
    assert sorted(os.listdir("parts")) == sorted(os.listdir("whole"))


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "1/", "/2", "a/b", "-1/2", "1/0"])
def test_a_part_that_there_is_not_is_refused(part, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["detect", "--weights", "m.h5", "a.png", f"--part={part}"])
    assert f"expected a part such as 1/4, from 1/4 to 4/4, got {part}" in capsys.readouterr().err
