"""Names of the Keras layers that hold the weights of a cfg's layers.

Convolutions are numbered from 0 in the order of the cfg: `conv_0`, `bn_0`, `conv_1`, ... A network written by hand
(`yolo3.darknet.blocks`) and the same network made from a cfg have the same names, so weights fit both.
"""

from __future__ import annotations

from yolo3.darknet.cfg import Cfg
from yolo3.darknet.heads import output_indices
from yolo3.darknet.layers import IMAGE, Layer, resolve_layers


def layer_name(layer: Layer) -> str:
    """Return the name of the Keras layer of a cfg layer, such as `conv_0` or `connected_0`."""
    return f"conv_{layer.number}" if layer.kind == "convolutional" else f"{layer.kind}_{layer.number}"


def batch_norm_name(layer: Layer) -> str:
    """Return the name of the batch normalization after a cfg layer, such as `bn_0` or `connected_0_bn`."""
    return f"bn_{layer.number}" if layer.kind == "convolutional" else f"{layer_name(layer)}_bn"


def shared_layers(cfg: Cfg) -> list[str]:
    """Return the names of the layers with weights that all outputs depend on: the backbone.

    The convolution that makes a raw output is not one of them.
    """
    layers = resolve_layers(cfg)
    ancestors: list[set[int]] = []  # of each layer: indices of all layers that it depends on
    for layer in layers:
        sources = set(layer.sources) - {IMAGE}
        ancestors.append(sources.union(*(ancestors[source] for source in sources)))
    shared = set.intersection(*(ancestors[index] for index in output_indices(cfg)))

    names = []
    for layer in layers:
        has_weights = layer.kind in ("convolutional", "connected", "local") or bool(
            getattr(layer.options, "weights", 0)
        )
        if layer.index in shared and has_weights:
            names.append(layer_name(layer))
            if getattr(layer.options, "batch_normalize", False):
                names.append(batch_norm_name(layer))
    return names
