"""The way back: a Keras model as Darknet sections, for networks that did not come from a cfg.

The layers of the model are walked from the inputs of each output on. Padding, convolution, normalisation and
activation become one [convolutional], and where Darknet reads the layer before but the model does not, a
[route] stands between. What Darknet has no section for is refused by the name of the layer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from yolo3.darknet.blocks import BN_EPSILON, LEAKY_SLOPE
from yolo3.darknet.cfg import Cfg, format_anchor_list, parse_cfg
from yolo3.darknet.network import kernel_from_keras
from yolo3.darknet.weights import LayerArrays, layer_arrays

# The [net] that Darknet's cfg/yolov3.cfg trains with; the size is the model's.
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


@dataclass
class _Draft:
    """A section in the making, and the Keras layers that hold its weights."""

    name: str
    options: dict[str, Any]
    weights: keras.Layer | None = None
    batch_norm: keras.Layer | None = None


@dataclass(frozen=True)
class Heads:
    """What the [yolo] sections say: anchors [N, 2] (w, h) in pixels of the network input, their indices for
    each output, the number of classes.
    """

    anchors: np.ndarray
    anchor_mask: Sequence[Sequence[int]]
    classes: int
    scale_x_y: Sequence[float]
    ignore_thresh: float = 0.7


@dataclass(frozen=True)
class DarknetModel:
    """A cfg, and for each layer of it that has weights the arrays of the file, in order."""

    cfg: Cfg
    sources: tuple[tuple[keras.Layer, keras.Layer | None], ...] = field(repr=False)

    def arrays(self):
        """Pairs of the layout and the arrays, for `write_weights`."""
        for stored, (layer, batch_norm) in zip(layer_arrays(self.cfg), self.sources, strict=True):
            yield stored, _take(stored, layer, batch_norm)


def cfg_from_model(model: keras.Model, input_shape: tuple[int, int], heads: Heads) -> DarknetModel:
    """Describe a fully convolutional YOLO model as a cfg. `input_shape` is (height, width) in pixels.

    Raises ValueError, with the name of the layer, for a model that Darknet cannot compute, and where the
    outputs do not fit `heads`.
    """
    if len(model.inputs) != 1 or len(model.outputs) != len(heads.anchor_mask):
        raise ValueError(
            f"{model.name}: expected one input and {len(heads.anchor_mask)} "
            "outputs (one for each anchor mask), "
            f"got {len(model.inputs)} and {len(model.outputs)}"
        )
    writer = _Writer(model)
    for scale, output in enumerate(model.outputs):
        writer.add_output(output)
        writer.append(_Draft("yolo", _yolo_options(heads, scale)))
    drafts = [_Draft("net", {**_RECIPE, "height": input_shape[0], "width": input_shape[1]}), *writer.drafts]
    cfg = parse_cfg("\n".join(_format_draft(draft) for draft in drafts), "cfg of the model")
    return DarknetModel(cfg, tuple((draft.weights, draft.batch_norm) for draft in drafts if draft.weights is not None))


class _Writer:
    """Appends sections for Keras tensors; `place` is the index of the section that makes a tensor, by the
    tensor's id.
    """

    def __init__(self, model: keras.Model):
        self.drafts: list[_Draft] = []
        self.place: dict[int, int] = {id(model.inputs[0]): -1}
        self.pads: dict[int, tuple[Any, tuple]] = {}
        self.uses = _count_uses(model.outputs)

    def append(self, draft: _Draft) -> int:
        self.drafts.append(draft)
        return len(self.drafts) - 1

    def add_output(self, output: Any) -> None:
        """Append all that `output` needs and is not there yet, so that the last section makes it."""
        for tensor, inputs in _post_order(output):
            if id(tensor) not in self.place and inputs:
                self._add(tensor, inputs)
        self.follow(output)

    def _add(self, tensor: Any, inputs: list[Any]) -> None:
        layer = tensor._keras_history.operation
        add = _WRITERS.get(type(layer).__name__) or _WRITERS.get(_stock_name(layer) or "")
        if add is None:
            raise ValueError(f"layer '{layer.name}': Darknet has no section for a {type(layer).__name__} layer")
        self.place[id(tensor)] = add(self, layer, inputs, tensor)

    def follow(self, tensor: Any) -> None:
        """See to it that the last section is the one that makes `tensor`: Darknet's layers read the one
        before.
        """
        place, last = self.place[id(tensor)], len(self.drafts) - 1
        if place == last:
            return
        if place < 0:
            raise ValueError("expected the image to be read by the first layer alone: Darknet cannot return to it")
        self.append(_Draft("route", {"layers": place - last - 1}))

    def extend(self, layer: keras.Layer, tensor: Any, key: str, value: Any) -> _Draft:
        """Set an option of the section that makes `tensor`, which no other layer may read."""
        draft = self.drafts[self.place[id(tensor)]]
        if draft.options.get(key) not in (0, "linear") or self.uses[id(tensor)] > 1:
            raise ValueError(
                f"layer '{layer.name}': Darknet has this only right after a convolution "
                "or an addition that nothing else reads"
            )
        draft.options[key] = value
        return draft


def _post_order(output: Any) -> list[tuple[Any, list[Any]]]:
    """All tensors that `output` is made of, each after its inputs, with its inputs."""
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


def _count_uses(outputs: Sequence[Any]) -> Counter:
    """How many layers read each tensor of the network, by the tensor's id. Being an output counts too."""
    inputs_of = {id(tensor): inputs for output in outputs for tensor, inputs in _post_order(output)}
    return Counter([id(x) for inputs in inputs_of.values() for x in inputs] + [id(x) for x in outputs])


def _stock_name(layer: keras.Layer) -> str | None:
    """The stock class that a subclass such as a fused normalisation stands for."""
    return next((base.__name__ for base in type(layer).__mro__ if base.__name__ in _WRITERS), None)


def _add_padding(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    writer.pads[id(tensor)] = inputs[0], tuple(map(tuple, layer.padding))
    return writer.place[id(inputs[0])]


def _add_convolution(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    source, pads = writer.pads.get(id(inputs[0]), (inputs[0], ((0, 0), (0, 0))))
    writer.follow(source)
    size, stride, dilation = (_square(layer, pair) for pair in (layer.kernel_size, layer.strides, layer.dilation_rate))
    channels = inputs[0].shape[-1]
    depthwise = type(layer).__name__ == "DepthwiseConv2D"
    options = {
        "batch_normalize": 0,
        "filters": tensor.shape[-1],
        "size": size,
        "stride": stride,
        **_padding_option(layer, size, stride, pads),
        "activation": _activation_name(layer, keras.activations.serialize(layer.activation)),
    }
    groups = channels if depthwise else layer.groups
    extras = {
        **({"groups": groups} if groups > 1 else {}),
        **({"dilation": dilation} if dilation > 1 else {}),
    }
    return writer.append(_Draft("convolutional", {**options, **extras}, weights=layer))


def _padding_option(layer: keras.Layer, size: int, stride: int, pads: tuple) -> dict[str, int]:
    if layer.padding == "same" and not any(map(any, pads)) and (size == 1 or (stride == 1 and size % 2)):
        return {"pad": 1}
    if layer.padding == "valid":
        if pads == ((0, 0), (0, 0)):
            return {"pad": 1} if size == 1 else {"padding": 0}
        if pads == ((1, 0), (1, 0)) and (size, stride) == (3, 2):
            return {
                "pad": 1
            }  # keras-yolo3's: the same for even sides, where Darknet never reads the right and lower border
        if len({side for pair in pads for side in pair}) == 1:
            return {"pad": 1} if pads[0][0] == size // 2 else {"padding": pads[0][0]}
    raise ValueError(
        f"layer '{layer.name}': Darknet pads all four sides alike, not '{layer.padding}' "
        f"of size {size}, stride {stride} after {pads}"
    )


def _add_batch_norm(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    writer.extend(layer, inputs[0], "batch_normalize", 1).batch_norm = layer
    return writer.place[id(inputs[0])]


def _add_leaky(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    if abs(layer.negative_slope - LEAKY_SLOPE) > 1e-6:
        raise ValueError(f"layer '{layer.name}': expected Darknet's slope of {LEAKY_SLOPE}, got {layer.negative_slope}")
    writer.extend(layer, inputs[0], "activation", "leaky")
    return writer.place[id(inputs[0])]


def _add_activation(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    name = "relu" if type(layer).__name__ == "ReLU" else keras.activations.serialize(layer.activation)
    writer.extend(layer, inputs[0], "activation", _activation_name(layer, name))
    return writer.place[id(inputs[0])]


def _activation_name(layer: keras.Layer, name: Any) -> str:
    if name not in _ACTIVATIONS:
        raise ValueError(f"layer '{layer.name}': expected an activation of {', '.join(_ACTIVATIONS)}, got {name}")
    return _ACTIVATIONS[name]


def _add_sum(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    places = [writer.place[id(x)] for x in inputs]
    last = len(writer.drafts) - 1
    first = places.index(last) if last in places else 0
    writer.follow(inputs[first])
    for place in (place for index, place in enumerate(places) if index != first):
        index = writer.append(_Draft("shortcut", {"from": place - len(writer.drafts), "activation": "linear"}))
    return index


def _add_concatenation(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    if layer.axis not in (-1, len(tensor.shape) - 1):
        raise ValueError(f"layer '{layer.name}': expected channels to be joined, got axis {layer.axis}")
    last = len(writer.drafts) - 1
    places = [-1 if writer.place[id(x)] == last else writer.place[id(x)] for x in inputs]
    return writer.append(_Draft("route", {"layers": ", ".join(map(str, places))}))


def _add_maxpool(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    size, stride = _square(layer, layer.pool_size), _square(layer, layer.strides)
    if layer.padding == "same" and stride != 1 and (size, stride) != (2, 2):
        raise ValueError(
            f"layer '{layer.name}': windows of 'same' with size {size} and stride {stride} begin elsewhere in Darknet"
        )
    writer.follow(inputs[0])
    padding = {} if layer.padding == "same" else {"padding": 0}
    return writer.append(_Draft("maxpool", {"size": size, "stride": stride, **padding}))


def _add_upsample(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    if layer.interpolation != "nearest":
        raise ValueError(f"layer '{layer.name}': expected the nearest pixel, got {layer.interpolation}")
    writer.follow(inputs[0])
    return writer.append(_Draft("upsample", {"stride": _square(layer, layer.size)}))


def _add_dropout(writer: _Writer, layer: keras.Layer, inputs: list[Any], tensor: Any) -> int:
    writer.follow(inputs[0])
    return writer.append(_Draft("dropout", {"probability": f"{layer.rate:g}"}))


def _square(layer: keras.Layer, pair: Any) -> int:
    first, second = pair if isinstance(pair, (tuple, list)) else (pair, pair)
    if first != second:
        raise ValueError(f"layer '{layer.name}': expected the same value for both axes, got {pair}")
    return int(first)


_WRITERS: Mapping[str, Callable[[_Writer, Any, list[Any], Any], int]] = {
    "ZeroPadding2D": _add_padding,
    "Conv2D": _add_convolution,
    "DepthwiseConv2D": _add_convolution,
    "BatchNormalization": _add_batch_norm,
    "LeakyReLU": _add_leaky,
    "ReLU": _add_activation,
    "Activation": _add_activation,
    "Add": _add_sum,
    "Concatenate": _add_concatenation,
    "MaxPooling2D": _add_maxpool,
    "UpSampling2D": _add_upsample,
    "Dropout": _add_dropout,
}


def _yolo_options(heads: Heads, scale: int) -> dict[str, Any]:
    scale_x_y = float(heads.scale_x_y[scale])
    return {
        "mask": ",".join(map(str, heads.anchor_mask[scale])),
        "anchors": format_anchor_list(heads.anchors.tolist()),
        "classes": heads.classes,
        "num": len(heads.anchors),
        "jitter": ".3",
        "ignore_thresh": f"{heads.ignore_thresh:g}",
        "truth_thresh": 1,
        "random": 1,
        **({"scale_x_y": f"{scale_x_y:g}"} if scale_x_y != 1 else {}),
    }


def _format_draft(draft: _Draft) -> str:
    options = {key: value for key, value in draft.options.items() if (key, value) != ("batch_normalize", 0)}
    return "\n".join([f"[{draft.name}]", *(f"{key}={value}" for key, value in options.items())]) + "\n"


def _take(stored: LayerArrays, layer: keras.Layer, batch_norm: keras.Layer | None) -> dict[str, np.ndarray]:
    """The arrays of one convolution, as Darknet computes with them."""
    kernel, *biases = layer.get_weights()
    arrays = {"kernel": kernel_from_keras(stored.layer, kernel)}
    bias = biases[0] if biases else np.zeros(stored.layer.options.filters, np.float32)
    if batch_norm is None:
        return {**arrays, "bias": bias}
    mean, variance = (np.asarray(batch_norm.moving_mean), np.asarray(batch_norm.moving_variance))
    if batch_norm.epsilon != BN_EPSILON:
        variance = variance + np.float32(batch_norm.epsilon - BN_EPSILON)  # Darknet adds its own
    gamma = np.asarray(batch_norm.gamma) if batch_norm.scale else np.ones_like(mean)
    beta = np.asarray(batch_norm.beta) if batch_norm.center else np.zeros_like(mean)
    return {
        **arrays,
        "beta": beta,
        "gamma": gamma,
        "mean": mean - bias if biases else mean,
        "variance": variance,
    }
