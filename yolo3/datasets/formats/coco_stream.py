"""Large COCO JSON, read piece by piece: polygons and other keys that nothing reads are dropped as they go by.

COCO's training set is 450 MB of text, of which the boxes are 30. Whatever is unusual is left to
:func:`yolo3.datasets.json_values.read_json`, which says what is wrong.
"""

from __future__ import annotations

import codecs
import json
import re
from array import array
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from yolo3.datasets.json_values import ordinary_object
from yolo3.file_states import record_file

PIECE = 1 << 20  # bytes that are read at a time
_BLANK = re.compile(r"[ \t\n\r]*")
_ENTRY_KEYS = ("id", "image_id", "category_id", "iscrowd")
_IMAGE_KEYS = ("id", "file_name", "width", "height")
_LARGEST = 1 << 53  # whole numbers up to it are exact as floats
_BETWEEN_ITEMS = re.compile(r"[ \t\n\r]*,[ \t\n\r]*\{")
_TRIES = 8  # closing brackets, from the end, after which the end of an item is looked for


class Columns(NamedTuple):
    """The numbers of N annotations.

    Attributes:
        plain: bool [N], whether the other columns have an annotation's numbers.
        image_ids: int64 [N].
        category_ids: int64 [N].
        crowd: bool [N].
        boxes: float64 [N, 4], x, y, width, height.
    """

    plain: np.ndarray
    image_ids: np.ndarray
    category_ids: np.ndarray
    crowd: np.ndarray
    boxes: np.ndarray


class Entries:
    """Annotations of a COCO file, plain ones as numbers in arrays of 64 bytes each; iterating gives dictionaries."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self._boxes = array("d")
        self.others: dict[int, Any] = {}
        """Annotations that are not plain, as they are, by their place."""

    def extend(self, entries: list[Any]) -> None:
        """Add annotations. What is not read of them is dropped: the segmentation where there is a bbox."""
        columns = _columns(entries)
        if columns is None:
            for entry in entries:
                self.append(entry)
            return
        numbers, boxes = columns
        self._numbers.frombytes(numbers.tobytes())
        self._boxes.frombytes(boxes.tobytes())

    def append(self, entry: Any) -> None:
        """Add one annotation."""
        if _is_plain(entry):
            self._numbers.extend([entry.get(key, 0) for key in _ENTRY_KEYS])
            self._boxes.extend(entry["bbox"])
        else:
            self.others[len(self)] = entry
            self._numbers.extend([0] * len(_ENTRY_KEYS))
            self._boxes.extend([0.0] * 4)

    def columns(self) -> Columns:
        """Return the numbers of all annotations; those of `others` are zeros and not plain."""
        numbers = np.frombuffer(self._numbers, np.int64).reshape(-1, len(_ENTRY_KEYS))
        plain = np.ones(len(numbers), bool)
        plain[list(self.others)] = False
        boxes = np.frombuffer(self._boxes, np.float64).reshape(-1, 4)
        return Columns(
            plain, image_ids=numbers[:, 1], category_ids=numbers[:, 2], crowd=numbers[:, 3] != 0, boxes=boxes
        )

    def __len__(self) -> int:
        return len(self._boxes) // 4

    def __getitem__(self, index: int) -> Any:
        if index in self.others:
            return self.others[index]
        if not 0 <= index < len(self):
            raise IndexError(index)
        entry: dict[str, Any] = dict(zip(_ENTRY_KEYS, self._numbers[4 * index : 4 * index + 4], strict=True))
        entry["bbox"] = self._boxes[4 * index : 4 * index + 4].tolist()
        return entry


def stream_coco(path: str) -> dict[str, Any] | None:
    """Read a COCO file.

    Args:
        path: Path of the JSON file.

    Returns:
        Its content: `images` with the keys that are read, `annotations` as `Entries`, the rest as it is; None for a
        file that is not well-formed, not in UTF-8, or no object.
    """
    record_file(path)
    with open(path, "rb") as file:
        try:
            return _Stream(file).read()
        except (ValueError, RecursionError, IndexError, OverflowError):
            return None


class _Stream:
    def __init__(self, file: BinaryIO):
        self.file = file
        self.decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self.text, self.at, self.ended = "", 0, False
        self.tried: str | None = None  # text in which no whole items were seen
        self.decoder = json.JSONDecoder(object_pairs_hook=ordinary_object)

    def read(self) -> dict[str, Any]:
        content: dict[str, Any] = {}
        self.take("{")
        while self.next() != "}":
            if content:
                self.take(",")
            key = self.value()
            self.take(":")
            if not isinstance(key, str) or key in content:
                raise ValueError("a key twice")
            if key in ("images", "annotations") and self.next() == "[":
                content[key] = Entries() if key == "annotations" else []
                self.items(content[key])
            else:
                content[key] = self.value()
        self.take("}")
        if self.next():
            raise ValueError("text after the end")
        return content

    def items(self, kept: Any) -> None:
        self.take("[")
        is_images, is_first = isinstance(kept, list), True
        while self.next() != "]":
            if not is_first:
                self.take(",")
                self.next()
            items, is_first = self.whole_items() or [self.value()], False
            if is_images:
                items = [
                    {key: item[key] for key in _IMAGE_KEYS if key in item} if isinstance(item, dict) else item
                    for item in items
                ]
            kept.extend(items)
        self.take("]")

    def whole_items(self) -> list[Any] | None:
        """Take the items of a list that are whole in the text so far, None if that is not to be seen at once.

        What lies before a bracket is a list of whole items if it can be read as one: a bracket within an item or a text
        leaves something open. The list may also end before.
        """
        end = len(self.text)
        for _ in range(_TRIES if self.text is not self.tried else 0):
            end = self.text.rfind("}", self.at, end)
            if end < 0:
                break
            if _BETWEEN_ITEMS.match(self.text, end + 1):
                piece = f"[{self.text[self.at : end + 1]}]"
                try:
                    items, stop = self.decoder.raw_decode(piece)
                except ValueError:
                    continue
                self.at += stop - 2  # without the brackets that were added, or the last one where it is the list's own
                return items
        self.tried = self.text
        return None

    def next(self) -> str:
        """Return the next character that is not blank, "" at the end; it is not taken."""
        while True:
            self.at = _BLANK.match(self.text, self.at).end()  # type: ignore[union-attr]
            if self.at < len(self.text) or self.ended:
                return self.text[self.at : self.at + 1]
            self.more()

    def take(self, character: str) -> None:
        if self.next() != character:
            raise ValueError(f"expected {character}")
        self.at += 1

    def value(self) -> Any:
        """Take the next value; one that the text so far cuts is taken once more of it is read."""
        self.next()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
                if end < len(self.text) or self.ended:
                    self.at = end
                    return value
            except ValueError:
                if self.ended:
                    raise
            self.more()

    def more(self) -> None:
        piece = self.file.read(max(PIECE, len(self.text) - self.at))  # doubles while one value does not end
        self.ended = not piece
        self.text = self.text[self.at :] + self.decode(piece, self.ended)
        self.at = 0


def _columns(entries: list[Any]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (int64 [N, 4], float64 [N, 4]), the numbers and boxes of annotations, None unless all are plain."""
    try:
        boxes = [entry["bbox"] for entry in entries]
        numbers = [
            [entry.get("id", 0) for entry in entries],
            [entry["image_id"] for entry in entries],
            [entry["category_id"] for entry in entries],
            [entry.get("iscrowd", 0) for entry in entries],
        ]
        if {*map(type, boxes)} != {list} or {*map(len, boxes)} != {4}:
            return None
        values = [*chain.from_iterable(boxes)]
        if not {*map(type, values)} <= {int, float} or {*map(type, chain.from_iterable(numbers))} != {int}:
            return None
        columns = np.array(numbers, np.int64).T, np.array(values, np.float64).reshape(-1, 4)
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError):
        return None
    return columns if all((np.abs(column) < _LARGEST).all() for column in columns) else None


def _is_plain(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    box = entry.get("bbox")
    return (
        type(box) is list
        and len(box) == 4
        and all(type(value) is float or (type(value) is int and -_LARGEST < value < _LARGEST) for value in box)
        and type(entry.get("image_id")) is int
        and type(entry.get("category_id")) is int
        and type(entry.get("iscrowd", 0)) is int
        and type(entry.get("id", 0)) is int
        and all(-_LARGEST < entry.get(key, 0) < _LARGEST for key in _ENTRY_KEYS)
    )
