"""What is exported, before any format: shapes and names of inputs and outputs, and the metadata."""

import numpy as np
import pytest

from tests.export.networks import cells, photographs
from yolo3.export.graph import ExportGraph
from yolo3.export.settings import ExportSettings
from yolo3.ops.letterbox import resize_image


@pytest.mark.parametrize(("batch", "kind"), [(None, "uint8"), (1, "float32"), (4, "uint8")])
def test_the_input_has_the_size_batch_and_type_that_are_asked_for(batch, kind):
    detector = cells()  # its network was never called, and takes images of any size
    signature = ExportGraph(detector, ExportSettings(input=kind, batch=batch), batch).signature
    assert signature.shape.as_list() == [batch, 64, 96, 3]
    assert (signature.name, signature.dtype.name) == ("images", kind)


def test_pixels_and_relative_colours_give_the_same_outputs():
    images = np.stack([resize_image(image, (64, 96), "letterbox") for image in photographs()])
    of_pixels = ExportGraph(cells(), ExportSettings())(images)
    relative = ExportGraph(cells(), ExportSettings(input="float32"))(images.astype(np.float32) / 255)
    for name in ("boxes", "scores"):
        np.testing.assert_allclose(of_pixels[name], relative[name], atol=1e-5)


def test_outputs_have_their_names_shapes_and_types():
    images = np.zeros((2, 64, 96, 3), np.uint8)  # 2 x 3 cells, 3 classes
    for options, expected in (
        ({}, {"boxes": ([2, 6, 4], "float32"), "scores": ([2, 6, 3], "float32")}),
        ({"raw": True}, {"raw_0": ([2, 2, 3, 8], "float32")}),
        (
            {"suppression": "greedy"},
            {
                "boxes": ([2, 20, 4], "float32"),
                "scores": ([2, 20], "float32"),
                "class_ids": ([2, 20], "int32"),
                "count": ([2], "int32"),
            },
        ),
    ):
        graph = ExportGraph(cells(max_boxes=20), ExportSettings(**options))
        outputs = graph(images)
        assert tuple(outputs) == graph.outputs == tuple(expected)
        assert {name: (part.shape.as_list(), part.dtype.name) for name, part in outputs.items()} == expected


def test_metadata_say_what_a_reader_of_the_file_needs():
    settings = ExportSettings(format="litert", suppression="greedy", input="float32", precision="float16")
    metadata = ExportGraph(cells(score_threshold=0.4, max_boxes=20), settings, batch=1).metadata()
    export = metadata.pop("export")
    assert metadata == {
        "model": "cfg",
        "class_names": ["red", "green", "any"],
        "anchors": [[32, 32]],
        "anchor_mask": [[0]],
        "input_shape": [64, 96],
        "resize": "letterbox",
    }
    expected = {"format": "litert", "outputs": "detections", "input": "float32", "batch": 1, "precision": "float16"}
    thresholds = {"score_threshold": 0.4, "iou_threshold": 0.45, "max_boxes": 20, "nms": "greedy", "nms_overlap": "iou"}
    assert export | expected | thresholds == export
