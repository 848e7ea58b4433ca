"""Annotations to batches: augmentation, decoded images, and the ``tf.data`` pipeline.

May import ``datasets`` and ``ops``.
"""
