"""Parse, change and write the text of Darknet cfg files.

The grammar is that of Darknet's `src/parser.c:read_cfg` and `src/option_list.c`: `[name]` opens a section, options are
`key=value`, spaces and tabs are ignored everywhere, lines that start with `#` or `;` are comments, and the first of two
options with the same key wins. Darknet silently skips a line that is not an option and reads text that is not a number
as 0; here both raise `ValueError` with file and line. Line endings may be Unix or Windows.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar

DEFAULT_SIZE = 416  # sides of the network input in pixels where nothing gives any: those of cfg/yolov3.cfg

Number = TypeVar("Number", int, float)

# Short section names that parser.c accepts, with the long names that they stand for.
ALIASES = MappingProxyType(
    {
        "conv": "convolutional",
        "conn": "connected",
        "max": "maxpool",
        "avg": "avgpool",
        "soft": "softmax",
        "lrn": "normalization",
        "network": "net",
    }
)


class Option(NamedTuple):
    """One option.

    Attributes:
        value: Its value as text, without blanks.
        line: Number of its line.
        gap: Text between commas that holds blanks, "13  16", "" if there is none. Darknet skips blanks and reads 1316.
    """

    value: str
    line: int
    gap: str = ""


@dataclass(frozen=True)
class Section:
    """One section of a cfg with its options.

    Attributes:
        name: Long name of the section, without brackets.
        line: Line of `[name]` in the file, from 1.
        options: Options by key.
        source: Name of the file, for messages.
    """

    name: str
    line: int
    options: dict[str, Option] = field(default_factory=dict)
    source: str = "cfg"

    def where(self, key: str | None = None) -> str:
        """Return `file:line` of the option `key`, or of the section where it has no such option."""
        line = self.options[key].line if key in self.options else self.line
        return f"{self.source}:{line}"

    def text(self, key: str, default: str | None = None) -> str:
        """Return the value of an option as text.

        Args:
            key: Key of the option.
            default: Value of an absent option; `None` makes the option required.

        Raises:
            ValueError: If a required option is absent.
        """
        if key in self.options:
            return self.options[key].value
        if default is None:
            raise ValueError(f"{self.where()}: expected '{key}=' in [{self.name}], got none")
        return default

    def integer(self, key: str, default: int | None = None) -> int:
        """Return the value of an option as a whole number; see `text` for arguments and errors."""
        return self._one(key, default, parse=_parse_integer, expected="a whole number")

    def number(self, key: str, default: float | None = None) -> float:
        """Return the value of an option as a number; see `text` for arguments and errors."""
        return self._one(key, default, parse=_parse_number, expected="a number")

    def integers(self, key: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        """Return the comma-separated whole numbers of an option; see `text` for arguments and errors."""
        return self._many(key, default, parse=_parse_integer, expected="comma-separated whole numbers")

    def numbers(self, key: str, default: tuple[float, ...] | None = None) -> tuple[float, ...]:
        """Return the comma-separated numbers of an option; see `text` for arguments and errors."""
        return self._many(key, default, parse=_parse_number, expected="comma-separated numbers")

    def _one(self, key: str, default: Number | None, *, parse: Callable[[str], Number], expected: str) -> Number:
        if key not in self.options and default is not None:
            return default
        return self._parse(key, _without_comment(self.text(key)), parse=parse, expected=expected)

    def _many(
        self, key: str, default: tuple[Number, ...] | None, *, parse: Callable[[str], Number], expected: str
    ) -> tuple[Number, ...]:
        if key not in self.options and default is not None:
            return default
        parts = [part for part in _without_comment(self.text(key)).split(",") if part]
        if gap := self.options[key].gap:
            raise ValueError(f"{self.where(key)}: expected {expected} for '{key}', got {_shown(gap)} without a comma")
        return tuple(self._parse(key, part, parse=parse, expected=expected) for part in parts)

    def _parse(self, key: str, text: str, *, parse: Callable[[str], Number], expected: str) -> Number:
        try:
            return parse(text)
        except ValueError as error:
            got = _shown(self.options[key].value)
            raise ValueError(
                f"{self.where(key)}: expected {expected} for '{key}' in [{self.name}], got {got}"
            ) from error


@dataclass(frozen=True)
class Cfg:
    """A parsed cfg file.

    Attributes:
        net: The [net] section.
        layers: The other sections in order. Layer 0 is the first section after [net].
        text: The file as it was read, which `cfg_bytes` writes back byte for byte.
        source: Name of the file, for messages.
    """

    net: Section
    layers: tuple[Section, ...]
    text: str = ""
    source: str = "cfg"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Return (height, width, channels) of the network input in pixels; a side that the file omits is 0."""
        net = self.net
        return net.integer("height", 0), net.integer("width", 0), net.integer("channels", 3)


def parse_cfg(text: str, source: str = "cfg") -> Cfg:
    """Parse the text of a cfg; the inverse of `format_cfg`.

    Args:
        text: Text of the file. A byte order mark is skipped.
        source: Name of the file, for messages.

    Raises:
        ValueError: With `source` and line, for an option outside a section, a line that is not an option, a text
            without sections, and a first section other than [net].

    Example:
        >>> cfg = parse_cfg("[net]\\nwidth=416\\nheight=416\\n[convolutional]\\nfilters=32\\n")
        >>> cfg.layers[0].integer("filters")
        32
    """
    sections: list[Section] = []
    for line, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        content = re.sub(r"[ \t\r]", "", raw)
        if not content or content[0] in "#;":
            continue

        if content.startswith("["):
            if not content.endswith("]") or len(content) < 3:
                raise ValueError(f"{source}:{line}: expected a section such as [convolutional], got {_shown(content)}")
            name = content[1:-1]
            sections.append(Section(ALIASES.get(name, name), line, source=source))
            continue

        if not sections:
            raise ValueError(f"{source}:{line}: expected a section such as [net] first, got {_shown(content)}")
        key, equals, value = content.partition("=")
        if not equals or not key:
            raise ValueError(f"{source}:{line}: expected 'key=value', got {_shown(content)}")
        parts = _without_comment(raw.partition("=")[2]).split(",")
        gap = next((part.strip() for part in parts if len(part.split()) > 1), "")
        sections[-1].options.setdefault(key, Option(value, line, gap))

    if not sections:
        raise ValueError(f"{source}: expected a Darknet cfg, got a file without sections")
    if sections[0].name != "net":
        raise ValueError(f"{sections[0].where()}: expected [net] as the first section, got [{sections[0].name}]")
    return Cfg(sections[0], tuple(sections[1:]), text=text, source=source)


def read_cfg(path: str | os.PathLike[str]) -> Cfg:
    """Read a cfg file and keep its text exactly, line endings and bytes that are not UTF-8 included.

    Raises:
        OSError: If the file cannot be read.
        ValueError: As `parse_cfg`.
    """
    text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
    return parse_cfg(text, os.fspath(path))


def cfg_bytes(cfg: Cfg) -> bytes:
    """Return the bytes of the file that `read_cfg` read; those of `format_cfg` for a cfg without text."""
    return (cfg.text or format_cfg(cfg)).encode("utf-8", "surrogateescape")


def format_cfg(cfg: Cfg) -> str:
    """Return a cfg as plain text without comments; the inverse of `parse_cfg`.

    One `key=value` per line, and an empty line between sections.
    """
    texts = []
    for section in (cfg.net, *cfg.layers):
        options = (f"{key}={option.value}" for key, option in section.options.items())
        texts.append("\n".join([f"[{section.name}]", *options]) + "\n")
    return "\n".join(texts)


def replace_option(cfg: Cfg, section: Section, key: str, value: str) -> Cfg:
    """Return the cfg with one option set and all other text kept.

    Args:
        cfg: A cfg with its text.
        section: A section of `cfg`. An option that it lacks becomes its first one.
        key: Key of the option.
        value: Its new value.
    """
    lines = cfg.text.split("\n")
    has_option = key in section.options
    line = section.options[key].line if has_option else section.line
    end = "\r" if lines[line - 1].endswith("\r") else ""
    lines[line - 1 if has_option else line : line] = [f"{key}={value}{end}"]
    return parse_cfg("\n".join(lines), cfg.source)


def format_anchor_list(anchors: Sequence[Sequence[float]]) -> str:
    """Return anchors [N, 2], (w, h) in pixels, as the value of `anchors=`, such as `10,13, 16,30`."""
    return ", ".join(f"{float(width):.6g},{float(height):.6g}" for width, height in anchors)


def _shown(text: str) -> str:
    """Return any text as a message can hold it: on one line, printable, at most 40 characters."""
    return ascii(text if len(text) <= 40 else text[:37] + "...")


def _without_comment(value: str) -> str:
    return value.partition("#")[0]


def _parse_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _parse_integer(text: str) -> int:
    number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)
