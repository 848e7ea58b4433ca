"""Which family of detectors a name, a Darknet cfg or a saved file means."""

from __future__ import annotations

from yolo3.darknet.cfg import Cfg
from yolo3.family import Family
from yolo3.yolov3 import cfg_yolov3, yolov3_from_metadata


def family_of_cfg(cfg: Cfg, num_classes: int | None = None, anchors=None, ignore_thresh=None) -> Family:
    """Return the family of the network that a cfg describes, its heads fitted to ``num_classes``.

    Raises ``ValueError``, with the file, for a network without heads that find objects.
    """
    kinds = {section.name for section in cfg.layers}
    if "yolo" in kinds:
        return cfg_yolov3(cfg, num_classes, anchors, ignore_thresh)
    raise ValueError(f"{cfg.source}: expected a network with [yolo] sections, got one without; nothing finds objects")


def family_from_metadata(metadata: dict) -> Family:
    """Return the family that the metadata of a saved file describes: see :mod:`yolo3.saving`.

    ``class_names`` and ``anchors`` have to be in it.
    """
    return yolov3_from_metadata(metadata)
