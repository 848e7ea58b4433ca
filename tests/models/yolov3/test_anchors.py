"""yolo3.models.yolov3.anchors and the command ``yolo3 anchors``."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo3.cli.anchors import advice, build_parser, main
from yolo3.models.yolov3.anchors import (
    DEFAULT_ANCHORS,
    DEFAULT_TINY_ANCHORS,
    AnchorFit,
    _moved,
    anchor_fit,
    cluster_anchors,
    default_anchors,
    format_anchors,
    parse_anchors,
    read_anchors,
    shape_iou,
    write_anchors,
)

# ------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("text", ["10,13,  16,30", "10,13\n16,30\n", "10 13 16 30", "\ufeff10,13,\r\n\r\n 16,30,\n"])
def test_anchors_are_read_from_all_lines_however_they_are_separated(tmp_path, text):
    path = tmp_path / "a.txt"
    path.write_bytes(text.encode())
    anchors = read_anchors(path)
    assert anchors.tolist() == [[10, 13], [16, 30]]
    assert anchors.dtype == np.float32


def test_writing_and_reading_gives_the_anchors_back(tmp_path):
    anchors = np.array([[10, 13], [16.25, 30.5], [0.03, 1234.5]], np.float32)
    write_anchors(tmp_path / "a.txt", anchors)
    np.testing.assert_array_equal(read_anchors(tmp_path / "a.txt"), anchors)
    assert (tmp_path / "a.txt").read_text() == "10,13,  16.25,30.5,  0.03,1234.5\n"


@pytest.mark.parametrize("anchors", [DEFAULT_ANCHORS, DEFAULT_TINY_ANCHORS])
def test_text_of_the_defaults_gives_them_back(anchors):
    np.testing.assert_array_equal(parse_anchors(format_anchors(anchors)), anchors)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10,13\n16,x", r"a\.txt:2: expected a width or height in pixels, got 'x'"),
        ("10,13\n\n16,-30", r"a\.txt:3: expected a width or height above 0 pixels, got '-30'"),
        ("10,0", r"a\.txt:1: .*above 0 pixels, got '0'"),
        ("10,nan", r"a\.txt:1: .*got 'nan'"),
        ("10,13\n16\n\n", r"a\.txt:2: expected pairs 'width,height', got an odd number of values, 3"),
        ("\n \n", r"a\.txt: expected anchors such as .*got no number"),
    ],
)
def test_bad_anchor_files_are_refused_with_file_and_line(tmp_path, text, message):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_anchors(tmp_path / "a.txt")


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ValueError, match="expected a text file"):
        read_anchors(tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError):
        read_anchors(tmp_path / "none.txt")


def test_the_files_of_the_repository_hold_the_defaults():
    folder = Path(__file__).parents[3] / "model_data"
    np.testing.assert_array_equal(read_anchors(folder / "yolo_anchors.txt"), DEFAULT_ANCHORS)
    np.testing.assert_array_equal(read_anchors(folder / "tiny_yolo_anchors.txt"), DEFAULT_TINY_ANCHORS)
    assert default_anchors(9) is DEFAULT_ANCHORS
    assert default_anchors(6) is DEFAULT_TINY_ANCHORS
    assert default_anchors(5) is None


# -------------------------------------------------------------------------------------------- clustering


def groups(seed=0, each=60):
    rng = np.random.default_rng(seed)
    centres = np.array([[10, 20], [50, 50], [120, 60], [200, 300]], np.float64)
    return centres, np.repeat(centres, each, axis=0) * rng.uniform(0.95, 1.05, (4 * each, 2))


def test_clusters_find_well_separated_groups_in_order_of_area():
    centres, sizes = groups()
    found = cluster_anchors(sizes, 4)
    np.testing.assert_allclose(found, centres, rtol=0.03)
    assert found.dtype == np.float64


def test_clustering_is_repeatable_and_does_not_change_its_input():
    rng = np.random.default_rng(1)
    sizes = rng.lognormal(3.5, 0.7, (400, 2))
    before = sizes.copy()
    first = cluster_anchors(sizes, 9, seed=3)
    np.testing.assert_array_equal(first, cluster_anchors(sizes, 9, seed=3))
    np.testing.assert_array_equal(sizes, before)
    assert (np.diff(first.prod(axis=1)) >= 0).all()


def test_clusters_beat_the_defaults_and_random_choices_on_their_own_data():
    rng = np.random.default_rng(2)
    sizes = rng.lognormal(3.5, 0.8, (500, 2))
    found = anchor_fit(sizes, cluster_anchors(sizes, 9)).mean_iou
    assert found > anchor_fit(sizes, DEFAULT_ANCHORS).mean_iou + 0.02
    chosen = [anchor_fit(sizes, sizes[rng.choice(500, 9, replace=False)]).mean_iou for _ in range(50)]
    assert found > max(chosen)


def test_no_cluster_can_be_moved_to_its_mean_or_median_for_a_gain():
    _, sizes = groups(3)
    found = cluster_anchors(sizes, 5)
    owner = shape_iou(sizes, found).argmax(axis=1)
    assert set(owner) == set(range(5))  # none is empty
    for centre_of in (np.mean, np.median):
        moved = np.array([centre_of(sizes[owner == k], axis=0) for k in range(5)])
        assert anchor_fit(sizes, moved).mean_iou <= anchor_fit(sizes, found).mean_iou + 1e-6


def test_a_centre_that_has_lost_all_its_sizes_goes_to_the_size_that_is_served_worst():
    sizes = np.array([[10.0, 10], [12, 12], [90, 5]])
    centres = np.array([[11.0, 11], [400, 400]])
    overlap = shape_iou(sizes, centres)
    moved = _moved(sizes, np.zeros(3, int), overlap, centres, np.mean)
    np.testing.assert_allclose(moved, [[112 / 3, 9], [90, 5]])


def test_as_many_anchors_as_distinct_sizes_are_those_sizes():
    sizes = np.array([[10, 10], [10, 10], [10, 10.5], [300, 5], [7, 80]], np.float64)
    np.testing.assert_allclose(cluster_anchors(sizes, 4), [[10, 10], [10, 10.5], [7, 80], [300, 5]])


@pytest.mark.parametrize(("sizes", "count"), [([[10, 10]] * 50, 2), ([[1, 2], [3, 4]], 3), (np.zeros((0, 2)), 1)])
def test_fewer_distinct_sizes_than_anchors_are_refused(sizes, count):
    with pytest.raises(ValueError, match=f"cannot make {count} anchors"):
        cluster_anchors(sizes, count)


def test_sizes_that_are_not_positive_are_refused():
    with pytest.raises(ValueError, match="got 0 x 5"):
        cluster_anchors([[0, 5], [1, 2]], 1)
    with pytest.raises(ValueError, match=r"shape \[3\]"):
        cluster_anchors([1, 2, 3], 1)


def test_many_sizes_are_sampled():
    rng = np.random.default_rng(0)
    sizes = np.repeat(groups(each=10)[1], 1000, axis=0)
    np.testing.assert_allclose(cluster_anchors(sizes, 4, restarts=1), groups()[0], rtol=0.05)
    rare = np.concatenate([np.full((50_000, 2), 10.0), rng.uniform(50, 99, (3, 2))])
    assert len(cluster_anchors(rare, 4, restarts=1)) == 4  # the sample may have missed the three rare sizes


# --------------------------------------------------------------------------------------------------- fit


def test_fit_by_hand():
    # Anchor 10 x 10: IoU 1; 10 x 5: 50 / 100; 10 x 50: 100 / 500 = .2.
    fit = anchor_fit([[10, 10], [10, 5], [10, 50]], [[10, 10]])
    assert fit.mean_iou == pytest.approx(1.7 / 3)
    assert (fit.above_50, fit.above_25) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert fit.num_boxes == 3
    with pytest.raises(ValueError, match="got 0 boxes and 9 anchors"):
        anchor_fit(np.zeros((0, 2)), DEFAULT_ANCHORS)


def test_shape_iou_equals_the_slow_loop():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(1, 99, (7, 2)), rng.uniform(1, 99, (5, 2))
    for i in range(7):
        for j in range(5):
            common = min(a[i, 0], b[j, 0]) * min(a[i, 1], b[j, 1])
            assert shape_iou(a, b)[i, j] == pytest.approx(common / (a[i].prod() + b[j].prod() - common))


def fit_of(mean_iou, above_50=0.9):
    return AnchorFit(mean_iou, above_50, 1.0, 100)


@pytest.mark.parametrize(
    ("new", "old", "words"),
    [
        (fit_of(0.71), fit_of(0.70), "Not worth it"),
        (fit_of(0.60), fit_of(0.70), "Not worth it"),
        (fit_of(0.73), fit_of(0.70), "A small gain"),
        (fit_of(0.80), fit_of(0.70), "Worth it"),
        (fit_of(0.80), fit_of(0.70, 0.99), "Fits closer"),
        (fit_of(0.80), None, "no default anchors"),
    ],
)
def test_advice_is_given_in_words(new, old, words):
    assert words in advice(new, old)


# ------------------------------------------------------------------------------------------ command line


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
    arguments = [
        "--data",
        str(lines_file),
        "--num-anchors",
        "3",
        "--input-size",
        "416",
        "416",
        "--output",
        str(output),
    ]
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


@pytest.mark.parametrize(
    "change",
    [["--data", "nowhere"], ["--num-anchors", "500"], ["--anchors", "nowhere.txt"], ["--format", "x"]],
)
def test_a_users_mistake_ends_in_one_line_and_status_1(lines_file, tmp_path, capsys, change):
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


@pytest.mark.parametrize("wrong", [["--num-anchors", "0"], ["--input-size", "416"], ["--resize", "crop"]])
def test_a_wrong_option_ends_in_status_2(wrong):
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(["--data", "x", *wrong])
    assert stop.value.code == 2


def test_a_side_that_is_no_multiple_of_32_is_a_wrong_option():
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(["--data", "x", "--input-size", "100", "96"])
    assert stop.value.code == 2


def test_boxes_that_cannot_be_read_stop_the_command(lines_file, tmp_path, capsys):
    lines_file.write_text(lines_file.read_text() + "0.png 1,2,3\n")
    assert main(["--data", str(lines_file), "--num-anchors", "3"]) == 1
    assert f"{lines_file}:7" in capsys.readouterr().err


def test_an_output_that_is_a_folder_is_named(lines_file, tmp_path, capsys):
    assert main(["--data", str(lines_file), "--num-anchors", "3", "--output", str(tmp_path)]) == 1
    assert f"{tmp_path}: expected a file to write, got a folder" in capsys.readouterr().err
