"""How a command starts and ends: printable output, and a user's mistake in one line."""

import contextlib
import os
import re
import sys
import typing
from collections.abc import Callable, Iterator

from yolo3.arguments import options_in_messages
from yolo3.files import printable
from yolo3.startup import leave_out_optional

# What a terminal would take for a command, but for what progress bars use: tabs, ends of lines, and one line up.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[A)")
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
    if "OPENCV_LOG_LEVEL" not in os.environ:
        import cv2.utils.logging as opencv

        opencv.setLogLevel(opencv.LOG_LEVEL_SILENT)  # nor are OpenCV's on a damaged image, which the command names
    leave_out_optional()
    with printable_output(), options_in_messages():
        try:
            return command()
        except (ValueError, OSError) as error:
            print(f"{name}: {in_one_line(error)}", file=sys.stderr)
            return 1
        except KeyboardInterrupt as stopped:
            print(f"{name}: interrupted", file=sys.stderr)
            return getattr(stopped, "status", 130)  # a signal's own, see yolo3.training.stopping


@contextlib.contextmanager
def printable_output() -> Iterator[None]:
    """Escape, in all that is printed within the block, what a terminal would take for a command.

    Names of files and classes come from archives of strangers. Half a surrogate pair, as in names of files that are not
    UTF-8, is escaped too.
    """
    with (
        contextlib.redirect_stdout(typing.cast(typing.TextIO, _PrintableStream(sys.stdout))),
        contextlib.redirect_stderr(typing.cast(typing.TextIO, _PrintableStream(sys.stderr))),
    ):
        yield


class _PrintableStream:
    """A text stream that escapes what is written to it; in all else it is the stream that it writes to."""

    def __init__(self, stream: typing.Any):
        self._stream = stream

    def write(self, text: str) -> int:
        text = _UNPRINTABLE.sub(lambda match: ascii(match.group())[1:-1], text)
        encoding = getattr(self._stream, "encoding", None) or "utf-8"
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        return len(text)

    def writelines(self, lines: typing.Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> typing.Any:
        return getattr(self._stream, name)


def in_one_line(error: Exception) -> str:
    """Return the message of an error on one line; "path: No such file or directory" for errors of the system."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{printable(str(error.filename))}: {error.strerror}"
    text = _CONTROL.sub("", str(error))  # Keras colours its messages
    return " ".join(text.split()) or type(error).__name__
