"""Options and output shape of each section of a cfg: one record and one reader per section.

Defaults and formulas are those of Darknet's `src/parser.c:parse_<section>` and of the layer's own C file. An option
that would change the arithmetic in a way that is not implemented raises `ValueError` with file and line, so that
nothing is left out silently. No TensorFlow and no weights.

A new section is a reader here, a builder in `network.py` and, if it has weights, their shapes in `weights.py`. The file
is long because each section stands here once, in the same form; none depends on another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo3.darknet.cfg import Section

Shape = tuple[int, int, int]  # (height, width, channels)
Reader = Callable[[Section, list[Shape]], tuple[Any, Shape]]  # (section, input shapes) to (options, output shape)

NORMALIZATIONS = ("none", "relu", "softmax")
"""Of the learned factors of a [shortcut]: none, positive parts that add up to 1, or the softmax."""

ACTIVATIONS = ("linear", "leaky", "relu", "logistic", "mish", "swish")

# Options that leave out a part of the weight file (parser.c:load_weights_upto), with the value that does not.
_LOADING = {"dontload": 0, "dontsave": 0, "dontloadscales": 0, "numload": 0}

_READERS: dict[str, Reader] = {}


def read_section(section: Section, in_shapes: list[Shape]) -> tuple[Any, Shape]:
    """Read the options of a section and compute the shape of its output.

    Args:
        section: A section of a cfg other than [net].
        in_shapes: Shapes (height, width, channels) of the layers that it reads.

    Returns:
        The pair (options, output shape). Options are the record of the section, such as `Convolution`; a float for
        [dropout], an int for [reorg]; `None` for a section without options.

    Raises:
        ValueError: With file and line, for a section or an option that is not supported, and for shapes that do not
            fit.
    """
    if section.name not in _READERS:
        raise ValueError(
            f"{section.where()}: [{section.name}] is not supported; expected one of {', '.join(sorted(_READERS))}"
        )

    options, out_shape = _READERS[section.name](section, in_shapes)
    if min(out_shape) < 1:
        got = format_shape(in_shapes[0])
        raise ValueError(f"{section.where()}: expected an input large enough for [{section.name}], got {got}")
    return options, out_shape


def format_shape(shape: Shape) -> str:
    """Return a shape as messages show it, such as `13x13x255`."""
    return "x".join(str(length) for length in shape)


def _reads(*names: str) -> Callable[[Reader], Reader]:
    """Register the reader of the sections of these names."""

    def register(reader: Reader) -> Reader:
        _READERS.update(dict.fromkeys(names, reader))
        return reader

    return register


@dataclass(frozen=True)
class Convolution:
    """Options of [convolutional].

    Attributes:
        filters: Channels of the output.
        size: Side of the square kernel in pixels.
        strides: (vertical, horizontal) in pixels.
        padding: Zeros on each of the four sides, in pixels.
        groups: Groups of channels that are convolved apart.
        dilation: Distance of the kernel's pixels.
        batch_normalize: Whether batch normalization takes the place of the bias.
        activation: One of `ACTIVATIONS`.
    """

    filters: int
    size: int
    strides: tuple[int, int]
    padding: int
    groups: int
    dilation: int
    batch_normalize: bool
    activation: str


@_reads("convolutional")
def _convolutional(section: Section, in_shapes: list[Shape]) -> tuple[Convolution, Shape]:
    extras = "flipped xnor binary bin_output antialiasing deform sway rotate stretch stretch_sway assisted_excitation"
    _refuse_options(section, {**_LOADING, **dict.fromkeys(extras.split(), 0)})
    height, width, channels = in_shapes[0]
    size = _positive(section, "size", 1)
    padding = size // 2 if section.integer("pad", 0) else section.integer("padding", 0)
    dilation = 1 if size == 1 else _positive(section, "dilation", 1)
    groups = _positive(section, "groups", 1)
    filters = _positive(section, "filters", 1)

    if channels % groups or filters % groups:
        raise ValueError(
            f"{section.where('groups')}: expected 'groups' to divide {channels} channels and {filters} filters, "
            f"got {groups}"
        )
    # Darknet's output size ignores the dilation (convolutional_out_height), which is right for this padding only.
    if dilation > 1 and (size % 2 == 0 or padding != size // 2):
        raise ValueError(
            f"{section.where('dilation')}: expected an odd size and pad=1 with a dilation, "
            f"got size {size}, padding {padding}"
        )

    vertical, horizontal = strides = _strides(section)
    options = Convolution(
        filters=filters,
        size=size,
        strides=strides,
        padding=padding,
        groups=groups,
        dilation=dilation,
        batch_normalize=bool(section.integer("batch_normalize", 0)),
        activation=_activation(section, "logistic"),
    )
    out_height = (height + 2 * padding - size) // vertical + 1
    out_width = (width + 2 * padding - size) // horizontal + 1
    return options, (out_height, out_width, filters)


@dataclass(frozen=True)
class Pooling:
    """Options of [maxpool].

    Attributes:
        size: Side of the square window in pixels.
        strides: (vertical, horizontal) in pixels.
        padding: Total over both sides in pixels; the first window starts at -(padding // 2).
    """

    size: int
    strides: tuple[int, int]
    padding: int


@_reads("maxpool")
def _maxpool(section: Section, in_shapes: list[Shape]) -> tuple[Pooling, Shape]:
    _refuse_options(section, {"maxpool_depth": 0, "antialiasing": 0})
    height, width, channels = in_shapes[0]
    vertical, horizontal = strides = _strides(section)
    size = _positive(section, "size", section.integer("stride", 1))
    padding = section.integer("padding", size - 1)
    if not 0 <= padding < size:
        raise ValueError(
            f"{section.where('padding')}: expected a padding from 0 to size - 1 = {size - 1}, got {padding}"
        )

    out_shape = (height + padding - size) // vertical + 1, (width + padding - size) // horizontal + 1, channels
    return Pooling(size, strides, padding), out_shape


@_reads("avgpool")
def _avgpool(section: Section, in_shapes: list[Shape]) -> tuple[None, Shape]:
    return None, (1, 1, in_shapes[0][2])


@dataclass(frozen=True)
class Upsample:
    """Options of [upsample].

    Attributes:
        stride: Times that each row and column is repeated.
        scale: Factor of the values.
    """

    stride: int
    scale: float


@_reads("upsample")
def _upsample(section: Section, in_shapes: list[Shape]) -> tuple[Upsample, Shape]:
    height, width, channels = in_shapes[0]
    stride = _positive(section, "stride", 2)  # Darknet downsamples with a negative one
    return Upsample(stride, section.number("scale", 1.0)), (height * stride, width * stride, channels)


@dataclass(frozen=True)
class Route:
    """Options of [route]: of each source, channels [group_id * C / groups, (group_id + 1) * C / groups)."""

    groups: int
    group_id: int


@_reads("route")
def _route(section: Section, in_shapes: list[Shape]) -> tuple[Route, Shape]:
    groups, group_id = _positive(section, "groups", 1), section.integer("group_id", 0)
    if not 0 <= group_id < groups:
        raise ValueError(f"{section.where('group_id')}: expected a group_id from 0 to {groups - 1}, got {group_id}")
    if len({shape[:2] for shape in in_shapes}) > 1:
        shapes = ", ".join(map(format_shape, in_shapes))
        raise ValueError(
            f"{section.where('layers')}: expected layers of one size in [route], got {shapes} "
            "(is the input size a multiple of the stride?)"
        )
    for _, _, channels in in_shapes:
        if channels % groups:
            raise ValueError(
                f"{section.where('groups')}: expected 'groups' to divide {channels} channels, got {groups}"
            )

    height, width, _ = in_shapes[0]
    return Route(groups, group_id), (height, width, sum(shape[2] // groups for shape in in_shapes))


@dataclass(frozen=True)
class Shortcut:
    """Options of [shortcut], which adds layers to the one before.

    Of a layer with other channels the first ones are added, as many as both have; of a larger one every n-th row and
    column.

    Attributes:
        activation: One of `ACTIVATIONS`.
        alpha: Factor of the layer before.
        beta: Factor of the other layers.
        strides: For each other layer, which rows and columns are added: every n-th.
        weights: Learned factors of each layer: 0 for none, 1, or one per channel.
        normalization: How the factors of one channel are normalized: one of `NORMALIZATIONS`.
    """

    activation: str
    alpha: float = 1.0
    beta: float = 1.0
    strides: tuple[int, ...] = (1,)
    weights: int = 0
    normalization: str = "none"


@_reads("shortcut")
def _shortcut(section: Section, in_shapes: list[Shape]) -> tuple[Shortcut, Shape]:
    (height, width, channels), *others = in_shapes
    strides = []
    for other in others:
        stride = max(other[0] // height, 1)
        if other[:2] != (height * stride, width * stride):
            raise ValueError(
                f"{section.where('from')}: expected layers of one size in [shortcut], or larger by a whole factor, "
                f"got {', '.join(map(format_shape, in_shapes))}"
            )
        strides.append(stride)

    weights = {"none": 0, "per_feature": 1, "per_layer": 1, "per_channel": channels}
    normalization = {"none": "none", "relu": "relu", "avg_relu": "relu", "softmax": "softmax"}
    kind, norm = section.text("weights_type", "none"), section.text("weights_normalization", "none")
    for key, value, known in (("weights_type", kind, weights), ("weights_normalization", norm, normalization)):
        if value not in known:
            raise ValueError(f"{section.where(key)}: expected {key} of {', '.join(known)} in [shortcut], got '{value}'")

    options = Shortcut(
        activation=_activation(section, "linear"),
        alpha=section.number("alpha", 1.0),
        beta=section.number("beta", 1.0),
        strides=tuple(strides),
        weights=weights[kind],
        normalization=normalization[norm] if weights[kind] else "none",
    )
    # pjreddie's Darknet scales only those channels of the layer before that something is added to.
    if options.alpha != 1 and any(other[2] < channels for other in others):
        raise ValueError(
            f"{section.where('alpha')}: expected alpha=1 where a layer of fewer channels is added, "
            f"got {options.alpha:g}"
        )
    if options.weights and (options.alpha, options.beta) != (1, 1):
        raise ValueError(
            f"{section.where('weights_type')}: expected no alpha and beta besides a weights_type, got both"
        )
    return options, in_shapes[0]


@dataclass(frozen=True)
class Merge:
    """Options of [sam] and [scale_channels]: the activation, one of `ACTIVATIONS`."""

    activation: str


@_reads("sam")
def _sam(section: Section, in_shapes: list[Shape]) -> tuple[Merge, Shape]:
    _check_same_shapes(section, in_shapes)
    return Merge(_activation(section, "linear")), in_shapes[0]


@_reads("scale_channels")
def _scale_channels(section: Section, in_shapes: list[Shape]) -> tuple[Merge, Shape]:
    _refuse_options(section, {"scale_wh": 0})
    factors, scaled = in_shapes[0], in_shapes[1]
    if factors != (1, 1, scaled[2]):
        got = format_shape(factors)
        raise ValueError(f"{section.where()}: expected a layer of 1x1x{scaled[2]} before [scale_channels], got {got}")
    return Merge(_activation(section, "linear")), scaled


@_reads("dropout")
def _dropout(section: Section, in_shapes: list[Shape]) -> tuple[float, Shape]:
    _refuse_options(section, {"dropblock": 0})
    probability = section.number("probability", 0.5)
    if not 0 <= probability < 1:
        raise ValueError(
            f"{section.where('probability')}: expected a probability of at least 0 and below 1, got {probability}"
        )
    return probability, in_shapes[0]


@dataclass(frozen=True)
class Local:
    """Options of [local], a convolution with a kernel of its own at each position; see `Convolution`."""

    filters: int
    size: int
    stride: int
    padding: int
    activation: str


@_reads("local")
def _local(section: Section, in_shapes: list[Shape]) -> tuple[Local, Shape]:
    height, width, _ = in_shapes[0]
    size, stride, padding = _positive(section, "size", 1), _positive(section, "stride", 1), section.integer("pad", 0)
    # The layer pads by `pad` pixels, but its output size assumes size // 2 (local_layer.c:local_out_height).
    if padding not in (0, 1) or (padding and size != 3):
        raise ValueError(
            f"{section.where('pad')}: expected pad=0, or pad=1 with size=3, in [local], "
            f"got pad={padding} with size={size}"
        )
    filters = _positive(section, "filters", 1)
    out_height, out_width = ((side + 2 * padding - size) // stride + 1 for side in (height, width))
    options = Local(
        filters=filters, size=size, stride=stride, padding=padding, activation=_activation(section, "logistic")
    )
    return options, (out_height, out_width, filters)


@dataclass(frozen=True)
class Connected:
    """Options of [connected], a dense layer of `output` units; see `Convolution`."""

    output: int
    batch_normalize: bool
    activation: str


@_reads("connected")
def _connected(section: Section, in_shapes: list[Shape]) -> tuple[Connected, Shape]:
    _refuse_options(section, _LOADING)
    output = _positive(section, "output", 1)
    options = Connected(output, bool(section.integer("batch_normalize", 0)), _activation(section, "logistic"))
    return options, (1, 1, output)


@dataclass(frozen=True)
class Crop:
    """Options of [crop]: the center of `height` x `width` pixels; `adjust` maps 0..1 to -1..1."""

    height: int
    width: int
    adjust: bool


@_reads("crop")
def _crop(section: Section, in_shapes: list[Shape]) -> tuple[Crop, Shape]:
    height, width, channels = in_shapes[0]
    crop_height, crop_width = section.integer("crop_height", 1), section.integer("crop_width", 1)
    if not (0 < crop_height <= height and 0 < crop_width <= width):
        shape = format_shape(in_shapes[0])
        raise ValueError(f"{section.where()}: expected a crop inside {shape}, got {crop_height}x{crop_width}")
    options = Crop(crop_height, crop_width, adjust=not section.integer("noadjust", 0))
    return options, (crop_height, crop_width, channels)


@_reads("reorg")
def _reorg(section: Section, in_shapes: list[Shape]) -> tuple[int, Shape]:
    _refuse_options(section, {"reverse": 0, "flatten": 0, "extra": 0})
    height, width, channels = in_shapes[0]
    stride = _positive(section, "stride", 1)
    if height % stride or width % stride or channels % stride**2:
        raise ValueError(
            f"{section.where('stride')}: expected a stride that divides {height}x{width} and whose square divides "
            f"{channels} channels, got {stride}"
        )

    return stride, (height // stride, width // stride, channels * stride**2)


@_reads("softmax")
def _softmax(section: Section, in_shapes: list[Shape]) -> tuple[None, Shape]:
    _refuse_options(section, {"groups": 1, "temperature": 1, "spatial": 0})
    if in_shapes[0][:2] != (1, 1):
        raise ValueError(f"{section.where()}: expected a vector before [softmax], got {format_shape(in_shapes[0])}")
    return None, in_shapes[0]


@_reads("cost")
def _cost(section: Section, in_shapes: list[Shape]) -> tuple[None, Shape]:
    return None, in_shapes[0]


@_reads("detection")
def _detection(section: Section, in_shapes: list[Shape]) -> tuple[None, Shape]:
    side, classes = section.integer("side", 7), section.integer("classes", 1)
    boxes, coords = section.integer("num", 1), section.integer("coords", 1)

    expected, got = side**2 * (classes + boxes * (1 + coords)), int(np.prod(in_shapes[0]))
    if expected != got:
        raise ValueError(
            f"{section.where()}: expected side^2 * (classes + num * (1 + coords)) = {expected} numbers before "
            f"[detection], got {got}"
        )
    return None, in_shapes[0]


@dataclass(frozen=True)
class YoloHead:
    """One [yolo] section.

    Attributes:
        anchors: All anchors of the section, float32 [N, 2], (w, h) in pixels of the network input.
        mask: Indices of the A anchors that this head uses.
        classes: Number of classes C.
        scale_x_y: Factor by which box centers may leave their cell.
        ignore_thresh: IoU with a ground-truth box from which a prediction is not a negative example.
        truth_thresh: IoU with a ground-truth box from which a prediction is a positive example.
        new_coords: Whether boxes are coded as in Scaled-YOLOv4.
        grid_shape: (rows, columns) of cells at the input size of the cfg.
        section: The section itself.
        stride: Input pixels per cell; known once the whole network is, so only `heads.yolo_heads` sets it.
    """

    anchors: np.ndarray
    mask: tuple[int, ...]
    classes: int
    scale_x_y: float
    ignore_thresh: float
    truth_thresh: float
    new_coords: bool
    grid_shape: tuple[int, int]
    section: Section
    stride: int = 0


@_reads("yolo")
def _yolo(section: Section, in_shapes: list[Shape]) -> tuple[YoloHead, Shape]:
    number = section.integer("num", 1)
    values = section.numbers("anchors", (0.5,) * (2 * number))  # parser.c:parse_yolo: all .5 where none are given
    mask = section.integers("mask", tuple(range(number)))
    if not values or len(values) % 2:
        raise ValueError(
            f"{section.where('anchors')}: expected pairs of width and height for 'anchors', got {len(values)} numbers"
        )
    if min(values) <= 0:
        raise ValueError(
            f"{section.where('anchors')}: expected widths and heights above 0 for 'anchors', got {min(values):g}"
        )
    if not mask or not all(0 <= index < len(values) // 2 for index in mask):
        raise ValueError(
            f"{section.where('mask')}: expected a mask of anchors 0 to {len(values) // 2 - 1}, the {len(values) // 2} "
            f"of 'anchors', got {','.join(map(str, mask))}"
        )

    head = YoloHead(
        anchors=np.array(values, np.float32).reshape(-1, 2),
        mask=mask,
        classes=section.integer("classes", 20),
        scale_x_y=section.number("scale_x_y", 1.0),
        ignore_thresh=section.number("ignore_thresh", 0.5),
        truth_thresh=section.number("truth_thresh", 1.0),
        new_coords=bool(section.integer("new_coords", 0)),
        grid_shape=in_shapes[0][:2],
        section=section,
    )
    expected, got = len(mask) * (5 + head.classes), in_shapes[0][2]
    if expected != got:
        raise ValueError(
            f"{section.where()}: expected {len(mask)} anchors * (5 + {head.classes} classes) = {expected} filters "
            f"before [yolo], got {got}"
        )
    return head, in_shapes[0]


def _activation(section: Section, default: str) -> str:
    name = section.text("activation", default)
    if name not in ACTIVATIONS:
        where = section.where("activation")
        known = ", ".join(ACTIVATIONS)
        raise ValueError(f"{where}: expected an activation of {known} in [{section.name}], got '{name}'")
    return name


def _positive(section: Section, key: str, default: int) -> int:
    value = section.integer(key, default)
    if value < 1:
        raise ValueError(f"{section.where(key)}: expected '{key}' in [{section.name}] to be 1 or more, got {value}")
    return value


def _strides(section: Section) -> tuple[int, int]:
    """Return (vertical, horizontal) strides."""
    stride = _positive(section, "stride", 1)
    return _positive(section, "stride_y", stride), _positive(section, "stride_x", stride)


def _check_same_shapes(section: Section, in_shapes: list[Shape]) -> None:
    if len(set(in_shapes)) > 1:
        shapes = ", ".join(map(format_shape, in_shapes))
        raise ValueError(f"{section.where('from')}: expected layers of one shape in [{section.name}], got {shapes}")


def _refuse_options(section: Section, supported: Mapping[str, float]) -> None:
    """Raise for options that would change the arithmetic; `supported` has the one value of each that does not."""
    for key, value in supported.items():
        if key in section.options and section.number(key) != value:
            raise ValueError(
                f"{section.where(key)}: expected {key}={value}; '{key}={section.text(key)}' in [{section.name}] "
                "is not supported"
            )
