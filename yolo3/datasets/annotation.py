"""The one record that every reader returns, and the small things that all readers share.

Records (`Annotation`, `Finding`, `Dataset`), class names, images found in a folder, the size of an image
from its header, and files replaced atomically.
"""

from __future__ import annotations

import codecs
import difflib
import errno
import filecmp
import logging
import os
import re
import shutil
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from yolo3.files import atomic_path
from yolo3.images import IMAGE_SUFFIXES, read_image

logger = logging.getLogger(__name__)

# Files beside the data that name its classes.
NAME_FILES = ("classes.txt", "_classes.txt", "obj.names", "_darknet.labels")

# Class ids from here on are not believed where nothing names the classes.
MAX_NUMBERED = 10_000

# Folders that hold the photographs of a data set rather than masks or resized copies of them.
_IMAGE_FOLDERS = ("jpegimages", "images", "image", "imgs", "img")


@dataclass(frozen=True, eq=False)
class Annotation:
    """One image and its boxes.

    `boxes`: float32 [N, 4] boxes_xyxy in pixels of the upright original image, continuous edges: a box that
    covers the whole W x H image is 0, 0, W, H. `class_ids`: int32 [N], from 0. `difficult`, `crowd`: bool
    [N]. `source`: where it was read, "train.txt:7" or "a.xml". `lines`: line number of each box in that file,
    if known.
    """

    image_path: str
    boxes: np.ndarray
    class_ids: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray
    source: str
    lines: tuple[int, ...] | None = None

    def where(self, box: int | None = None) -> str:
        """The place to name in a message: "file:line" of the box if it is known, else of the image."""
        if box is None or self.lines is None:
            return self.source
        return f"{file_of(self.source)}:{self.lines[box]}"

    def select(self, keep: np.ndarray) -> Annotation:
        """The same image with only the boxes of the bool mask (or indices) `keep` [N]."""
        lines = None if self.lines is None else tuple(np.asarray(self.lines, np.int64)[keep].tolist())
        return Annotation(
            self.image_path,
            self.boxes[keep],
            self.class_ids[keep],
            self.difficult[keep],
            self.crowd[keep],
            self.source,
            lines,
        )


@dataclass(frozen=True)
class Finding:
    """Something wrong with a data set: an "error" cannot be used, a "warning" can."""

    severity: str
    kind: str
    where: str
    message: str
    annotation: int | None = None
    box: int | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.message}"


@dataclass(frozen=True)
class Dataset:
    """What a reader made of a path: the images, the class names and what the reader noticed."""

    annotations: list[Annotation]
    class_names: list[str]
    format: str
    findings: list[Finding] = field(default_factory=list)
    name: str = ""


def in_one_class(dataset: Dataset, name: str) -> Dataset:
    """Return the data set with the objects of all its classes in one, ``name``."""
    annotations = [
        replace(annotation, class_ids=np.zeros_like(annotation.class_ids)) for annotation in dataset.annotations
    ]
    return replace(dataset, annotations=annotations, class_names=[name])


@dataclass(frozen=True)
class Box:
    """One box while a file is being read: pixels x_min, y_min, x_max, y_max, and what is said of it."""

    xyxy: tuple[float, float, float, float]
    class_id: int
    difficult: bool = False
    crowd: bool = False
    line: int | None = None


def build_annotation(
    image_path: str, boxes: Sequence[Box], source: str, image_shape: tuple[int, int] | None = None
) -> Annotation:
    """Arrays from boxes; coordinates at most one pixel beyond the border of `image_shape` (height, width) are
    rounding and are put on the border.
    """
    xyxy = np.array([box.xyxy for box in boxes], np.float64).reshape(-1, 4)
    lines = tuple(box.line for box in boxes if box.line is not None)
    return Annotation(
        image_path=image_path,
        boxes=clip_rounding(xyxy, image_shape).astype(np.float32),
        class_ids=np.array([box.class_id for box in boxes], np.int32),
        difficult=np.array([box.difficult for box in boxes], bool),
        crowd=np.array([box.crowd for box in boxes], bool),
        source=source,
        lines=lines if boxes and len(lines) == len(boxes) else None,
    )


def clip_rounding(
    boxes_xyxy: np.ndarray, image_shape: tuple[int, int] | None, slack: float = 1.0
) -> np.ndarray:
    """Boxes [N, 4] in pixels with coordinates up to `slack` pixels outside the image moved to its border.

    Without a shape only the left and top borders are known. What lies further outside stays as it is.
    """
    boxes = np.where((boxes_xyxy < 0) & (boxes_xyxy >= -slack), 0.0, boxes_xyxy)
    if image_shape is None:
        return boxes
    height, width = image_shape
    limit = np.array([width, height, width, height], np.float64)
    return np.where((boxes > limit) & (boxes <= limit + slack), limit, boxes)


def dataset_name(path: str, list_name: str | None) -> str:
    """ "folder" or "folder [trainval]"."""
    base = os.path.basename(os.path.normpath(os.path.abspath(path)))
    return f"{base} [{list_name}]" if list_name else base


def list_of(dataset: Dataset, default: str = "train") -> str:
    """The list that a data set was read from, as its name says it; a folder name that a writer can use."""
    match = re.search(r"\[([^\]]+)\]$", dataset.name)
    return match.group(1).replace("/", "_") if match else default


def require_list(path: str, list_name: str, names: Iterable[str]) -> None:
    """ValueError when a data set has no such list; it says which ones it has."""
    names = list(names)
    if list_name not in names:
        have = f"it has {', '.join(names)}" if names else "it has no lists of its own"
        raise ValueError(f"{path}: expected a list of the data set, got '{list_name}'; {have}")


# Class names


def read_text(path: str) -> str:
    """Text of a file, with or without a byte order mark; what is not UTF-8 (or, by its mark, UTF-16) is read
    as Latin-1.
    """
    with open(path, "rb") as file:
        return decode_text(file.read())


def decode_text(content: bytes) -> str:
    """Text of the bytes of a file, as `read_text` reads it. PowerShell's `>` writes UTF-16."""
    if is_utf16(content):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def is_utf16(content: bytes) -> bool:
    """Whether bytes begin with the byte order mark of UTF-16."""
    return content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))


def text_head(path: str, size: int) -> str:
    """Text of the first `size` bytes of a file; "" for files that are no text, such as images."""
    with open(path, "rb") as file:
        head = file.read(size)
    if is_utf16(head):
        return head.decode("utf-16", "ignore")
    return "" if b"\0" in head else head.decode("utf-8", "replace").lstrip("\ufeff")


def read_lines(path: str) -> list[str]:
    """Lines of a text file, ends of line of any system taken off."""
    return re.split(r"\r\n|\n|\r", read_text(path))


def read_class_names(path: str | os.PathLike) -> list[str]:
    """Class names, one a line; blank lines and lines that start with '#' do not count.

    Raises ValueError for a name given twice, for what is no text, or when there is none. Inverse of
    `write_class_names`.
    """
    path = os.fspath(path)
    if os.path.getsize(path) and not text_head(path, 4096):
        raise ValueError(f"{path}: expected one class name a line, got bytes that are no text")
    first_line: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), 1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        if name in first_line:
            raise ValueError(
                f"{path}:{number}: expected each class name once, got '{name}' again (first on line "
                f"{first_line[name]}); take one of them out"
            )
        first_line[name] = number
    if not first_line:
        raise ValueError(f"{path}: expected one class name a line, got an empty file")
    return list(first_line)


def bundled_class_names(num_classes: int) -> Path | None:
    """Return the project's own list of as many class names (COCO's 80, VOC's 20), None where there is none."""
    name = {80: "coco_classes.txt", 20: "voc_classes.txt"}.get(num_classes)
    folders = (Path("model_data"), Path(__file__).parents[2] / "model_data")
    return next((folder / name for folder in folders if name and (folder / name).is_file()), None)


def write_class_names(path: str | os.PathLike, names: Sequence[str]) -> None:
    """One name a line; the file is replaced atomically. Raises ValueError for names that would not be read
    back.
    """
    for name in names:
        if not name or name != name.strip() or name.startswith("#") or len(name.splitlines()) != 1:
            raise ValueError(
                f"class names: expected a name that fits on a line and does not start with '#', got {name!r}"
            )
    if len(set(names)) != len(names):
        raise ValueError(f"class names: expected each name once, got {list(names)}")
    replace_file(path, "".join(f"{name}\n" for name in names))


def unknown_name_message(name: str, class_names: Sequence[str]) -> str:
    """Says that a class name is not known, and which known names are nearest."""
    lowered = {known.lower(): known for known in class_names}
    near = [lowered[key] for key in difflib.get_close_matches(name.lower(), list(lowered), n=3, cutoff=0.6)]
    if near:
        hint = "did you mean " + " or ".join(f"'{known}'" for known in near) + "?"
    else:
        shown = ", ".join(class_names[:8]) + (", ..." if len(class_names) > 8 else "")
        hint = f"the classes are {shown}"
    return f"expected one of {len(class_names)} class names, got '{name}'; {hint}"


class ClassMap:
    """Maps the ids of data that names its classes to positions in another list of names."""

    def __init__(self, own_names: Sequence[str], class_names: Sequence[str]):
        self.own_names = list(own_names)
        self.class_names = list(class_names)

    def apply(self, boxes: Sequence[Box], where: str, findings: list[Finding]) -> list[Box]:
        """The boxes with new ids; those whose class has no place are left out and reported."""
        if self.own_names == self.class_names:
            return list(boxes)
        mapped = []
        for box in boxes:
            place = where if box.line is None else f"{file_of(where)}:{box.line}"
            if not 0 <= box.class_id < len(self.own_names):
                findings.append(
                    Finding("error", "bad-class-id", place, bad_id_message(box.class_id, self.own_names))
                )
            elif self.own_names[box.class_id] not in self.class_names:
                message = unknown_name_message(self.own_names[box.class_id], self.class_names)
                findings.append(Finding("error", "unknown-class", place, message))
            else:
                new_id = self.class_names.index(self.own_names[box.class_id])
                mapped.append(Box(box.xyxy, new_id, box.difficult, box.crowd, box.line))
        return mapped


def file_of(where: str) -> str:
    """A place without its line number."""
    return re.sub(r":[0-9]+$", "", where)


def bad_id_message(class_id: int, class_names: Sequence[str]) -> str:
    """What to say of an id that no class has."""
    return (
        f"expected a class id from 0 to {len(class_names) - 1} ({len(class_names)} classes), got {class_id}"
    )


def find_class_names(file: str, root: str) -> list[str] | None:
    """Names from classes.txt, _classes.txt, obj.names or the only *.names beside a file or in the root
    folder.
    """
    folders = [os.path.dirname(os.path.abspath(file))]
    if os.path.isdir(root):
        folders.append(os.path.abspath(root))
    for folder in dict.fromkeys(folders):
        names = [
            os.path.join(folder, name) for name in NAME_FILES if os.path.isfile(os.path.join(folder, name))
        ]
        entries = (entry for entry in os.scandir(folder) if has_suffix(entry.name, ".names"))
        names += sorted(entry.path for entry in entries if entry.is_file())
        if names:
            return read_class_names(names[0])
    return None


def is_class_id(value: float) -> bool:
    """Whether a number is whole and small enough to be an id; -1 and the like are for the checks to judge."""
    return abs(value) < 2**31 and value == int(value)


def numbered_class_names(class_ids: Iterable[int]) -> list[str]:
    """ "class_0", "class_1", ... up to the highest id, for data that does not name its classes.

    Ids from MAX_NUMBERED on are slips of the pen and do not count; the checks report them.
    """
    highest = max((number for number in class_ids if number < MAX_NUMBERED), default=0)
    return [f"class_{number}" for number in range(highest + 1)]


def split_annotations(
    annotations: Sequence[Annotation], fraction: float, seed: int
) -> tuple[list[Annotation], list[Annotation]]:
    """Split at random into (train, val) with `fraction` of the images in val, in their old order.

    With two images or more both parts hold at least one; one image goes to train. The same seed gives the
    same split. Raises ValueError when the fraction is not between 0 and 1.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"validation split: expected a fraction between 0 and 1, got {fraction}")
    count = len(annotations)
    num_val = min(max(round(count * fraction), 1), count - 1) if count >= 2 else 0
    chosen = set(np.random.default_rng(seed).permutation(count)[:num_val].tolist())
    train = [annotation for index, annotation in enumerate(annotations) if index not in chosen]
    return train, [annotations[index] for index in sorted(chosen)]


# Files


def replace_file(path: str | os.PathLike, text: str) -> None:
    """Write UTF-8 text beside `path`, then put it in its place in one step: no reader sees half a file.

    Raises IsADirectoryError for a folder: the system's own error would name the file beside it.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def walk_files(folder: str) -> Iterator[str]:
    """Paths of all files below `folder` in a fixed order; links are followed once, hidden files and links to
    nothing never.
    """
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        paths = (os.path.join(parent, name) for name in sorted(names) if not name.startswith("."))
        yield from filter(os.path.isfile, paths)


def has_suffix(path: str, suffixes: str | tuple[str, ...]) -> bool:
    """Whether a path ends so, in any case."""
    return path.lower().endswith(suffixes)


def stem_of(path: str) -> str:
    """File name without folder and without the last suffix."""
    return os.path.splitext(os.path.basename(path))[0]


def base_name(path: str) -> str:
    """File name of a path written on any system."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def group_by_folder(paths: Sequence[str], root: str) -> dict[str, list[str]]:
    """Paths grouped by the folders that divide them, such as train/, valid/ and test/: {} when nothing does.

    The dividing folders are those directly below the deepest folder that holds all paths.
    """
    if not paths:
        return {}
    relative = [os.path.relpath(path, root).split(os.sep) for path in paths]
    depth = 0
    while (
        all(len(parts) > depth + 1 for parts in relative) and len({parts[depth] for parts in relative}) == 1
    ):
        depth += 1
    if any(len(parts) <= depth + 1 for parts in relative):
        return {}
    groups: dict[str, list[str]] = {}
    for path, parts in zip(paths, relative, strict=True):
        groups.setdefault(parts[depth], []).append(path)
    return groups


class ImageIndex:
    """The images below a folder, found by file name or by stem, in any case.

    `ambiguous` collects (name, chosen path) where several images fitted equally well.
    """

    def __init__(self, folder: str, files: Iterable[str] | None = None):
        self.paths = [
            path
            for path in (walk_files(folder) if files is None else files)
            if has_suffix(path, IMAGE_SUFFIXES)
        ]
        self.ambiguous: list[tuple[str, str]] = []
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for path in self.paths:
            self._by_name.setdefault(os.path.basename(path).lower(), []).append(path)
            self._by_stem.setdefault(stem_of(path).lower(), []).append(path)

    def find(self, name: str, near: str) -> str | None:
        """The image with this file name, of several the one nearest to the file `near`; None when there is
        none.
        """
        return self._nearest(name, self._by_name.get(base_name(name).lower(), []), near)

    def find_stem(self, stem: str, near: str) -> str | None:
        """The image with this name before the suffix."""
        return self._nearest(stem, self._by_stem.get(stem.lower(), []), near)

    def find_unique(self, name: str) -> str | None:
        """The image with this file name if there is exactly one."""
        candidates = self._by_name.get(base_name(name).lower(), [])
        return candidates[0] if len(candidates) == 1 else None

    def _nearest(self, name: str, candidates: list[str], near: str) -> str | None:
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        ranked = sorted((_image_rank(path, near), path) for path in candidates)
        if ranked[0][0] == ranked[1][0]:
            self.ambiguous.append((name, ranked[0][1]))
        return ranked[0][1]


def folder_distance(path: str, near: str) -> tuple[int, int]:
    """Sorts files by how their folders agree with those of `near`: from the top first, then from the bottom
    (images/monday/1.jpg and xml/monday/1.xml).
    """
    parts, target = _folders(path), _folders(near)
    shared = len(os.path.commonprefix([parts, target]))
    tail = len(os.path.commonprefix([parts[:shared - 1:-1], target[:shared - 1:-1]]))
    return -shared, -tail


def _folders(path: str) -> list[str]:
    return os.path.dirname(os.path.abspath(path)).split(os.sep)


def _image_rank(path: str, near: str) -> tuple[int, int, bool, int]:
    """Sorts images by shared folders with `near`, usual folder names first, then the suffix."""
    above, below = folder_distance(path, near)
    own = _folders(path)[-above:]
    unusual = bool(own) and not any(part.lower() in _IMAGE_FOLDERS for part in own)
    return above, below, unusual, IMAGE_SUFFIXES.index(os.path.splitext(path)[1].lower())


def ambiguity_findings(index: ImageIndex, where: str) -> list[Finding]:
    """One warning for all names that fitted several images equally well."""
    if not index.ambiguous:
        return []
    name, chosen = index.ambiguous[0]
    return [
        Finding(
            "warning",
            "ambiguous-image",
            where,
            f"expected one image for each name, got several for {len(index.ambiguous)} of them, first "
            f"'{name}' (took {chosen}); move the copies elsewhere",
        )
    ]


class ListedPaths:
    """Finds the images that a text file names, wherever the data has moved since it was written.

    Tried in this order: as an absolute path, below the text file's folder, below the current folder, below
    the three folders above the text file (Darknet's lists are written from its own folder), and last by file
    name anywhere below `root` (the text file's folder, unless a data folder is given), when just one image
    there has that name.
    """

    def __init__(self, text_file: str, root: str | None = None):
        self.folder = os.path.dirname(os.path.abspath(text_file))
        self.root = root if root is not None and os.path.isdir(root) else self.folder
        self._index: ImageIndex | None = None

    def find(self, entry: str) -> str | None:
        """Path of an existing file, or None."""
        for name in dict.fromkeys((entry, entry.replace("\\", "/"))):
            for base in self._bases():
                path = os.path.normpath(os.path.join(base, name))
                if os.path.isfile(path):
                    return path
        if self._index is None:
            self._index = ImageIndex(self.root)
        return self._index.find_unique(entry)

    def _bases(self) -> list[str]:
        above = [os.path.join(self.folder, *[os.pardir] * count) for count in (1, 2, 3)]
        return [self.folder, os.curdir, *above]


def missing_image(where: str, entry: str) -> Finding:
    """The finding for a listed image that is nowhere."""
    return Finding(
        "error",
        "missing-image",
        where,
        f"expected an image, got '{entry}', which does not exist; correct the path or take the line out",
    )


def size_or_none(path: str) -> tuple[int, int] | None:
    """(height, width) of an image, None when it cannot be read: the checks say so later."""
    try:
        return image_size(path)
    except (OSError, ValueError):
        return None


def size_findings(
    stated: tuple[int, int] | None, actual: tuple[int, int] | None, where: str
) -> list[Finding]:
    """A warning when the (height, width) that a file states is not that of the upright image."""
    if stated is None or actual is None or stated == actual:
        return []
    sizes = f"expected the size of the upright image, {actual[1]}x{actual[0]}, got {stated[1]}x{stated[0]}"
    if stated == actual[::-1]:
        return [
            Finding(
                "warning",
                "exif-size",
                where,
                f"{sizes}: the image is turned by its EXIF mark, and the boxes may be those of the image "
                "lying on its side; look at them",
            )
        ]
    return [
        Finding(
            "warning",
            "size-mismatch",
            where,
            f"{sizes}: the boxes may be those of a resized image; look at them",
        )
    ]


def path_for_list(path: str, folder: str) -> str:
    """An image's path as a list in `folder` should name it: relative when it lies below, else absolute."""
    path, folder = os.path.abspath(path), os.path.abspath(folder)
    return os.path.relpath(path, folder) if path.startswith(folder + os.sep) else path


def copy_image(path: str, folder: str, taken: set[str]) -> str:
    """Copy an image into `folder` and return the new path, which is added to `taken`.

    No two images get the same stem. One that is there already, with the same bytes, is not copied again.
    """
    os.makedirs(folder, exist_ok=True)
    stem, suffix = os.path.splitext(os.path.basename(path))
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}_{number}"
        target = os.path.join(folder, name + suffix)
        if os.path.exists(target):
            done = target not in taken and filecmp.cmp(path, target, shallow=False)
        else:
            done = not any(
                os.path.exists(os.path.join(folder, name + other)) for other in _suffixes_of(suffix)
            )
            if done:
                shutil.copyfile(path, target)
        if done:
            taken.add(target)
            return target
        number += 1


def _suffixes_of(suffix: str) -> tuple[str, ...]:
    return (suffix, *IMAGE_SUFFIXES, *(other.upper() for other in IMAGE_SUFFIXES))


def without_crowd(annotations: Sequence[Annotation], format: str) -> list[Annotation]:
    """The annotations without their crowd regions, for formats that cannot mark them; what is left out is
    logged.
    """
    count = int(sum(annotation.crowd.sum() for annotation in annotations))
    if count:
        logger.warning("%s: left out %d crowd regions, which this format cannot mark", format, count)
    return [
        annotation.select(~annotation.crowd) if annotation.crowd.any() else annotation
        for annotation in annotations
    ]


# Image sizes


def image_size(path: str) -> tuple[int, int]:
    """(height, width) in pixels of the upright image, EXIF rotation applied, from the file's header.

    JPEG: ISO/IEC 10918-1 B.2.2 and the orientation tag of EXIF 2.3; PNG: ISO/IEC 15948 11.2.2; BMP:
    BITMAPINFOHEADER. Anything else, or a header that makes no sense, is decoded with OpenCV. Raises OSError
    when the file cannot be opened and ValueError when it is no image.
    """
    with open(path, "rb") as file:
        shape = _size_from_header(file)
    if shape is None:
        shape = read_image(path).shape[:2]
    return shape


def _size_from_header(file) -> tuple[int, int] | None:
    head = file.read(32)
    file.seek(0)
    try:
        if head[:2] == b"\xff\xd8":
            size = _jpeg_size(file)
        elif head[:8] == b"\x89PNG\r\n\x1a\n":
            size = _png_size(file)
        elif head[:2] == b"BM" and len(head) >= 26 and struct.unpack_from("<I", head, 14)[0] >= 40:
            width, height = struct.unpack_from("<ii", head, 18)
            size = abs(height), width  # a negative height means rows from the top down
        else:
            return None
    except (struct.error, IndexError):
        return None
    return size if size is not None and min(size) > 0 else None


# Start-of-frame markers; C4, C8 and CC are tables and extensions.
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg_size(file) -> tuple[int, int] | None:
    """Walk the segments up to the frame header; an orientation of 5 to 8 swaps the sides."""
    file.seek(2)
    orientation = 1
    while True:
        byte = file.read(1)
        while byte and byte != b"\xff":
            byte = file.read(1)
        while byte == b"\xff":
            byte = file.read(1)
        if not byte or byte in (b"\xd9", b"\xda"):
            return None
        if byte[0] == 0x01 or 0xD0 <= byte[0] <= 0xD8:  # markers without a body
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if byte[0] in _SOF:
            height, width = struct.unpack(">xHH", file.read(5))
            return (width, height) if orientation >= 5 else (height, width)
        body = file.read(length - 2)
        if byte[0] == 0xE1 and body[:6] == b"Exif\0\0":
            orientation = _exif_orientation(body[6:])


def _png_size(file) -> tuple[int, int] | None:
    """The header chunk comes first; an eXIf chunk, before or after the pixels, may turn the image."""
    file.seek(8)
    size, orientation = None, 1
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        after = file.tell() + length + 4
        if kind == b"IHDR":
            width, height = struct.unpack(">II", file.read(8))
            size = height, width
        elif kind == b"eXIf":
            orientation = _exif_orientation(file.read(length))
        if size is None or kind == b"IEND":
            break
        file.seek(after)
    return size[::-1] if size is not None and orientation >= 5 else size


def _exif_orientation(tiff: bytes) -> int:
    """Tag 0x0112 of the first directory: 1 is upright, 5 to 8 lie on their side. 1 when it is absent or
    nonsense.
    """
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, offset)
        for entry in range(offset + 2, offset + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, entry)
            if tag == 0x0112:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1
