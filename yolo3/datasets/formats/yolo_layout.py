"""Where the images of a YOLO data set are: data.yaml (Ultralytics), Darknet's .data file, lists of paths, folders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from yolo3.datasets.annotation import Finding
from yolo3.datasets.class_names import FolderNames, find_names_file, read_class_names
from yolo3.datasets.find_images import ListedPaths, only_image
from yolo3.datasets.formats.yolo_labels import LabelIndex, parse_label
from yolo3.datasets.images import IMAGE_SUFFIXES
from yolo3.datasets.lists import group_by_folder
from yolo3.files import has_suffix, read_lines, read_text, stem_of, text_head, walk_files

LIST_NAMES = ("train", "val", "valid", "validation", "test")
_IMAGES_LOOKED_AT = 50
_NAMES_AMONG_LABELS = ("classes.txt", "obj.names", "_darknet.labels")


@dataclass
class Layout:
    """Where a data set's images are, and its class names.

    Attributes:
        lists: List name to images, folders of images and text files of image paths.
        names: Class names, None if the data does not name its classes.
        loose: The same as an entry of `lists`, without a list's name.
    """

    lists: dict[str, list[str]] = field(default_factory=dict)
    names: FolderNames | None = None
    loose: list[str] = field(default_factory=list)


def find_layout(path: str) -> Layout:
    """Find the lists and class names of a folder, a data.yaml, a .data file or a list of images.

    Raises:
        ValueError: If nothing is there, or a settings file is malformed.
    """
    if os.path.isfile(path):
        return _layout_of_file(path)
    if not os.path.isdir(path):
        raise ValueError(f"{path}: expected a file or a folder, got nothing there")
    settings = next(find_settings(path), None)
    if settings is not None:
        return _layout_of_file(settings)

    files = list(walk_files(path))
    images = [file for file in files if has_suffix(file, IMAGE_SUFFIXES)]
    # Labelling tools put classes.txt among the labels.
    stems = {stem_of(image) for image in images}
    among = [file for file in files if os.path.basename(file) in _NAMES_AMONG_LABELS and stem_of(file) not in stems]
    at_top = find_names_file(os.path.join(path, "_"), path)
    name_files = dict.fromkeys(([] if at_top is None else [at_top]) + [os.path.abspath(file) for file in among])
    names = FolderNames({file: read_class_names(file) for file in name_files}) if name_files else None

    listing = [file for file in files if has_suffix(file, ".txt") and _is_image_list(file, path)]
    if listing:
        labels = LabelIndex(path)
        lists = {stem_of(file): [file] for file in listing if has_labels(listed_images(file, path), labels)}
        if lists:
            return Layout(lists, names)
    groups = group_by_folder(images, path)
    return Layout(groups, names) if groups else Layout({}, names, images)


def find_settings(folder: str, deep: bool = True) -> Iterator[str]:
    """Yield the data.yaml and .data files of a folder, the usual name first.

    Args:
        folder: The folder.
        deep: Whether to look into its only folder too, if it holds nothing else (but hidden or text files), as unpacked
            archives do.

    Yields:
        Paths of settings files.
    """
    entries = sorted(os.scandir(folder), key=lambda entry: (entry.name != "data.yaml", entry.name))
    entries = [entry for entry in entries if not entry.name.startswith((".", "__MACOSX"))]
    inner = [entry.path for entry in entries if not has_suffix(entry.name, ".txt")]
    if deep and len(inner) == 1 and os.path.isdir(inner[0]):
        yield from find_settings(inner[0], deep=False)
    for entry in entries:
        if entry.is_file() and not _is_foreign(entry.path):
            if parse_yaml(entry.path) is not None or parse_darknet_data(entry.path) is not None:
                yield entry.path


def parse_yaml(path: str) -> dict[str, Any] | None:
    """Parse an Ultralytics data file.

    Returns:
        Its content, all values as text; None for any other file.

    Raises:
        ValueError: If the YAML is malformed; the message has the line.
    """
    if not has_suffix(path, (".yaml", ".yml")):
        return None
    try:
        settings = yaml.load(read_text(path), Loader=yaml.BaseLoader)  # text only: a class may be called "no"
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark is not None else ""
        raise ValueError(f"{path}{line}: expected YAML, got '{getattr(error, 'problem', error)}'") from error
    if isinstance(settings, dict) and "names" in settings and any(settings.get(key) for key in LIST_NAMES):
        return settings
    return None


def parse_darknet_data(path: str) -> dict[str, str] | None:
    """Return the `key = value` lines of a Darknet .data file, None for any other file."""
    if not has_suffix(path, ".data"):
        return None
    pairs = (line.split("=", 1) for line in read_lines(path) if "=" in line and not line.lstrip().startswith("#"))
    settings = {key.strip(): value.strip() for key, value in pairs}
    return settings if "train" in settings or "valid" in settings else None


def listed_images(file: str, root: str | None = None) -> Iterator[str]:
    """Yield the images of a list of paths that exist; `root` is the data folder, if known."""
    if not text_head(file, 4096):
        return
    paths = ListedPaths(file, root)
    for line in read_lines(file):
        entry = line.strip()
        if has_suffix(entry, IMAGE_SUFFIXES) and len(found := paths.find(entry)) == 1:
            yield found[0]


def has_labels(images: Iterable[str], labels: LabelIndex) -> bool:
    """Return whether one of the first images has a label file with a line in this form."""
    for image, _ in zip(images, range(_IMAGES_LOOKED_AT), strict=False):
        label = labels.find(image)
        if label is not None and parse_label(read_text(label), (1, 1))[0]:
            return True
    return False


def expand(path: str, entries: Iterable[str], findings: list[Finding]) -> list[str]:
    """Turn images, folders of images and text files of image paths into images.

    Args:
        path: The data set, for messages and as the folder to search.
        entries: Paths.
        findings: Takes a finding for each listed image that does not exist.

    Returns:
        Paths of images, in order.

    Raises:
        ValueError: If an entry is neither a file nor a folder.
    """
    images: list[str] = []
    for entry in entries:
        if os.path.isdir(entry):
            images += [file for file in walk_files(entry) if has_suffix(file, IMAGE_SUFFIXES)]
        elif has_suffix(entry, IMAGE_SUFFIXES):
            images.append(entry)
        elif os.path.isfile(entry):
            paths = ListedPaths(entry, path)
            for number, line in enumerate(read_lines(entry), 1):
                name = line.strip()
                if not name or name.startswith("#"):
                    continue
                image = only_image(paths.find(name), name, f"{entry}:{number}", findings, paths)
                if image is not None:
                    images.append(image)
        else:
            raise ValueError(
                f"{path}: expected a folder or a list of images at {entry}, got nothing there; correct the path"
            )
    return images


def _layout_of_file(path: str) -> Layout:
    """Return the layout of a data.yaml, a .data file or a list of images."""
    settings = parse_yaml(path)
    if settings is not None:
        # `path:` is seen from the file or the current folder; if it is not there, the file's own folder counts.
        own, stated = os.path.dirname(os.path.abspath(path)), str(settings.get("path") or "")
        bases = [os.path.join(own, stated), os.path.abspath(stated)] if stated else []
        base = next(filter(os.path.isdir, bases), own)
        lists = {}
        for key in LIST_NAMES:
            if settings.get(key):
                entries = settings[key] if isinstance(settings[key], list) else [settings[key]]
                lists[key] = [_resolve(base, entry) for entry in entries]
        return Layout(lists, FolderNames({path: _yaml_names(path, settings)}))

    settings = parse_darknet_data(path)
    if settings is not None:
        paths = ListedPaths(path)
        found = {
            key: paths.existing(settings[key]) or _resolve(paths.folder, settings[key])
            for key in (*LIST_NAMES, "names")
            if settings.get(key)
        }
        names_file = found.pop("names", "")
        names = FolderNames({path: read_class_names(names_file)}) if os.path.isfile(names_file) else None
        return Layout({key: [file] for key, file in found.items()}, names)
    beside = find_names_file(path, path)
    return Layout({}, None if beside is None else FolderNames({beside: read_class_names(beside)}), [path])


def _is_foreign(path: str) -> bool:
    """Return whether a YAML file, which need not be well-formed, has nothing to do with data sets."""
    return (
        has_suffix(path, (".yaml", ".yml"))
        and os.path.basename(path).lower() not in ("data.yaml", "dataset.yaml")
        and re.search(r"""^["']?names["']?\s*:""", read_text(path), re.MULTILINE) is None
    )


def _resolve(base: str, entry: Any) -> str:
    """Return the path that an entry of a settings file means.

    If nothing is there, what its last folders name below `base`, for data that has moved: "../train/images" and
    "/content/cells/train/images" mean "train/images". A last name alone has to be that of a list or of a file: "images"
    would be the images of all lists.
    """
    entry = str(entry).replace("\\", "/")
    path = os.path.normpath(os.path.join(base, entry))
    if os.path.exists(path):
        return path

    parts = [part for part in entry.split("/") if part not in ("", ".", "..")]
    for start in range(len(parts)):
        inside = os.path.join(base, *parts[start:])
        whole = start == 0 or start + 1 < len(parts) or stem_of(inside).lower() in LIST_NAMES
        if os.path.isfile(inside) or (whole and os.path.isdir(inside)):
            return inside
    return path


def _yaml_names(path: str, settings: dict[str, Any]) -> list[str]:
    names = settings.get("names")
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

    stated = str(settings.get("nc") or len(names)).strip()
    if stated != str(len(names)):
        raise ValueError(
            f"{path}: expected as many names as 'nc' states, {stated}, got {len(names)}; correct one of them"
        )
    return names


def _is_image_list(file: str, root: str) -> bool:
    """Return whether a text file, in the root or directly below it, names images line by line."""
    if os.path.relpath(file, root).count(os.sep) > 1 or os.path.getsize(file) == 0:
        return False
    first = next((line.strip() for line in text_head(file, 8192).splitlines() if line.strip()), "")
    return has_suffix(first, IMAGE_SUFFIXES)
