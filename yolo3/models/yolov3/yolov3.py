"""YOLOv3 as an architecture of detectors: its networks, by name or of a Darknet cfg, and how their outputs mean boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from yolo3.darknet.cfg import Cfg, parse_cfg
from yolo3.darknet.heads import class_count, joined_anchors, with_classes, yolo_heads
from yolo3.darknet.layers import needs_fixed_size, resolve_layers
from yolo3.darknet.names import shared_layers
from yolo3.darknet.network import build_network as build_cfg_network
from yolo3.darknet.sections import YoloHead
from yolo3.models.architecture import IOU_THRESHOLD
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.models.yolov3.losses import DARKNET, loss_terms
from yolo3.models.yolov3.networks import BACKBONE_CONVOLUTIONS, NETWORKS
from yolo3.models.yolov3.postprocess import decode_outputs
from yolo3.models.yolov3.scales import AnchorMask, check_anchor_mask, per_scale, scale_strides
from yolo3.models.yolov3.targets import build_targets
from yolo3.ops import boxes as geometry

CFG = "cfg"  # the name of a network that a Darknet cfg describes
IGNORE_THRESH = 0.5
NAME_OF_SCALES = {3: "yolov3", 2: "yolov3-tiny"}
_OBJECTNESS_PRIOR = 0.01  # of all slots, before anything is learned (focal loss paper, section 4.1)


@dataclass(frozen=True, eq=False)
class YoloV3:
    """:class:`yolo3.models.architecture.Architecture` of anchors and scales.

    ``name``: a key of ``NETWORKS``, or "cfg" for the network of ``cfg``, whose classes are ``num_classes`` then.
    ``anchors``: float32 [N, 2] (w, h) in pixels of the network input. ``anchor_mask``, ``scale_x_y``,
    ``ignore_thresh``, ``strides``: one entry a scale, in the order of the network's outputs. ``loss``: how its loss
    departs from Darknet's.
    """

    name: str
    num_classes: int
    anchors: np.ndarray
    anchor_mask: AnchorMask
    scale_x_y: tuple[float, ...]
    ignore_thresh: tuple[float, ...]
    strides: tuple[int, ...]
    cfg: Cfg | None = None
    loss: LossOptions = DARKNET

    iou_threshold: ClassVar[float] = IOU_THRESHOLD
    one_class: ClassVar[None] = None

    @property
    def terms(self) -> tuple[str, ...]:
        return self.loss.terms

    @property
    def stride(self) -> int:
        return max(self.strides)

    @property
    def fixed_size(self) -> bool:
        return self.cfg is not None and needs_fixed_size(self.cfg)

    def build_network(self, input_shape=(None, None, 3), batch_norm: type | None = None) -> keras.Model:
        """Return the network with random weights; its objectness starts low, as most slots hold nothing."""
        if self.cfg is not None:
            network = build_cfg_network(self.cfg, input_shape, batch_norm)
        elif self.name in NETWORKS:
            inputs = keras.Input(input_shape)
            network = NETWORKS[self.name](inputs, len(self.anchor_mask[0]), self.num_classes, batch_norm=batch_norm)
        else:
            raise ValueError(f"network: expected one of {', '.join(NETWORKS)}, got {self.name!r}")
        set_objectness_prior(network, len(self.anchor_mask[0]), self.num_classes)
        return network

    def build_targets(self, boxes, input_shape) -> Any:
        """Return (targets of each scale, (true boxes xyxy [B, T, 4], their number [B]))."""
        y_true = build_targets(
            boxes, tuple(input_shape), self.anchors, self.num_classes, self.anchor_mask, self.strides,
            self.loss.iou_thresh,
        )  # fmt: skip
        present = ops.sum(ops.cast(boxes[..., 2] > 0, "int32"), 1)
        return y_true, (geometry.cxcywh_to_xyxy(boxes[..., :4]), present)

    def loss_terms(self, outputs, targets, input_shape) -> dict:
        y_true, true_boxes = targets
        return loss_terms(
            outputs, y_true, self.anchors, self.num_classes, self.ignore_thresh, self.anchor_mask, self.scale_x_y,
            true_boxes, self.strides, self.loss,
        )  # fmt: skip

    def decode(self, outputs, input_shape) -> tuple:
        return decode_outputs(outputs, self.anchors, self.num_classes, input_shape, self.anchor_mask, self.scale_x_y)

    def check_outputs(self, shapes) -> None:
        """Compare the outputs of a network with what anchors and classes ask for."""
        num_scales, num_anchors = len(self.anchor_mask), len(self.anchor_mask[0])
        if len(shapes) != num_scales:
            raise ValueError(f"has {len(shapes)} outputs, but {len(self.anchors)} anchors were given for {num_scales}")
        expected = num_anchors * (5 + self.num_classes)
        wrong = [shape[-1] for shape in shapes if shape[-1] != expected]
        if wrong:
            raise ValueError(
                f"its outputs have {wrong[0]} channels, but {self.num_classes} classes and {num_anchors} anchors a "
                f"scale need {expected}"
            )

    def backbone_layers(self, network) -> list[str]:
        if self.cfg is not None:
            return shared_layers(self.cfg)
        count = BACKBONE_CONVOLUTIONS[self.name]
        return [f"{kind}_{index}" for kind in ("conv", "bn") for index in range(count)]

    def metadata(self) -> dict:
        metadata = {
            "model": self.name,
            "anchors": np.asarray(self.anchors).tolist(),
            "anchor_mask": [list(scale) for scale in self.anchor_mask],
            "scale_x_y": list(self.scale_x_y),
            "ignore_thresh": list(self.ignore_thresh),
            "strides": list(self.strides),
        }
        return metadata | ({"darknet": {"cfg": self.cfg.text}} if self.cfg is not None else {})


def set_objectness_prior(network: keras.Model, num_anchors: int, num_classes: int) -> None:
    """Start the objectness of a network with random weights low. Outputs that have no bias stay as they are."""
    for output in network.outputs:
        layer = next(layer for layer in network.layers if layer.output is output)
        if getattr(layer, "bias", None) is None:
            continue
        bias = ops.convert_to_numpy(layer.bias).copy().reshape(num_anchors, 5 + num_classes)
        bias[:, 4] = -math.log(1 / _OBJECTNESS_PRIOR - 1)
        layer.bias.assign(bias.reshape(-1))


def named_yolov3(
    name: str | None, num_classes: int, anchors, anchor_mask: Sequence[Sequence[int]] | None = None,
    ignore_thresh=None, scale_x_y=1.0, strides: Sequence[int] | None = None, loss: LossOptions = DARKNET,
) -> YoloV3:  # fmt: skip
    """Return the architecture of a network of ``NETWORKS``; without a name, the one that the number of scales means.

    Raises ``ValueError`` where anchors, masks and network do not fit each other.
    """
    mask = check_anchor_mask(anchor_mask, len(anchors))
    num_scales = len(mask)
    wanted = {"yolov3-tiny": 2}.get(name or "", 3) if name in NETWORKS else num_scales
    if wanted != num_scales:
        raise ValueError(f"{name} predicts at {wanted} scales; {len(anchors)} anchors make {num_scales}")
    if name is None and num_scales not in NAME_OF_SCALES:
        raise ValueError(f"expected anchors of three scales (YOLOv3) or two (tiny), got {num_scales}")
    return YoloV3(
        name or NAME_OF_SCALES[num_scales], num_classes, np.asarray(anchors, np.float32), mask,
        tuple(per_scale(scale_x_y, num_scales)),
        tuple(per_scale(IGNORE_THRESH if ignore_thresh is None else ignore_thresh, num_scales, "ignore_thresh")),
        scale_strides(num_scales, strides), loss=loss,
    )  # fmt: skip


def cfg_yolov3(
    cfg: Cfg, num_classes: int | None = None, anchors=None, ignore_thresh=None, loss: LossOptions = DARKNET
) -> YoloV3:
    """Return the architecture of the network that a cfg describes, with its anchors, masks and thresholds.

    ``num_classes``: fits its heads to another number of classes. ``anchors``: as many as the cfg has, in place of them.
    Raises ``ValueError``, with file and line, for heads that cannot be trained here.
    """
    heads = yolo_heads(cfg)
    for head in heads:
        _check_head(head)
    if num_classes is not None and num_classes != class_count(resolve_layers(cfg)):
        cfg = with_classes(cfg, num_classes)
    own, mask = joined_anchors(heads)
    if anchors is not None and len(anchors) != len(own):
        raise ValueError(f"anchors: expected {len(own)} as {cfg.source} has, got {len(anchors)}")
    return YoloV3(
        CFG, class_count(resolve_layers(cfg)) or 0, np.asarray(own if anchors is None else anchors, np.float32),
        check_anchor_mask(mask, len(own)), tuple(head.scale_x_y for head in heads),
        tuple(per_scale(ignore_thresh, len(heads))) if ignore_thresh is not None
        else tuple(head.ignore_thresh for head in heads),
        tuple(head.stride for head in heads), cfg, loss,
    )  # fmt: skip


def _check_head(head: YoloHead) -> None:
    if head.new_coords:
        raise ValueError(f"{head.section.where()}: new_coords=1 means boxes in another way, which is not trained here")


def yolov3_from_metadata(metadata: dict) -> YoloV3:
    """Return the architecture that a saved file describes; see :mod:`yolo3.models.saving`. Inverse: :meth:`YoloV3.metadata`.

    Raises ``ValueError`` where class names or anchors are missing.
    """
    for key, words in (("class_names", "class names"), ("anchors", "anchors")):
        if metadata.get(key) is None:
            raise ValueError(f"carries no {words}; give them (--classes, --anchors)")
    num_classes = len(metadata["class_names"])
    num_scales = len(check_anchor_mask(metadata.get("anchor_mask"), len(metadata["anchors"])))
    name = metadata.get("model") or NAME_OF_SCALES.get(num_scales, CFG)
    cfg = (metadata.get("darknet") or {}).get("cfg") if name == CFG else None
    architecture = named_yolov3(
        name, num_classes, metadata["anchors"], metadata.get("anchor_mask"), metadata.get("ignore_thresh"),
        metadata.get("scale_x_y", 1.0), metadata.get("strides"),
    )  # fmt: skip
    if cfg is None:
        return architecture
    parsed = parse_cfg(cfg, "cfg of the weights")
    return YoloV3(**{**vars(architecture), "strides": tuple(head.stride for head in yolo_heads(parsed)), "cfg": parsed})
