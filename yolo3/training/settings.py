"""The settings of a training run, in one frozen record that can be written down and read back."""

from __future__ import annotations

import ast
import dataclasses
import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from yolo3.darknet.cfg import DEFAULT_SIZE
from yolo3.datasets.formats.names import DESCRIPTIONS
from yolo3.datasets.pixel_limit import MAX_PIXELS, PIXELS
from yolo3.input.settings import CACHES, SCALE_EVERY, Augmentation
from yolo3.models.registry import DEFAULT_MODEL, MODELS, model_summaries, reads_anchors
from yolo3.models.yolov3.defaults import FULL_MASK, IGNORE_THRESH, TINY_MASK, AnchorMask
from yolo3.models.yolov3.loss_options import LossOptions, stored_options
from yolo3.ops.resize_modes import RESIZE_MODES
from yolo3.precision import PRECISIONS
from yolo3.records import build_record
from yolo3.settings import BELOW_ONE, COUNT, NOT_NEGATIVE, POSITIVE, SHARE, WHOLE, check_settings, setting, settings_in
from yolo3.training.devices import DEVICES, check_devices
from yolo3.training.loggers import logger_summaries
from yolo3.training.schedules import BURN_IN_POWER, LONGEST_WARM_UP, SCHEDULES, WARM_UP_PART

MAY_MOVE = ("data", "val")
"""Settings that a resumed run takes, for data that has moved."""

MAY_CHANGE = (*MAY_MOVE, "devices")
"""All settings that a resumed run takes."""

EVALUATIONS = 10  # per run, about, if `evaluate_every` is not given
DEFAULT_EPOCHS = 100
LEAST_UPDATES = 2000  # few images need more passes: what a network learns follows from its updates
FROZEN_PART = 10  # 1 / FROZEN_PART of the epochs have the backbone frozen, if pretrained weights are given
OPTIMIZERS = ("adam", "sgd", "darknet")
SYNC_BN = ("on", "off")
AUTO = "auto"
"""Word of `anchors` for those that are clustered on the training boxes, and of `--batch-size` for what memory holds."""
COUNT_OR_AUTO = dataclasses.replace(COUNT, words=f"{COUNT.words}, or {AUTO}", word=AUTO)
MULTI_SCALES = (0.75, 0.875, 1.0, 1.125, 1.25)  # of the input size; Darknet's `random=1` goes from .77 to 1.46


def parse_mask_row(text: str) -> tuple[int, ...]:
    """Return the anchor indices of one scale, such as "6,7,8"."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"expected indices such as 3,4,5, got {text}") from None


def parse_named_value(text: str) -> tuple[str, Any]:
    """Return (name, value) of "name=value": a number, True or False, numbers with commas between, or a word."""
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals and value):
        raise ValueError(f"expected NAME=VALUE, got {text}")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value


def anchor_counts() -> str:
    """Return how many anchors the networks have, in words: "9 for yolov3, 6 for yolov3-tiny"."""
    return ", ".join(f"{len(entry.anchors)} for {name}" for name, entry in MODELS.items() if entry.reads_anchors)


def _model_options_help() -> str:
    names = ", ".join(name for name, entry in MODELS.items() if not entry.reads_anchors)
    return f"options of {names}, such as grid_size=7 activation=sigmoid"


def _in_words(mask: AnchorMask) -> str:
    return " ".join(",".join(map(str, scale)) for scale in mask)


_of_data, _of_network, _of_training = (
    functools.partial(setting, group=group) for group in ("data", "network", "training")
)


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a training run; nearly all of them have a command-line option of the same name.

    Each field carries its range, unit and help. Rates, ``burn_in``, ``rate_steps`` and ``max_batches`` count weight
    updates, of which each takes ``accumulate`` steps.

    Raises:
        ValueError: For a setting out of range, or settings that contradict each other.
    """

    anchors: str | None = setting(
        None,
        lambda: f"file of anchors, {anchor_counts()}; or {AUTO}: clustered on the training boxes",
        unset=f"those of --weights, of --cfg or of the network; of a network that fits badly, as {AUTO}",
        is_path=True,
    )

    data: str | None = _of_data(
        None, "annotations: a file or a folder", unset="the embedded shapes", metavar="PATH", is_path=True
    )
    format: str | None = _of_data(
        None, "format of the annotations", unset="recognised by content", choices=DESCRIPTIONS
    )
    classes: str | None = _of_data(
        None, "file with one class name per line", unset="collected from the data", is_path=True
    )
    train_list: str | None = _of_data(None, "list of the data set to train on, such as trainval", metavar="NAME")
    val_list: str | None = _of_data(None, "list of the data set to validate on, such as test", metavar="NAME")
    val: str | None = _of_data(
        None, "annotations to validate on, a data set of their own", metavar="PATH", is_path=True
    )
    val_split: float = _of_data(
        0.1,
        "share of the images held out for validation where the data set has no lists",
        number=BELOW_ONE,
    )
    skip_bad: bool = _of_data(False, "skip invalid annotations instead of stopping", const=True)
    max_pixels: int = _of_data(MAX_PIXELS, "largest number of pixels of an image, up to 2^30", number=PIXELS)
    cache: str = _of_data(
        "auto",
        "where decoded images are kept: in memory, on disk (in the run folder while it runs) or nowhere; "
        "auto keeps them in memory if they fit; on disk, and where memory is short, larger images are kept at network "
        "size",
        choices=CACHES,
    )
    workers: int = _of_data(0, "data-loading threads; 0 = auto", number=WHOLE)

    model: str | None = _of_network(
        None,
        "network to train",
        unset=f"the YOLOv3 network with as many anchors as --anchors, or that of --weights, or {DEFAULT_MODEL}",
        choices=model_summaries,
    )
    model_options: tuple[tuple[str, Any], ...] = _of_network(
        (),
        _model_options_help,
        parse=parse_named_value,
        many="+",
        metavar="NAME=VALUE",
    )
    anchor_mask: tuple[tuple[int, ...], ...] | None = _of_network(
        None,
        "indices of the anchors of each scale, the coarsest scale first",
        unset=f"{_in_words(FULL_MASK)}; tiny: {_in_words(TINY_MASK)}",
        parse=parse_mask_row,
        many="+",
        metavar="I,I,I",
    )
    cfg: str | None = _of_network(
        None,
        "Darknet cfg of the network to train; its heads are fitted to the classes of the data, and its anchors "
        "are used unless --anchors is given",
        is_path=True,
    )
    weights: str | None = _of_network(
        None,
        "weights to start from: a Keras file or, with --cfg, a Darknet file",
        unset="random",
        is_path=True,
    )
    input_size: tuple[int, int] = _of_network(
        (DEFAULT_SIZE, DEFAULT_SIZE),
        "height and width of the network input in pixels",
        number=COUNT,
        many=2,
        metavar=("H", "W"),
    )
    resize: str = _of_network(
        "letterbox",
        "how images are resized to the network input: letterbox keeps their aspect ratio, stretch does not",
        choices=RESIZE_MODES,
    )
    multi_scale: tuple[float, ...] = _of_network(
        (), f"vary the input size every {SCALE_EVERY} batches", number=POSITIVE, const=MULTI_SCALES
    )
    ignore_thresh: float | None = _of_network(
        None,
        "IoU with a ground-truth box above which a prediction does not count as background",
        unset=f"{IGNORE_THRESH}, or the cfg's",
        number=SHARE,
    )

    epochs: int | None = _of_training(
        None,
        "passes over the training images",
        unset=f"{DEFAULT_EPOCHS}, or as many as make {LEAST_UPDATES} updates",
        number=COUNT,
    )
    max_batches: int | None = setting(
        None,
        "updates that `burn_in` and `rate_steps` are meant for: with 0 epochs the length of the run, otherwise "
        "both are scaled to its length",
        option=False,
        number=COUNT,
    )
    batch_size: int = _of_training(
        8,
        f"images per step; {AUTO}: as many of an update's as memory holds, which is tried before the run",
        number=COUNT_OR_AUTO,
    )
    fit_batch: bool = setting(
        False, "whether the batch size is halved, and `accumulate` doubled, until memory holds a step", option=False
    )
    accumulate: int = _of_training(1, "steps whose gradients are accumulated for one update", number=COUNT)
    optimizer: str = _of_training("adam", "optimizer", choices=OPTIMIZERS)
    learning_rate: float = _of_training(
        1e-3, "peak learning rate; with --pretrained yolov3-tiny the default is 0.003, for Adam", number=POSITIVE
    )
    schedule: str = _of_training("cosine", "course of the learning rate after warm-up", choices=SCHEDULES)
    rate_steps: tuple[tuple[int, float], ...] | None = setting(
        None, "((update, factor), ...) of the schedule 'steps'", option=False, unset="those of Darknet's yolov3.cfg"
    )
    burn_in: int | None = _of_training(
        None,
        "length of the warm-up, during which the learning rate rises, in updates",
        unset=f"1/{WARM_UP_PART} of the run, at most {LONGEST_WARM_UP}",
        number=WHOLE,
        metavar="UPDATES",
    )
    burn_in_power: float = setting(BURN_IN_POWER, "exponent of the rise during warm-up", option=False)
    momentum: float = _of_training(0.9, "momentum of sgd and darknet", number=BELOW_ONE)
    weight_decay: float = _of_training(5e-4, "weight decay of the kernels", number=NOT_NEGATIVE)
    clip_norm: float = _of_training(0.0, "maximum norm of the gradient; 0 = no clipping", number=NOT_NEGATIVE)
    ema: float | None = _of_training(
        None,
        "momentum of the moving average of the weights (EMA); 0 = no averaging",
        unset="chosen by the length of the run",
        number=BELOW_ONE,
    )
    freeze_epochs: int | None = _of_training(
        None,
        "epochs with the backbone frozen",
        unset=f"1/{FROZEN_PART} of the run with --weights, else 0",
        number=WHOLE,
    )
    precision: str = _of_training(
        "auto",
        "numeric precision; auto is bfloat16 where the hardware supports it, else float32",
        choices=PRECISIONS,
    )
    devices: str | None = _of_training(
        None,
        f"what to train on: {DEVICES}; of several each has a part of every batch",
        unset="the first GPU, or the processor",
        parse=check_devices,
        metavar="DEVICES",
    )
    sync_bn: str = _of_training(
        "on",
        "statistics of batch normalization on several devices: on = those of the whole batch; off = each device's own, "
        "and their mean in the moving averages",
        choices=SYNC_BN,
    )
    jit_compile: bool = _of_training(False, "compile the training step with XLA", const=True)
    evaluate_every: int | None = _of_training(
        None,
        "epochs between evaluations",
        unset=f"about {EVALUATIONS} evaluations per run",
        number=COUNT,
        metavar="EPOCHS",
    )
    patience: int | None = _of_training(
        None,
        "evaluations without a better AP after which the run ends; those with the backbone frozen do not count",
        unset="all epochs are trained",
        number=COUNT,
    )
    log: tuple[str, ...] = _of_training(
        (),
        "experiment trackers that the run reports to, besides its log.csv",
        unset="tensorboard if it is installed",
        choices=logger_summaries,
        many="+",
    )
    save_minutes: float = _of_training(
        10.0, "minutes between two savings of the state within an epoch", metavar="MINUTES", number=POSITIVE
    )
    seed: int = _of_training(0, "seed of all random numbers", number=WHOLE)
    output: str | None = _of_training(None, "folder of the run", unset="runs/train-NNN", metavar="DIR", is_path=True)

    loss: LossOptions = field(default_factory=LossOptions)
    augment: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self):
        runs_by_batches = self.epochs == 0 and self.max_batches
        check_settings(self, but=("epochs",) if runs_by_batches else ())
        if self.devices is not None:
            _named("devices", check_devices, self.devices)

        if self.cfg is None and self.anchors is not None and not reads_anchors(self.model):
            raise ValueError(f"anchors: expected no file of anchors for {self.model}, got {self.anchors}")
        for other in ("model", "anchor_mask"):
            if self.cfg is not None and getattr(self, other) is not None:
                raise ValueError(
                    f"{other}: expected none with a cfg, which defines its own, got {getattr(self, other)}"
                )


def _named(name: str, check: Callable[[Any], Any], value: Any) -> None:
    """Let the error of a check begin with the name of the setting."""
    try:
        check(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def paths_in(values: Mapping[str, Any]) -> dict[str, str]:
    """Return those settings that name a file or a folder."""
    described = {name: setting for name, (_, setting) in settings_in(TrainConfig).items()}
    named = {name: value for name, value in values.items() if value and name in described and described[name].is_path}
    return {name: value for name, value in named.items() if (name, value) != ("anchors", AUTO)}


def format_config(config: TrainConfig) -> str:
    """Return the settings as JSON text. Inverse: :func:`parse_config`."""
    return json.dumps(dataclasses.asdict(config), indent=2)


def parse_config(text: str) -> TrainConfig:
    """Return the settings that :func:`format_config` wrote.

    Raises:
        ValueError: For text that is not JSON, and for settings that are not known, or not of the right type.
    """
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError("JSON that is nested too deeply") from error
    if isinstance(values, dict) and isinstance(loss := values.get("loss", {}), dict):
        values["loss"] = stored_options(loss)
    return build_record(TrainConfig, values)
