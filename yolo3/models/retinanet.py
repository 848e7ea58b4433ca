"""RetinaNet: a feature pyramid, and on each of its levels one small network for the classes and one for the boxes.

Every cell of every level has nine anchors; the focal loss down-weights easy examples, so that the many anchors that
are plainly background do not outweigh the few that are not. Source: Lin et al. 2017, "Focal Loss for Dense Object
Detection", section 4; for the pyramid Lin et al. 2017, "Feature Pyramid Networks for Object Detection". Anchors, their
targets and deltas are :mod:`yolo3.models.anchors`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
from keras import layers, ops

from yolo3.darknet.blocks import Blocks
from yolo3.models.anchors.deltas import decode_deltas
from yolo3.models.anchors.grid import RATIOS, anchor_boxes, cell_anchors
from yolo3.models.anchors.heads import backbone_names, flatten_levels, head_initializer
from yolo3.models.anchors.losses import mean_over_images, smooth_l1
from yolo3.models.anchors.targets import AnchorTargets, anchor_targets
from yolo3.models.architecture import IOU_THRESHOLD, expect_outputs
from yolo3.ops import boxes as geometry
from yolo3.ops.focal import focal_loss
from yolo3.records import build_record

STRIDES = (8, 16, 32, 64, 128)  # of the levels P3 to P7
OCTAVE_STEPS = (0, 1 / 3, 2 / 3)  # of a doubling of the anchors' side: section 4, "Anchors"
NUM_ANCHORS = len(OCTAVE_STEPS) * len(RATIOS)  # of a cell
POSITIVE_IOU, NEGATIVE_IOU = 0.5, 0.4
GROUPS = 32  # of channels, normalized together: Wu and He 2018, "Group Normalization", table 3
PRIOR = 0.01  # score of every anchor before anything is learned: section 4.1
ALPHA, GAMMA = 0.25, 2.0  # table 1b


def feature_pyramid(features, width: int, normalize: bool) -> list:
    """Return the levels P3 to P7 of a feature pyramid.

    P3 to P5 are 1x1 convolutions of the features, each added to the upsampled level above it, then a 3x3 convolution.
    P6 is a 3x3 convolution of stride 2 of the deepest features, P7 one of ReLU(P6). Weights start as Glorot's, Keras'
    default and that of the authors' code.

    Args:
        features: Those of a backbone at strides 8, 16 and 32, whose input has sides that are multiples of 32.
        width: Channels of each level.
        normalize: Whether each of these convolutions is followed by group normalization.

    Returns:
        Tensors [B, ceil(H / s), ceil(W / s), width] for s = 8, 16, 32, 64, 128.
    """

    def conv(x, size: int, name: str, **options):
        x = _conv(width, size, name, **options)(x)
        return _group_norm(name, width)(x) if normalize else x

    def downsample(x, name: str):
        """Return a 3x3 convolution of stride 2, padded by one on all sides: odd and even sides n become ceil(n / 2)."""
        x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
        return conv(x, 3, name, strides=2, padding="valid")

    merged = [conv(x, 1, f"lateral_{level}") for level, x in zip((3, 4, 5), features, strict=True)]
    for finer in (1, 0):
        above = layers.UpSampling2D(2, name=f"doubled_{finer + 4}")(merged[finer + 1])
        merged[finer] = layers.Add(name=f"merged_{finer + 3}")([merged[finer], above])
    levels = [conv(x, 3, f"p{level}") for level, x in zip((3, 4, 5), merged, strict=True)]

    levels.append(downsample(features[-1], "p6"))
    levels.append(downsample(layers.ReLU(name="p6_relu")(levels[-1]), "p7"))
    return levels


def shared_subnet(name: str, depth: int, width: int, out_filters: int, normalize: bool, bias: float = 0.0):
    """Return a callable, features to raw output, that applies the same layers each time.

    Args:
        name: Of the last layer; those before it are ``{name}_0``, ``{name}_1``, ...
        depth: 3x3 convolutions with ReLU before the last one.
        width: Their channels.
        out_filters: Channels of the output.
        normalize: Whether group normalization stands before each ReLU.
        bias: Where the output starts.
    """
    subnet = []
    for index in range(depth):
        subnet.append(_conv(width, 3, f"{name}_{index}", kernel_initializer=head_initializer()))
        if normalize:
            subnet.append(_group_norm(f"{name}_{index}", width))
        subnet.append(layers.ReLU(name=f"{name}_{index}_relu"))
    start = keras.initializers.Constant(bias)
    subnet.append(_conv(out_filters, 3, name, kernel_initializer=head_initializer(), bias_initializer=start))

    def apply(x):
        for layer in subnet:
            x = layer(x)
        return x

    return apply


def _conv(filters: int, size: int, name: str, **options):
    return layers.Conv2D(filters, size, name=name, **{"padding": "same", **options})


def _group_norm(name: str, width: int):
    """Return the group normalization after the convolution ``name``."""
    return layers.GroupNormalization(math.gcd(GROUPS, width), name=f"{name}_norm")


@dataclass(frozen=True)
class RetinaNet:
    """Implement :class:`yolo3.models.architecture.Architecture` for RetinaNet on Darknet-53.

    Sides of the input are multiples of 32; where 64 or 128 does not divide them, the last cells of P6 and P7 reach
    over the border. Outputs of the network, for P3 to P7 in turn: classes [B, H, W, 9 * C] and deltas
    [B, H, W, 9 * 4], raw. Both terms of the loss are sums over an image's anchors, divided by the number of positive
    ones. These are the anchors of IoU .5 and more, and, as for region proposals, the best ones of each object: no
    object is lost for its size.

    Args:
        num_classes: C.
        depth: Convolutions of each subnet before its last one; 4 in the paper.
        width: Channels of these and of the pyramid; 256 in the paper.
        anchor_scale: Side of a level's smallest square anchors in cells. 4 in the paper, which makes 32 to 813
            pixels, for images of 600.
        normalize: Whether the pyramid and the subnets have group normalization. The paper, which starts from a
            backbone pretrained on ImageNet, has none there; without such a backbone little is learned unless all is
            normalized (He et al. 2019, "Rethinking ImageNet Pre-training", section 3.1).

    Raises:
        ValueError: For numbers that are not above 0.
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

    @classmethod
    def from_name(cls, name: str, num_classes: int, **options) -> RetinaNet:
        """Return the architecture; ``options``: fields that differ from their defaults."""
        return cls(num_classes, **options)

    @classmethod
    def from_metadata(cls, metadata: dict) -> RetinaNet:
        """Return the architecture of a saved file, with as many classes as names. Inverse: :meth:`metadata`."""
        return build_record(cls, {"num_classes": len(metadata["class_names"]), **(metadata.get("options") or {})})

    def all_anchors(self, input_shape) -> np.ndarray:
        """Return the anchors for an input of (height, width), float32 [N, 4] xyxy: three scales by three ratios."""
        sides = [[self.anchor_scale * stride * 2**step for step in OCTAVE_STEPS] for stride in STRIDES]
        return anchor_boxes(input_shape, STRIDES, [cell_anchors(sizes) for sizes in sides])

    def build_network(self, input_shape=(None, None, 3), batch_norm: type | None = None) -> keras.Model:
        """Return the network with random weights; every score starts near 0.01."""
        inputs = keras.Input(input_shape)
        levels = feature_pyramid(Blocks(batch_norm).darknet53(inputs), self.width, self.normalize)

        subnet = functools.partial(shared_subnet, depth=self.depth, width=self.width, normalize=self.normalize)
        prior = -math.log((1 - PRIOR) / PRIOR)
        classes = subnet("classes", out_filters=NUM_ANCHORS * self.num_classes, bias=prior)
        deltas = subnet("deltas", out_filters=NUM_ANCHORS * 4)
        outputs = [head(level) for level in levels for head in (classes, deltas)]
        return keras.Model(inputs, outputs, name=self.name)

    def build_targets(self, boxes, input_shape) -> AnchorTargets:
        """Return labels, deltas and class ids of all anchors: see :mod:`yolo3.models.anchors.targets`."""
        return anchor_targets(
            boxes,
            input_shape,
            self.all_anchors(input_shape),
            positive_iou=POSITIVE_IOU,
            negative_iou=NEGATIVE_IOU,
        )

    def loss_terms(self, outputs, targets: AnchorTargets, input_shape) -> dict:
        """Return the focal loss of the classes and the smooth L1 of the deltas, by the number of positive anchors."""
        logits = flatten_levels(outputs[0::2], self.num_classes)  # [B, N, C]
        error = flatten_levels(outputs[1::2], 4) - targets.deltas  # [B, N, 4]

        positive, not_ignored = targets.labels > 0, targets.labels >= 0
        num_positive = ops.sum(ops.cast(positive, "float32"), 1)
        class_ids = ops.where(positive, targets.class_ids, -1)  # -1: no class
        class_targets = ops.one_hot(class_ids, self.num_classes, dtype="float32")
        focal = ops.sum(focal_loss(logits, class_targets, ALPHA, GAMMA), -1)
        return {
            "class": mean_over_images(focal, not_ignored, num_positive),
            "box": mean_over_images(ops.sum(smooth_l1(error), -1), positive, num_positive),
        }

    def decode(self, outputs, input_shape) -> tuple:
        """Return the boxes of all anchors, clipped to the input, and scores: float32 [B, N, 4] and [B, N, C]."""
        boxes = decode_deltas(flatten_levels(outputs[1::2], 4), self.all_anchors(input_shape))
        return geometry.clip(boxes, input_shape), ops.sigmoid(flatten_levels(outputs[0::2], self.num_classes))

    def check_outputs(self, shapes) -> None:
        """Raise ``ValueError`` unless ``shapes`` are classes and deltas of five levels."""
        expect_outputs(shapes, [(NUM_ANCHORS * self.num_classes,), (NUM_ANCHORS * 4,)] * len(STRIDES))

    def backbone_layers(self, network) -> list[str]:
        """Return the names of Darknet-53's layers."""
        return backbone_names(network)

    def metadata(self) -> dict:
        """Return ``model`` and ``options``, the inverse of :meth:`from_metadata`."""
        options = dataclasses.asdict(self)
        del options["num_classes"]  # as many as there are names
        return {"model": self.name, "options": options}
