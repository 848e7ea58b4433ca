"""Anchors on every cell of a feature map, as RetinaNet and the region proposal network share them.

Their boxes, their deltas (the codec), their targets, and what heads and losses on them have in common. May import what
``models`` may. YOLOv3's anchors, which it assigns in another way, are :mod:`yolo3.models.yolov3.anchors`.
"""
