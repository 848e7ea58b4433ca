"""YOLO's own format: one text file per image, lines of `class_id centre_x centre_y width height`, relative.

Label files are parsed in ``yolo_labels``; ``yolo_layout`` finds the images: through data.yaml (Ultralytics), a Darknet
.data file, lists of image paths, or folders of images with labels beside them or in labels/.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import yaml

from yolo3.datasets.annotation import Annotation, Dataset, Finding, build_annotation, without_crowd
from yolo3.datasets.class_names import ClassMap, numbered_class_names
from yolo3.datasets.copy_images import ImageCopies, path_for_list
from yolo3.datasets.find_images import unread_findings
from yolo3.datasets.formats.format import Format, NewLists
from yolo3.datasets.formats.names import DESCRIPTIONS
from yolo3.datasets.formats.yolo_labels import LabelIndex, format_label, parse_label
from yolo3.datasets.formats.yolo_layout import (
    Layout,
    expand,
    find_layout,
    has_labels,
    listed_images,
)
from yolo3.datasets.formats.yolo_settings import LIST_NAMES, find_settings, parse_settings, parse_yaml
from yolo3.datasets.image_size import image_size
from yolo3.datasets.images import UNREAD_SUFFIXES, image_fault
from yolo3.datasets.lists import dataset_name, list_of, require_list
from yolo3.files import has_suffix, is_folder, is_there, read_text, replace_file, stem_of, walk_files

NAME = "yolo"


def matches(path: str) -> bool:
    """Return whether a path is, or holds, a data.yaml, a Darknet .data file, or images with label files."""
    if os.path.isfile(path):
        if parse_settings(path) is not None:
            return True
        return has_labels(listed_images(path), LabelIndex(path))
    if any(find_settings(path)):
        return True
    labels = LabelIndex(path)
    return has_labels(labels.images, labels)


def list_names(path: str) -> list[str]:
    """Return the names of the lists: those of data.yaml or the .data file, else text files of paths, else folders."""
    return list(find_layout(path).lists)


def read(path: str, class_names: Sequence[str] | None = None, list_name: str | None = None) -> Dataset:
    """Read a folder, one of its lists, a data.yaml, a .data file or a text file of image paths.

    Args:
        path: The folder or file.
        class_names: Classes of the result. If the data names its own, ids are mapped by name, folder by folder.
        list_name: Name of a list.

    Returns:
        The data set; an image without a label file is background.

    Raises:
        ValueError: If there is nothing in this format, or there is no such list.
    """
    layout = find_layout(path)
    findings: list[Finding] = []
    if list_name is not None:
        require_list(path, list_name, layout.lists)
        images = expand(path, layout.lists[list_name], findings, layout.where)
    elif layout.lists:  # all lists together, each image once; of data.yaml those that exist
        lists = [entries for entries in layout.lists.values() if any(map(is_there, entries))]
        entries = [entry for entries in lists or layout.lists.values() for entry in entries]
        images = list(dict.fromkeys(expand(path, entries, findings, layout.where)))
    else:
        images = expand(path, layout.loose, findings, layout.where)

    own, labels = layout.names, LabelIndex(path)
    unread = labels.unread
    if os.path.isfile(path):  # a data.yaml: its folders
        folders = [entry for entries in layout.lists.values() for entry in entries if is_folder(entry)]
        unread = [file for folder in folders for file in walk_files(folder) if has_suffix(file, UNREAD_SUFFIXES)]
    findings += unread_findings(unread, path)
    if own is not None:
        findings += own.findings(path)
    class_maps: dict[str, ClassMap | None] = {}  # by folder of the labels
    annotations: list[Annotation] = []
    without_label: list[str] = []
    image_of: dict[str, str] = {}
    for image in images:
        label = labels.find(image)
        if label is None:
            without_label.append(image)
        elif image_of.setdefault(label, image) != image:
            message = f"expected a label file for each image, got one for {image_of[label]} and {image}; check them"
            findings.append(Finding("warning", "shared-label", label, message))
        folder = os.path.dirname(label or image)
        if folder not in class_maps:
            class_maps[folder] = None if own is None else ClassMap(own.of(label or image), class_names or own.names)
        annotation = _read_image(image, label, class_maps[folder], findings)
        if annotation is not None:
            annotations.append(annotation)

    if without_label:
        message = f"{len(without_label)} images have no label file and count as background, first {without_label[0]}"
        findings.append(Finding("warning", "no-annotation", path, message))
    unused = labels.unused(image_of) if list_name is None else []
    if unused:
        message = f"{len(unused)} label files belong to no image and are not used, first {unused[0]}"
        findings.append(Finding("warning", "no-image", path, message))
    if not annotations and not findings:
        raise ValueError(f"{path}: expected images with label files, got no images")
    if class_names is None:
        class_names = own.names if own is not None else _numbered(layout, labels)
    return Dataset(annotations, list(class_names), format=NAME, findings=findings, name=dataset_name(path, list_name))


def write(dataset: Dataset, path: str, images: ImageCopies | None = None) -> None:
    """Write images/<list>/, labels/<list>/ and data.yaml into a folder; images are copied.

    Lists that data.yaml has already stay. Whether a box is difficult is not kept; crowd regions are left out and
    counted in the log.

    Args:
        dataset: The data set.
        path: The folder.
        images: Copies of the images, for several lists of one folder.
    """
    part = list_of(dataset)
    images = images or ImageCopies()
    for annotation in without_crowd(dataset.annotations, NAME):
        image = images.place(annotation.image_path, os.path.join(path, "images", part))
        label = os.path.join(path, "labels", part, stem_of(image) + ".txt")
        replace_file(label, format_label(annotation, image_size(image)), durable=False)

    settings_file = os.path.join(path, "data.yaml")
    old = parse_yaml(settings_file) if os.path.isfile(settings_file) else None
    settings = {key: value for key, value in (old.values if old else {}).items() if key in LIST_NAMES}
    settings |= {part: f"images/{part}", "names": dict(enumerate(dataset.class_names))}
    replace_file(settings_file, yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def format_lists(lists: Mapping[str, Dataset], path: str, suffix: str) -> NewLists:
    """Return text files of image paths, and split.yaml, which names them and the classes."""
    folder = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
    files, settings = {}, {}
    for name, part in lists.items():
        paths = [path_for_list(item.image_path, folder) for item in part.annotations]
        relative = [entry if os.path.isabs(entry) else f"./{entry}" for entry in paths]  # as Ultralytics wants it
        files[os.path.join(folder, f"{name}{suffix}.txt")] = "".join(f"{entry}\n" for entry in relative)
        settings[name] = f"{name}{suffix}.txt"
    names = dict(enumerate(next(iter(lists.values())).class_names))
    data = os.path.join(folder, f"split{suffix}.yaml")
    files[data] = yaml.safe_dump({**settings, "names": names}, sort_keys=False, allow_unicode=True)
    return NewLists(files, data, {name: name for name in lists})


FORMAT = Format(
    name=NAME,
    description=DESCRIPTIONS[NAME],
    looked_for="data.yaml or label files 'class_id x y w h'",
    matches=matches,
    list_names=list_names,
    read=read,
    write=write,
    format_lists=format_lists,
    recorded=True,
)


def _read_image(
    image: str, label: str | None, class_map: ClassMap | None, findings: list[Finding]
) -> Annotation | None:
    try:
        shape = image_size(image)
    except (OSError, ValueError) as error:
        kind, message = image_fault(error)
        findings.append(Finding("error", kind, image, message))
        return None
    if label is None:
        return build_annotation(image, [], image, shape)

    boxes, faults = parse_label(read_text(label), shape)
    findings += [Finding("error", "bad-box", f"{label}:{line}", message) for line, message in faults]
    if class_map is not None:
        boxes = class_map.apply(boxes, label, findings)
    return build_annotation(image, boxes, label, shape)


def _numbered(layout: Layout, labels: LabelIndex) -> list[str]:
    """Return numbered class names up to the highest id of all lists, so that each list gives the same ones."""
    entries = [*layout.loose, *(entry for entries in layout.lists.values() for entry in entries)]
    images = expand(labels.root, filter(is_there, entries), [], {})
    found = (labels.find(image) for image in dict.fromkeys(images))
    texts = (read_text(label) for label in found if label is not None)
    return numbered_class_names(box.class_id for text in texts for box in parse_label(text, (1, 1))[0])
