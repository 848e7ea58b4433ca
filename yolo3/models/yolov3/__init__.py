"""YOLOv3: networks, anchors, codec, targets, loss and postprocessing, one idea per file.

May import what ``models`` may, and ``models`` itself.
"""
