"""Pascal VOC: one XML file an image, in a folder of any layout, with or without ImageSets.

VOC counts pixels from 1 and includes the last one, so a box is read as x_min - 1, y_min - 1, x_max, y_max,
and a box over the whole image (1, 1, W, H) becomes 0, 0, W, H (the PASCAL VOC2012 development kit, section
3.1).
"""

from __future__ import annotations

import math
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from yolo3.datasets.annotation import (
    Annotation,
    Box,
    Dataset,
    Finding,
    build_annotation,
    without_crowd,
)
from yolo3.datasets.class_names import unknown_name_message
from yolo3.datasets.copy_images import copy_image
from yolo3.datasets.find_images import ImageIndex, ambiguity_findings, folder_distance
from yolo3.datasets.formats.format import Format
from yolo3.datasets.image_size import image_size, size_findings, size_or_none
from yolo3.datasets.images import IMAGE_SUFFIXES
from yolo3.datasets.lists import dataset_name, group_by_folder, list_of, require_list
from yolo3.files import base_name, decode_text, has_suffix, read_lines, replace_file, stem_of, text_head, walk_files

NAME = "voc"
# How many XML files may be looked at before a folder counts as something else.
_FILES_LOOKED_AT = 20


@dataclass(frozen=True)
class VocObject:
    """One <object>: class name, xyxy as this package counts, and the line where it starts."""

    name: str
    xyxy: tuple[float, float, float, float]
    difficult: bool
    line: int | None


@dataclass(frozen=True)
class VocFile:
    """What an XML file says: `size` is (height, width) or None, `faults` (line or None, kind, message)."""

    filename: str
    size: tuple[int, int] | None
    objects: list[VocObject]
    faults: list[tuple[int | None, str, str]]


def matches(path: str) -> bool:
    """Whether a path is, or holds, XML with an <annotation> root, or is a list of such files' names."""
    if os.path.isfile(path):
        return is_voc_xml(path) or _root_of_list(path) is not None
    xml_files = (file for file in walk_files(path) if has_suffix(file, ".xml"))
    return any(is_voc_xml(file) for file, _ in zip(xml_files, range(_FILES_LOOKED_AT), strict=False))


def list_names(path: str) -> list[str]:
    """Names of the lists in ImageSets, else of the folders (train/, test/) that divide the XML files."""
    return list(_find_lists(path, _XmlIndex(path))) if os.path.isdir(path) else []


def read(path: str, class_names: Sequence[str] | None = None, list_name: str | None = None) -> Dataset:
    """Read a folder, one of its lists, an ImageSets list file or a single XML file.

    Without `class_names` the names of the whole folder, sorted, are the classes, so that every list gives the
    same. Raises ValueError when there is nothing of this format or not that list.
    """
    root, entries, findings, list_name = _entries_to_read(path, list_name)
    index = ImageIndex(root)
    parsed = {}
    for _, file in entries:
        if file not in parsed:
            parsed[file] = _parse_or_report(file, findings)
    names = list(class_names) if class_names is not None else _collect_names(root, path, parsed)
    reader = _Reader(index, names, findings)
    annotations = [found for where, file in entries if (found := reader.build(file, parsed[file], where)) is not None]
    if os.path.isdir(path) and list_name is None:
        findings += _images_without_xml(index, annotations, path)
    findings += ambiguity_findings(index, path)
    return Dataset(annotations, names, NAME, findings, dataset_name(path, list_name))


def write(dataset: Dataset, path: str) -> None:
    """Write Annotations/, JPEGImages/ and ImageSets/Main/<list>.txt; images outside the folder are copied
    into it.

    Coordinates become VOC's (1-based). Crowd regions cannot be marked: they are left out and counted in the
    log.
    """
    images: set[str] = set()
    stems = []
    for annotation in without_crowd(dataset.annotations, NAME):
        image = copy_image(annotation.image_path, os.path.join(path, "JPEGImages"), images)
        stems.append(stem_of(image))
        text = format_xml(os.path.basename(image), image_size(image), annotation, dataset.class_names)
        replace_file(os.path.join(path, "Annotations", stems[-1] + ".xml"), text)
    list_file = os.path.join(path, "ImageSets", "Main", f"{list_of(dataset)}.txt")
    replace_file(list_file, "".join(f"{stem}\n" for stem in stems))


FORMAT = Format(
    name=NAME,
    description="Pascal VOC, an XML file an image",
    looked_for="XML with <annotation>",
    matches=matches,
    list_names=list_names,
    read=read,
    write=write,
)


# One XML file


def is_voc_xml(path: str) -> bool:
    """Whether the first element of a file is <annotation>."""
    head = re.sub(r"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>]*>", "", text_head(path, 4096), flags=re.DOTALL)
    return re.match(r"\s*<annotation[\s>/]", head) is not None


def _may_be_voc(path: str) -> bool:
    """Whether an XML file is to be read: an empty one is, so that it is reported."""
    return is_voc_xml(path) or os.path.getsize(path) == 0


def parse_xml(path: str) -> VocFile:
    """Read one XML file. Raises ValueError with the line if it is malformed. Inverse of `format_xml`."""
    with open(path, "rb") as file:
        text = _xml_text(file.read())
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        reason = str(error).split(":")[0]
        raise ValueError(
            f"{path}:{error.position[0]}: expected well-formed XML, got '{reason}'; repair the file or take it out"
        ) from error
    for element in root.iter():
        element.tag = str(element.tag).rpartition("}")[2]  # a namespace says nothing here
    lines = _object_lines(text)
    objects: list[VocObject] = []
    faults: list[tuple[int | None, str, str]] = []
    elements = root.findall("object")
    for number, element in enumerate(elements):
        line = lines[number] if len(lines) == len(elements) else None
        try:
            objects.append(_parse_object(element, line))
        except ValueError as error:
            faults.append((line, "bad-box", str(error)))
    return VocFile(_text(root, "filename"), _parse_size(root), objects, faults)


def format_xml(filename: str, image_shape: tuple[int, int], annotation: Annotation, class_names: Sequence[str]) -> str:
    """XML text for an image of `image_shape` (height, width) with the boxes of an annotation."""
    height, width = image_shape
    objects = "".join(
        f"  <object>\n    <name>{escape(class_names[int(class_id)])}</name>\n    <pose>Unspecified</pose>\n"
        f"    <truncated>0</truncated>\n    <difficult>{int(difficult)}</difficult>\n"
        f"    <bndbox>{_format_box(box.tolist())}</bndbox>\n  </object>\n"
        for box, class_id, difficult in zip(annotation.boxes, annotation.class_ids, annotation.difficult, strict=True)
    )
    return (
        f"<annotation>\n  <folder>JPEGImages</folder>\n  <filename>{escape(filename)}</filename>\n"
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n"
        f"  <segmented>0</segmented>\n{objects}</annotation>\n"
    )


def _format_box(box: list[float]) -> str:
    values = (box[0] + 1, box[1] + 1, box[2], box[3])
    return "".join(f"<{tag}>{value:.9g}</{tag}>" for tag, value in zip(_CORNERS, values, strict=True))


_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def _text(element: ET.Element, tag: str) -> str:
    return (element.findtext(tag) or "").strip()


def _xml_text(content: bytes) -> str:
    """Text of an XML file in the encoding that it declares, without the declaration: the parser knows few
    encodings. Blank lines above the declaration, a fault by the letter, are let pass.
    """
    declared = re.match(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)["']""", content)
    try:
        text = content.decode(declared.group(1).decode()) if declared else decode_text(content)
    except (LookupError, UnicodeDecodeError):
        text = decode_text(content)
    return re.sub(r"\A\s*<\?xml.*?\?>", _blanked, text, flags=re.DOTALL)


def _blanked(match: re.Match[str]) -> str:
    """As many line ends as the match has."""
    return "\n" * match.group().count("\n")


def _object_lines(content: str) -> list[int]:
    """Line number of each <object>, comments blanked."""
    content = re.sub(r"<!--.*?-->", _blanked, content, flags=re.DOTALL)
    lines, line, last = [], 1, 0
    for match in re.finditer(r"<(?:[\w.-]+:)?object[\s>/]", content):
        line += content.count("\n", last, match.start())
        last = match.start()
        lines.append(line)
    return lines


def _parse_object(element: ET.Element, line: int | None) -> VocObject:
    name = _text(element, "name")
    if not name:
        raise ValueError("expected a <name> in each <object>, got none; name it or take it out")
    bndbox = element.find("bndbox")
    if bndbox is None:
        raise ValueError(f"expected a <bndbox> in each <object>, got none for '{name}'; add it or take it out")
    x_min, y_min, x_max, y_max = (_parse_corner(bndbox, tag) for tag in _CORNERS)
    difficult = _text(element, "difficult").lower() in ("1", "true", "yes")
    return VocObject(name, (x_min - 1, y_min - 1, x_max, y_max), difficult, line)


def _parse_corner(bndbox: ET.Element, tag: str) -> float:
    text = _text(bndbox, tag)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"expected a number in <{tag}>, got '{text}'")
    return value


def _parse_size(root: ET.Element) -> tuple[int, int] | None:
    """(height, width) from <size>, None when it is absent or zero, as some tools leave it."""
    try:
        height, width = (int(float(root.findtext(f"size/{tag}") or "")) for tag in ("height", "width"))
    except (ValueError, OverflowError):
        return None
    return (height, width) if height > 0 and width > 0 else None


# From XML files to annotations


class _Reader:
    """Pairs XML files with images and names with ids; what is wrong goes to `findings`."""

    def __init__(self, index: ImageIndex, class_names: Sequence[str], findings: list[Finding]):
        self.index = index
        self.class_names = class_names
        self.ids = {name: number for number, name in enumerate(class_names)}
        self.findings = findings

    def build(self, file: str, parsed: VocFile | None, where: str) -> Annotation | None:
        """The annotation of one XML file, None when it could not be read or has no image."""
        if parsed is None:
            return None
        image = self._find_image(file, parsed.filename)
        if image is None:
            tried = " or ".join(dict.fromkeys((parsed.filename or stem_of(file), stem_of(file))))
            self.findings.append(
                Finding(
                    "error",
                    "missing-image",
                    where,
                    f"expected an image named {tried} in the data folder, got none; add it or remove {file}",
                )
            )
            return None
        shape = size_or_none(image)
        self.findings += size_findings(parsed.size, shape, file)
        self.findings += [Finding("error", kind, _place(file, line), message) for line, kind, message in parsed.faults]
        boxes = [box for item in parsed.objects if (box := self._build_box(file, item)) is not None]
        return build_annotation(image, boxes, file, shape)

    def _build_box(self, file: str, item: VocObject) -> Box | None:
        if item.name not in self.ids:
            self.findings.append(
                Finding(
                    "error",
                    "unknown-class",
                    _place(file, item.line),
                    unknown_name_message(item.name, self.class_names),
                )
            )
            return None
        return Box(item.xyxy, self.ids[item.name], item.difficult, line=item.line)

    def _find_image(self, file: str, filename: str) -> str | None:
        """By <filename>, else by stem; where both exist and differ the stem wins, as copied XML keeps old
        names.
        """
        named = self.index.find(filename, file) or self.index.find_stem(_without_suffix(filename), file)
        if named is not None and stem_of(named).lower() == stem_of(file).lower():
            return named
        own = self.index.find(stem_of(file), file) or self.index.find_stem(stem_of(file), file)
        if named is not None and own is not None:
            self.findings.append(
                Finding(
                    "warning",
                    "filename-mismatch",
                    file,
                    f"expected <filename> {os.path.basename(own)}, got {filename}; both images exist and "
                    "the one named like the XML file is taken",
                )
            )
        return own or named


def _place(file: str, line: int | None) -> str:
    return file if line is None else f"{file}:{line}"


def _without_suffix(name: str) -> str:
    return stem_of(base_name(name)) if has_suffix(name, IMAGE_SUFFIXES) else base_name(name)


def _parse_or_report(file: str, findings: list[Finding]) -> VocFile | None:
    try:
        return parse_xml(file)
    except ValueError as error:
        where, _, message = str(error).partition(": ")
        findings.append(Finding("error", "bad-xml", where, message))
        return None


def _collect_names(root: str, path: str, parsed: dict[str, VocFile | None]) -> list[str]:
    """Class names of all XML files of the data set, sorted; `parsed` saves reading some of them twice."""
    files = {file: parsed.get(file) for file in parsed}
    if not is_single_xml(path):
        for file in _XmlIndex(root).files:
            if file not in files:
                files[file] = _parse_or_report(file, [])
    return sorted({item.name for found in files.values() if found is not None for item in found.objects})


def is_single_xml(path: str) -> bool:
    """Whether the path is one XML file rather than a data set."""
    return os.path.isfile(path) and is_voc_xml(path)


def _images_without_xml(index: ImageIndex, annotations: Iterable[Annotation], path: str) -> list[Finding]:
    used = {annotation.image_path for annotation in annotations}
    alone = [image for image in index.paths if image not in used]
    if not alone:
        return []
    return [
        Finding(
            "warning",
            "no-annotation",
            path,
            f"{len(alone)} images have no XML file and are not used, first {alone[0]}",
        )
    ]


# Lists


class _XmlIndex:
    """The XML files below a folder, and them by stem in any case."""

    def __init__(self, folder: str):
        self.root = folder
        everything = list(walk_files(folder))
        self.files = [file for file in everything if has_suffix(file, ".xml") and _may_be_voc(file)]
        self.text_files = [file for file in everything if has_suffix(file, ".txt")]
        self.by_stem: dict[str, list[str]] = {}
        for file in self.files:
            self.by_stem.setdefault(stem_of(file).lower(), []).append(file)

    def find(self, entry: str, list_file: str) -> str | None:
        """The XML file of an entry (stem, image name or path), of several the one nearest to the list whose
        folders are those of the entry.
        """
        name = base_name(entry)
        stem = stem_of(name) if has_suffix(name, (*IMAGE_SUFFIXES, ".xml")) else name
        found = self.by_stem.get(stem.lower()) or self.by_stem.get(name.lower(), [])
        near = os.path.join(os.path.dirname(list_file), entry.replace("\\", "/").lstrip("/"))
        return min(found, key=lambda file: (*folder_distance(file, near), stem_of(file) != stem), default=None)


def _entries_to_read(path: str, list_name: str | None) -> tuple[str, list[tuple[str, str]], list[Finding], str | None]:
    """Root folder, (place, XML file) of each image to read, findings, and the name of the list."""
    if os.path.isfile(path):
        if list_name is not None:
            require_list(path, list_name, [])
        if is_voc_xml(path):
            return _root_of_xml(path), [(path, path)], [], None
        root = _root_of_list(path)
        if root is None:
            raise ValueError(f"{path}: expected an XML file with <annotation> or a list of such files, got neither")
        entries, findings = _read_list([path], _XmlIndex(root))
        return root, entries, findings, None
    index = _XmlIndex(path)
    if not index.files:
        raise ValueError(f"{path}: expected XML files with <annotation> in this folder or below it, got none")
    if list_name is None:
        return path, [(file, file) for file in index.files], [], None
    lists = _find_lists(path, index)
    require_list(path, list_name, lists)
    members = lists[list_name]
    if all(has_suffix(file, ".xml") for file in members):
        return path, [(file, file) for file in members], [], list_name
    entries, findings = _read_list(members, index)
    return path, entries, findings, list_name


def _root_of_xml(path: str) -> str:
    """Where to look for a single XML file's image: its folder, or the one above if that has none."""
    folder = os.path.dirname(os.path.abspath(path))
    if any(has_suffix(name, IMAGE_SUFFIXES) for name in os.listdir(folder)):
        return folder
    return os.path.dirname(folder)


def _root_of_list(path: str) -> str | None:
    """The data folder of a list file: of the three folders above it, the nearest that holds XML files of its
    names.
    """
    entries = [entry for _, entry in _list_entries(path)]
    folder = os.path.dirname(os.path.abspath(path))
    for _ in range(4 if entries else 0):
        if os.path.dirname(folder) == folder:
            return None
        if _holds_entry(folder, entries[:5]):
            return folder
        folder = os.path.dirname(folder)
    return None


def _holds_entry(folder: str, entries: list[str]) -> bool:
    """Whether the folder or one directly below it has an XML file for one of the names: no deep search."""
    folders = [folder, *(entry.path for entry in os.scandir(folder) if entry.is_dir())]
    stems = [stem_of(base_name(entry)) if has_suffix(entry, IMAGE_SUFFIXES) else base_name(entry) for entry in entries]
    return any(os.path.isfile(os.path.join(parent, stem + ".xml")) for parent in folders for stem in stems)


def _list_entries(path: str) -> list[tuple[int, str]]:
    """(line number, entry) of a list; [] for files that are no text."""
    if not text_head(path, 4096):
        return []
    return [
        (number, line.strip())
        for number, line in enumerate(read_lines(path), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]


def _read_list(files: Iterable[str], index: _XmlIndex) -> tuple[list[tuple[str, str]], list[Finding]]:
    entries: list[tuple[str, str]] = []
    findings = []
    for file in files:
        for number, entry in _list_entries(file):
            xml = index.find(entry, file)
            if xml is None:
                findings.append(
                    Finding(
                        "error",
                        "missing-xml",
                        f"{file}:{number}",
                        f"expected an XML file named {entry}.xml below {index.root}, got none; add it "
                        "or take the line out",
                    )
                )
            else:
                entries.append((f"{file}:{number}", xml))
    return entries, findings


def _find_lists(root: str, index: _XmlIndex) -> dict[str, list[str]]:
    """List name to its text files, or to its XML files where folders are the lists.

    Lists of one name in several ImageSets (VOC2007 and VOC2012 side by side) are one list.
    """
    files = _main_sets(index.text_files)
    if not files:
        files = [file for file in index.text_files if os.path.dirname(os.path.relpath(file, root)) == ""]
    lists: dict[str, list[str]] = {}
    for file in files:
        if _is_list(file, index):
            lists.setdefault(stem_of(file), []).append(file)
    return lists or group_by_folder(index.files, root)


def _main_sets(text_files: Iterable[str]) -> list[str]:
    """Of each ImageSets folder the text files in Main, else those directly in it, else those of all its
    folders.
    """
    by_set: dict[str, dict[str, list[str]]] = {}
    for file in text_files:
        parts = file.split(os.sep)
        lowered = [part.lower() for part in parts]
        if "imagesets" in lowered[:-1]:
            at = len(parts) - 2 - lowered[-2::-1].index("imagesets")
            sub = lowered[at + 1] if at + 2 < len(parts) else ""
            by_set.setdefault(os.sep.join(parts[: at + 1]), {}).setdefault(sub, []).append(file)
    chosen = []
    for subfolders in by_set.values():
        chosen += (
            subfolders.get("main") or subfolders.get("") or [file for some in subfolders.values() for file in some]
        )
    return chosen


def _is_list(file: str, index: _XmlIndex) -> bool:
    """Whether the entries name XML files; lists of one class, `000005 -1` a line, do not count."""
    entries = [entry for _, entry in _list_entries(file)]
    if not entries:
        return os.path.basename(os.path.dirname(file)).lower() == "main"
    return any(index.find(entry, file) is not None for entry in entries[:_FILES_LOOKED_AT])
