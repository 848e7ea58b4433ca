"""One XML file of Pascal VOC, parsed and formatted.

VOC counts pixels from 1 and includes the last one, so a box is read as x_min - 1, y_min - 1, x_max, y_max, and a box
over the whole image (1, 1, W, H) becomes 0, 0, W, H (the PASCAL VOC2012 development kit, section 3.1).
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from lxml import etree

from yolo3.datasets.annotation import Annotation
from yolo3.file_states import record_file
from yolo3.files import base_name, decode_text, text_head

_BYTES_LOOKED_AT = 1 << 16  # to find the first element, behind what licences and generators write above it
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class VocObject:
    """One <object>: class name, corners in pixels counted from 0, and the line where it starts."""

    name: str
    xyxy: tuple[float, float, float, float]
    difficult: bool
    line: int


@dataclass(frozen=True)
class VocFile:
    """Content of an XML file.

    Attributes:
        filename: <filename>, "" if absent.
        path: The longest path of the image that is stated: <path> if it ends in <filename>, else <folder>/<filename>.
        size: (height, width) as stated, None if absent or zero.
        objects: The objects that can be read.
        faults: (line, message) of each object that cannot.
    """

    filename: str
    path: str
    size: tuple[int, int] | None
    objects: list[VocObject]
    faults: list[tuple[int, str]]


def is_voc_xml(path: str) -> bool:
    """Return whether the first element of a file is <annotation>."""
    head = text_head(path, _BYTES_LOOKED_AT)
    first = re.match(r"\s*(?:<\?[^>]*\?>\s*)?<([A-Za-z_:][\w.:-]*)", head)
    if first is not None or "<annotation" not in head:
        return first is not None and first.group(1) == "annotation"

    # Comments or a document type come first, which may hold anything.
    parser = etree.XMLPullParser(["start"], resolve_entities=False, no_network=True, recover=True)
    with contextlib.suppress(etree.XMLSyntaxError):
        parser.feed(_xml_text(head.encode("utf-8", "replace")))
    return next((element.tag == "annotation" for _, element in parser.read_events()), False)


def parse_xml(path: str) -> VocFile:
    """Read one XML file; inverse of `format_xml`.

    Entities that the file defines are not expanded and nothing is fetched. Namespaces are ignored.

    Args:
        path: Path of the file.

    Returns:
        Its content.

    Raises:
        ValueError: If it is malformed; the message has the line.
    """
    record_file(path)
    with open(path, "rb") as file:
        text = _xml_text(file.read())
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        reason = str(error.msg).split(", line ")[0]
        raise ValueError(
            f"{path}:{error.lineno or 1}: expected well-formed XML, got '{reason}'; repair the file or remove it"
        ) from error

    objects: list[VocObject] = []
    faults: list[tuple[int, str]] = []
    for element in root:
        if isinstance(element.tag, str) and element.tag.rpartition("}")[2] == "object":
            try:
                objects.append(_parse_object(element))
            except ValueError as error:
                faults.append((element.sourceline, str(error)))

    # Some tools leave <size> out, or zero.
    children = _children(root)
    sides = _children(children["size"]) if "size" in children else {}
    try:
        height, width = (int(float(_text(sides, tag))) for tag in ("height", "width"))
        size = (height, width) if height > 0 and width > 0 else None
    except (ValueError, OverflowError):
        size = None

    filename, folder, stated = (_text(children, tag) for tag in ("filename", "folder", "path"))
    if stated and base_name(stated) == base_name(filename or stated):
        image_path = stated
    else:
        image_path = f"{folder}/{filename}" if folder and filename else filename
    return VocFile(filename, image_path, size=size, objects=objects, faults=faults)


def format_xml(filename: str, image_shape: tuple[int, int], annotation: Annotation, class_names: Sequence[str]) -> str:
    """Return the XML text of an annotation; inverse of `parse_xml`.

    Args:
        filename: File name of the image.
        image_shape: (height, width) of the image.
        annotation: The boxes.
        class_names: Names of the class ids.
    """
    objects = []
    for box, class_id, difficult in zip(
        annotation.boxes.tolist(), annotation.class_ids, annotation.difficult, strict=True
    ):
        values = (box[0] + 1, box[1] + 1, box[2], box[3])
        bndbox = "".join(f"<{tag}>{value:.9g}</{tag}>" for tag, value in zip(_CORNERS, values, strict=True))
        objects.append(
            f"  <object>\n    <name>{escape(class_names[int(class_id)])}</name>\n    <pose>Unspecified</pose>\n"
            f"    <truncated>0</truncated>\n    <difficult>{int(difficult)}</difficult>\n"
            f"    <bndbox>{bndbox}</bndbox>\n  </object>\n"
        )
    height, width = image_shape
    return (
        f"<annotation>\n  <folder>JPEGImages</folder>\n  <filename>{escape(filename)}</filename>\n"
        f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>\n"
        f"  <segmented>0</segmented>\n{''.join(objects)}</annotation>\n"
    )


def _xml_text(content: bytes) -> str:
    """Decode an XML file and blank its declaration, so that any encoding that Python knows can be declared.

    Blank lines above the declaration, which XML forbids, are allowed; lines keep their numbers.
    """
    declared = re.match(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([\w.-]+)["']""", content)
    try:
        text = content.decode(declared.group(1).decode()) if declared else decode_text(content)
    except (LookupError, UnicodeDecodeError):
        text = decode_text(content)
    return re.sub(r"\A\s*<\?xml.*?\?>", lambda match: "\n" * match.group().count("\n"), text, flags=re.DOTALL)


def _parse_object(element: etree._Element) -> VocObject:
    children = _children(element)
    name = _text(children, "name")
    if not name:
        raise ValueError("expected a <name> in each <object>, got none; name it or remove it")
    if "bndbox" not in children:
        raise ValueError(f"expected a <bndbox> in each <object>, got none for '{name}'; add it or remove the object")
    if len(element) > len(children) and len(element.findall("{*}bndbox")) > 1:
        raise ValueError(f"expected one <bndbox> in each <object>, got several for '{name}'; write an object for each")

    corners = _children(children["bndbox"])
    values = []
    for tag in _CORNERS:
        text = _text(corners, tag)
        try:
            values.append(float(text))
        except ValueError:
            values.append(math.nan)
        if not math.isfinite(values[-1]):
            raise ValueError(f"expected a number in <{tag}>, got '{text}'")
    x_min, y_min, x_max, y_max = values

    difficult = _text(children, "difficult").lower() in ("1", "true", "yes")
    return VocObject(name, (x_min - 1, y_min - 1, x_max, y_max), difficult=difficult, line=element.sourceline)


def _children(element: etree._Element) -> dict[str, etree._Element]:
    """Return the child elements by name, of several with one name the first.

    One pass over all children keeps lxml fast: 10,000 files of BCCD, 13 objects each, take 3.2 s of the processor. With
    xml.etree and a search of the text for the lines they took 3.6 s, with lxml's `find` for each child 5.5 s
    (benchmarks/bench_headers.py).
    """
    children: dict[str, etree._Element] = {}
    for child in element:
        tag = child.tag
        if isinstance(tag, str):  # not an entity
            children.setdefault(tag.rpartition("}")[2], child)
    return children


def _text(children: dict[str, etree._Element], tag: str) -> str:
    return (children[tag].text or "").strip() if tag in children else ""
