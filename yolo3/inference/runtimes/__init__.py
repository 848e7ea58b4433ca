"""Exported files in use: one format per file, each with its own runtime, and their registry.

None needs Keras, and only SavedModel TensorFlow. Files are written by `yolo3.export`.
"""
