"""The part of a network that pretrained files share, as a model of its own."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import keras


def backbone_of(network: keras.Model, names: Collection[str]) -> keras.Model:
    """Return the backbone of a functional network: a model that shares its layers, and so its weights.

    Args:
        network: A functional network with one input.
        names: The layers with weights that belong to the backbone; see
            :meth:`yolo3.models.architecture.Architecture.backbone_layers`.

    Returns:
        A ``keras.Model`` from images to the features that the rest of the network reads.
    """
    inside = {id(network.inputs[0])}
    features: dict[int, Any] = {}
    for depth in sorted(network._nodes_by_depth, reverse=True):  # from the input on
        for node in network._nodes_by_depth[depth]:
            layer, read = node.operation, [id(tensor) for tensor in node.input_tensors]
            if layer.name in names or (not getattr(layer, "weights", ()) and inside.issuperset(read)):
                inside.update(id(tensor) for tensor in node.output_tensors)
            else:
                features |= {id(tensor): tensor for tensor in node.input_tensors if id(tensor) in inside}
    return keras.Model(network.inputs[0], [*features.values()], name="backbone")
