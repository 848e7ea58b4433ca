"""Which architecture of detectors a name, a Darknet cfg or a saved file means."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from yolo3.darknet.cfg import Cfg, parse_cfg
from yolo3.models.architecture import WITHOUT_ANCHORS, Architecture
from yolo3.models.retinanet import RetinaNet, retinanet_from_metadata
from yolo3.models.rpn.rpn import Rpn, rpn_from_metadata
from yolo3.models.yolov1.cfg import is_yolov1
from yolo3.models.yolov1.yolov1 import YoloV1
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.models.yolov3.losses import DARKNET
from yolo3.models.yolov3.yolov3 import CFG, cfg_yolov3, named_yolov3, yolov3_from_metadata

_NOT_OPTIONS = ("name", "num_classes", "cfg")  # what the command, the data or a file says
_EMPTY_KINDS = {"dense_width": int, "dropout": float}  # of fields whose default is None


def named_architecture(
    name: str | None, num_classes: int, anchors=None, anchor_mask=None, ignore_thresh=None,
    loss: LossOptions = DARKNET, options: Mapping[str, Any] | None = None,
) -> Architecture:  # fmt: skip
    """Return the architecture of a network by its name; without one, of the YOLOv3 that the number of anchors means.

    ``loss``: of YOLOv3 alone. ``options``: fields of the other architectures that differ from their defaults. Raises
    ``ValueError`` where anchors, masks, options and network do not fit each other.
    """
    if name not in WITHOUT_ANCHORS:
        if options:
            raise ValueError(f"model_options: expected none for {name or 'YOLOv3'}, got {', '.join(options)}")
        return named_yolov3(name, num_classes, anchors, anchor_mask, ignore_thresh, loss=loss)
    _refuse_loss(loss, name)
    given = _checked_options(name, dict(options or {}))
    if name == "retinanet":
        return RetinaNet(num_classes, **given)
    return Rpn(**given) if name == "rpn" else YoloV1(name, num_classes, **given)


def _checked_options(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options, lists as tuples. Raises ``ValueError`` for names that are no fields, or values of no use."""
    architecture = {"retinanet": RetinaNet, "rpn": Rpn}.get(name, YoloV1)
    defaults = {
        field.name: field.default for field in dataclasses.fields(architecture) if field.name not in _NOT_OPTIONS
    }
    for key, value in options.items():
        if key not in defaults:
            raise ValueError(f"model_options: expected one of {', '.join(defaults)} for {name}, got {key}")
        kind = _EMPTY_KINDS.get(key) or type(defaults[key])
        fits = isinstance(value, (int, float)) if kind is float else isinstance(value, kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"model_options: {key}: expected {kind.__name__}, got {value!r}")
    return options


def _refuse_loss(loss: LossOptions, name: str) -> None:
    if loss != DARKNET:
        changed = [field.name for field in dataclasses.fields(loss) if getattr(loss, field.name) != field.default]
        raise ValueError(f"{', '.join(changed)}: expected with YOLOv3, whose loss this is a part of, got {name}")


def architecture_of_cfg(
    cfg: Cfg, num_classes: int | None = None, anchors=None, ignore_thresh=None, loss: LossOptions = DARKNET
) -> Architecture:
    """Return the architecture of the network that a cfg describes, its heads fitted to ``num_classes``.

    Raises ``ValueError``, with the file, for a network without heads that find objects.
    """
    if any(section.name == "yolo" for section in cfg.layers):
        return cfg_yolov3(cfg, num_classes, anchors, ignore_thresh, loss)
    if not is_yolov1(cfg):
        raise ValueError(f"{cfg.source}: expected [yolo] or [detection] sections, got none; nothing finds objects")
    if anchors is not None:
        raise ValueError(f"{cfg.source}: has no anchors, as all YOLOv1; leave --anchors out")
    _refuse_loss(loss, cfg.source)
    return YoloV1.from_cfg(cfg, num_classes)


def architecture_from_metadata(metadata: dict) -> Architecture:
    """Return the architecture that the metadata of a saved file describes: see :mod:`yolo3.models.saving`.

    Raises ``ValueError`` where class names, or anchors of an architecture that has them, are missing.
    """
    name = metadata.get("model")
    if name == "rpn":
        return rpn_from_metadata(metadata)
    if metadata.get("class_names") is None:
        raise ValueError("carries no class names; give them (--classes, --anchors)")
    if name == "retinanet":
        return retinanet_from_metadata(metadata)
    if name in WITHOUT_ANCHORS or _is_cfg_of_yolov1(metadata):
        return YoloV1.from_metadata(metadata)
    return yolov3_from_metadata(metadata)


def _is_cfg_of_yolov1(metadata: dict) -> bool:
    text = (metadata.get("darknet") or {}).get("cfg")
    return metadata.get("model") == CFG and text is not None and is_yolov1(parse_cfg(text))
