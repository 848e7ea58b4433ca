"""The record of detections, and COCO's results format."""

import pytest

from tests.evaluation.examples import detected
from yolo3.detections import coco_detections_json


def test_coco_results_records_have_width_height_and_the_files_ids():
    record = coco_detections_json([detected((1, 2, 11, 22, 0.5, 1))], ["x7"], [1, 90])
    assert record == [{"image_id": "x7", "category_id": 90, "bbox": [1.0, 2.0, 10.0, 20.0], "score": 0.5}]
    assert coco_detections_json([detected((1, 2, 11, 22, 0.5, 1))], [3])[0]["category_id"] == 2
    with pytest.raises(ValueError, match="expected 1 image ids, got 2"):
        coco_detections_json([detected()], [1, 2])
