"""Parse and print the text of a Darknet cfg file.

The grammar is that of Darknet's `parser.c:read_cfg` and `option_list.c`: a section opens with ``[name]``,
options are ``key=value``, blanks and tabs mean nothing anywhere, lines that start with ``#`` or ``;`` are
comments, and of two options with one key the first counts. Where Darknet goes on in silence (a line that is
no option, a number that is none) this module stops, with file and line. Line ends may be Unix or Windows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, TypeVar

Number = TypeVar("Number", int, float)

# The short names that Darknet's parser.c takes for the same section.
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
    """The value of one key, as text, and the line that holds it."""

    value: str
    line: int


@dataclass(frozen=True)
class Section:
    """One ``[name]`` with its options. `name` is the long name, `line` counts from 1."""

    name: str
    line: int
    options: dict[str, Option] = field(default_factory=dict)
    source: str = "cfg"

    def where(self, key: str | None = None) -> str:
        """`file:line` of the section, or of one of its options."""
        line = self.options[key].line if key in self.options else self.line
        return f"{self.source}:{line}"

    def text(self, key: str, default: str | None = None) -> str:
        """The value as it stands. Raises ValueError where the key is absent and there is no default."""
        if key in self.options:
            return self.options[key].value
        if default is None:
            raise ValueError(f"{self.where()}: expected '{key}=' in [{self.name}], got none")
        return default

    def integer(self, key: str, default: int | None = None) -> int:
        return self._one(key, default, _integer, "a whole number")

    def number(self, key: str, default: float | None = None) -> float:
        return self._one(key, default, float, "a number")

    def integers(self, key: str, default: tuple[int, ...] | None = None) -> tuple[int, ...]:
        return self._many(key, default, _integer, "whole numbers")

    def numbers(self, key: str, default: tuple[float, ...] | None = None) -> tuple[float, ...]:
        return self._many(key, default, float, "numbers")

    def _one(self, key: str, default: Number | None, kind: Callable[[str], Number], words: str) -> Number:
        if key not in self.options and default is not None:
            return default
        return self._convert(key, _without_remark(self.text(key)), kind, words)

    def _many(
        self, key: str, default: tuple[Number, ...] | None, kind: Callable[[str], Number], words: str
    ) -> tuple[Number, ...]:
        if key not in self.options and default is not None:
            return default
        parts = [part for part in _without_remark(self.text(key)).split(",") if part]
        return tuple(self._convert(key, part, kind, words + " with commas between") for part in parts)

    def _convert(self, key: str, text: str, kind: Callable[[str], Number], words: str) -> Number:
        try:
            return kind(text)
        except ValueError as error:
            got = self.options[key].value
            raise ValueError(
                f"{self.where(key)}: expected {words} for '{key}' in [{self.name}], got {_shown(got)}"
            ) from error


@dataclass(frozen=True)
class Cfg:
    """A whole file: the [net] section, then the layers in order. Layer 0 is the first section after [net].

    `text` is the file as it was read, to be written back byte for byte.
    """

    net: Section
    layers: tuple[Section, ...]
    text: str = ""
    source: str = "cfg"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the network input, in pixels; 0 where the file does not say."""
        net = self.net
        return net.integer("height", 0), net.integer("width", 0), net.integer("channels", 3)


def parse_cfg(text: str, source: str = "cfg") -> Cfg:
    """The sections of a cfg text.

    Raises ValueError, with `source` and line, for an option outside a section, a line that is no option, and
    a first section other than [net]. Its inverse is `format_cfg`.
    """
    sections: list[Section] = []
    for line, content in _content_lines(text):
        if content.startswith("["):
            sections.append(_open_section(content, line, source))
        elif not sections:
            raise ValueError(f"{source}:{line}: expected a section such as [net] first, got {_shown(content)}")
        else:
            key, value = _split_option(content, line, source)
            sections[-1].options.setdefault(key, Option(value, line))
    if not sections:
        raise ValueError(f"{source}: expected a Darknet cfg, got a file without sections")
    if sections[0].name != "net":
        raise ValueError(f"{sections[0].where()}: expected [net] as the first section, got [{sections[0].name}]")
    return Cfg(sections[0], tuple(sections[1:]), text, source)


def read_cfg(path: str | os.PathLike[str]) -> Cfg:
    """The cfg in a file. Its text is kept exactly (line ends, and bytes that are not UTF-8). Raises
    ValueError as `parse_cfg`.
    """
    text = Path(path).read_bytes().decode("utf-8", "surrogateescape")
    return parse_cfg(text, os.fspath(path))


def cfg_bytes(cfg: Cfg) -> bytes:
    """The bytes of the file that `read_cfg` read; of a cfg made here, those of its text."""
    return (cfg.text or format_cfg(cfg)).encode("utf-8", "surrogateescape")


def format_cfg(cfg: Cfg) -> str:
    """The cfg as plain text, without remarks: one `key=value` a line, an empty line after each section. The
    inverse of `parse_cfg`.
    """
    return "\n".join(_format_section(section) for section in (cfg.net, *cfg.layers))


def replace_option(cfg: Cfg, section: Section, key: str, value: str) -> Cfg:
    """The same cfg with the one option changed, all other text kept. Raises KeyError where `section` has no
    such option.
    """
    line = section.options[key].line
    lines = cfg.text.split("\n")
    end = "\r" if lines[line - 1].endswith("\r") else ""
    lines[line - 1] = f"{key}={value}{end}"
    return parse_cfg("\n".join(lines), cfg.source)


def format_anchor_list(anchors: Sequence[Sequence[float]]) -> str:
    """Anchors [N, 2], (w, h) in pixels, as the value of `anchors=`: `10,13, 16,30`."""
    return ", ".join(f"{float(width):.6g},{float(height):.6g}" for width, height in anchors)


def _format_section(section: Section) -> str:
    lines = [f"[{section.name}]", *(f"{key}={option.value}" for key, option in section.options.items())]
    return "\n".join(lines) + "\n"


def _content_lines(text: str) -> Iterator[tuple[int, str]]:
    for line, raw in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        content = re.sub(r"[ \t\r]", "", raw)
        if content and content[0] not in "#;":
            yield line, content


def _open_section(content: str, line: int, source: str) -> Section:
    if not content.endswith("]") or len(content) < 3:
        raise ValueError(f"{source}:{line}: expected a section such as [convolutional], got {_shown(content)}")
    name = content[1:-1]
    return Section(ALIASES.get(name, name), line, {}, source)


def _split_option(content: str, line: int, source: str) -> tuple[str, str]:
    key, equals, value = content.partition("=")
    if not equals or not key:
        raise ValueError(f"{source}:{line}: expected 'key=value', got {_shown(content)}")
    return key, value


def _shown(text: str) -> str:
    """Text as a message can hold it, whatever the file is: on one line, printable, not too long."""
    return ascii(text if len(text) <= 40 else text[:37] + "...")


def _without_remark(value: str) -> str:
    return value.partition("#")[0]


def _integer(text: str) -> int:
    number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)
