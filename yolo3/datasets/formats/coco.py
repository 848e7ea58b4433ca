"""COCO JSON: `images`, `annotations` with bbox [x, y, width, height] in pixels, and `categories`.

Category ids, which need not be consecutive, become class ids from 0 in their order. Crowd regions are kept and marked.
See https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from yolo3.datasets.annotation import Annotation, Dataset, Finding
from yolo3.datasets.copy_images import ImageCopies, path_for_list
from yolo3.datasets.find_images import ImageIndex, unread_findings
from yolo3.datasets.formats.coco_categories import (
    category_name,
    may_be_supercategory,
    supercategories,
    usable_categories,
)
from yolo3.datasets.formats.coco_reader import CocoReader
from yolo3.datasets.formats.coco_stream import Entries, stream_coco
from yolo3.datasets.formats.format import Format, NewLists
from yolo3.datasets.formats.names import DESCRIPTIONS
from yolo3.datasets.image_size import image_size
from yolo3.datasets.json_values import read_json, show_value
from yolo3.datasets.lists import dataset_name, list_name_of, list_of, name_list_files, require_list
from yolo3.file_states import record_file
from yolo3.files import has_suffix, replace_file, walk_files

NAME = "coco"
# Bytes at each end of a file in which the top-level keys are looked for; COCO's own files are huge.
_BYTES_LOOKED_AT = 1 << 20
_BYTES_STREAMED = 1 << 22  # of a file that is not read at once
# A key in the first bytes of JSON of other tools, which may hold megabytes of embedded image (LabelMe, VoTT).
_BYTES_OF_OTHERS = 1 << 12
_KEY_OF_OTHERS = re.compile(rb'"(shapes|imageData|imagePath|asset)"\s*:')


def matches(path: str) -> bool:
    """Return whether a path is, or holds, JSON with images and categories."""
    if os.path.isfile(path):
        return is_coco_json(path)
    return bool(_find_lists(path))


def list_names(path: str) -> list[str]:
    """Return the names of a folder's annotation files: "train2017" of instances_train2017.json; a file has none."""
    return list(_find_lists(path)) if os.path.isdir(path) else []


def read(path: str, class_names: Sequence[str] | None = None, list_name: str | None = None) -> Dataset:
    """Read a JSON file, one list of a folder, or all files of a folder together.

    Args:
        path: The file or folder.
        class_names: Classes of the result; the categories in the order of their ids, also those without boxes, if None.
        list_name: Name of a list of the folder.

    Returns:
        The data set.

    Raises:
        ValueError: If there is no COCO JSON, a file is not JSON, or there is no such list.
    """
    lists = _find_lists(path) if os.path.isdir(path) else {}
    if list_name is not None:
        require_list(path, list_name, lists)
        lists = {list_name: lists[list_name]}
    elif os.path.isfile(path):
        lists = {list_name_of(path): path}
    elif not lists:
        raise ValueError(f"{path}: expected JSON files with images, annotations and categories, got none")

    contents = {file: load_json(file) for file in lists.values()}
    findings: list[Finding] = []
    if class_names is None:  # in the order of ids; names found only in a later file come after those of the first
        categories = (item for content in contents.values() for item in usable_categories(content))
        not_classes = _not_classes(path, contents)
        class_names = [name for name in dict.fromkeys(map(category_name, categories)) if name not in not_classes]
        for name in not_classes:
            message = f"category '{name}' has no box and is the supercategory of all others: it is not a class"
            findings.append(Finding("warning", "supercategory", path, message))

    root = path
    if os.path.isfile(path):
        root = os.path.dirname(os.path.abspath(path))
        if os.path.basename(root).lower() in ("annotations", "labels"):
            root = os.path.dirname(root)
    index = ImageIndex(root)
    annotations: list[Annotation] = []
    findings += unread_findings(index.unread, path)
    for list_of_file, file in lists.items():
        reader = CocoReader(file=file, list_name=list_of_file, index=index, class_names=class_names, findings=findings)
        annotations += reader.read(contents.pop(file))
    return Dataset(annotations, list(class_names), format=NAME, findings=findings, name=dataset_name(path, list_name))


def write(dataset: Dataset, path: str, images: ImageCopies | None = None) -> None:
    """Write a JSON file (a path that ends in .json), or annotations/instances_<list>.json in a folder.

    Into a folder the images are copied too, to <list>/; a JSON file names them where they are. Category ids count from
    1. Whether a box is difficult is not kept.

    Args:
        dataset: The data set.
        path: The JSON file or the folder.
        images: Copies of the images, for several lists of one folder.
    """
    image_paths = [annotation.image_path for annotation in dataset.annotations]
    if has_suffix(path, ".json"):
        file, folder = path, os.path.dirname(os.path.abspath(path))
    else:
        file = os.path.join(path, "annotations", f"instances_{list_of(dataset)}.json")
        folder = os.path.join(path, list_of(dataset))
        copies = images or ImageCopies()
        image_paths = [copies.place(image_path, folder) for image_path in image_paths]

    replace_file(file, _format_json(dataset, image_paths, folder))


def format_lists(lists: Mapping[str, Dataset], path: str, suffix: str) -> NewLists:
    """Return JSON files with the boxes of the images, in annotations/ if there is such a folder."""
    root = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
    inside = os.path.join(root, "annotations")
    folder = inside if os.path.isdir(inside) else root
    files = {
        os.path.join(folder, f"instances_{name}{suffix}.json"): _format_json(
            part, [item.image_path for item in part.annotations], root
        )
        for name, part in lists.items()
    }
    return NewLists(files, folder if os.path.isfile(path) else path, {name: name + suffix for name in lists})


def _format_json(dataset: Dataset, image_paths: Sequence[str], folder: str) -> str:
    """Return the JSON of a data set whose images lie at these paths and are named as `folder` sees them."""
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (image_path, annotation) in enumerate(zip(image_paths, dataset.annotations, strict=True), 1):
        height, width = image_size(image_path)
        entries.append({"id": number, "file_name": path_for_list(image_path, folder), "width": width, "height": height})
        for box, class_id, crowd in zip(annotation.boxes, annotation.class_ids, annotation.crowd, strict=True):
            x_min, y_min, x_max, y_max = (float(value) for value in box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(class_id) + 1,
                    "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
                    "area": (x_max - x_min) * (y_max - y_min),
                    "iscrowd": int(crowd),
                }
            )
    categories = [{"id": number, "name": name} for number, name in enumerate(dataset.class_names, 1)]
    return json.dumps({"images": entries, "annotations": annotations, "categories": categories})


FORMAT = Format(
    name=NAME,
    description=DESCRIPTIONS[NAME],
    looked_for="JSON with images and categories",
    matches=matches,
    list_names=list_names,
    read=read,
    write=write,
    format_lists=format_lists,
    keeps=frozenset({"crowd"}),
    recorded=True,
)


def is_coco_json(path: str) -> bool:
    """Return whether a file holds a JSON object with the keys "images" and "categories", judged by its two ends."""
    record_file(path)
    with open(path, "rb") as file:
        head = file.read(_BYTES_OF_OTHERS)
        is_of_others = _KEY_OF_OTHERS.search(head) is not None and b'"images"' not in head
        if is_of_others or not re.match(rb"(\xef\xbb\xbf)?\s*\{", head):
            return False
        head += file.read(_BYTES_LOOKED_AT - _BYTES_OF_OTHERS)
        file.seek(0, os.SEEK_END)
        file.seek(max(file.tell() - _BYTES_LOOKED_AT, 0))
        ends = head + file.read()
    return re.search(rb'"images"\s*:\s*\[', ends) is not None and re.search(rb'"categories"\s*:', ends) is not None


def load_json(path: str) -> dict[str, Any]:
    """Load an annotation file.

    Args:
        path: Path of the JSON file.

    Returns:
        The object, with the lists "images" and "categories", and "annotations" as `Entries`.

    Raises:
        ValueError: If the file is not JSON or lacks one of its parts.
    """
    is_large = os.path.getsize(path) >= _BYTES_STREAMED
    content = (stream_coco(path) if is_large else None) or read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected a JSON object with images, annotations, categories, got a list or value")

    for key in ("images", "categories"):
        if not isinstance(content.get(key), list):
            raise ValueError(f"{path}: expected a list '{key}' in the JSON object, got keys {', '.join(content)}")
    content["annotations"] = content.get("annotations") or []
    if isinstance(content["annotations"], list):
        content["annotations"] = Entries(content["annotations"])
    if not isinstance(content["annotations"], Entries):
        raise ValueError(f"{path}: expected 'annotations' to be a list, got {show_value(content['annotations'])}")
    return content


def _not_classes(path: str, contents: dict[str, dict[str, Any]]) -> list[str]:
    """Return the supercategories among the categories; all lists of a folder count, so that each gives the same."""
    if not any(map(may_be_supercategory, contents.values())):
        return []
    files = _find_lists(path).values() if os.path.isdir(path) else contents
    return supercategories(contents[file] if file in contents else load_json(file) for file in files)


def _find_lists(folder: str) -> dict[str, str]:
    """Map list name to JSON file: instances_*.json if there are any, else every JSON file of this form."""
    files = [file for file in walk_files(folder) if has_suffix(file, ".json") and is_coco_json(file)]
    instances = [file for file in files if os.path.basename(file).startswith("instances_")]
    return name_list_files(instances or files, folder)
