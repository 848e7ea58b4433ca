"""Weights under the names of files that keras-yolo3's scripts use: ``load_weights(path, by_name=True)``, ``.h5``.

Keras 3 alone loads nothing from such a file, without a word: the layers of keras-yolo3 have other names than ours.
"""

import functools
import os
from collections.abc import Callable

import keras

from yolo3.convert.to_keras import save_plain_weights
from yolo3.models.loading import load_weights as load_all_weights
from yolo3.models.loading import load_weights_by_name, read_layer_arrays

_KERAS_3_SUFFIXES = (".weights.h5", ".weights.json", ".keras")


def load_weights(model, filepath, skip_mismatch=False, by_name=False, **kwargs) -> None:
    """Load weights as ``model.load_weights`` of Keras 2 did, also from keras-yolo3's files.

    Args:
        model: A ``keras.Model``.
        filepath: ``.h5`` of keras-yolo3, of Keras 2 or of this package, or a file of Keras 3.
        skip_mismatch: Whether layers of other shapes are left as they are. They are named in the log.
        by_name: Whether the file may hold other layers than the model.
        **kwargs: Those of ``keras.Model.load_weights`` for files of Keras 3.

    Raises:
        OSError: For files that cannot be opened.
        ValueError: For files that do not fit, also with ``by_name``: where not one layer fits.
    """
    path = os.path.expanduser(filepath)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"{path}: expected a file of weights, found none")

    names_layers = not path.endswith(_KERAS_3_SUFFIXES) and read_layer_arrays(path) is not None
    if by_name or (names_layers and skip_mismatch):
        load_weights_by_name(model, path, on_mismatch=None if skip_mismatch else _refuse)
    elif names_layers:
        load_all_weights(model, path)
    else:
        keras.Model.load_weights(model, path, skip_mismatch=skip_mismatch, **kwargs)


def _refuse(layer, arrays) -> None:
    expected, got = ([list(array.shape) for array in part] for part in (layer.weights, arrays))
    raise ValueError(
        f"load_weights: {layer.name}: expected arrays of shapes {expected}, got {got}; skip_mismatch=True leaves it out"
    )


def save_weights(model, filepath, overwrite=True, **kwargs) -> None:
    """Save weights to ``.h5`` as keras-yolo3 did, or under any other name as Keras 3 does.

    Args:
        model: A ``keras.Model``.
        filepath: ``.h5``, ``.weights.h5``, or what else ``keras.Model.save_weights`` takes.
        overwrite: Whether a file that is there is replaced; if not, it is an error.
        **kwargs: Those of ``keras.Model.save_weights``, for its formats.

    Raises:
        FileExistsError: Without ``overwrite``.
        ValueError: For another name.
        OSError: If the file cannot be written.
    """
    path = os.path.expanduser(filepath)
    if not overwrite and os.path.exists(path):
        raise FileExistsError(f"{path}: is there already; overwrite=True replaces it")
    if path.endswith(".h5") and not path.endswith(".weights.h5"):
        save_plain_weights(model, path, metadata=None)
    else:
        keras.Model.save_weights(model, path, overwrite=True, **kwargs)


def reads_old_weights(build_body: Callable[..., keras.Model]) -> Callable[..., keras.Model]:
    """Return a builder whose models have the methods ``load_weights`` and ``save_weights`` of this module.

    They are attributes of the model and not a class of it, so that its files hold stock Keras classes.
    """

    @functools.wraps(build_body)
    def build(*args, **kwargs):
        body = build_body(*args, **kwargs)
        body.load_weights = functools.partial(load_weights, body)
        body.save_weights = functools.partial(save_weights, body)
        return body

    return build
