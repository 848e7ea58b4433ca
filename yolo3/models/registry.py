"""The list of all networks that ``--model`` knows, and the way from a name, a cfg or a saved file to an architecture.

An architecture, or a backbone of YOLOv3, is one new file and one entry in :data:`MODELS`; from outside the package,
one call of :func:`register`. Names, help, defaults and the recipe for the embedded data set are read from the entries.
Importing this module needs neither Keras nor TensorFlow: entries name what is imported when it is used.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yolo3.darknet.cfg import Cfg, parse_cfg
from yolo3.models.architecture import CFG, Architecture
from yolo3.models.yolov3.defaults import ANCHORS, STRIDES, TINY_ANCHORS
from yolo3.models.yolov3.loss_options import DARKNET, LossOptions

# Recipes for the embedded data set (256 x 256 pixels), so that a first run ends soon on two cores. A few passes over so
# many rendered images need little variation, and mosaic would cut shapes: a cut circle is not a circle.
_SHORT = {"mosaic": 0.0, "jitter": 0.1, "zoom": (0.9, 1.1), "hue": 0.05}
_SHORT_FULL = {**_SHORT, "input_size": (128, 128), "epochs": 7, "evaluate_every": 4, "ema": 0.0}
# In so few updates from random weights the full network gets further with Darknet's loss.
_SHORT_YOLOV3 = {**_SHORT_FULL, "box_loss": "xywh", "objectness_target": "one"}
EMBEDDED = {**_SHORT, "epochs": 12, "evaluate_every": 3}
"""Recipe for the embedded data set of a network that has none of its own, such as that of a cfg."""

DEFAULT_MODEL = "yolov3-tiny"
"""Network that is trained when none is named: a few hundred photographs on a processor are enough for it."""

_NOT_OPTIONS = ("name", "num_classes", "cfg")  # fields that the command, the data or a file says


@dataclass(frozen=True, eq=False)
class ModelEntry:
    """One name of ``--model``.

    Args:
        name: The name, also in the metadata of saved files.
        summary: What it is, in a few words for ``--help``.
        architecture: The class that implements :class:`yolo3.models.architecture.Architecture`, or "module:class".
        anchors: Default anchors [N, 2] (w, h) in pixels of the network input; None for an architecture that reads no
            file of anchors.
        anchors_file: Name of the file in ``model_data`` that holds the default anchors.
        embedded: Settings of a run on the embedded data set that differ from the defaults, by name.
        cfg_section: Section by which a Darknet cfg of this architecture is recognised.
        body: For YOLOv3: function (inputs, num_anchors, num_classes, batch_norm=None) that returns the ``keras.Model``
            with one raw output per scale, or "module:function".
        strides: For YOLOv3: pixels of the network input per cell of each output.
        backbone_convolutions: For YOLOv3: how many convolutions, ``conv_0``, ``conv_1``, ..., come before the first one
            of the heads. Pretrained files share them, and ``--freeze-epochs`` freezes them.
    """

    name: str
    summary: str
    architecture: str | type
    anchors: Any = None
    anchors_file: str | None = None
    embedded: Mapping[str, Any] = dataclasses.field(default_factory=lambda: EMBEDDED)
    cfg_section: str | None = None
    body: str | Callable | None = None
    strides: tuple[int, ...] = ()
    backbone_convolutions: int = 0

    @property
    def reads_anchors(self) -> bool:
        """Whether the network needs anchors, from a file or a cfg."""
        return self.anchors is not None

    def load_architecture(self) -> Any:
        """Import and return the class of the architecture."""
        return _load(self.architecture)

    def load_body(self) -> Callable:
        """Import and return the function that builds the network of YOLOv3."""
        return _load(self.body)


def _load(target):
    if not isinstance(target, str):
        return target
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


MODELS: dict[str, ModelEntry] = {}


def register(entry: ModelEntry) -> None:
    """Add a network to those that ``--model`` knows.

    Example:
        >>> register(yolov3_network("mine", "my backbone, two scales", body=my_body, strides=(32, 16),
        ...                         anchors=DEFAULT_TINY_ANCHORS, backbone_convolutions=5))

    Raises:
        ValueError: For a name that is taken.
    """
    if entry.name in (*MODELS, CFG):
        raise ValueError(f"model: expected a new name, got {entry.name!r}, which is registered already")
    MODELS[entry.name] = entry


yolov3_network = functools.partial(
    ModelEntry, architecture="yolo3.models.yolov3.architecture:YoloV3", cfg_section="yolo"
)
"""Make the entry of a YOLOv3 network: a :class:`ModelEntry` that needs no ``architecture``."""

register(
    yolov3_network(
        "yolov3",
        "Darknet-53, three scales",
        body="yolo3.models.yolov3.networks:yolo_body",
        strides=STRIDES,
        anchors=ANCHORS,
        anchors_file="yolo_anchors.txt",
        backbone_convolutions=52,
        embedded=_SHORT_YOLOV3,
    )
)
register(
    yolov3_network(
        "yolov3-tiny",
        "small and fast, two scales",
        body="yolo3.models.yolov3.networks:tiny_yolo_body",
        strides=STRIDES[:2],
        anchors=TINY_ANCHORS,
        anchors_file="tiny_yolo_anchors.txt",
        backbone_convolutions=7,
        embedded={**_SHORT, "input_size": (192, 192), "epochs": 12, "evaluate_every": 3},
    )
)
register(
    yolov3_network(
        "yolov3-spp",
        "YOLOv3 with spatial pyramid pooling",
        body="yolo3.models.yolov3.networks:spp_yolo_body",
        strides=STRIDES,
        anchors=ANCHORS,
        anchors_file="yolo_anchors.txt",
        backbone_convolutions=52,
        embedded=_SHORT_YOLOV3,
    )
)

# A cell of YOLOv1 shares no weights with the others: each has to see many objects, which mosaics move about.
_LONG_YOLOV1 = {"input_size": (256, 256), "epochs": 80, "evaluate_every": 8, "batch_size": 16, "learning_rate": 2e-4}
_LONG_YOLOV1 |= {"hue": 0.05, "freeze_epochs": 0, "model_options": (("grid_size", 4),)}
_yolov1 = functools.partial(
    ModelEntry, architecture="yolo3.models.yolov1.architecture:YoloV1", cfg_section="detection", embedded=_LONG_YOLOV1
)
register(_yolov1("yolov1", "YOLO of 2016, one grid of cells"))
register(_yolov1("yolov1-tiny", "the same with a small network"))
register(
    ModelEntry(
        "retinanet",
        "feature pyramid and focal loss on Darknet-53",
        architecture="yolo3.models.retinanet:RetinaNet",
        embedded={
            **_SHORT_FULL,
            "epochs": 12,
            "evaluate_every": 3,
            "model_options": (("depth", 2), ("width", 128), ("anchor_scale", 2.0)),
        },
    )
)
register(
    ModelEntry(
        "rpn",
        "region proposals of one class on Darknet-53",
        architecture="yolo3.models.rpn.architecture:Rpn",
        embedded={**_SHORT_FULL, "epochs": 8, "model_options": (("scales", (1.0, 1.5, 2.5, 4.0)),)},
    )
)


def model_summaries() -> dict[str, str]:
    """Return the names of ``--model``, and what each of them is in a few words."""
    return {name: entry.summary for name, entry in MODELS.items()}


def find_model(name: str) -> ModelEntry:
    """Return the entry of a name.

    Raises:
        ValueError: For a name that is not registered.
    """
    if name not in MODELS:
        raise ValueError(f"model: expected one of {', '.join(MODELS)}, got {name!r}")
    return MODELS[name]


def default_model(num_scales: int) -> ModelEntry | None:
    """Return the YOLOv3 network with this number of scales, for use without a name: the first one registered."""
    entries = (entry for entry in MODELS.values() if entry.body is not None)
    return next((entry for entry in entries if len(entry.strides) == num_scales), None)


def default_model_for_anchors(num_anchors: int) -> ModelEntry | None:
    """Return the YOLOv3 network with this number of anchors, for use without a name: the first one registered."""
    entries = (entry for entry in MODELS.values() if entry.reads_anchors)
    return next((entry for entry in entries if len(entry.anchors) == num_anchors), None)


def reads_anchors(name: str | None) -> bool:
    """Return whether a network needs anchors; no name means YOLOv3."""
    return name is None or find_model(name).reads_anchors


def named_architecture(
    name: str | None,
    num_classes: int,
    anchors=None,
    anchor_mask: Sequence[Sequence[int]] | None = None,
    ignore_thresh: float | None = None,
    loss: LossOptions = DARKNET,
    options: Mapping[str, Any] | None = None,
) -> Architecture:
    """Return the architecture of a network by its name.

    Args:
        name: A name of ``--model``; None for the YOLOv3 network with that number of anchors, and without anchors for
            `DEFAULT_MODEL`.
        num_classes: C.
        anchors: float [N, 2] (w, h) in pixels of the network input, for YOLOv3; the network's own if None.
        anchor_mask: Indices of the anchors of each scale, for YOLOv3.
        ignore_thresh: Of the loss of YOLOv3.
        loss: How the loss of YOLOv3 departs from Darknet's.
        options: Fields of any other architecture that differ from their defaults.

    Raises:
        ValueError: Where anchors, masks, options and network do not fit each other.
    """
    if name is None and anchors is None:
        name = DEFAULT_MODEL
    entry = find_model(name or "yolov3")
    cls = entry.load_architecture()

    if entry.reads_anchors:
        anchors = entry.anchors if anchors is None else anchors
        if options:
            raise ValueError(f"model_options: expected none for {name or 'YOLOv3'}, got {', '.join(options)}")
        choices = {"anchors": anchors, "anchor_mask": anchor_mask, "ignore_thresh": ignore_thresh, "loss": loss}
        return cls.from_name(name, num_classes, **choices)

    _refuse_loss(loss, entry.name)
    return cls.from_name(name, num_classes, **_checked_options(entry, options or {}))


def option_types(entry: ModelEntry) -> dict[str, type]:
    """Return the options of an architecture that reads no anchors, as ``--model-options`` takes them, by name."""
    cls = entry.load_architecture()
    hints = typing.get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls) if field.name not in _NOT_OPTIONS]
    return {name: _type_of(hints[name]) for name in names}


def _type_of(hint) -> type:
    """Return the type that ``isinstance`` takes: int of ``int | None``, tuple of ``tuple[int, ...]``."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    return typing.get_origin(hint) or hint


def _checked_options(entry: ModelEntry, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options. Raises ``ValueError`` for names that are not fields, and for values of another type."""
    allowed = option_types(entry)
    for key, value in options.items():
        if key not in allowed:
            raise ValueError(f"model_options: expected one of {', '.join(allowed)} for {entry.name}, got {key}")

        kind = allowed[key]
        fits = isinstance(value, (int, float)) if kind is float else isinstance(value, kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"model_options: {key}: expected {kind.__name__}, got {value!r}")
    return dict(options)


def _refuse_loss(loss: LossOptions, name: str) -> None:
    if loss not in (DARKNET, LossOptions()):
        changed = [field.name for field in dataclasses.fields(loss) if getattr(loss, field.name) != field.default]
        raise ValueError(f"{', '.join(changed)}: options of the loss of YOLOv3, which {name} does not have")


def architecture_of_cfg(
    cfg: Cfg,
    num_classes: int | None = None,
    anchors=None,
    ignore_thresh: float | None = None,
    loss: LossOptions = DARKNET,
) -> Architecture:
    """Return the architecture of the network that a cfg describes.

    Args:
        cfg: A Darknet cfg.
        num_classes: Fits the heads to another number of classes.
        anchors: As many as the cfg has, in place of them.
        ignore_thresh: In place of the cfg's.
        loss: How the loss of YOLOv3 departs from Darknet's.

    Raises:
        ValueError: With the file, for a network without heads that detect objects.
    """
    entry = _entry_of_cfg(cfg)
    if entry is None:
        raise ValueError(f"{cfg.source}: expected [yolo] or [detection] sections, got none; nothing detects objects")

    cls = entry.load_architecture()
    if entry.reads_anchors:
        return cls.from_cfg(cfg, num_classes, anchors=anchors, ignore_thresh=ignore_thresh, loss=loss)
    if anchors is not None:
        raise ValueError(f"{cfg.source}: this network has no anchors; leave --anchors out")
    _refuse_loss(loss, cfg.source)
    return cls.from_cfg(cfg, num_classes)


def _entry_of_cfg(cfg: Cfg) -> ModelEntry | None:
    sections = {section.name for section in cfg.layers}
    return next((entry for entry in MODELS.values() if entry.cfg_section in sections), None)


def architecture_from_metadata(metadata: dict) -> Architecture:
    """Return the architecture that the metadata of a saved file describes: see :mod:`yolo3.models.saving`.

    A file without a name, or with anchors and the name of a network that is not registered, is taken for YOLOv3.

    Raises:
        ValueError: Where class names, or anchors of an architecture that has them, are missing; for a network without
            anchors that is not registered.
    """
    name, text = metadata.get("model"), (metadata.get("darknet") or {}).get("cfg")
    entry = MODELS.get(name or "")
    if name == CFG and text is not None:
        entry = _entry_of_cfg(parse_cfg(text))
    if name not in (None, CFG) and entry is None and metadata.get("anchors") is None:
        raise ValueError(f"holds a network {name!r}, which is not registered: see yolo3.models.registry.register")

    cls = (entry or MODELS["yolov3"]).load_architecture()
    if cls.one_class is None and metadata.get("class_names") is None:
        raise ValueError("carries no class names; give them (--classes, --anchors)")
    return cls.from_metadata(metadata)
