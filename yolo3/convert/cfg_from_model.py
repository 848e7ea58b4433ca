"""Describe a Keras model that did not come from Darknet as a cfg and its weights.

The layers are walked from the input to each output. Padding, convolution, normalization and activation become one
[convolutional]; where the model reads another layer than the one before, a [route] is put between, as most of Darknet's
layers can only read the one before. A layer without a counterpart in Darknet raises `ValueError` with its name.

A new layer is one function with `@_writes` below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from yolo3.darknet.blocks import BN_EPSILON, LEAKY_SLOPE
from yolo3.darknet.cfg import Cfg, format_anchor_list, parse_cfg
from yolo3.darknet.keras_weights import kernel_from_keras
from yolo3.darknet.weights import LayerArrays, layer_arrays
from yolo3.models.yolov3.scales import Scale

# The [net] of Darknet's cfg/yolov3.cfg for training; the size is the model's.
_RECIPE = {
    "batch": 64,
    "subdivisions": 16,
    "channels": 3,
    "momentum": 0.9,
    "decay": 0.0005,
    "angle": 0,
    "saturation": 1.5,
    "exposure": 1.5,
    "hue": ".1",
    "learning_rate": 0.001,
    "burn_in": 1000,
    "max_batches": 500200,
    "policy": "steps",
    "steps": "400000,450000",
    "scales": ".1,.1",
}
_ACTIVATIONS = {"linear": "linear", "relu": "relu", "sigmoid": "logistic", "mish": "mish", "silu": "swish"}


@dataclass(frozen=True)
class Heads:
    """Contents of the [yolo] sections.

    Attributes:
        anchors: float32 [N, 2], (w, h) in pixels of the network input.
        scales: One record per output, whose ``anchor_mask`` points into ``anchors``.
        classes: Number of classes.
        letterbox: Whether images keep their aspect ratio, which AlexeyAB's Darknet needs to be told (`letter_box`).
    """

    anchors: np.ndarray
    scales: Sequence[Scale]
    classes: int
    letterbox: bool = True


@dataclass(frozen=True)
class DarknetModel:
    """A model as Darknet has it.

    Attributes:
        cfg: The cfg of its network.
        sources: For each layer of the cfg with weights, the Keras layer that holds them and its batch normalization,
            `None` where there is none.
    """

    cfg: Cfg
    sources: tuple[tuple[keras.Layer, keras.Layer | None], ...] = field(repr=False)

    def arrays(self) -> Iterator[tuple[LayerArrays, dict[str, np.ndarray]]]:
        """Yield the layers with weights and their arrays by name, as `write_weights` takes them."""
        for stored, (layer, batch_norm) in zip(layer_arrays(self.cfg), self.sources, strict=True):
            kernel, *biases = layer.get_weights()
            bias = biases[0] if biases else np.zeros(stored.layer.options.filters, np.float32)

            arrays = {"kernel": kernel_from_keras(stored.layer, kernel)}
            if batch_norm is None:
                arrays["bias"] = bias
            else:
                arrays |= _fold_bias(batch_norm, bias)
            yield stored, arrays


def cfg_from_model(model: keras.Model, input_shape: tuple[int, int], heads: Heads) -> DarknetModel:
    """Describe a fully convolutional YOLO model as a cfg.

    Args:
        model: A model with one input, and one raw output for each anchor mask.
        input_shape: (height, width) for the cfg, in pixels.
        heads: Contents of the [yolo] sections.

    Raises:
        ValueError: With the name of the layer, if Darknet has no counterpart of it; and if the outputs do not fit
            `heads`.
    """
    if len(model.inputs) != 1 or len(model.outputs) != len(heads.scales):
        raise ValueError(
            f"{model.name}: expected one input and {len(heads.scales)} outputs (one for each anchor mask), "
            f"got {len(model.inputs)} and {len(model.outputs)}"
        )
    writer = _Writer(model)
    for scale, output in zip(heads.scales, model.outputs, strict=True):
        writer.add_output(output)
        options = {
            "mask": ",".join(map(str, scale.anchor_mask)),
            "anchors": format_anchor_list(heads.anchors.tolist()),
            "classes": heads.classes,
            "num": len(heads.anchors),
            "jitter": ".3",
            "ignore_thresh": f"{scale.ignore_thresh:g}",
            "truth_thresh": 1,
            "random": 1,
            **({"scale_x_y": f"{scale.scale_x_y:g}"} if scale.scale_x_y != 1 else {}),
        }
        writer.append(_Draft("yolo", options))

    net = {**_RECIPE, "height": input_shape[0], "width": input_shape[1], "letter_box": int(heads.letterbox)}
    drafts = [_Draft("net", net), *writer.drafts]
    cfg = parse_cfg("\n".join(draft.text() for draft in drafts), "cfg of the model")
    return DarknetModel(cfg, tuple((draft.weights, draft.batch_norm) for draft in drafts if draft.weights is not None))


def _fold_bias(batch_norm: keras.Layer, bias: np.ndarray) -> dict[str, np.ndarray]:
    """Return Darknet's arrays of a normalization that follows a convolution with a bias."""
    mean, variance = np.asarray(batch_norm.moving_mean), np.asarray(batch_norm.moving_variance)
    if batch_norm.epsilon != BN_EPSILON:
        variance = variance + np.float32(batch_norm.epsilon - BN_EPSILON)  # Darknet adds its own
    return {
        "beta": np.asarray(batch_norm.beta) if batch_norm.center else np.zeros_like(mean),
        "gamma": np.asarray(batch_norm.gamma) if batch_norm.scale else np.ones_like(mean),
        "mean": mean - bias,
        "variance": variance,
    }


@dataclass
class _Draft:
    """A section in the making, and the Keras layers that hold its weights."""

    name: str
    options: dict[str, Any]
    weights: keras.Layer | None = None
    batch_norm: keras.Layer | None = None

    def text(self) -> str:
        options = (f"{key}={value}" for key, value in self.options.items() if (key, value) != ("batch_normalize", 0))
        return "\n".join([f"[{self.name}]", *options]) + "\n"


class _Writer:
    """Appends sections for the tensors of a model.

    `place` is the index of the section that makes a tensor, `pads` the tensor before a padding and the padding, `uses`
    the number of layers that read a tensor (being an output counts too), each by the tensor's id.
    """

    def __init__(self, model: keras.Model):
        self.drafts: list[_Draft] = []
        self.place: dict[int, int] = {id(model.inputs[0]): -1}
        self.pads: dict[int, tuple[Any, tuple]] = {}
        inputs_of = {id(tensor): inputs for output in model.outputs for tensor, inputs in _post_order(output)}
        self.uses = Counter([id(x) for inputs in inputs_of.values() for x in inputs])
        self.uses.update(id(x) for x in model.outputs)

    def append(self, draft: _Draft) -> int:
        """Append a section and return its index."""
        self.drafts.append(draft)
        return len(self.drafts) - 1

    def add_output(self, output: Any) -> None:
        """Append what `output` depends on and is not there yet, so that the last section makes `output`."""
        for tensor, inputs in _post_order(output):
            if id(tensor) in self.place or not inputs:
                continue
            layer = tensor._keras_history.operation
            # A subclass, such as a fused normalization, is written as its stock class.
            name = next((base.__name__ for base in type(layer).__mro__ if base.__name__ in _WRITERS), None)
            if name is None:
                raise ValueError(f"layer '{layer.name}': Darknet has no section for a {type(layer).__name__} layer")
            self.place[id(tensor)] = _WRITERS[name](self, layer, inputs, tensor)
        self.follow(output)

    def follow(self, tensor: Any) -> None:
        """Make sure that the last section makes `tensor`: Darknet's layers read the one before."""
        place, last = self.place[id(tensor)], len(self.drafts) - 1
        if place == last:
            return
        if place < 0:
            raise ValueError("expected only the first layer to read the image: Darknet cannot return to it")
        self.append(_Draft("route", {"layers": place - last - 1}))

    def extend(self, layer: keras.Layer, tensor: Any, key: str, value: Any) -> _Draft:
        """Set an option of the section that makes `tensor`, which no other layer may read."""
        draft = self.drafts[self.place[id(tensor)]]
        if draft.options.get(key) not in (0, "linear") or self.uses[id(tensor)] > 1:
            raise ValueError(
                f"layer '{layer.name}': Darknet has this only right after a convolution or an addition that no other "
                "layer reads"
            )
        draft.options[key] = value
        return draft


def _post_order(output: Any) -> list[tuple[Any, list[Any]]]:
    """Return all tensors that `output` depends on, each with its inputs and after them."""
    order: list[tuple[Any, list[Any]]] = []
    done: set[int] = set()
    stack = [(output, False)]
    while stack:
        tensor, expanded = stack.pop()
        if id(tensor) in done:
            continue
        history = tensor._keras_history
        inputs = list(history.operation._inbound_nodes[history.node_index].input_tensors)
        if expanded:
            done.add(id(tensor))
            order.append((tensor, inputs))
        else:
            stack.append((tensor, True))
            # The last input first, so that the first stands next to its reader, as in Darknet's cfgs.
            stack += [(x, False) for x in inputs]
    return order


# Writers of one layer each: append sections for `tensor`, return the index of the one that makes it.
_LayerWriter = Callable[[_Writer, Any, list[Any], Any], int]

_WRITERS: dict[str, _LayerWriter] = {}


def _writes(*names: str) -> Callable[[_LayerWriter], _LayerWriter]:
    """Register the writer of the Keras layers of these classes."""

    def register(write: _LayerWriter) -> _LayerWriter:
        _WRITERS.update(dict.fromkeys(names, write))
        return write

    return register


@_writes("ZeroPadding2D")
def _padding(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    writer.pads[id(tensor)] = inputs[0], tuple(map(tuple, layer.padding))
    return writer.place[id(inputs[0])]


@_writes("Conv2D", "DepthwiseConv2D")
def _convolution(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    source, pads = writer.pads.get(id(inputs[0]), (inputs[0], ((0, 0), (0, 0))))
    writer.follow(source)
    size, stride, dilation = (_square(layer, pair) for pair in (layer.kernel_size, layer.strides, layer.dilation_rate))
    groups = inputs[0].shape[-1] if type(layer).__name__ == "DepthwiseConv2D" else layer.groups

    options = {
        "batch_normalize": 0,
        "filters": tensor.shape[-1],
        "size": size,
        "stride": stride,
        **_padding_option(layer, size=size, stride=stride, pads=pads),
        "activation": _activation_name(layer, keras.activations.serialize(layer.activation)),
    }
    if groups > 1:
        options["groups"] = groups
    if dilation > 1:
        options["dilation"] = dilation
    return writer.append(_Draft("convolutional", options, weights=layer))


def _padding_option(layer: keras.Layer, *, size: int, stride: int, pads: tuple) -> dict[str, int]:
    """Return `pad` or `padding` for a convolution after ((top, bottom), (left, right)) zeros."""
    if layer.padding == "same" and not any(map(any, pads)) and (size == 1 or (stride == 1 and size % 2)):
        return {"pad": 1}
    if layer.padding == "valid":
        if pads == ((0, 0), (0, 0)):
            return {"pad": 1} if size == 1 else {"padding": 0}
        if pads == ((1, 0), (1, 0)) and (size, stride) == (3, 2):
            # keras-yolo3's padding: the same for even sides, where Darknet never reads the lower and right border.
            return {"pad": 1}
        if len({side for pair in pads for side in pair}) == 1:
            return {"pad": 1} if pads[0][0] == size // 2 else {"padding": pads[0][0]}
    raise ValueError(
        f"layer '{layer.name}': Darknet pads all four sides alike, not '{layer.padding}' of size {size}, stride "
        f"{stride} after {pads}"
    )


@_writes("BatchNormalization")
def _batch_norm(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    writer.extend(layer, inputs[0], "batch_normalize", 1).batch_norm = layer
    return writer.place[id(inputs[0])]


@_writes("LeakyReLU")
def _leaky(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    if abs(layer.negative_slope - LEAKY_SLOPE) > 1e-6:
        raise ValueError(f"layer '{layer.name}': expected Darknet's slope of {LEAKY_SLOPE}, got {layer.negative_slope}")
    writer.extend(layer, inputs[0], "activation", "leaky")
    return writer.place[id(inputs[0])]


@_writes("Activation", "ReLU")
def _activation(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    name = "relu" if type(layer).__name__ == "ReLU" else keras.activations.serialize(layer.activation)
    writer.extend(layer, inputs[0], "activation", _activation_name(layer, name))
    return writer.place[id(inputs[0])]


@_writes("Add")
def _sum(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    places = [writer.place[id(x)] for x in inputs]
    last = len(writer.drafts) - 1
    first = places.index(last) if last in places else 0
    writer.follow(inputs[first])

    others = [place for index, place in enumerate(places) if index != first]
    for place in others:
        index = writer.append(_Draft("shortcut", {"from": place - len(writer.drafts), "activation": "linear"}))
    return index


@_writes("Concatenate")
def _concatenation(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    if layer.axis not in (-1, len(tensor.shape) - 1):
        raise ValueError(f"layer '{layer.name}': expected channels to be joined, got axis {layer.axis}")
    last = len(writer.drafts) - 1
    places = [-1 if writer.place[id(x)] == last else writer.place[id(x)] for x in inputs]
    return writer.append(_Draft("route", {"layers": ", ".join(map(str, places))}))


@_writes("MaxPooling2D")
def _maxpool(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    size, stride = _square(layer, layer.pool_size), _square(layer, layer.strides)
    if layer.padding == "same" and stride != 1 and (size, stride) != (2, 2):
        raise ValueError(
            f"layer '{layer.name}': windows of 'same' with size {size} and stride {stride} start elsewhere in Darknet"
        )
    writer.follow(inputs[0])
    padding = {} if layer.padding == "same" else {"padding": 0}
    return writer.append(_Draft("maxpool", {"size": size, "stride": stride, **padding}))


@_writes("UpSampling2D")
def _upsample(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    if layer.interpolation != "nearest":
        raise ValueError(f"layer '{layer.name}': expected interpolation 'nearest', got '{layer.interpolation}'")
    writer.follow(inputs[0])
    return writer.append(_Draft("upsample", {"stride": _square(layer, layer.size)}))


@_writes("Dropout")
def _dropout(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    writer.follow(inputs[0])
    return writer.append(_Draft("dropout", {"probability": f"{layer.rate:g}"}))


def _activation_name(layer: keras.Layer, name: Any) -> str:
    if name not in _ACTIVATIONS:
        raise ValueError(f"layer '{layer.name}': expected an activation of {', '.join(_ACTIVATIONS)}, got {name}")
    return _ACTIVATIONS[name]


def _square(layer: keras.Layer, pair: Any) -> int:
    """Return the one value of a pair, or the value itself."""
    first, second = pair if isinstance(pair, (tuple, list)) else (pair, pair)
    if first != second:
        raise ValueError(f"layer '{layer.name}': expected the same value for both axes, got {pair}")
    return int(first)
