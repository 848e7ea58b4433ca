"""The input of training: augmentation, decoded images, and batches with `tf.data`.

May import `ops`, `files` and `datasets`.
"""
