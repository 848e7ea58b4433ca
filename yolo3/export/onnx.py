"""Write ONNX files with tf2onnx; other precisions by ONNX Runtime's tools.

Standard operators alone, no loops: suppression is ONNX' own NonMaxSuppression. Only the network is computed in half
precision or int8; the last convolutions of int8 networks and the decoding of boxes stay in float32.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from onnx import TensorProto, helper

from yolo3.export.graph import INPUT, ExportGraph
from yolo3.inference.runtimes.runtime import KEY
from yolo3.models.metadata import format_metadata

OPSET = 17  # of June 2022: old enough for other readers
_QUANTIZED = ("Conv", "MaxPool", "LeakyRelu", "Relu", "Clip", "Add", "Concat", "Resize")


def write(graph: ExportGraph, path: Path, metadata: dict[str, Any], calibration: np.ndarray | None) -> None:
    """Write an ONNX file.

    Args:
        graph: What it computes.
        path: The file.
        metadata: Metadata of the file.
        calibration: uint8 [N, height, width, 3], images in the network's size, for a precision of int8.
    """
    model = build_model(graph)
    if graph.settings.precision == "float16":
        model = _in_half_precision(model)
    elif graph.settings.precision == "int8":
        assert calibration is not None
        images = calibration if graph.settings.input == "uint8" else calibration.astype(np.float32) / 255
        model = _quantized(model, images, path.with_suffix(".calibration.onnx"))
    if graph.settings.suppression:
        append_suppression(
            model,
            score_threshold=graph.detector.score_threshold,
            iou_threshold=graph.detector.iou_threshold,
            max_boxes=graph.detector.max_boxes,
        )

    helper.set_model_props(model, {KEY: format_metadata(metadata)})
    model.producer_name, model.producer_version = KEY, metadata["export"]["yolo3"]
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def build_model(graph: ExportGraph) -> onnx.ModelProto:
    """Return the network in float32 with raw outputs or decoded boxes, under the names of the graph."""
    names = graph.outputs if graph.settings.raw else ("boxes", "scores")

    def outputs(images):
        if graph.settings.raw:
            return list(graph(images).values())
        relative = tf.cast(images, tf.float32) / 255 if graph.settings.input == "uint8" else images
        return list(graph.network.decoded(relative, graph.detector.input_shape))

    for name in ("tf2onnx", "tensorflow"):
        logging.getLogger(name).setLevel(logging.ERROR)  # they tell of every step
    function = tf.function(outputs, input_signature=[graph.signature])
    model, _ = tf2onnx.convert.from_function(function, input_signature=[graph.signature], opset=OPSET)

    _rename(model, dict(zip((output.name for output in model.graph.output), names, strict=True)))
    _rename(model, {model.graph.input[0].name: INPUT})
    for value in (*model.graph.input, *model.graph.output):
        if graph.batch is None:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
    return model


def _rename(model: onnx.ModelProto, names: dict[str, str]) -> None:
    """Rename values of a model, in place."""
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        value.name = names.get(value.name, value.name)
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def _before_convolutions(model: onnx.ModelProto) -> tuple[set[str], set[str]]:
    """Return the names of the nodes that some convolution depends on, and of the convolutions that none depends on."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    before: set[str] = set()  # nodes with a convolution behind them
    last: set[str] = set()
    for node in reversed(model.graph.node):  # in topological order, the specification says
        behind = [reader for name in node.output for reader in readers.get(name, [])]
        if any(reader.op_type == "Conv" or reader.name in before for reader in behind):
            before.add(node.name)
        elif node.op_type == "Conv":
            last.add(node.name)
    return before, last


def _in_half_precision(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model with its network in float16: boxes of 400 pixels would be rounded to quarters of a pixel."""
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    before, last = _before_convolutions(model)
    rest = [node.name for node in model.graph.node if node.name not in before | last]
    half = OnnxModel(convert_float_to_float16(model, keep_io_types=True, node_block_list=rest))
    half.topological_sort()
    return half.model


def _quantized(model: onnx.ModelProto, images: np.ndarray, path: Path) -> onnx.ModelProto:
    """Return the model with its network in int8, in QDQ form, with ranges of activations seen on images."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Images(CalibrationDataReader):
        def __init__(self):
            self._batches = iter(images[:, None])

        def get_next(self):
            batch = next(self._batches, None)
            return None if batch is None else {INPUT: batch}

    before, _ = _before_convolutions(model)
    logging.getLogger().setLevel(logging.ERROR)  # it advises to preprocess, which is done
    quantized_path = path.with_suffix(".int8.onnx")
    try:
        quantize_static(
            model,
            str(quantized_path),
            Images(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_QUANTIZED),
            nodes_to_exclude=[node.name for node in model.graph.node if node.name not in before],
            per_channel=True,
            reduce_range=True,  # weights of 7 bits: sums of 8 bits saturate on processors without VNNI, AP .29 to .23
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return onnx.load(str(quantized_path))
    finally:
        quantized_path.unlink(missing_ok=True)


def append_suppression(model: onnx.ModelProto, *, score_threshold: float, iou_threshold: float, max_boxes: int) -> None:
    """Replace the outputs boxes [B, N, 4] and scores [B, N, C] by those of greedy suppression, in place.

    NonMaxSuppression gives a list of (image, class, box); the scores that it names are scattered into zeros, of which
    the best of each image are taken: fixed shapes for any number of images.
    """
    boxes, scores = model.graph.output
    batch = boxes.type.tensor_type.shape.dim[0]
    num_boxes = scores.type.tensor_type.shape.dim[1].dim_value
    _rename(model, {"boxes": "all_boxes", "scores": "all_scores"})

    def constant(name, values, dtype):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(values, dtype), name))
        return name

    def node(kind, inputs, outputs, **attributes):
        model.graph.node.append(helper.make_node(kind, inputs, outputs, name=f"select_{outputs[0]}", **attributes))

    best = constant("max_boxes", [max_boxes], np.int64)
    limits = [constant("iou_threshold", [iou_threshold], np.float32)]
    limits.append(constant("score_threshold", [score_threshold], np.float32))
    node("Transpose", ["all_scores"], ["by_class"], perm=[0, 2, 1])  # [B, C, N]
    node("NonMaxSuppression", ["all_boxes", "by_class", best, *limits], ["places"])  # [K, 3]
    node("GatherND", ["by_class", "places"], ["place_scores"])  # [K]
    node("Shape", ["by_class"], ["by_class_shape"])
    zeros = helper.make_tensor("zeros", TensorProto.FLOAT, [1], [0])
    node("ConstantOfShape", ["by_class_shape"], ["nothing"], value=zeros)
    node("ScatterND", ["nothing", "places", "place_scores"], ["kept_by_class"])  # [B, C, N]
    node("Reshape", ["kept_by_class", constant("rows", [0, -1], np.int64)], ["kept"])  # [B, C * N]
    node("Pad", ["kept", constant("pads", [0, 0, 0, max_boxes], np.int64)], ["padded"])  # at least M
    node("TopK", ["padded", best], ["scores", "order"], axis=1)  # [B, M]

    size, zero = constant("num_boxes", num_boxes, np.int64), constant("no_score", 0, np.float32)
    node("Greater", ["scores", zero], ["is_kept"])
    node("Cast", ["is_kept"], ["ones"], to=TensorProto.INT32)
    node("ReduceSum", ["ones", constant("axis", [1], np.int64)], ["count"], keepdims=0)
    node("Div", ["order", size], ["order_classes"])
    node("Cast", ["order_classes"], ["order_class_ids"], to=TensorProto.INT32)
    node("Where", ["is_kept", "order_class_ids", constant("no_class", -1, np.int32)], ["class_ids"])
    node("Mod", ["order", size], ["rows_of_boxes"])
    node("Unsqueeze", ["rows_of_boxes", constant("last", [-1], np.int64)], ["box_places"])  # [B, M, 1]
    node("GatherND", ["all_boxes", "box_places"], ["order_boxes"], batch_dims=1)  # [B, M, 4]
    node("Unsqueeze", ["is_kept", "last"], ["is_kept_box"])
    node("Where", ["is_kept_box", "order_boxes", "no_score"], ["boxes"])

    del model.graph.output[:]
    first = batch.dim_param or batch.dim_value
    for name, kind, shape in (
        ("boxes", TensorProto.FLOAT, [first, max_boxes, 4]),
        ("scores", TensorProto.FLOAT, [first, max_boxes]),
        ("class_ids", TensorProto.INT32, [first, max_boxes]),
        ("count", TensorProto.INT32, [first]),
    ):
        model.graph.output.append(helper.make_tensor_value_info(name, kind, shape))
