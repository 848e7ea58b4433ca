"""A trained network in use: the detector, large images by windows, sources, videos, and writers of detections.

May import ``convert``, ``visualize`` and what these may.
"""
