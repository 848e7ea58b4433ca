"""Make a data set of images that annotation files describe by name, with class names beside the boxes.

What CSV, LabelMe, CVAT, VoTT and CreateML have in common: their readers only turn files into `DescribedImage`s.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from yolo3.datasets.annotation import Annotation, Box, Dataset, Finding, build_annotation, file_of
from yolo3.datasets.class_names import unknown_name_message
from yolo3.datasets.find_images import (
    ImageIndex,
    only_image,
    unread_findings,
    without_contested,
)
from yolo3.datasets.image_size import size_findings, size_or_none
from yolo3.datasets.images import ANNOTATION_FOLDERS, IMAGE_SUFFIXES
from yolo3.datasets.json_values import read_json, show_value
from yolo3.datasets.lists import dataset_name, list_role, require_list
from yolo3.datasets.written_names import file_in, spellings
from yolo3.files import has_suffix


@dataclass(frozen=True)
class DescribedBox:
    """One object: class name, corners, marks, and its line in the file if known."""

    class_name: str
    xyxy: tuple[float, float, float, float]
    line: int | None = None
    difficult: bool = False
    crowd: bool = False


@dataclass
class DescribedImage:
    """One image as an annotation file describes it.

    Attributes:
        name: File name or path of the image, as written.
        where: File, or "file:line".
        list_name: The list that it belongs to, "" if to none.
        size: (height, width) as stated, None if it is not.
        boxes: Its objects.
        relative: Whether corners are fractions of the image rather than pixels.
        other_name: A name to look for if no image has the first, "" for none.
    """

    name: str
    where: str
    list_name: str = ""
    size: tuple[int, int] | None = None
    boxes: list[DescribedBox] = field(default_factory=list)
    relative: bool = False
    other_name: str = ""


@dataclass
class Description:
    """What the annotation files of a data set say, all lists together.

    Attributes:
        format: Name of the format.
        images: The images, in order.
        class_names: Class names that the files list, in the order of their ids; others that objects have come after
            them, sorted.
        reading: The list that is being read, to which what is reported belongs; "" for all lists.
        findings: (list, what is wrong with the files).
        without_area: (list, place) of each point, line or tag, which give no box.
    """

    format: str
    images: list[DescribedImage] = field(default_factory=list)
    class_names: list[str] = field(default_factory=list)
    reading: str = ""
    findings: list[tuple[str, Finding]] = field(default_factory=list)
    without_area: list[tuple[str, str]] = field(default_factory=list)

    def list_names(self) -> list[str]:
        """Return the names of the lists that images and findings belong to, in order."""
        names = [image.list_name for image in self.images] + [name for name, _ in self.findings]
        return list(dict.fromkeys(filter(None, names)))

    def list_by_folders(self) -> None:
        """Let the folders in the names of images, such as "train/1.jpg", be the lists if nothing else says them."""
        if len(self.list_names()) > 1:
            return
        folders = []
        for image in self.images:
            parts = image.name.replace("\\", "/").split("/")[:-1]
            folders.append(next((part for part in reversed(parts) if list_role(part)), ""))
        if "" not in folders and len(set(folders)) > 1:
            for image, folder in zip(self.images, folders, strict=True):
                image.list_name = folder
            self.findings = [("", finding) for _, finding in self.findings]
            self.without_area = [("", place) for _, place in self.without_area]

    def report(self, kind: str, where: str, message: str, severity: str = "error") -> None:
        """Add a finding."""
        self.findings.append((self.reading, Finding(severity, kind, where, message)))

    def read_json(self, file: str, kind: type) -> Any:
        """Return the content of a JSON file, `kind` (dict or list) at its top; None if it is reported."""
        try:
            content = read_json(file)
        except ValueError as error:
            where, _, message = str(error).partition(": ")
            self.report("bad-json", where, message)
            return None
        if isinstance(content, kind):
            return content
        expected = "an object" if kind is dict else "a list"
        self.report("bad-json", file, f"expected JSON with {expected} at its top, got {show_value(content)}")
        return None


def data_root(path: str) -> str:
    """Return the folder to search for images: a folder itself; of a file its own, or the one above annotations/."""
    if os.path.isdir(path):
        return path
    folder = os.path.dirname(os.path.abspath(path))
    return os.path.dirname(folder) if os.path.basename(folder).lower() in ANNOTATION_FOLDERS else folder


def build_dataset(
    path: str, description: Description, class_names: Sequence[str] | None, list_name: str | None
) -> Dataset:
    """Find the images, give classes their ids, and build the annotations.

    Args:
        path: The file or folder of the data set.
        description: What its files say.
        class_names: Classes of the result; those of the description if None.
        list_name: Name of one of its lists; all images if None.

    Returns:
        The data set.

    Raises:
        ValueError: If there is no such list, or nothing at all.
    """
    if list_name is not None:
        require_list(path, list_name, description.list_names())
    if not description.images and not description.findings:
        raise ValueError(f"{path}: expected annotations ({description.format}), got no images in them")
    if class_names is None:
        used = sorted({box.class_name for image in description.images for box in image.boxes})
        class_names = list(dict.fromkeys([*description.class_names, *used]))

    index = ImageIndex(data_root(path))
    ids = {name: number for number, name in enumerate(class_names)}
    findings = [finding for name, finding in description.findings if list_name is None or name in ("", list_name)]
    annotations: list[Annotation] = []
    names: list[str] = []
    for image in description.images:
        if list_name is not None and image.list_name != list_name:
            continue
        image_path = only_image(_find_image(image, index), image.name, image.where, findings, index)
        if image_path is None:
            continue
        shape = size_or_none(image_path)
        findings += size_findings(image.size, shape, image.where)
        boxes = _boxes_of(image, shape, ids, findings)
        annotations.append(build_annotation(image_path, boxes, image.where, shape))
        names.append(image.name)
    annotations = without_contested(annotations, names, findings)

    places = [place for name, place in description.without_area if list_name is None or name in ("", list_name)]
    if places:
        message = f"{len(places)} points, lines or tags give no box and are not used, first in {places[0]}"
        findings.append(Finding("warning", "without-area", path, message))
    if os.path.isdir(path) and list_name is None:
        used_images = {annotation.image_path for annotation in annotations}
        alone = [image_path for image_path in index.paths if image_path not in used_images]
        if alone:
            message = f"{len(alone)} images have no annotation and are not used, first {alone[0]}"
            findings.append(Finding("warning", "no-annotation", path, message))
        findings += unread_findings(index.unread, path)
    return Dataset(
        annotations,
        list(class_names),
        format=description.format,
        findings=findings,
        name=dataset_name(path, list_name),
    )


def _find_image(image: DescribedImage, index: ImageIndex) -> list[str]:
    """Look where the name says, seen from the annotation file; then by the rule of `ImageIndex`, with any suffix.

    A name with folders may also be seen from the current folder or up to three folders above the annotation file.
    """
    here = os.path.dirname(os.path.abspath(file_of(image.where)))
    above = [os.path.join(here, *[os.pardir] * count) for count in (1, 2, 3)]
    for name in filter(None, (image.name, image.other_name)):
        has_folders = any("/" in spelling for spelling in spellings(name))
        path = file_in((here, os.curdir, *above) if has_folders else (here,), name)
        if path is not None:
            return [path]

        # Of images of one name in several lists that of the own list: images/train/1.jpg in "train" or "train_labels".
        stem = os.path.splitext(name)[0] if has_suffix(name, IMAGE_SUFFIXES) else name
        for part in (image.list_name, *re.findall(r"[a-z]+", image.list_name.lower())):
            near = os.path.join(here, part, "_")
            found = index.find(name, near=near) or index.find_stem(stem, near=near)
            found = index.of_list(found, image.list_name, file_of(image.where))
            if len(found) == 1:
                break
        if found:
            return found
    return []


def _boxes_of(
    image: DescribedImage, shape: tuple[int, int] | None, ids: dict[str, int], findings: list[Finding]
) -> list[Box]:
    """Return the boxes of known classes in pixels; objects of other classes are reported."""
    if image.relative and shape is None:
        return []  # the checks report an image that cannot be read
    height, width = shape if image.relative and shape is not None else (1, 1)
    boxes = []
    for box in image.boxes:
        if box.class_name in ids:
            x_min, y_min, x_max, y_max = box.xyxy
            corners = (x_min * width, y_min * height, x_max * width, y_max * height)
            boxes.append(Box(corners, ids[box.class_name], difficult=box.difficult, crowd=box.crowd, line=box.line))
        else:
            place = image.where if box.line is None else f"{file_of(image.where)}:{box.line}"
            findings.append(Finding("error", "unknown-class", place, unknown_name_message(box.class_name, list(ids))))
    return boxes
