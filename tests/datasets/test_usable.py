"""Data sets without the annotations that cannot be used."""

import numpy as np
import pytest

from tests.datasets.checked import GOOD, annotate, dataset_of, write_image
from yolo3.datasets.annotation import Finding
from yolo3.datasets.usable import usable_annotations

OTHER = (100, 100, 181, 182)


def error(kind, annotation=None, box=None):
    return Finding("error", kind, "a.txt", "expected something else", annotation=annotation, box=box)


@pytest.fixture
def dataset(tmp_path):
    return dataset_of(*(annotate(write_image(tmp_path / f"{name}.png"), GOOD, OTHER) for name in "ab"))


def test_an_error_removes_its_box_or_its_image_and_is_counted_once(dataset):
    findings = [error("no-area", 0, 1), error("outside", 0, 1), error("unreadable-image", 1), error("no-area", 1, 0)]
    ((item,), left_out) = usable_annotations(dataset, findings)
    assert item.boxes.tolist() == [list(GOOD)] and item.lines == (1,)
    # The second fault of a box, and boxes of an image that is gone, are not counted again.
    assert left_out == {"no-area": 1, "unreadable-image": 1}
    assert [len(each.boxes) for each in dataset.annotations] == [2, 2]


def test_lines_skipped_by_the_reader_are_counted_and_summaries_are_not(dataset):
    findings = [error("bad-line"), error("bad-line"), error("one-based-ids"), Finding("warning", "same-image", "b", "")]
    annotations, left_out = usable_annotations(dataset, findings)
    assert len(annotations) == 2 and left_out == {"bad-line": 1}  # equal findings are one


def test_warnings_remove_nothing_but_repeated_boxes(dataset):
    kinds = ("small-box", "duplicate-box")  # of box 0 and box 1
    findings = [Finding("warning", kind, "a", "", annotation=0, box=box) for box, kind in enumerate(kinds)]
    ((first, second), left_out) = usable_annotations(dataset, findings)
    assert (len(first.boxes), len(second.boxes)) == (1, 2) and left_out == {"duplicate-box": 1}


def test_only_boxes_that_were_reported_outside_are_clipped(dataset):
    for item in dataset.annotations:
        item.boxes[0] = (-50, 10, 500, 90)
    outside = Finding("warning", "outside", "a", "", annotation=0, box=0)
    ((first, second), left_out) = usable_annotations(dataset, [outside])
    np.testing.assert_array_equal(first.boxes[0], [0, 10, 416, 90])  # the image is 416 pixels wide
    np.testing.assert_array_equal(second.boxes[0], [-50, 10, 500, 90])
    assert left_out == {} and dataset.annotations[0].boxes[0, 0] == -50
