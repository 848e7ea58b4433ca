"""The training model of keras-yolo3's scripts: a body with the loss on top, and the old ways to train it.

Of what Keras 3 asks to be edited in such a script, :class:`TrainingModel` makes unnecessary what is the model's to
decide: ``fit_generator``, ``predict_generator``, ``evaluate_generator``, generators that yield lists,
``max_queue_size=`` and ``workers=``, and weights under the old names of files.
"""

import os
from collections.abc import Iterator

import keras
import numpy as np
from keras.layers import Input, Lambda

from yolo3.compat import weights as weight_files
from yolo3.models.loading import layer_number, load_weights_by_name
from yolo3.models.yolov3.losses import yolo_loss

_QUEUE_OPTIONS = ("max_queue_size", "workers", "use_multiprocessing")  # of Keras 2's queue of batches


class TrainingModel(keras.Model):
    """A functional Keras model that is also trained and saved by the methods and arguments of Keras 2."""

    def fit(self, x=None, *args, validation_data=None, **kwargs):
        """Train as ``keras.Model.fit`` does; generators may yield lists, and the options of the queue do nothing."""
        options = _without_queue(kwargs)
        if isinstance(x, Iterator):
            options.setdefault("shuffle", False)  # its order is its own; Keras would say so each time
        return super().fit(_tuples(x), *args, validation_data=_tuples(validation_data), **options)

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluate as ``keras.Model.evaluate`` does; see :meth:`fit`."""
        return super().evaluate(_tuples(x), *args, **_without_queue(kwargs))

    def predict(self, x, *args, **kwargs):
        """Predict as ``keras.Model.predict`` does; see :meth:`fit`."""
        return super().predict(_tuples(x), *args, **_without_queue(kwargs))

    def fit_generator(
        self,
        generator,
        steps_per_epoch=None,
        epochs=1,
        verbose=1,
        callbacks=None,
        validation_data=None,
        validation_steps=None,
        class_weight=None,
        max_queue_size=10,
        workers=1,
        use_multiprocessing=False,
        shuffle=True,
        initial_epoch=0,
    ):
        """Train on the batches of a generator: Keras 2's name and arguments of :meth:`fit`."""
        return self.fit(
            generator,
            steps_per_epoch=steps_per_epoch,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_data=validation_data,
            validation_steps=validation_steps,
            class_weight=class_weight,
            shuffle=shuffle and not isinstance(generator, Iterator),
            initial_epoch=initial_epoch,
        )

    def evaluate_generator(
        self, generator, steps=None, max_queue_size=10, workers=1, use_multiprocessing=False, verbose=0
    ):
        """Evaluate on the batches of a generator: Keras 2's name and arguments of :meth:`evaluate`."""
        return self.evaluate(generator, steps=steps, verbose=verbose)

    def predict_generator(
        self, generator, steps=None, max_queue_size=10, workers=1, use_multiprocessing=False, verbose=0
    ):
        """Predict the batches of a generator: Keras 2's name and arguments of :meth:`predict`."""
        return self.predict(generator, steps=steps, verbose=verbose)

    def load_weights(self, filepath, *args, **kwargs):
        """Load weights as :func:`yolo3.compat.weights.load_weights` does."""
        weight_files.load_weights(self, filepath, *args, **kwargs)

    def save_weights(self, filepath, *args, **kwargs):
        """Save weights as :func:`yolo3.compat.weights.save_weights` does."""
        weight_files.save_weights(self, filepath, *args, **kwargs)


def _without_queue(options: dict) -> dict:
    return {name: value for name, value in options.items() if name not in _QUEUE_OPTIONS}


def _tuples(batches):
    """Return a generator with its lists as tuples, which Keras 3 insists on, and anything else as it is."""
    return (_as_tuple(batch) for batch in batches) if isinstance(batches, Iterator) else batches


def _as_tuple(part):
    return tuple(map(_as_tuple, part)) if isinstance(part, (list, tuple)) else part


def pretrained_body(build_body, *, scales, num_classes: int, weights_path, freeze_body: int, num_backbone: int):
    """Build a body, load weights by name and freeze layers.

    Args:
        build_body: One of :mod:`yolo3.models.yolov3.networks`.
        scales: Its outputs, from :func:`yolo3.models.yolov3.scales.make_scales`.
        num_classes: Number of classes.
        weights_path: File of weights; ``None`` for none, and nothing is frozen.
        freeze_body: 1 freezes the backbone, 2 all but the output layers, 0 nothing.
        num_backbone: Number of convolutions in the backbone.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: For weights that do not fit.
    """
    body = build_body(Input((None, None, 3)), len(scales[0].anchors), num_classes)
    if weights_path is None:
        return body

    load_weights_by_name(body, weights_path)
    outputs = {tensor._keras_history.operation.name for tensor in body.outputs}
    for layer in body.layers:
        if freeze_body == 1:
            layer.trainable = not (layer.weights and layer_number(layer.name) < num_backbone)
        elif freeze_body == 2:
            layer.trainable = layer.name in outputs
    return body


def check_weights_path(path) -> None:
    """Raise ``FileNotFoundError`` if there are no pretrained weights where a script looks for them."""
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f"{path}: expected pretrained weights, found no such file; convert Darknet's with "
            "convert_darknet.py, or pass load_pretrained=False"
        )


def target_inputs(scales, input_shape, num_classes: int) -> list:
    """Return the Keras inputs of the targets, [B, H, W, A, 5 + C] of each scale."""
    return [Input((*scale.grid_shape(input_shape), len(scale.anchors), num_classes + 5)) for scale in scales]


def training_model(
    inputs, outputs, y_true, *, scales, anchors, num_classes: int, ignore_thresh: float
) -> TrainingModel:
    """Return the model from inputs and targets to the loss, which the layer ``yolo_loss`` computes.

    Args:
        inputs: Keras inputs of ``outputs``, an image or features.
        outputs: Raw output of each scale.
        y_true: Those of :func:`target_inputs`.
        scales: See :func:`pretrained_body`.
        anchors: [N, 2] (w, h) in pixels of the network input.
        num_classes: Number of classes.
        ignore_thresh: IoU above which a prediction without an object is not penalized.
    """
    arguments = {
        "anchors": np.asarray(anchors, np.float32),
        "num_classes": num_classes,
        "ignore_thresh": ignore_thresh,
        "anchor_mask": [scale.anchor_mask for scale in scales],
    }
    loss = Lambda(yolo_loss, output_shape=(1,), name="yolo_loss", arguments=arguments)([*outputs, *y_true])
    return TrainingModel([*inputs, *y_true], loss)
