"""An evaluation from its options to its figures: checks, detection, measuring; of the command and of Python alike."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from yolo3.datasets.annotation import Dataset, in_one_class
from yolo3.datasets.check_boxes import SHIFTED_IDS
from yolo3.datasets.check_findings import check_findings, print_to_stderr
from yolo3.datasets.checks import check_dataset
from yolo3.datasets.class_names import read_class_names
from yolo3.datasets.formats.registry import read_dataset
from yolo3.datasets.pixel_limit import limit_pixels
from yolo3.datasets.usable import usable_annotations
from yolo3.evaluation import evaluate
from yolo3.evaluation.advice import some_of
from yolo3.evaluation.measures import measure
from yolo3.evaluation.result import Evaluation
from yolo3.evaluation.saved_detections import SavedDetections, all_classes
from yolo3.file_states import one_look
from yolo3.files import real_paths
from yolo3.inference.loading import load_detector, loading_network
from yolo3.inference.settings import DetectorSettings
from yolo3.models.published import is_published_name
from yolo3.ops.nms_methods import AP_SCORE_THRESHOLD, SHOWN_SCORE
from yolo3.outputs import check_outputs
from yolo3.training import run_folder
from yolo3.training.image_lists import select_images
from yolo3.training.settings import TrainConfig
from yolo3.training.sources import data_sources
from yolo3.training.trained_images import count_trained, number_unnamed

ENDINGS = {"report": (".html", ".htm"), "json": (".json",), "save_detections": (".json",), "findings": (".txt",)}
"""Endings of the files that an evaluation writes, by the options that name them."""

Bar = Callable[[], AbstractContextManager[Callable[[int, int], None] | None]]


@dataclass(frozen=True)
class Request:
    """What is evaluated on what.

    Args:
        weights: File of the network, or a published name; with `run` the run's best weights if None.
        data: Annotations, a file or a folder; with `run` what the run validated on if None.
        run: Folder of a training run, for what is not given.
        cfg: Darknet cfg of Darknet weights.
        classes: File of class names, for weights that carry none.
        anchors: File of anchors, for weights that carry none.
        from_detections: Files of detections, which take the place of a network's.
        format: Name of the format of the annotations; recognised by content if None.
        list_name: Name of a list of the data set.
        skip_bad: Whether invalid annotations are skipped.
        max_pixels: Largest number of pixels of an image.
        at_score: Lowest score of the detections that precision, recall, F1 and the kinds of errors count; that of
            detections that are shown if None, or the detector's if that is higher.
        detector: Settings of the detector, those of `yolo3.inference.settings.DetectorSettings`.
        outputs: Files that will be written, by the option that names them; checked before the work.
    """

    weights: str | None = None
    data: str | None = None
    run: str | None = None
    cfg: str | None = None
    classes: str | None = None
    anchors: str | None = None
    from_detections: tuple[str, ...] = ()
    format: str | None = None
    list_name: str | None = None
    skip_bad: bool = TrainConfig.skip_bad
    max_pixels: int = TrainConfig.max_pixels
    at_score: float | None = None
    detector: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def findings(self) -> str | None:
        """File that every finding about the data is written to."""
        return self.outputs.get("findings")

    @property
    def score(self) -> float:
        """The score that `at_score` stands for."""
        threshold = self.detector.get("score_threshold", AP_SCORE_THRESHOLD)
        return max(SHOWN_SCORE, threshold) if self.at_score is None else self.at_score


def evaluate_network(
    request: Request,
    *,
    warn: Callable[[str], None] = print_to_stderr,
    data_bar: Bar = contextlib.nullcontext,
    image_bar: Bar = contextlib.nullcontext,
) -> Evaluation:
    """Detect objects in annotated images and measure how well.

    Args:
        request: What is evaluated on what.
        warn: Is called with each line about the data.
        data_bar: Returns a context whose value is called with the number of images checked and of all.
        image_bar: The same for images in which objects are detected.

    Returns:
        The figures, and what they were computed from.

    Raises:
        OSError: For files that cannot be read.
        ValueError: For data or files that do not fit the network or each other, and for invalid annotations.
    """
    listed = None
    if request.run is not None:
        request, listed = _take_from_run(request, request.run)
    limit_pixels(request.max_pixels)
    _check_files(request)
    weights, data = request.weights or "", request.data or ""

    with loading_network(weights):
        detector = load_detector(
            weights,
            classes_path=request.classes,
            anchors_path=request.anchors,
            cfg_path=request.cfg,
            **{"score_threshold": AP_SCORE_THRESHOLD, **request.detector},
        )
    dataset, digests = _read_checked(
        request, detector.class_names, listed, one_class=detector.network.one_class, warn=warn, data_bar=data_bar
    )
    annotations = dataset.annotations
    evaluate.check_classes(detector, annotations, dataset.class_names)
    evaluate.check_objects(annotations, data)
    if "save_detections" in request.outputs:
        # Images that cannot be told apart are an error before the work begins.
        evaluate.coco_ids(annotations, detector.class_names)

    trained_on = (detector.metadata.get("training") or {}).get("images")
    if number := number_unnamed(trained_on):
        warn(f"{weights}: trained on {number:,} images, too many to name them: whether it saw these is not known.")

    with image_bar() as show:
        detections = evaluate.detect_annotations(detector, annotations, show)
    return Evaluation(
        weights=weights,
        dataset=dataset,
        detector=detector,
        detections=detections,
        measures=measure(annotations, detections, detector.class_names, request.score),
        images_trained_on=count_trained(trained_on, digests),
    )


def evaluate_detections(
    request: Request, *, warn: Callable[[str], None] = print_to_stderr, data_bar: Bar = contextlib.nullcontext
) -> Evaluation:
    """Measure detections from files, as :func:`evaluate_network` measures those of a network.

    Args:
        request: Which files, on what; its classes are those of the network.
        warn: Is called with each line about the data.
        data_bar: Returns a context whose value is called with the number of images checked and of all.

    Raises:
        OSError: For files that cannot be read.
        ValueError: For data or files that do not fit each other, and for invalid annotations.
    """
    standard = DetectorSettings(score_threshold=AP_SCORE_THRESHOLD)
    of_network: dict[str, Any] = {name: getattr(request, name) for name in ("weights", "run", "cfg", "anchors")}
    of_network |= {name: value for name, value in request.detector.items() if value != getattr(standard, name)}
    for name, value in of_network.items():
        if value is not None:
            raise ValueError(f"{name}: expected none with detections from files, got {value}")

    limit_pixels(request.max_pixels)
    _check_files(request)
    data, names = request.data or "", None if request.classes is None else read_class_names(request.classes)
    saved = SavedDetections(request.from_detections)

    dataset, _ = _read_checked(request, names, None, one_class=None, warn=warn, data_bar=data_bar)
    class_names = all_classes(saved, dataset.class_names, names, request.classes or data)
    evaluate.check_objects(dataset.annotations, data)
    detections = saved.of(dataset.annotations, class_names)
    if others := len(saved.images) - len(dataset.annotations):
        warn(f"{others:,} of {len(saved.images):,} images with detections are not in {data}: they are left out.")
    return Evaluation(
        weights=", ".join(request.from_detections),
        dataset=dataset,
        detector=None,
        detections=detections,
        measures=measure(dataset.annotations, detections, class_names, request.score),
    )


def _take_from_run(request: Request, run: str) -> tuple[Request, list[str] | None]:
    """Fill in what was not given from the folder of a run.

    Returns:
        The request, with weights and data; names of the images that the run validated on, as its list has them, or
        None for a list of the data set.
    """
    config, folder = run_folder.read_settings(run), run_folder.RunFolder(run)
    weights = request.weights or str(folder.file(run_folder.BEST))
    if request.weights is None and not os.path.exists(weights):
        raise ValueError(f"{run}: expected {run_folder.BEST} in it, found none: it has not evaluated yet")

    # A list of the data set that is named is taken as it is, else the run's own list of whatever it was drawn from.
    own = "val" if config.val else "data"
    moved: dict[str, Any] = {own: request.data or getattr(config, own), "format": request.format or config.format}
    config = dataclasses.replace(config, **moved)
    if (path := getattr(config, own)) and not os.path.exists(path):
        raise ValueError(f"{path}: the data of {run} is not there; if it has moved, say where with --data")
    sources, _ = data_sources(config)
    source = sources[-1]
    taken = dataclasses.replace(
        request,
        weights=weights,
        data=source.path,
        format=source.format,
        list_name=request.list_name or source.list_name,
        skip_bad=request.skip_bad or config.skip_bad,
        max_pixels=max(request.max_pixels, config.max_pixels),
    )
    if request.list_name is not None:
        return taken, None

    lists = folder.image_lists()
    if lists is not None and lists.val:
        return taken, lists.val
    if lists is None and len(sources) == 2:
        return taken, None
    why = "it validated on no images" if lists else "runs of earlier versions do not keep which images they drew"
    raise ValueError(f"{run}: expected a list of validation images: {why}; choose images with --list")


def _check_files(request: Request) -> None:
    """Raise `ValueError` or `OSError` now for files that would stop the command after its work, or be overwritten."""
    named = (request.weights, request.cfg, request.data, request.classes, request.anchors, *request.from_detections)
    taken = [path for path in named if path and not is_published_name(path)]
    for path in taken:
        os.stat(path)

    for name, path in request.outputs.items():
        check_outputs(path)
        folder = os.path.dirname(os.path.abspath(path))
        if os.path.isdir(folder):
            try:
                tempfile.TemporaryFile(dir=folder).close()  # permissions alone do not tell
            except OSError as error:
                message = f"{path}: expected a folder that can be written to, got {folder} ({error.strerror})"
                raise ValueError(message) from error
        if not path.lower().endswith(ENDINGS[name]):
            option = name.replace("_", "-")
            raise ValueError(f"{path}: expected a name that ends in {ENDINGS[name][0]} for --{option}")
        if os.path.realpath(path) in map(os.path.realpath, taken):
            raise ValueError(f"{path}: expected a separate output file, got one that another option names")
        taken.append(path)


def _read_checked(
    request: Request,
    class_names: list[str] | None,
    listed: list[str] | None,
    *,
    one_class: str | None,
    warn: Callable[[str], None],
    data_bar: Bar,
) -> tuple[Dataset, list[str]]:
    """Return the data set as training would validate on it, and the digests of its images.

    Invalid annotations stop the command, or are skipped.

    Args:
        request: What is evaluated.
        class_names: Classes that are detected; those of the data if None.
        listed: Names of the images to select; all if None.
        one_class: Name of the class that all objects belong to, for a network that tells none apart.
        warn: Is called with each line about the data.
        data_bar: As of `evaluate_network`.
    """
    data, names = request.data or "", None if one_class else class_names
    with one_look(), data_bar() as show:
        dataset = read_dataset(data, request.format, names, request.list_name)
        if one_class:
            dataset = in_one_class(dataset, one_class)

        sources = set(real_paths({annotation.source for annotation in dataset.annotations}))
        for path in request.outputs.values():
            if os.path.realpath(path) in sources:
                raise ValueError(f"{path}: expected a separate output file, got one that holds the annotations")

        # report each class that the network does not know once; the reader has a finding for each box
        if not request.skip_bad and any(finding.kind == "unknown-class" for finding in dataset.findings):
            own = read_dataset(data, request.format, None, request.list_name).class_names
            unknown = [f"'{name}'" for name in own if name not in (names or ())]
            if unknown:
                raise ValueError(
                    f"{data}: expected classes that {request.weights or request.classes} knows "
                    f"({some_of(names or ())}), got {some_of(unknown)}; rename them, or skip them with "
                    "--skip-bad"
                )

        findings, images = check_dataset(dataset, train=False, progress=show)
    digests = {item.image_path: image.digest for item, image in zip(dataset.annotations, images, strict=True)}
    usable, skipped = usable_annotations(dataset, findings)
    if request.skip_bad:
        findings = [finding for finding in findings if finding.severity != "error" or finding.kind == SHIFTED_IDS]
        if skipped:
            warn("skipped: " + ", ".join(f"{number} {kind}" for kind, number in skipped.items()))
    checked = dataclasses.replace(dataset, annotations=usable, findings=findings)
    check_findings(checked, data, request.findings, say=warn)

    name = dataset.name
    if listed is not None:
        name = f"{name}, validation images of {os.path.basename(os.path.normpath(request.run or ''))}"
        usable, gone = select_images(usable, listed, dataset.root)
        if gone:
            line = f"{len(gone)} of {len(listed)} validation images of {request.run} are not there, first {gone[0]}"
            if not usable:
                raise ValueError(f"{data}: {line}; if they have moved, say where with --data")
            warn(f"warning: {data}: {line}")
    dataset = dataclasses.replace(dataset, annotations=usable, findings=[], name=name)
    return dataset, [digests[annotation.image_path] for annotation in usable]
