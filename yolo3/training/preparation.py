"""From settings to checked data: whatever could stop a run is checked before its first step."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from yolo3.darknet.cfg import read_cfg
from yolo3.datasets.annotation import Annotation, Dataset, Finding, in_one_class
from yolo3.datasets.check_boxes import SHIFTED_IDS
from yolo3.datasets.check_duplicates import check_overlap
from yolo3.datasets.check_images import ImageCheck
from yolo3.datasets.checks import check_dataset
from yolo3.datasets.class_names import read_class_names
from yolo3.datasets.formats import registry as formats
from yolo3.datasets.image_groups import describe_groups, group_images
from yolo3.datasets.images import limit_pixels
from yolo3.datasets.shapes import shapes_folder
from yolo3.datasets.splits import split_annotations
from yolo3.datasets.usable import usable_annotations
from yolo3.models.architecture import Architecture, check_input_shape
from yolo3.models.metadata import is_keras_file, read_metadata
from yolo3.models.registry import MODELS, architecture_of_cfg, named_architecture, reads_anchors
from yolo3.models.yolov3.anchors import read_anchors
from yolo3.models.yolov3.architecture import YoloV3
from yolo3.training.anchor_fit import check_anchor_fit
from yolo3.training.settings import TrainConfig


class DataError(ValueError):
    """The data cannot be used as it is.

    Args:
        message: One sentence for the user.
        findings: What is wrong, and where.
        notes: Lines for the user about what was read.
    """

    def __init__(self, message: str, findings: list[Finding], notes: Sequence[str] = ()):
        super().__init__(message)
        self.findings = findings
        self.notes = list(notes)


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a run trains with.

    Args:
        train: Images to train on.
        val: Images to validate on; may be empty.
        class_names: In order of the class ids.
        architecture: What the outputs of the network mean.
        findings: Of the checks of the data.
        notes: Lines for the user.
        val_source: (path, list name or None) of a validation set of its own.
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
        """float32 [A, 2] (w, h) in pixels of the network input; None for an architecture without."""
        return getattr(self.architecture, "anchors", None)


def choose_architecture(config: TrainConfig, num_classes: int) -> Architecture:
    """Return the architecture that the settings ask for, or that the number of anchors or the weights imply.

    Args:
        config: Settings.
        num_classes: Of the data.

    Raises:
        ValueError: When anchors, cfg, model and input size do not fit each other; names the file.
    """
    anchors = None if config.anchors is None else read_anchors(config.anchors)
    model, anchor_mask = config.model, config.anchor_mask
    if config.weights and anchors is None and config.cfg is None and reads_anchors(model):
        model, anchors, anchor_mask = _network_of_weights(config, config.weights)

    if config.cfg is not None:
        architecture = architecture_of_cfg(
            read_cfg(config.cfg),
            num_classes,
            anchors=anchors,
            ignore_thresh=config.ignore_thresh,
            loss=config.loss,
        )
    else:
        try:
            architecture = named_architecture(
                model,
                num_classes,
                anchors=anchors,
                anchor_mask=anchor_mask,
                ignore_thresh=config.ignore_thresh,
                loss=config.loss,
                options=dict(config.model_options),
            )
        except ValueError as error:
            raise ValueError(f"{config.anchors}: {error}" if config.anchors else str(error)) from error

    check_input_shape(config.input_size, architecture.stride)
    if architecture.fixed_size and config.multi_scale:
        raise ValueError(f"{architecture.name}: takes images of one size only; leave out --multi-scale")
    return architecture


def _network_of_weights(config: TrainConfig, weights: str) -> tuple[str | None, Any, Any]:
    """Return (model, anchors, anchor mask), those of the pretrained weights where these are of the model asked for."""
    if not is_keras_file(weights):  # Darknet's, which needs --cfg
        return config.model, None, config.anchor_mask
    metadata = read_metadata(weights) or {}
    name = metadata.get("model")
    if name in MODELS and reads_anchors(name) and config.model in (None, name):
        return name, metadata.get("anchors"), config.anchor_mask or metadata.get("anchor_mask")
    if config.model is None:
        raise ValueError(f"{weights}: does not name a YOLOv3 network; say which it is with --model, or give its --cfg")
    return config.model, None, config.anchor_mask


def prepare(config: TrainConfig, progress: Callable[[int, int], None] | None = None) -> Prepared:
    """Read and check everything that a run needs.

    Args:
        config: Settings.
        progress: Is called with (images checked, images in the set) as images are checked.

    Raises:
        ValueError: When settings do not fit each other.
        DataError: When the data has errors, unless `config.skip_bad` leaves them out; when class ids start at 1; when
            there is no box to train on.
    """
    limit_pixels(config.max_pixels)
    choose_architecture(config, 1)  # says what does not fit before the data is read
    sets, notes, val_source = _read_sets(config)
    architecture = choose_architecture(config, max(len(sets[0].class_names), 1))
    if config.model is None and config.anchors is None and config.cfg is None:
        whose = f"the anchors of {os.path.basename(config.weights)}" if config.weights else "its own anchors"
        notes.append(f"No --model given: training {architecture.name} with {whose}.")
    if architecture.one_class:
        sets = [in_one_class(part, architecture.one_class) for part in sets]
        notes.append(
            f"{architecture.name} does not distinguish classes: all objects become '{architecture.one_class}'."
        )

    scales = architecture.scales if isinstance(architecture, YoloV3) else ()
    findings: list[Finding] = []
    kept = []
    checks: dict[str, ImageCheck] = {}
    for index, dataset in enumerate(sets):
        found, images = check_dataset(dataset, train=index == 0, progress=progress)
        if index == 0:
            shapes = [image.shape for image in images]
            checks = dict(zip((item.image_path for item in dataset.annotations), images, strict=True))
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
        plural = "" if len(errors) == 1 else "s"
        message = f"{len(errors):,} invalid annotation{plural}; fix them, or skip them with --skip-bad"
        raise DataError(message, findings, notes)
    # What stays of a set with shifted ids would be learned under the name of the class before it.
    shifted = [finding for finding in errors if finding.kind == SHIFTED_IDS]
    if shifted:
        raise DataError(
            "class ids that start at 1 cannot be skipped with --skip-bad; subtract 1 from each", shifted, notes
        )

    if len(kept) == 2:
        train, val = kept
    elif not config.val_split or len(kept[0]) < 2:
        train, val = kept[0], []
        notes.append("No validation: there are no images for it, so the last weights count as the best.")
    else:
        paths = [item.image_path for item in kept[0]]
        groups = group_images(paths, [checks[path] for path in paths])
        train, val = split_annotations(kept[0], config.val_split, config.seed, groups)
        notes.append(f"Validating on {len(val)} of {len(kept[0])} images, drawn with seed {config.seed}.")
        if together := describe_groups(groups):
            notes.append(f"Kept on one side of the split: {together}.")

    findings += check_overlap(train, val)
    if not sum(int((~annotation.crowd).sum()) for annotation in train):
        message = f"{sets[0].name}: expected at least one box to train on, got none in {len(train)} images"
        raise DataError(message, findings, notes)  # findings may say why
    return Prepared(
        train=train,
        val=val,
        class_names=sets[0].class_names,
        architecture=architecture,
        findings=findings,
        notes=notes,
        val_source=val_source,
    )


def _read_sets(config: TrainConfig) -> tuple[list[Dataset], list[str], tuple[str, str | None] | None]:
    """Return (sets, notes, source of the validation set): the training set, and the validation set if there is one.

    Both have the same class names.
    """
    notes: list[str] = []
    path, data_format = config.data, config.format
    if path is None:
        path, data_format = shapes_folder(), "voc"
        notes.append(f"No --data given: training on the embedded data set of rendered shapes ({path}).")

    # Where each set comes from: (path, format, list name).
    train_list, val_list = config.train_list, config.val_list
    if train_list is None and val_list is None and config.val is None:
        pair = formats.find_default_lists(path, data_format)
        if pair:
            train_list, val_list = pair
            notes.append(f"Using the lists of the data set: '{train_list}' to train, '{val_list}' to validate.")
    sources = [(path, data_format, train_list)]
    if config.val is not None:
        named = config.format is not None and formats.FORMATS[config.format].matches(config.val)
        sources.append((config.val, config.format if named else None, config.val_list))
    elif val_list is not None and train_list is None:
        lists = ", ".join(formats.list_names(path, data_format))
        raise ValueError(f"{path}: --val-list {val_list} needs --train-list, or it would be trained on; lists: {lists}")
    elif val_list is not None:
        sources.append((path, data_format, val_list))

    # Sets with different class names are read once more, with the names of both.
    names = read_class_names(config.classes) if config.classes else None
    sets = [formats.read_dataset(path, kind, names, list_name) for path, kind, list_name in sources]
    if names is None and len({tuple(part.class_names) for part in sets}) > 1:
        names = list(dict.fromkeys(name for part in sets for name in part.class_names))
        sets = [formats.read_dataset(path, kind, names, list_name) for path, kind, list_name in sources]
    for part in sets:
        notes += [f"{part.name}: {len(part.annotations)} images ({part.format}).", *part.notes]
    return sets, notes, (sources[1][0], sources[1][2]) if len(sources) == 2 else None
