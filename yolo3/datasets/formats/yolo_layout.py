"""Where the images of a YOLO data set are: data.yaml (Ultralytics), Darknet's .data file, lists of paths, folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from yolo3.datasets.annotation import Finding
from yolo3.datasets.class_names import FolderNames, find_names_file, read_class_names
from yolo3.datasets.find_images import ListedPaths, only_image
from yolo3.datasets.formats.yolo_labels import LabelIndex, kind_of_label
from yolo3.datasets.formats.yolo_settings import LIST_NAMES, Settings, class_names_of, find_settings, parse_settings
from yolo3.datasets.images import IMAGE_SUFFIXES
from yolo3.datasets.lists import group_by_folder
from yolo3.files import has_suffix, is_file, is_folder, is_there, read_lines, stem_of, text_head, walk_files

_LABELS_LOOKED_AT = 50
_NAMES_AMONG_LABELS = ("classes.txt", "obj.names", "_darknet.labels")


@dataclass
class Layout:
    """Where a data set's images are, and its class names.

    Attributes:
        lists: List name to images, folders of images and text files of image paths.
        names: Class names, None if the data does not name its classes.
        loose: The same as an entry of `lists`, without a list's name.
        where: "file:line" of the entries that a settings file names.
    """

    lists: dict[str, list[str]] = field(default_factory=dict)
    names: FolderNames | None = None
    loose: list[str] = field(default_factory=list)
    where: dict[str, str] = field(default_factory=dict)


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
        return _layout_of_settings(settings)

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
    """Return whether label files of images are in this form, judged by the first of them.

    One that holds numbers is enough, right or not, so that its faults are reported. If all are empty, at least half of
    the images must have one.
    """
    num_images, num_empty, num_other = 0, 0, 0
    for image in images:
        num_images += 1
        label = labels.find(image)
        if label is None:
            continue
        kind = kind_of_label(label)
        if kind == "boxes":
            return True
        num_empty += kind == "empty"
        num_other += kind == "text"
        if num_empty + num_other == _LABELS_LOOKED_AT:
            break
    return num_empty > 0 and num_other == 0 and 2 * num_empty >= num_images


def expand(path: str, entries: Iterable[str], findings: list[Finding], where: Mapping[str, str]) -> list[str]:
    """Turn images, folders of images and text files of image paths into images.

    Args:
        path: The data set, for messages and as the folder to search.
        entries: Paths.
        findings: Takes a finding for each listed image that does not exist.
        where: "file:line" of entries that a settings file names.

    Returns:
        Paths of images, in order.

    Raises:
        ValueError: If an entry is neither a file nor a folder, or a folder of labels.
    """
    images: list[str] = []
    for entry in entries:
        if is_folder(entry):
            files = list(walk_files(entry))
            inside = [file for file in files if has_suffix(file, IMAGE_SUFFIXES)]
            if not inside and any(has_suffix(file, ".txt") for file in files):
                raise ValueError(
                    f"{where.get(entry, path)}: expected a folder of images, got {entry}, which holds text files; name "
                    "the folder of the images, whose labels are found by their names"
                )
            images += inside
        elif has_suffix(entry, IMAGE_SUFFIXES):
            found = [entry] if is_file(entry) else []
            image = only_image(found, entry, where.get(entry, path), findings)
            images += [] if image is None else [image]
        elif is_file(entry):
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
                f"{where.get(entry, path)}: expected a folder or a list of images at {entry}, got nothing there; "
                "correct the path"
            )
    return images


def _layout_of_file(path: str) -> Layout:
    """Return the layout of a data.yaml, a .data file or a list of images."""
    settings = parse_settings(path)
    if settings is not None:
        return _layout_of_settings(settings)
    beside = find_names_file(path, path)
    return Layout({}, None if beside is None else FolderNames({beside: read_class_names(beside)}), [path])


def _layout_of_settings(settings: Settings) -> Layout:
    """Return the layout that a data.yaml or a .data file describes."""
    own = os.path.dirname(os.path.abspath(settings.file))
    base, paths, layout = own, None, Layout()
    if has_suffix(settings.file, ".data"):
        paths = ListedPaths(settings.file)
        names = next(iter(settings.entries("names")), None)
        if names is not None:
            names_file = paths.existing(names) or _resolve(own, names)
            if not is_file(names_file):
                place = settings.where("names")
                raise ValueError(f"{place}: expected a file of class names at {names}, got none; correct the path")
            layout.names = FolderNames({settings.file: read_class_names(names_file)})
    else:
        # `path:` is seen from the file or the current folder; if it is not there, the file's own folder counts.
        stated = next(iter(settings.entries("path")), "")
        bases = [os.path.join(own, stated), os.path.abspath(stated)] if stated else []
        base = next(filter(is_folder, bases), own)
        file, names_of_file = settings.file, class_names_of(settings)
        if "names" not in settings.values and (beside := find_names_file(file, own)) is not None:
            file, names_of_file = beside, read_class_names(beside)
        layout.names = FolderNames({file: names_of_file}) if names_of_file else None

    for key in LIST_NAMES:
        for entry in settings.entries(key):
            found = (paths and paths.existing(entry)) or _resolve(base, entry)
            if is_folder(found) and os.path.commonpath([found, os.path.dirname(own)]) == os.path.normpath(found):
                raise ValueError(
                    f"{settings.where(key)}: expected a folder of images for '{key}', got '{entry}', which is "
                    f"{found}, above the data set"
                )
            layout.lists.setdefault(key, []).append(found)
            layout.where.setdefault(found, settings.where(key))
    return layout


def _resolve(base: str, entry: str) -> str:
    """Return the path that an entry of a settings file means.

    If nothing is there, what its last folders name below `base`, for data that has moved: "../train/images" and
    "/content/cells/train/images" mean "train/images". A last name alone has to be that of a list or of a file: "images"
    would be the images of all lists.
    """
    path = os.path.normpath(os.path.join(base, entry))
    if is_there(path):
        return path

    parts = [part for part in entry.split("/") if part not in ("", ".", "..")]
    for start in range(len(parts)):
        inside = os.path.join(base, *parts[start:])
        whole = start == 0 or start + 1 < len(parts) or stem_of(inside).lower() in LIST_NAMES
        if is_file(inside) or (whole and is_folder(inside)):
            return inside
    return path


def _is_image_list(file: str, root: str) -> bool:
    """Return whether a text file, in the root or directly below it, names images line by line."""
    if os.path.relpath(file, root).count(os.sep) > 1 or os.path.getsize(file) == 0:
        return False
    first = next((line.strip() for line in text_head(file, 8192).splitlines() if line.strip()), "")
    return has_suffix(first, IMAGE_SUFFIXES)
