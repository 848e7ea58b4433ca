"""YOLOv3's strides, anchor masks and anchors, and the only home of them; needs no NumPy."""

AnchorMask = tuple[tuple[int, ...], ...]

STRIDES = (32, 16, 8)  # of YOLOv3; of the tiny network the first two
IGNORE_THRESH = 0.5  # keras-yolo3's, and Darknet's default; cfg/yolov3.cfg has 0.7
FULL_MASK: AnchorMask = ((6, 7, 8), (3, 4, 5), (0, 1, 2))
TINY_MASK: AnchorMask = ((3, 4, 5), (0, 1, 2))
OFFICIAL_TINY_MASK: AnchorMask = ((3, 4, 5), (1, 2, 3))
"""What Darknet's published yolov3-tiny.weights were trained with (and its cfg had until August 2018)."""

# Clustered on COCO at 416 x 416 by YOLOv3's authors: pjreddie/darknet cfg/yolov3.cfg and cfg/yolov3-tiny.cfg.
ANCHORS = ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326))
TINY_ANCHORS = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))
