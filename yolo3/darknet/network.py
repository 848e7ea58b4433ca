"""A Darknet cfg as a trainable Keras model, and weights in and out of that model.

Layers are stock Keras layers, [local] apart. Convolutions are numbered from 0 in the order of the cfg and
named `conv_0`, `bn_0`, `leaky_0` and so on, as in `yolo3.models.yolov3.networks`, and weights go by these names: a network
written by hand and the same network made from a cfg hold the same weights.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers as kl

from yolo3.darknet.blocks import BN_EPSILON, BN_MOMENTUM, LEAKY_SLOPE
from yolo3.darknet.cfg import Cfg
from yolo3.darknet.layers import (
    IMAGE,
    Layer,
    YoloHead,
    needs_fixed_size,
    output_indices,
    resolve_layers,
    with_classes,
    yolo_heads,
)
from yolo3.darknet.local import LocallyConnected2D
from yolo3.darknet.weights import (
    DEFAULT_HEADER,
    Header,
    LayerArrays,
    WeightsFile,
    layer_arrays,
    open_weights,
    write_weights,
)

__all__ = [
    "Filled",
    "YoloHead",
    "build_all_outputs",
    "build_network",
    "load_weights",
    "save_weights",
    "shared_layers",
    "with_classes",
    "yolo_heads",
]

InputShape = tuple[int | None, int | None, int]

_PREFIXES = {"convolutional": "conv"}
_WITH_WEIGHTS = ("convolutional", "connected", "local")
_KERAS_ACTIVATIONS = {"relu": "relu", "logistic": "sigmoid", "mish": "mish", "swish": "silu"}


@dataclass(frozen=True)
class Filled:
    """What `load_weights` did: the file, names of layers filled, names left as they were for want of data,
    names left because their shapes differ.
    """

    file: WeightsFile
    filled: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: tuple[str, ...]

    def __str__(self) -> str:
        file = self.file
        total = len(self.filled) + len(self.missing) + len(self.mismatched)
        text = f"{file.path}: {file.floats:,} numbers filled {len(self.filled)} of {total} layers with weights"
        if self.filled:
            text += f" ({_span(self.filled)})"
        if self.missing:
            text += f"; not in the file, left as they were: {_span(self.missing)}"
        if self.mismatched:
            text += f"; of another shape, left as they were: {', '.join(self.mismatched)}"
        return text


def build_network(cfg: Cfg, input_shape: InputShape = (None, None, 3), batch_norm: type | None = None) -> keras.Model:
    """Build the network of `cfg`, with random weights.

    `input_shape` is (height, width, channels) in pixels. Where it leaves a side open (None) and a layer needs
    it fixed, the cfg's side is taken. `batch_norm` is the class of the normalisation layers:
    `keras.layers.BatchNormalization`, or one of the same arguments and weights. Input: RGB, 0..1. Outputs, in
    the order of the cfg: a list of the raw tensors [B, H, W, A*(5+C)] before each [yolo]; or the flat vector
    [B, N] before [detection], in Darknet's order; or else the output of the last layer. Raises ValueError,
    with file and line, for what this project does not compute.
    """
    network = _build(cfg, input_shape, batch_norm)
    outputs = [network.outputs[index] for index in output_indices(cfg)]
    has_heads = any(section.name == "yolo" for section in cfg.layers)
    return keras.Model(network.image, outputs if has_heads else outputs[0], name="darknet")


def build_all_outputs(cfg: Cfg, input_shape: InputShape = (None, None, 3)) -> keras.Model:
    """Build the network of `cfg` with the output of every layer, in order: to compare with Darknet layer by
    layer.
    """
    network = _build(cfg, input_shape, None)
    return keras.Model(network.image, network.outputs, name="darknet")


def resolve_input_shape(cfg: Cfg, input_shape: InputShape = (None, None, 3)) -> tuple[int, int, int]:
    """(height, width, channels) in pixels: of `input_shape`, and where it leaves a side open, of the cfg.
    Raises ValueError where neither says.
    """
    height, width = (given or stated for given, stated in zip(input_shape[:2], cfg.input_shape[:2], strict=True))
    if not height or not width:
        raise ValueError(f"{cfg.net.where()}: expected height and width in [net], got none")
    return height, width, input_shape[2]


def load_weights(
    model: keras.Model,
    cfg: Cfg,
    path: str | os.PathLike[str],
    skip_mismatch: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Filled:
    """Fill `model` from a Darknet weight file of the network `cfg`, and say which layers were filled.

    The model comes from `build_network` or has the same names. A file of the first layers alone leaves the
    others as they are. `skip_mismatch` does the same to layers of other shapes (heads for another number of
    classes, `cfg` being that of the file). `progress` is called with the layers done and their number. Raises
    ValueError, with the expected and the found size, before the model is touched. The inverse of
    `save_weights`.
    """
    file = open_weights(path, cfg, _model_input(model, cfg))
    names = [layer_name(stored.layer) for stored in file.filled]
    wrong = {name for name, stored in zip(names, file.filled, strict=True) if not _fits(model, stored)}
    if wrong and not skip_mismatch:
        raise ValueError(
            f"{file.path}: expected layers of the shapes of {cfg.source}, got others "
            f"in the model: {', '.join(sorted(wrong))}"
        )
    for done, (name, (layer, arrays)) in enumerate(zip(names, file.arrays(), strict=True), start=1):
        if name not in wrong:
            _fill(model, layer, arrays)
        if progress:
            progress(done, len(names))
    missing = tuple(layer_name(stored.layer) for stored in file.missing)
    return Filled(
        file,
        tuple(name for name in names if name not in wrong),
        missing,
        tuple(name for name in names if name in wrong),
    )


def save_weights(
    model: keras.Model,
    cfg: Cfg,
    path: str | os.PathLike[str],
    header: Header = DEFAULT_HEADER,
    upto: int | None = None,
) -> int:
    """Write the weights of `model` as a Darknet file and return its size in bytes.

    `upto` writes the layers of the cfg with an index below it alone, as Darknet's `partial` command. The file
    appears whole or not at all. The inverse of `load_weights`, to the last bit.
    """
    stored = layer_arrays(cfg, _model_input(model, cfg))
    if upto is not None:
        stored = tuple(layer for layer in stored if layer.layer.index < upto)
    return write_weights(path, header, ((layer, _take(model, layer.layer)) for layer in stored))


def layer_name(layer: Layer) -> str:
    """The name of the Keras layer that holds the weights of a cfg layer, such as `conv_0`."""
    return f"{_PREFIXES.get(layer.kind, layer.kind)}_{layer.number}"


def batch_norm_name(layer: Layer) -> str:
    """The name of the normalisation layer that follows, such as `bn_0`."""
    return f"bn_{layer.number}" if layer.kind == "convolutional" else f"{layer_name(layer)}_bn"


def is_depthwise(layer: Layer) -> bool:
    """Whether each input channel of a convolution is a group by itself."""
    return layer.options.groups > 1 and layer.options.groups == layer.in_shape[2]


def shared_layers(cfg: Cfg) -> list[str]:
    """Names of the Keras layers with weights that every head of the network reads through: its backbone.

    The convolution that makes a head's raw output is not among them.
    """
    layers = resolve_layers(cfg)
    shared = set.intersection(*(_before(layers, index) for index in output_indices(cfg)))
    names = []
    for layer in layers:
        if layer.index in shared and layer.kind in _WITH_WEIGHTS:
            names.append(layer_name(layer))
            names += [batch_norm_name(layer)] if getattr(layer.options, "batch_normalize", False) else []
    return names


def _before(layers: Sequence[Layer], index: int) -> set[int]:
    """Indices of the layers that a layer reads, directly or through others."""
    found: set[int] = set()
    waiting = [index]
    while waiting:
        sources = set(layers[waiting.pop()].sources) - {IMAGE} - found
        found |= sources
        waiting += sources
    return found


# Building


def _build(cfg: Cfg, input_shape: InputShape, batch_norm: type | None) -> _Network:
    shape = resolve_input_shape(cfg, input_shape) if needs_fixed_size(cfg) else input_shape
    network = _Network(batch_norm or kl.BatchNormalization, keras.Input(shape, name="image"))
    for layer in resolve_layers(cfg, shape):
        network.add(layer)
    return network


class _Network:
    """The Keras tensors of a network in the making: `outputs` has one for each layer so far."""

    def __init__(self, batch_norm: type, image: Any):
        self.image, self.batch_norm = image, batch_norm
        self.outputs: list[Any] = []

    def add(self, layer: Layer) -> None:
        """Append the output of one cfg layer."""
        inputs = [self.image if source == IMAGE else self.outputs[source] for source in layer.sources]
        if layer.kind != "connected":
            inputs = [_as_map(x) for x in inputs] if layer.kind not in _VECTOR_KINDS else inputs
        self.outputs.append(_BUILDERS[layer.kind](self, layer, inputs))
        if layer.kind == "dropout" and layer.index:
            # Darknet drops in place (parser.c:parse_network_cfg): later layers that name the one before see
            # dropped values too.
            self.outputs[layer.index - 1] = self.outputs[-1]

    def convolutional(self, layer: Layer, inputs: list[Any]) -> Any:
        x = _convolve(layer, inputs[0])
        if layer.options.batch_normalize:
            x = self._normalize(layer, x)
        return _activate(x, layer.options.activation, f"{layer.options.activation}_{layer.number}")

    def connected(self, layer: Layer, inputs: list[Any]) -> Any:
        options, name = layer.options, layer_name(layer)
        x = inputs[0] if len(inputs[0].shape) == 2 else kl.Flatten(name=f"{name}_flatten")(inputs[0])
        x = kl.Dense(options.output, use_bias=not options.batch_normalize, kernel_initializer="he_uniform", name=name)(
            x
        )
        if options.batch_normalize:
            x = self._normalize(layer, x)
        return _activate(x, options.activation, f"{name}_{options.activation}")

    def _normalize(self, layer: Layer, x: Any) -> Any:
        return self.batch_norm(epsilon=BN_EPSILON, momentum=BN_MOMENTUM, name=batch_norm_name(layer))(x)


def _as_map(x: Any) -> Any:
    """The output of a [connected] layer as Darknet sees it: 1 x 1 pixels."""
    return x if len(x.shape) == 4 else kl.Reshape((1, 1, x.shape[-1]))(x)


def _convolve(layer: Layer, x: Any) -> Any:
    """Cross-correlation with zeros on all four sides, as Darknet pads whatever the stride."""
    options = layer.options
    strides, subsample = options.strides, None
    if strides != (1, 1) and (options.dilation > 1 or (is_depthwise(layer) and strides[0] != strides[1])):
        strides, subsample = (
            (1, 1),
            options.strides,
        )  # Keras has no such layer: every place, then some of them
    same = strides == (1, 1) and options.size % 2 == 1 and options.padding == options.size // 2
    if options.padding and not same:
        x = kl.ZeroPadding2D(options.padding, name=f"pad_{layer.number}")(x)
    x = _convolution_layer(layer, strides, "same" if same else "valid")(x)
    return x if subsample is None else kl.MaxPooling2D(1, subsample, name=f"stride_{layer.number}")(x)


def _convolution_layer(layer: Layer, strides: tuple[int, int], padding: str) -> keras.Layer:
    options = layer.options
    arguments = {
        "strides": strides,
        "padding": padding,
        "dilation_rate": options.dilation,
        "use_bias": not options.batch_normalize,
        "name": layer_name(layer),
    }
    if is_depthwise(layer):
        multiplier = options.filters // options.groups
        return kl.DepthwiseConv2D(
            options.size, depth_multiplier=multiplier, depthwise_initializer="he_normal", **arguments
        )
    return kl.Conv2D(options.filters, options.size, groups=options.groups, kernel_initializer="he_normal", **arguments)


def _activate(x: Any, activation: str, name: str) -> Any:
    if activation == "linear":
        return x
    if activation == "leaky":
        return kl.LeakyReLU(negative_slope=LEAKY_SLOPE, name=name)(x)
    return kl.Activation(_KERAS_ACTIVATIONS[activation], name=name)(x)


def _maxpool(network: _Network, layer: Layer, inputs: list[Any]) -> Any:
    """Windows that begin at -(padding // 2) and leave out what is outside the image.

    Where TensorFlow's 'same' begins elsewhere, windows at every place are taken, and of them those that
    Darknet has.
    """
    options, name = layer.options, layer_name(layer)
    if options.padding == 0:
        return kl.MaxPooling2D(options.size, options.strides, "valid", name=name)(inputs[0])
    complete = options.padding == options.size - 1
    if complete and (options.strides == (1, 1) or (options.size == 2 and options.strides == (2, 2))):
        return kl.MaxPooling2D(options.size, options.strides, "same", name=name)(inputs[0])
    x = kl.MaxPooling2D(options.size, 1, "same", name=name)(inputs[0])
    surplus = options.size - 1 - options.padding
    before = (options.size - 1) // 2 - options.padding // 2
    if surplus:
        x = kl.Cropping2D(((before, surplus - before),) * 2, name=f"{name}_crop")(x)
    return x if options.strides == (1, 1) else kl.MaxPooling2D(1, options.strides, name=f"{name}_stride")(x)


def _avgpool(network: _Network, layer: Layer, inputs: list[Any]) -> Any:
    return kl.GlobalAveragePooling2D(keepdims=True, name=layer_name(layer))(inputs[0])


def _upsample(network: _Network, layer: Layer, inputs: list[Any]) -> Any:
    x = kl.UpSampling2D(layer.options.stride, interpolation="nearest", name=layer_name(layer))(inputs[0])
    return _scale(x, layer.options.scale, f"{layer_name(layer)}_scale")


def _scale(x: Any, factor: float, name: str) -> Any:
    return x if factor == 1 else kl.Rescaling(factor, name=name)(x)


def _route(network: _Network, layer: Layer, inputs: list[Any]) -> Any:
    name = layer_name(layer)
    parts = [_channel_group(x, layer, f"{name}_group_{place}") for place, x in enumerate(inputs)]
    return kl.Concatenate(name=name)(parts) if len(parts) > 1 else parts[0]


def _channel_group(x: Any, layer: Layer, name: str) -> Any:
    groups, group_id = layer.options.groups, layer.options.group_id
    if groups == 1:
        return x
    length = x.shape[-1] // groups
    crop = group_id * length, (groups - 1 - group_id) * length
    # Told that channels come first, the layer takes the channels of [B, H, W, C] for columns, and crops
    # those.
    return kl.Cropping2D(((0, 0), crop), data_format="channels_first", name=name)(x)


def _shortcut(network: _Network, layer: Layer, inputs: list[Any]) -> Any:
    options, name = layer.options, layer_name(layer)
    first, *others = inputs
    parts = [_scale(first, options.alpha, f"{name}_alpha")]
    parts += [_scale(x, options.beta, f"{name}_beta_{place}") for place, x in enumerate(others)]
    return _activate(kl.Add(name=name)(parts), options.activation, f"{name}_{options.activation}")


def _multiply(network: _Network, layer: Layer, inputs: list[Any]) -> Any:
    """[sam], both inputs of one shape, and [scale_channels], the first 1 x 1."""
    name = layer_name(layer)
    return _activate(kl.Multiply(name=name)(inputs), layer.options.activation, f"{name}_{layer.options.activation}")


def _dropout(network: _Network, layer: Layer, inputs: list[Any]) -> Any:
    return kl.Dropout(layer.options, name=layer_name(layer))(inputs[0])


def _local(network: _Network, layer: Layer, inputs: list[Any]) -> Any:
    options, name = layer.options, layer_name(layer)
    x = LocallyConnected2D(options.filters, options.size, options.stride, options.padding, name=name)(inputs[0])
    return _activate(x, options.activation, f"{name}_{options.activation}")


def _crop(network: _Network, layer: Layer, inputs: list[Any]) -> Any:
    """The middle, as Darknet takes when it does not train."""
    options, name = layer.options, layer_name(layer)
    surplus = layer.in_shape[0] - options.height, layer.in_shape[1] - options.width
    x = kl.Cropping2D(tuple((each // 2, each - each // 2) for each in surplus), name=name)(inputs[0])
    return kl.Rescaling(2.0, -1.0, name=f"{name}_adjust")(x) if options.adjust else x


def _reorg(network: _Network, layer: Layer, inputs: list[Any]) -> Any:
    """Pixels to channels, with the old order of `blas.c:reorg_cpu`.

    It reads its [C, H, W] input as if it were [C/s^2, H*s, W*s], and takes from that every s-th row and
    column.
    """
    stride, name = layer.options, layer_name(layer)
    height, width, channels = layer.in_shape
    x = kl.Permute((3, 1, 2), name=f"{name}_channels_first")(inputs[0])
    x = kl.Reshape((channels // stride**2, height, stride, width, stride), name=f"{name}_split")(x)
    x = kl.Permute((3, 5, 1, 2, 4), name=f"{name}_regroup")(x)  # [s, s, C/s^2, H, W]
    x = kl.Reshape((channels * stride**2, height // stride, width // stride), name=f"{name}_join")(x)
    return kl.Permute((2, 3, 1), name=name)(x)


def _softmax(network: _Network, layer: Layer, inputs: list[Any]) -> Any:
    return kl.Softmax(name=layer_name(layer))(inputs[0])


def _unchanged(network: _Network, layer: Layer, inputs: list[Any]) -> Any:
    return inputs[0]


_VECTOR_KINDS = (
    "connected",
    "dropout",
    "softmax",
    "cost",
    "detection",
)  # take [B, N] as well as [B, H, W, C]

_BUILDERS: Mapping[str, Callable[[_Network, Layer, list[Any]], Any]] = {
    "convolutional": _Network.convolutional,
    "connected": _Network.connected,
    "local": _local,
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "upsample": _upsample,
    "route": _route,
    "shortcut": _shortcut,
    "sam": _multiply,
    "scale_channels": _multiply,
    "dropout": _dropout,
    "crop": _crop,
    "reorg": _reorg,
    "softmax": _softmax,
    "cost": _unchanged,
    "detection": _unchanged,
    "yolo": _unchanged,
}


# Weights: Darknet's arrays to those of Keras layers, and back


def kernel_to_keras(layer: Layer, kernel: np.ndarray) -> np.ndarray:
    """A kernel of the file as Keras stores it. The inverse of `kernel_from_keras`.

    convolutional: [n, c/g, k, k] to [k, k, c/g, n], depthwise to [k, k, c, n/c]; connected: [out, C*H*W] to
    [H*W*C, out]; local: [oh*ow, n, c, k, k] to [oh, ow, k*k*c, n].
    """
    if layer.kind == "connected":
        height, width, channels = layer.in_shape
        return kernel.reshape(-1, channels, height, width).transpose(2, 3, 1, 0).reshape(kernel.shape[::-1])
    if layer.kind == "local":
        height, width, filters = layer.out_shape
        return kernel.transpose(0, 3, 4, 2, 1).reshape(height, width, -1, filters)
    if is_depthwise(layer):
        size, channels = layer.options.size, layer.in_shape[2]
        return kernel.reshape(channels, -1, size, size).transpose(2, 3, 0, 1)
    return kernel.transpose(2, 3, 1, 0)


def kernel_from_keras(layer: Layer, kernel: np.ndarray) -> np.ndarray:
    """A kernel of a Keras layer as the file stores it. The inverse of `kernel_to_keras`."""
    if layer.kind == "connected":
        return kernel.reshape(*layer.in_shape, -1).transpose(3, 2, 0, 1).reshape(kernel.shape[::-1])
    if layer.kind == "local":
        size, channels, filters = layer.options.size, layer.in_shape[2], layer.options.filters
        return kernel.reshape(-1, size, size, channels, filters).transpose(0, 4, 3, 1, 2)
    if is_depthwise(layer):
        return kernel.transpose(2, 3, 0, 1).reshape(layer.options.filters, 1, *kernel.shape[:2])
    return kernel.transpose(3, 2, 0, 1)


def bias_to_keras(layer: Layer, bias: np.ndarray) -> np.ndarray:
    return bias.transpose(1, 2, 0) if layer.kind == "local" else bias


def bias_from_keras(layer: Layer, bias: np.ndarray) -> np.ndarray:
    return bias.transpose(2, 0, 1) if layer.kind == "local" else bias


def _fill(model: keras.Model, layer: Layer, arrays: Mapping[str, np.ndarray]) -> None:
    for target, values in _keras_arrays(model, layer, arrays):
        target.set_weights(values)


def _keras_arrays(
    model: keras.Model, layer: Layer, arrays: Mapping[str, np.ndarray]
) -> Iterator[tuple[keras.Layer, list[np.ndarray]]]:
    kernel = kernel_to_keras(layer, arrays["kernel"])
    biases = [bias_to_keras(layer, arrays["bias"])] if "bias" in arrays else []
    yield model.get_layer(layer_name(layer)), [kernel, *biases]
    if "gamma" in arrays:
        yield (
            model.get_layer(batch_norm_name(layer)),
            [arrays[name] for name in ("gamma", "beta", "mean", "variance")],
        )


def _take(model: keras.Model, layer: Layer) -> dict[str, np.ndarray]:
    kernel, *biases = model.get_layer(layer_name(layer)).get_weights()
    arrays = {"kernel": kernel_from_keras(layer, kernel)}
    if biases:
        return {**arrays, "bias": bias_from_keras(layer, biases[0])}
    values = model.get_layer(batch_norm_name(layer)).get_weights()
    return {**arrays, **dict(zip(("gamma", "beta", "mean", "variance"), values, strict=True))}


def _fits(model: keras.Model, stored: LayerArrays) -> bool:
    """Whether the arrays of the file have the shapes of the layers in the model."""
    blank = {name: np.broadcast_to(np.float32(0), shape) for name, shape in stored.shapes.items()}
    pairs = _keras_arrays(model, stored.layer, blank)
    return all([w.shape for w in layer.weights] == [v.shape for v in values] for layer, values in pairs)


def _model_input(model: keras.Model, cfg: Cfg) -> InputShape | None:
    """The input shape of a model, where the arrays of its layers depend on it."""
    return model.input_shape[1:] if needs_fixed_size(cfg) else None


def _span(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
