"""From settings to checked data: everything that could stop a run is looked at before its first step."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from yolo3.darknet.cfg import read_cfg
from yolo3.datasets.annotation import Annotation, Finding, in_one_class
from yolo3.datasets.check_boxes import SHIFTED_IDS
from yolo3.datasets.check_duplicates import check_overlap
from yolo3.datasets.checks import check_dataset
from yolo3.datasets.class_names import read_class_names
from yolo3.datasets.formats import registry as formats
from yolo3.datasets.lists import split_annotations
from yolo3.datasets.shapes import shapes_folder
from yolo3.datasets.usable import usable_annotations
from yolo3.models.architecture import Architecture, check_input_shape
from yolo3.models.registry import architecture_of_cfg, named_architecture
from yolo3.models.yolov3.anchors import read_anchors
from yolo3.models.yolov3.architecture import YoloV3
from yolo3.training.anchor_fit import check_anchor_fit
from yolo3.training.settings import TrainConfig

logger = logging.getLogger(__name__)


class DataError(ValueError):
    """The data holds what cannot be used; ``findings`` says what and where."""

    def __init__(self, message: str, findings: list[Finding]):
        super().__init__(message)
        self.findings = findings


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a run trains with. ``architecture``: the kind of network. ``notes``: lines to tell the user.

    ``val_source``: (path, list name or None) of a validation set of its own.
    """

    train: list[Annotation]
    val: list[Annotation]
    class_names: list[str]
    architecture: Architecture
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    val_source: tuple[str, str | None] | None = None

    @property
    def anchors(self) -> np.ndarray | None:
        """float32 [A, 2] (w, h) in pixels of the network input; None for an architecture that has none."""
        return getattr(self.architecture, "anchors", None)


def choose_architecture(config: TrainConfig, num_classes: int) -> Architecture:
    """Return the architecture asked for, or the one that the number of anchors means, for so many classes.

    Raises ``ValueError``, naming the file, where anchors, cfg, model and input size do not fit each other.
    """
    if config.cfg is not None:
        anchors = None if config.anchors is None else read_anchors(config.anchors)
        architecture = architecture_of_cfg(
            read_cfg(config.cfg),
            num_classes,
            anchors=anchors,
            ignore_thresh=config.ignore_thresh,
            loss=config.loss,
        )
    else:
        architecture = _named_architecture(config, num_classes)
    check_input_shape(config.input_size, architecture.stride)
    if architecture.fixed_size and config.multi_scale:
        raise ValueError(f"{architecture.name}: takes images of one size alone; leave out --multi-scale")
    return architecture


def _named_architecture(config: TrainConfig, num_classes: int) -> Architecture:
    choices: dict[str, Any] = {"loss": config.loss, "options": dict(config.model_options)}
    if config.anchors is None:
        return named_architecture(config.model, num_classes, **choices)
    anchors = read_anchors(config.anchors)
    try:
        return named_architecture(
            config.model,
            num_classes,
            anchors=anchors,
            anchor_mask=config.anchor_mask,
            ignore_thresh=config.ignore_thresh,
            **choices,
        )
    except ValueError as error:
        raise ValueError(f"{config.anchors}: {error}") from error


def prepare(config: TrainConfig, progress: Callable[[int, int], None] | None = None) -> Prepared:
    """Read and check everything that a run needs.

    Raises ``ValueError`` for settings that do not fit each other and :class:`DataError` for data that cannot be used
    (unless ``config.skip_bad``, which leaves it out and says how much).
    """
    choose_architecture(config, 1)  # says what does not fit before the data is read
    sets, notes, val_source = _read_sets(config)
    architecture = choose_architecture(config, max(len(sets[0].class_names), 1))
    if architecture.one_class:
        sets = [in_one_class(part, architecture.one_class) for part in sets]
        notes.append(
            f"{architecture.name} does not tell classes apart: every object is called '{architecture.one_class}'."
        )
    class_names = sets[0].class_names
    scales = architecture.scales if isinstance(architecture, YoloV3) else ()
    findings: list[Finding] = []
    kept = []
    for index, dataset in enumerate(sets):
        found, shapes = check_dataset(dataset, train=index == 0, progress=progress)
        if index == 0:
            found += check_anchor_fit(
                dataset, shapes, found, scales=scales, input_shape=config.input_size, resize=config.resize
            )
        findings += found
        usable, left_out = usable_annotations(dataset, found)
        kept.append(usable)
        if config.skip_bad and left_out:
            notes.append(f"{dataset.name}: left out " + ", ".join(f"{n} {kind}" for kind, n in left_out.items()))
    errors = [finding for finding in findings if finding.severity == "error"]
    if errors and not config.skip_bad:
        raise DataError(
            f"{len(errors)} things in the data cannot be used; mend them, or leave them out with --skip-bad", findings
        )
    _refuse_shifted_ids(errors)
    train, val = _split(config, kept, notes)
    findings += check_overlap(train, val)
    _require_boxes(train, sets[0].name, findings)
    return Prepared(train, val, class_names, architecture, findings, notes, val_source)


def _refuse_shifted_ids(errors: list[Finding]) -> None:
    """Stop even where bad things are left out: what stays would be learned under the name of the class before it."""
    shifted = [finding for finding in errors if finding.kind == SHIFTED_IDS]
    if shifted:
        raise DataError("class ids that start at 1 cannot be left out with --skip-bad; subtract 1 from each", shifted)


def _require_boxes(train: list[Annotation], name: str, findings: list[Finding]) -> None:
    if not sum(int((~annotation.crowd).sum()) for annotation in train):
        message = f"{name}: expected at least one box to train on, got none in {len(train)} images"
        raise DataError(message, findings)  # which may say why


def _read_sets(config: TrainConfig):
    """Return (sets, notes, source of the validation set): the training set, and the validation set if there is one.

    Both have the same class names.
    """
    notes: list[str] = []
    path, data_format = config.data, config.format
    if path is None:
        path, data_format = shapes_folder(), "voc"
        notes.append(f"No --data given: training on the embedded data set of rendered shapes ({path}).")
    sources = _sources(config, path, data_format, notes)
    names = read_class_names(config.classes) if config.classes else None
    sets = [formats.read_dataset(path, kind, names, list_name) for path, kind, list_name in sources]
    if names is None and len({tuple(part.class_names) for part in sets}) > 1:
        names = list(dict.fromkeys(name for part in sets for name in part.class_names))
        sets = [formats.read_dataset(path, kind, names, list_name) for path, kind, list_name in sources]
    for part in sets:
        notes.append(f"{part.name}: {len(part.annotations)} images ({part.format}).")
    return sets, notes, (sources[1][0], sources[1][2]) if len(sources) == 2 else None


def _sources(config, path, data_format, notes):
    """Return (path, format, list name) of the training set and, if there is one, of the validation set."""
    train_list, val_list = config.train_list, config.val_list
    if train_list is None and val_list is None and config.val is None:
        pair = formats.find_default_lists(path, data_format)
        if pair:
            train_list, val_list = pair
            notes.append(f"Using the data set's own lists: '{train_list}' to train, '{val_list}' to validate.")
    sources = [(path, data_format, train_list)]
    if config.val is not None:
        named = config.format is not None and formats.FORMATS[config.format].matches(config.val)
        sources.append((config.val, config.format if named else None, config.val_list))
    elif val_list is not None and train_list is None:
        lists = ", ".join(formats.list_names(path, data_format))
        raise ValueError(f"{path}: --val-list {val_list} needs --train-list, or it would be trained on; lists: {lists}")
    elif val_list is not None:
        sources.append((path, data_format, val_list))
    return sources


def _split(config: TrainConfig, kept, notes):
    """Return (train, val) annotations: the sets as they are, or one set divided at random."""
    if len(kept) == 2:
        return kept
    if not config.val_split or len(kept[0]) < 2:
        notes.append("No validation: there are no images for it, so the last weights count as the best.")
        return kept[0], []
    train, val = split_annotations(kept[0], config.val_split, config.seed)
    notes.append(f"Validating on {len(val)} of {len(kept[0])} images, drawn with seed {config.seed}.")
    return train, val
