"""Read a data set with all its lists, checked, and without what cannot be used."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from yolo3.datasets.annotation import Annotation, Dataset
from yolo3.datasets.check_images import ImageCheck, Progress
from yolo3.datasets.checks import check_dataset
from yolo3.datasets.formats import registry as formats
from yolo3.datasets.lists import require_list
from yolo3.datasets.usable import usable_annotations


@dataclass(frozen=True, eq=False)
class ListedDataset:
    """A data set and its lists.

    Attributes:
        dataset: What can be used of it, with the findings of all checks.
        lists: List name to its images, each also in `dataset`; {} if the data set has none.
        checks: What decoding each image of `dataset` showed, in its order.
        left_out: How many lines, images and boxes cannot be used, by kind of finding.
    """

    dataset: Dataset
    lists: dict[str, list[Annotation]]
    checks: list[ImageCheck]
    left_out: dict[str, int]

    @property
    def in_no_list(self) -> list[Annotation]:
        """Images that no list names; [] if there are no lists."""
        named = {id(annotation) for members in self.lists.values() for annotation in members}
        return [item for item in self.dataset.annotations if id(item) not in named] if self.lists else []


def read_listed(
    path: str,
    format: str | None = None,
    class_names: Sequence[str] | None = None,
    only: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> ListedDataset:
    """Read a data set with its lists and check every image and box.

    Args:
        path: A file or a folder.
        format: Name of its format; recognised by content if None.
        class_names: Classes, in this order; those that the data names if None.
        only: Names of the lists to read; all of them, and images that are in none, if None.
        progress: Called with (done, all) after each image that is decoded.

    Raises:
        ValueError: If nothing can be read, or a list does not exist.
    """
    format = format or formats.detect_format(path)
    names = formats.list_names(path, format)
    for name in only or ():
        require_list(path, name, names)
    whole = formats.read_dataset(path, format, class_names)
    parts = {
        name: formats.read_dataset(path, format, whole.class_names, name)
        for name in dict.fromkeys(names if only is None else only)
    }

    # What only the lists show: lines that name no image.
    findings = list(whole.findings)
    known = {(finding.where, finding.message) for finding in findings}
    for part in parts.values():
        findings += [replace(f, annotation=None, box=None) for f in part.findings if (f.where, f.message) not in known]
    if only is not None:
        whole = _limited(whole, parts.values())
        findings = [finding for part in parts.values() for finding in part.findings if finding.annotation is None]
    whole = replace(whole, findings=list(dict.fromkeys(findings)))

    found, images = check_dataset(whole, progress=progress)
    usable, left_out = usable_annotations(whole, found)
    by_path = {os.path.realpath(item.image_path): item for item in usable}
    lists: dict[str, list[Annotation]] = {}
    for name, part in parts.items():
        keys = dict.fromkeys(os.path.realpath(item.image_path) for item in part.annotations)
        lists[name] = [by_path[key] for key in keys if key in by_path]
    checks = dict(zip((item.image_path for item in whole.annotations), images, strict=True))
    return ListedDataset(
        dataset=replace(whole, annotations=usable, findings=found),
        lists=lists,
        checks=[checks[item.image_path] for item in usable],
        left_out=left_out,
    )


def _limited(dataset: Dataset, parts: Iterable[Dataset]) -> Dataset:
    """Return the images of some lists alone."""
    paths = {os.path.realpath(item.image_path) for part in parts for item in part.annotations}
    return replace(dataset, annotations=[a for a in dataset.annotations if os.path.realpath(a.image_path) in paths])
