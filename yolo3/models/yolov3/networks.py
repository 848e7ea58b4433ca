"""Darknet's YOLOv3 networks: full, tiny and with spatial pyramid pooling.

Outputs are raw: one [B, H / s, W / s, A * (5 + C)] per stride s, of each anchor x, y, w, h, objectness, classes.
"""

import keras
from keras import layers

from yolo3.darknet.blocks import Blocks


def yolo_body(inputs, num_anchors: int, num_classes: int, batch_norm=None) -> keras.Model:
    """Build YOLOv3 (Darknet's cfg/yolov3.cfg): Darknet-53 with outputs at strides 32, 16 and 8.

    Args:
        inputs: Keras input [B, H, W, 3], RGB 0..1; sides are multiples of 32.
        num_anchors: Anchors per scale, A.
        num_classes: C.
        batch_norm: Class of the normalization layers, Keras' own by default.

    Returns:
        The ``keras.Model``; 62,001,757 weights for 3 anchors and 80 classes.
    """
    return _three_scales(
        inputs, num_anchors, num_classes, batch_norm, first_block=Blocks.detection_block, name="yolov3"
    )


def spp_yolo_body(inputs, num_anchors: int, num_classes: int, batch_norm=None) -> keras.Model:
    """Build YOLOv3-SPP (cfg/yolov3-spp.cfg): :func:`yolo_body` with pooling over 5, 9 and 13 cells at stride 32."""
    return _three_scales(inputs, num_anchors, num_classes, batch_norm, first_block=_spp_block, name="yolov3_spp")


def tiny_yolo_body(inputs, num_anchors: int, num_classes: int, batch_norm=None) -> keras.Model:
    """Build YOLOv3-tiny (cfg/yolov3-tiny.cfg): as :func:`yolo_body`, with outputs at strides 32 and 16."""
    blocks = Blocks(batch_norm)
    out_filters = num_anchors * (num_classes + 5)
    fine, coarse = blocks.tiny_darknet(inputs)

    x = blocks.conv_bn_leaky(coarse, 256, 1)
    coarse_output = blocks.prediction(x, 512, out_filters)
    x = layers.UpSampling2D(2)(blocks.conv_bn_leaky(x, 128, 1))
    fine_output = blocks.prediction(layers.Concatenate()([x, fine]), 256, out_filters)
    return keras.Model(inputs, [coarse_output, fine_output], name="yolov3_tiny")


def _three_scales(inputs, num_anchors, num_classes, batch_norm, *, first_block, name):
    """Build a network on Darknet-53; ``first_block`` makes the detection block of the coarsest scale."""
    blocks = Blocks(batch_norm)
    out_filters = num_anchors * (num_classes + 5)
    stride8, stride16, stride32 = blocks.darknet53(inputs)

    x = first_block(blocks, stride32, 512)
    outputs = [blocks.prediction(x, 1024, out_filters)]
    for filters, skip in ((256, stride16), (128, stride8)):
        x = layers.UpSampling2D(2)(blocks.conv_bn_leaky(x, filters, 1))
        x = blocks.detection_block(layers.Concatenate()([x, skip]), filters)
        outputs.append(blocks.prediction(x, filters * 2, out_filters))
    return keras.Model(inputs, outputs, name=name)


def _spp_block(blocks: Blocks, x, filters: int):
    """Return the detection block with its third convolution fed by pooled copies of the first's output."""
    x = blocks.conv_bn_leaky(x, filters, 1)
    x = blocks.conv_bn_leaky(x, filters * 2, 3)
    x = blocks.conv_bn_leaky(x, filters, 1)
    pooled = [layers.MaxPooling2D(size, 1, "same")(x) for size in (13, 9, 5)]
    x = blocks.conv_bn_leaky(layers.Concatenate()([*pooled, x]), filters, 1)
    x = blocks.conv_bn_leaky(x, filters * 2, 3)
    return blocks.conv_bn_leaky(x, filters, 1)
