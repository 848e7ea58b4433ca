"""The codec: decode raw network output to boxes, and encode boxes as raw output.

With cell (c, r) of a grid G_w x G_h, anchor (a_w, a_h) and network input (W, H), in pixels (YOLOv3, section 2.1):

    x = (sigmoid(t_x) + c) / G_w        w = a_w exp(t_w) / W
    y = (sigmoid(t_y) + r) / G_h        h = a_h exp(t_h) / H

AlexeyAB's Darknet stretches the sigmoid to s * sigmoid - (s - 1) / 2 with s = ``scale_x_y``. With its ``new_coords``
(Scaled-YOLOv4; src/yolo_layer.c:get_yolo_box) the network itself ends in a sigmoid, so that its outputs p are
probabilities, and sizes are w = 4 p_w^2 a_w / W, h = 4 p_h^2 a_h / H.
"""

from keras import ops

from yolo3.ops.cells import cell_grid, encode_offsets, size_wh

MAX_LOG_SIZE = 15.0  # exp(15) is 3.3 million anchors: no box is that large, and products of it stay finite in float32


def split_anchors(feats, num_anchors: int, num_classes: int):
    """Reshape raw output [B, H, W, A * (5 + C)] of any float type to float32 [B, H, W, A, 5 + C]."""
    shape = ops.shape(feats)
    return ops.reshape(ops.cast(feats, "float32"), (-1, shape[1], shape[2], num_anchors, num_classes + 5))


def decode_boxes(raw, anchors, input_shape, scale_x_y: float = 1.0, new_coords: bool = False):
    """Return the centres and sizes of the boxes of one scale. Inverse: :func:`encode_boxes`.

    Args:
        raw: float32 [B, H, W, A, 5 + C], raw network output.
        anchors: [A, 2] (w, h) in pixels of the network input.
        input_shape: (height, width) of the network input in pixels, numbers or tensor.
        scale_x_y: Stretch of the sigmoid of centres.
        new_coords: Whether boxes are coded as in Scaled-YOLOv4.

    Returns:
        (xy, wh), float32 [B, H, W, A, 2] each, relative to the network input.
    """
    grid_shape = ops.shape(raw)[1:3]
    centre = raw[..., 0:2] if new_coords else ops.sigmoid(raw[..., 0:2])
    offset = centre * scale_x_y - (scale_x_y - 1) / 2
    xy = (offset + cell_grid(grid_shape)) / size_wh(grid_shape)
    anchors = ops.cast(anchors, "float32")
    factor = 4 * raw[..., 2:4] ** 2 if new_coords else ops.exp(ops.minimum(raw[..., 2:4], MAX_LOG_SIZE))
    wh = factor * anchors / size_wh(input_shape)
    return xy, wh


def encode_sizes(wh, anchors, input_shape):
    """Return ln(size / anchor) [B, H, W, A, 2] for sizes relative to the network input; 0 where there is no size."""
    ratio = wh * size_wh(input_shape) / ops.cast(anchors, "float32")
    return ops.log(ops.where(ratio > 0, ratio, 1.0))


def encode_boxes(xy, wh, anchors, input_shape, scale_x_y: float = 1.0):
    """Return the raw values [B, H, W, A, 4] that decode to these boxes. Inverse: :func:`decode_boxes`.

    A centre on the border of its cell would need an infinite logit; it gets that of an offset of 1e-6.

    Args:
        xy: float [B, H, W, A, 2], centres relative to the network input, each within its own cell.
        wh: float [B, H, W, A, 2], sizes relative to the network input.
        anchors: [A, 2] (w, h) in pixels of the network input.
        input_shape: (height, width) of the network input in pixels.
        scale_x_y: Stretch of the sigmoid of centres.
    """
    offset = (encode_offsets(xy, ops.shape(xy)[1:3]) + (scale_x_y - 1) / 2) / scale_x_y
    offset = ops.clip(offset, 1e-6, 1 - 1e-6)
    logit = ops.log(offset) - ops.log(1 - offset)
    return ops.concatenate([logit, encode_sizes(wh, anchors, input_shape)], -1)


def yolo_head(feats, anchors, num_classes, input_shape, calc_loss=False, scale_x_y=1.0, new_coords=False):
    """Decode the raw output of one scale. Names, arguments and results are keras-yolo3's.

    Args:
        feats: [B, H, W, A * (5 + C)], any float type.
        anchors: [A, 2] (w, h), those of the scale, in pixels of the network input.
        num_classes: C.
        input_shape: (height, width) of the network input in pixels, numbers or tensor.
        calc_loss: Whether to return what keras-yolo3's loss takes.
        scale_x_y: Stretch of the sigmoid of centres.
        new_coords: Whether boxes are coded as in Scaled-YOLOv4.

    Returns:
        float32 ``box_xy`` and ``box_wh`` [B, H, W, A, 2], relative to the network input, ``box_confidence``
        [B, H, W, A, 1] and ``box_class_probs`` [B, H, W, A, C]. With ``calc_loss=True``: the cell grid [H, W, 1, 2],
        the raw output [B, H, W, A, 5 + C], ``box_xy`` and ``box_wh``.
    """
    anchors = ops.convert_to_tensor(anchors, "float32")
    raw = split_anchors(feats, anchors.shape[0], num_classes)
    box_xy, box_wh = decode_boxes(raw, anchors, input_shape, scale_x_y, new_coords)
    if calc_loss:
        return cell_grid(ops.shape(raw)[1:3]), raw, box_xy, box_wh
    probabilities = raw if new_coords else ops.sigmoid(raw)
    return box_xy, box_wh, probabilities[..., 4:5], probabilities[..., 5:]
