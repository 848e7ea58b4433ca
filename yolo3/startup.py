"""Start Keras and its backend without their start-up notes."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType

_process_is_a_command = False


def leave_out_optional() -> None:
    """Let `start_tensorflow` leave out what a command does without, for a process that is a command and nothing else.

    TensorFlow imports JAX where it is installed, for a converter of LiteRT's; Keras imports pandas and matplotlib, for
    data frames and charts. That takes longer than loading a network.
    """
    global _process_is_a_command
    _process_is_a_command = True


@contextlib.contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Make packages look as if they were not installed within the block; those that are imported already stay."""
    names = tuple(name for name in names if _process_is_a_command and name not in sys.modules)
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    modules.update(dict.fromkeys(names))  # importing None raises ModuleNotFoundError
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def start_tensorflow() -> None:
    """Import Keras with its backend and look for devices, whose start-up notes are shown only if that fails."""
    with held_back_stderr(), _hidden("matplotlib", "pandas"):
        if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
            with _hidden("jax"), contextlib.suppress(ModuleNotFoundError):
                importlib.import_module("tensorflow")
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
