"""Large COCO JSON, read piece by piece: polygons and other keys that nothing reads are dropped as they go by.

COCO's training set is 450 MB of text, of which the boxes are 30. Whatever is unusual is left to
:func:`yolo3.datasets.json_values.read_json`, which says what is wrong.
"""

from __future__ import annotations

import codecs
import json
import re
from array import array
from collections.abc import Iterator
from typing import Any, BinaryIO

from yolo3.datasets.json_values import ordinary_object
from yolo3.file_states import record_file

PIECE = 1 << 22  # bytes that are read at a time
_BLANK = re.compile(r"[ \t\n\r]*")
_ENTRY_KEYS = ("id", "image_id", "category_id", "iscrowd")
_IMAGE_KEYS = ("id", "file_name", "width", "height")
_LARGEST = 1 << 53  # whole numbers up to it are exact as floats


class Entries:
    """Annotations of a COCO file, plain ones as numbers in arrays of 64 bytes each; iterating gives dictionaries."""

    def __init__(self) -> None:
        self._numbers = array("q")
        self._boxes = array("d")
        self._others: dict[int, Any] = {}
        self._count = 0

    def append(self, entry: Any) -> None:
        """Add an annotation. What is not read of it is dropped: the segmentation where there is a bbox."""
        if _is_plain(entry):
            self._numbers.extend([entry.get(key, 0) for key in _ENTRY_KEYS])
            self._boxes.extend(entry["bbox"])
        else:
            self._others[self._count] = entry
            self._numbers.extend([0] * len(_ENTRY_KEYS))
            self._boxes.extend([0.0] * 4)
        self._count += 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        for index in range(self._count):
            if index in self._others:
                yield self._others[index]
                continue
            numbers = self._numbers[4 * index : 4 * index + 4]
            entry: dict[str, Any] = dict(zip(_ENTRY_KEYS, numbers, strict=True))
            entry["bbox"] = self._boxes[4 * index : 4 * index + 4].tolist()
            yield entry


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
            item, is_first = self.value(), False
            if is_images and isinstance(item, dict):
                item = {key: item[key] for key in _IMAGE_KEYS if key in item}
            kept.append(item)
        self.take("]")

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
