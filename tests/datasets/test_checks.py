"""All checks of a data set together."""

from pathlib import Path

import numpy as np
import pytest

from tests.datasets.checked import GOOD, annotate, check, dataset_of, write_image
from yolo3.datasets.annotation import Finding
from yolo3.datasets.formats import pascal_voc
from yolo3.datasets.usable import usable_annotations

BCCD = Path(__file__).parents[3] / "shared" / "data" / "bccd"


def test_a_good_data_set_has_no_findings_and_is_left_as_it_is(tmp_path):
    dataset = dataset_of(annotate(write_image(tmp_path / "a.jpg"), GOOD, (0, 0, 416, 416)))
    before = dataset.annotations[0].boxes.copy()
    findings = check(dataset)
    assert findings == []
    annotations, left_out = usable_annotations(dataset, findings)
    assert left_out == {} and len(annotations) == 1
    np.testing.assert_array_equal(annotations[0].boxes, before)
    np.testing.assert_array_equal(dataset.annotations[0].boxes, before)


def test_an_empty_data_set_and_images_without_boxes_are_accepted(tmp_path):
    assert check(dataset_of(names=())) == []
    assert check(dataset_of(annotate(write_image(tmp_path / "a.jpg")), names=())) == []


def test_findings_of_the_reader_come_first(tmp_path):
    known = Finding("error", "bad-box", "train.txt:3", "expected five numbers")
    dataset = dataset_of(annotate(write_image(tmp_path / "a.jpg"), GOOD), findings=[known])
    assert check(dataset) == [known]
    assert usable_annotations(dataset, check(dataset))[1] == {"bad-box": 1}
    assert str(known) == "train.txt:3: expected five numbers"


@pytest.mark.skipif(not BCCD.is_dir(), reason="the photographs of blood cells are not beside the repository")
def test_real_images_have_no_errors():
    dataset = pascal_voc.read(str(BCCD), list_name="test")
    findings = check(dataset)
    assert not [finding for finding in findings if finding.severity == "error"]
    assert len(usable_annotations(dataset, findings)[0]) == 72
