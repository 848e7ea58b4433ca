"""Start Keras and its backend without their start-up notes."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


def start_tensorflow() -> None:
    """Import Keras with its backend and look for devices, whose start-up notes are shown only if that fails."""
    with held_back_stderr():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            for gpu in tf.config.list_physical_devices("GPU"):  # take memory as it is needed, not all at once
                with contextlib.suppress(RuntimeError):  # a program that uses the device already has chosen
                    tf.config.experimental.set_memory_growth(gpu, True)


@contextlib.contextmanager
def held_back_stderr() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, whatever libraries are told, until an error shows it.

    TensorFlow 2.21 writes there whatever TF_CPP_MIN_LOG_LEVEL says, and so does LiteRT. A user's mistake shows nothing.
    """
    sys.stderr.flush()
    own = os.dup(2)

    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except (ValueError, OSError):
            raise
        except Exception:
            notes.seek(0)
            os.write(own, notes.read())
            raise
        finally:
            os.dup2(own, 2)
            os.close(own)


def check_tensorflow() -> None:
    """Check that Keras computes with TensorFlow, which runs are written for.

    Raises:
        ValueError: Naming the backend that is used instead.
    """
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            f"expected Keras' backend tensorflow, got {backend}; set KERAS_BACKEND=tensorflow, or train on {backend} "
            "with fit of yolo3.YoloV3Detector"
        )
