"""Arguments of Python calls: checked by the descriptions of settings, and named in messages that name options."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from yolo3.records import checked_fields
from yolo3.settings import Setting, settings_in

_COMMAND = re.compile(r"`?yolo3 [a-z]+[^`,;]*")  # a command in a message stays one
_OPTION = re.compile(r"--([a-z][a-z-]*)(?:( |=)([^\s,;:]*[^\s,;:.)]))?")
_SETTING = re.compile(r"^\w+(?=: expected )")  # a setting that is out of range
_ELSEWHERE = {"max-pixels": "yolo3.datasets.pixel_limit.limit_pixels"}  # does what the option does, for all calls
_is_named = ContextVar("whether a call or a command around the present one names what messages mean", default=False)


@dataclass(frozen=True)
class Arguments:
    """The arguments of a call that takes settings, and how its messages name them.

    Args:
        call: Name of the call, such as "train".
        records: Dataclasses of `yolo3.settings.setting` fields, whose names are arguments.
        own: The other arguments.
        names: Argument of each option or setting whose name differs from it, such as {"list": "list_name"}.
        valued: Options of `own` that have a value; the others are switches.
    """

    call: str
    records: tuple[type, ...]
    own: tuple[str, ...] = ()
    names: Mapping[str, str] | None = None
    valued: Collection[str] = ()

    @property
    def settings(self) -> dict[str, tuple[Any, Setting]]:
        """Default and description of each setting, by name."""
        return {name: pair for record in self.records for name, pair in settings_in(record).items()}

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that were given, in the types of their settings.

        Paths may be `os.PathLike`, numbers NumPy's, tuples lists, and options of networks a dict.

        Raises:
            TypeError: For a name that is no argument; it says the nearest one.
            ValueError: For a value of another type.
        """
        settings = self.settings
        for name in given:
            if name not in settings:
                near = difflib.get_close_matches(name, [*self.own, *settings], n=1)
                meant = f"; did you mean {near[0]!r}?" if near else f"; it takes {', '.join([*self.own, *settings])}"
                raise TypeError(f"{self.call}() got an unexpected argument {name!r}{meant}")

        plain = {name: _plain(value) for name, value in given.items()}
        for name, value in plain.items():
            if settings[name][1].is_path and not isinstance(value, (str, type(None))):
                raise ValueError(f"{name}: expected the path of a file or folder, got {value!r}")
        words = {name: value for name, value in plain.items() if _is_word(settings[name][1], value)}
        values: dict[str, Any] = dict(words)
        for record in self.records:
            values |= checked_fields(record, {name: value for name, value in plain.items() if name not in words})
        return values

    def words(self, text: str) -> str:
        """Return a message with arguments in place of options: "skip_bad=True" for "--skip-bad"."""
        text = _SETTING.sub(lambda found: (self.names or {}).get(found.group(), found.group()), text, count=1)
        parts, at = [], 0
        for command in _COMMAND.finditer(text):
            parts += [_OPTION.sub(self._word, text[at : command.start()]), command.group()]
            at = command.end()
        return "".join([*parts, _OPTION.sub(self._word, text[at:])])

    def _word(self, found: re.Match) -> str:
        option, between, value = found.group(1), found.group(2) or "", found.group(3) or ""
        settings = self.settings
        flags = {(described.flag or "").removeprefix("--"): name for name, (_, described) in settings.items()}
        name = (self.names or {}).get(option) or flags.get(option) or option.replace("-", "_")
        if name not in settings and name not in self.own:
            return _ELSEWHERE.get(option, f"--{option}") + between + value

        described = settings[name][1] if name in settings else None
        if described.const is True if described else name not in self.valued:
            return f"{name}=True{between}{value}"
        if re.fullmatch(r"[A-Z]+|-?[0-9.]+", value):
            return f"{name}={value}"
        if "/" in value or (value in described.allowed if described else value):
            return f"{name}={value!r}"
        return f"{name}{between}{value}"

    @contextlib.contextmanager
    def in_messages(self) -> Iterator[None]:
        """Within the block, or the function that it decorates, name arguments in the messages of `ValueError`.

        Of calls within each other the outermost names them, as its caller knows no others.
        """
        if _is_named.get():
            yield
            return
        with options_in_messages():
            try:
                yield
            except ValueError as error:
                if len(error.args) == 1 and isinstance(error.args[0], str):
                    error.args = (self.words(error.args[0]),)
                raise


@contextlib.contextmanager
def options_in_messages() -> Iterator[None]:
    """Within the block, leave options in the messages of all calls: for commands, whose users gave options."""
    before = _is_named.set(True)
    try:
        yield
    finally:
        _is_named.reset(before)


def _is_word(described: Setting, value: Any) -> bool:
    """Return whether a value is the word that a setting takes instead of a number."""
    return described.number is not None and value is not None and value == described.number.word


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: paths as text, NumPy's numbers as Python's, a dict as pairs."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return [[name, _plain(part)] for name, part in value.items()]
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value
