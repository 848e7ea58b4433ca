"""CVAT's XML: "CVAT for images 1.1", an <image> with its shapes; tracks of "CVAT for video 1.1" by images of frames."""

from __future__ import annotations

import contextlib
import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from lxml import etree

from yolo3.datasets.annotation import Dataset
from yolo3.datasets.find_images import ImageIndex
from yolo3.datasets.formats.cvat_shapes import WITH_AREA, WITHOUT_AREA, line_of, parse_shape
from yolo3.datasets.formats.described_images import (
    DescribedBox,
    DescribedImage,
    Description,
    build_dataset,
    data_root,
)
from yolo3.datasets.formats.format import Format
from yolo3.datasets.formats.names import DESCRIPTIONS
from yolo3.datasets.json_values import finite_number, finite_numbers
from yolo3.datasets.lists import name_list_files
from yolo3.file_states import record_file
from yolo3.files import has_suffix, stem_of, walk_files

NAME = "cvat"
_BYTES_LOOKED_AT = 4096
_FILES_LOOKED_AT = 50  # XML files of a folder that are looked at, to tell whether it is in this format
_NO_LISTS = ("", "default")  # subsets
_FRAME = re.compile("frame_([0-9]{1,12})")  # the stem of the image of a frame
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
    description=DESCRIPTIONS[NAME],
    looked_for="XML with <annotations>",
    matches=matches,
    list_names=list_names,
    read=read,
    recorded=True,
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
    description.reading = list_name
    tracks: list[tuple[str, list[tuple[int, DescribedBox | None]]]] = []
    for _, element in etree.iterparse(file, tag=("label", "image", "track"), **_XML_OPTIONS):
        if element.tag == "label":
            name = (element.findtext("name") or "").strip()
            is_part = bool(element.findtext("parent"))  # of a skeleton
            if name and not is_part and element.findtext("type") not in WITHOUT_AREA:
                description.class_names.append(name)
            continue
        if element.tag == "image":
            subset = element.get("subset", "")
            description.reading = list_name if subset.lower() in _NO_LISTS else subset
            image = DescribedImage(
                name=element.get("name", ""),
                where=_where(file, element),
                list_name=description.reading,
                size=_size_of(element),
            )
            image.boxes = list(_boxes_of(element, file, description))
            description.images.append(image)
        else:
            description.reading = list_name
            tracks.append((_where(file, element), _read_track(element, file, description)))
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]
    if tracks:
        _add_frames(tracks, file, list_name, path, description)


def _add_frames(
    tracks: list[tuple[str, list[tuple[int, DescribedBox | None]]]],
    file: str,
    list_name: str,
    path: str,
    description: Description,
) -> None:
    """Add an image for each frame in which a track of a video has a box, by the images of its frames."""
    stems = (stem_of(image).lower() for image in ImageIndex(data_root(path)).paths)
    there = sorted({int(match.group(1)) for match in map(_FRAME.fullmatch, stems) if match})
    if not there:
        message = (
            "expected images, got tracks of a video without images of its frames (frame_000000.png, ...); export it "
            "with images, or as 'CVAT for images 1.1'"
        )
        description.report("missing-image", file, message)
        return

    frames: dict[int, DescribedImage] = {}
    for where, shapes in tracks:
        for number, box in fill_gaps(shapes, there):
            image = frames.setdefault(number, DescribedImage(f"frame_{number:06d}", where, list_name))
            image.boxes.append(box)
    description.images += (frames[number] for number in sorted(frames))


def fill_gaps(
    shapes: Iterable[tuple[int, DescribedBox | None]], frames: Sequence[int]
) -> Iterator[tuple[int, DescribedBox]]:
    """Yield the boxes of a track, also between the frames that it states, where they move evenly.

    CVAT states each frame; other tools may state key frames alone.

    Args:
        shapes: (frame, box), None where the object has left the picture, in any order.
        frames: Numbers of the frames that have images, sorted.

    Yields:
        (frame, box).
    """
    before: tuple[int, DescribedBox] | None = None
    for number, box in sorted(shapes, key=lambda item: item[0]):
        if before is not None:
            start, first = before
            last = first if box is None else box
            for between in frames[bisect_right(frames, start) : bisect_left(frames, number)]:
                part = (between - start) / (number - start)
                x_min, y_min, x_max, y_max = (
                    one + part * (other - one) for one, other in zip(first.xyxy, last.xyxy, strict=True)
                )
                yield between, replace(first, xyxy=(x_min, y_min, x_max, y_max))
        before = None if box is None else (number, box)
        if box is not None:
            yield number, box


def _where(file: str, element: etree._Element) -> str:
    line = line_of(element)
    return file if line is None else f"{file}:{line}"


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
        if shape.tag in WITH_AREA:
            try:
                yield parse_shape(shape, shape.get("label"))
            except ValueError as error:
                description.report("bad-box", where, str(error))
        elif shape.tag in WITHOUT_AREA:
            description.without_area.append((description.reading, where))


def _read_track(track: etree._Element, file: str, description: Description) -> list[tuple[int, DescribedBox | None]]:
    """Return (frame, box) of the shapes of a track, None where the object has left the picture."""
    shapes: list[tuple[int, DescribedBox | None]] = []
    for shape in track:
        if shape.tag not in WITH_AREA:
            continue
        try:
            frame = finite_number(shape.get("frame"))
            if frame is None or frame < 0:
                raise ValueError(f"expected the number of a frame, got '{shape.get('frame')}'")
            outside = shape.get("outside") == "1"
            shapes.append((int(frame), None if outside else parse_shape(shape, track.get("label"))))
        except ValueError as error:
            description.report("bad-box", _where(file, shape), str(error))
    return shapes
