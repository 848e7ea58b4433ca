"""Darknet's weight files as NumPy arrays: header, order and layout, read and write. No TensorFlow.

A file is a header (`parser.c:load_weights_upto`) and then, layer by layer in the order of the cfg, float32
arrays without names, lengths or checksum:

| layer | arrays, each row-major |
|---|---|
| convolutional, batch_normalize | beta [n], gamma [n], mean [n], variance [n], kernel [n, c/groups, k, k] |
| convolutional without | bias [n], kernel [n, c/groups, k, k] |
| connected, batch_normalize | beta [out], kernel [out, in], gamma [out], mean [out], variance [out] |
| connected without | bias [out], kernel [out, in] |
| local | bias [n, oh, ow], kernel [oh*ow, n, c, k, k] |

Other layers hold nothing. The only check that the format allows is the size of the file, so all that can be
told from it is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from yolo3.darknet.cfg import Cfg
from yolo3.darknet.layers import Layer, class_count, floats_per_class, resolve_layers
from yolo3.files import atomic_path

FLOAT = np.dtype("<f4")
Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Header:
    """The start of a weight file. `seen` counts the images of its training; it takes `seen_bytes` (8 or 4) of
    the file.

    The default is what AlexeyAB's Darknet writes (src/version.h).
    """

    major: int = 0
    minor: int = 2
    revision: int = 5
    seen: int = 0
    seen_bytes: int = 8

    @property
    def size(self) -> int:
        """Length in bytes: 20, or 16 in older files."""
        return 12 + self.seen_bytes

    @property
    def transposed(self) -> bool:
        """Whether the weights of connected layers are stored [in, out]: files from before Darknet had version
        numbers.
        """
        return self.major > 1000 or self.minor > 1000


DEFAULT_HEADER = Header()


@dataclass(frozen=True)
class LayerArrays:
    """What the file holds for one layer: names and shapes of its arrays, in order."""

    layer: Layer
    shapes: Mapping[str, tuple[int, ...]]

    @property
    def floats(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.shapes.values())


@dataclass(frozen=True)
class WeightsFile:
    """A file whose size fits a network: `filled` are the layers that it holds, the first of all that have
    weights.
    """

    path: Path
    header: Header
    filled: tuple[LayerArrays, ...]
    missing: tuple[LayerArrays, ...]

    @property
    def complete(self) -> bool:
        return not self.missing

    @property
    def floats(self) -> int:
        return sum(layer.floats for layer in self.filled)

    def arrays(self) -> Iterator[tuple[Layer, dict[str, np.ndarray]]]:
        """The arrays of each filled layer, in the order of the file; one layer at a time is in memory."""
        with open(self.path, "rb") as file:
            file.seek(self.header.size)
            for layer in self.filled:
                yield layer.layer, _read_arrays(file, layer, self.header)


def layer_arrays(cfg: Cfg, input_shape: tuple[int | None, int | None, int] | None = None) -> tuple[LayerArrays, ...]:
    """The arrays of all layers with weights. `input_shape` (height, width, channels) matters to connected and
    local layers alone.
    """
    layers = resolve_layers(cfg, input_shape)
    return tuple(LayerArrays(layer, _SHAPES[layer.kind](layer)) for layer in layers if layer.kind in _SHAPES)


def parse_header(start: bytes) -> Header:
    """The header in the first bytes of a file, 20 or more where there are as many.

    `seen` has 8 bytes from version 0.2 on, but not where major or minor reach 1000: those are files from
    before the version numbers.
    """
    major, minor, revision = (int(value) for value in np.frombuffer(start, "<i4", 3))
    long = 10 * major + minor >= 2 and major < 1000 and minor < 1000
    return _header(start, (major, minor, revision), 8 if long else 4)


def format_header(header: Header) -> bytes:
    """The bytes of a header. The inverse of `parse_header`."""
    version = np.array([header.major, header.minor, header.revision], "<i4").tobytes()
    return version + header.seen.to_bytes(header.seen_bytes, "little", signed=header.seen < 0)


def open_weights(
    path: str | os.PathLike[str], cfg: Cfg, input_shape: tuple[int | None, int | None, int] | None = None
) -> WeightsFile:
    """Find out which layers of `cfg` a file fills, from its header and size; nothing but the header is read.

    Raises ValueError, with the expected and the found size, for a file that is none of: complete, or cut
    after a layer (as Darknet's `partial` command does).
    """
    path = Path(path)
    size = path.stat().st_size
    with open(path, "rb") as file:
        start = file.read(512)
    _check_kind(path, start, size)
    stored = layer_arrays(cfg, input_shape)
    for header in _possible_headers(start):
        count = _layers_in(size - header.size, stored, partial=header == parse_header(start))
        if count:
            return WeightsFile(path, header, stored[:count], stored[count:])
    raise ValueError(_describe_misfit(path, cfg, stored, resolve_layers(cfg, input_shape), size, parse_header(start)))


def write_weights(path: str | os.PathLike[str], header: Header, layers: Iterable[tuple[LayerArrays, Arrays]]) -> int:
    """Write a weight file and return its size in bytes. The file appears whole or not at all.

    Raises ValueError where an array has not the shape that its layer states. The inverse of `open_weights`
    and `WeightsFile.arrays`.
    """
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(format_header(header))
        for layer, arrays in layers:
            _write_arrays(file, layer, arrays, header)
        return file.tell()


def _convolutional_shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    options = layer.options
    kernel = (options.filters, layer.in_shape[2] // options.groups, options.size, options.size)
    names = ("beta", "gamma", "mean", "variance") if options.batch_normalize else ("bias",)
    return {**{name: (options.filters,) for name in names}, "kernel": kernel}


def _connected_shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    output, kernel = (layer.options.output,), (layer.options.output, int(np.prod(layer.in_shape)))
    if layer.options.batch_normalize:
        return {"beta": output, "kernel": kernel, "gamma": output, "mean": output, "variance": output}
    return {"bias": output, "kernel": kernel}


def _local_shapes(layer: Layer) -> dict[str, tuple[int, ...]]:
    height, width, filters = layer.out_shape
    size = layer.options.size
    return {
        "bias": (filters, height, width),
        "kernel": (height * width, filters, layer.in_shape[2], size, size),
    }


_SHAPES = {"convolutional": _convolutional_shapes, "connected": _connected_shapes, "local": _local_shapes}


def _header(start: bytes, version: tuple[int, int, int], seen_bytes: int) -> Header:
    return Header(*version, int.from_bytes(start[12 : 12 + seen_bytes], "little", signed=False), seen_bytes)


def _possible_headers(start: bytes) -> list[Header]:
    """The header by the rule, and where it may be, that of some days of 2018, when AlexeyAB's Darknet wrote
    version 0.2 with a count of 4 bytes.

    In such a file the first weight stands where the upper half of the count is otherwise, which is 0 below
    four billion images: a file that has merely lost its last four bytes is not taken for one.
    """
    header = parse_header(start)
    if (header.major, header.minor) == (0, 2) and start[16:20] != b"\0" * 4:
        return [header, _header(start, (header.major, header.minor, header.revision), 4)]
    return [header]


def _layers_in(length: int, stored: tuple[LayerArrays, ...], partial: bool) -> int:
    """How many layers take exactly `length` bytes, 0 where no number of them does; all of them or none unless
    `partial`.
    """
    end = 0
    for count, layer in enumerate(stored, start=1):
        end += FLOAT.itemsize * layer.floats
        if end == length and (partial or count == len(stored)):
            return count
    return 0


def _read_arrays(file: BinaryIO, stored: LayerArrays, header: Header) -> dict[str, np.ndarray]:
    arrays = {}
    for name, shape in stored.shapes.items():
        flip = header.transposed and name == "kernel" and stored.layer.kind == "connected"
        values = np.fromfile(file, FLOAT, int(np.prod(shape)))
        arrays[name] = values.reshape(shape[::-1]).T if flip else values.reshape(shape)
    return arrays


def _write_arrays(file: BinaryIO, stored: LayerArrays, arrays: Arrays, header: Header) -> None:
    for name, shape in stored.shapes.items():
        values = np.asarray(arrays[name], FLOAT)
        if values.shape != shape:
            raise ValueError(f"{stored.layer}: expected '{name}' of shape {shape}, got {values.shape}")
        flip = header.transposed and name == "kernel" and stored.layer.kind == "connected"
        np.ascontiguousarray(values.T if flip else values).tofile(file)


def _check_kind(path: Path, start: bytes, size: int) -> None:
    """Raise for what is no weight file at all: failed downloads, mostly."""
    head = start.lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        got = "a web page (a download that failed?)"
    elif head.startswith(b"version https://git-lfs"):
        got = "a Git LFS pointer; fetch the file itself with 'git lfs pull'"
    elif start.startswith((b"\x89HDF", b"PK\x03\x04")):
        got = "a Keras file; --to-darknet takes it back to Darknet"
    elif size < 20:
        got = "too few for the header"
    else:
        return
    raise ValueError(f"{path}: expected a Darknet weight file, got {size:,} bytes: {got}")


def _describe_misfit(
    path: Path,
    cfg: Cfg,
    stored: tuple[LayerArrays, ...],
    layers: tuple[Layer, ...],
    size: int,
    header: Header,
) -> str:
    expected = header.size + FLOAT.itemsize * sum(layer.floats for layer in stored)
    facts = f"{path}: expected {expected:,} bytes for {cfg.source}, got {size:,}"
    classes = _classes_that_fit(layers, size - expected)
    if classes:
        return f"{facts}: the size of this network with {classes} classes, where the cfg says {class_count(layers)}"
    if size > expected:
        return f"{facts}: {size - expected:,} bytes too many, so it belongs to another network"
    end = header.size
    for layer in stored:
        start, end = end, end + FLOAT.itemsize * layer.floats
        if size < end:
            break
    return f"{facts}: it ends inside {layer.layer} (bytes {start:,} to {end:,}): cut short, or of another network"


def _classes_that_fit(layers: tuple[Layer, ...], surplus: int) -> int | None:
    """The number of classes with which the network is `surplus` bytes larger, None where there is none."""
    per_class, classes = FLOAT.itemsize * floats_per_class(layers), class_count(layers)
    if not per_class or classes is None or surplus % per_class:
        return None
    found = classes + surplus // per_class
    return found if found >= 1 else None
