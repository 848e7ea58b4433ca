"""The interface of an annotation format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from yolo3.datasets.annotation import Dataset
from yolo3.datasets.copy_images import ImageCopies


class Matches(Protocol):
    """Tells by content whether a path is, or holds, annotations in the format; cheap for other data too."""

    def __call__(self, path: str) -> bool: ...


class ListNames(Protocol):
    """Returns the names of a data set's own lists, such as train and val; [] if it has none."""

    def __call__(self, path: str) -> list[str]: ...


class Read(Protocol):
    """Reads a data set or one of its lists.

    Given class names are the classes of the result, in this order; objects of other classes are reported. What is wrong
    with single lines, boxes and images goes to the findings. Raises ValueError if nothing can be read, or if there is
    no such list.
    """

    def __call__(
        self, path: str, class_names: Sequence[str] | None = None, list_name: str | None = None
    ) -> Dataset: ...


class Write(Protocol):
    """Writes a data set as the list that its name says; what the format cannot hold is logged.

    Images are placed by `images` where it is given, so that several lists can share them; else as the format does it.
    """

    def __call__(self, dataset: Dataset, path: str, images: ImageCopies | None = None) -> None: ...


@dataclass(frozen=True)
class NewLists:
    """Files that add lists to a data set.

    Attributes:
        files: Path to text.
        data: The file or folder that has the lists then.
        names: Name of each list there, by the name that it was to get.
    """

    files: dict[str, str]
    data: str
    names: dict[str, str]


class FormatLists(Protocol):
    """Returns the files that add lists to a data set whose images and boxes stay where they are.

    `lists` are parts of the data set at `path`, by name; `suffix` is added to each name.
    """

    def __call__(self, lists: Mapping[str, Dataset], path: str, suffix: str) -> NewLists: ...


@dataclass(frozen=True)
class Format:
    """An annotation format.

    Attributes:
        name: Name for `--format` and messages.
        description: A few words for the help of `--format`.
        looked_for: What a path of this format holds, for the message about paths of no format.
        matches: Whether a path is in this format.
        list_names: Names of a data set's lists.
        read: The reader.
        write: The writer, None for a format that is only read.
        format_lists: What adds lists to a data set; None for a format without lists of its own.
        keeps: Marks of boxes that written files hold: "difficult", "crowd".
        recorded: Whether all its functions open and test files through :mod:`yolo3.files` alone (or call
            :func:`yolo3.file_states.record_file` before), so that what they read can be kept for the next start. While
            a format is registered that does not say so, nothing is kept.
        shares_images: Whether one image can be in several written lists without being there twice.
    """

    name: str
    description: str
    looked_for: str
    matches: Matches
    list_names: ListNames
    read: Read
    write: Write | None = None
    format_lists: FormatLists | None = None
    keeps: frozenset[str] = frozenset()
    shares_images: bool = False
    recorded: bool = False
