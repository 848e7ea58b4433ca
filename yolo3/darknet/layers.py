"""The layers of a cfg: which layers each one reads, its shapes and its options.

No TensorFlow and no weights; what the sections mean is in `sections.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from yolo3.darknet.cfg import DEFAULT_SIZE, Cfg, Section
from yolo3.darknet.sections import Shape, read_section

IMAGE = -1  # index of the network input among the sources of a layer


@dataclass(frozen=True)
class Layer:
    """A section in its place in the network.

    Attributes:
        index: Index of the layer in the cfg, from 0.
        number: Number of earlier layers of the same kind.
        section: The section itself.
        sources: Indices of the layers that it reads; `IMAGE` is the network input.
        in_shape: (height, width, channels) of the first source.
        out_shape: (height, width, channels) of the output.
        options: Options as `sections.read_section` returns them.
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
        """Return the name of the section, such as `convolutional`."""
        return self.section.name

    def __str__(self) -> str:
        return f"layer {self.index} [{self.kind}] ({self.section.where()})"


def resolve_layers(cfg: Cfg, input_shape: tuple[int | None, int | None, int] | None = None) -> tuple[Layer, ...]:
    """Resolve the sources, shapes and options of every layer, as Darknet's `parser.c:parse_network_cfg` does.

    Args:
        cfg: The parsed cfg.
        input_shape: (height, width, channels) of the network input in pixels. A side that is `None` comes from the cfg.

    Raises:
        ValueError: With file and line, for a section or an option that is not supported, a source that is not an
            earlier layer, and shapes that do not fit.
    """
    image_shape = resolve_image_shape(cfg, input_shape)
    layers: list[Layer] = []
    numbers: dict[str, int] = {}
    for index, section in enumerate(cfg.layers):
        sources = _sources(section, index)
        in_shapes = [image_shape if source == IMAGE else layers[source].out_shape for source in sources]
        options, out_shape = read_section(section, in_shapes)

        number = numbers.get(section.name, 0)
        numbers[section.name] = number + 1
        layers.append(
            Layer(
                index=index,
                number=number,
                section=section,
                sources=sources,
                in_shape=in_shapes[0],
                out_shape=out_shape,
                options=options,
            )
        )
    return tuple(layers)


def resolve_image_shape(cfg: Cfg, input_shape: tuple[int | None, int | None, int] | None = None) -> Shape:
    """Return (height, width, channels) of the network input: as given, else as in the cfg, else `DEFAULT_SIZE`.

    Raises:
        ValueError: If the given channels are not those of the cfg.
    """
    height, width, channels = cfg.input_shape
    given = input_shape or (None, None, channels)
    if given[2] != channels:
        where = cfg.net.where("channels")
        raise ValueError(f"{where}: expected an input of {channels} channels as in [net], got {given[2]}")
    return given[0] or height or DEFAULT_SIZE, given[1] or width or DEFAULT_SIZE, channels


def check_channels(cfg: Cfg) -> None:
    """Raise `ValueError`, with file and line, for a network of images that are neither RGB nor grey."""
    channels = cfg.input_shape[2]
    if channels not in (1, 3):
        raise ValueError(
            f"{cfg.net.where('channels')}: expected channels=3, RGB images, or 1, grey ones, in [net], got {channels}"
        )


def needs_fixed_size(cfg: Cfg) -> bool:
    """Return whether the network works at one input size only: a layer flattens, crops or has weights per position."""
    return any(section.name in ("connected", "local", "crop", "reorg") for section in cfg.layers)


def is_depthwise(layer: Layer) -> bool:
    """Return whether each input channel of a [convolutional] layer is a group of its own."""
    return layer.options.groups > 1 and layer.options.groups == layer.in_shape[2]


def _sources(section: Section, index: int) -> tuple[int, ...]:
    """Return the indices of the layers that layer `index` reads: by default the one before."""
    keys = {"route": "layers", "shortcut": "from", "sam": "from", "scale_channels": "from"}
    if section.name not in keys:
        return (index - 1,)

    key = keys[section.name]
    named = []
    for value in section.integers(key):
        source = value if value >= 0 else index + value
        if not 0 <= source < index:
            where = section.where(key)
            raise ValueError(f"{where}: expected '{key}' of layer {index} to name an earlier layer, got {value}")
        named.append(source)
    if not named:
        raise ValueError(f"{section.where(key)}: expected a layer in '{key}=', got none")
    return tuple(named) if section.name == "route" else (index - 1, *named)
