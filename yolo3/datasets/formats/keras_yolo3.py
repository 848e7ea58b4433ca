"""Text files of keras-yolo3: one image per line, `path x_min,y_min,x_max,y_max,class_id x_min,...`.

Coordinates are pixels of the upright image, origin top left; a line without boxes is a background image. Read
tolerantly: paths with spaces (quoted or not), decimals, trailing commas, blank lines, '#' comments.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from yolo3.datasets.annotation import Annotation, Box, Dataset, Finding, build_annotation, without_crowd
from yolo3.datasets.class_names import (
    ClassMap,
    FolderNames,
    find_names_file,
    is_class_id,
    numbered_class_names,
    read_class_names,
    write_class_names,
)
from yolo3.datasets.copy_images import ImageCopies, path_for_list
from yolo3.datasets.find_images import ListedPaths, only_image, without_contested
from yolo3.datasets.formats.format import Format, NewLists
from yolo3.datasets.formats.names import DESCRIPTIONS
from yolo3.datasets.image_size import size_or_none
from yolo3.datasets.images import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from yolo3.datasets.lists import dataset_name, list_of, require_list
from yolo3.files import has_suffix, read_lines, replace_file, text_head, walk_files

NAME = "keras-yolo3"
_EXPECTED = "expected 'x_min,y_min,x_max,y_max,class_id'"
_SUFFIX = rf"({'|'.join(re.escape(suffix) for suffix in IMAGE_SUFFIXES)})"
_PATH_AND_MORE = re.compile(rf".*?{_SUFFIX}(?=\s)", re.IGNORECASE)
_GLUED = re.compile(rf"(.*{_SUFFIX})[-+.\d][^,\s]{{0,20}}(,[^,\s]{{0,20}}){{3,4}},?", re.IGNORECASE)
# How much of a file decides whether it is in this format.
_LINES_LOOKED_AT = 200
_BYTES_LOOKED_AT = 1 << 18


@dataclass(frozen=True)
class ParsedLine:
    """Image path, boxes, and what is wrong with each token that should have been a box."""

    path: str
    boxes: list[Box]
    faults: list[str]


def matches(path: str) -> bool:
    """Return whether a file, or a text file in a folder or directly below it, has a line with boxes in this form."""
    if os.path.isdir(path):
        return bool(_list_files(path))
    return os.path.isfile(path) and _has_box_line(path)


def list_names(path: str) -> list[str]:
    """Return the names of a folder's text files; a file has none."""
    return list(_list_files(path)) if os.path.isdir(path) else []


def read(path: str, class_names: Sequence[str] | None = None, list_name: str | None = None) -> Dataset:
    """Read one text file, one list of a folder, or all lists of a folder.

    Args:
        path: The file or folder.
        class_names: Classes of the result. If the data names its own (classes.txt beside it), ids are mapped by name,
            folder by folder.
        list_name: Name of a list of the folder.

    Returns:
        The data set.

    Raises:
        ValueError: If the path holds nothing in this format, or there is no such list.
    """
    lists = _list_files(path) if os.path.isdir(path) else {}
    if list_name is not None:
        require_list(path, list_name, lists)
        files = [lists[list_name]]
    elif os.path.isfile(path):
        if os.path.getsize(path) and not text_head(path, _BYTES_LOOKED_AT):
            raise ValueError(f"{path}: expected lines 'path x_min,y_min,x_max,y_max,class_id ...', got no text")
        files = [path]
    elif lists:
        files = list(lists.values())
    else:
        raise ValueError(f"{path}: expected a text file or a folder with text files of keras-yolo3, got none")

    name_files = dict.fromkeys(found for file in files if (found := find_names_file(file, path)) is not None)
    own = FolderNames({file: read_class_names(file) for file in name_files}) if name_files else None
    annotations: list[Annotation] = []
    names: list[str] = []
    findings = own.findings(path) if own is not None else []
    for file in files:
        class_map = None if own is None else ClassMap(own.of(file), class_names or own.names)
        images = ListedPaths(file, path)
        for number, line in enumerate(read_lines(file), 1):
            parsed = parse_line(line)
            if parsed is None:
                continue
            where = f"{file}:{number}"
            findings += [Finding("error", "bad-box", where, fault) for fault in parsed.faults]
            image = only_image(images.find(parsed.path), parsed.path, where, findings, images)
            if image is None:
                continue
            names.append(parsed.path)
            boxes = parsed.boxes if class_map is None else class_map.apply(parsed.boxes, where, findings)
            boxes = [replace(box, line=number) for box in boxes]
            annotations.append(build_annotation(image, boxes, where, size_or_none(image)))
    annotations = without_contested(annotations, names, findings)

    if not annotations and not findings:
        raise ValueError(f"{path}: expected lines 'path x_min,y_min,x_max,y_max,class_id ...', got no images")
    class_names = list(class_names or (own.names if own is not None else _names_from_ids(path, annotations)))
    return Dataset(annotations, class_names, format=NAME, findings=findings, name=dataset_name(path, list_name))


def write(dataset: Dataset, path: str, images: ImageCopies | None = None) -> None:
    """Write a text file (a path that ends in .txt) or `<list>.txt` in a folder, and classes.txt beside it.

    Images stay where they are, or are copied to images/ beside it. The format knows neither difficult objects, whose
    mark is lost, nor crowd regions, which are left out and counted in the log.

    Args:
        dataset: The data set.
        path: The text file or the folder.
        images: Copies of the images; None to leave them where they are.
    """
    file = path if has_suffix(path, ".txt") else os.path.join(path, f"{list_of(dataset)}.txt")
    folder = os.path.dirname(os.path.abspath(file))
    annotations = without_crowd(dataset.annotations, NAME)
    if images is not None:
        place = os.path.join(folder, "images")
        annotations = [replace(item, image_path=images.place(item.image_path, place)) for item in annotations]
    lines = [format_line(annotation, folder) for annotation in annotations]
    replace_file(file, "".join(f"{line}\n" for line in lines))
    write_class_names(os.path.join(folder, "classes.txt"), dataset.class_names)


def format_lists(lists: Mapping[str, Dataset], path: str, suffix: str) -> NewLists:
    """Return a text file for each list, and classes.txt where the data names no classes yet."""
    folder = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
    files = {
        os.path.join(folder, f"{name}{suffix}.txt"): "".join(
            f"{format_line(item, folder)}\n" for item in part.annotations
        )
        for name, part in lists.items()
    }
    if find_names_file(next(iter(files)), folder) is None:
        names = next(iter(lists.values())).class_names
        files[os.path.join(folder, "classes.txt")] = "".join(f"{name}\n" for name in names)
    return NewLists(files, folder, {name: name + suffix for name in lists})


FORMAT = Format(
    name=NAME,
    description=DESCRIPTIONS[NAME],
    looked_for="text lines 'path x_min,y_min,x_max,y_max,class_id'",
    matches=matches,
    list_names=list_names,
    read=read,
    write=write,
    format_lists=format_lists,
    recorded=True,
)


def parse_line(line: str) -> ParsedLine | None:
    """Take a line apart, boxes from the right end; inverse of `format_line`.

    Args:
        line: The line.

    Returns:
        Its parts, None for blank lines and comments.
    """
    line = line.strip().lstrip("\ufeff")
    if not line or line.startswith("#"):
        return None
    path, tokens, faults = _split_line(line)
    boxes: list[Box] = []
    for token in tokens:
        try:
            boxes.append(_parse_box(token))
        except ValueError as error:
            faults.append(str(error))
    return ParsedLine(path, boxes, faults)


def format_line(annotation: Annotation, folder: str) -> str:
    """Return the line for a text file in `folder`; inverse of `parse_line`.

    Raises:
        ValueError: If the image's path cannot be written, because it holds both kinds of quotes or ends of line.
    """
    path = path_for_list(annotation.image_path, folder)
    if re.search(r"\s", path) or path[:1] in "#'\"":
        if "\n" in path or "\r" in path or ('"' in path and "'" in path):
            raise ValueError(f"{path!r}: expected a path without line ends and without both kinds of quotes; rename it")
        path = f"'{path}'" if '"' in path else f'"{path}"'
    # Nine digits keep a float32.
    boxes = [
        ",".join(str(int(value)) if value == int(value) else f"{value:.9g}" for value in [*box.tolist(), class_id])
        for box, class_id in zip(annotation.boxes, annotation.class_ids, strict=True)
    ]
    return " ".join([path, *boxes])


def _split_line(line: str) -> tuple[str, list[str], list[str]]:
    """Return path, box tokens, and faults found on the way."""
    if line[0] in "\"'" and line.find(line[0], 1) > 0:
        end = line.index(line[0], 1)
        tokens = line[end + 1 :].split()
        return line[1:end], [token for token in tokens if token != ","], []

    words = list(re.finditer(r"\S+", line))
    first_box = len(words)
    while first_box > 1 and _is_box_like(words[first_box - 1].group()):
        first_box -= 1
    path = line[: words[first_box - 1].end()]
    tokens = [word.group() for word in words[first_box:]]

    if has_suffix(path, IMAGE_SUFFIXES):
        return path, tokens, []
    if has_suffix(path.rstrip(",;"), IMAGE_SUFFIXES):
        return path.rstrip(",;"), tokens, []

    # A 'path' that goes on after an image's suffix holds words that belong to neither path nor boxes.
    glued = _GLUED.fullmatch(path)
    if glued is not None:
        return glued.group(1), tokens, [f"expected a blank between the image and its first box, got '{path}'"]
    match = _PATH_AND_MORE.match(path)
    if match is None:
        return path, tokens, []
    stray = path[match.end() :].split()
    boxes = [word for word in stray if _is_box_like(word)]
    others = " ".join(word for word in stray if not _is_box_like(word))
    return match.group(), boxes + tokens, [f"{_EXPECTED}, without spaces inside a box, got '{others}'"]


def _is_box_like(token: str) -> bool:
    return bool(re.match(r"[-+.\d][^,]*,", token)) and not has_suffix(token, IMAGE_SUFFIXES)


def _parse_box(token: str) -> Box:
    fields = token.removesuffix(",").split(",")
    if len(fields) != 5:
        raise ValueError(f"{_EXPECTED}, got '{token}'")
    try:
        x_min, y_min, x_max, y_max, class_id = (float(value) for value in fields)
    except ValueError:
        raise ValueError(f"{_EXPECTED}, five numbers, got '{token}'") from None
    if not all(map(math.isfinite, (x_min, y_min, x_max, y_max))) or not is_class_id(class_id):
        raise ValueError(f"{_EXPECTED} with finite coordinates and a whole class id, got '{token}'")
    return Box((x_min, y_min, x_max, y_max), int(class_id))


def _list_files(folder: str) -> dict[str, str]:
    """Map name to path of the text files with boxes in a folder and in the folders directly below it."""
    lists = {}
    for file in walk_files(folder):
        relative = os.path.relpath(file, folder)
        if has_suffix(file, ".txt") and relative.count(os.sep) <= 1 and _has_box_line(file):
            name = os.path.splitext(relative)[0].replace(os.sep, "/")
            lists[name.removesuffix("/_annotations")] = file  # train/_annotations.txt is the list "train"
    return lists


def _has_box_line(file: str) -> bool:
    for line in text_head(file, _BYTES_LOOKED_AT).splitlines()[:_LINES_LOOKED_AT]:
        parsed = parse_line(line)
        if parsed is None or not has_suffix(parsed.path, (*IMAGE_SUFFIXES, *UNREAD_SUFFIXES)):
            continue
        # Numbers alone behind the image are boxes, right or not, so that their faults are reported.
        rest = line.strip().removeprefix(parsed.path)
        if parsed.boxes or (len(re.findall(r"[\d.]+", rest)) >= 4 and re.fullmatch(r"[-+.,\d\s]+", rest)):
            return True
    return False


def _names_from_ids(path: str, annotations: list[Annotation]) -> list[str]:
    """Return numbered names, counted over all lists of a folder so that each list gives the same ones."""
    ids = [int(class_id) for annotation in annotations for class_id in annotation.class_ids]
    for file in _list_files(path).values() if os.path.isdir(path) else []:
        parsed = (parse_line(line) for line in read_lines(file))
        ids += [box.class_id for line in parsed if line is not None for box in line.boxes]
    return numbered_class_names(ids)
