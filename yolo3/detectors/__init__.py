"""Detectors as Keras models, on TensorFlow, JAX and PyTorch: ``compile``, ``fit``, ``evaluate``, ``predict``, ``save``.

The network, the targets and the loss are those of :mod:`yolo3.models`, the defaults of training those of
:mod:`yolo3.training`; here is what makes a :class:`keras.Model` of them.
"""
