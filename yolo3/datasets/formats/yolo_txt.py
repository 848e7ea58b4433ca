"""YOLO's own form: a text file an image, `class_id centre_x centre_y width height` a line, relative to the
image.

Found through data.yaml (Ultralytics), a Darknet .data file, lists of image paths, or folders of images
with labels beside them or in labels/. Polygons become the boxes around them.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from yolo3.datasets.annotation import (
    Annotation,
    Box,
    Dataset,
    Finding,
    build_annotation,
    without_crowd,
)
from yolo3.datasets.class_names import ClassMap, find_class_names, is_class_id, numbered_class_names, read_class_names
from yolo3.datasets.copy_images import copy_image
from yolo3.datasets.find_images import ListedPaths, folder_distance, missing_image
from yolo3.datasets.formats.format import Format
from yolo3.datasets.image_size import image_size
from yolo3.datasets.images import IMAGE_SUFFIXES
from yolo3.datasets.lists import dataset_name, group_by_folder, list_of, require_list
from yolo3.files import has_suffix, read_lines, read_text, replace_file, stem_of, text_head, walk_files

NAME = "yolo"
_IMAGE_FOLDERS = ("images", "jpegimages", "image", "imgs", "img")
_LABEL_FOLDERS = ("labels", "label", "Labels")
_IMAGES_LOOKED_AT = 50
_LISTS = ("train", "val", "valid", "validation", "test")
_EXPECTED = "expected 'class_id centre_x centre_y width height' with fractions of the image"


@dataclass
class Layout:
    """Where a data set's images are, by list (name to folders or text files), and its class names."""

    lists: dict[str, list[str]] = field(default_factory=dict)
    names: list[str] | None = None
    loose: list[str] = field(default_factory=list)  # images, or lists of them, without a list's name


def matches(path: str) -> bool:
    """Whether a path is, or holds, a data.yaml, a Darknet .data file, or images with label files in this
    form.
    """
    if os.path.isfile(path):
        if _parse_yaml(path) is not None or _parse_darknet_data(path) is not None:
            return True
        return _has_labels(_listed_images(path), LabelIndex(path))
    if any(_settings_in(path)):
        return True
    labels = LabelIndex(path)
    return _has_labels((image for image in labels.images if labels.find(image) is not None), labels)


def list_names(path: str) -> list[str]:
    """Names of the lists: those of data.yaml or the .data file, else text files of paths, else folders."""
    return list(_find_layout(path).lists)


def read(path: str, class_names: Sequence[str] | None = None, list_name: str | None = None) -> Dataset:
    """Read a folder, one of its lists, a data.yaml, a .data file or a text file of image paths.

    When the data names its classes and `class_names` is given too, ids are mapped by name. Raises ValueError
    when there is nothing of this format or not that list.
    """
    layout = _find_layout(path)
    findings: list[Finding] = []
    images = _images_to_read(path, layout, list_name, findings)
    id_map = None
    if class_names is not None and layout.names is not None:
        id_map = ClassMap(layout.names, class_names)
    annotations: list[Annotation] = []
    without_label = []
    labels = LabelIndex(path)
    for image in images:
        label = labels.find(image)
        if label is None:
            without_label.append(image)
        annotation = _read_image(image, label, id_map, findings)
        if annotation is not None:
            annotations.append(annotation)
    if without_label:
        findings.append(
            Finding(
                "warning",
                "no-annotation",
                path,
                f"{len(without_label)} images have no label file and count as background, first {without_label[0]}",
            )
        )
    if not annotations and not findings:
        raise ValueError(f"{path}: expected images with label files, got no images")
    names = list(class_names) if class_names is not None else layout.names or _numbered(layout, labels)
    return Dataset(annotations, names, NAME, findings, dataset_name(path, list_name))


def write(dataset: Dataset, path: str) -> None:
    """Write images/<list>/, labels/<list>/ and data.yaml into a folder; images are copied.

    Lists that data.yaml has already stay. Whether a box is difficult is not kept; crowd regions are left out
    and counted in the log.
    """
    part = list_of(dataset)
    images: set[str] = set()
    for annotation in without_crowd(dataset.annotations, NAME):
        image = copy_image(annotation.image_path, os.path.join(path, "images", part), images)
        label = os.path.join(path, "labels", part, stem_of(image) + ".txt")
        replace_file(label, format_label(annotation, image_size(image)))
    settings_file = os.path.join(path, "data.yaml")
    old = _parse_yaml(settings_file) if os.path.isfile(settings_file) else None
    settings = {key: value for key, value in (old or {}).items() if key in _LISTS}
    settings |= {part: f"images/{part}", "names": dict(enumerate(dataset.class_names))}
    replace_file(settings_file, yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


FORMAT = Format(
    name=NAME,
    description="YOLO's text files, one an image, with or without data.yaml",
    looked_for="data.yaml or label files 'class_id x y w h'",
    matches=matches,
    list_names=list_names,
    read=read,
    write=write,
)


# Label files


def parse_label(text: str, image_shape: tuple[int, int]) -> tuple[list[Box], list[tuple[int, str]]]:
    """Boxes in pixels of an image of `image_shape` (height, width), and (line, what is wrong). Inverse of
    `format_label`.
    """
    boxes: list[Box] = []
    faults: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                boxes.append(_parse_label_line(line, image_shape, number))
            except ValueError as error:
                faults.append((number, str(error)))
    return boxes, faults


def format_label(annotation: Annotation, image_shape: tuple[int, int]) -> str:
    """The text of a label file."""
    height, width = image_shape
    lines = []
    for box, class_id in zip(annotation.boxes.astype(float), annotation.class_ids, strict=True):
        x_min, y_min, x_max, y_max = box
        values = (
            (x_min + x_max) / 2 / width,
            (y_min + y_max) / 2 / height,
            (x_max - x_min) / width,
            (y_max - y_min) / height,
        )
        lines.append(" ".join([str(int(class_id)), *(f"{value:.9g}" for value in values)]) + "\n")
    return "".join(lines)


def _parse_label_line(line: str, image_shape: tuple[int, int], number: int) -> Box:
    try:
        class_id, *values = (float(word) for word in line.split())
    except ValueError:
        raise ValueError(f"{_EXPECTED}, got '{line.strip()}'") from None
    if len(values) == 5:
        raise ValueError(
            f"{_EXPECTED}, got six numbers; a sixth number is the confidence of a detection: these are "
            "results, not labels"
        )
    if len(values) < 4 or len(values) % 2 or not is_class_id(class_id) or not all(map(math.isfinite, values)):
        raise ValueError(f"{_EXPECTED}, or a polygon 'class_id x1 y1 x2 y2 x3 y3 ...', got '{line.strip()}'")
    if max(map(abs, values)) > 2:
        raise ValueError(f"{_EXPECTED} 0..1, got '{line.strip()}': these look like pixels")
    height, width = image_shape
    x_min, y_min, x_max, y_max = _corners(values)
    return Box((x_min * width, y_min * height, x_max * width, y_max * height), int(class_id), line=number)


def _corners(values: list[float]) -> tuple[float, float, float, float]:
    """Relative corners of a box (four numbers) or around a polygon (six numbers or more)."""
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])


def find_label(image: str) -> str | None:
    """The label file of an image: labels/ in place of the last images/ of its path, beside it, or in labels/
    there.
    """
    folder, name = os.path.split(image)
    name = os.path.splitext(name)[0] + ".txt"
    parts = folder.split(os.sep)
    for at in reversed(range(len(parts))):
        if parts[at].lower() in _IMAGE_FOLDERS:
            for labels in _LABEL_FOLDERS:
                path = os.sep.join([*parts[:at], labels, *parts[at + 1 :], name])
                if os.path.isfile(path):
                    return path
    for path in (
        os.path.join(folder, name),
        *(os.path.join(folder, labels, name) for labels in _LABEL_FOLDERS),
    ):
        if os.path.isfile(path):
            return path
    return None


class LabelIndex:
    """The label files of a data set: those that `find_label` knows, else text files of the images' names in
    folders of any name, the nearest first. A label file that `find_label` gives to one image is no other's.
    """

    def __init__(self, path: str):
        self.root = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
        files = list(walk_files(path)) if os.path.isdir(path) else []
        self.images = [file for file in files if has_suffix(file, IMAGE_SUFFIXES)]
        self._own = {image: find_label(image) for image in self.images}
        taken = {os.path.realpath(label) for label in self._own.values() if label is not None}
        self._by_stem: dict[str, list[str]] = {}
        for file in files:
            if has_suffix(file, ".txt") and os.path.realpath(file) not in taken:
                self._by_stem.setdefault(stem_of(file).lower(), []).append(file)

    def find(self, image: str) -> str | None:
        """The label file of an image; None when there is none, or several fit equally well."""
        own = self._own[image] if image in self._own else find_label(image)
        if own is not None or not self._by_stem:
            return own
        names = (stem_of(image).lower(), os.path.basename(image).lower())  # 1.txt, or 1.jpg.txt
        found = next((self._by_stem[name] for name in names if name in self._by_stem), [])
        ranked = sorted((folder_distance(file, image), file) for file in found)
        if not ranked or (len(ranked) > 1 and ranked[0][0] == ranked[1][0]):
            return None
        return ranked[0][1]


def _read_image(image: str, label: str | None, id_map: ClassMap | None, findings: list[Finding]) -> Annotation | None:
    try:
        shape = image_size(image)
    except (OSError, ValueError):
        findings.append(
            Finding(
                "error",
                "unreadable-image",
                image,
                "expected an image, got a file that cannot be decoded; replace it or take it out",
            )
        )
        return None
    if label is None:
        return build_annotation(image, [], image, shape)
    boxes, faults = parse_label(read_text(label), shape)
    findings += [Finding("error", "bad-box", f"{label}:{line}", message) for line, message in faults]
    if id_map is not None:
        boxes = id_map.apply(boxes, label, findings)
    return build_annotation(image, boxes, label, shape)


def _has_labels(images: Iterable[str], labels: LabelIndex) -> bool:
    """Whether one of the first images has a label file with a line in this form."""
    for image, _ in zip(images, range(_IMAGES_LOOKED_AT), strict=False):
        label = labels.find(image)
        if label is not None and parse_label(read_text(label), (1, 1))[0]:
            return True
    return False


# Layouts


def _find_layout(path: str) -> Layout:
    if os.path.isfile(path):
        return _layout_of_file(path)
    if not os.path.isdir(path):
        raise ValueError(f"{path}: expected a file or a folder, got nothing there")
    settings = next(_settings_in(path), None)
    if settings is not None:
        return _layout_of_file(settings)
    files = list(walk_files(path))
    images = [file for file in files if has_suffix(file, IMAGE_SUFFIXES)]
    names = find_class_names(os.path.join(path, "_"), path) or _names_in_label_folders(files, images)
    listing = [file for file in files if has_suffix(file, ".txt") and _is_image_list(file, path)]
    if listing:
        labels = LabelIndex(path)
        lists = {stem_of(file): [file] for file in listing if _has_labels(_listed_images(file, path), labels)}
        if lists:
            return Layout(lists, names)
    groups = group_by_folder(images, path)
    return Layout(groups, names) if groups else Layout({}, names, images)


def _layout_of_file(path: str) -> Layout:
    """Layout from a data.yaml, a .data file or a list of images."""
    settings = _parse_yaml(path)
    if settings is not None:
        base = _yaml_base(path, settings)
        lists = {
            key: [_resolve(base, entry) for entry in _as_list(settings[key])] for key in _LISTS if settings.get(key)
        }
        return Layout(lists, _yaml_names(path, settings.get("names")))
    settings = _parse_darknet_data(path)
    if settings is not None:
        paths = ListedPaths(path)
        found = {
            key: paths.find(settings[key]) or _resolve(paths.folder, settings[key])
            for key in (*_LISTS, "names")
            if settings.get(key)
        }
        lists = {key: [found[key]] for key in _LISTS if key in found}
        names_file = found.get("names", "")
        return Layout(lists, read_class_names(names_file) if os.path.isfile(names_file) else None)
    return Layout({}, find_class_names(path, path), [path])


def _settings_in(folder: str, deep: bool = True) -> Iterator[str]:
    """The data.yaml and .data files of a folder, the usual name first; if it holds nothing but a folder (and
    hidden or text files), as unpacked archives do, those in there.
    """
    entries = sorted(os.scandir(folder), key=lambda entry: (entry.name != "data.yaml", entry.name))
    entries = [entry for entry in entries if not entry.name.startswith((".", "__MACOSX"))]
    inner = [entry.path for entry in entries if not has_suffix(entry.name, ".txt")]
    if deep and len(inner) == 1 and os.path.isdir(inner[0]):
        yield from _settings_in(inner[0], deep=False)
    for entry in entries:
        if entry.is_file():
            if _is_foreign(entry.path):
                continue
            if _parse_yaml(entry.path) is not None or _parse_darknet_data(entry.path) is not None:
                yield entry.path


def _is_foreign(path: str) -> bool:
    """Whether a YAML file, which need not be well-formed, has nothing to do with data sets."""
    return (
        has_suffix(path, (".yaml", ".yml"))
        and os.path.basename(path).lower() not in ("data.yaml", "dataset.yaml")
        and re.search(r"""^["']?names["']?\s*:""", read_text(path), re.MULTILINE) is None
    )


def _parse_yaml(path: str) -> dict[str, Any] | None:
    """The content of an Ultralytics data file; None for anything else."""
    if not has_suffix(path, (".yaml", ".yml")):
        return None
    try:
        settings = yaml.load(read_text(path), Loader=yaml.BaseLoader)  # text only: a class may be called "no"
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ValueError(f"{path}{line}: expected YAML, got '{getattr(error, 'problem', error)}'") from error
    if isinstance(settings, dict) and "names" in settings and any(settings.get(key) for key in _LISTS):
        return settings
    return None


def _yaml_base(path: str, settings: dict[str, Any]) -> str:
    """The folder that `path:` names, seen from the file or the current folder; the file's own when it is not
    there.
    """
    own = os.path.dirname(os.path.abspath(path))
    stated = str(settings.get("path") or "")
    for base in (os.path.join(own, stated), os.path.abspath(stated)):
        if stated and os.path.isdir(base):
            return base
    return own


def _resolve(base: str, entry: Any) -> str:
    """A path of a settings file; where nothing is there, what its last folders name below `base`, for data
    that has moved: "../train/images" and "/content/cells/train/images" mean "train/images".

    A last name alone has to be that of a list or of a file: "images" would be the images of all lists.
    """
    entry = str(entry).replace("\\", "/")
    path = os.path.normpath(os.path.join(base, entry))
    parts = [part for part in entry.split("/") if part not in ("", ".", "..")]
    for start in range(len(parts)):
        inside = os.path.join(base, *parts[start:])
        whole = start == 0 or start + 1 < len(parts) or stem_of(inside).lower() in _LISTS
        if not os.path.exists(path) and (os.path.isfile(inside) or (whole and os.path.isdir(inside))):
            return inside
    return path


def _yaml_names(path: str, names: Any) -> list[str]:
    if isinstance(names, dict):
        ids = [str(number) for number in range(len(names))]
        if set(names) != set(ids):
            raise ValueError(f"{path}: expected names with ids from 0 to {len(names) - 1}, got {', '.join(names)}")
        names = [names[number] for number in ids]
    if not isinstance(names, list) or not names:
        raise ValueError(f"{path}: expected 'names' to be a list or 'id: name' pairs, got {names!r}")
    names = [str(name) for name in names]
    if len(set(names)) != len(names):
        raise ValueError(f"{path}: expected each class name once, got {names}")
    return names


def _parse_darknet_data(path: str) -> dict[str, str] | None:
    """The `key = value` lines of a Darknet .data file; None for anything else."""
    if not has_suffix(path, ".data"):
        return None
    pairs = (line.split("=", 1) for line in read_lines(path) if "=" in line and not line.lstrip().startswith("#"))
    settings = {key.strip(): value.strip() for key, value in pairs}
    return settings if "train" in settings or "valid" in settings else None


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _names_in_label_folders(files: Iterable[str], images: Iterable[str]) -> list[str] | None:
    """Names from the classes.txt that labelling tools put among the labels."""
    stems = {stem_of(image) for image in images}
    for file in files:
        if os.path.basename(file) in ("classes.txt", "obj.names", "_darknet.labels") and stem_of(file) not in stems:
            return read_class_names(file)
    return None


# Images


def _is_image_list(file: str, root: str) -> bool:
    """Whether a text file, in the root or directly below it, names images line by line."""
    if os.path.relpath(file, root).count(os.sep) > 1 or os.path.getsize(file) == 0:
        return False
    first = next((line.strip() for line in text_head(file, 8192).splitlines() if line.strip()), "")
    return has_suffix(first, IMAGE_SUFFIXES)


def _listed_images(file: str, root: str | None = None) -> Iterator[str]:
    """The images of a list that exist."""
    if not text_head(file, 4096):
        return
    paths = ListedPaths(file, root)
    for line in read_lines(file):
        entry = line.strip()
        if has_suffix(entry, IMAGE_SUFFIXES) and (image := paths.find(entry)) is not None:
            yield image


def _images_to_read(path: str, layout: Layout, list_name: str | None, findings: list[Finding]) -> list[str]:
    """Images of one list, or of all lists together, then each once."""
    if list_name is not None:
        require_list(path, list_name, layout.lists)
        return _expand(path, layout.lists[list_name], findings)
    if not layout.lists:
        return _expand(path, layout.loose, findings)
    lists = [entries for entries in layout.lists.values() if any(map(os.path.exists, entries))]
    every = (image for entries in lists or layout.lists.values() for image in _expand(path, entries, findings))
    return list(dict.fromkeys(every))


def _expand(path: str, entries: Iterable[str], findings: list[Finding]) -> list[str]:
    """Images, folders of images and text files of image paths, made into images."""
    images: list[str] = []
    for entry in entries:
        if os.path.isdir(entry):
            images += [file for file in walk_files(entry) if has_suffix(file, IMAGE_SUFFIXES)]
        elif has_suffix(entry, IMAGE_SUFFIXES):
            images.append(entry)
        elif os.path.isfile(entry):
            images += _read_image_list(entry, path, findings)
        else:
            raise ValueError(
                f"{path}: expected a folder or a list of images at {entry}, got nothing there; correct the path"
            )
    return images


def _read_image_list(file: str, root: str, findings: list[Finding]) -> list[str]:
    paths = ListedPaths(file, root)
    images = []
    for number, line in enumerate(read_lines(file), 1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        image = paths.find(entry)
        if image is None:
            findings.append(missing_image(f"{file}:{number}", entry))
        else:
            images.append(image)
    return images


def _numbered(layout: Layout, labels: LabelIndex) -> list[str]:
    """Numbered class names up to the highest id of all lists, so that each list gives the same ones."""
    entries = [*layout.loose, *(entry for entries in layout.lists.values() for entry in entries)]
    images = _expand(labels.root, filter(os.path.exists, entries), [])
    found = (labels.find(image) for image in dict.fromkeys(images))
    texts = (read_text(label) for label in found if label is not None)
    return numbered_class_names(box.class_id for text in texts for box in parse_label(text, (1, 1))[0])
