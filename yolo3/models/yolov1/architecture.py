"""YOLOv1 as an architecture: cells, each with class probabilities and a few boxes.

The image is cut into S x S cells. Each cell predicts C class probabilities, and A boxes with a confidence each
(Redmon et al. 2016, "You Only Look Once", section 2). The parts are in this folder: networks, the layouts of their
output, the codec, targets, the terms of the loss, and Darknet's cfg files.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
from keras import layers, ops

from yolo3.darknet.cfg import Cfg, parse_cfg
from yolo3.darknet.names import shared_layers
from yolo3.darknet.network import build_network as build_cfg_network
from yolo3.models.architecture import CFG, IOU_THRESHOLD, check_input_shape, expect_outputs
from yolo3.models.yolov1 import losses
from yolo3.models.yolov1.cfg import detection_options, fit_to_classes, stride_of
from yolo3.models.yolov1.codec import SIZE_FORMS, decode_boxes, encode_sizes
from yolo3.models.yolov1.layouts import LAYOUTS, join_cells, join_flat, split_cells, split_flat
from yolo3.models.yolov1.networks import DESIGNS, STRIDE, build_body, build_dense_head
from yolo3.models.yolov1.targets import build_targets, responsible_boxes
from yolo3.ops import boxes as geometry
from yolo3.ops.cells import size_wh
from yolo3.records import checked_fields

ACTIVATIONS = ("linear", "sigmoid")
_NOT_STORED = ("name", "cfg")  # among the options in the metadata: they have keys of their own
_START_CONFIDENCE = 0.1  # of all boxes, before anything is learned


@dataclass(frozen=True)
class YoloV1:
    """Implement :class:`yolo3.models.architecture.Architecture` for YOLOv1.

    The grid is independent of the network's stride: any S goes with any input whose sides are multiples of 64. The
    paper's S = 7 is the 448 / 64 of its input.

    Args:
        name: A key of :data:`yolo3.models.yolov1.networks.DESIGNS`, or "cfg" for the network of ``cfg``.
        num_classes: C.
        grid_size: S, cells per side.
        num_boxes: A, boxes per cell.
        batch_normalize: Whether convolutions are followed by batch normalization.
        dense_width: Units of the hidden dense layer, 0 for none, None for the design's.
        dropout: Dropout rate after it, None for the design's.
        layout: Layout of the output, "cells" or "darknet": see :mod:`yolo3.models.yolov1.layouts`.
        activation: Of confidence and class probabilities: "linear", as in the paper and in Darknet, or "sigmoid".
        size_form: What raw sizes mean, one of :data:`yolo3.models.yolov1.codec.SIZE_FORMS`.
        rescore: Whether the confidence learns the IoU of its box, as in the paper, or 1.
        coord_scale: Weight of the terms "xy" and "wh".
        object_scale: Weight of the term "objectness".
        noobject_scale: Weight of the term "no_object".
        class_scale: Weight of the term "class".
        cfg: The Darknet cfg that describes the network, where ``name`` is "cfg".

    Raises:
        ValueError: For other values.
    """

    name: str = "yolov1"
    num_classes: int = 20
    grid_size: int = 7
    num_boxes: int = 2
    batch_normalize: bool = True
    dense_width: int | None = None
    dropout: float | None = None
    layout: str = "cells"
    activation: str = "linear"
    size_form: str = "root"
    rescore: bool = True
    coord_scale: float = 5.0
    object_scale: float = 1.0
    noobject_scale: float = 0.5
    class_scale: float = 1.0
    cfg: Cfg | None = None

    terms: ClassVar[tuple[str, ...]] = losses.TERMS
    fixed_size: ClassVar[bool] = True
    iou_threshold: ClassVar[float] = IOU_THRESHOLD
    one_class: ClassVar[None] = None

    def __post_init__(self):
        choices = {"layout": LAYOUTS, "activation": ACTIVATIONS, "size_form": SIZE_FORMS}
        choices["name"] = (*DESIGNS,) if self.cfg is None else (CFG,)
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(allowed)}, got {getattr(self, name)!r}")

        for name in ("num_classes", "grid_size", "num_boxes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if (self.dense_width or 0) < 0:
            raise ValueError(f"dense_width: expected 0 or more, got {self.dense_width}")
        if not 0 <= (self.dropout or 0) < 1:
            raise ValueError(f"dropout: expected a rate from 0 to below 1, got {self.dropout}")

    @property
    def stride(self) -> int:
        """Return the number that sides of the input are multiples of."""
        return STRIDE if self.cfg is None else stride_of(self.cfg)

    # The network

    def build_network(self, input_shape=(448, 448, 3), batch_norm: type | None = None) -> keras.Model:
        """Return the network with random weights, for images of one size.

        Its output biases are set so that it starts with centres in the middle of the cells, boxes of different sizes
        within a cell, confidences of 0.1 and all classes equally likely.

        Raises:
            ValueError: For an open side, or one that is not a multiple of the stride.
        """
        if self.cfg is not None:
            network = build_cfg_network(self.cfg, input_shape, batch_norm)
        else:
            network = self._build_design(input_shape, batch_norm)

        dense = [layer for layer in network.layers if isinstance(layer, layers.Dense)][-1]
        if dense.use_bias:
            join = join_flat if self.layout == "darknet" else join_cells
            dense.bias.assign(ops.reshape(join(*self._initial_parts()), (-1,)))
        return network

    def _build_design(self, input_shape, batch_norm) -> keras.Model:
        if None in input_shape:
            raise ValueError(f"{self.name}: expected an input of fixed size, for its dense layers, got {input_shape}")
        design = DESIGNS[self.name]
        dense_width = design.dense_width if self.dense_width is None else self.dense_width
        dropout = design.dropout if self.dropout is None else self.dropout
        depth = self.num_classes + 5 * self.num_boxes

        image = keras.Input((*check_input_shape(input_shape[:2], self.stride), 3), name="image")
        x = build_body(image, design.body, self.batch_normalize, batch_norm)  # [B, H / 64, W / 64, filters]
        x = build_dense_head(x, self.grid_size**2 * depth, dense_width, dropout)  # [B, S S (C + 5 A)]
        if self.layout == "cells":
            x = layers.Reshape((self.grid_size, self.grid_size, depth), name="cells")(x)
        return keras.Model(image, x, name=self.name.replace("-", "_"))

    def _initial_parts(self):
        """Return the parts [1, S, S, ...] of the output that a network starts with, before its activation."""

        def raw(value: float) -> float:
            inside = min(max(value, 0.01), 0.99)
            return value if self.activation == "linear" else math.log(inside / (1 - inside))

        sizes = ((np.arange(self.num_boxes) + 1) / (self.num_boxes + 1)) ** 2  # their roots are evenly spread
        raw_sizes = ops.convert_to_numpy(encode_sizes(np.float32(sizes), self.size_form))
        boxes = np.stack([np.full_like(raw_sizes, 0.5)] * 2 + [raw_sizes] * 2, -1)  # [A, 4]

        cells = (1, self.grid_size, self.grid_size)
        return (
            np.full((*cells, self.num_classes), raw(1 / self.num_classes), np.float32),
            np.full((*cells, self.num_boxes), raw(_START_CONFIDENCE), np.float32),
            np.broadcast_to(boxes.astype(np.float32), (*cells, self.num_boxes, 4)),
        )

    def check_outputs(self, shapes) -> None:
        """Raise ``ValueError`` unless ``shapes`` is the one output of this architecture, in its layout."""
        depth = self.num_classes + 5 * self.num_boxes
        flat = self.layout == "darknet"
        expect_outputs(shapes, [(self.grid_size**2 * depth,) if flat else (self.grid_size, self.grid_size, depth)])

    def backbone_layers(self, network) -> list[str]:
        """Return the names of the convolutions and normalizations that are pretrained as a classifier."""
        if self.cfg is not None:
            return [name for name in shared_layers(self.cfg) if name.startswith(("conv_", "bn_"))]
        kinds = ("conv", "bn") if self.batch_normalize else ("conv",)
        return [f"{kind}_{index}" for kind in kinds for index in range(DESIGNS[self.name].shared)]

    # What its output means

    def parts_of(self, outputs):
        """Return (class_probs, confidence, raw_boxes), float32, of the network's output, the activation applied.

        Args:
            outputs: A list of one tensor in this architecture's layout, or that tensor, as Keras returns a single
                output.
        """
        (feats,) = outputs if isinstance(outputs, (list, tuple)) else (outputs,)
        feats = ops.cast(feats, "float32")
        if self.layout == "darknet":
            class_probs, confidence, raw_boxes = split_flat(feats, self.grid_size, self.num_classes, self.num_boxes)
        else:
            class_probs, confidence, raw_boxes = split_cells(feats, self.num_classes, self.num_boxes)

        if self.activation == "sigmoid":
            class_probs, confidence = ops.sigmoid(class_probs), ops.sigmoid(confidence)
        return class_probs, confidence, raw_boxes

    def build_targets(self, boxes, input_shape) -> Any:
        """Return y_true, float32 [B, S, S, 5 + C]: see :func:`yolo3.models.yolov1.targets.build_targets`."""
        return build_targets(boxes, self.grid_size, self.num_classes)

    def loss_terms(self, outputs, targets, input_shape) -> dict:
        """Return the weighted terms of the loss by name: see :mod:`yolo3.models.yolov1.losses`."""
        class_probs, confidence, raw_boxes = self.parts_of(outputs)
        responsible, ious = responsible_boxes(raw_boxes, targets, self.size_form)  # [B, S, S, A]
        iou_or_one = ious if self.rescore else 1.0

        terms = {
            "xy": self.coord_scale * losses.xy_loss(raw_boxes, targets, responsible),
            "wh": self.coord_scale * losses.wh_loss(raw_boxes, targets, responsible, self.size_form),
            "objectness": self.object_scale * losses.objectness_loss(confidence, iou_or_one, responsible),
            "no_object": self.noobject_scale * losses.no_object_loss(confidence, responsible),
            "class": self.class_scale * losses.class_loss(class_probs, targets),
        }
        num_images = ops.cast(ops.shape(confidence)[0], "float32")
        return {name: ops.sum(value) / num_images for name, value in terms.items()}

    def decode(self, outputs, input_shape) -> tuple:
        """Return (boxes, scores): float32 [B, S S A, 4] xyxy in pixels of the network input, and [B, S S A, C].

        A score is confidence times class probability, each at least 0, clipped to 0..1.
        """
        class_probs, confidence, raw_boxes = self.parts_of(outputs)
        xy, wh = decode_boxes(raw_boxes, self.size_form)
        boxes = geometry.cxcywh_to_xyxy(ops.concatenate([xy, ops.maximum(wh, 0.0)], -1))
        boxes = boxes * ops.tile(size_wh(input_shape), 2)  # [B, S, S, A, 4]
        scores = ops.expand_dims(ops.maximum(confidence, 0.0), -1) * ops.maximum(class_probs, 0.0)[..., None, :]

        num_boxes = self.grid_size**2 * self.num_boxes
        return (
            ops.reshape(boxes, (-1, num_boxes, 4)),
            ops.reshape(ops.clip(scores, 0.0, 1.0), (-1, num_boxes, self.num_classes)),
        )

    # Metadata and cfg files

    def metadata(self) -> dict:
        """Return ``model``, ``yolov1`` (the options) and, of a cfg, ``darknet``: see :mod:`yolo3.models.saving`."""
        names = [field.name for field in dataclasses.fields(self) if field.name not in _NOT_STORED]
        metadata = {"model": self.name, "yolov1": {name: getattr(self, name) for name in names}}
        return metadata | ({"darknet": {"cfg": self.cfg.text}} if self.cfg is not None else {})

    @classmethod
    def from_name(cls, name: str, num_classes: int, **options) -> YoloV1:
        """Return the architecture of a registered network; ``options``: fields that differ from their defaults."""
        return cls(name, num_classes, **options)

    @classmethod
    def from_metadata(cls, metadata: dict) -> YoloV1:
        """Return the architecture that a saved file describes. Inverse: :meth:`metadata`.

        A converted Darknet file, which has a cfg alone, is read too.

        Raises:
            ValueError: For options that this version does not know, and where the number of ``class_names`` is not
                that of the classes.
        """
        name, options = str(metadata.get("model")), metadata.get("yolov1") or {}
        text = (metadata.get("darknet") or {}).get("cfg") if name == CFG else None
        if text is None and not options:
            raise ValueError(f"metadata: expected 'yolov1', the options of {name}, got none")
        known = {field.name for field in dataclasses.fields(cls)} - set(_NOT_STORED)
        if unknown := set(options) - known:
            raise ValueError(f"metadata: expected options of this version, got {', '.join(sorted(unknown))} too")
        options = checked_fields(cls, options)

        if text is None:
            architecture = cls(name, **options)
        else:
            architecture = cls.from_cfg(parse_cfg(text, "cfg of the weights"), **options)
        names = metadata.get("class_names")
        if names is not None and len(names) != architecture.num_classes:
            raise ValueError(f"metadata: expected names of {architecture.num_classes} classes, got {len(names)}")
        return architecture

    @classmethod
    def from_cfg(cls, cfg: Cfg, num_classes: int | None = None, **options) -> YoloV1:
        """Return the architecture of the network that a cfg describes, with what its [detection] says.

        Args:
            cfg: A cfg whose last sections are [connected] and [detection].
            num_classes: Fits the last layers to another number of classes.
            **options: Fields that differ from the cfg's, such as ``activation``.

        Raises:
            ValueError: With file and line, for options that are not supported.
        """
        if num_classes is not None:
            cfg = fit_to_classes(cfg, num_classes)
        return cls(CFG, cfg=cfg, **{**detection_options(cfg), **options})
