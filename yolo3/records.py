"""Values read back from JSON, checked against the types that a dataclass declares.

Whatever a file holds, the result has the declared types, or there is one line that names the field.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

Record = TypeVar("Record")

_WHOLE_LIMIT = 2**63
_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", types.NoneType: "null"}


def build_record(kind: type[Record], values: Any) -> Record:
    """Build a dataclass from the JSON object that `dataclasses.asdict` and `json.dumps` made of one.

    Args:
        kind: The dataclass.
        values: What JSON held: objects become nested dataclasses, lists become tuples.

    Returns:
        The record; fields that are missing have their defaults.

    Raises:
        ValueError: For a field that is not known, or a value of another type; names the field.

    Example:
        >>> build_record(LossOptions, {"label_smoothing": 0.1})
    """
    checked = checked_fields(kind, values)
    if unknown := sorted(set(values) - set(checked)):
        known = ", ".join(field.name for field in dataclasses.fields(kind))  # type: ignore[arg-type]
        raise ValueError(f"{shown(unknown[0])}: expected one of the fields of this version ({known})")
    return kind(**checked)


def checked_fields(kind: type, values: Any) -> dict[str, Any]:
    """Check those values of a JSON object that a dataclass declares; other keys are left out.

    Args:
        kind: The dataclass, whose types the values must have.
        values: What JSON held.

    Returns:
        The declared ones, lists as tuples and nested objects as records.

    Raises:
        ValueError: For a value of another type; names the field.
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"expected an object with fields, got {shown(values)}")
    hints = typing.get_type_hints(kind)
    return {
        field.name: _checked(values[field.name], hints[field.name], field.name)
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]
        if field.name in values
    }


def shown(value: Any, text_of: Callable[[Any], str] = repr, most: int = 60) -> str:
    """Return a value for a message: on one line, printable, and cut where it is long.

    Args:
        value: The value, read from a file of any origin.
        text_of: Returns it as text.
        most: Characters behind which the text is cut.
    """
    try:
        text = text_of(value)
    except (RecursionError, ValueError):  # too deep, or too many digits
        return f"a {type(value).__name__}"
    return text if len(text) <= most else text[:most] + "..."


def first_line(error: BaseException) -> str:
    """Return the first line of an error, or the name of its class where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _checked(value: Any, hint: Any, where: str) -> Any:
    if hint is Any:
        return _frozen(value)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)

    if origin in (types.UnionType, typing.Union):
        return _checked_as_one_of(value, arguments, where)
    if origin is tuple:
        return _checked_tuple(value, arguments, where)
    if origin is Sequence:
        return _checked_tuple(value, (*arguments, Ellipsis), where)
    if origin in (dict, Mapping) or hint is dict:
        if not isinstance(value, Mapping):
            raise ValueError(f"{where}: expected an object, got {shown(value)}")
        part = arguments[1] if arguments else Any
        return {key: _checked(item, part, f"{where}.{shown(key)[1:-1]}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        try:
            return build_record(typing.cast(type, hint), value)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    return _checked_scalar(value, hint, where)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _checked_as_one_of(value: Any, hints: tuple, where: str) -> Any:
    """Return the value as the first type of a union that takes it; of one type beside null, say what that expects."""
    errors = []
    for hint in hints:
        try:
            return _checked(value, hint, where)
        except ValueError as error:
            errors.append(error)
    others = [error for hint, error in zip(hints, errors, strict=True) if hint is not types.NoneType]
    if len(others) == 1:
        raise others[0]
    scalars = " or ".join(_WORDS.get(hint, "a list") for hint in hints if hint is not types.NoneType)
    raise ValueError(f"{where}: expected {scalars}, got {shown(value)}")


def _checked_tuple(value: Any, parts: tuple, where: str) -> tuple:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{where}: expected a list, got {shown(value)}")
    if not (len(parts) == 2 and parts[1] is Ellipsis):
        if len(value) != len(parts):
            raise ValueError(f"{where}: expected a list of {len(parts)}, got {shown(value)}")
        return tuple(_checked(item, part, f"{where}[{at}]") for at, (item, part) in enumerate(zip(value, parts)))
    return tuple(_checked(item, parts[0], f"{where}[{at}]") for at, item in enumerate(value))


def _checked_scalar(value: Any, hint: Any, where: str) -> Any:
    fits = isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        fits = abs(value) < _WHOLE_LIMIT  # Python's JSON writes 1.0 as 1.0, people write 1
    elif hint is float and fits:
        fits = math.isfinite(value)
    elif hint is int and fits:
        fits = abs(value) < _WHOLE_LIMIT
    if not fits:
        raise ValueError(f"{where}: expected {_WORDS.get(hint, hint.__name__)}, got {shown(value)}")
    return value
