"""YOLOv1 whole: its networks, the layout of their output, the codec, targets, the loss, and the architecture they make.

The image is cut into S x S cells. Each cell predicts C class probabilities, and A boxes with a confidence each. The
cell that holds the centre of an object answers for it, with the one of its boxes that overlaps it best (Redmon et al.,
"You Only Look Once", 2016, section 2). For one image, predictions with a hat:

    coord_scale/2    sum over responsible boxes   (x - x^)^2 + (y - y^)^2 + (sqrt w - sqrt w^)^2 + (sqrt h - sqrt h^)^2
    object_scale/2   sum over responsible boxes   (IoU - c^)^2
    noobject_scale/2 sum over all other boxes     c^^2
    class_scale/2    sum over cells of objects    sum over the classes (p - p^)^2

added up, and the mean of that over the images. It is half of the paper's, so that its gradient is minus the deltas of
Darknet's src/detection_layer.c. All arithmetic is float32 whatever the precision of the network.

Shapes: *feats* is the raw output [B, S, S, C + 5 A], of each cell first the classes, then for each box confidence, x,
y, w, h; its *parts* are class_probs [B, S, S, C], confidence [B, S, S, A] and raw boxes [B, S, S, A, 4]. The target
*y_true* is [B, S, S, 5 + C]: x, y, w, h relative to the network input, 1 where there is an object, classes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
from keras import layers, ops

from yolo3.darknet.blocks import LEAKY_SLOPE, Blocks
from yolo3.darknet.cfg import Cfg, Section, parse_cfg, replace_option
from yolo3.darknet.layers import resolve_layers
from yolo3.darknet.network import build_network as build_cfg_network
from yolo3.darknet.network import shared_layers
from yolo3.models.architecture import IOU_THRESHOLD, expect_outputs
from yolo3.models.yolov3.head import cell_grid, encode_offsets, size_wh
from yolo3.models.yolov3.scales import check_input_shape
from yolo3.ops import boxes as geometry

STRIDE = 64  # both bodies halve the image six times

# Networks

_POOL = (0, 0)  # maximum over 2 x 2
_FULL_BODY = (  # (filters, size) or (filters, size, stride); cfg/yolov1.cfg, layers 0 to 27
    (64, 7, 2), _POOL,
    (192, 3), _POOL,
    (128, 1), (256, 3), (256, 1), (512, 3), _POOL,
    *((256, 1), (512, 3)) * 4, (512, 1), (1024, 3), _POOL,
    *((512, 1), (1024, 3)) * 2,
    (1024, 3), (1024, 3, 2), (1024, 3), (1024, 3),
)  # fmt: skip
_TINY_BODY = (  # six blocks, and two convolutions more; cfg/yolov1-tiny.cfg
    (16, 3), _POOL, (32, 3), _POOL, (64, 3), _POOL, (128, 3), _POOL, (256, 3), _POOL, (512, 3), _POOL,
    (1024, 3), (256, 3),
)  # fmt: skip


@dataclass(frozen=True)
class Design:
    """One of the networks: its body, the width of its dense layer and the dropout after it by default, and how many
    convolutions were trained on another task before (paper, section 2.2: 20; Darknet's reference network has seven).
    """

    body: tuple[tuple[int, ...], ...]
    dense_width: int
    dropout: float
    shared: int


DESIGNS = {
    "yolov1": Design(_FULL_BODY, dense_width=4096, dropout=0.5, shared=20),
    "yolov1-tiny": Design(_TINY_BODY, dense_width=0, dropout=0.0, shared=7),
}


def build_body(image, body, batch_normalize: bool, batch_norm: type | None = None):
    """Return the features [B, H / 64, W / 64, filters] of an image [B, H, W, 3], convolutions named as in the cfg."""
    blocks, x, number = Blocks(batch_norm), image, 0
    for filters, *kernel in body:
        if not filters:
            x = layers.MaxPooling2D(2, 2)(x)
        elif batch_normalize:
            x = blocks.conv_bn_leaky(x, filters, *kernel)
        else:
            x = blocks.conv(x, filters, *kernel)
            x = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=f"leaky_{number}")(x)
        number += bool(filters)
    return x


def build_dense_head(features, out_size: int, dense_width: int, dropout: float):
    """Return the vector [B, out_size] that dense layers make of features [B, H, W, filters].

    ``dense_width``: units of the layer between, 0 for none. ``dropout``: share of its units that are left out.
    """
    x, names = layers.Flatten(name="connected_0_flatten")(features), iter(("connected_0", "connected_1"))
    if dense_width:
        x = layers.Dense(dense_width, kernel_initializer="he_normal", name=next(names))(x)
        x = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name="connected_0_leaky")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout_0")(x)
    # A tenth of the features' size: training starts from the output that the biases say.
    small = keras.initializers.VarianceScaling(0.01, "fan_in", "truncated_normal")
    return layers.Dense(out_size, kernel_initializer=small, name=next(names))(x)


# Layouts of the output: by cell, as feats, or Darknet's flat vector. Both to parts and back


def split_cells(feats, num_classes: int, num_boxes: int):
    """Return (class_probs, confidence, raw boxes) of feats [B, S, S, C + 5 A]. Inverse: :func:`join_cells`."""
    rows, columns = ops.shape(feats)[1:3]
    boxes = ops.reshape(feats[..., num_classes:], (-1, rows, columns, num_boxes, 5))
    return feats[..., :num_classes], boxes[..., 0], boxes[..., 1:]


def join_cells(class_probs, confidence, raw_boxes):
    """Return feats [B, S, S, C + 5 A] of their parts. Inverse: :func:`split_cells`."""
    rows, columns, num_boxes = ops.shape(raw_boxes)[1:4]
    boxes = ops.concatenate([ops.expand_dims(confidence, -1), raw_boxes], -1)
    return ops.concatenate([class_probs, ops.reshape(boxes, (-1, rows, columns, num_boxes * 5))], -1)


def split_flat(flat, grid_size: int, num_classes: int, num_boxes: int):
    """Return (class_probs, confidence, raw boxes) of Darknet's vector [B, S S (C + 5 A)].

    It holds the classes of all cells, then all confidences, then all boxes; cells row by row (Darknet's
    src/detection_layer.c). Inverse: :func:`join_flat`.
    """
    cells = (-1, grid_size, grid_size)
    first_confidence = grid_size**2 * num_classes
    first_box = first_confidence + grid_size**2 * num_boxes
    return (
        ops.reshape(flat[:, :first_confidence], (*cells, num_classes)),
        ops.reshape(flat[:, first_confidence:first_box], (*cells, num_boxes)),
        ops.reshape(flat[:, first_box:], (*cells, num_boxes, 4)),
    )


def join_flat(class_probs, confidence, raw_boxes):
    """Return Darknet's vector [B, S S (C + 5 A)] of the parts. Inverse: :func:`split_flat`."""
    parts = (class_probs, confidence, raw_boxes)
    return ops.concatenate([ops.reshape(part, (-1, math.prod(ops.shape(part)[1:]))) for part in parts], -1)


def feats_from_flat(flat, grid_size: int, num_classes: int, num_boxes: int):
    """Return feats [B, S, S, C + 5 A] of Darknet's vector. Inverse: :func:`flat_from_feats`."""
    return join_cells(*split_flat(flat, grid_size, num_classes, num_boxes))


def flat_from_feats(feats, num_classes: int, num_boxes: int):
    """Return Darknet's vector [B, S S (C + 5 A)] of feats. Inverse: :func:`feats_from_flat`."""
    return join_flat(*split_cells(feats, num_classes, num_boxes))


# The codec. What a raw size means, and what the loss compares, stands in the three functions that take a size form:
#
# form            a raw size is         the loss compares   source
# "root"          the root of the size  roots               Darknet with sqrt=1; takes no root of what is predicted
# "size"          the size              sizes               Darknet with sqrt=0
# "root-of-size"  the size              roots               the paper, word for word

SIZE_FORMS = ("root", "size", "root-of-size")
_MAX_SIZE = 1e4  # images: no box is that large, and areas of it stay finite in float32
_LEAST_SIZE = 1e-3  # of the image, below half a pixel of 448; see bounded_root


def decode_sizes(raw_wh, size_form: str):
    """Return sizes relative to the network input, [..., 2]; below 0 only where the raw value is the size itself."""
    sizes = raw_wh * raw_wh if size_form == "root" else raw_wh
    return ops.clip(sizes, -_MAX_SIZE, _MAX_SIZE)


def encode_sizes(wh, size_form: str):
    """Return the raw values of sizes relative to the network input, [..., 2]. Inverse: :func:`decode_sizes`."""
    return ops.sqrt(wh) if size_form == "root" else wh


def size_errors(raw_wh, wh, size_form: str):
    """Return what the loss squares, [..., 2]: true minus predicted sizes, or the roots of both."""
    if size_form == "root-of-size":
        return ops.sqrt(wh) - bounded_root(raw_wh)
    return encode_sizes(wh, size_form) - raw_wh


def bounded_root(size):
    """Return the square root, continued below 1e-3 by its tangent: (size + 1e-3) / (2 sqrt 1e-3).

    The root alone has an infinite derivative at 0 and no value below it. The tangent leads back with a slope of 15.8.
    """
    tangent = (size + _LEAST_SIZE) / (2 * math.sqrt(_LEAST_SIZE))
    return ops.where(size > _LEAST_SIZE, ops.sqrt(ops.maximum(size, _LEAST_SIZE)), tangent)


def decode_boxes(raw_boxes, size_form: str):
    """Return (xy, wh), float32 [B, S, S, A, 2] each: centres and sizes relative to the network input.

    A raw centre is its place within the cell, 0..1: x = (raw x + column) / S. Inverse: :func:`encode_boxes`.
    """
    grid_shape = ops.shape(raw_boxes)[1:3]
    xy = (raw_boxes[..., :2] + cell_grid(grid_shape)) / size_wh(grid_shape)
    return xy, decode_sizes(raw_boxes[..., 2:], size_form)


def encode_boxes(xy, wh, size_form: str):
    """Return the raw boxes [B, S, S, A, 4] that :func:`decode_boxes` turns into centres ``xy`` and sizes ``wh``."""
    return ops.concatenate([encode_offsets(xy, ops.shape(xy)[1:3]), encode_sizes(wh, size_form)], -1)


# Targets


def build_targets(true_boxes, grid_size: int, num_classes: int):
    """Return y_true, float32 [B, S, S, 5 + C]: each true box in the cell that holds its centre.

    ``true_boxes``: float [B, T, 5] (x, y, w, h relative to the input, class id); rows without area are padding, class
    ids are taken to be valid. Of several boxes in one cell the first row stays and the others are not learned, as in
    Darknet's src/data.c (``fill_truth_region``), which puts the boxes of an image in random order before. A departure:
    centres on the far border belong to the last cell.
    """
    # One row of padding more stands for "no object": the index T that no box has.
    rows = ops.pad(ops.cast(true_boxes, "float32"), ((0, 0), (0, 1), (0, 0)))
    column, row = (ops.clip(ops.cast(rows[..., i] * grid_size, "int32"), 0, grid_size - 1) for i in (0, 1))
    here = ops.expand_dims(row * grid_size + column, 1) == ops.arange(grid_size**2, dtype="int32")[:, None]
    here = here & ops.expand_dims((rows[..., 2] > 0) & (rows[..., 3] > 0), 1)  # [B, S S, T + 1]
    last = ops.shape(rows)[1] - 1
    first = ops.min(ops.where(here, ops.arange(last + 1, dtype="int32"), last), -1)
    chosen = ops.take_along_axis(rows, ops.expand_dims(first, -1), 1)
    is_object = ops.expand_dims(ops.cast(first < last, "float32"), -1)
    classes = ops.cast(ops.one_hot(ops.cast(chosen[..., 4], "int32"), num_classes), "float32")
    y_true = ops.concatenate([chosen[..., :4], is_object, is_object * classes], -1)
    return ops.reshape(y_true, (-1, grid_size, grid_size, 5 + num_classes))


def responsible_boxes(raw_boxes, y_true, size_form: str):
    """Return (responsible, overlaps), float32 [B, S, S, A] without gradient.

    ``responsible``: 1 for the one box of a cell with an object that answers for it: that of the largest IoU, or, where
    none overlaps the object, that of the smallest squared distance in x, y, w, h (Darknet's ``box_rmse``). Of equal
    boxes the first. ``overlaps``: IoU of each box with the object of its cell.
    """
    predicted = ops.stop_gradient(ops.concatenate(decode_boxes(raw_boxes, size_form), -1))
    truth = y_true[..., None, 0:4]
    overlaps = geometry.iou(geometry.cxcywh_to_xyxy(predicted), geometry.cxcywh_to_xyxy(truth))
    distances = ops.sum(ops.square(predicted - truth), -1)
    touches = ops.any(overlaps > 0, -1, keepdims=True)
    best = ops.argmax(ops.where(touches, overlaps, -distances), -1)
    responsible = y_true[..., 4:5] * ops.cast(ops.one_hot(best, ops.shape(overlaps)[-1]), "float32")
    return responsible, overlaps


# The loss, without its scales

TERMS = ("xy", "wh", "objectness", "no_object", "class")


def xy_loss(raw_boxes, y_true, responsible):
    """Return [B, S, S, A]: half the squared error of the centre's place in its cell, for responsible boxes."""
    offsets = encode_offsets(y_true[..., None, 0:2], ops.shape(y_true)[1:3])
    return responsible * 0.5 * ops.sum(ops.square(offsets - raw_boxes[..., :2]), -1)


def wh_loss(raw_boxes, y_true, responsible, size_form: str):
    """Return [B, S, S, A]: half the squared error of sizes or of their roots, for responsible boxes."""
    errors = size_errors(raw_boxes[..., 2:], y_true[..., None, 2:4], size_form)
    return responsible * 0.5 * ops.sum(ops.square(errors), -1)


def objectness_loss(confidence, wanted, responsible):
    """Return [B, S, S, A]: half the squared error of the confidence of responsible boxes, ``wanted`` being 1 or IoU."""
    return responsible * 0.5 * ops.square(wanted - confidence)


def no_object_loss(confidence, responsible):
    """Return [B, S, S, A]: half the squared confidence of all boxes that are not responsible."""
    return (1 - responsible) * 0.5 * ops.square(confidence)


def class_loss(class_probs, y_true):
    """Return [B, S, S]: half the squared error of the classes, once a cell that holds an object."""
    return y_true[..., 4] * 0.5 * ops.sum(ops.square(y_true[..., 5:] - class_probs), -1)


# Darknet's cfg files

CFG = "cfg"  # the name of a network that a Darknet cfg describes
_SCALES = ("coord_scale", "object_scale", "noobject_scale", "class_scale")


def is_yolov1(cfg: Cfg) -> bool:
    """Return whether a cfg describes a network of this architecture: whether it has a [detection]."""
    return any(section.name == "detection" for section in cfg.layers)


def _detection_of(cfg: Cfg) -> Section:
    """Return the [detection] of a cfg. Raises ``ValueError`` unless it is the last section, after [connected]."""
    head = cfg.layers[-1]
    if head.name != "detection" or len(cfg.layers) < 2 or cfg.layers[-2].name != "connected":
        raise ValueError(f"{head.where()}: expected [connected] and [detection] as the last two, got [{head.name}]")
    for key, harmless, default in (("softmax", 0, 0), ("forced", 0, 0), ("random", 0, 0), ("coords", 4, 1)):
        if head.integer(key, default) != harmless:
            raise ValueError(f"{head.where(key)}: expected {key}={harmless}, got {head.integer(key, default)}")
    return head


def with_classes(cfg: Cfg, num_classes: int) -> Cfg:
    """Return the same network for another number of classes: ``classes`` of [detection], ``output`` before it."""
    head = _detection_of(cfg)
    output = head.integer("side", 7) ** 2 * (num_classes + 5 * head.integer("num", 1))
    head.text("classes")  # raises where it is not said
    cfg = replace_option(cfg, head, "classes", str(num_classes))
    return replace_option(cfg, cfg.layers[-2], "output", str(output))


def _stride_of(cfg: Cfg) -> int:
    """Return how many pixels of the input one place before the first layer of fixed size stands for."""
    resolved = resolve_layers(cfg)
    first = next(layer for layer in resolved if layer.kind in ("connected", "local"))
    return resolved[0].in_shape[0] // first.in_shape[0]


# The architecture

LAYOUTS = ("cells", "darknet")
ACTIVATIONS = ("linear", "sigmoid")
_NOT_STORED = ("name", "cfg")  # among the options in the metadata: they have keys of their own
_START_CONFIDENCE = 0.1  # of all boxes, before anything is learned


@dataclass(frozen=True)
class YoloV1:
    """:class:`yolo3.models.architecture.Architecture` of cells with boxes.

    ``name``: a key of :data:`DESIGNS`, or "cfg" for the network of ``cfg``. ``grid_size``: S. ``num_boxes``: A, boxes a
    cell. ``batch_normalize``: whether convolutions are normalised. ``dense_width``: units of the dense layer before the
    last, 0 for none; ``dropout``: share of them that is left out while training; both None for those of the design.
    ``layout``: "cells" for an output [B, S, S, C + 5 A], "darknet" for Darknet's flat vector. ``activation``: of
    confidence and classes, "linear" as in the paper and in Darknet, or "sigmoid". ``size_form``: one of
    :data:`SIZE_FORMS`. ``rescore``: whether the confidence learns the IoU of its box, or 1. The scales are the weights
    of the terms; the paper's lambda_coord and lambda_noobj are 5 and 0.5. Raises ``ValueError`` for other values.

    The grid is cut independently of the network's own: any S goes with any input whose sides are multiples of 64. The
    paper's S = 7 is the 448 / 64 of its input.
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

    terms: ClassVar[tuple[str, ...]] = TERMS
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
            raise ValueError(f"dropout: expected a share from 0 to below 1, got {self.dropout}")

    @property
    def stride(self) -> int:
        return STRIDE if self.cfg is None else _stride_of(self.cfg)

    # The network

    def build_network(self, input_shape=(448, 448, 3), batch_norm: type | None = None) -> keras.Model:
        """Return the network with random weights, for images of one size.

        Its biases say at the start: centres in the middle of the cells, boxes of different sizes within a cell, all
        classes equally likely. Raises ``ValueError`` for an open side, or one that is no multiple of the stride.
        """
        if self.cfg is not None:
            network = build_cfg_network(self.cfg, input_shape, batch_norm)
        else:
            network = self._build_design(input_shape, batch_norm)
        dense = [layer for layer in network.layers if isinstance(layer, layers.Dense)][-1]
        if dense.use_bias:
            dense.bias.assign(ops.reshape(self._join(*self._start()), (-1,)))
        return network

    def _build_design(self, input_shape, batch_norm) -> keras.Model:
        if None in input_shape:
            raise ValueError(f"{self.name}: expected an input of fixed size, for its dense layers, got {input_shape}")
        image = keras.Input((*check_input_shape(input_shape[:2], self.stride), 3), name="image")
        depth = self.num_classes + 5 * self.num_boxes
        design = DESIGNS[self.name]
        dense_width = design.dense_width if self.dense_width is None else self.dense_width
        dropout = design.dropout if self.dropout is None else self.dropout
        x = build_body(image, design.body, self.batch_normalize, batch_norm)
        x = build_dense_head(x, self.grid_size**2 * depth, dense_width, dropout)
        if self.layout == "cells":
            x = layers.Reshape((self.grid_size, self.grid_size, depth), name="cells")(x)
        return keras.Model(image, x, name=self.name.replace("-", "_"))

    def _start(self):
        """Return the parts [1, S, S, ...] of what a network with random weights says before it is trained."""
        cells = (1, self.grid_size, self.grid_size)
        sizes = ((np.arange(self.num_boxes) + 1) / (self.num_boxes + 1)) ** 2  # their roots are evenly spread
        raw_sizes = np.array(encode_sizes(np.float32(sizes), self.size_form))
        boxes = np.stack([np.full_like(raw_sizes, 0.5)] * 2 + [raw_sizes] * 2, -1)
        class_prob, confidence = 1 / self.num_classes, _START_CONFIDENCE
        return (
            np.full((*cells, self.num_classes), self._deactivate(class_prob), np.float32),
            np.full((*cells, self.num_boxes), self._deactivate(confidence), np.float32),
            np.broadcast_to(boxes.astype(np.float32), (*cells, self.num_boxes, 4)),
        )

    def _deactivate(self, value: float) -> float:
        """Return the raw value of a confidence or class probability."""
        inside = min(max(value, 0.01), 0.99)
        return value if self.activation == "linear" else math.log(inside / (1 - inside))

    def check_outputs(self, shapes) -> None:
        cell = self.num_classes + 5 * self.num_boxes
        flat = self.layout == "darknet"
        expect_outputs(shapes, [(self.grid_size**2 * cell,) if flat else (self.grid_size, self.grid_size, cell)])

    def backbone_layers(self, network) -> list[str]:
        if self.cfg is not None:
            return [name for name in shared_layers(self.cfg) if name.startswith(("conv_", "bn_"))]
        kinds = ("conv", "bn") if self.batch_normalize else ("conv",)
        return [f"{kind}_{index}" for kind in kinds for index in range(DESIGNS[self.name].shared)]

    # What its output means

    def parts_of(self, outputs):
        """Return (class_probs, confidence, raw boxes), float32, of the network's output, the activation applied.

        ``outputs``: a list of one tensor in this architecture's layout, or that tensor, as Keras returns a single output.
        """
        (feats,) = outputs if isinstance(outputs, (list, tuple)) else (outputs,)
        feats = ops.cast(feats, "float32")
        if self.layout == "darknet":
            parts = split_flat(feats, self.grid_size, self.num_classes, self.num_boxes)
        else:
            parts = split_cells(feats, self.num_classes, self.num_boxes)
        if self.activation == "linear":
            return parts
        return ops.sigmoid(parts[0]), ops.sigmoid(parts[1]), parts[2]

    def _join(self, class_probs, confidence, raw_boxes):
        join: Callable = join_flat if self.layout == "darknet" else join_cells
        return join(class_probs, confidence, raw_boxes)

    def build_targets(self, boxes, input_shape) -> Any:
        return build_targets(boxes, self.grid_size, self.num_classes)

    def loss_terms(self, outputs, targets, input_shape) -> dict:
        class_probs, confidence, raw_boxes = self.parts_of(outputs)
        responsible, overlaps = responsible_boxes(raw_boxes, targets, self.size_form)
        wanted = overlaps if self.rescore else 1.0
        terms = {
            "xy": self.coord_scale * xy_loss(raw_boxes, targets, responsible),
            "wh": self.coord_scale * wh_loss(raw_boxes, targets, responsible, self.size_form),
            "objectness": self.object_scale * objectness_loss(confidence, wanted, responsible),
            "no_object": self.noobject_scale * no_object_loss(confidence, responsible),
            "class": self.class_scale * class_loss(class_probs, targets),
        }
        images = ops.cast(ops.shape(confidence)[0], "float32")
        return {name: ops.sum(value) / images for name, value in terms.items()}

    def decode(self, outputs, input_shape) -> tuple:
        """Return (boxes, scores): float32 [B, S S A, 4] xyxy in pixels of the network input, and [B, S S A, C].

        Score: confidence times class probability, clipped to 0..1; one below 0 counts as 0, also where both are.
        """
        class_probs, confidence, raw_boxes = self.parts_of(outputs)
        xy, wh = decode_boxes(raw_boxes, self.size_form)
        boxes = geometry.cxcywh_to_xyxy(ops.concatenate([xy, ops.maximum(wh, 0.0)], -1))
        boxes = boxes * ops.tile(size_wh(input_shape), 2)
        scores = ops.expand_dims(ops.maximum(confidence, 0.0), -1) * ops.maximum(class_probs, 0.0)[..., None, :]
        num_boxes = self.grid_size**2 * self.num_boxes
        return (
            ops.reshape(boxes, (-1, num_boxes, 4)),
            ops.reshape(ops.clip(scores, 0.0, 1.0), (-1, num_boxes, self.num_classes)),
        )

    # Metadata and cfg files

    def metadata(self) -> dict:
        """Return the keys ``model``, ``yolov1`` (the options) and, of a cfg, ``darknet``: see :mod:`yolo3.models.saving`."""
        names = [field.name for field in dataclasses.fields(self) if field.name not in _NOT_STORED]
        metadata = {"model": self.name, "yolov1": {name: getattr(self, name) for name in names}}
        return metadata | ({"darknet": {"cfg": self.cfg.text}} if self.cfg is not None else {})

    @classmethod
    def from_metadata(cls, metadata: dict) -> YoloV1:
        """Return the architecture that a saved file describes. Inverse: :meth:`metadata`.

        A converted Darknet file, which has a cfg alone, is read too. Raises ``ValueError`` for options that are not of
        this version, and where ``class_names`` are not as many as the classes.
        """
        name, options = str(metadata.get("model")), metadata.get("yolov1") or {}
        text = (metadata.get("darknet") or {}).get("cfg") if name == CFG else None
        if text is None and not options:
            raise ValueError(f"metadata: expected 'yolov1', the options of {name}, got none")
        known = {field.name for field in dataclasses.fields(cls)} - set(_NOT_STORED)
        if unknown := set(options) - known:
            raise ValueError(f"metadata: expected options of this version, got {', '.join(sorted(unknown))} too")
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

        ``num_classes``: fits its last layers to another number of classes. ``options``: fields that are to differ from
        the cfg, such as ``activation``. Raises ``ValueError``, with file and line, for what is not computed here.
        """
        head = _detection_of(cfg)
        if num_classes not in (None, head.integer("classes", 1)):
            cfg = with_classes(cfg, num_classes)
            head = _detection_of(cfg)
        read = {
            "layout": "darknet",
            "num_classes": head.integer("classes", 1),
            "grid_size": head.integer("side", 7),
            "num_boxes": head.integer("num", 1),
            "size_form": "root" if head.integer("sqrt", 0) else "size",
            "rescore": bool(head.integer("rescore", 0)),
            **{name: head.number(name, 1.0) for name in _SCALES},
        }
        return cls(CFG, cfg=cfg, **{**read, **options})
