"""YOLOv3 as an architecture: its networks, by name or from a Darknet cfg, and what their outputs mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from yolo3.darknet.cfg import Cfg, parse_cfg
from yolo3.darknet.heads import class_count, joined_anchors, with_classes, yolo_heads
from yolo3.darknet.layers import needs_fixed_size, resolve_layers
from yolo3.darknet.names import shared_layers
from yolo3.darknet.network import build_network as build_cfg_network
from yolo3.models.architecture import CFG, IOU_THRESHOLD
from yolo3.models.registry import MODELS, default_model, find_model
from yolo3.models.yolov3.defaults import IGNORE_THRESH
from yolo3.models.yolov3.loss_options import DARKNET, LossOptions
from yolo3.models.yolov3.losses import loss_terms
from yolo3.models.yolov3.postprocess import decode_outputs
from yolo3.models.yolov3.scales import Scale, check_anchor_mask, dealt_anchor_mask, make_scales
from yolo3.models.yolov3.targets import build_targets
from yolo3.ops import boxes as geometry

_OBJECTNESS_PRIOR = 0.01  # of all slots, before anything is learned (focal loss paper, section 4.1)


@dataclass(frozen=True, eq=False)
class YoloV3:
    """:class:`yolo3.models.architecture.Architecture` of anchors and scales.

    Args:
        name: A name of the registry, or "cfg" for the network of ``cfg``.
        num_classes: C.
        anchors: float32 [N, 2] (w, h) in pixels of the network input, those that no scale uses included.
        scales: One record per output, in the order of the network's outputs.
        cfg: The Darknet cfg of the network, with heads for ``num_classes``.
        loss: How the loss departs from Darknet's.
    """

    name: str
    num_classes: int
    anchors: np.ndarray
    scales: tuple[Scale, ...]
    cfg: Cfg | None = None
    loss: LossOptions = DARKNET

    iou_threshold: ClassVar[float] = IOU_THRESHOLD
    one_class: ClassVar[None] = None

    @classmethod
    def from_name(
        cls,
        name: str | None,
        num_classes: int,
        *,
        anchors,
        anchor_mask: Sequence[Sequence[int]] | None = None,
        ignore_thresh: float | Sequence[float] | None = None,
        scale_x_y: float | Sequence[float] = 1.0,
        strides: Sequence[int] | None = None,
        loss: LossOptions = DARKNET,
    ) -> YoloV3:
        """Return the architecture of a registered network.

        Args:
            name: A name of the registry; None for the network that the number of scales means.
            num_classes: C.
            anchors: float [N, 2] (w, h) in pixels of the network input.
            anchor_mask: Indices of the anchors of each scale; by default those of nine or six anchors.
            ignore_thresh: One number, or one per scale; 0.5 by default.
            scale_x_y: One number, or one per scale.
            strides: Pixels per cell of each scale; by default those of the network.
            loss: How the loss departs from Darknet's.

        Raises:
            ValueError: Where anchors, masks and network do not fit each other.
        """
        entry = MODELS.get(name) if name else None
        if anchor_mask is None and entry is not None and len(anchors) == len(entry.anchors):
            anchor_mask = dealt_anchor_mask(len(anchors), entry.strides)
        mask = check_anchor_mask(anchor_mask, len(anchors))
        if name is None:
            entry = default_model(len(mask))
            if entry is None:
                raise ValueError(f"expected anchors of three scales (YOLOv3) or two (tiny), got {len(mask)}")
        elif entry is not None and len(entry.strides) != len(mask):
            raise ValueError(f"{name} predicts at {len(entry.strides)} scales; {len(anchors)} anchors make {len(mask)}")

        scales = make_scales(
            anchors,
            mask,
            strides=strides or (entry.strides if entry else None),
            scale_x_y=scale_x_y,
            ignore_thresh=IGNORE_THRESH if ignore_thresh is None else ignore_thresh,
        )
        own_name = entry.name if entry else str(name)
        return cls(own_name, num_classes, anchors=np.asarray(anchors, np.float32), scales=scales, loss=loss)

    @classmethod
    def from_cfg(
        cls,
        cfg: Cfg,
        num_classes: int | None = None,
        *,
        anchors=None,
        ignore_thresh: float | None = None,
        loss: LossOptions = DARKNET,
    ) -> YoloV3:
        """Return the architecture of the network that a cfg describes.

        Args:
            cfg: A Darknet cfg with [yolo] sections.
            num_classes: Fits the heads to another number of classes.
            anchors: As many as the cfg has, in place of them.
            ignore_thresh: In place of the cfg's.
            loss: How the loss departs from Darknet's.

        Raises:
            ValueError: With file and line, for heads that cannot be trained here.
        """
        heads = yolo_heads(cfg)
        for head in heads:
            if head.new_coords and loss.focal:
                raise ValueError(f"{head.section.where()}: expected no focal loss with new_coords=1, got one")
        if num_classes is not None and num_classes != class_count(resolve_layers(cfg)):
            cfg = with_classes(cfg, num_classes)

        own, mask = joined_anchors(heads)
        if anchors is not None and len(anchors) != len(own):
            raise ValueError(f"anchors: expected {len(own)} as {cfg.source} has, got {len(anchors)}")
        anchors = np.asarray(own if anchors is None else anchors, np.float32)
        scales = make_scales(
            anchors,
            mask,
            strides=[head.stride for head in heads],
            scale_x_y=[head.scale_x_y for head in heads],
            ignore_thresh=[head.ignore_thresh for head in heads] if ignore_thresh is None else ignore_thresh,
            new_coords=[head.new_coords for head in heads],
        )
        return cls(CFG, class_count(resolve_layers(cfg)) or 0, anchors=anchors, scales=scales, cfg=cfg, loss=loss)

    @classmethod
    def from_metadata(cls, metadata: dict) -> YoloV3:
        """Return the architecture that a saved file describes. Inverse: :meth:`metadata`.

        Raises:
            ValueError: Where class names or anchors are missing.
        """
        for key, words in (("class_names", "class names"), ("anchors", "anchors")):
            if metadata.get(key) is None:
                raise ValueError(f"carries no {words}; give them (--classes, --anchors)")
        mask = check_anchor_mask(metadata.get("anchor_mask"), len(metadata["anchors"]))
        name = metadata.get("model")
        if name is None:
            entry = default_model(len(mask))
            name = entry.name if entry else CFG
        text = (metadata.get("darknet") or {}).get("cfg") if name == CFG else None
        cfg = None if text is None else parse_cfg(text, "cfg of the weights")

        architecture = cls.from_name(
            name,
            len(metadata["class_names"]),
            anchors=metadata["anchors"],
            anchor_mask=mask,
            ignore_thresh=metadata.get("ignore_thresh"),
            scale_x_y=metadata.get("scale_x_y", 1.0),
            strides=metadata.get("strides") if cfg is None else [head.stride for head in yolo_heads(cfg)],
        )
        if cfg is not None:
            pairs = zip(architecture.scales, yolo_heads(cfg), strict=True)
            scales = tuple(replace(scale, new_coords=head.new_coords) for scale, head in pairs)
            architecture = replace(architecture, scales=scales)
        return replace(architecture, cfg=cfg)

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the terms that add up to the loss."""
        return self.loss.terms

    @property
    def stride(self) -> int:
        """Number of pixels that the sides of the network input are multiples of.

        That of the coarsest output or, in a cfg, of the coarsest features that are upsampled, since they have to match
        the finer features that they are joined with.
        """
        if self.cfg is None:
            return max(scale.stride for scale in self.scales)
        layers = resolve_layers(self.cfg)
        height = layers[0].in_shape[0]
        return max(round(height / layer.in_shape[0]) for layer in layers if layer.kind in ("yolo", "upsample"))

    @property
    def fixed_size(self) -> bool:
        """Whether the network takes images of one size only."""
        return self.cfg is not None and needs_fixed_size(self.cfg)

    @property
    def _num_anchors(self) -> int:
        """Anchors per scale, A."""
        return len(self.scales[0].anchors)

    def build_network(self, input_shape=(None, None, 3), batch_norm: type | None = None) -> keras.Model:
        """Build the network with random weights; its objectness starts low, as most slots hold no object.

        Args:
            input_shape: (height, width, 3), None for sides that are open. The input is RGB, 0..1.
            batch_norm: Class of the normalization layers, Keras' own by default.
        """
        if self.cfg is not None:
            network = build_cfg_network(self.cfg, input_shape, batch_norm)
        else:
            body = find_model(self.name).load_body()
            network = body(keras.Input(input_shape), self._num_anchors, self.num_classes, batch_norm=batch_norm)
        set_objectness_prior(network, self._num_anchors, self.num_classes)
        return network

    def build_targets(self, boxes, input_shape) -> Any:
        """Return (targets of each scale, (ground-truth boxes xyxy [B, T, 4], their number [B])).

        ``boxes``: float32 [B, T, 5] (x, y, w, h relative to the input, class id); rows without area are padding.
        """
        y_true = build_targets(
            boxes,
            tuple(input_shape),
            scales=self.scales,
            num_classes=self.num_classes,
            iou_thresh=self.loss.iou_thresh,
        )
        num_true = ops.sum(ops.cast(boxes[..., 2] > 0, "int32"), 1)
        return y_true, (geometry.cxcywh_to_xyxy(boxes[..., :4]), num_true)

    def loss_terms(self, outputs, targets, input_shape) -> dict:
        """Return the terms of the loss by name; see :func:`yolo3.models.yolov3.losses.loss_terms`."""
        y_true, true_boxes = targets
        return loss_terms(
            outputs,
            y_true,
            scales=self.scales,
            num_classes=self.num_classes,
            true_boxes=true_boxes,
            options=self.loss,
        )

    def decode(self, outputs, input_shape) -> tuple:
        """Return (boxes, scores): float32 [B, N, 4] xyxy in pixels of the network input, and [B, N, C] in 0..1."""
        return decode_outputs(outputs, self.scales, num_classes=self.num_classes, input_shape=input_shape)

    def check_outputs(self, shapes) -> None:
        """Raise ``ValueError`` unless a network with outputs of these shapes fits anchors and classes."""
        if len(shapes) != len(self.scales):
            raise ValueError(
                f"has {len(shapes)} outputs, but {len(self.anchors)} anchors were given for {len(self.scales)}"
            )

        expected = self._num_anchors * (5 + self.num_classes)
        wrong = [shape[-1] for shape in shapes if shape[-1] != expected]
        if wrong:
            raise ValueError(
                f"its outputs have {wrong[0]} channels, but {self.num_classes} classes and {self._num_anchors} anchors "
                f"per scale need {expected}"
            )

    def backbone_layers(self, network) -> list[str]:
        """Return the names of the layers that pretrained files share, which ``--freeze-epochs`` freezes."""
        if self.cfg is not None:
            return shared_layers(self.cfg)
        count = find_model(self.name).backbone_convolutions
        return [f"{kind}_{index}" for kind in ("conv", "bn") for index in range(count)]

    def metadata(self) -> dict:
        """Return what a saved file says about this object; see :mod:`yolo3.models.saving` for the keys."""
        metadata = {
            "model": self.name,
            "anchors": self.anchors.tolist(),
            "anchor_mask": [list(scale.anchor_mask) for scale in self.scales],
            "scale_x_y": [scale.scale_x_y for scale in self.scales],
            "ignore_thresh": [scale.ignore_thresh for scale in self.scales],
            "strides": [scale.stride for scale in self.scales],
        }
        return metadata | ({"darknet": {"cfg": self.cfg.text}} if self.cfg is not None else {})


def set_objectness_prior(network: keras.Model, num_anchors: int, num_classes: int) -> None:
    """Start the objectness of a network with random weights at a probability of 0.01, in place.

    Outputs that have no bias stay as they are. ``num_anchors``: A of each scale. ``num_classes``: C.
    """
    for output in network.outputs:
        layer = next(layer for layer in network.layers if layer.output is output)
        if getattr(layer, "bias", None) is None:
            continue
        bias = layer.bias.numpy().copy().reshape(num_anchors, 5 + num_classes)
        bias[:, 4] = -math.log(1 / _OBJECTNESS_PRIOR - 1)
        layer.bias.assign(bias.reshape(-1))
