"""Names of the methods and overlaps of :mod:`yolo3.ops.nms`, for options; needs no Keras."""

METHODS = ("greedy", "soft", "diou")
OVERLAPS = ("iou", "ios")
