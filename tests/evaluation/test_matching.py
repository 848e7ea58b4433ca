"""Matching of detections to ground truth: each option by hand."""

import pytest

from tests.evaluation.examples import annotated, detected
from yolo3.evaluation.matching import match_detections


def test_strict_refuses_an_iou_equal_to_the_threshold():
    annotation, found = annotated([(0, 0, 10, 10)]), detected((0, 0, 10, 5, 0.9, 0))  # IoU .5 exactly
    assert match_detections(annotation, found).true_positive[0]
    assert not match_detections(annotation, found, strict=True).true_positive[0]


def test_iou_offset_adds_a_pixel_to_width_and_height():
    # Inclusive pixels 0..9 and 0..4: ten by ten and ten by five. As edges: 9 x 9 and 9 x 4, IoU .444.
    annotation, found = annotated([(0, 0, 9, 9)]), detected((0, 0, 9, 4, 0.9, 0))
    assert match_detections(annotation, found, iou_offset=True).iou[0] == pytest.approx(0.5)
    assert not match_detections(annotation, found).true_positive[0]


def test_only_with_fallback_a_second_detection_takes_the_next_best_object():
    annotation = annotated([(0, 0, 10, 10), (0, 2, 10, 12)])
    found = detected((0, 0, 10, 10, 0.9, 0), (0, 0.5, 10, 10.5, 0.8, 0))  # both are nearest to the first
    assert match_detections(annotation, found).true_positive.tolist() == [True, False]
    assert match_detections(annotation, found, fallback=True).true_positive.tolist() == [True, True]


@pytest.mark.parametrize(
    ("rule", "hits", "ignored", "counted"),
    [("ignore", 0, 2, 0), ("after", 0, 2, 0), ("count", 1, 0, 1), ("drop", 0, 0, 0)],
)
def test_difficult_objects_follow_the_rule(rule, hits, ignored, counted):
    annotation = annotated([(0, 0, 10, 10)], difficult=[True])
    found = detected((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 9, 0.8, 0))
    matches = match_detections(annotation, found, difficult=rule)
    assert (matches.true_positive.sum(), matches.ignored.sum(), matches.counted.sum()) == (
        hits,
        ignored,
        counted,
    )


def test_voc_prefers_a_nearer_difficult_object_and_darknet_an_ordinary_one():
    annotation = annotated([(0, 0, 10, 10), (0, 2, 10, 12)], difficult=[True, False])
    found = detected((0, 0, 10, 10, 0.9, 0))  # IoU 1 with the difficult one, 2/3 with the other
    assert match_detections(annotation, found, difficult="ignore").ignored[0]
    assert match_detections(annotation, found, difficult="after").true_positive[0]


def test_a_crowd_excuses_every_detection_inside_it():
    # Each detection covers a tenth of the crowd, but lies in it whole: intersection / own area is 1.
    annotation = annotated([(0, 0, 100, 10)], crowd=[True])
    found = detected(*[(10 * k, 0, 10 * k + 10, 10, 0.9, 0) for k in range(10)])
    assert match_detections(annotation, found).ignored.all()
    assert match_detections(annotation, found, crowd="drop").ignored.sum() == 0
    assert match_detections(annotation, found, crowd="count").true_positive.sum() == 0


def test_boxes_without_area_match_nothing():
    annotation, found = annotated([(5, 5, 5, 5)]), detected((5, 5, 5, 5, 0.9, 0))
    matches = match_detections(annotation, found)
    assert not matches.true_positive.any()
    assert matches.iou[0] == 0
