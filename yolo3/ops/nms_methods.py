"""Methods, overlaps and limit of :mod:`yolo3.ops.nms`, for options; needs no Keras."""

METHODS = ("greedy", "soft", "diou")
OVERLAPS = ("iou", "ios")
MAX_BOXES = 300  # default limit of the detections in an image, over all classes
