"""Boxes as the network sees them."""

import numpy as np

from tests.datasets.checked import GOOD, annotate, dataset_of, kinds, write_image
from yolo3.datasets.annotation import Box, build_annotation
from yolo3.datasets.checks import check_dataset
from yolo3.models.yolov3.scales import make_scales
from yolo3.training.anchor_fit import best_shape_iou, check_anchor_fit, taken_before

ANCHORS = np.array([[10, 14], [23, 27], [37, 58], [81, 82], [135, 169], [344, 319]], float)
MASK = [[3, 4, 5], [0, 1, 2]]


def check(dataset, resize="letterbox"):
    findings, images = check_dataset(dataset)
    shapes = [image.shape for image in images]
    return findings + check_anchor_fit(
        dataset, shapes, findings, scales=make_scales(ANCHORS, MASK), input_shape=(416, 416), resize=resize
    )


def one_image(tmp_path, *boxes):
    return check(dataset_of(annotate(write_image(tmp_path / "a.png"), *boxes)))


def test_boxes_that_share_a_slot_are_counted_in_one_warning(tmp_path):
    # Cells of 32 pixels: centres (50.5, 51) and (52.5, 51) are both in column 1, row 1, of the same anchor.
    (finding,) = one_image(tmp_path, GOOD, (12, 10, 93, 92), (200, 200, 281, 282))
    assert finding.kind == "shared-slot" and finding.message.startswith("1 boxes in 1 images")


def test_taken_slots_are_counted_as_a_slow_loop_counts_them():
    slots = np.random.default_rng(0).integers(0, 3, (40, 4))
    seen, taken = set(), 0
    for slot in slots.tolist():
        taken += tuple(slot) in seen
        seen.add(tuple(slot))
    assert taken_before(slots).sum() == taken and len(taken_before(slots[:0])) == 0


def test_boxes_too_small_for_the_network_are_a_warning(tmp_path):
    # The 832x832 image is halved: 3 pixels become 1.5; 4 become 2, which is enough.
    path = write_image(tmp_path / "a.png", 832, 832)
    findings = check(dataset_of(annotate(path, (10, 10, 13, 40), (100, 100, 104, 104))))
    assert "1 boxes are less than 2 pixels" in next(str(item) for item in findings if item.kind == "small-box")


def test_anchors_that_fit_badly_are_a_warning_with_advice(tmp_path):
    # 300x10 against the anchors: the best is 81x82 with 810 / (3000 + 6642 - 810) = .09.
    (finding,) = one_image(tmp_path, (10, 10, 310, 20))
    assert finding.kind == "anchor-fit" and "IoU 0.09" in finding.message and "--anchors auto" in finding.message


def test_the_best_shape_iou_is_that_of_concentric_boxes():
    # 20x28 over 10x14: 140 / 560 = .25; over 23x27: 20*27 / (560 + 621 - 540) = .842.
    iou = best_shape_iou(np.array([[20.0, 28.0], [10.0, 14.0]]), ANCHORS)
    np.testing.assert_allclose(iou, [540 / 641, 1.0])


def test_stretching_is_taken_into_account(tmp_path):
    # 832x416 stretched to 416x416 halves the width: 162x82 becomes 81x82, an anchor; letterboxed it is 81x41.
    path = write_image(tmp_path / "a.png", 416, 832)
    dataset = dataset_of(annotate(path, (10, 10, 172, 92)))
    assert check(dataset, resize="stretch") == []
    assert kinds(check(dataset, resize="letterbox")) == [("warning", "anchor-fit")]


def test_crowd_regions_take_no_slot(tmp_path):
    path = write_image(tmp_path / "a.png")
    item = build_annotation(path, [Box(GOOD, 0), Box((12, 10, 93, 92), 0, crowd=True)], "a.json")
    assert check(dataset_of(item)) == []
