"""Load Darknet weight files into Keras models and save them back, equal to the last bit.

Layers are found by the names of `yolo3.darknet.names`; the file's own layout is in `yolo3.darknet.weights`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import keras
import numpy as np

from yolo3.darknet.cfg import Cfg
from yolo3.darknet.layers import Layer, is_depthwise, needs_fixed_size
from yolo3.darknet.names import batch_norm_name, layer_name
from yolo3.darknet.weights import (
    DEFAULT_HEADER,
    Header,
    LayerArrays,
    WeightsFile,
    layer_arrays,
    open_weights,
    write_weights,
)

# Order of the weights of `keras.layers.BatchNormalization`.
_BATCH_NORM_ARRAYS = ("gamma", "beta", "mean", "variance")


@dataclass(frozen=True)
class LoadedWeights:
    """What `load_weights` did.

    Attributes:
        file: The weight file.
        loaded: Names of the layers with weights that were loaded.
        missing: Names of the layers that the file does not reach; unchanged.
        mismatched: Names of the layers that have other shapes than in the file; unchanged.
    """

    file: WeightsFile
    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    mismatched: tuple[str, ...]

    def __str__(self) -> str:
        def span(names: tuple[str, ...]) -> str:
            return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"

        total = len(self.loaded) + len(self.missing) + len(self.mismatched)
        text = f"{self.file.path}: loaded {len(self.loaded)} of {total} layers with weights"
        if self.loaded:
            text += f" ({span(self.loaded)})"
        if self.missing:
            text += f"; not in the file, unchanged: {span(self.missing)}"
        if self.mismatched:
            text += f"; of another shape, unchanged: {', '.join(self.mismatched)}"
        return text


def load_weights(
    model: keras.Model,
    cfg: Cfg,
    path: str | os.PathLike[str],
    skip_mismatch: bool = False,
    progress: Callable[[int, int], None] | None = None,
    on_mismatch: Callable[[keras.Layer, list[np.ndarray]], None] | None = None,
) -> LoadedWeights:
    """Load a Darknet weight file into a model; the inverse of `save_weights`.

    A file of the first layers only, such as `darknet53.conv.74`, leaves the others unchanged.

    Args:
        model: A model of `build_network`, or one whose layers have the same names.
        cfg: The cfg of the network in the file.
        path: The weight file.
        skip_mismatch: Leave layers of other shapes unchanged, such as heads for another number of classes.
        progress: Called with the number of layers done and their total.
        on_mismatch: Called with each Keras layer of another shape and the weights that the file has for it.

    Returns:
        Which layers were loaded.

    Raises:
        ValueError: With the expected and the found size or the names of the layers, if the file does not fit; the
            model is unchanged.
        OSError: If the file cannot be read.
    """
    file = open_weights(path, cfg, _model_input(model, cfg))
    names = [layer_name(stored.layer) for stored in file.present]
    mismatched = {name for name, stored in zip(names, file.present, strict=True) if not _fits(model, stored)}
    if mismatched and not skip_mismatch:
        raise ValueError(
            f"{file.path}: expected layers of the shapes in {cfg.source}, got others in the model: "
            f"{', '.join(sorted(mismatched))}"
        )

    for done, (name, (layer, arrays)) in enumerate(zip(names, file.arrays(), strict=True), start=1):
        for target, values in _to_keras(model, layer, arrays):
            if name not in mismatched:
                target.set_weights(values)
            elif on_mismatch:
                on_mismatch(target, values)
        if progress:
            progress(done, len(names))

    return LoadedWeights(
        file=file,
        loaded=tuple(name for name in names if name not in mismatched),
        missing=tuple(layer_name(stored.layer) for stored in file.missing),
        mismatched=tuple(name for name in names if name in mismatched),
    )


def save_weights(
    model: keras.Model,
    cfg: Cfg,
    path: str | os.PathLike[str],
    header: Header = DEFAULT_HEADER,
    upto: int | None = None,
) -> int:
    """Save the weights of a model as a Darknet weight file; the inverse of `load_weights`.

    Args:
        model: A model of `build_network`, or one whose layers have the same names.
        cfg: The cfg of the model's network.
        path: The weight file. It appears complete or not at all.
        header: Version and number of images seen.
        upto: Save the layers with an index below it only, as the command `darknet partial` does.

    Returns:
        The size of the file in bytes.
    """
    stored = layer_arrays(cfg, _model_input(model, cfg))
    if upto is not None:
        stored = tuple(layer for layer in stored if layer.layer.index < upto)
    return write_weights(path, header, ((layer, _from_keras(model, layer.layer)) for layer in stored))


def kernel_to_keras(layer: Layer, kernel: np.ndarray) -> np.ndarray:
    """Convert a kernel of the file to the layout of Keras; the inverse of `kernel_from_keras`.

    Args:
        layer: The cfg layer.
        kernel: [n, C/g, k, k] for convolutional, [out, C*H*W] for connected, [oh*ow, n, C, k, k] for local.

    Returns:
        [k, k, C/g, n] for convolutional, [k, k, C, n/C] for a depthwise one, [H*W*C, out] for connected,
        [oh, ow, k*k*C, n] for local.
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
    """Convert a kernel of Keras to the layout of the file; the inverse of `kernel_to_keras`, which has the shapes."""
    if layer.kind == "connected":
        return kernel.reshape(*layer.in_shape, -1).transpose(3, 2, 0, 1).reshape(kernel.shape[::-1])
    if layer.kind == "local":
        size, channels, filters = layer.options.size, layer.in_shape[2], layer.options.filters
        return kernel.reshape(-1, size, size, channels, filters).transpose(0, 4, 3, 1, 2)
    if is_depthwise(layer):
        return kernel.transpose(2, 3, 0, 1).reshape(layer.options.filters, 1, *kernel.shape[:2])
    return kernel.transpose(3, 2, 0, 1)


def _to_keras(
    model: keras.Model, layer: Layer, arrays: Mapping[str, np.ndarray]
) -> Iterator[tuple[keras.Layer, list[np.ndarray]]]:
    """Yield the Keras layers that hold the weights of a cfg layer, each with its new weights."""
    if "factors" in arrays:
        yield model.get_layer(layer_name(layer)), [arrays["factors"]]
        return
    weights = [kernel_to_keras(layer, arrays["kernel"])]
    if "bias" in arrays:
        bias = arrays["bias"]
        weights.append(bias.transpose(1, 2, 0) if layer.kind == "local" else bias)
    yield model.get_layer(layer_name(layer)), weights

    if "gamma" in arrays:
        yield model.get_layer(batch_norm_name(layer)), [arrays[name] for name in _BATCH_NORM_ARRAYS]


def _from_keras(model: keras.Model, layer: Layer) -> dict[str, np.ndarray]:
    """Return the arrays that the file holds for a cfg layer; the inverse of `_to_keras`."""
    kernel, *biases = model.get_layer(layer_name(layer)).get_weights()
    if layer.kind == "shortcut":
        return {"factors": kernel}
    arrays = {"kernel": kernel_from_keras(layer, kernel)}
    if biases:
        arrays["bias"] = biases[0].transpose(2, 0, 1) if layer.kind == "local" else biases[0]
    else:
        statistics = model.get_layer(batch_norm_name(layer)).get_weights()
        arrays |= dict(zip(_BATCH_NORM_ARRAYS, statistics, strict=True))
    return arrays


def _fits(model: keras.Model, stored: LayerArrays) -> bool:
    """Return whether the arrays in the file have the shapes of the layers of the model."""
    blank = {name: np.broadcast_to(np.float32(0), shape) for name, shape in stored.shapes.items()}
    pairs = _to_keras(model, stored.layer, blank)
    return all([w.shape for w in layer.weights] == [v.shape for v in values] for layer, values in pairs)


def _model_input(model: keras.Model, cfg: Cfg) -> tuple[int, int, int] | None:
    """Return the input shape of a model where the shapes of its weights depend on it."""
    if not needs_fixed_size(cfg):
        return None
    height, width, _ = model.input_shape[1:]
    return height, width, cfg.input_shape[2]  # a network of grey images takes RGB images
