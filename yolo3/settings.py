"""One description of each setting: default, range, unit and help, from which records, options and messages are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Number:
    """The numbers that a setting may take.

    Args:
        words: The range as messages say it.
        kind: `int` or `float`.
        holds: Whether a number lies in the range.
        word: Word that an option takes instead of a number; what it means is told by who reads the option.
    """

    words: str
    kind: type
    holds: Callable[[Any], bool]
    word: str | None = None

    def parse(self, text: str) -> Any:
        """Return the number that a text means, or the word.

        Raises:
            ValueError: For text that is not a number in the range.
        """
        if text == self.word:
            return text
        try:
            value = self.kind(text)
        except ValueError:
            value = None
        if value is None or not self.holds(value):
            raise ValueError(f"expected {self.words}, got {text}")
        return value


COUNT = Number("a whole number above 0", int, lambda value: value >= 1)
WHOLE = Number("a whole number, 0 or above", int, lambda value: value >= 0)
SHARE = Number("a number from 0 to 1", float, lambda value: 0 <= value <= 1)
BELOW_ONE = Number("a number from 0 to below 1", float, lambda value: 0 <= value < 1)
BETWEEN = Number("a number between 0 and 1", float, lambda value: 0 < value < 1)
POSITIVE = Number("a number above 0", float, lambda value: value > 0)
NOT_NEGATIVE = Number("a number, 0 or above", float, lambda value: value >= 0)
FACTOR = Number("a number, 1 or above", float, lambda value: value >= 1)


@dataclass(frozen=True)
class Setting:
    """Describe a setting, apart from its default.

    Args:
        help: What it is, with its unit, but neither the default nor the choices; or a function that returns it.
        group: Group of options that the command line lists it in.
        option: Whether the command line has an option for it.
        flag: The option, where it is not "--" and the name of the setting.
        unset: What a default of None, or an empty one, stands for.
        number: Range of its numbers.
        choices: Names that it may take, as a dict with a description of each; or a function that returns them, for
            names that a registry holds.
        parse: Function that reads a value of another kind from a text, and raises `ValueError`.
        many: Number of values of the option, as argparse's `nargs`.
        metavar: Placeholder of the values in the help of the option.
        const: Value that the option means without one of its own; with `many` None it takes none.
        is_path: Whether it names a file or a folder.
    """

    help: str | Callable[[], str]
    group: str = ""
    option: bool = True
    flag: str | None = None
    unset: str | None = None
    number: Number | None = None
    choices: Collection[str] | Callable[[], Collection[str]] = ()
    parse: Callable[[str], Any] | None = None
    many: int | str | None = None
    metavar: str | tuple[str, ...] | None = None
    const: Any = None
    is_path: bool = False

    @property
    def allowed(self) -> Collection[str]:
        """Return the names that it may take; none where it is not one of several."""
        return self.choices() if callable(self.choices) else self.choices

    @property
    def text(self) -> str:
        """Return its help, with the descriptions of its choices where they have any."""
        text, allowed = self.help() if callable(self.help) else self.help, self.allowed
        if not isinstance(allowed, Mapping):
            return text
        return f"{text}: {', '.join(f'{name} ({description})' for name, description in allowed.items())}"


def setting(default: Any, help: str | Callable[[], str], **details: Any) -> Any:
    """Return the field of a dataclass with a default and its description.

    Args:
        default: Value of the field where none is given; not mutable.
        help: See `Setting`, as for `details`.

    Example:

    >>> @dataclass(frozen=True)
    ... class Reading:
    ...     workers: int = setting(0, "data-loading threads (0 = auto)", number=WHOLE)
    """
    return dataclasses.field(default=default, metadata={"setting": Setting(help, **details)})


def settings_in(record: Any) -> dict[str, tuple[Any, Setting]]:
    """Return (default, description) of each described setting of a dataclass, by name, in its order."""
    fields = dataclasses.fields(record)
    return {field.name: (field.default, field.metadata["setting"]) for field in fields if "setting" in field.metadata}


def check_settings(record: Any, but: Collection[str] = ()) -> None:
    """Check every described setting of a record against its range or its choices.

    Args:
        record: Instance of a dataclass. Where a default is None, so may the value be.
        but: Names that are not checked.

    Raises:
        ValueError: Naming the first setting that is out of range.
    """
    for name, (default, described) in settings_in(record).items():
        value = getattr(record, name)
        if name in but or (value is None and default is None):
            continue

        for part in value if isinstance(value, tuple) else (value,):
            if described.number and not described.number.holds(part):
                raise ValueError(f"{name}: expected {described.number.words}, got {part}")
            if described.choices and part not in described.allowed:
                raise ValueError(f"{name}: expected one of {', '.join(described.allowed)}, got {part!r}")
