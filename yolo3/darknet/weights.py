"""Read and write Darknet weight files as NumPy arrays. No TensorFlow.

A file is a header (`src/parser.c:load_weights_upto`) and then, layer by layer in the order of the cfg, float32 arrays
without names, lengths or checksum:

| layer | arrays, each row-major |
|---|---|
| convolutional, batch_normalize | beta [n], gamma [n], mean [n], variance [n], kernel [n, C/groups, k, k] |
| convolutional without | bias [n], kernel [n, C/groups, k, k] |
| connected, batch_normalize | beta [out], kernel [out, in], gamma [out], mean [out], variance [out] |
| connected without | bias [out], kernel [out, in] |
| local | bias [n, oh, ow], kernel [oh*ow, n, C, k, k] |
| shortcut, weights_type | factors [layers, 1 or C] |

Other layers hold nothing. The only check that the format allows is the size of the file, so the messages here tell
all that the size reveals.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yolo3.darknet.cfg import Cfg
from yolo3.darknet.heads import class_count, floats_per_class
from yolo3.darknet.layers import Layer, resolve_layers
from yolo3.files import atomic_path

FLOAT = np.dtype("<f4")
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Header:
    """Header of a weight file; by default the one that AlexeyAB's Darknet writes (src/version.h).

    Attributes:
        major: Version, first number.
        minor: Version, second number.
        revision: Version, third number.
        seen: Number of images seen in training.
        seen_bytes: Bytes that `seen` takes in the file: 8, or 4 in older files.
    """

    major: int = 0
    minor: int = 2
    revision: int = 5
    seen: int = 0
    seen_bytes: int = 8

    @property
    def size(self) -> int:
        """Return the length of the header in bytes: 20, or 16 in older files."""
        return 12 + self.seen_bytes

    @property
    def transposed(self) -> bool:
        """Return whether kernels of connected layers are [in, out]: files from before Darknet's version numbers."""
        return self.major > 1000 or self.minor > 1000


DEFAULT_HEADER = Header()


@dataclass(frozen=True)
class LayerArrays:
    """Arrays that the file holds for one layer.

    Attributes:
        layer: The layer.
        shapes: Shapes of the arrays by name, in the order of the file.
    """

    layer: Layer
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def floats(self) -> int:
        """Return how many numbers the arrays hold."""
        return sum(int(np.prod(shape)) for shape in self.shapes.values())


@dataclass(frozen=True)
class WeightsFile:
    """A weight file whose size fits a network.

    Attributes:
        path: The file.
        header: Its header.
        present: The layers with weights that the file holds: the first ones of the network.
        missing: The layers with weights after them.
    """

    path: Path
    header: Header
    present: tuple[LayerArrays, ...]
    missing: tuple[LayerArrays, ...]

    @property
    def complete(self) -> bool:
        """Return whether the file holds all layers of the network."""
        return not self.missing

    @property
    def floats(self) -> int:
        """Return how many numbers the file holds after its header."""
        return sum(layer.floats for layer in self.present)

    def arrays(self) -> Iterator[tuple[Layer, dict[str, np.ndarray]]]:
        """Yield each layer of the file with its arrays by name; one layer at a time is in memory."""
        with open(self.path, "rb") as file:
            file.seek(self.header.size)

            for stored in self.present:
                arrays = {}
                for name, shape in stored.shapes.items():
                    values = np.fromfile(file, FLOAT, int(np.prod(shape)))
                    flip = _is_transposed(self.header, stored, name)
                    arrays[name] = values.reshape(shape[::-1]).T if flip else values.reshape(shape)
                yield stored.layer, arrays


def layer_arrays(cfg: Cfg, input_shape: tuple[int | None, int | None, int] | None = None) -> tuple[LayerArrays, ...]:
    """Return the arrays of all layers with weights, in the order of the file.

    Args:
        cfg: The parsed cfg.
        input_shape: (height, width, channels) in pixels, by default that of the cfg. Only the shapes of connected and
            local layers depend on it.
    """
    shapes = ((layer, array_shapes(layer)) for layer in resolve_layers(cfg, input_shape))
    return tuple(LayerArrays(layer, arrays) for layer, arrays in shapes if arrays)


def array_shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a layer's arrays by name, in the order of the file; empty for a layer without weights."""
    options = layer.options
    if layer.kind == "convolutional":
        names = ("beta", "gamma", "mean", "variance") if options.batch_normalize else ("bias",)
        kernel = (options.filters, layer.in_shape[2] // options.groups, options.size, options.size)
        return {**dict.fromkeys(names, (options.filters,)), "kernel": kernel}

    if layer.kind == "connected":
        output, matrix = (options.output,), (options.output, int(np.prod(layer.in_shape)))
        if options.batch_normalize:
            return {"beta": output, "kernel": matrix, "gamma": output, "mean": output, "variance": output}
        return {"bias": output, "kernel": matrix}

    if layer.kind == "local":
        height, width, filters = layer.out_shape
        kernels = (height * width, filters, layer.in_shape[2], options.size, options.size)
        return {"bias": (filters, height, width), "kernel": kernels}

    if layer.kind == "shortcut" and options.weights:
        return {"factors": (len(layer.sources), options.weights)}
    return {}


def parse_header(start: bytes) -> Header:
    """Parse the header in the first bytes of a file; the inverse of `format_header`.

    `seen` has 8 bytes from version 0.2 on, except where major or minor reach 1000: those files are from before
    Darknet's version numbers.

    Args:
        start: The first 20 bytes or more, where the file has as many.
    """
    major, minor, revision = (int(value) for value in np.frombuffer(start, "<i4", 3))
    long = 10 * major + minor >= 2 and major < 1000 and minor < 1000
    seen_bytes = 8 if long else 4
    seen = int.from_bytes(start[12 : 12 + seen_bytes], "little")
    return Header(major=major, minor=minor, revision=revision, seen=seen, seen_bytes=seen_bytes)


def format_header(header: Header) -> bytes:
    """Return the bytes of a header; the inverse of `parse_header`."""
    version = np.array([header.major, header.minor, header.revision], "<i4").tobytes()
    return version + header.seen.to_bytes(header.seen_bytes, "little", signed=header.seen < 0)


def open_weights(
    path: str | os.PathLike[str], cfg: Cfg, input_shape: tuple[int | None, int | None, int] | None = None
) -> WeightsFile:
    """Find out from the header and the size of a file which layers of a network it holds; nothing else is read.

    Args:
        path: The weight file: of the whole network, or of its first layers as the command `darknet partial` writes it.
        cfg: The cfg of the network.
        input_shape: As for `layer_arrays`.

    Raises:
        ValueError: With the expected and the found size, if the file fits neither the network nor its first layers.
        OSError: If the file cannot be read.
    """
    path = Path(path)
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(512)
    _refuse_other_formats(path, start, size)
    stored = layer_arrays(cfg, input_shape)

    header = parse_header(start)
    count = _count_layers(size - header.size, stored)
    if not count and (header.major, header.minor) == (0, 2) and start[16:20] != b"\0" * 4:
        # For some days of 2018 AlexeyAB's Darknet wrote version 0.2 with a count of 4 bytes. The first weight then
        # stands where the upper half of the count is otherwise, which is 0 below four billion images: a file that has
        # merely lost its last four bytes is not taken for one.
        short = Header(
            major=header.major,
            minor=header.minor,
            revision=header.revision,
            seen=int.from_bytes(start[12:16], "little"),
            seen_bytes=4,
        )
        if _count_layers(size - short.size, stored) == len(stored):
            header, count = short, len(stored)
    if not count:
        raise ValueError(f"{path}: {_describe_misfit(cfg, input_shape, size=size, header=header)}")
    return WeightsFile(path, header, present=stored[:count], missing=stored[count:])


def write_weights(path: str | os.PathLike[str], header: Header, layers: Iterable[tuple[LayerArrays, Arrays]]) -> int:
    """Write a weight file; the inverse of `open_weights` and `WeightsFile.arrays`.

    Args:
        path: The weight file. It appears complete or not at all.
        header: Its header.
        layers: The layers in the order of the file, each with its arrays by name.

    Returns:
        The size of the file in bytes.

    Raises:
        ValueError: If an array has another shape than its layer says.
    """
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(format_header(header))

        for stored, arrays in layers:
            for name, shape in stored.shapes.items():
                values = np.asarray(arrays[name], FLOAT)
                if values.shape != shape:
                    raise ValueError(f"{stored.layer}: expected '{name}' of shape {shape}, got {values.shape}")
                flip = _is_transposed(header, stored, name)
                np.ascontiguousarray(values.T if flip else values).tofile(file)
        return file.tell()


def _is_transposed(header: Header, stored: LayerArrays, name: str) -> bool:
    return header.transposed and stored.layer.kind == "connected" and name == "kernel"


def _count_layers(length: int, stored: Sequence[LayerArrays]) -> int:
    """Return how many of the first layers take exactly `length` bytes, 0 where no number of them does."""
    end = 0
    for count, layer in enumerate(stored, start=1):
        end += FLOAT.itemsize * layer.floats
        if end == length:
            return count
    return 0


def _refuse_other_formats(path: Path, start: bytes, size: int) -> None:
    """Raise for a file that is not a weight file at all: failed downloads, mostly."""
    head = start.lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        problem = "it is a web page; did the download fail?"
    elif head.startswith(b"version https://git-lfs"):
        problem = "it is a Git LFS pointer; fetch the file itself with 'git lfs pull'"
    elif start.startswith((b"\x89HDF", b"PK\x03\x04")):
        problem = "it is a Keras file; convert it with 'yolo3 convert --to-darknet'"
    elif size < 20:
        problem = "it is too short for the header"
    else:
        return

    raise ValueError(f"{path}: expected a Darknet weight file, got {size:,} bytes: {problem}")


def _describe_misfit(
    cfg: Cfg, input_shape: tuple[int | None, int | None, int] | None, *, size: int, header: Header
) -> str:
    """Explain a file size that does not fit: other classes, another network, or a truncated file."""
    layers, stored = resolve_layers(cfg, input_shape), layer_arrays(cfg, input_shape)
    expected = header.size + FLOAT.itemsize * sum(layer.floats for layer in stored)
    facts = f"expected {expected:,} bytes for {cfg.source}, got {size:,}"

    classes, bytes_per_class = class_count(layers), FLOAT.itemsize * floats_per_class(layers)
    if classes is not None and bytes_per_class and (size - expected) % bytes_per_class == 0:
        fitting = classes + (size - expected) // bytes_per_class
        if fitting >= 1:
            return (
                f"{facts}: it fits this network with {fitting} classes, but the cfg has {classes}; give the cfg that "
                "the weights were trained with, such as the published one: training fits its heads to the classes of "
                "the data"
            )

    if size > expected:
        return f"{facts}: it is {size - expected:,} bytes too long, so it belongs to another network"
    end = header.size
    for layer in stored:
        start, end = end, end + FLOAT.itemsize * layer.floats
        if size < end:
            break
    return f"{facts}: it ends inside {layer.layer} (bytes {start:,} to {end:,}): cut short, or of another network"
