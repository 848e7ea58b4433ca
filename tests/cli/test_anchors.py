"""`yolo3 anchors` as a user types it: its output, the file it writes, user errors."""

import json

import cv2
import numpy as np
import pytest

from yolo3.cli.anchors import advice, build_parser, main
from yolo3.models.yolov3.anchor_clusters import AnchorFit
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS, read_anchors, write_anchors


def fit_of(mean_iou, above_50=0.9):
    return AnchorFit(mean_iou, above_50, 1.0, 100)


@pytest.mark.parametrize(
    ("new", "old", "words"),
    [
        (fit_of(0.71), fit_of(0.70), "Not worth it"),
        (fit_of(0.60), fit_of(0.70), "Not worth it"),
        (fit_of(0.73), fit_of(0.70), "A small gain"),
        (fit_of(0.80), fit_of(0.70), "Worth it"),
        (fit_of(0.80), fit_of(0.70, 0.99), "A closer fit"),
        (fit_of(0.80), None, "no default anchors"),
    ],
)
def test_advice_is_given_in_words(new, old, words):
    assert words in advice(new, old)


@pytest.fixture
def lines_file(tmp_path):
    """Text lines: images of 200 x 100 (w x h) with boxes of about 20 x 10, 40 x 40 and 100 x 60 pixels."""
    rng = np.random.default_rng(0)
    lines = []
    for image in range(6):
        path = tmp_path / f"{image}.png"
        cv2.imwrite(str(path), np.zeros((100, 200, 3), np.uint8))
        boxes = [(w * k, h * k) for w, h in ((20, 10), (40, 40), (100, 60)) for k in rng.uniform(0.97, 1.03, 4)]
        lines.append(" ".join([str(path)] + [f"5,5,{5 + w:.2f},{5 + h:.2f},0" for w, h in boxes]))
    (tmp_path / "train.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "train.txt"


def test_the_command_clusters_in_network_pixels_and_writes_the_file(lines_file, tmp_path, capsys):
    output = tmp_path / "new.txt"
    arguments = ["--data", str(lines_file), "--num-anchors", "3", "--input-size", "416", "416", "--output", str(output)]
    assert main(arguments) == 0
    # Letterbox: 200 x 100 becomes 416 x 208, so everything is 2.08 times as large.
    expected = np.array([[20, 10], [40, 40], [100, 60]]) * 2.08
    np.testing.assert_allclose(read_anchors(output), expected, rtol=0.03)
    printed = capsys.readouterr().out
    assert "72 boxes, in pixels of a 416 x 416 input (letterbox)" in printed
    assert f"written to {output}" in printed


def test_crowd_regions_are_left_out(tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((100, 100, 3), np.uint8))
    boxes = [[5, 5, 10, 10, 0], [20, 20, 30, 30, 0], [0, 0, 100, 90, 1]]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 100, "height": 100}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [
            {"id": k, "image_id": 1, "category_id": 1, "bbox": box[:4], "area": 1, "iscrowd": box[4]}
            for k, box in enumerate(boxes, 1)
        ],
    }
    (tmp_path / "all.json").write_text(json.dumps(content))
    assert main(["--data", str(tmp_path / "all.json"), "--num-anchors", "2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["anchors"] == [[41.6, 41.6], [124.8, 124.8]]
    assert report["fit"]["num_boxes"] == 2


def test_stretching_changes_the_aspect(lines_file, capsys):
    main(["--data", str(lines_file), "--num-anchors", "3", "--resize", "stretch", "--json"])
    report = json.loads(capsys.readouterr().out)
    np.testing.assert_allclose(report["anchors"], np.array([[20, 10], [40, 40], [100, 60]]) * [2.08, 4.16], rtol=0.03)
    assert report["compared_fit"] is None and report["left_out"] == 0


def test_the_command_compares_with_the_defaults_of_that_number_or_a_file(lines_file, tmp_path, capsys):
    assert main(["--data", str(lines_file), "--num-anchors", "6", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["compared_with"] == DEFAULT_TINY_ANCHORS.tolist()
    assert report["fit"]["mean_iou"] > report["compared_fit"]["mean_iou"]
    write_anchors(tmp_path / "old.txt", report["anchors"])
    main(["--data", str(lines_file), "--num-anchors", "6", "--anchors", str(tmp_path / "old.txt")])
    assert "Not worth it" in capsys.readouterr().out


def test_anchors_that_are_worth_it_come_with_the_option_that_writes_them_and_the_command_that_trains(
    lines_file, tmp_path, capsys
):
    data = str(lines_file)
    assert main(["--data", data]) == 0  # as many as the network that is trained by default has
    said = capsys.readouterr().out
    assert "Worth it" in said or "worth a try" in said
    last = said.splitlines()[-1]
    assert last.startswith("--output anchors.txt writes the new anchors; then this trains yolov3-tiny with them: ")
    assert last.endswith(f": yolo3 train --data {data} --anchors anchors.txt")

    output = str(tmp_path / "new.txt")
    size = ["--num-anchors", "9", "--input-size", "320", "416"]
    assert main(["--data", data, *size, "--resize", "stretch", "--output", output]) == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        f"written to {output}",
        f"yolo3 train --data {data} --anchors {output} --input-size 320 416 --resize stretch"
        "  # trains yolov3 with them",
    ]

    assert main(["--data", data, *size, "--resize", "stretch", "--anchors", output]) == 0
    assert "Not worth it" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    "change",
    [["--data", "nowhere"], ["--num-anchors", "500"], ["--anchors", "nowhere.txt"]],
)
def test_a_user_error_ends_in_one_line_and_status_1(lines_file, tmp_path, capsys, change):
    output = tmp_path / "new.txt"
    assert main(["--data", str(lines_file), "--output", str(output), *change]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith("yolo3 anchors: ")
    assert not output.exists()


def test_a_data_set_without_boxes_is_refused(tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((10, 10, 3), np.uint8))
    (tmp_path / "train.txt").write_text(f"{tmp_path / 'a.png'}\n")
    assert main(["--data", str(tmp_path / "train.txt"), "--format", "keras-yolo3"]) == 1
    assert "boxes" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [["--num-anchors", "0"], ["--format", "x"], ["--input-size", "416"], ["--resize", "crop"]]
)
def test_a_wrong_option_ends_in_status_2(wrong):
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(["--data", "x", *wrong])
    assert stop.value.code == 2


def test_unreadable_boxes_stop_the_command(lines_file, tmp_path, capsys):
    lines_file.write_text(lines_file.read_text() + "0.png 1,2,3\n")
    assert main(["--data", str(lines_file), "--num-anchors", "3"]) == 1
    assert f"{lines_file}:7" in capsys.readouterr().err


def test_an_output_that_is_a_folder_is_reported(lines_file, tmp_path, capsys):
    assert main(["--data", str(lines_file), "--num-anchors", "3", "--output", str(tmp_path)]) == 1
    assert f"{tmp_path}: expected a file to write, got a folder" in capsys.readouterr().err
