"""Build the network of a Darknet cfg as a trainable Keras model.

All layers are stock Keras layers, except for [local] (`yolo3.darknet.local`) and a [shortcut] with learned factors
(`yolo3.darknet.weighted_sum`). Their names are those of
`yolo3.darknet.names`; `yolo3.darknet.keras_weights` reads and writes their weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers as kl

from yolo3.darknet.blocks import BN_EPSILON, BN_MOMENTUM, LEAKY_SLOPE
from yolo3.darknet.cfg import Cfg
from yolo3.darknet.heads import output_indices
from yolo3.darknet.layers import IMAGE, Layer, is_depthwise, needs_fixed_size, resolve_layers
from yolo3.darknet.local import LocallyConnected2D
from yolo3.darknet.names import batch_norm_name, layer_name
from yolo3.darknet.weighted_sum import WeightedSum

InputShape = tuple[int | None, int | None, int]
Builder = Callable[[Layer, list[Any]], Any]  # (layer, input tensors) to the tensor before normalization and activation

# Sections that take a vector [B, N] as well as a map [B, H, W, C].
_VECTOR_KINDS = ("connected", "dropout", "softmax", "cost", "detection")

_KERAS_ACTIVATIONS = {"relu": "relu", "logistic": "sigmoid", "mish": "mish", "swish": "silu"}

_BUILDERS: dict[str, Builder] = {}


def build_network(cfg: Cfg, input_shape: InputShape = (None, None, 3), batch_norm: type | None = None) -> keras.Model:
    """Build the network of a cfg with random weights.

    Args:
        cfg: The parsed cfg.
        input_shape: (height, width, channels) of the input in pixels. A side that is `None` stays open, or comes from
            the cfg where a layer needs a fixed size. With 3 channels, a network of grey images (`channels=1`) takes
            RGB images and computes their luminance.
        batch_norm: Class of the batch normalization layers: `keras.layers.BatchNormalization`, or one with the same
            arguments and weights.

    Returns:
        A model of RGB images [B, H, W, C] in 0..1. Its outputs, in the order of the cfg, are a list of the raw tensors
        [B, H', W', A*(5+C)] before each [yolo]; or the vector [B, N] before [detection], in Darknet's order; or else
        the output of the last layer.

    Raises:
        ValueError: With file and line, for a section or an option that is not supported.

    Example:
        >>> model = build_network(read_cfg("yolov3.cfg"))
        >>> [output.shape[-1] for output in model.outputs]
        [255, 255, 255]
    """
    image, outputs = _connect_layers(cfg, input_shape, batch_norm or kl.BatchNormalization)
    raw = [outputs[index] for index in output_indices(cfg)]
    has_heads = any(section.name == "yolo" for section in cfg.layers)
    return keras.Model(image, raw if has_heads else raw[0], name="darknet")


def build_all_outputs(cfg: Cfg, input_shape: InputShape = (None, None, 3)) -> keras.Model:
    """Build the network of a cfg with the output of every layer, for comparison with Darknet layer by layer."""
    image, outputs = _connect_layers(cfg, input_shape, kl.BatchNormalization)
    return keras.Model(image, outputs, name="darknet")


def _connect_layers(cfg: Cfg, input_shape: InputShape, batch_norm: type) -> tuple[Any, list[Any]]:
    """Return the input tensor and the output tensor of each layer."""
    if needs_fixed_size(cfg):
        height, width = (given or stated for given, stated in zip(input_shape[:2], cfg.input_shape[:2], strict=True))
        if not height or not width:
            raise ValueError(f"{cfg.net.where()}: expected height and width in [net], got none")
        input_shape = height, width, input_shape[2]

    image = keras.Input(input_shape, name="image")
    first = image
    if (cfg.input_shape[2], input_shape[2]) == (1, 3):
        first, input_shape = _to_grey(image), (*input_shape[:2], 1)
    outputs: list[Any] = []
    for layer in resolve_layers(cfg, input_shape):
        inputs = [first if source == IMAGE else outputs[source] for source in layer.sources]
        if layer.kind not in _VECTOR_KINDS:
            # Darknet sees the output of [connected] as a map of 1 x 1 pixels.
            inputs = [x if len(x.shape) == 4 else kl.Reshape((1, 1, x.shape[-1]))(x) for x in inputs]

        x = _BUILDERS[layer.kind](layer, inputs)
        if getattr(layer.options, "batch_normalize", False):
            x = batch_norm(epsilon=BN_EPSILON, momentum=BN_MOMENTUM, name=batch_norm_name(layer))(x)
        outputs.append(_activate(layer, x))

        if layer.kind == "dropout" and layer.index:
            # Darknet drops in place (parser.c:parse_network_cfg): layers that name the one before see dropped values.
            outputs[layer.index - 1] = outputs[-1]
    return image, outputs


def _to_grey(image: Any) -> Any:
    """Return the luminance [B, H, W, 1] of RGB images, with the weights of ITU-R BT.601, by layers without weights."""
    parts = []
    for channel, (name, factor) in enumerate({"red": 0.299, "green": 0.587, "blue": 0.114}.items()):
        crop = ((0, 0), (channel, 2 - channel))
        # With "channels_first" the layer takes the channels of [B, H, W, C] for columns, and crops those.
        x = kl.Cropping2D(crop, data_format="channels_first", name=f"grey_{name}")(image)
        parts.append(kl.Rescaling(factor, name=f"grey_{name}_weight")(x))
    return kl.Add(name="grey")(parts)


def _activate(layer: Layer, x: Any) -> Any:
    """Apply the activation of a layer that has one."""
    activation = getattr(layer.options, "activation", "linear")
    if activation == "linear":
        return x
    is_convolution = layer.kind == "convolutional"
    name = f"{activation}_{layer.number}" if is_convolution else f"{layer_name(layer)}_{activation}"
    if activation == "leaky":
        return kl.LeakyReLU(negative_slope=LEAKY_SLOPE, name=name)(x)
    return kl.Activation(_KERAS_ACTIVATIONS[activation], name=name)(x)


def _builds(*kinds: str) -> Callable[[Builder], Builder]:
    """Register the builder of the layers of these kinds."""

    def register(builder: Builder) -> Builder:
        _BUILDERS.update(dict.fromkeys(kinds, builder))
        return builder

    return register


@_builds("convolutional")
def _convolutional(layer: Layer, inputs: list[Any]) -> Any:
    """Cross-correlate with zeros on all four sides, as Darknet pads whatever the stride."""
    options, x = layer.options, inputs[0]
    strides, subsample = options.strides, None
    if strides != (1, 1) and (options.dilation > 1 or (is_depthwise(layer) and strides[0] != strides[1])):
        # Keras has no such layer: convolve at every position, then keep some of them.
        strides, subsample = (1, 1), options.strides
    same = strides == (1, 1) and options.size % 2 == 1 and options.padding == options.size // 2
    if options.padding and not same:
        x = kl.ZeroPadding2D(options.padding, name=f"pad_{layer.number}")(x)

    arguments = {
        "strides": strides,
        "padding": "same" if same else "valid",
        "dilation_rate": options.dilation,
        "use_bias": not options.batch_normalize,
        "name": layer_name(layer),
    }
    if is_depthwise(layer):
        multiplier = options.filters // options.groups
        convolution = kl.DepthwiseConv2D(
            options.size, depth_multiplier=multiplier, depthwise_initializer="he_normal", **arguments
        )
    else:
        convolution = kl.Conv2D(
            options.filters, options.size, groups=options.groups, kernel_initializer="he_normal", **arguments
        )
    x = convolution(x)
    return x if subsample is None else kl.MaxPooling2D(1, subsample, name=f"stride_{layer.number}")(x)


@_builds("connected")
def _connected(layer: Layer, inputs: list[Any]) -> Any:
    options, name, x = layer.options, layer_name(layer), inputs[0]
    if len(x.shape) != 2:
        x = kl.Flatten(name=f"{name}_flatten")(x)  # [B, H*W*C]
    use_bias = not options.batch_normalize
    return kl.Dense(options.output, use_bias=use_bias, kernel_initializer="he_uniform", name=name)(x)


@_builds("local")
def _local(layer: Layer, inputs: list[Any]) -> Any:
    options = layer.options
    local = LocallyConnected2D(
        filters=options.filters,
        size=options.size,
        stride=options.stride,
        padding=options.padding,
        name=layer_name(layer),
    )
    return local(inputs[0])


@_builds("maxpool")
def _maxpool(layer: Layer, inputs: list[Any]) -> Any:
    """Pool over windows that start at -(padding // 2) and ignore what is outside the image.

    Where windows of TensorFlow's `same` start elsewhere, pool at every position and keep Darknet's positions.
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


@_builds("avgpool")
def _avgpool(layer: Layer, inputs: list[Any]) -> Any:
    return kl.GlobalAveragePooling2D(keepdims=True, name=layer_name(layer))(inputs[0])


@_builds("upsample")
def _upsample(layer: Layer, inputs: list[Any]) -> Any:
    name = layer_name(layer)
    x = kl.UpSampling2D(layer.options.stride, interpolation="nearest", name=name)(inputs[0])
    return _scale(x, layer.options.scale, f"{name}_scale")


@_builds("route")
def _route(layer: Layer, inputs: list[Any]) -> Any:
    name, groups, group_id = layer_name(layer), layer.options.groups, layer.options.group_id
    parts = []
    for place, x in enumerate(inputs):
        if groups > 1:
            length = x.shape[-1] // groups
            crop = group_id * length, (groups - 1 - group_id) * length
            # With "channels_first" the layer takes the channels of [B, H, W, C] for columns, and crops those.
            x = kl.Cropping2D(((0, 0), crop), data_format="channels_first", name=f"{name}_group_{place}")(x)
        parts.append(x)
    return kl.Concatenate(name=name)(parts) if len(parts) > 1 else parts[0]


@_builds("shortcut")
def _shortcut(layer: Layer, inputs: list[Any]) -> Any:
    options, name = layer.options, layer_name(layer)
    first, *others = inputs
    parts = [_scale(first, options.alpha, f"{name}_alpha")]
    for place, (x, stride) in enumerate(zip(others, options.strides, strict=True)):
        if stride > 1:
            x = kl.MaxPooling2D(1, stride, name=f"{name}_stride_{place}")(x)
        x = _with_channels(x, first.shape[-1], f"{name}_channels_{place}")
        parts.append(_scale(x, options.beta, f"{name}_beta_{place}"))

    if options.weights:
        return WeightedSum(per_channel=options.weights > 1, normalization=options.normalization, name=name)(parts)
    return kl.Add(name=name)(parts)


def _with_channels(x: Any, channels: int, name: str) -> Any:
    """Return the first channels of features, with zeros for those that they lack."""
    surplus = x.shape[-1] - channels
    # With "channels_first" both layers take the channels of [B, H, W, C] for columns.
    if surplus > 0:
        return kl.Cropping2D(((0, 0), (0, surplus)), data_format="channels_first", name=name)(x)
    if surplus < 0:
        return kl.ZeroPadding2D(((0, 0), (0, -surplus)), data_format="channels_first", name=name)(x)
    return x


@_builds("sam", "scale_channels")
def _multiply(layer: Layer, inputs: list[Any]) -> Any:
    """Multiply element by element: maps of one shape for [sam], the first 1 x 1 for [scale_channels]."""
    return kl.Multiply(name=layer_name(layer))(inputs)


@_builds("dropout")
def _dropout(layer: Layer, inputs: list[Any]) -> Any:
    return kl.Dropout(layer.options, name=layer_name(layer))(inputs[0])


@_builds("crop")
def _crop(layer: Layer, inputs: list[Any]) -> Any:
    """Crop the center, as Darknet does when it does not train."""
    options, name = layer.options, layer_name(layer)
    surplus = layer.in_shape[0] - options.height, layer.in_shape[1] - options.width
    x = kl.Cropping2D(tuple((each // 2, each - each // 2) for each in surplus), name=name)(inputs[0])
    return kl.Rescaling(2.0, -1.0, name=f"{name}_adjust")(x) if options.adjust else x


@_builds("reorg")
def _reorg(layer: Layer, inputs: list[Any]) -> Any:
    """Move pixels to channels in the old order of `blas.c:reorg_cpu`.

    It reads its input [C, H, W] as if it were [C/s^2, H*s, W*s], and takes every s-th row and column of that.
    """
    stride, name = layer.options, layer_name(layer)
    height, width, channels = layer.in_shape
    x = kl.Permute((3, 1, 2), name=f"{name}_channels_first")(inputs[0])  # [B, C, H, W]
    x = kl.Reshape((channels // stride**2, height, stride, width, stride), name=f"{name}_split")(x)
    x = kl.Permute((3, 5, 1, 2, 4), name=f"{name}_regroup")(x)  # [B, s, s, C/s^2, H, W]
    x = kl.Reshape((channels * stride**2, height // stride, width // stride), name=f"{name}_join")(x)
    return kl.Permute((2, 3, 1), name=name)(x)  # [B, H/s, W/s, C*s^2]


@_builds("softmax")
def _softmax(layer: Layer, inputs: list[Any]) -> Any:
    return kl.Softmax(name=layer_name(layer))(inputs[0])


@_builds("cost", "detection", "yolo")
def _identity(layer: Layer, inputs: list[Any]) -> Any:
    return inputs[0]


def _scale(x: Any, factor: float, name: str) -> Any:
    return x if factor == 1 else kl.Rescaling(factor, name=name)(x)
