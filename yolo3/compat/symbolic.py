"""keras-yolo3's functions on symbolic tensors, where each becomes a layer: ``yolo_eval(body.output, ...)``.

So the old way to an exported detector works: a ``keras.Model`` from the inputs of a body to what ``yolo_eval`` finds,
saved, called and exported like any other. Opening the saved file takes ``import yolo3.model``, which registers the
layer; an exported one needs nothing.
"""

import functools
import inspect
from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from yolo3.models.yolov3 import head, losses, postprocess

_PAIRS = ("image_shape", "input_shape")  # (height, width), also as a batch of one


@keras.saving.register_keras_serializable(package="yolo3")
class FunctionLayer(layers.Layer):
    """Apply one of keras-yolo3's functions inside a Keras graph, in float32 whatever the policy.

    Args:
        function: Its name, one of those that :mod:`yolo3.model` exports and this module wraps.
        arguments: Its arguments by name, but for those that are tensors of the graph; arrays as lists.
        **kwargs: Those of ``keras.layers.Layer``.
    """

    def __init__(self, function: str, arguments: dict | None = None, **kwargs):
        if kwargs.get("name") is None:
            number = keras.backend.get_uid(function)
            kwargs["name"] = function if number == 1 else f"{function}_{number - 1}"
        super().__init__(**kwargs | {"dtype": "float32", "autocast": False})
        self.function, self.arguments = function, arguments or {}
        self.supports_jit = function != "yolo_eval"  # XLA has no results of a length that is known only when it runs

    def call(self, tensors: dict):
        """Return the function's result for its tensor arguments by name."""
        tensors = {name: ops.reshape(value, (2,)) if name in _PAIRS else value for name, value in tensors.items()}
        return _FUNCTIONS[self.function](**tensors, **self.arguments)

    def compute_output_spec(self, tensors: dict):
        """Return the kinds of the results; how many boxes ``yolo_eval`` finds is known only when it runs."""
        if self.function == "yolo_loss":
            return keras.KerasTensor((), "float32")
        if self.function != "yolo_eval":
            return super().compute_output_spec(tensors)
        specs = ((None, 4), "float32"), ((None,), "float32"), ((None,), "int32")
        return tuple(keras.KerasTensor(shape, dtype) for shape, dtype in specs)

    def get_config(self) -> dict:
        """Return what makes the layer again."""
        return {**super().get_config(), "function": self.function, "arguments": self.arguments}


def _takes_symbolic(function: Callable) -> Callable:
    """Return a function that is a layer when one of its arguments is a symbolic tensor, and itself otherwise."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args, **kwargs):
        arguments = signature.bind(*args, **kwargs).arguments
        tensors = {name: value for name, value in arguments.items() if _is_symbolic(value)}
        if not tensors:
            return function(*args, **kwargs)
        others = {name: _plain(value) for name, value in arguments.items() if name not in tensors}
        return FunctionLayer(function.__name__, others)(tensors)

    return call


def _is_symbolic(value) -> bool:
    return any(isinstance(part, keras.KerasTensor) for part in keras.tree.flatten(value))


def _plain(value):
    """Return arrays and tensors, alone or in lists, as the numbers that a saved layer holds."""
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, (np.ndarray, np.generic)) or keras.ops.is_tensor(value):
        return ops.convert_to_numpy(value).tolist()
    return value


_FUNCTIONS = {
    function.__name__: function
    for function in (
        head.yolo_head,
        losses.yolo_loss,
        postprocess.yolo_boxes_and_scores,
        postprocess.yolo_correct_boxes,
        postprocess.yolo_eval,
    )
}

yolo_head = _takes_symbolic(head.yolo_head)
yolo_loss = _takes_symbolic(losses.yolo_loss)
yolo_boxes_and_scores = _takes_symbolic(postprocess.yolo_boxes_and_scores)
yolo_correct_boxes = _takes_symbolic(postprocess.yolo_correct_boxes)
yolo_eval = _takes_symbolic(postprocess.yolo_eval)
