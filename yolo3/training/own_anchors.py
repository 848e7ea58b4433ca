"""Anchors clustered on the boxes that a run trains on: asked for, or because those of the network fit badly."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.models.architecture import Architecture
from yolo3.models.yolov3.anchor_clusters import anchor_fit, cluster_rounded
from yolo3.models.yolov3.architecture import YoloV3
from yolo3.training.anchor_fit import ANCHOR_FIT
from yolo3.training.box_sizes import network_sizes
from yolo3.training.settings import AUTO, TrainConfig


def may_cluster(config: TrainConfig, kinds: Collection[str]) -> bool:
    """Return whether a run trains with anchors of its own.

    Args:
        config: Settings. Anchors that were given, or that pretrained weights or a cfg bring, stay, unless the settings
            say "auto".
        kinds: Kinds of the findings of the checks, which say whether the network's anchors fit badly.
    """
    if config.anchors is not None:
        return config.anchors == AUTO
    return config.weights is None and config.cfg is None and ANCHOR_FIT in kinds


def cluster_own(
    config: TrainConfig,
    architecture: Architecture,
    train: Sequence[Annotation],
    shapes: Sequence[tuple[int, int] | None],
) -> tuple[np.ndarray, str] | None:
    """Return as many anchors as a network has, clustered on the training boxes at the size of its input.

    Args:
        config: Settings.
        architecture: With the anchors that the network brings.
        train: Images to train on.
        shapes: (height, width) of each.

    Returns:
        (anchors, line): float64 [A, 2] (w, h) in pixels of the network input, and what was done; None for an
        architecture without anchors to choose.

    Raises:
        ValueError: For fewer distinct sizes of boxes than anchors.
    """
    if not isinstance(architecture, YoloV3):
        return None
    sizes = network_sizes(train, shapes, input_shape=config.input_size, resize=config.resize)
    sizes = sizes[(sizes > 0).all(1)]
    anchors = cluster_rounded(sizes, len(architecture.anchors), config.seed)

    before, after = (anchor_fit(sizes, some).mean_iou for some in (architecture.anchors, anchors))
    height, width = config.input_size
    line = (
        f"Anchors clustered on {len(sizes):,} training boxes at {width}x{height}: average IoU {after:.3f}, with those "
        f"of {architecture.name} {before:.3f}"
    )
    asked = config.anchors == AUTO
    return anchors, f"{line}." if asked else f"{line}, which fit badly (--anchors FILE keeps others)."
