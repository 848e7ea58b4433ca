"""Annotations of a COCO file in columns: plain ones as numbers in arrays, the others as they are."""

from __future__ import annotations

import itertools
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from yolo3.datasets.formats.coco_categories import entry_id

_LARGEST = 1 << 53  # whole numbers up to it are exact as floats


class PlainEntry(msgspec.Struct, gc=False):
    """An annotation with a bbox, whose keys are of the usual types; other keys are skipped."""

    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    id: int = 0
    iscrowd: int = 0


_KEYS = ("id", "image_id", "category_id", "iscrowd")


class Entries(Sequence[Any]):
    """Annotations of a COCO file, plain ones in arrays of 64 bytes each.

    Args:
        entries: Annotations that are in memory anyway; they stay the items. Items that are added later are dictionaries
            of what is read.

    Attributes:
        others: Those that are not plain, by their place; in the arrays they are zeros.
    """

    def __init__(self, entries: Sequence[Any] = ()) -> None:
        self._numbers = array("q")
        self._boxes = array("d")
        self._whole = entries
        self.others: dict[int, Any] = {}
        for entry in entries:
            self.append(entry)

    def append(self, entry: Any) -> None:
        """Add an annotation. What is not read of a plain one is dropped, its segmentation for example."""
        if _is_plain(entry):
            self._numbers.extend([entry.get(key, 0) for key in _KEYS])
            self._boxes.extend(entry["bbox"])
        else:
            self.others[len(self)] = entry
            self._numbers.extend([0] * len(_KEYS))
            self._boxes.extend([0.0] * 4)

    def extend(self, entries: Sequence[PlainEntry]) -> None:
        """Add plain annotations.

        Raises:
            OverflowError: If a number has more than 64 bits.
        """
        self._numbers.extend(
            [number for item in entries for number in (item.id, item.image_id, item.category_id, item.iscrowd)]
        )
        self._boxes.extend(itertools.chain.from_iterable([item.bbox for item in entries]))

    def __len__(self) -> int:
        return len(self._boxes) // 4

    def __getitem__(self, index: Any) -> Any:
        if index < len(self._whole):
            return self._whole[index]
        if index in self.others:
            return self.others[index]
        if not 0 <= index < len(self):
            raise IndexError(index)
        entry: dict[str, Any] = dict(zip(_KEYS, self._numbers[4 * index : 4 * index + 4], strict=True))
        entry["bbox"] = self._boxes[4 * index : 4 * index + 4].tolist()
        return entry

    def __iter__(self) -> Iterator[Any]:
        return map(self.__getitem__, range(len(self)))

    @property
    def image_ids(self) -> np.ndarray:
        """int64 [N], zeros for those that are not plain."""
        return np.asarray(self._numbers).reshape(-1, 4)[:, 1]

    @property
    def category_ids(self) -> np.ndarray:
        """int64 [N], zeros for those that are not plain."""
        return np.asarray(self._numbers).reshape(-1, 4)[:, 2]

    @property
    def is_crowd(self) -> np.ndarray:
        """bool [N], False for those that are not plain."""
        return np.asarray(self._numbers).reshape(-1, 4)[:, 3] != 0

    @property
    def boxes_xywh(self) -> np.ndarray:
        """float64 [N, 4], bbox in pixels, zeros for those that are not plain."""
        return np.asarray(self._boxes).reshape(-1, 4)

    def is_plain(self) -> np.ndarray:
        """Return bool [N], which annotations are in the arrays."""
        plain = np.ones(len(self), bool)
        plain[list(self.others)] = False
        return plain

    def count_categories(self) -> Counter[int | str | None]:
        """Return the number of annotations by the id of their category."""
        numbers, counts = np.unique(self.category_ids[self.is_plain()], return_counts=True)
        total: Counter[int | str | None] = Counter(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        total.update(entry_id(entry, "category_id") for entry in self.others.values())
        return total


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
        and all(-_LARGEST < entry.get(key, 0) < _LARGEST for key in _KEYS)
    )
