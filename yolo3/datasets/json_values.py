"""JSON of any origin: read whole or refused in one line, its numbers checked, its values shown short in messages."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from yolo3.files import read_text
from yolo3.records import shown

LARGEST = 3.4e38  # that boxes, which are float32, can hold
_SHOWN = 120  # characters of a value in a message


def read_json(path: str) -> Any:
    """Read a JSON file of any encoding that `read_text` knows.

    Args:
        path: Path of the file.

    Returns:
        Its content. Numbers need not be finite, nor fit a float32: take them through `finite_number`.

    Raises:
        ValueError: If it is not JSON, is nested too deeply, gives a key of an object twice, or holds a number of
            thousands of digits; one line with the file, and the line where it is known.
    """
    try:
        return json.loads(read_text(path), object_pairs_hook=ordinary_object)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: expected JSON, got '{error.msg}'; repair the file") from error
    except _RepeatedKeyError as error:
        raise ValueError(f"{path}: expected each key of an object once, got {error} again; repair the file") from error
    except RecursionError:
        raise ValueError(f"{path}: expected JSON of a few levels, got hundreds; repair the file") from None
    except ValueError as error:  # Python converts no integer of over 4,300 digits
        raise ValueError(f"{path}: expected numbers, got one of thousands of digits; repair the file") from error


class _RepeatedKeyError(ValueError):
    """A key that an object has twice: of two lists of annotations, Python would keep the second and say nothing."""


def ordinary_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON by its keys and values; raises ValueError for a key that it has twice."""
    content = dict(pairs)
    if len(content) < len(pairs):
        (key, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise _RepeatedKeyError(show_value(key))
    return content


def finite_number(value: Any) -> float | None:
    """Return a number, or text of one, as a float; None for anything else, also NaN and numbers beyond a float32.

    Example:
        >>> finite_number("12.5"), finite_number(True), finite_number(10**400)
        (12.5, None, None)
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) <= LARGEST else None  # not so for NaN


def finite_numbers(values: Iterable[Any]) -> list[float] | None:
    """Return all of the values through `finite_number`, None if one of them is none."""
    numbers = [finite_number(value) for value in values]
    return None if None in numbers else [number for number in numbers if number is not None]


def show_value(value: Any) -> str:
    """Return a value as JSON on one line, cut where it is long, for messages."""
    return shown(value, text_of=functools.partial(json.dumps, default=str), most=_SHOWN)
