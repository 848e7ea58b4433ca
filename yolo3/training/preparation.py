"""From settings to checked data: whatever could stop a run is checked before its first step."""

from __future__ import annotations

import dataclasses
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
from yolo3.datasets.image_facts import known_groups
from yolo3.datasets.image_groups import describe_groups
from yolo3.datasets.pixel_limit import limit_pixels
from yolo3.datasets.splits import split_annotations
from yolo3.datasets.usable import usable_annotations
from yolo3.models.architecture import Architecture, check_input_shape
from yolo3.models.metadata import is_keras_file, read_metadata
from yolo3.models.registry import MODELS, architecture_of_cfg, named_architecture, reads_anchors
from yolo3.models.yolov3.anchors import read_anchors
from yolo3.models.yolov3.architecture import YoloV3
from yolo3.models.yolov3.scales import Scale
from yolo3.training.anchor_fit import ANCHOR_FIT, SHARED_SLOT, check_anchor_fit
from yolo3.training.data_error import DataError
from yolo3.training.image_lists import ImageLists, image_names, select_images
from yolo3.training.own_anchors import cluster_own, may_cluster
from yolo3.training.pretrained import check_darknet_weights
from yolo3.training.settings import AUTO, TrainConfig
from yolo3.training.sources import data_sources


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
        lists: Names of the images in both parts, for the run's folder.
        train_digests: Digests of the files of the training images.
    """

    train: list[Annotation]
    val: list[Annotation]
    class_names: list[str]
    architecture: Architecture
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    lists: ImageLists = ImageLists([], [])
    train_digests: list[str] = field(default_factory=list)

    @property
    def anchors(self) -> np.ndarray | None:
        """float32 [A, 2] (w, h) in pixels of the network input; None for an architecture without."""
        return getattr(self.architecture, "anchors", None)


def choose_architecture(config: TrainConfig, num_classes: int, own_anchors=None) -> Architecture:
    """Return the architecture that the settings ask for, or that the number of anchors or the weights imply.

    Args:
        config: Settings.
        num_classes: Of the data.
        own_anchors: Anchors in place of those that it would have, float [A, 2] (w, h) in pixels of the network input.

    Raises:
        ValueError: When anchors, cfg, model and input size do not fit each other; names the file.
    """
    anchors = None if config.anchors in (None, AUTO) else read_anchors(str(config.anchors))
    model, anchor_mask = config.model, config.anchor_mask
    if config.weights and anchors is None and config.cfg is None and reads_anchors(model):
        model, anchors, anchor_mask = _network_of_weights(config, config.weights)
    anchors = anchors if own_anchors is None else own_anchors

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


def with_network(config: TrainConfig, architecture: Architecture) -> TrainConfig:
    """Return settings that name the network and the masks that pretrained weights have brought.

    With them and its file of anchors a run is resumed, without the weights that it began with.
    """
    if config.weights is None or config.cfg is not None or not isinstance(architecture, YoloV3):
        return config
    mask = tuple(scale.anchor_mask for scale in architecture.scales)
    return dataclasses.replace(config, model=architecture.name, anchor_mask=mask)


def prepare(
    config: TrainConfig, progress: Callable[[int, int], None] | None = None, lists: ImageLists | None = None
) -> Prepared:
    """Read and check everything that a run needs.

    Args:
        config: Settings.
        progress: Is called with (images checked, images in the set) as images are checked.
        lists: The images of a run that goes on; chosen as the settings say if None.

    Raises:
        ValueError: When settings do not fit each other, or no image of `lists` is in the data.
        DataError: When the data has errors, unless `config.skip_bad` leaves them out; when class ids start at 1; when
            there is no box to train on.
    """
    limit_pixels(config.max_pixels)
    choose_architecture(config, 1)  # says what does not fit before the data is read
    if config.weights:
        check_darknet_weights(config.weights, config.cfg)
    sets, notes = _read_sets(config)
    architecture = choose_architecture(config, max(len(sets[0].class_names), 1))
    if config.loss.class_weights and len(config.loss.class_weights) != len(sets[0].class_names):
        raise ValueError(
            f"class_weights: expected {len(sets[0].class_names)}, one for each class of {sets[0].name}, got "
            f"{len(config.loss.class_weights)} (counters_per_class of a cfg)"
        )
    if architecture.one_class:
        sets = [in_one_class(part, architecture.one_class) for part in sets]
        notes.append(
            f"{architecture.name} does not distinguish classes: all objects become '{architecture.one_class}'."
        )

    kept, findings, checks = _check_sets(config, sets, architecture, notes, progress)
    _refuse_errors(config, findings, notes)
    train, val = _choose_images(config, kept, lists=lists, checks=checks, notes=notes, progress=progress)
    architecture, findings = _choose_anchors(
        config, architecture, dataset=kept[0], train=train, checks=checks, findings=findings, notes=notes
    )
    findings += check_overlap(train, val, {path: check.digest for path, check in checks.items()})
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
        lists=ImageLists(train=image_names(train, kept[0].root), val=image_names(val, kept[-1].root)),
        train_digests=[checks[item.image_path].digest for item in train],
    )


def _choose_anchors(
    config: TrainConfig,
    architecture: Architecture,
    *,
    dataset: Dataset,
    train: Sequence[Annotation],
    checks: dict[str, ImageCheck],
    findings: list[Finding],
    notes: list[str],
) -> tuple[Architecture, list[Finding]]:
    """Return (architecture, findings) with the anchors to train with; what was chosen for the user is noted."""
    own = None
    if may_cluster(config, {finding.kind for finding in findings}):
        try:
            own = cluster_own(config, architecture, train, [checks[item.image_path].shape for item in train])
        except ValueError:
            if config.anchors == AUTO:
                raise
    if config.model is None and config.anchors in (None, AUTO) and config.cfg is None:
        whose = f"the anchors of {os.path.basename(config.weights)}" if config.weights else "its own anchors"
        notes.append(f"No --model given: training {architecture.name}{f' with {whose}' * (own is None)}.")
    if own is None:
        return architecture, findings

    anchors, line = own
    notes.append(line)
    architecture = choose_architecture(config, max(len(dataset.class_names), 1), anchors)
    found = check_anchor_fit(
        dataset,
        [checks[item.image_path].shape for item in dataset.annotations],
        (),  # what they remove is gone already
        scales=_scales(architecture),
        input_shape=config.input_size,
        resize=config.resize,
    )
    others = [finding for finding in findings if finding.kind not in (ANCHOR_FIT, SHARED_SLOT)]
    return architecture, others + [finding for finding in found if finding.kind == SHARED_SLOT]


def _scales(architecture: Architecture) -> Sequence[Scale]:
    """Return the scales with anchors of an architecture; none of one without."""
    return architecture.scales if isinstance(architecture, YoloV3) else ()


def _read_sets(config: TrainConfig) -> tuple[list[Dataset], list[str]]:
    """Return (sets, notes): the training set, and the validation set if there is one, with the same class names."""
    sources, notes = data_sources(config)

    # Sets with different class names are read once more, with the names of both.
    names = read_class_names(config.classes) if config.classes else None
    sets = [formats.read_dataset(source.path, source.format, names, source.list_name) for source in sources]
    if names is None and len({tuple(part.class_names) for part in sets}) > 1:
        names = list(dict.fromkeys(name for part in sets for name in part.class_names))
        sets = [formats.read_dataset(source.path, source.format, names, source.list_name) for source in sources]
    for part in sets:
        notes += [f"{part.name}: {len(part.annotations)} images ({part.format}).", *part.notes]
    return sets, notes


def _check_sets(
    config: TrainConfig,
    sets: Sequence[Dataset],
    architecture: Architecture,
    notes: list[str],
    progress: Callable[[int, int], None] | None,
) -> tuple[list[Dataset], list[Finding], dict[str, ImageCheck]]:
    """Check images and boxes, and how the boxes of the training set fit the anchors.

    Returns:
        The sets without what cannot be used, which is noted; the findings; what each image showed, by its path.
    """
    scales = _scales(architecture)
    findings: list[Finding] = []
    kept = []
    checks: dict[str, ImageCheck] = {}
    for index, dataset in enumerate(sets):
        found, images = check_dataset(dataset, train=index == 0, workers=config.workers, progress=progress)
        checks |= zip((item.image_path for item in dataset.annotations), images, strict=True)
        if index == 0:
            shapes = [image.shape for image in images]
            found += check_anchor_fit(
                dataset, shapes, found, scales=scales, input_shape=config.input_size, resize=config.resize
            )
        findings += found
        usable, left_out = usable_annotations(dataset, found)
        kept.append(dataclasses.replace(dataset, annotations=usable))
        if config.skip_bad and left_out:
            notes.append(f"{dataset.name}: left out " + ", ".join(f"{n} {kind}" for kind, n in left_out.items()))
    return kept, list(dict.fromkeys(findings)), checks  # both sets may have the same to say of the whole data


def _refuse_errors(config: TrainConfig, findings: list[Finding], notes: list[str]) -> None:
    """Raise `DataError` for errors that are not, or cannot be, skipped."""
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


def _choose_images(
    config: TrainConfig,
    kept: Sequence[Dataset],
    *,
    lists: ImageLists | None,
    checks: dict[str, ImageCheck],
    notes: list[str],
    progress: Callable[[int, int], None] | None,
) -> tuple[list[Annotation], list[Annotation]]:
    """Return (train, val): as the lists of the run say, as the data divides, or drawn; how is noted."""
    usable = kept[0].annotations
    if lists is not None:
        train, val, said = _as_listed(kept, lists)
        notes += said
        return train, val
    if len(kept) == 2:
        return usable, kept[1].annotations
    if not config.val_split or len(usable) < 2:
        notes.append("No validation: there are no images for it, so the last weights count as the best.")
        return usable, []

    paths = [item.image_path for item in usable]
    groups = known_groups(paths, [checks[path] for path in paths], kept[0].root, progress)
    train, val = split_annotations(usable, config.val_split, config.seed, groups)
    notes.append(f"Validating on {len(val)} of {len(usable)} images, drawn with seed {config.seed}.")
    if together := describe_groups(groups):
        notes.append(f"Kept on one side of the split: {together}.")
    return train, val


def _as_listed(sets: Sequence[Dataset], lists: ImageLists) -> tuple[list[Annotation], list[Annotation], list[str]]:
    """Return (train, val, notes): the images that the lists of a run name, of what can be used of the sets."""
    train, gone = select_images(sets[0].annotations, lists.train, sets[0].root)
    val, gone_too = select_images(sets[-1].annotations, lists.val, sets[-1].root)
    gone += gone_too
    if not train or (lists.val and not val):
        raise ValueError(f"{sets[0].name}: expected the images of the run, found none of them, such as {gone[0]}")

    notes = []
    if gone:
        notes.append(f"Images of the run that are not in the data any more: {len(gone)}, first {gone[0]}.")
    listed = {id(annotation) for annotation in (*train, *val)}
    new = [item.image_path for part in sets for item in part.annotations if id(item) not in listed]
    if new:
        notes.append(f"Images of the data that are in no list of the run and are left out: {len(new)}, first {new[0]}.")
    return train, val, notes
