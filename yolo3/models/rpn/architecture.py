"""The region proposal network as an architecture: which regions may hold an object of any class?

Anchors stand about each cell of a feature map. Each is labelled by its overlap with the ground truth, a sample of them
is drawn for training, and a small network predicts of each whether it holds an object and how it has to move. Source:
Faster R-CNN (Ren et al. 2015), section 3.1.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np
from keras import layers, ops

from yolo3.darknet.blocks import DARKNET53_STRIDES, Blocks
from yolo3.models.anchors.deltas import decode_deltas
from yolo3.models.anchors.grid import RATIOS, anchor_boxes, cell_anchors, lie_inside
from yolo3.models.anchors.heads import backbone_names, flatten_levels, head_initializer
from yolo3.models.anchors.losses import mean_over_images, smooth_l1
from yolo3.models.anchors.targets import AnchorTargets, anchor_targets
from yolo3.models.architecture import expect_outputs
from yolo3.models.rpn.sampling import SAMPLES, draw_ranks, sample_anchors
from yolo3.ops import boxes as geometry
from yolo3.ops.cross_entropy import binary_cross_entropy
from yolo3.records import build_record

PROPOSAL_IOU = 0.7  # of the suppression of proposals: section 3.3


@dataclass(frozen=True)
class Rpn:
    """Implement :class:`yolo3.models.architecture.Architecture` for region proposals on Darknet-53.

    It detects one class, "object"; class ids of the ground truth do not matter. Outputs of the network, for each
    stride in turn: objectness [B, H, W, A] and deltas [B, H, W, A * 4], raw. Both terms of the loss are means over the
    sampled anchors. The paper divides that of the boxes by the number of cells and weights it by 10, which comes to
    about the same.

    Args:
        strides: Feature maps that proposals come from, of 8, 16 and 32; each has a head of its own, and what lies
            deeper is left out of the network. The paper's is 16. Darknet-53 sees 437 pixels there, more than the
            largest anchor, where stride 8 sees 165; at stride 32 small objects fall between the anchors.
        scales: Sides of the square anchors, in cells. By default 32 to 256 pixels at stride 16, for inputs of 128 to
            512 pixels; the paper's 128 to 512 are for sides of 600.
        ratios: Heights of the anchors divided by their widths.
        width: Channels of the 3x3 convolution.
        positive_iou: See :func:`yolo3.models.anchors.targets.anchor_targets`.
        negative_iou: See there.
        num_samples: Anchors of an image that are trained on.
        seed: Of the sampling.

    Raises:
        ValueError: For other strides, or thresholds out of order.
    """

    strides: tuple[int, ...] = (16,)
    scales: tuple[float, ...] = (2.0, 4.0, 8.0, 16.0)
    ratios: tuple[float, ...] = RATIOS
    width: int = 512
    positive_iou: float = 0.7
    negative_iou: float = 0.3
    num_samples: int = SAMPLES
    seed: int = 0

    name: ClassVar[str] = "rpn"
    num_classes: ClassVar[int] = 1
    one_class: ClassVar[str] = "object"
    iou_threshold: ClassVar[float] = PROPOSAL_IOU
    terms: ClassVar[tuple[str, ...]] = ("objectness", "box")
    fixed_size: ClassVar[bool] = False

    def __post_init__(self):
        if not self.strides or not set(self.strides) <= {*DARKNET53_STRIDES}:
            raise ValueError(f"rpn: expected strides of 8, 16 and 32, got {self.strides}")
        if not 0 <= self.negative_iou <= self.positive_iou <= 1:
            raise ValueError(
                f"rpn: expected 0 <= negative_iou <= positive_iou <= 1, got {self.negative_iou} and {self.positive_iou}"
            )

    @classmethod
    def from_name(cls, name: str, num_classes: int, **options) -> Rpn:
        """Return the architecture, always of one class; ``options``: fields that differ from their defaults."""
        return cls(**options)

    @classmethod
    def from_metadata(cls, metadata: dict) -> Rpn:
        """Return the architecture that a saved file describes. Inverse: :meth:`metadata`."""
        return build_record(cls, metadata.get("options") or {})

    @property
    def stride(self) -> int:
        """Return the number that sides of the input are multiples of."""
        return max(self.strides)

    @property
    def num_anchors(self) -> int:
        """Return A, the anchors of a cell."""
        return len(self.scales) * len(self.ratios)

    def all_anchors(self, input_shape) -> np.ndarray:
        """Return the anchors for an input of (height, width), float32 [N, 4] xyxy."""
        sizes = [[scale * stride for scale in self.scales] for stride in self.strides]
        return anchor_boxes(input_shape, self.strides, [cell_anchors(level, self.ratios) for level in sizes])

    def build_network(self, input_shape=(None, None, 3), batch_norm: type | None = None) -> keras.Model:
        """Return the network with random weights: Darknet-53, and on each stride a 3x3 and two 1x1 convolutions."""
        inputs = keras.Input(input_shape)
        features = dict(zip(DARKNET53_STRIDES, Blocks(batch_norm).darknet53(inputs), strict=True))

        def conv(filters: int, size: int, name: str, **options):
            return layers.Conv2D(filters, size, kernel_initializer=head_initializer(), name=name, **options)

        outputs = []
        for stride in self.strides:
            x = conv(self.width, 3, f"rpn_{stride}", padding="same", activation="relu")(features[stride])
            outputs.append(conv(self.num_anchors, 1, f"objectness_{stride}")(x))  # [B, H, W, A]
            outputs.append(conv(self.num_anchors * 4, 1, f"deltas_{stride}")(x))  # [B, H, W, A * 4]
        return keras.Model(inputs, outputs, name=self.name)

    def build_targets(self, boxes, input_shape, step=0) -> AnchorTargets:
        """Return the targets of the sampled anchors.

        Anchors that cross the border of the input are ignored.

        Args:
            boxes: float32 [B, T, 5] (x, y, w, h relative to the input, class id); rows without area are padding.
            input_shape: (height, width) of the network input.
            step: Number of the training step, on which the sample depends; see
                :func:`yolo3.models.rpn.sampling.draw_ranks`.

        Raises:
            ValueError: Where all anchors cross the border.
        """
        anchors = self.all_anchors(input_shape)
        inside = lie_inside(anchors, input_shape)
        if not inside.any():
            raise ValueError(
                f"rpn: expected an anchor that fits into the input, got scales {self.scales} cells of "
                f"{self.strides} pixels for an input of {tuple(input_shape)} (height, width)"
            )

        targets = anchor_targets(
            boxes,
            input_shape,
            anchors,
            positive_iou=self.positive_iou,
            negative_iou=self.negative_iou,
            usable=inside,
        )
        ranks = draw_ranks(boxes, len(anchors), seed=self.seed, step=step)
        return targets._replace(labels=sample_anchors(targets.labels, ranks, self.num_samples))

    def loss_terms(self, outputs, targets: AnchorTargets, input_shape) -> dict:
        """Return the cross-entropy of the objectness and the smooth L1 of the deltas of the sampled anchors."""
        logits = flatten_levels(outputs[0::2], 1)[..., 0]  # [B, N]
        error = flatten_levels(outputs[1::2], 4) - targets.deltas  # [B, N, 4]

        positive, sampled = targets.labels > 0, targets.labels >= 0
        num_sampled = ops.sum(ops.cast(sampled, "float32"), 1)
        entropy = binary_cross_entropy(logits, ops.cast(positive, "float32"))
        return {
            "objectness": mean_over_images(entropy, sampled, num_sampled),
            "box": mean_over_images(ops.sum(smooth_l1(error), -1), positive, num_sampled),
        }

    def decode(self, outputs, input_shape) -> tuple:
        """Return all proposals, clipped to the input, and their objectness: float32 [B, N, 4] and [B, N, 1]."""
        boxes = decode_deltas(flatten_levels(outputs[1::2], 4), self.all_anchors(input_shape))
        return geometry.clip(boxes, input_shape), ops.sigmoid(flatten_levels(outputs[0::2], 1))

    def check_outputs(self, shapes) -> None:
        """Raise ``ValueError`` unless ``shapes`` are objectness and deltas of each stride."""
        expect_outputs(shapes, [(self.num_anchors,), (self.num_anchors * 4,)] * len(self.strides))

    def backbone_layers(self, network) -> list[str]:
        """Return the names of Darknet-53's layers."""
        return backbone_names(network)

    def metadata(self) -> dict:
        """Return ``model`` and ``options``: see :mod:`yolo3.models.saving`. Inverse: :meth:`from_metadata`."""
        return {"model": self.name, "options": dataclasses.asdict(self)}
