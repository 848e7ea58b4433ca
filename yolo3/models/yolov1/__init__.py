"""YOLOv1: networks, output layouts, codec, targets, loss and architecture, one idea a file.

May import what ``models`` may, and ``models`` itself.
"""
