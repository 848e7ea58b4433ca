"""The heads of a cfg: outputs of the network, anchors, and the number of classes.

No TensorFlow and no weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from yolo3.darknet.cfg import Cfg, replace_option
from yolo3.darknet.layers import Layer, resolve_image_shape, resolve_layers
from yolo3.darknet.sections import YoloHead


def output_indices(cfg: Cfg) -> tuple[int, ...]:
    """Return the indices of the layers that make the raw outputs: those before [yolo] or [detection], else the last."""
    heads = tuple(index - 1 for index, section in enumerate(cfg.layers) if section.name in ("yolo", "detection"))
    return heads or (len(cfg.layers) - 1,)


def yolo_heads(cfg: Cfg) -> tuple[YoloHead, ...]:
    """Return the [yolo] sections in the order of the cfg, which is that of the outputs; empty where there are none."""
    height = resolve_image_shape(cfg)[0]
    heads = (layer for layer in resolve_layers(cfg) if layer.kind == "yolo")
    return tuple(replace(layer.options, stride=round(height / layer.in_shape[0])) for layer in heads)


def joined_anchors(heads: Sequence[YoloHead]) -> tuple[list[list[float]], list[list[int]]]:
    """Join the anchors of all heads into one list.

    Returns:
        The pair (anchors, masks): anchors [w, h] in pixels of the network input, and for each head the indices of its
        anchors in them. Both are those of the cfg where all [yolo] sections have the same anchors.
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


def class_count(layers: Sequence[Layer]) -> int | None:
    """Return the number of classes of the heads, or `None` for a network without heads."""
    defaults = {"yolo": 20, "detection": 1}  # parser.c:parse_yolo, parse_detection
    for layer in layers:
        if layer.kind in defaults:
            return layer.section.integer("classes", defaults[layer.kind])
    return None


def with_classes(cfg: Cfg, classes: int) -> Cfg:
    """Return the same network for another number of classes.

    `classes` of every [yolo] and `filters` of the convolution before it are changed, all other text is kept.

    Raises:
        ValueError: With file and line, if a [yolo] has no `classes=`, or no convolution with `filters=` before it.
    """
    for layer in resolve_layers(cfg):
        if layer.kind != "yolo":
            continue
        before = cfg.layers[layer.index - 1]
        if before.name != "convolutional":
            raise ValueError(f"{layer.section.where()}: expected a [convolutional] before [yolo], got [{before.name}]")

        filters = len(layer.options.mask) * (5 + classes)
        for index, key, value in ((layer.index, "classes", classes), (layer.index - 1, "filters", filters)):
            section = cfg.layers[index]
            if key not in section.options:
                raise ValueError(f"{section.where()}: expected '{key}=' in [{section.name}], got none")
            cfg = replace_option(cfg, section, key=key, value=str(value))
    return cfg


def floats_per_class(layers: Sequence[Layer]) -> int:
    """Return by how many numbers one more class enlarges the weight file; 0 where no head depends on the classes."""
    total = 0
    for before, head in zip(layers, layers[1:]):
        height, width, channels = before.in_shape
        if (before.kind, head.kind) == ("convolutional", "yolo"):
            outputs = len(head.options.mask)
            inputs = channels // before.options.groups * before.options.size**2
        elif (before.kind, head.kind) == ("connected", "detection"):
            outputs = head.section.integer("side", 7) ** 2
            inputs = height * width * channels
        else:
            continue
        # Each output has its weights and a bias, or beta, gamma, mean and variance.
        total += outputs * (inputs + (4 if before.options.batch_normalize else 1))
    return total
