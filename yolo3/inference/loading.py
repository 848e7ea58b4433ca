"""Build a detector from a file of weights or an exported one, and check the files given with it."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from yolo3.arguments import Arguments
from yolo3.darknet.cfg import read_cfg
from yolo3.darknet.recipe import settings_of
from yolo3.datasets.class_names import bundled_class_names, read_class_names
from yolo3.inference.detector import Detector
from yolo3.inference.runtimes.registry import find_runtime
from yolo3.inference.settings import DetectorSettings
from yolo3.models.architecture import default_input_shape
from yolo3.models.published import find_network, is_published_name
from yolo3.models.registry import architecture_of_cfg
from yolo3.models.yolov3.anchors import read_anchors
from yolo3.startup import held_back_stderr, start_tensorflow

_NAMES = {"classes": "classes_path", "anchors": "anchors_path", "cfg": "cfg_path"}
_OWN = ("weights", *_NAMES.values())
_ARGUMENTS = Arguments("load_detector", (DetectorSettings,), own=_OWN, names=_NAMES, valued=_OWN)


@_ARGUMENTS.in_messages()
def load_detector(
    weights: str | os.PathLike,
    classes_path: str | None = None,
    anchors_path: str | None = None,
    cfg_path: str | None = None,
    **options: Any,
) -> Detector:
    """Build the detector of a file of weights.

    Args:
        weights: Path of a file that :func:`yolo3.models.loading.load_network` reads, of an exported file, or of Darknet
            weights; or the name of a published network, :mod:`yolo3.models.published`, whose files are fetched if they
            are not at hand.
        classes_path: File of class names, for weights that carry none. COCO's 80 and VOC's 20 are bundled for Darknet
            weights.
        anchors_path: File of anchors, for weights that carry none.
        cfg_path: Darknet cfg of Darknet weights.
        **options: Arguments of :class:`yolo3.inference.detector.Detector`.

    Returns:
        The detector.

    Raises:
        OSError: For a file that cannot be read.
        ValueError: If a file disagrees with the weights.
    """
    if cfg_path is None and is_published_name(weights):
        files = find_network(os.fspath(weights), fetch=True)
        assert files is not None
        weights, cfg_path = files.weights, files.cfg

    runtime = find_runtime(weights)
    if runtime is not None:
        for path in filter(None, (cfg_path, anchors_path)):
            raise ValueError(f"{weights}: an exported file contains its own network and anchors; leave {path} out")
        if classes_path is None:
            return Detector(weights, **options)
        names = read_class_names(classes_path)
        detector = Detector(weights, **options)
        _check_class_names(weights, detector.class_names, classes_path, given=names)
        return detector

    from yolo3.models.metadata import is_keras_file, read_metadata  # needs h5py

    if cfg_path is not None:
        if is_keras_file(weights):
            raise ValueError(f"{weights}: a Keras file contains its own network; leave {cfg_path} out")
        return _load_darknet(
            os.fspath(weights), cfg_path, classes_path=classes_path, anchors_path=anchors_path, options=options
        )

    metadata = read_metadata(weights) or {}
    if classes_path is not None:
        options["class_names"] = read_class_names(classes_path)
        _check_class_names(weights, metadata.get("class_names"), classes_path, given=options["class_names"])
    if anchors_path is not None:
        options["anchors"] = read_anchors(anchors_path)
        _check_anchors(weights, metadata.get("anchors"), anchors_path, given=options["anchors"])
    return Detector(weights, **options)


def _load_darknet(weights: str, cfg_path: str, *, classes_path, anchors_path, options: dict) -> Detector:
    """Build the detector of Darknet weights and their cfg."""
    from yolo3.darknet.keras_weights import load_weights  # needs Keras

    cfg = read_cfg(cfg_path)
    architecture = architecture_of_cfg(cfg, anchors=None if anchors_path is None else read_anchors(anchors_path))
    settings = settings_of(cfg)
    size = options.get("input_shape") or settings.get("input_size") or default_input_shape(architecture.stride)
    network = architecture.build_network((*size, 3) if architecture.fixed_size else (None, None, 3))
    if load_weights(network, cfg, weights).missing:
        raise ValueError(f"{weights}: holds only the first layers of {cfg_path}; train before use")

    num_classes = architecture.num_classes
    classes_path = classes_path or bundled_class_names(num_classes)
    if classes_path is None:
        raise ValueError(f"{cfg_path}: gives {num_classes} classes but not their names; give --classes FILE")
    names = read_class_names(classes_path)
    if len(names) != num_classes:
        raise ValueError(f"{classes_path}: expected {num_classes} names as {cfg_path} has classes, got {len(names)}")

    metadata = {"class_names": names, "input_shape": list(size), "resize": settings["resize"]}
    detector = Detector(network, {**architecture.metadata(), **metadata}, **options)
    detector.fold()
    return detector


def _check_class_names(weights, stored, path, given) -> None:
    """Raise `ValueError` if a file of class names disagrees with the weights."""
    if stored is None or list(stored) == list(given):
        return
    if len(stored) != len(given):
        raise ValueError(f"{path} names {len(given)} classes, but {weights} has {len(stored)}; leave {path} out")
    number = next(i for i, (a, b) in enumerate(zip(stored, given, strict=True)) if a != b)
    raise ValueError(
        f"{path} calls class {number} {given[number]!r}, but {weights} calls it {stored[number]!r}; leave {path} out"
    )


def _check_anchors(weights, stored, path, given) -> None:
    """Raise `ValueError` if a file of anchors disagrees with the weights."""
    if stored is None:
        return
    if len(stored) != len(given):
        raise ValueError(f"{path} holds {len(given)} anchors, but {weights} has {len(stored)}; leave {path} out")

    wrong = np.flatnonzero(~np.isclose(stored, given, rtol=1e-4).all(-1))
    if wrong.size:
        number = wrong[0]
        ours, theirs = (f"{anchors[number][0]:g},{anchors[number][1]:g}" for anchors in (given, stored))
        raise ValueError(f"{path} says {ours} for anchor {number}, but {weights} says {theirs}; leave {path} out")


@contextlib.contextmanager
def loading_network(weights: str) -> Iterator[None]:
    """Prepare for a block that loads a network: import Keras, unless it is of an exported file.

    Runtimes of exported files write notes on stderr while they load one, which are held back.

    Args:
        weights: The file.
    """
    if find_runtime(weights) is None:
        start_tensorflow()
        yield
        return
    with held_back_stderr():
        yield
