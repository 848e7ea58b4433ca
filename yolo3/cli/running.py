"""How a command starts and ends: TensorFlow without its start-up notes, and a user's mistake in one line."""

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0e-\x1f\x7f]")  # terminal control sequences (ECMA-48)


def run_command(name: str, command: Callable[[], int]) -> int:
    """Return the status of a command; a user's mistake becomes one line on stderr.

    Args:
        name: What the line begins with, such as "yolo3 train".
        command: Does the work and returns its status.

    Returns:
        The status of the command; 1 after `ValueError` or `OSError`, 130 after Ctrl-C.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's notes are no message to the user
    try:
        return command()
    except (ValueError, OSError) as error:
        print(f"{name}: {in_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130


def in_one_line(error: Exception) -> str:
    """Return the message of an error on one line; "path: No such file or directory" for errors of the system."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    text = _CONTROL.sub("", str(error))  # Keras colours its messages
    return " ".join(text.split()) or type(error).__name__


def start_tensorflow() -> None:
    """Import Keras with its backend and look for devices, whose start-up notes are shown only if that fails."""
    with _held_back_stderr():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            for gpu in tf.config.list_physical_devices("GPU"):  # take memory as it is needed, not all at once
                tf.config.experimental.set_memory_growth(gpu, True)


@contextlib.contextmanager
def _held_back_stderr() -> Iterator[None]:
    """Hold back what is written to file descriptor 2: TensorFlow 2.21 does so whatever TF_CPP_MIN_LOG_LEVEL says."""
    sys.stderr.flush()
    own = os.dup(2)

    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except Exception:
            notes.seek(0)
            os.write(own, notes.read())
            raise
        finally:
            os.dup2(own, 2)
            os.close(own)
