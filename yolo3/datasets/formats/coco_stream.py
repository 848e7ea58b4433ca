"""Large COCO JSON, read piece by piece: polygons and other keys that nothing reads are dropped as they go by.

COCO's training set is 450 MB of text, of which the boxes are 30. Whatever is unusual is left to
:func:`yolo3.datasets.json_values.read_json`, which says what is wrong.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Any, BinaryIO

import msgspec

from yolo3.datasets.formats.coco_entries import Entries, PlainEntry
from yolo3.datasets.json_values import ordinary_object
from yolo3.file_states import record_file

PIECE = 1 << 20  # bytes that are read at a time
_BLANK = re.compile(r"[ \t\n\r]*")
# Where a list may end in a piece, or else be cut: behind an object.
_END_OF_LIST = re.compile(r"\}\s*\]\s*[,}]")
_CUT = re.compile(r"\}\s*,\s*\{")


class _Image(msgspec.Struct, gc=False):
    """An image whose keys are of the usual types; other keys are skipped."""

    id: int
    file_name: str
    width: int
    height: int


# What most objects of a list are, and the keys that are read of them.
_PLAIN: dict[str, tuple[type[msgspec.Struct], tuple[str, ...]]] = {
    "images": (_Image, _Image.__struct_fields__),
    "annotations": (PlainEntry, PlainEntry.__struct_fields__),
}
_DECODERS = {key: msgspec.json.Decoder(list[kind]) for key, (kind, _) in _PLAIN.items()}  # type: ignore[valid-type]


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
        self.before = 0  # characters before the text
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
                self.items(content[key], key)
            else:
                content[key] = self.value()
        self.take("}")
        if self.next():
            raise ValueError("text after the end")
        return content

    def items(self, kept: list[Any] | Entries, key: str) -> None:
        """Take a list: runs of plain objects at once, anything else value by value."""
        self.take("[")
        is_first, careful_to = True, 0
        while self.next() != "]":
            if not is_first:
                self.take(",")
                self.next()
            is_first = False
            if self.before + self.at >= careful_to:
                cut = self.cut()
                run = _plain_run(self.text[self.at : cut], key)
                if run is not None:
                    kept.extend(run)
                    self.at = cut
                    continue
                careful_to = self.before + cut

            item = self.value()
            if key == "images" and isinstance(item, dict):
                item = {name: item[name] for name in _Image.__struct_fields__ if name in item}
            kept.append(item)
        self.take("]")

    def cut(self) -> int:
        """Return where a run of objects may end: with the list, or behind the last object in the text so far."""
        end = _END_OF_LIST.search(self.text, self.at)
        if end is not None:
            return end.start() + 1
        at = self.text.rfind("}", self.at)
        while at > self.at and not _CUT.match(self.text, at):
            at = self.text.rfind("}", self.at, at)
        return at + 1

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
        self.before, self.at = self.before + self.at, 0


def _plain_run(text: str, key: str) -> list[Any] | None:
    """Return the objects of a part of a list if all are plain, else None.

    A key that is read and that an object has twice is left to the careful reader, and so is a key that is escaped.
    """
    kind, names = _PLAIN[key]
    try:
        objects = _DECODERS[key].decode(f"[{text}]")
    except (ValueError, RecursionError):
        return None
    if not objects or "\\u" in text or any(text.count(f'"{name}"') > len(objects) for name in names):
        return None
    return [msgspec.structs.asdict(item) for item in objects] if kind is _Image else objects
