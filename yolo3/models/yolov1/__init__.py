"""YOLOv1: networks, output layouts, codec, targets, loss and architecture, one idea per file.

May import what ``models`` may, and ``models`` itself.
"""
