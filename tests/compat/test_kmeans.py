"""keras-yolo3's ``YOLO_Kmeans``, with sizes in pixels of the network input."""

import numpy as np
import pytest
from PIL import Image

from yolo3.compat.kmeans import YOLO_Kmeans
from yolo3.models.yolov3.anchors import read_anchors


@pytest.fixture
def annotations(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (832, 416)).save("a b.png")
    (tmp_path / "2012_train.txt").write_text(
        "a b.png 0,0,20,40,0 10,10,30,50,1\n\na b.png\na b.png 0,0,200,100,0 5,5,5,9,0\n"
    )
    return "2012_train.txt"


def test_sizes_are_those_of_the_network_input_and_boxes_without_area_do_not_count(annotations):
    # 832 x 416 is halved to fit 416 x 416.
    assert YOLO_Kmeans(2, annotations).txt2boxes().tolist() == [[10, 20], [10, 20], [100, 50]]
    assert YOLO_Kmeans(2, annotations, input_shape=(832, 832)).txt2boxes().tolist() == [[20, 40], [20, 40], [200, 100]]


def test_paths_may_start_in_the_folder_of_the_file(annotations, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    assert len(YOLO_Kmeans(2, tmp_path / annotations).txt2boxes()) == 3


def test_txt2clusters_writes_and_prints_the_anchors(annotations, capsys):
    YOLO_Kmeans(2, annotations).txt2clusters()
    assert read_anchors("yolo_anchors.txt").tolist() == [[10, 20], [100, 50]]
    assert "K anchors:" in (said := capsys.readouterr().out) and "Accuracy: 100.00%" in said
    with pytest.raises(ValueError, match="cannot make 3 anchors of 3 boxes with 2 distinct sizes"):
        YOLO_Kmeans(3, annotations).txt2clusters()


def test_iou_and_its_average_compare_shapes():
    kmeans = YOLO_Kmeans(1, "none.txt")
    # 10 x 10 in 20 x 10: 100 / 200
    np.testing.assert_allclose(kmeans.iou(np.array([[10, 10], [20, 10]]), np.array([[20, 10]])), [[0.5], [1]])
    assert kmeans.avg_iou([[10, 10], [20, 10]], [[20, 10]]) == pytest.approx(0.75)
    clusters = kmeans.kmeans(np.array([[10, 10], [10, 10], [30, 40]]), 2, dist=np.median)
    assert clusters.tolist() == [[10, 10], [30, 40]]


def test_a_line_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "train.txt").write_text("a.png 1,2,3\n")
    with pytest.raises(ValueError, match=r"train.txt:1: "):
        YOLO_Kmeans(1, tmp_path / "train.txt").txt2boxes()
