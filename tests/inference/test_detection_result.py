"""What the detector returns: names, a text that a person reads, images, and other libraries' forms."""

import io
import json
from contextlib import redirect_stdout

import numpy as np
import pytest

from yolo3.datasets.images import read_image, write_image
from yolo3.inference.detection_result import DetectionResult

NAMES = ["cat", "traffic light"]


def result(image=None, number=2):
    boxes = np.array([[10, 20, 50, 60], [0, 0, 8, 40]] * 10, np.float32)[:number]
    scores = np.linspace(0.9, 0.5, number) if number else []
    return DetectionResult(boxes, scores, [1, 0] * (number // 2), class_names=NAMES, image=image)


def test_single_detections_have_name_score_and_box():
    first, second = result()
    assert (first.name, second.name) == ("traffic light", "cat")
    assert first.box == (10, 20, 50, 60) and first.class_id == 1 and first.score == pytest.approx(0.9)
    assert result()[1] == second and repr(second) == "Detection('cat', 0.50, box=(0, 0, 8, 40))"
    assert [one.name for one in result() if one.score > 0.6] == ["traffic light"]


def test_it_prints_as_a_table_that_names_the_image_and_is_cut_where_it_is_long():
    assert repr(result("a/b.png")).splitlines() == [
        "DetectionResult(2 objects in a/b.png)",
        "  traffic light  0.90  x   10..50    y   20..60",
        "  cat            0.50  x    0..8     y    0..40",
    ]
    assert repr(result(number=0)) == "DetectionResult(0 objects)"
    assert repr(result(number=20)).splitlines()[-1] == "  and 10 more"
    assert "\x1b" not in repr(DetectionResult([[0, 0, 1, 1]], [1], [0], class_names=["\x1b[2J"]))
    assert DetectionResult([[0, 0, 1, 1]], [1], [3], class_names=NAMES).names == ["class 3"]


def test_it_is_drawn_on_its_own_image_or_on_another_and_saved(tmp_path):
    image = np.zeros((64, 64, 3), np.uint8)
    assert result(image).draw().any() and not image.any()
    write_image(tmp_path / "in.png", image)
    path = result(tmp_path / "in.png").save(tmp_path / "out.png")
    np.testing.assert_array_equal(read_image(path), result(image).draw())
    np.testing.assert_array_equal(result().draw(image), result(image).draw())
    with pytest.raises(ValueError, match="draw: expected an image= to draw on, got none"):
        result().draw()
    with pytest.raises(ValueError, match=r"expected a name that ends in .png"):
        result(image).save(tmp_path / "out.xyz")


def test_it_goes_into_cocos_results_as_pycocotools_reads_them(tmp_path):
    # the box from (10, 20) to (50, 60) is 40 wide and high; category ids count from 1
    assert result("x/000000397133.jpg").to_coco()[0] == {
        "image_id": 397133,
        "category_id": 2,
        "bbox": [10, 20, 40, 40],
        "score": pytest.approx(0.9),
    }
    assert [item["category_id"] for item in result().to_coco(image_id=7, category_ids=[5, 9])] == [9, 5]
    with pytest.raises(ValueError, match="to_coco: expected image_id="):
        result("x/dog.jpg").to_coco()

    from pycocotools.coco import COCO

    json.dumps(result().to_coco(7))
    with redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"images": [{"id": 7}], "categories": [{"id": 1}, {"id": 2}], "annotations": []}
        truth.createIndex()
        assert len(truth.loadRes(result().to_coco(7)).anns) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_it_goes_into_supervision():
    supervision = pytest.importorskip("supervision", reason="needs the package supervision")
    found = result().to_supervision()
    assert isinstance(found, supervision.Detections) and len(found) == 2
    np.testing.assert_array_equal(found.xyxy, result().boxes)
    assert found.data["class_name"].tolist() == ["traffic light", "cat"] and found.class_id.tolist() == [1, 0]
    assert len(result(number=0).to_supervision()) == 0


def test_without_supervision_the_record_that_is_made_is_the_one_that_it_takes(monkeypatch):
    import sys
    import types

    monkeypatch.setitem(sys.modules, "supervision", types.SimpleNamespace(Detections=dict))
    made = result().to_supervision()
    assert set(made) == {"xyxy", "confidence", "class_id", "data"}
    assert made["data"]["class_name"].tolist() == ["traffic light", "cat"]
