"""YOLOv3: networks, anchors, codec, targets, loss and postprocessing, one idea a file.

May import what ``models`` may, and ``models`` itself.
"""
