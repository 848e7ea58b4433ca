"""What a cfg says of training: the size of the input, and the recipe of its [net] section.

Each setting keeps Darknet's meaning (src/parser.c parse_net_options, src/network.c get_current_rate, src/detector.c):
one update is made of ``subdivisions`` steps, statistics are those of a step; the rate is counted in updates.
"""

from __future__ import annotations

import math
from typing import Any

from yolo3.darknet.cfg import Cfg, Section

# Keys of [yolo] that only AlexeyAB's Darknet knows. It stretches images to the network's size where [net]
# does not say letter_box=1, in training and after.
_STRETCHING_FORK = (
    "scale_x_y",
    "iou_loss",
    "iou_normalizer",
    "iou_thresh",
    "nms_kind",
    "beta_nms",
    "new_coords",
    "resize",
)

_NET_DEFAULTS = {"learning_rate": 0.001, "momentum": 0.9, "decay": 0.0001}
_NET_DEFAULTS |= {"saturation": 1.0, "exposure": 1.0, "hue": 0.0}
_SIZES = tuple(32 * cells for cells in range(10, 20))  # of random=1 in pjreddie's detector.c: 320 to 608 pixels
_SPREAD = 1.4  # of random=1 in AlexeyAB's: factors from 1/1.4 to 1.4
_DRAWS = 32  # sizes that stand for a continuous distribution
_JITTER = 0.2  # of a [yolo] section that does not say


def resize_of(cfg: Cfg) -> str:
    """How the Darknet that a cfg was written for brings images to the network's size: "letterbox" or
    "stretch".

    pjreddie's letterboxes, AlexeyAB's stretches unless told otherwise; YOLOv1 is always stretched.
    """
    if "letter_box" in cfg.net.options:
        return "letterbox" if cfg.net.integer("letter_box") else "stretch"
    stretches = any(
        section.name == "detection"
        or (section.name == "yolo" and any(key in section.options for key in _STRETCHING_FORK))
        for section in cfg.layers
    )
    return "stretch" if stretches else "letterbox"


def settings_of(cfg: Cfg) -> dict[str, Any]:
    """Return what a network needs whoever trains it: ``input_size`` (height, width), if there is one, and ``resize``.

    Keys are those of :class:`yolo3.training.settings.TrainConfig`.
    """
    height, width, _ = cfg.input_shape
    size = {"input_size": (height, width)} if height and width else {}
    return {**size, "resize": resize_of(cfg)}


def recipe_of(cfg: Cfg) -> dict[str, Any]:
    """Return the recipe of a cfg as settings of :class:`yolo3.training.settings.TrainConfig` and of its ``augment``.

    A step sees batch / subdivisions images; an update is made of ``subdivisions`` steps. Raises ``ValueError``, with
    file and line, for a policy of the learning rate that is not computed here.
    """
    net = cfg.net
    number = {name: net.number(name, default) for name, default in _NET_DEFAULTS.items()}
    subdivisions = max(net.integer("subdivisions", 1), 1)
    head = _last_head(cfg)
    crops = resize_of(cfg) == "stretch"  # AlexeyAB's Darknet cuts images, pjreddie's lays them on a canvas
    return {
        "optimizer": "adam" if net.integer("adam", 0) else "darknet",
        "learning_rate": number["learning_rate"],
        "momentum": number["momentum"],
        "weight_decay": number["decay"],
        "batch_size": max(net.integer("batch", 1) // subdivisions, 1),
        "accumulate": subdivisions,
        "max_batches": net.integer("max_batches", 0) or None,
        **_policy(net),
        "burn_in": net.integer("burn_in", 0),
        "burn_in_power": net.number("power", 4.0),
        "ema": net.number("ema_alpha", 0.0),
        "freeze_epochs": 0,
        "multi_scale": _sizes(cfg, head, crops),
        "jitter": head.number("jitter", _JITTER),
        "placement": "crop" if crops else "fit",
        "zoom": (1.0, 1.0),
        "flip": 0.5 if net.integer("flip", 1) else 0.0,
        "hue": number["hue"],
        "saturation": number["saturation"],
        "exposure": number["exposure"],
        "mosaic": 0.5 if net.integer("mosaic", 0) else 0.0,
        "plain_share": 0.0,
    }


def _last_head(cfg: Cfg) -> Section:
    """Return the section whose jitter and random count: that of the last head."""
    heads = [section for section in cfg.layers if section.name in ("yolo", "detection")]
    if not heads:
        raise ValueError(f"{cfg.source}: expected a [yolo] or [detection] section to train, got none")
    return heads[-1]


def _policy(net: Section) -> dict[str, Any]:
    """Return the schedule, with ``rate_steps`` ((update, factor), ...)."""
    policy = net.text("policy", "constant")
    if policy == "constant":
        return {"schedule": "constant"}
    if policy != "steps":
        raise ValueError(f"{net.where('policy')}: expected policy=steps or constant, got {policy}; leave out --recipe")
    starts, factors = net.integers("steps"), net.numbers("scales")
    if len(starts) != len(factors):
        where = net.where("scales")
        raise ValueError(f"{where}: expected as many scales as steps ({len(starts)}), got {len(factors)}")
    return {"schedule": "steps", "rate_steps": tuple(zip(starts, factors, strict=True))}


def _sizes(cfg: Cfg, head: Section, is_fork: bool) -> tuple[float, ...]:
    """Return the factors of the input size that ``random`` draws from, each as likely as the others; none without."""
    height, width, _ = cfg.input_shape
    random = head.number("random", 0.0)
    if not random or not height or not width:
        return ()
    if not is_fork:
        return tuple(size / width for size in _SIZES)
    spread = _SPREAD if random == 1 else max(random, 1 / random)
    larger = [1 + (spread - 1) * (draw + 0.5) / _DRAWS for draw in range(_DRAWS)]
    return tuple(_fork_size(width, factor) / width for value in larger for factor in (value, 1 / value))


def _fork_size(side: int, factor: float) -> int:
    """Return round(factor side / 32 + 1) 32, but no more than the side itself where the factor is below 1."""
    size = math.floor(factor * side / 32 + 1.5) * 32
    return side if factor < 1 and size > side else size
