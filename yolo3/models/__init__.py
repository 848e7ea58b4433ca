"""What an architecture is, the registry of all of them, their files, and rewritten graphs.

``yolov3`` has a folder of its own. May import ``darknet``, ``datasets`` and ``ops``.
"""
