"""Timing: what counts, what the figures mean, and what is advised. How fast things are is for `benchmarks/`."""

import cv2
import numpy as np
import pytest

from yolo3.training import benchmark
from yolo3.training.benchmark import WARM_UP, Workload, limit_in_words, rates, take_turns, write_jpegs


def test_calls_take_turns_and_the_first_ones_do_not_count():
    order = []
    seconds = take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 4)
    assert order == ["a", "b"] * (WARM_UP + 4)
    assert [len(values) for values in seconds.values()] == [4, 4]


def test_rates_by_hand():
    assert rates([0.5, 0.25, 1.0], 8) == {"images_per_second": 16, "min": 8, "max": 32, "steps": 3}


@pytest.mark.parametrize(
    "input_rate, precision, cached, expected",
    [
        (50, "bfloat16", False, "The training step is the bottleneck: the input is 5.0 times as fast."),
        (50, "float32", False, "--precision bfloat16"),
        (5, "float32", False, "0.50 times as fast as the training step. To speed up: --cache memory"),
        (5, "float32", True, "To speed up: store smaller images"),
    ],
)  # fmt: skip
def test_the_bottleneck_is_named_with_what_to_change(input_rate, precision, cached, expected):
    words = limit_in_words(
        {"images_per_second": 10, "precision": precision}, {"images_per_second": input_rate, "cached": cached}
    )
    assert expected in words
    assert ("bfloat16" in words) == ("bfloat16" in expected)


def test_the_synthetic_jpegs_compress_like_photographs(tmp_path):
    annotations = write_jpegs(tmp_path, 2)
    for annotation in annotations:
        assert cv2.imread(annotation.image_path).shape == (480, 640, 3)
        assert len(annotation.boxes) == 5 and (annotation.boxes >= 0).all()
        bits = 8 * (tmp_path / annotation.image_path).stat().st_size / (480 * 640)
        assert 0.8 < bits < 4  # a pixel; most photographs at quality 90 to 95


def test_matrix_products_are_counted_with_a_multiply_and_an_add(monkeypatch):
    monkeypatch.setattr(benchmark, "_MATRIX_SIDE", 50)
    call, gflop = benchmark.matrix_product("float32")
    assert gflop == pytest.approx(2 * 50**3 / 1e9)
    assert np.isfinite(call())


def test_a_workload_knows_the_anchors_of_its_network():
    assert len(Workload("yolov3-tiny").architecture().anchors) == 6
    assert len(Workload("yolov3").architecture().anchors) == 9
    assert Workload("yolov1-tiny", num_classes=4, input_size=(448, 448)).architecture().num_classes == 4
    with pytest.raises(ValueError, match="input size: expected multiples of 64, got 416 416"):
        Workload("yolov1-tiny").architecture()
