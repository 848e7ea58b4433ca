"""A trained network in use: the detector, tiles for large images, sources, videos, and writers of detections.

May import `convert`, `visualize` and what these may.
"""
