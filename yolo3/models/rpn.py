"""Region proposals from anchors: where may there be an object, of whatever class?

Boxes of several sizes and shapes, the anchors, stand about each cell of a feature map. Each is labelled by its overlap
with the true boxes, some of them are drawn for training, and a small network says of each whether it holds an object
and how it has to move. Source: Faster R-CNN (Ren et al. 2015), section 3.1.

With the centre (x_a, y_a) and size (w_a, h_a) of an anchor, the four numbers of a box, its *deltas*, are

    t_x = (x - x_a) / w_a    t_w = ln(w / w_a)
    t_y = (y - y_a) / h_a    t_h = ln(h / h_a)

All boxes and anchors here are in pixels of the network input unless it is said otherwise; N counts anchors.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import keras
import numpy as np
from keras import layers, ops

from yolo3.darknet.blocks import OUTPUT_STDDEV, Blocks
from yolo3.models.architecture import expect_outputs
from yolo3.models.yolov3.losses import binary_cross_entropy
from yolo3.ops import boxes as geometry
from yolo3.ops.nms import non_max_suppression, take_rows

RATIOS = (0.5, 1.0, 2.0)  # height / width, section 3.1.1
SAMPLES = 256  # anchors of an image that are trained on, at most half of them positive: section 3.1.3
PROPOSAL_IOU = 0.7  # of the suppression of proposals: section 3.3
SMOOTH_L1_BETA = 1 / 9  # the authors' code: sigma 3, and beta = 1 / sigma^2
MAX_LOG_SIZE = math.log(1000 / 16)  # a box is at most 62.5 anchors wide; Detectron's bound
_TIE = 1e-5  # overlaps that differ by this share are equal: backends round differently
_CLAIM = 2.0  # more than any overlap
_BLOCK = 32  # true boxes compared at a time, as many as a batch is padded to


# Anchors


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float] = RATIOS) -> np.ndarray:
    """Return float64 [A, 2] (w, h): an anchor of area size^2 for each size and, within it, each ratio h / w."""
    return np.array([(size / math.sqrt(ratio), size * math.sqrt(ratio)) for size in sizes for ratio in ratios])


def anchor_boxes(input_shape, strides: Sequence[int], level_anchors: Sequence[np.ndarray]) -> np.ndarray:
    """Return float32 [N, 4] xyxy: the anchors of all levels, by level, row, column and place among the cell's anchors.

    ``level_anchors``: [A, 2] (w, h) for each of ``strides``. Each stands on the middle of its cell. A level has
    ceil(side / stride) cells a side: where that does not divide evenly, the last ones reach over the border.
    """
    return np.concatenate(
        [
            _grid_boxes([-(-side // stride) for side in input_shape], stride, anchors)
            for stride, anchors in zip(strides, level_anchors, strict=True)
        ]
    )


def _grid_boxes(grid_shape, stride: int, anchors: np.ndarray) -> np.ndarray:
    rows, columns = ((np.arange(count) + 0.5) * stride for count in grid_shape)
    centres = np.stack(np.meshgrid(columns, rows), -1)[:, :, None]  # [H, W, 1, 2]
    boxes = np.concatenate(np.broadcast_arrays(centres, anchors), -1)  # [H, W, A, 4]
    return geometry.cxcywh_to_xyxy(boxes.reshape(-1, 4)).astype(np.float32)


def lie_inside(anchors_xyxy: np.ndarray, input_shape) -> np.ndarray:
    """Return bool [N]: which anchors [N, 4] do not cross the border of the input; those that touch it lie inside."""
    return (geometry.clip(anchors_xyxy, input_shape) == anchors_xyxy).all(-1)


# Deltas


def encode_deltas(boxes_xyxy, anchors_xyxy):
    """Return float32 [..., 4] (t_x, t_y, t_w, t_h), finite for boxes without size too. Inverse: :func:`decode_deltas`.

    ``boxes_xyxy``: [..., 4], in the unit of ``anchors_xyxy`` [N, 4].
    """
    boxes, anchors = geometry.xyxy_to_cxcywh(boxes_xyxy), geometry.xyxy_to_cxcywh(anchors_xyxy)
    shift = (boxes[..., :2] - anchors[..., :2]) / anchors[..., 2:]
    ratio = boxes[..., 2:] / anchors[..., 2:]
    return ops.concatenate([shift, ops.log(ops.where(ratio > 0, ratio, 1.0))], -1)


def decode_deltas(deltas, anchors_xyxy):
    """Return corner boxes [..., 4] of deltas [..., 4]; t_w and t_h count up to ln 62.5. See :func:`encode_deltas`."""
    anchors = ops.convert_to_tensor(geometry.xyxy_to_cxcywh(anchors_xyxy))
    centres = anchors[..., :2] + deltas[..., :2] * anchors[..., 2:]
    sizes = anchors[..., 2:] * ops.exp(ops.minimum(deltas[..., 2:], MAX_LOG_SIZE))
    return geometry.cxcywh_to_xyxy(ops.concatenate([centres, sizes], -1))


def smooth_l1(error, beta: float = SMOOTH_L1_BETA):
    """Return error^2 / (2 beta) where |error| < beta, else |error| - beta / 2, element by element; beta is above 0.

    Source: Fast R-CNN (Girshick 2015), equation 3, where beta is 1.
    """
    size = ops.abs(error)
    return ops.where(size < beta, 0.5 / beta * error * error, size - 0.5 * beta)


# Labels


class AnchorTargets(NamedTuple):
    """What the anchors of a batch have to say.

    ``labels``: float32 [B, N], 1 for an object, 0 for none, -1 for an anchor that does not count. Of the true box of
    each anchor, which means something where the label is 1: ``deltas`` float32 [B, N, 4], ``class_ids`` int32 [B, N].
    """

    labels: Any
    deltas: Any
    class_ids: Any


def match_anchors(anchors_xyxy, boxes_xyxy, usable=None):
    """Return (index int32 [B, N], claim float32 [B, N]): the true box of each anchor, and how good the match is.

    ``anchors_xyxy``: [N, 4]. ``boxes_xyxy``: [B, T, 4]; those without area match nothing. ``usable``: bool [N], the
    anchors that take part, by default all. The true box is the one of largest IoU, and ``claim`` that IoU. An anchor
    that is the best an object has (or ties with it) belongs to that object even if it overlaps another one more; its
    claim is the IoU + 2. So each object has an anchor, unless another one needs the same anchor and overlaps it more.
    Of equal claims the first box wins, and this alone depends on the order of the boxes.

    Blocks of true boxes are compared one after the other: memory grows with B N 32, not with their number.
    """
    images, num_rows = ops.shape(boxes_xyxy)[0], ops.shape(boxes_xyxy)[1]
    usable = np.ones(len(anchors_xyxy), bool) if usable is None else usable
    anchors = ops.convert_to_tensor(anchors_xyxy)[None]
    padded = ops.concatenate([boxes_xyxy, ops.zeros((images, _BLOCK, 4))], 1)  # the last block may reach past the end

    def match_block(first, index, claim):
        rows = ops.slice(padded, (0, first, 0), (images, _BLOCK, 4))
        claims = _claims(ops.where(usable[:, None], geometry.pairwise_iou(anchors, rows), 0.0))
        best, where = ops.max(claims, -1), first + ops.cast(ops.argmax(claims, -1), "int32")
        return first + _BLOCK, ops.where(best > claim, where, index), ops.maximum(best, claim)

    start = (ops.zeros((), "int32"), ops.zeros((images, len(usable)), "int32"), ops.zeros((images, len(usable))))
    _, index, claim = ops.while_loop(
        lambda first, *_: first < num_rows, match_block, start, maximum_iterations=num_rows // _BLOCK + 1
    )
    return index, claim


def _claims(overlaps):
    """Return overlaps [B, N, M] with 2 added where an anchor is the best that a box has."""
    best = ops.max(overlaps, 1, keepdims=True)
    return overlaps + _CLAIM * ops.cast((overlaps >= best * (1 - _TIE)) & (overlaps > 0), "float32")


def anchor_targets(boxes, input_shape, anchors_xyxy, positive_iou: float, negative_iou: float, usable=None):
    """Return :class:`AnchorTargets` of a batch.

    ``boxes``: float32 [B, T, 5] (x, y, w, h relative to the input, class id), rows without area are padding. Anchors
    whose IoU with a true box is at least ``positive_iou`` are positive, as are the best ones of each box; those below
    ``negative_iou`` with every box are negative; the rest, and those that are not ``usable``, do not count.
    """
    boxes = ops.cast(boxes, "float32")
    height, width = input_shape
    corners = geometry.cxcywh_to_xyxy(boxes[..., :4]) * np.array([width, height, width, height], np.float32)
    usable = np.ones(len(anchors_xyxy), bool) if usable is None else usable
    index, claim = match_anchors(anchors_xyxy, corners, usable)
    labels = ops.where(claim >= positive_iou, 1.0, ops.where(claim < negative_iou, 0.0, -1.0))
    rows = ops.concatenate([corners, boxes[..., 4:]], -1)
    rows = take_rows(ops.pad(rows, ((0, 0), (0, 1), (0, 0))), index)  # the added row: there may be no box at all
    deltas = encode_deltas(rows[..., :4], anchors_xyxy)
    return AnchorTargets(ops.where(usable, labels, -1.0), deltas, ops.cast(rows[..., 4], "int32"))


# Sampling


def sample_anchors(labels, ranks, num_samples: int = SAMPLES):
    """Return labels [B, N] with -1 for anchors that are not drawn.

    ``labels``: 1, 0 or -1. ``ranks``: float [B, N], each image's anchors in the order in which they are drawn, the
    largest first: any permutation of 0 .. N - 1. At most half of the ``num_samples`` are positive; negative ones fill
    the rest.
    """
    positive = _largest(labels == 1, ranks, num_samples // 2, num_samples // 2)
    room = num_samples - ops.sum(ops.cast(positive, "int32"), 1, keepdims=True)
    negative = _largest(labels == 0, ranks, room, num_samples)
    return ops.where(positive, 1.0, ops.where(negative, 0.0, -1.0))


def _largest(members, ranks, count, most: int):
    """Return bool [B, N]: the ``count`` (a number, or int [B, 1], from 1 to ``most``) members of largest rank."""
    ranks = ops.where(members, ranks, -1.0)
    most = min(most, ranks.shape[1])
    best, _ = ops.top_k(ranks, most)
    place = ops.equal(ops.arange(most), ops.minimum(count, most) - 1)
    least = ops.sum(ops.where(place, best, 0.0), 1, keepdims=True)
    return members & (ranks >= least)


def draw_ranks(boxes, num_anchors: int, seed: int = 0, step=0):
    """Return float32 [B, N]: a random order of the anchors of each image, a permutation of 0 .. N - 1.

    It is one order, that of ``seed``, begun at a place that follows from ``step`` (a number or an int tensor) and from
    the image's ``boxes`` [B, T, 5]. So the draw has no state, is the same for one image wherever it stands in a
    batch and however its boxes are ordered, and is another one whenever augmentation has moved the boxes.
    """
    order = np.random.default_rng(seed).permutation(num_anchors).astype(np.float32)
    numbers = ops.cast(ops.cast(boxes[..., :4], "float32") * np.array([7919, 6007, 4649, 3571], np.float32), "int32")
    first = ops.sum(numbers, (1, 2)) + ops.cast(step, "int32") * 6323  # primes: neighbours begin far apart
    places = ops.expand_dims(first, 1) + ops.arange(num_anchors, dtype="int32")
    return ops.take(order, ops.mod(places, num_anchors), 0)


# The network and its architecture


def small_weights():
    """Return a new initializer for one layer of a head: Gaussian of .01, as both papers have it (section 3.1.3; 4.1).

    The features of a backbone without normalisation at its end are large; larger weights make training start with a
    loss ten times as high.
    """
    return keras.initializers.RandomNormal(stddev=OUTPUT_STDDEV)


def flatten_levels(outputs, depth: int):
    """Return float32 [B, N, depth] of the raw outputs [B, H, W, A * depth] of all levels, in the order of anchors."""
    return ops.concatenate([_flatten_cells(ops.cast(output, "float32"), depth) for output in outputs], 1)


def _flatten_cells(output, depth: int):
    _, height, width, channels = ops.shape(output)
    return ops.reshape(output, (-1, height * width * (channels // depth), depth))


def mean_over_images(values, counts, numbers):
    """Return the mean over images of the sum of ``values`` [B, N] where ``counts`` [B, N], over ``numbers`` [B]."""
    return ops.mean(ops.sum(ops.where(counts, values, 0.0), 1) / ops.maximum(numbers, 1.0))


def backbone_names(network) -> list[str]:
    """Return the names of a network's layers with weights that :class:`yolo3.darknet.blocks.Blocks` has numbered."""
    return [layer.name for layer in network.layers if re.fullmatch(r"(conv|bn)_\d+", layer.name)]


@dataclass(frozen=True)
class Rpn:
    """:class:`yolo3.models.architecture.Architecture` of region proposals on Darknet-53: a detector of one class, "object".

    ``strides``: the features that proposals come from, of 8, 16 and 32; each has a head of its own. 16 is the
    paper's, and Darknet-53 sees 437 pixels there: more than the largest anchor, where stride 8 sees 165, while at
    stride 32 small objects fall between the anchors. What lies deeper is left out of the network. ``scales``: sides of
    the square anchors in cells: 32 to 256 pixels at stride 16, for inputs of 128 to 512 pixels (the paper's 128 to 512
    are for sides of 600). ``ratios``: h / w. ``width``: channels of the 3x3 convolution. ``positive_iou``,
    ``negative_iou``, ``num_samples``: see :func:`anchor_targets` and :func:`sample_anchors`.

    Outputs: objectness [B, H, W, A] and deltas [B, H, W, A * 4] of each stride in turn, raw. The terms of the loss are
    means over the sampled anchors: the paper divides the boxes' by the number of places and weighs it by 10, which
    comes to the same. Class ids of true boxes count for nothing.
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
        if not self.strides or not set(self.strides) <= {8, 16, 32}:
            raise ValueError(f"rpn: expected strides of 8, 16 and 32, got {self.strides}")
        if not 0 <= self.negative_iou <= self.positive_iou <= 1:
            raise ValueError(
                f"rpn: expected 0 <= negative_iou <= positive_iou <= 1, got {self.negative_iou} and {self.positive_iou}"
            )

    @property
    def stride(self) -> int:
        return max(self.strides)

    def all_anchors(self, input_shape) -> np.ndarray:
        """Return the anchors for an input of (height, width), float32 [N, 4] xyxy."""
        sizes = [[scale * stride for scale in self.scales] for stride in self.strides]
        return anchor_boxes(input_shape, self.strides, [cell_anchors(level, self.ratios) for level in sizes])

    def build_network(self, input_shape=(None, None, 3), batch_norm: type | None = None) -> keras.Model:
        inputs = keras.Input(input_shape)
        features = dict(zip((8, 16, 32), Blocks(batch_norm).darknet53(inputs), strict=True))
        outputs = []
        for stride in self.strides:
            outputs += self._head(features[stride], stride)
        return keras.Model(inputs, outputs, name=self.name)

    def _head(self, features, stride: int) -> list:
        """Return raw objectness [B, H, W, A] and deltas [B, H, W, A * 4]: a 3x3 convolution, then a 1x1 each."""
        x = layers.Conv2D(
            self.width, 3, padding="same", activation="relu", kernel_initializer=small_weights(), name=f"rpn_{stride}"
        )(features)
        num_anchors = len(self.scales) * len(self.ratios)
        channels = {"objectness": num_anchors, "deltas": num_anchors * 4}
        return [
            layers.Conv2D(count, 1, kernel_initializer=small_weights(), name=f"{name}_{stride}")(x)
            for name, count in channels.items()
        ]

    def build_targets(self, boxes, input_shape, step=0) -> AnchorTargets:
        """Return the targets of the sampled anchors; see :func:`draw_ranks` for ``step``.

        Anchors that cross the border of the input are not trained. Raises ``ValueError`` when all of them do.
        """
        anchors = self.all_anchors(input_shape)
        inside = lie_inside(anchors, input_shape)
        if not inside.any():
            raise ValueError(f"rpn: expected an anchor that fits into the input, got scales {self.scales} cells of "
                             f"{self.strides} pixels for an input of {tuple(input_shape)} (height, width)")  # fmt: skip
        targets = anchor_targets(boxes, input_shape, anchors, self.positive_iou, self.negative_iou, inside)
        ranks = draw_ranks(boxes, len(anchors), self.seed, step)
        return targets._replace(labels=sample_anchors(targets.labels, ranks, self.num_samples))

    def loss_terms(self, outputs, targets: AnchorTargets, input_shape) -> dict:
        logits = flatten_levels(outputs[0::2], 1)[..., 0]
        error = flatten_levels(outputs[1::2], 4) - targets.deltas
        positive, sampled = targets.labels > 0, targets.labels >= 0
        number = ops.sum(ops.cast(sampled, "float32"), 1)
        entropy = binary_cross_entropy(logits, ops.cast(positive, "float32"))
        return {
            "objectness": mean_over_images(entropy, sampled, number),
            "box": mean_over_images(ops.sum(smooth_l1(error), -1), positive, number),
        }

    def decode(self, outputs, input_shape) -> tuple:
        """Return all proposals, clipped to the input, and their objectness: float32 [B, N, 4] and [B, N, 1]."""
        boxes = decode_deltas(flatten_levels(outputs[1::2], 4), self.all_anchors(input_shape))
        return geometry.clip(boxes, input_shape), ops.sigmoid(flatten_levels(outputs[0::2], 1))

    def check_outputs(self, shapes) -> None:
        num_anchors = len(self.scales) * len(self.ratios)
        expect_outputs(shapes, [(num_anchors,), (num_anchors * 4,)] * len(self.strides))

    def backbone_layers(self, network) -> list[str]:
        return backbone_names(network)

    def metadata(self) -> dict:
        return {"model": self.name, "options": dataclasses.asdict(self)}


def rpn_from_metadata(metadata: dict) -> Rpn:
    """Return the architecture that a saved file describes. Inverse: :meth:`Rpn.metadata`."""
    options: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in metadata["options"].items()
    }
    return Rpn(**options)


# Recall


def best_proposals(rpn: Rpn, outputs, input_shape, num_proposals: int = 100):
    """Return the best proposals of each image after suppression: boxes [B, M, 4], scores [B, M], their number [B]."""
    boxes, scores = rpn.decode(outputs, input_shape)
    candidates = 6000  # that enter suppression at test time: the authors' code
    boxes, scores, _, number = non_max_suppression(boxes, scores, 0.0, PROPOSAL_IOU, num_proposals, candidates)
    return boxes, scores, number


def proposal_recall(true_boxes: Sequence, proposals: Sequence, iou_threshold: float = 0.5) -> float:
    """Return the share of true boxes that a proposal overlaps by at least ``iou_threshold``; NaN without true boxes.

    ``true_boxes``, ``proposals``: corner boxes [.., 4], an array for each image. One proposal may cover several.
    """
    covered = [
        (geometry.pairwise_iou(np.asarray(truth), np.asarray(found)) >= iou_threshold).any(-1)
        for truth, found in zip(true_boxes, proposals, strict=True)
    ]
    return float(np.mean(np.concatenate(covered))) if any(map(len, covered)) else float("nan")


def measure_recall(rpn: Rpn, network, batches: Iterable, num_proposals: int = 100, iou_threshold: float = 0.5) -> float:
    """Return :func:`proposal_recall` of the best ``num_proposals`` of a network on batches of plain images.

    ``batches``: (images float32 [B, H, W, 3], boxes [B, T, 5], ...) as from :func:`yolo3.input.batches.validation_batches`.
    """
    true_boxes: list[np.ndarray] = []
    proposals: list[np.ndarray] = []
    for images, boxes, *_ in batches:
        height, width = images.shape[1:3]
        found = best_proposals(rpn, network(images, training=False), (height, width), num_proposals)
        found_boxes, _, number = map(ops.convert_to_numpy, found)
        proposals += [rows[:count] for rows, count in zip(found_boxes, number, strict=True)]
        for rows in ops.convert_to_numpy(boxes):
            corners = geometry.cxcywh_to_xyxy(rows[(rows[:, 2:4] > 0).all(1), :4])
            true_boxes.append(corners * [width, height, width, height])
    return proposal_recall(true_boxes, proposals, iou_threshold)
