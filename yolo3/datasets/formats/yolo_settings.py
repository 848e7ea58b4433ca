"""The settings files of YOLO data sets: data.yaml (Ultralytics) and Darknet's .data file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from yolo3.datasets.class_names import MAX_NUMBERED, numbered_class_names
from yolo3.files import has_suffix, read_text, text_head
from yolo3.records import shown

LIST_NAMES = ("train", "val", "valid", "validation", "test")
_YAML_SUFFIXES, _DARKNET_SUFFIX = (".yaml", ".yml"), ".data"
_USUAL_NAMES = ("data.yaml", "dataset.yaml")
_MAX_BYTES = 1 << 20  # the names of 20,000 classes take half of it
_MAX_DEPTH = 50
_CORRECT = "correct the file"
_PATH_LINE = re.compile(rf"""^\s*(({"|".join(("path", *LIST_NAMES))})\s*:|-\s*["']?([A-Za-z]:|\.\.?)\\)""")


@dataclass(frozen=True)
class Settings:
    """Content of a settings file.

    Attributes:
        file: Path of the file.
        values: Values by key: text, or lists and mappings of text.
        lines: Line of each key.
    """

    file: str
    values: dict[str, Any]
    lines: dict[str, int]

    def where(self, key: str) -> str:
        """Return "file:line" of a key, the file alone if it has no such key."""
        return f"{self.file}:{self.lines[key]}" if key in self.lines else self.file

    def entries(self, key: str) -> list[str]:
        """Return the paths that a list consists of, with slashes; [] if there is no such list.

        Raises:
            ValueError: If the value is neither a path nor a list of paths.
        """
        value = self.values.get(key) or []
        entries = [value] if isinstance(value, str) else value
        if not isinstance(entries, list) or not all(isinstance(entry, str) and entry for entry in entries):
            raise ValueError(
                f"{self.where(key)}: expected a path or a list of paths for '{key}', got {shown(value, text_of=str)}"
            )
        return [entry.replace("\\", "/") for entry in entries]


def find_settings(folder: str, deep: bool = True) -> Iterator[Settings]:
    """Yield the settings files of a folder, the usual name first.

    Args:
        folder: The folder.
        deep: Whether to look into its only folder too, if it holds nothing else (but hidden or text files), as unpacked
            archives do.

    Yields:
        Content of the data.yaml and .data files.
    """
    entries = sorted(os.scandir(folder), key=lambda entry: (entry.name != "data.yaml", entry.name))
    entries = [entry for entry in entries if not entry.name.startswith((".", "__MACOSX"))]
    inner = [entry.path for entry in entries if not has_suffix(entry.name, ".txt")]
    if deep and len(inner) == 1 and os.path.isdir(inner[0]):
        yield from find_settings(inner[0], deep=False)
    for entry in entries:
        if (
            has_suffix(entry.name, (*_YAML_SUFFIXES, _DARKNET_SUFFIX))
            and os.path.isfile(entry.path)
            and not _is_foreign(entry.path)
        ):
            settings = parse_settings(entry.path)
            if settings is not None:
                yield settings


def parse_settings(path: str) -> Settings | None:
    """Parse a data.yaml or a .data file, None for any other file; see `parse_yaml`."""
    return parse_yaml(path) or parse_darknet_data(path)


def parse_yaml(path: str) -> Settings | None:
    """Parse an Ultralytics data file.

    Paths of Windows may stand in double quotes, though YAML reads backslashes there as escapes.

    Returns:
        Its content, all values as text; None for any other file.

    Raises:
        ValueError: If the YAML is malformed or of no sensible size; the message has the line.
    """
    if not has_suffix(path, _YAML_SUFFIXES):
        return None
    size = os.path.getsize(path)
    if size > _MAX_BYTES:
        raise ValueError(f"{path}: expected a settings file of up to {_MAX_BYTES >> 20} MiB, got {size >> 20} MiB")

    lines = [line.replace("\\", "/") if _PATH_LINE.match(line) else line for line in read_text(path).split("\n")]
    depth = 0
    for number, line in enumerate(lines, 1):
        for bracket in re.findall(r"[\[\]{}]", line):
            depth += 1 if bracket in "[{" else -1
            if depth > _MAX_DEPTH:  # the parser takes seconds before it gives up
                raise ValueError(f"{path}:{number}: expected YAML of a few levels, got over {_MAX_DEPTH}; {_CORRECT}")
    try:
        loader = _TextLoader("\n".join(lines))
        node = loader.get_single_node()
        values = loader.construct_document(node) if node is not None else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error).split("\n")[0]
        raise ValueError(f"{path}{line}: expected YAML, got '{problem}'; {_CORRECT}") from error
    except RecursionError:
        raise ValueError(f"{path}: expected YAML of a few levels, got hundreds; {_CORRECT}") from None
    except (ValueError, OverflowError) as error:  # of an escaped character that there is not
        raise ValueError(f"{path}: expected YAML, got an escaped character that does not exist; {_CORRECT}") from error

    usual = os.path.basename(path).lower() in _USUAL_NAMES
    if not isinstance(values, dict) or not ("names" in values or usual) or not any(map(values.get, LIST_NAMES)):
        return None
    key_lines: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key_lines.setdefault(str(key.value), line) != line:
            first = key_lines[key.value]
            raise ValueError(f"{path}:{line}: expected '{key.value}' once, got it again (first on line {first})")
    return Settings(path, values, key_lines)


def parse_darknet_data(path: str) -> Settings | None:
    """Parse the `key = value` lines of a Darknet .data file, None for any other file."""
    if not has_suffix(path, _DARKNET_SUFFIX):
        return None
    values, lines = {}, {}
    for number, line in enumerate(text_head(path, _MAX_BYTES).splitlines(), 1):
        key, equals, value = line.partition("=")
        if equals and not key.lstrip().startswith("#"):
            values[key.strip()], lines[key.strip()] = value.strip(), number
    return Settings(path, values, lines) if "train" in values or "valid" in values else None


def class_names_of(settings: Settings) -> list[str]:
    """Return the class names of a data.yaml: `names`, else as many numbered ones as `nc` states, [] without either.

    Raises:
        ValueError: If they are not a list or `id: name` pairs with ids from 0, or if `nc` is another number.
    """
    where, names = settings.where("names"), settings.values.get("names")
    number = str(settings.values.get("nc") or "")
    if "names" not in settings.values:
        has_number = re.fullmatch("[0-9]{1,5}", number) and 0 < int(number) <= MAX_NUMBERED
        return numbered_class_names([int(number) - 1]) if has_number else []
    if isinstance(names, dict):
        ids = [str(number) for number in range(len(names))]
        if set(names) != set(ids):
            raise ValueError(f"{where}: expected names with ids from 0 to {len(names) - 1}, got {', '.join(names)}")
        names = [names[number] for number in ids]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError(f"{where}: expected 'names' to be a list or 'id: name' pairs, got {shown(names, text_of=str)}")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{where}: expected each class name once, got '{twice}' again")

    stated = settings.values.get("nc") or str(len(names))
    if not isinstance(stated, str) or stated.strip() != str(len(names)):
        raise ValueError(
            f"{settings.file}: expected as many names as 'nc' states, {shown(stated, text_of=str)}, got {len(names)}; "
            "correct one of them"
        )
    return names


class _TextLoader(yaml.BaseLoader):
    """Reads all values as text, as a class may be called "no".

    Refuses aliases of lists and mappings: nine levels of them are a billion values.
    """

    def compose_node(self, parent, index):
        """Return the next node; raises for an alias of anything but text."""
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            if not isinstance(self.anchors.get(event.anchor), (yaml.ScalarNode, type(None))):
                problem = f"*{event.anchor}, an alias of a list or a mapping, which settings do not need"
                raise yaml.composer.ComposerError(None, None, problem, event.start_mark)
        return super().compose_node(parent, index)


def _is_foreign(path: str) -> bool:
    """Return whether a YAML file, which need not be well-formed, has nothing to do with data sets."""
    return (
        has_suffix(path, _YAML_SUFFIXES)
        and os.path.basename(path).lower() not in _USUAL_NAMES
        and re.search(r"""^["']?names["']?\s*:""", text_head(path, _MAX_BYTES), re.MULTILINE) is None
    )
