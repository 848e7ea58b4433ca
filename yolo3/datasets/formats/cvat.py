"""CVAT's XML: "CVAT for images 1.1", an <image> with its shapes; tracks of "CVAT for video 1.1" by images of frames."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence

from lxml import etree

from yolo3.datasets.annotation import Dataset
from yolo3.datasets.find_images import ImageIndex
from yolo3.datasets.formats.described_images import (
    DescribedBox,
    DescribedImage,
    Description,
    build_dataset,
    data_root,
)
from yolo3.datasets.formats.format import Format
from yolo3.datasets.json_values import finite_number, finite_numbers
from yolo3.datasets.lists import name_list_files
from yolo3.file_states import record_file
from yolo3.files import has_suffix, walk_files

NAME = "cvat"
_BYTES_LOOKED_AT = 4096
_FILES_LOOKED_AT = 50  # XML files of a folder that are looked at, to tell whether it is in this format
_WITH_AREA = ("box", "polygon", "ellipse", "mask", "cuboid", "skeleton")
_WITHOUT_AREA = ("polyline", "points", "tag")
_NO_LISTS = ("", "default")  # subsets
_LAST_LINE = 65535
_XML_OPTIONS = {"resolve_entities": False, "no_network": True, "remove_comments": True, "remove_pis": True}


def matches(path: str) -> bool:
    """Return whether a path is, or holds, XML with an <annotations> root."""
    if os.path.isfile(path):
        return _is_cvat_xml(path)
    files = (file for file in walk_files(path) if has_suffix(file, ".xml"))
    return any(_is_cvat_xml(file) for file, _ in zip(files, range(_FILES_LOOKED_AT), strict=False))


def list_names(path: str) -> list[str]:
    """Return the names of the subsets of the images, else of the XML files, else of the images' folders."""
    return _describe(path).list_names()


def read(path: str, class_names: Sequence[str] | None = None, list_name: str | None = None) -> Dataset:
    """Read an XML file, all XML files of a folder, or one list.

    Args:
        path: The file or folder.
        class_names: Classes of the result; if None, the labels of the task or project in their order.
        list_name: Name of a list.

    Returns:
        The data set; an image without shapes is background.

    Raises:
        ValueError: If there is no such XML, or no such list.
    """
    return build_dataset(path, _describe(path), class_names, list_name)


FORMAT = Format(
    name=NAME,
    description="CVAT for images, XML",
    looked_for="XML with <annotations>",
    matches=matches,
    list_names=list_names,
    read=read,
)


def _is_cvat_xml(file: str) -> bool:
    """Return whether the first element of a file is <annotations>."""
    record_file(file)
    with open(file, "rb") as stream:
        head = stream.read(_BYTES_LOOKED_AT)
    parser = etree.XMLPullParser(["start"], **_XML_OPTIONS)
    with contextlib.suppress(etree.XMLSyntaxError):  # after the first element, where reading the file reports it
        parser.feed(head)
    return next((element.tag for _, element in parser.read_events()), "") == "annotations"


def _describe(path: str) -> Description:
    if os.path.isdir(path):
        files = [file for file in walk_files(path) if has_suffix(file, ".xml") and _is_cvat_xml(file)]
        lists = name_list_files(files, path)
    else:
        lists = {"": path}
    if not lists:
        raise ValueError(f"{path}: expected {FORMAT.looked_for}, got none")

    description = Description(NAME)
    for list_name, file in lists.items():
        try:
            _read_file(file, list_name, path, description)
        except etree.XMLSyntaxError as error:
            reason = str(error.msg).split(", line ")[0]
            message = f"expected well-formed XML, got '{reason}'; repair the file or export it again"
            description.report("bad-xml", f"{file}:{error.lineno or 1}", message)
    description.list_by_folders()
    return description


def _read_file(file: str, list_name: str, path: str, description: Description) -> None:
    """Add what one file says; elements are dropped as soon as they are read."""
    record_file(file)
    frames: dict[int, DescribedImage] = {}
    for _, element in etree.iterparse(file, tag=("label", "image", "track"), **_XML_OPTIONS):
        if element.tag == "label":
            name = (element.findtext("name") or "").strip()
            is_part = bool(element.findtext("parent"))  # of a skeleton
            if name and not is_part and element.findtext("type") not in _WITHOUT_AREA:
                description.class_names.append(name)
            continue
        if element.tag == "image":
            subset = element.get("subset", "")
            image = DescribedImage(
                name=element.get("name", ""),
                where=_where(file, element),
                list_name=list_name if subset.lower() in _NO_LISTS else subset,
                size=_size_of(element),
            )
            image.boxes = list(_boxes_of(element, file, description))
            description.images.append(image)
        else:
            for frame, box in _boxes_of_track(element, file, description):
                where = _where(file, element)
                frames.setdefault(frame, DescribedImage(f"frame_{frame:06d}", where, list_name)).boxes.append(box)
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]

    if frames:
        first = frames[min(frames)].name
        if ImageIndex(data_root(path)).find_stem(first):
            description.images += (frames[number] for number in sorted(frames))
        else:
            message = (
                f"expected images, got tracks of a video without images of its frames ({first}.png, ...); export it "
                "with images, or as 'CVAT for images 1.1'"
            )
            description.report("missing-image", file, message)


def _where(file: str, element: etree._Element) -> str:
    """Return "file:line"; libxml2 counts lines up to 65535."""
    return f"{file}:{element.sourceline}" if element.sourceline < _LAST_LINE else file


def _size_of(element: etree._Element) -> tuple[int, int] | None:
    """Return (height, width) as stated, None if it is not."""
    sides = finite_numbers((element.get("height"), element.get("width")))
    return (int(sides[0]), int(sides[1])) if sides is not None and min(sides) >= 1 else None


def _boxes_of(image: etree._Element, file: str, description: Description) -> Iterator[DescribedBox]:
    """Yield the boxes around the shapes of an image; what is wrong is reported."""
    for shape in image:
        where = _where(file, shape)
        if shape.get("outside") == "1":
            continue
        if shape.tag in _WITH_AREA:
            try:
                yield _parse_shape(shape, shape.get("label"))
            except ValueError as error:
                description.report("bad-box", where, str(error))
        elif shape.tag in _WITHOUT_AREA:
            description.without_area.append(where)


def _boxes_of_track(track: etree._Element, file: str, description: Description) -> Iterator[tuple[int, DescribedBox]]:
    """Yield (frame, box) of the shapes of a track while the object is in the picture."""
    for shape in track:
        if shape.tag not in _WITH_AREA or shape.get("outside") == "1":
            continue
        try:
            frame = finite_number(shape.get("frame"))
            if frame is None or frame < 0:
                raise ValueError(f"expected the number of a frame, got '{shape.get('frame')}'")
            yield int(frame), _parse_shape(shape, track.get("label"))
        except ValueError as error:
            description.report("bad-box", _where(file, shape), str(error))


def _parse_shape(shape: etree._Element, label: str | None) -> DescribedBox:
    """Return the box around a shape.

    Raises:
        ValueError: If it has no label, or a coordinate is no number.
    """
    if not label or not label.strip():
        raise ValueError(f"expected a label for each {shape.tag}, got none")

    if shape.tag == "box":
        x_min, y_min, x_max, y_max = _numbers(shape, "xtl", "ytl", "xbr", "ybr")
        xs, ys = [x_min, x_max, x_max, x_min], [y_min, y_min, y_max, y_max]
    elif shape.tag == "mask":
        left, top, width, height = _numbers(shape, "left", "top", "width", "height")
        xs, ys = [left, left + width], [top, top + height]
    elif shape.tag == "ellipse":
        # Turned by an angle, its half width is the root of (rx cos)^2 + (ry sin)^2.
        x, y, radius_x, radius_y = _numbers(shape, "cx", "cy", "rx", "ry")
        (angle,) = _numbers(shape, "rotation", default="0")
        cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        half_width = math.hypot(radius_x * cosine, radius_y * sine)
        half_height = math.hypot(radius_x * sine, radius_y * cosine)
        xs, ys = [x - half_width, x + half_width], [y - half_height, y + half_height]
    elif shape.tag == "cuboid":
        corners = [f"{side}{number}" for side in ("tl", "bl", "tr", "br") for number in (1, 2)]
        xs = _numbers(shape, *(f"x{corner}" for corner in corners))
        ys = _numbers(shape, *(f"y{corner}" for corner in corners))
    else:  # a polygon, or a skeleton of points
        texts = [shape.get("points", "")] + [part.get("points", "") for part in shape if part.get("outside") != "1"]
        numbers = finite_numbers(
            value for text in texts for pair in text.split(";") if pair for value in pair.split(",")
        )
        if numbers is None or len(numbers) < 4 or len(numbers) % 2:
            raise ValueError(f"expected points 'x,y;x,y;...' of a {shape.tag}, got '{' '.join(texts)[:80]}'")
        xs, ys = numbers[::2], numbers[1::2]

    if shape.tag == "box" and shape.get("rotation"):
        (angle,) = _numbers(shape, "rotation")
        xs, ys = _turned(xs, ys, math.radians(angle))
    marks = {part.get("name", "").lower(): (part.text or "").strip().lower() for part in shape.iterfind("attribute")}
    difficult = marks.get("difficult") in ("true", "1", "yes")
    line = shape.sourceline if shape.sourceline < _LAST_LINE else None
    return DescribedBox(label.strip(), (min(xs), min(ys), max(xs), max(ys)), line=line, difficult=difficult)


def _numbers(shape: etree._Element, *names: str, default: str = "") -> list[float]:
    texts = [shape.get(name, default) for name in names]
    numbers = finite_numbers(texts)
    if numbers is None:
        raise ValueError(f"expected numbers for {', '.join(names)} of a {shape.tag}, got '{', '.join(texts)}'")
    return numbers


def _turned(xs: list[float], ys: list[float], angle: float) -> tuple[list[float], list[float]]:
    """Return points turned around their centre, clockwise in the image, by an angle in radians."""
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    cosine, sine = math.cos(angle), math.sin(angle)
    points = [(px - x, py - y) for px, py in zip(xs, ys, strict=True)]
    return [x + dx * cosine - dy * sine for dx, dy in points], [y + dx * sine + dy * cosine for dx, dy in points]
