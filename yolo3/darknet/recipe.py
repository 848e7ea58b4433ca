"""The training recipe of a cfg: input size, resizing, and the settings of its [net] section.

Each setting keeps Darknet's meaning (`src/parser.c:parse_net_options`, `src/network.c:get_current_rate`,
`src/detector.c`): one update takes `subdivisions` steps, batch statistics are those of one step, and the schedule
counts updates.
"""

from __future__ import annotations

import math
from typing import Any

from yolo3.darknet.cfg import Cfg, Section

# Keys of [yolo] that only AlexeyAB's Darknet has. It stretches images to the network's size, in training and after,
# unless [net] has letter_box=1.
_STRETCHING_FORK = (
    "scale_x_y",
    "iou_loss",
    "iou_normalizer",
    "iou_thresh",
    "nms_kind",
    "beta_nms",
    "new_coords",
    "resize",
    "obj_normalizer",
    "cls_normalizer",
    "max_delta",
    "label_smooth_eps",
    "counters_per_class",
)
_BOX_LOSSES = {"mse": "xywh", "iou": "iou", "giou": "giou", "diou": "diou", "ciou": "ciou"}
_IOU_NORMALIZER = 0.75  # of AlexeyAB's Darknet, where a [yolo] section has none

# What Darknet would do and a run does not, with the values that mean nothing is to be done.
_NOT_APPLIED = {
    "net": dict.fromkeys(
        "cutmix mixup blur gaussian_noise mosaic_bound dynamic_minibatch adversarial_lr badlabels_rejection_percentage "
        "num_sigmas_reject_badlabels equidistant_point contrastive".split(),
        "0",
    ),
    "yolo": {"focal_loss": "0", "objectness_smooth": "0", "truth_thresh": "1", "resize": "1", "iou_thresh_kind": "iou"},
    "convolutional": dict.fromkeys("stopbackward onlyforward train_only_bn burnin_update dont_update".split(), "0")
    | {"learning_rate": "1"},
}

_JITTER = 0.2  # of a [yolo] section without `jitter`
_SIZES = tuple(32 * cells for cells in range(10, 20))  # random=1 in pjreddie's detector.c: 320 to 608 pixels
_SPREAD = 1.4  # random=1 in AlexeyAB's: factors from 1/1.4 to 1.4
_DRAWS = 32  # equally likely sizes in place of its continuous distribution


def resize_of(cfg: Cfg) -> str:
    """Return how the Darknet that a cfg was written for resizes images: "letterbox" or "stretch".

    pjreddie's letterboxes; AlexeyAB's stretches unless told otherwise; YOLOv1 is always stretched.
    """
    if "letter_box" in cfg.net.options:
        return "letterbox" if cfg.net.integer("letter_box") else "stretch"
    stretches = any(
        section.name == "detection"
        or (section.name == "yolo" and any(key in section.options for key in _STRETCHING_FORK))
        for section in cfg.layers
    )
    return "stretch" if stretches else "letterbox"


def is_of_fork(cfg: Cfg) -> bool:
    """Return whether a cfg is written for AlexeyAB's Darknet: it has keys that only that one reads."""
    return "letter_box" in cfg.net.options or any(
        section.name == "yolo" and any(key in section.options for key in _STRETCHING_FORK) for section in cfg.layers
    )


def settings_of(cfg: Cfg) -> dict[str, Any]:
    """Return the settings of `TrainConfig` that every training of a network needs.

    Returns:
        `resize`, and `input_size` (height, width) in pixels where the cfg has one.
    """
    height, width, _ = cfg.input_shape
    size = {"input_size": (height, width)} if height and width else {}
    return {**size, "resize": resize_of(cfg)}


def recipe_of(cfg: Cfg) -> dict[str, Any]:
    """Return the training recipe of a cfg as settings of `TrainConfig` and of its `augment`.

    One step takes batch / subdivisions images, one update `subdivisions` steps.

    Raises:
        ValueError: With file and line, for a cfg without heads and for a learning rate policy that is not supported.
    """
    heads = [section for section in cfg.layers if section.name in ("yolo", "detection")]
    if not heads:
        raise ValueError(f"{cfg.source}: expected a [yolo] or [detection] section to train, got none")
    head = heads[-1]  # Darknet takes jitter and random from the last one
    net = cfg.net
    subdivisions = max(net.integer("subdivisions", 1), 1)
    crops = resize_of(cfg) == "stretch"  # AlexeyAB's Darknet crops images, pjreddie's pastes them on a canvas

    return {
        "optimizer": "adam" if net.integer("adam", 0) else "darknet",
        "learning_rate": net.number("learning_rate", 0.001),
        "momentum": net.number("momentum", 0.9),
        "weight_decay": net.number("decay", 0.0001),
        "batch_size": max(net.integer("batch", 1) // subdivisions, 1),
        "accumulate": subdivisions,
        "max_batches": net.integer("max_batches", 0) or None,
        **_learning_rate_policy(net),
        "burn_in": net.integer("burn_in", 0),
        "burn_in_power": net.number("power", 4.0),
        "ema": net.number("ema_alpha", 0.0),
        "freeze_epochs": 0,
        "multi_scale": _multi_scale_factors(cfg, head, is_of_fork(cfg)),
        "jitter": head.number("jitter", _JITTER),
        "placement": "crop" if crops else "fit",
        "zoom": (1.0, 1.0),
        "flip": 0.5 if net.integer("flip", 1) else 0.0,
        "hue": net.number("hue", 0.0),
        "saturation": net.number("saturation", 1.0),
        "exposure": net.number("exposure", 1.0),
        "mosaic": 0.5 if net.integer("mosaic", 0) else 0.0,
        "plain_share": 0.0,
        **(_loss(head, is_of_fork(cfg)) if head.name == "yolo" else {}),
    }


def _loss(head: Section, of_fork: bool) -> dict[str, Any]:
    """Return the loss of a [yolo] section of pjreddie's or AlexeyAB's Darknet as settings of `LossOptions`.

    `cls_normalizer` counts only with `counters_per_class`, as in src/yolo_layer.c:delta_yolo_class.
    """
    if not of_fork:
        return {"box_loss": "xywh", "box_scale": 1.0, "objectness_target": "one"}
    name = head.text("iou_loss", "mse")
    if name not in _BOX_LOSSES:
        where = head.where("iou_loss")
        raise ValueError(f"{where}: expected iou_loss of {', '.join(_BOX_LOSSES)}, got {name}; train without --recipe")
    largest = head.number("max_delta", 0.0)
    loss = {
        "box_loss": _BOX_LOSSES[name],
        "box_gradient": "darknet",
        "box_scale": head.number("iou_normalizer", _IOU_NORMALIZER),
        "objectness_target": "one",
        "objectness_scale": head.number("obj_normalizer", 1.0),
        "max_delta": largest,
        "label_smoothing": head.number("label_smooth_eps", 0.0),
        "iou_thresh": min(head.number("iou_thresh", 1.0), 1.0),
    }

    if "counters_per_class" in head.options:
        counts = [max(count, 1) for count in head.integers("counters_per_class")]
        if len(counts) != head.integer("classes", 20):
            where = head.where("counters_per_class")
            raise ValueError(
                f"{where}: expected {head.integer('classes', 20)} numbers for 'counters_per_class', got {len(counts)}"
            )
        weights = (max(counts) / count for count in counts)
        loss["class_weights"] = tuple(min(weight, largest) if largest else weight for weight in weights)
        loss["class_scale"] = head.number("cls_normalizer", 1.0)
    return loss


def not_applied(cfg: Cfg) -> list[str]:
    """Return what a cfg says of training that `recipe_of` leaves out, each as `key=value (file:line)`."""
    found = []
    for section in (cfg.net, *cfg.layers):
        for key, neutral in _NOT_APPLIED.get(section.name, {}).items():
            value = section.text(key, neutral)
            if value != neutral and (neutral == "iou" or section.number(key) != float(neutral)):
                found.append(f"{key}={value} ({section.where(key)})")

    heads = [section for section in cfg.layers if section.name == "yolo"]
    if heads and is_of_fork(cfg):
        last = _loss(heads[-1], True)
        for head in heads[:-1]:
            others = [key for key, value in _loss(head, True).items() if last.get(key) != value]
            if others:
                found.append(f"the loss of {head.where()}, other than the last [yolo]'s ({', '.join(others)})")
    return found


def _learning_rate_policy(net: Section) -> dict[str, Any]:
    """Return `schedule`, and for steps `rate_steps` ((update, factor), ...)."""
    policy = net.text("policy", "constant")
    if policy == "constant":
        return {"schedule": "constant"}
    if policy != "steps":
        raise ValueError(
            f"{net.where('policy')}: expected policy=steps or constant, got {policy}; train without --recipe"
        )

    starts, factors = net.integers("steps"), net.numbers("scales")
    if len(starts) != len(factors):
        where = net.where("scales")
        raise ValueError(f"{where}: expected as many scales as steps ({len(starts)}), got {len(factors)}")
    return {"schedule": "steps", "rate_steps": tuple(zip(starts, factors, strict=True))}


def _multi_scale_factors(cfg: Cfg, head: Section, is_fork: bool) -> tuple[float, ...]:
    """Return the factors of the input size that `random` draws from with equal probability; empty without it."""
    height, width, _ = cfg.input_shape
    random = head.number("random", 0.0)
    if not random or not height or not width:
        return ()
    if not is_fork:
        return tuple(size / width for size in _SIZES)

    def round_size(factor: float) -> int:
        """Return round(factor width / 32 + 1) 32, but for factors below 1 at most the width itself."""
        size = math.floor(factor * width / 32 + 1.5) * 32
        return width if factor < 1 and size > width else size

    spread = _SPREAD if random == 1 else max(random, 1 / random)
    larger = [1 + (spread - 1) * (draw + 0.5) / _DRAWS for draw in range(_DRAWS)]
    return tuple(round_size(factor) / width for value in larger for factor in (value, 1 / value))
