"""Detector architectures: their interface, the registry of all of them, their files, and rewritten graphs.

Each architecture has a module or a folder: ``yolov3``, ``yolov1``, ``retinanet``, ``rpn``; ``anchors`` is what the last
two share. May import ``darknet``, ``datasets`` and ``ops``.
"""
