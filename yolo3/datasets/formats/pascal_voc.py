"""Pascal VOC: one XML file per image, in a folder of any layout, with or without ImageSets.

XML files are parsed in ``voc_xml``, lists found in ``voc_lists``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence

from yolo3.datasets.annotation import Annotation, Box, Dataset, Finding, build_annotation, without_crowd
from yolo3.datasets.class_names import read_class_names, unknown_name_message, write_class_names
from yolo3.datasets.copy_images import ImageCopies
from yolo3.datasets.find_images import (
    ImageIndex,
    file_key,
    in_another_list,
    only_image,
    unread_findings,
    without_contested,
)
from yolo3.datasets.formats.format import Format, NewLists
from yolo3.datasets.formats.names import DESCRIPTIONS
from yolo3.datasets.formats.voc_lists import XmlIndex, find_lists, lists_folder, root_of_list, select_files
from yolo3.datasets.formats.voc_xml import VocFile, format_xml, is_voc_xml, parse_xml
from yolo3.datasets.image_size import image_size, size_findings, size_or_none
from yolo3.datasets.images import IMAGE_SUFFIXES
from yolo3.datasets.lists import dataset_name, list_of
from yolo3.files import has_suffix, replace_file, stem_of, walk_files

NAME = "voc"
_CLASSES = "classes.txt"  # names the classes in their order, which XML does not
_FILES_LOOKED_AT = 20  # XML files that are read before a folder counts as something else


def matches(path: str) -> bool:
    """Return whether a path is, or holds, XML with an <annotation> root, or is a list of such files' names."""
    if os.path.isfile(path):
        return is_voc_xml(path) or root_of_list(path) is not None
    xml_files = (file for file in walk_files(path) if has_suffix(file, ".xml"))
    return any(is_voc_xml(file) for file, _ in zip(xml_files, range(_FILES_LOOKED_AT), strict=False))


def list_names(path: str) -> list[str]:
    """Return the names of the lists in ImageSets, else of the folders (train/, test/) that divide the XML files."""
    return list(find_lists(XmlIndex(path))) if os.path.isdir(path) else []


def read(path: str, class_names: Sequence[str] | None = None, list_name: str | None = None) -> Dataset:
    """Read a folder, one of its lists, an ImageSets list file or a single XML file.

    Args:
        path: The folder or file.
        class_names: Classes of the result; the names in the whole folder, sorted, if None, so that every list gives
            the same. A classes.txt in the folder that has all of them gives the order, and classes without boxes.
        list_name: Name of a list of the folder.

    Returns:
        The data set.

    Raises:
        ValueError: If there is nothing in this format, or there is no such list.
    """
    selection = select_files(path, list_name)
    findings = selection.findings
    parsed: dict[str, VocFile | None] = {}
    for _, file in selection.entries:
        if file not in parsed:
            parsed[file] = _parse_or_report(file, findings)

    if class_names is None:  # of all files of the data set, also those of other lists
        files = dict(parsed)
        for file in [] if os.path.isfile(path) and is_voc_xml(path) else XmlIndex(selection.root).files:
            if file not in files:
                files[file] = _parse_or_report(file, [])
        class_names = sorted({item.name for found in files.values() if found is not None for item in found.objects})
        listed = os.path.join(selection.root, _CLASSES)
        if os.path.isfile(listed) and set(class_names) <= set(names := read_class_names(listed)):
            class_names = names

    index = ImageIndex(selection.root)
    if not index.paths and not index.unread:
        number = len(selection.entries)
        message = f"expected the images of {number} XML files in {selection.root} or below it, got none"
        raise ValueError(f"{path}: {message}; give the folder that holds both")
    findings += unread_findings(index.unread, path)
    reader = _Reader(index, class_names, findings)
    built = (reader.build(file, parsed[file], where) for where, file in selection.entries)
    annotations = [annotation for annotation in built if annotation is not None]
    annotations = without_contested(annotations, reader.image_names, findings)

    if os.path.isdir(path) and list_name is None:
        used = {annotation.image_path for annotation in annotations}
        alone = [image for image in index.paths if image not in used]
        if alone:
            message = f"{len(alone)} images have no XML file and are not used, first {alone[0]}"
            findings.append(Finding("warning", "no-annotation", path, message))
    return Dataset(annotations, list(class_names), format=NAME, findings=findings, name=dataset_name(path, list_name))


def write(dataset: Dataset, path: str, images: ImageCopies | None = None) -> None:
    """Write Annotations/, JPEGImages/, ImageSets/Main/<list>.txt and classes.txt; images are copied.

    Coordinates become VOC's (1-based). Crowd regions cannot be marked: they are left out and counted in the log.

    Args:
        dataset: The data set.
        path: The folder.
        images: Copies of the images, for several lists of one folder.
    """
    images = images or ImageCopies()
    stems = []
    for annotation in without_crowd(dataset.annotations, NAME):
        image = images.place(annotation.image_path, os.path.join(path, "JPEGImages"))
        stems.append(stem_of(image))
        text = format_xml(os.path.basename(image), image_size(image), annotation, dataset.class_names)
        replace_file(os.path.join(path, "Annotations", stems[-1] + ".xml"), text, durable=False)
    list_file = os.path.join(path, "ImageSets", "Main", f"{list_of(dataset)}.txt")
    replace_file(list_file, "".join(f"{stem}\n" for stem in stems))
    write_class_names(os.path.join(path, _CLASSES), dataset.class_names)


def format_lists(lists: Mapping[str, Dataset], path: str, suffix: str) -> NewLists:
    """Return text files of ImageSets; an image is named by its XML file, with folders where stems repeat."""
    index = XmlIndex(path)
    stems = Counter(stem_of(file) for file in index.files)
    folder = lists_folder(index)
    files = {}
    for name, part in lists.items():
        entries = []
        for item in part.annotations:
            stem = stem_of(item.source)
            relative = os.path.splitext(os.path.relpath(item.source, path))[0].replace(os.sep, "/")
            entries.append(stem if stems[stem] == 1 else relative)
        files[os.path.join(folder, f"{name}{suffix}.txt")] = "".join(f"{entry}\n" for entry in entries)
    return NewLists(files, path, {name: name + suffix for name in lists})


FORMAT = Format(
    name=NAME,
    description=DESCRIPTIONS[NAME],
    looked_for="XML with <annotation>",
    matches=matches,
    list_names=list_names,
    read=read,
    write=write,
    format_lists=format_lists,
    keeps=frozenset({"difficult"}),
    shares_images=True,
    recorded=True,
)


class _Reader:
    """Pairs XML files with images and names with ids; what is wrong goes to `findings`."""

    def __init__(self, index: ImageIndex, class_names: Sequence[str], findings: list[Finding]):
        self.index = index
        self.class_names = class_names
        self.ids = {name: number for number, name in enumerate(class_names)}
        self.findings = findings
        self.image_names: list[str] = []  # by which the images of the annotations built so far were found

    def build(self, file: str, parsed: VocFile | None, where: str) -> Annotation | None:
        """Return the annotation of one XML file, None if it could not be read or has no image."""
        if parsed is None:
            return None
        name, candidates = self._find_image(file, parsed)
        if not candidates:
            tried = " or ".join(dict.fromkeys((parsed.filename or stem_of(file), stem_of(file))))
            why = self.index.why_missing(name) or f"; add it or remove {file}"
            message = f"expected an image named {tried} in the data folder, got none{why}"
            self.findings.append(Finding("error", "missing-image", where, message))
            return None
        image = only_image(candidates, name, where, self.findings, self.index)
        if image is None:
            return None

        self.image_names.append(name)
        shape = size_or_none(image)
        self.findings += size_findings(parsed.size, shape, file)
        self.findings += [Finding("error", "bad-box", f"{file}:{line}", message) for line, message in parsed.faults]
        boxes = []
        for item in parsed.objects:
            if item.name in self.ids:
                boxes.append(Box(item.xyxy, self.ids[item.name], difficult=item.difficult, line=item.line))
            else:
                message = unknown_name_message(item.name, self.class_names)
                self.findings.append(Finding("error", "unknown-class", f"{file}:{item.line}", message))
        return build_annotation(image, boxes, file, shape)

    def _find_image(self, file: str, parsed: VocFile) -> tuple[str, list[str]]:
        """Return the name that counts, and the images that it fits best.

        The name in the file counts, unless there is an image that is named like the file: copied XML keeps old names.
        """
        name, stem = parsed.path, stem_of(file)
        found = self.index.find(name, near=file)
        if not found:
            without_suffix = name[: name.rfind(".")] if has_suffix(name, IMAGE_SUFFIXES) else name
            found = self.index.find_stem(without_suffix, near=file)
        if found and file_key(stem_of(found[0])) == file_key(stem):
            return name, found

        own = self.index.find(stem, near=file) or self.index.find_stem(stem, near=file)
        own = [image for image in own if not in_another_list(image, file)]
        if found and own:
            message = (
                f"expected <filename> {os.path.basename(own[0])}, got {parsed.filename}; both images exist and the one "
                "named like the XML file is taken"
            )
            self.findings.append(Finding("warning", "filename-mismatch", file, message))
        return (stem, own) if own else (name, found)


def _parse_or_report(file: str, findings: list[Finding]) -> VocFile | None:
    try:
        return parse_xml(file)
    except ValueError as error:
        where, _, message = str(error).partition(": ")
        findings.append(Finding("error", "bad-xml", where, message))
        return None
