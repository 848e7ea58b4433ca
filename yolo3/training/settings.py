"""The settings of a training run, in one frozen record that can be written down and read back."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from yolo3.input.settings import CACHES, Augmentation
from yolo3.models.architecture import MODELS, WITHOUT_ANCHORS
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.models.yolov3.scales import check_input_shape
from yolo3.ops.letterbox import RESIZE_MODES
from yolo3.precision import PRECISIONS
from yolo3.training.schedules import SCHEDULES

OPTIMIZERS = ("adam", "sgd", "darknet")
MULTI_SCALES = (0.75, 0.875, 1.0, 1.125, 1.25)  # of the input size; Darknet's `random=1` goes from .77 to 1.46
PATHS = ("anchors", "cfg", "data", "classes", "val", "weights", "output")


@dataclass(frozen=True)
class TrainConfig:
    """What `train` does; the command line's options in the same words.

    ``data``: file or folder, None for the embedded set. ``model``: None for the network that the number of anchors
    means. ``cfg``: a Darknet cfg whose network is trained instead; its anchors and ``ignore_thresh`` count unless
    others are given, and ``anchors`` may be None. ``ignore_thresh``: None for 0.5, or the cfg's. ``multi_scale``:
    factors of the input size, one drawn for every ten steps; empty for one size. ``accumulate``: steps that make one
    update; rates, ``burn_in``, ``rate_steps`` and ``max_batches`` count updates. ``max_batches``: the length of run
    that ``burn_in`` and ``rate_steps`` are meant for; 0 ``epochs`` make it, others squeeze the two. ``rate_steps``:
    ((update, factor), ...) of the schedule "steps", None for a tenth at 80 % and at 90 %. ``burn_in``: updates, None
    for a twentieth of the run. ``freeze_epochs``: epochs with the backbone frozen, None for a tenth of the run when
    pretrained weights are given. ``ema``: momentum of the averaged weights, None for one that fits the length of the
    run, 0 for none. ``evaluate_every``: epochs, None for about twenty times in a run. ``model_options``: (name, value)
    of fields of YOLOv1, RetinaNet or Rpn that differ from their defaults; ``loss``: those of YOLOv3's loss.
    """

    anchors: str | None = None
    data: str | None = None
    format: str | None = None
    classes: str | None = None
    model: str | None = None
    cfg: str | None = None
    anchor_mask: tuple[tuple[int, ...], ...] | None = None
    train_list: str | None = None
    val_list: str | None = None
    val: str | None = None
    val_split: float = 0.1
    skip_bad: bool = False
    input_size: tuple[int, int] = (416, 416)
    resize: str = "letterbox"
    multi_scale: tuple[float, ...] = ()
    epochs: int = 100
    max_batches: int | None = None
    batch_size: int = 8
    accumulate: int = 1
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    schedule: str = "cosine"
    rate_steps: tuple[tuple[int, float], ...] | None = None
    burn_in: int | None = None
    burn_in_power: float = 4.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    clip_norm: float = 0.0
    ema: float | None = None
    ignore_thresh: float | None = None
    precision: str = "auto"
    jit_compile: bool = False
    weights: str | None = None
    freeze_epochs: int | None = None
    cache: str = "auto"
    workers: int = 0
    evaluate_every: int | None = None
    seed: int = 0
    output: str | None = None
    model_options: tuple[tuple[str, Any], ...] = ()
    loss: LossOptions = field(default_factory=LossOptions)
    augment: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self):
        check_input_shape(self.input_size)
        if self.model not in (None, *MODELS):
            raise ValueError(f"model: expected one of {', '.join(MODELS)}, got {self.model!r}")
        if self.cfg is None and (self.anchors is None) != (self.model in WITHOUT_ANCHORS):
            expected = "no file of anchors" if self.anchors else "a file of anchors, or a cfg that holds them"
            raise ValueError(f"anchors: expected {expected} for {self.model or 'YOLOv3'}, got {self.anchors}")
        for other in ("model", "anchor_mask"):
            if self.cfg is not None and getattr(self, other) is not None:
                raise ValueError(f"{other}: expected none beside a cfg, which says its own, got {getattr(self, other)}")
        if not all(factor > 0 for factor in self.multi_scale):
            raise ValueError(f"multi_scale: expected factors above 0, got {self.multi_scale}")
        allowed = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "precision": PRECISIONS}
        allowed |= {"cache": CACHES, "resize": RESIZE_MODES}
        for name, choices in allowed.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}: expected one of {', '.join(choices)}, got {getattr(self, name)!r}")
        for name in ("epochs", "batch_size", "accumulate"):
            if getattr(self, name) < (0 if name == "epochs" and self.max_batches else 1):
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        for name in ("burn_in", "freeze_epochs", "workers", "weight_decay", "clip_norm"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name}: expected 0 or more, got {getattr(self, name)}")
        if self.max_batches is not None and self.max_batches < 1:
            raise ValueError(f"max_batches: expected at least 1, got {self.max_batches}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum: expected a share from 0 to below 1, got {self.momentum}")
        if self.ema is not None and not 0 <= self.ema < 1:
            raise ValueError(f"ema: expected a momentum from 0 to below 1, got {self.ema}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate: expected a positive number, got {self.learning_rate}")
        if not 0 <= self.val_split < 1:
            raise ValueError(f"val_split: expected a share from 0 to below 1, got {self.val_split}")


def format_config(config: TrainConfig) -> str:
    """Return the settings as JSON text. Inverse: :func:`parse_config`."""
    return json.dumps(dataclasses.asdict(config), indent=2)


def parse_config(text: str) -> TrainConfig:
    """Return the settings that :func:`format_config` wrote."""
    values = json.loads(text)
    unknown = set(values) - {field.name for field in dataclasses.fields(TrainConfig)}
    if unknown:
        raise ValueError(f"settings: expected those of this version, got {', '.join(sorted(unknown))} too")
    values = {name: _tuples(value) for name, value in values.items()}
    records = {"augment": Augmentation, "loss": LossOptions}
    for name, record in records.items():
        if name in values:
            values[name] = record(**{key: _tuples(value) for key, value in values[name].items()})
    return TrainConfig(**values)


def _tuples(value):
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
