"""What each section of a cfg means: where a layer reads, its sizes, its options. No TensorFlow and no
weights.

`resolve_layers` walks a cfg as Darknet's `parser.c:parse_network_cfg` does and refuses, by name and line,
what this project does not compute, so that nothing is ever left out in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo3.darknet.cfg import Cfg, Section, replace_option

Shape = tuple[int, int, int]  # (height, width, channels)

IMAGE = -1  # the index of the network input among the sources of a layer

ACTIVATIONS = ("linear", "leaky", "relu", "logistic", "mish", "swish")

# A network whose cfg says no size is walked at this one: yolov3's.
DEFAULT_SIZE = 416


@dataclass(frozen=True)
class Convolution:
    """Options of [convolutional]. `padding` is in pixels, on all four sides; strides are (vertical,
    horizontal).
    """

    filters: int
    size: int
    strides: tuple[int, int]
    padding: int
    groups: int
    dilation: int
    batch_normalize: bool
    activation: str


@dataclass(frozen=True)
class Pooling:
    """Options of [maxpool]. `padding` is the total over both sides; the first window begins at -(padding //
    2).
    """

    size: int
    strides: tuple[int, int]
    padding: int


@dataclass(frozen=True)
class Local:
    """Options of [local]: a convolution whose weights differ from place to place."""

    filters: int
    size: int
    stride: int
    padding: int
    activation: str


@dataclass(frozen=True)
class Connected:
    """Options of [connected]."""

    output: int
    batch_normalize: bool
    activation: str


@dataclass(frozen=True)
class Crop:
    """Options of [crop]: its middle is cut out, and `adjust` maps 0..1 to -1..1."""

    height: int
    width: int
    adjust: bool


@dataclass(frozen=True)
class Merge:
    """Options of [shortcut], [sam], [scale_channels]: `alpha` times the layer before, `beta` times the
    others.
    """

    activation: str
    alpha: float = 1.0
    beta: float = 1.0


@dataclass(frozen=True)
class Route:
    """Options of [route]: of each source only channels [group_id * c/groups, (group_id + 1) * c/groups)."""

    groups: int
    group_id: int


@dataclass(frozen=True)
class Upsample:
    """Options of [upsample]."""

    stride: int
    scale: float


@dataclass(frozen=True)
class YoloHead:
    """One [yolo] section.

    `anchors` are all anchors of the section, float [N, 2], (w, h) in pixels of the network input, of which
    `mask` names the A that this head uses. `grid_shape` and `stride` (input pixels per cell) hold at the size
    that the cfg states.
    """

    anchors: np.ndarray
    mask: tuple[int, ...]
    classes: int
    scale_x_y: float
    ignore_thresh: float
    truth_thresh: float
    new_coords: bool
    grid_shape: tuple[int, int]
    stride: int
    section: Section


@dataclass(frozen=True)
class Layer:
    """A section in its place. `number` counts the layers of this kind from 0; `sources` are layer indices,
    IMAGE for the input.
    """

    index: int
    number: int
    section: Section
    sources: tuple[int, ...]
    in_shape: Shape
    out_shape: Shape
    options: Any = None

    @property
    def kind(self) -> str:
        return self.section.name

    def __str__(self) -> str:
        return f"layer {self.index} [{self.kind}] ({self.section.where()})"


def resolve_layers(cfg: Cfg, input_shape: tuple[int | None, int | None, int] | None = None) -> tuple[Layer, ...]:
    """Every layer of `cfg` with its sources, shapes and options.

    `input_shape` is (height, width, channels) in pixels; what it leaves open (None) comes from the cfg.
    Raises ValueError, with file and line, for a section or an option that this project does not compute, a
    source that does not exist, and shapes that do not fit.
    """
    image_shape = _image_shape(cfg, input_shape)
    layers: list[Layer] = []
    numbers: dict[str, int] = {}
    for index, section in enumerate(cfg.layers):
        if section.name not in _KINDS:
            raise ValueError(
                f"{section.where()}: expected one of {', '.join(sorted(_KINDS))}, got "
                f"[{section.name}], which this project does not compute"
            )
        sources = _sources(section, index)
        in_shapes = [image_shape if source == IMAGE else layers[source].out_shape for source in sources]
        options, out_shape = _KINDS[section.name](section, in_shapes)
        if min(out_shape) < 1:
            raise ValueError(
                f"{section.where()}: expected an input large enough for [{section.name}], got {_size(in_shapes[0])}"
            )
        number = numbers.get(section.name, 0)
        numbers[section.name] = number + 1
        layers.append(Layer(index, number, section, sources, in_shapes[0], out_shape, options))
        if section.name == "yolo":
            _check_head(layers[-1])
    return tuple(layers)


def needs_fixed_size(cfg: Cfg) -> bool:
    """Whether the network works at one input size alone, because a layer of it flattens, crops or has weights
    for each place.
    """
    return any(section.name in ("connected", "local", "crop", "reorg") for section in cfg.layers)


def output_indices(cfg: Cfg) -> tuple[int, ...]:
    """Indices of the layers whose outputs are the raw outputs of the network: those read by [yolo] or
    [detection], else the last one.
    """
    heads = tuple(index - 1 for index, section in enumerate(cfg.layers) if section.name in ("yolo", "detection"))
    return heads or (len(cfg.layers) - 1,)


def yolo_heads(cfg: Cfg) -> tuple[YoloHead, ...]:
    """The [yolo] sections in the order of the cfg, which is the order of the network's outputs. Empty for a
    network without any.
    """
    height = _image_shape(cfg, None)[0]
    return tuple(_yolo_head(layer, height) for layer in resolve_layers(cfg) if layer.kind == "yolo")


def joined_anchors(heads: Sequence[YoloHead]) -> tuple[list[list[float]], list[list[int]]]:
    """One list of anchors [w, h] for all heads, and the indices in it of each head: as in the cfg where all
    [yolo] sections have the same list.
    """
    lists: list[list[list[float]]] = []
    masks = []
    for head in heads:
        values = [[float(f"{length:.6g}") for length in pair] for pair in head.anchors]
        if values not in lists:
            lists.append(values)
        offset = sum(len(each) for each in lists[: lists.index(values)])
        masks.append([offset + index for index in head.mask])
    return [pair for values in lists for pair in values], masks


def with_classes(cfg: Cfg, classes: int) -> Cfg:
    """The same network for another number of classes: `classes` of every [yolo], and `filters` of the
    convolution before it. All other text is kept.
    """
    for layer in resolve_layers(cfg):
        if layer.kind != "yolo":
            continue
        before = cfg.layers[layer.index - 1]
        anchors = len(layer.options.mask)
        cfg = _set(cfg, layer.index, "classes", str(classes))
        if before.name != "convolutional":
            raise ValueError(f"{layer.section.where()}: expected a [convolutional] before [yolo], got [{before.name}]")
        cfg = _set(cfg, layer.index - 1, "filters", str(anchors * (5 + classes)))
    return cfg


def floats_per_class(layers: tuple[Layer, ...]) -> int:
    """How many numbers a weight file of this network grows by for one class more; 0 where no head depends on
    the classes.
    """
    total = 0
    for layer in layers:
        before = layers[layer.index - 1] if layer.index else None
        if layer.kind == "yolo" and before is not None and before.kind == "convolutional":
            total += len(layer.options.mask) * _numbers_per_output(before)
        elif layer.kind == "detection" and before is not None and before.kind == "connected":
            total += layer.section.integer("side", 7) ** 2 * _numbers_per_output(before)
    return total


def class_count(layers: tuple[Layer, ...]) -> int | None:
    """The number of classes that the heads state; None for a network without heads."""
    heads = [layer for layer in layers if layer.kind in ("yolo", "detection")]
    return heads[0].section.integer("classes", 20 if heads[0].kind == "yolo" else 1) if heads else None


def _image_shape(cfg: Cfg, input_shape: tuple[int | None, int | None, int] | None) -> Shape:
    height, width, channels = cfg.input_shape
    given = input_shape or (None, None, channels)
    if given[2] != channels:
        where = cfg.net.where("channels")
        raise ValueError(f"{where}: expected an input of {channels} channels as [net] says, got {given[2]}")
    return given[0] or height or DEFAULT_SIZE, given[1] or width or DEFAULT_SIZE, channels


def _set(cfg: Cfg, index: int, key: str, value: str) -> Cfg:
    section = cfg.layers[index]
    if key not in section.options:
        raise ValueError(f"{section.where()}: expected '{key}=' in [{section.name}], got none")
    return replace_option(cfg, section, key, value)


def _numbers_per_output(layer: Layer) -> int:
    """Weights, bias and normalisation of one output channel."""
    height, width, channels = layer.in_shape
    options = layer.options
    inputs = (
        channels // options.groups * options.size**2 if layer.kind == "convolutional" else height * width * channels
    )
    return inputs + (4 if options.batch_normalize else 1)


def _sources(section: Section, index: int) -> tuple[int, ...]:
    """The layers that a section reads. The layer before comes first, except for [route], which names all of
    its own.
    """
    if section.name == "route":
        return _named_sources(section, "layers", index)
    if section.name in ("shortcut", "sam", "scale_channels"):
        return (index - 1, *_named_sources(section, "from", index))
    return (index - 1,)


def _named_sources(section: Section, key: str, index: int) -> tuple[int, ...]:
    sources = []
    for value in section.integers(key):
        source = value if value >= 0 else index + value
        if not 0 <= source < index:
            raise ValueError(
                f"{section.where(key)}: expected '{key}' of layer {index} to name a layer before it, got {value}"
            )
        sources.append(source)
    if not sources:
        raise ValueError(f"{section.where(key)}: expected a layer in '{key}=', got none")
    return tuple(sources)


def _refuse_options(section: Section, neutral: Mapping[str, float]) -> None:
    """Raise for options that would change the arithmetic in a way not computed here; `neutral` holds the
    value that changes nothing.
    """
    for key, harmless in neutral.items():
        if key in section.options and section.number(key) != harmless:
            raise ValueError(
                f"{section.where(key)}: '{key}={section.text(key)}' in [{section.name}] is not computed by this project"
            )


# Options that leave out a part of the weight file, in parser.c:load_weights_upto.
_LOADING = {"dontload": 0, "dontsave": 0, "dontloadscales": 0, "numload": 0}

_CONVOLUTION_EXTRAS = dict.fromkeys(
    (
        "flipped",
        "xnor",
        "binary",
        "bin_output",
        "antialiasing",
        "deform",
        "sway",
        "rotate",
        "stretch",
        "stretch_sway",
        "assisted_excitation",
    ),
    0,
)


def _activation(section: Section, default: str) -> str:
    name = section.text("activation", default)
    if name not in ACTIVATIONS:
        raise ValueError(
            f"{section.where('activation')}: expected an activation of {', '.join(ACTIVATIONS)}, got '{name}'"
        )
    return name


def _positive(section: Section, key: str, default: int | None = None) -> int:
    value = section.integer(key, default)
    if value < 1:
        raise ValueError(f"{section.where(key)}: expected '{key}' in [{section.name}] to be 1 or more, got {value}")
    return value


def _strides(section: Section) -> tuple[int, int]:
    stride = _positive(section, "stride", 1)
    return _positive(section, "stride_y", stride), _positive(section, "stride_x", stride)


def _convolution(section: Section, in_shapes: list[Shape]) -> tuple[Convolution, Shape]:
    _refuse_options(section, {**_LOADING, **_CONVOLUTION_EXTRAS})
    height, width, channels = in_shapes[0]
    size = _positive(section, "size", 1)
    padding = size // 2 if section.integer("pad", 0) else section.integer("padding", 0)
    dilation = 1 if size == 1 else _positive(section, "dilation", 1)
    groups = _positive(section, "groups", 1)
    filters = _positive(section, "filters", 1)
    if channels % groups or filters % groups:
        raise ValueError(
            f"{section.where('groups')}: expected groups that divide {channels} "
            f"channels and {filters} filters, got {groups}"
        )
    if dilation > 1 and (size % 2 == 0 or padding != size // 2):
        # Darknet's own output size leaves the dilation out, which is right for this padding alone
        # (convolutional_out_height).
        raise ValueError(
            f"{section.where('dilation')}: expected an odd size and pad=1 with a "
            f"dilation, got size {size}, padding {padding}"
        )
    options = Convolution(
        filters,
        size,
        _strides(section),
        padding,
        groups,
        dilation,
        bool(section.integer("batch_normalize", 0)),
        _activation(section, "logistic"),
    )
    vertical, horizontal = options.strides
    return options, (
        (height + 2 * padding - size) // vertical + 1,
        (width + 2 * padding - size) // horizontal + 1,
        filters,
    )


def _maxpool(section: Section, in_shapes: list[Shape]) -> tuple[Pooling, Shape]:
    _refuse_options(section, {"maxpool_depth": 0, "antialiasing": 0})
    height, width, channels = in_shapes[0]
    strides = _strides(section)
    size = _positive(section, "size", section.integer("stride", 1))
    padding = section.integer("padding", size - 1)
    if not 0 <= padding < size:
        raise ValueError(
            f"{section.where('padding')}: expected a padding from 0 to size - 1 = {size - 1}, got {padding}"
        )
    out_shape = (
        (height + padding - size) // strides[0] + 1,
        (width + padding - size) // strides[1] + 1,
        channels,
    )
    return Pooling(size, strides, padding), out_shape


def _avgpool(section: Section, in_shapes: list[Shape]) -> tuple[None, Shape]:
    return None, (1, 1, in_shapes[0][2])


def _upsample(section: Section, in_shapes: list[Shape]) -> tuple[Upsample, Shape]:
    height, width, channels = in_shapes[0]
    stride = _positive(section, "stride", 2)  # a negative one would sample down
    return Upsample(stride, section.number("scale", 1.0)), (height * stride, width * stride, channels)


def _route(section: Section, in_shapes: list[Shape]) -> tuple[Route, Shape]:
    groups, group_id = _positive(section, "groups", 1), section.integer("group_id", 0)
    if not 0 <= group_id < groups:
        raise ValueError(f"{section.where('group_id')}: expected a group_id from 0 to {groups - 1}, got {group_id}")
    if len({shape[:2] for shape in in_shapes}) > 1:
        sizes = ", ".join(_size(shape) for shape in in_shapes)
        raise ValueError(
            f"{section.where('layers')}: expected layers of one size in [route], got {sizes} "
            "(an input size that is no multiple of the stride?)"
        )
    for channels in (shape[2] for shape in in_shapes):
        if channels % groups:
            raise ValueError(
                f"{section.where('groups')}: expected groups that divide {channels} channels, got {groups}"
            )
    height, width, _ = in_shapes[0]
    return Route(groups, group_id), (height, width, sum(shape[2] // groups for shape in in_shapes))


def _shortcut(section: Section, in_shapes: list[Shape]) -> tuple[Merge, Shape]:
    weights = section.text("weights_type", "none")
    if weights != "none":
        raise ValueError(
            f"{section.where('weights_type')}: 'weights_type={weights}' in [shortcut] is not computed by this project"
        )
    _same_shapes(section, in_shapes)
    return Merge(_activation(section, "linear"), section.number("alpha", 1.0), section.number("beta", 1.0)), in_shapes[
        0
    ]


def _sam(section: Section, in_shapes: list[Shape]) -> tuple[Merge, Shape]:
    _same_shapes(section, in_shapes)
    return Merge(_activation(section, "linear")), in_shapes[0]


def _scale_channels(section: Section, in_shapes: list[Shape]) -> tuple[Merge, Shape]:
    _refuse_options(section, {"scale_wh": 0})
    factors, scaled = in_shapes[0], in_shapes[1]
    if factors != (1, 1, scaled[2]):
        raise ValueError(
            f"{section.where()}: expected a layer of 1x1x{scaled[2]} before [scale_channels], got {_size(factors)}"
        )
    return Merge(_activation(section, "linear")), scaled


def _same_shapes(section: Section, in_shapes: list[Shape]) -> None:
    if len(set(in_shapes)) > 1:
        sizes = ", ".join(_size(shape) for shape in in_shapes)
        raise ValueError(f"{section.where('from')}: expected layers of one shape in [{section.name}], got {sizes}")


def _dropout(section: Section, in_shapes: list[Shape]) -> tuple[float, Shape]:
    _refuse_options(section, {"dropblock": 0})
    probability = section.number("probability", 0.5)
    if not 0 <= probability < 1:
        raise ValueError(f"{section.where('probability')}: expected a probability from 0 to 1, got {probability}")
    return probability, in_shapes[0]


def _local(section: Section, in_shapes: list[Shape]) -> tuple[Local, Shape]:
    height, width, _ = in_shapes[0]
    size, stride, padding = (
        _positive(section, "size", 1),
        _positive(section, "stride", 1),
        section.integer("pad", 0),
    )
    if padding not in (0, 1) or (padding and size != 3):
        # `pad` is used as pixels, while the output size assumes that it is size // 2
        # (local_layer.c:local_out_height).
        raise ValueError(
            f"{section.where('pad')}: expected pad=0, or pad=1 with size=3, in "
            f"[local], got pad={padding} with size={size}"
        )
    options = Local(_positive(section, "filters", 1), size, stride, padding, _activation(section, "logistic"))
    return options, (
        (height + 2 * padding - size) // stride + 1,
        (width + 2 * padding - size) // stride + 1,
        options.filters,
    )


def _connected(section: Section, in_shapes: list[Shape]) -> tuple[Connected, Shape]:
    _refuse_options(section, _LOADING)
    output = _positive(section, "output", 1)
    options = Connected(output, bool(section.integer("batch_normalize", 0)), _activation(section, "logistic"))
    return options, (1, 1, output)


def _crop(section: Section, in_shapes: list[Shape]) -> tuple[Crop, Shape]:
    height, width, channels = in_shapes[0]
    options = Crop(
        section.integer("crop_height", 1),
        section.integer("crop_width", 1),
        not section.integer("noadjust", 0),
    )
    if not (0 < options.height <= height and 0 < options.width <= width):
        raise ValueError(
            f"{section.where()}: expected a crop inside {_size(in_shapes[0])}, got {options.height}x{options.width}"
        )
    return options, (options.height, options.width, channels)


def _reorg(section: Section, in_shapes: list[Shape]) -> tuple[int, Shape]:
    _refuse_options(section, {"reverse": 0, "flatten": 0, "extra": 0})
    height, width, channels = in_shapes[0]
    stride = _positive(section, "stride", 1)
    if height % stride or width % stride or channels % stride**2:
        raise ValueError(
            f"{section.where('stride')}: expected a stride whose square divides {channels} channels "
            f"and that divides {height}x{width}, got {stride}"
        )
    return stride, (height // stride, width // stride, channels * stride**2)


def _softmax(section: Section, in_shapes: list[Shape]) -> tuple[None, Shape]:
    _refuse_options(section, {"groups": 1, "temperature": 1, "spatial": 0})
    if in_shapes[0][:2] != (1, 1):
        raise ValueError(f"{section.where()}: expected a vector before [softmax], got {_size(in_shapes[0])}")
    return None, in_shapes[0]


def _detection(section: Section, in_shapes: list[Shape]) -> tuple[None, Shape]:
    side, classes = section.integer("side", 7), section.integer("classes", 1)
    boxes, coords = section.integer("num", 1), section.integer("coords", 1)
    expected, got = side**2 * (classes + boxes * (1 + coords)), int(np.prod(in_shapes[0]))
    if expected != got:
        raise ValueError(
            f"{section.where()}: expected side^2 * (classes + num * (1 + coords)) = "
            f"{expected} numbers before [detection], got {got}"
        )
    return None, in_shapes[0]


def _yolo(section: Section, in_shapes: list[Shape]) -> tuple[YoloHead, Shape]:
    number = section.integer("num", 1)
    values = section.numbers("anchors", (0.5,) * (2 * number))  # parser.c:parse_yolo: all .5 where none are given
    mask = section.integers("mask", tuple(range(number)))
    if len(values) % 2 or not mask or not all(0 <= index < len(values) // 2 for index in mask):
        raise ValueError(
            f"{section.where('mask')}: expected a mask of anchors 0 to "
            f"{len(values) // 2 - 1}, got {','.join(map(str, mask))}"
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
        stride=0,
        section=section,
    )
    return head, in_shapes[0]


def _yolo_head(layer: Layer, height: int) -> YoloHead:
    values = {**vars(layer.options), "stride": round(height / layer.in_shape[0])}
    return YoloHead(**values)


def _check_head(layer: Layer) -> None:
    head = layer.options
    expected, got = len(head.mask) * (5 + head.classes), layer.in_shape[2]
    if expected != got:
        raise ValueError(
            f"{layer.section.where()}: expected {len(head.mask)} anchors * (5 + {head.classes} "
            f"classes) = {expected} filters before [yolo], got {got}"
        )


def _unchanged(section: Section, in_shapes: list[Shape]) -> tuple[None, Shape]:
    return None, in_shapes[0]


def _size(shape: Shape) -> str:
    return "x".join(str(length) for length in shape)


_KINDS: Mapping[str, Callable[[Section, list[Shape]], tuple[Any, Shape]]] = {
    "convolutional": _convolution,
    "maxpool": _maxpool,
    "avgpool": _avgpool,
    "upsample": _upsample,
    "route": _route,
    "shortcut": _shortcut,
    "sam": _sam,
    "scale_channels": _scale_channels,
    "dropout": _dropout,
    "local": _local,
    "connected": _connected,
    "crop": _crop,
    "reorg": _reorg,
    "softmax": _softmax,
    "cost": _unchanged,
    "detection": _detection,
    "yolo": _yolo,
}
