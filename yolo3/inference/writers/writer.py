"""What every writer of detections does, and files that appear only once they are whole."""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, TextIO

import numpy as np

from yolo3.detections import Detections
from yolo3.files import naming
from yolo3.inference.sources import Shot
from yolo3.temporary import put_in_place, temporary_path


class Writer(Protocol):
    """Interface that every writer of detections implements."""

    def add(self, shot: Shot, image: np.ndarray, found: Detections) -> None:
        """Write the detections of one image.

        Args:
            shot: Where the image comes from.
            image: uint8 [H, W, 3], RGB.
            found: Its detections, boxes in pixels of the image.
        """

    def close(self) -> None:
        """Move what was written to its final place."""

    def discard(self) -> None:
        """Delete what is not in its final place; after `close` nothing is left to delete."""


@contextlib.contextmanager
def writing(writers: Sequence[Writer]) -> Iterator[None]:
    """Close the writers at the end of the block, and also on Ctrl-C; discard their files on any other error.

    Args:
        writers: The writers in use. If one cannot be closed, those after it are discarded.

    Yields:
        Nothing.
    """
    interrupt = None
    try:
        try:
            yield
        except KeyboardInterrupt as error:
            interrupt = error
        for writer in writers:
            writer.close()
        if interrupt is not None:
            raise interrupt

    finally:  # what is closed has nothing left to discard
        for writer in writers:
            writer.discard()


class StreamedFile:
    """A text file that grows under a temporary name beside its final one.

    A symbolic link stays one: the file that it points to is replaced. Names of files that are not UTF-8 keep their
    bytes.

    Args:
        path: Final path; its folder is created when needed.
        head: Text that the file begins with, even if nothing else is written.
    """

    def __init__(self, path: str | os.PathLike, head: str):
        self.path, self.head = Path(path), head
        self._part = temporary_path(self.path, ".part")
        self._file: TextIO | None = None

    def write(self, text: str) -> None:
        """Append text.

        Raises:
            OSError: If the disk does not take it; names the file.
        """
        with naming(self.path):
            if self._file is None:
                self._part.parent.mkdir(parents=True, exist_ok=True)
                self._file = open(self._part, "w", encoding="utf-8", errors="surrogateescape", newline="")
                self._file.write(self.head)
            self._file.write(text)

    def close(self) -> None:
        """Move the file to its final path.

        Raises:
            OSError: If the disk does not take the rest of it; names the file.
        """
        self.write("")  # the head, if nothing was written
        if self._file is not None:
            with naming(self.path):
                self._file.close()
            put_in_place(self._part, self.path)
            self._file = None

    def discard(self) -> None:
        """Delete the temporary file, if there is one."""
        if self._file is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)
            self._file = None


class StreamedJsonList:
    """A JSON list in a file, one item per line, which is never in memory as a whole.

    Args:
        path: Final path.
    """

    def __init__(self, path: str | os.PathLike):
        self._file = StreamedFile(path, head="[")
        self._separator = "\n"

    def write(self, item: dict) -> None:
        """Append an item."""
        self._file.write(self._separator + json.dumps(item))
        self._separator = ",\n"

    def close(self) -> None:
        """End the list and move the file to its final path."""
        self._file.write("\n]\n")
        self._file.close()

    def discard(self) -> None:
        """Delete the temporary file, if there is one."""
        self._file.discard()


class OneFileWriter:
    """Base of writers that put all detections into one file.

    Args:
        file: The file, which subclasses write to in `add`.
    """

    def __init__(self, file: StreamedFile | StreamedJsonList):
        self._file = file

    def close(self) -> None:
        """Move the file to its final path."""
        self._file.close()

    def discard(self) -> None:
        """Delete the temporary file, if there is one."""
        self._file.discard()


class ManyFilesWriter:
    """Base of writers whose files are in their final place as soon as they are written."""

    def close(self) -> None:
        """Do nothing."""

    def discard(self) -> None:
        """Do nothing."""
