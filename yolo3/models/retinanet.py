"""RetinaNet: a pyramid of features, one small network for the classes and one for the boxes on each of its levels.

Every cell of every level has nine anchors; the focal loss keeps the many that are plainly background from drowning the
few that are not. Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", section 4, and for the pyramid Lin
et al. 2017, "Feature Pyramid Networks for Object Detection". Anchors, labels and deltas are :mod:`yolo3.models.rpn`'s.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
from keras import layers, ops

from yolo3.darknet.blocks import Blocks
from yolo3.models.architecture import IOU_THRESHOLD, expect_outputs
from yolo3.models.rpn import (
    AnchorTargets,
    anchor_boxes,
    anchor_targets,
    backbone_names,
    cell_anchors,
    decode_deltas,
    flatten_levels,
    mean_over_images,
    small_weights,
    smooth_l1,
)
from yolo3.ops import boxes as geometry
from yolo3.ops.focal import focal_loss

STRIDES = (8, 16, 32, 64, 128)  # of the levels P3 to P7
OCTAVE_STEPS = (0, 1 / 3, 2 / 3)  # of a doubling of the anchors' side: section 4, "Anchors"
POSITIVE_IOU, NEGATIVE_IOU = 0.5, 0.4
GROUPS = 32  # of channels, normalised together: Wu and He 2018, "Group Normalization", table 3
PRIOR = 0.01  # score of every anchor before anything is learned: section 4.1
ALPHA, GAMMA = 0.25, 2.0  # table 1b


def feature_pyramid(features, width: int, normalize: bool) -> list:
    """Return the levels P3 to P7, [B, ceil(H / s), ceil(W / s), width] for s = 8, 16, 32, 64, 128.

    ``features``: those of a backbone at strides 8, 16 and 32, whose input has sides that are multiples of 32. P3 to P5
    are 1x1 convolutions of them, each added to the doubled level above it, then a 3x3 convolution. P6 is a 3x3
    convolution of stride 2 of the deepest features, P7 one of ReLU(P6). Weights start as Glorot's, Keras' default and
    that of the authors' code. ``normalize``: whether each of these convolutions is normalised by groups.
    """

    def conv(size: int, name: str, **options):
        return _sequence(_conv(width, size, name, **options), *_norms(name, width, normalize))

    def halve(x, name: str):
        """Return a 3x3 convolution of stride 2, padded by one on all sides: odd and even sides n become ceil(n / 2)."""
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        return conv(3, name, strides=2, padding="valid")(x)

    merged = [conv(1, f"lateral_{level}")(x) for level, x in zip((3, 4, 5), features, strict=True)]
    for finer in (1, 0):
        above = layers.UpSampling2D(2, name=f"doubled_{finer + 4}")(merged[finer + 1])
        merged[finer] = layers.Add(name=f"merged_{finer + 3}")([merged[finer], above])
    levels = [conv(3, f"p{level}")(x) for level, x in zip((3, 4, 5), merged, strict=True)]
    levels.append(halve(features[-1], "p6"))
    levels.append(halve(layers.ReLU(name="p6_relu")(levels[-1]), "p7"))
    return levels


def _conv(filters: int, size: int, name: str, **options):
    return layers.Conv2D(filters, size, name=name, **{"padding": "same", **options})


def _norms(name: str, width: int, normalize: bool) -> list:
    """Return the normalisation after the layer ``name``, if there is to be one."""
    return [layers.GroupNormalization(math.gcd(GROUPS, width), name=f"{name}_norm")] if normalize else []


def _sequence(*steps):
    """Return a callable that applies layers one after the other, the same ones each time."""

    def apply(x):
        for layer in steps:
            x = layer(x)
        return x

    return apply


def shared_subnet(name: str, depth: int, width: int, out_filters: int, normalize: bool, bias: float = 0.0):
    """Return a callable, features to raw output, that has the same weights each time.

    ``depth`` 3x3 convolutions of ``width`` channels with ReLU, normalised by groups before it or not, then one of
    ``out_filters`` that begins near ``bias``.
    """
    subnet = []
    for index in range(depth):
        subnet.append(_conv(width, 3, f"{name}_{index}", kernel_initializer=small_weights()))
        subnet += [*_norms(f"{name}_{index}", width, normalize), layers.ReLU(name=f"{name}_{index}_relu")]
    start = keras.initializers.Constant(bias)
    last = _conv(out_filters, 3, name, kernel_initializer=small_weights(), bias_initializer=start)
    return _sequence(*subnet, last)


@dataclass(frozen=True)
class RetinaNet:
    """:class:`yolo3.models.architecture.Architecture` of RetinaNet on Darknet-53.

    ``num_classes``: C. ``depth``, ``width``: convolutions of each subnet before its last one, and channels of these and
    of the pyramid; 4 and 256 in the paper. ``anchor_scale``: side of a level's smallest square anchors in cells; 4 in
    the paper, which makes 32 to 813 pixels, for images of 600. ``normalize``: whether the pyramid and the subnets are
    normalised by groups. The paper, which begins with a backbone that ImageNet has trained, has none there; without
    such a backbone little is learned unless all is normalised (He et al. 2019, "Rethinking ImageNet Pre-training",
    section 3.1). Sides of the input are multiples of 32; where 64 or
    128 does not divide them, the last cells of P6 and P7 reach over the border.

    Outputs: classes [B, H, W, 9 * C] and deltas [B, H, W, 9 * 4] of P3 to P7 in turn, raw. Both terms of the loss are
    sums over an image's anchors, divided by how many of them are assigned to an object. Beside the anchors of IoU .5
    and more these are the best ones of each object, as in :mod:`yolo3.models.rpn`: none is lost for its size.
    """

    num_classes: int
    depth: int = 4
    width: int = 256
    anchor_scale: float = 4.0
    normalize: bool = True

    name: ClassVar[str] = "retinanet"
    terms: ClassVar[tuple[str, ...]] = ("class", "box")
    stride: ClassVar[int] = 32
    fixed_size: ClassVar[bool] = False
    iou_threshold: ClassVar[float] = IOU_THRESHOLD
    one_class: ClassVar[None] = None

    def __post_init__(self):
        if min(self.num_classes, self.depth, self.width) < 1 or not self.anchor_scale > 0:
            raise ValueError(f"retinanet: expected classes, depth, width and anchor_scale above 0, got {self}")

    def all_anchors(self, input_shape) -> np.ndarray:
        """Return the anchors for an input of (height, width), float32 [N, 4] xyxy: three scales by three ratios."""
        sides = [[self.anchor_scale * stride * 2**step for step in OCTAVE_STEPS] for stride in STRIDES]
        return anchor_boxes(input_shape, STRIDES, [cell_anchors(sizes) for sizes in sides])

    def build_network(self, input_shape=(None, None, 3), batch_norm: type | None = None) -> keras.Model:
        inputs = keras.Input(input_shape)
        levels = feature_pyramid(Blocks(batch_norm).darknet53(inputs), self.width, self.normalize)
        shape, prior = (self.depth, self.width), -math.log((1 - PRIOR) / PRIOR)
        classes = shared_subnet("classes", *shape, 9 * self.num_classes, self.normalize, prior)
        deltas = shared_subnet("deltas", *shape, 9 * 4, self.normalize)
        outputs = [subnet(level) for level in levels for subnet in (classes, deltas)]
        return keras.Model(inputs, outputs, name=self.name)

    def build_targets(self, boxes, input_shape) -> AnchorTargets:
        return anchor_targets(boxes, input_shape, self.all_anchors(input_shape), POSITIVE_IOU, NEGATIVE_IOU)

    def loss_terms(self, outputs, targets: AnchorTargets, input_shape) -> dict:
        logits = flatten_levels(outputs[0::2], self.num_classes)
        error = flatten_levels(outputs[1::2], 4) - targets.deltas
        positive, counts = targets.labels > 0, targets.labels >= 0
        class_ids = ops.where(positive, targets.class_ids, -1)  # -1: no class
        wanted = ops.one_hot(class_ids, self.num_classes, dtype="float32")
        number = ops.sum(ops.cast(positive, "float32"), 1)
        focal = ops.sum(focal_loss(logits, wanted, ALPHA, GAMMA), -1)
        return {
            "class": mean_over_images(focal, counts, number),
            "box": mean_over_images(ops.sum(smooth_l1(error), -1), positive, number),
        }

    def decode(self, outputs, input_shape) -> tuple:
        """Return the boxes of all anchors, clipped to the input, and scores: float32 [B, N, 4] and [B, N, C]."""
        boxes = decode_deltas(flatten_levels(outputs[1::2], 4), self.all_anchors(input_shape))
        return geometry.clip(boxes, input_shape), ops.sigmoid(flatten_levels(outputs[0::2], self.num_classes))

    def check_outputs(self, shapes) -> None:
        expect_outputs(shapes, [(9 * self.num_classes,), (9 * 4,)] * len(STRIDES))

    def backbone_layers(self, network) -> list[str]:
        return backbone_names(network)

    def metadata(self) -> dict:
        options = dataclasses.asdict(self)
        del options["num_classes"]  # as many as there are names
        return {"model": self.name, "options": options}


def retinanet_from_metadata(metadata: dict) -> RetinaNet:
    """Return the architecture that a saved file with these ``class_names`` describes. Inverse: :meth:`RetinaNet.metadata`."""
    return RetinaNet(len(metadata["class_names"]), **metadata["options"])
