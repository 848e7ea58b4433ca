"""Exported files: one format per file, their registry, and the comparison of what was written with the network.

May import `evaluation` and what it may. Files are run by `yolo3.inference.runtimes`.
"""
