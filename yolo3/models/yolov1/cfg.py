"""YOLOv1 networks in Darknet's cfg files: read their [detection], fit them to other classes.

Source: Darknet's src/parser.c (``parse_detection``) for the options and their defaults.
"""

from __future__ import annotations

from typing import Any

from yolo3.darknet.cfg import Cfg, Section, replace_option
from yolo3.darknet.layers import resolve_layers

_SCALES = ("coord_scale", "object_scale", "noobject_scale", "class_scale")


def detection_options(cfg: Cfg) -> dict[str, Any]:
    """Return what the [detection] of a cfg says, as fields of :class:`yolo3.models.yolov1.architecture.YoloV1`.

    Raises:
        ValueError: With file and line, for options that are not supported.
    """
    head = _detection_of(cfg)
    return {
        "layout": "darknet",
        "num_classes": head.integer("classes", 1),
        "grid_size": head.integer("side", 7),
        "num_boxes": head.integer("num", 1),
        "size_form": "root" if head.integer("sqrt", 0) else "size",
        "rescore": bool(head.integer("rescore", 0)),
        **{name: head.number(name, 1.0) for name in _SCALES},
    }


def fit_to_classes(cfg: Cfg, num_classes: int) -> Cfg:
    """Return the same network for another number of classes.

    It changes ``classes`` of [detection] and ``output`` of the [connected] before it, and nothing where the number is
    the cfg's own.
    """
    head = _detection_of(cfg)
    if num_classes == head.integer("classes", 1):
        return cfg

    output = head.integer("side", 7) ** 2 * (num_classes + 5 * head.integer("num", 1))
    head.text("classes")  # raises where it is missing
    cfg = replace_option(cfg, head, key="classes", value=str(num_classes))
    return replace_option(cfg, cfg.layers[-2], key="output", value=str(output))


def stride_of(cfg: Cfg) -> int:
    """Return how many input pixels one cell of the first layer of fixed size ([connected] or [local]) stands for."""
    resolved = resolve_layers(cfg)
    first = next(layer for layer in resolved if layer.kind in ("connected", "local"))
    return resolved[0].in_shape[0] // first.in_shape[0]


def _detection_of(cfg: Cfg) -> Section:
    """Return the [detection] of a cfg; raise ``ValueError`` unless it comes last, after a [connected]."""
    head = cfg.layers[-1]
    if head.name != "detection" or len(cfg.layers) < 2 or cfg.layers[-2].name != "connected":
        raise ValueError(f"{head.where()}: expected [connected] and [detection] as the last two, got [{head.name}]")

    # Options that would change what the network means; with these values they do nothing.
    for key, harmless, default in (("softmax", 0, 0), ("forced", 0, 0), ("random", 0, 0), ("coords", 4, 1)):
        if head.integer(key, default) != harmless:
            raise ValueError(f"{head.where(key)}: expected {key}={harmless}, got {head.integer(key, default)}")
    return head
