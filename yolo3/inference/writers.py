"""What ``yolo3 detect`` leaves behind: JSON, COCO results, CSV, YOLO txt, crops, images and videos with boxes, words.

Writers have ``add(shot, image, found)`` for each image as it is done, ``close()`` and ``discard()``; :func:`writing`
calls them. A file is written beside its place and put there when it is whole.
"""

import contextlib
import csv
import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TextIO

import numpy as np

from yolo3.datasets.formats.coco_ids import CocoIds
from yolo3.datasets.images import write_image
from yolo3.detections import Detections, coco_detections_json
from yolo3.files import replace_file
from yolo3.inference.sources import Shot, Source, numbered, result_paths
from yolo3.inference.videos import VideoFile
from yolo3.ops.boxes import clip, xyxy_to_cxcywh
from yolo3.visualize.boxes import draw_boxes


class Writer(Protocol):
    def add(self, shot: Shot, image: np.ndarray, found: Detections) -> None:
        """Take the detections of an image, uint8 RGB [H, W, 3]."""

    def close(self) -> None:
        """Put what was written in its place."""

    def discard(self) -> None:
        """Leave no trace of what is not in its place; after ``close`` nothing is left to do."""


@contextlib.contextmanager
def writing(writers: Sequence[Writer]) -> Iterator[None]:
    """Close the writers at the end, also when the user interrupts; after an error their files are not there."""
    try:
        yield
    except KeyboardInterrupt:
        _close_all(writers)
        raise
    except BaseException:
        _discard_all(writers)
        raise
    _close_all(writers)


def _close_all(writers: Sequence[Writer]) -> None:
    try:
        for writer in writers:
            writer.close()
    finally:
        _discard_all(writers)


def _discard_all(writers: Sequence[Writer]) -> None:
    for writer in writers:
        writer.discard()


# One file for all images


class _GrowingFile:
    """A text file that is written beside its place, piece by piece; it begins with ``head``.

    A link stays a link: what it points to is replaced.
    """

    def __init__(self, path: str | os.PathLike, head: str):
        self.path, self.head = Path(os.path.realpath(path)), head
        self._part = self.path.with_name(f".{self.path.name}.{os.getpid()}.part")
        self._file: TextIO | None = None

    def write(self, text: str) -> None:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._part, "w", encoding="utf-8", newline="")
            self._file.write(self.head)
        self._file.write(text)

    def close(self) -> None:
        """Put the file in its place, with ``head`` alone if nothing else was written."""
        self.write("")
        if self._file is not None:
            self._file.close()
            os.replace(self._part, self.path)
            self._file = None

    def discard(self) -> None:
        if self._file is not None:
            self._file.close()
            self._part.unlink(missing_ok=True)
            self._file = None


class _JsonList:
    """A JSON list in a file, an item a line, so that it need not be in memory."""

    def __init__(self, path: str | os.PathLike):
        self._file = _GrowingFile(path, head="[")
        self._before = "\n"

    def write(self, item: dict) -> None:
        self._file.write(self._before + json.dumps(item))
        self._before = ",\n"

    def close(self) -> None:
        self._file.write("\n]\n")
        self._file.close()

    def discard(self) -> None:
        self._file.discard()


class _OneFile:
    """A writer of one file."""

    def __init__(self, file: _GrowingFile | _JsonList):
        self._file = file

    def close(self) -> None:
        self._file.close()

    def discard(self) -> None:
        self._file.discard()


class JsonFile(_OneFile):
    """A list with an object an image: image, width, height, detections; of a video also frame and seconds.

    A detection has class_id, class_name, score and box: x_min, y_min, x_max, y_max in pixels.
    """

    def __init__(self, path: str | os.PathLike, class_names: Sequence[str]):
        self._list, self.class_names = _JsonList(path), class_names
        super().__init__(self._list)

    def add(self, shot: Shot, image: np.ndarray, found: Detections) -> None:
        place = {} if shot.frame is None else {"frame": shot.frame, "seconds": _rounded_seconds(shot)}
        size = {"width": image.shape[1], "height": image.shape[0]}
        detections = [
            {"class_id": class_id, "class_name": self.class_names[class_id], "score": score, "box": box}
            for box, score, class_id in _rows(found)
        ]
        self._list.write({"image": shot.source.path, **place, **size, "detections": detections})


class CsvFile(_OneFile):
    """A line a detection: image, frame, seconds (both empty for an image), class, score, corners in pixels."""

    COLUMNS = ("image", "frame", "seconds", "class_id", "class_name", "score", "x_min", "y_min", "x_max", "y_max")

    def __init__(self, path: str | os.PathLike, class_names: Sequence[str]):
        file, self.class_names = _GrowingFile(path, head=",".join(self.COLUMNS) + "\n"), class_names
        super().__init__(file)
        self._writer = csv.writer(file, lineterminator="\n")

    def add(self, shot: Shot, image: np.ndarray, found: Detections) -> None:
        place = [shot.source.path, *(("", "") if shot.frame is None else (shot.frame, _rounded_seconds(shot)))]
        for box, score, class_id in _rows(found):
            self._writer.writerow([*place, class_id, self.class_names[class_id], score, *box])


def _rounded_seconds(shot: Shot) -> float | None:
    return None if shot.seconds is None else round(shot.seconds, 3)


def _rows(found: Detections) -> Iterator[tuple[list[float], float, int]]:
    """Yield (box in hundredths of a pixel, score in millionths, class id) of each detection."""
    for box, score, class_id in zip(found.boxes, found.scores, found.class_ids, strict=True):
        yield [round(float(value), 2) for value in box], round(float(score), 6), int(class_id)


# COCO results

_COCO_UNUSED = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}  # of COCO's category ids, 1 to 90


class CocoFile(_OneFile):
    """COCO's results format: a list with an object a detection: image_id, category_id, bbox, score.

    With ``ids`` they are those of a file of annotations. Without, COCO's 80 classes have COCO's ids, of others class 0
    is category 1, and an image's id is the number that is its name, where all names are different numbers, as COCO's
    own; else images and frames are numbered from 1 in the order in which they were done, and each detection says
    its file_name, and frame, too.
    """

    def __init__(
        self, path: str | os.PathLike, class_names: Sequence[str], sources: Sequence[Source], ids: CocoIds | None = None
    ):
        self._category_ids = _coco_category_ids(class_names) if ids is None else ids.category_ids(class_names)
        self._image_ids = _numbers_in_names(sources) if ids is None else _ids_of_images(sources, ids)
        self._list, self._count = _JsonList(path), 0
        super().__init__(self._list)

    def add(self, shot: Shot, image: np.ndarray, found: Detections) -> None:
        self._count += 1
        image_id = self._count if self._image_ids is None else self._image_ids[shot.source.path]
        origin: dict[str, str | int] = {} if shot.frame is None else {"frame": shot.frame}
        if self._image_ids is None:
            origin["file_name"] = shot.source.path
        for item in coco_detections_json([found], [image_id], self._category_ids):
            self._list.write(item | origin)


def read_coco_ids(path: str, sources: Sequence[Source]) -> CocoIds:
    """Read the ids that COCO annotations give to the images that are looked at.

    Raises ``ValueError`` where an image has no id or may have several, and for a video.
    """
    ids = CocoIds(path)
    _ids_of_images(sources, ids)
    return ids


def _ids_of_images(sources: Sequence[Source], ids: CocoIds) -> dict[str, int]:
    """Return the id of each image by path. Raises ``ValueError`` for one without an id, and for a video."""
    found = {source.path: ids.image_id(source.path) if source.kind == "image" else None for source in sources}
    missing = next((path for path, image_id in found.items() if image_id is None), None)
    if missing is not None:
        raise ValueError(f"{ids.file}: expected an id for each image, got none for {missing}")
    return found


def _coco_category_ids(class_names: Sequence[str]) -> list[int] | None:
    """Return COCO's own ids for its 80 classes in their usual order, which end with 90; ``None`` for others."""
    if len(class_names) != 80 or (class_names[0], class_names[-1]) != ("person", "toothbrush"):
        return None
    return [number for number in range(1, 91) if number not in _COCO_UNUSED]


def _numbers_in_names(sources: Sequence[Source]) -> dict[str, int] | None:
    """Return the number that is each image's name, by path: 397133 for 000000397133.jpg; ``None`` unless all are."""
    names = [Path(source.path).stem for source in sources]
    if not all(source.kind == "image" for source in sources) or not all(re.fullmatch("[0-9]+", n) for n in names):
        return None
    numbers = {source.path: int(name) for source, name in zip(sources, names, strict=True)}
    return numbers if len(set(numbers.values())) == len(sources) else None


# One file for each image or detection


class _ManyFiles:
    """A writer whose files are in their places as soon as they are written."""

    def close(self) -> None:
        pass

    def discard(self) -> None:
        pass


class YoloTxtFolder(_ManyFiles):
    """A text file an image, by its name: a line a detection, class, centre x and y, width, height.

    Coordinates are fractions of the image: labels, as :mod:`yolo3.datasets.formats.yolo_labels` reads them. With ``scores`` a
    line has the score as its sixth number, and is no label. The file of an image without detections is empty.
    """

    def __init__(self, folder: str | os.PathLike, scores: bool = False):
        self.folder, self.scores = Path(folder), scores

    def add(self, shot: Shot, image: np.ndarray, found: Detections) -> None:
        numbers = xyxy_to_cxcywh(found.boxes.astype(np.float64)) / np.tile(image.shape[1::-1], 2)
        if self.scores:
            numbers = np.concatenate([numbers, found.scores[:, None]], 1)
        lines = [
            f"{class_id} {' '.join(f'{number:.6f}' for number in row)}\n"
            for class_id, row in zip(found.class_ids, numbers, strict=True)
        ]
        replace_file(self.folder / f"{shot.name}.txt", "".join(lines))


class CropsFolder(_ManyFiles):
    """A JPEG a detection, in a folder for each class: the part of the image within the box."""

    def __init__(self, folder: str | os.PathLike, class_names: Sequence[str]):
        self.folders = [Path(folder, name) for name in folder_names(class_names)]

    def add(self, shot: Shot, image: np.ndarray, found: Detections) -> None:
        boxes = clip(found.boxes.astype(np.float64), image.shape[:2])
        low, high = np.floor(boxes[:, :2]).astype(int), np.ceil(boxes[:, 2:]).astype(int)
        for number, class_id in enumerate(found.class_ids):
            (left, top), (right, bottom) = low[number], high[number]
            path = self.folders[class_id] / f"{shot.name}_{number + 1}.jpg"
            if right > left and bottom > top:
                write_image(path, image[top:bottom, left:right])


def folder_names(class_names: Sequence[str]) -> list[str]:
    """Return a name for each class that every file system takes, no two the same: "traffic light", "and_or"."""
    names: list[str] = []
    for name in class_names:
        safe = re.sub(r"[^\w .+()-]", "_", name).strip(" .") or "class"
        safe = f"{safe}_" if re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", safe) else safe  # Windows' own
        taken = {other.casefold() for other in names}
        names.append(next(free for free in numbered(safe) if free.casefold() not in taken))
    return names


# Images and videos with boxes


_WRITTEN_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")  # others are written as .png


def drawn_paths(sources: Sequence[Source], output: str) -> dict[Source, Path]:
    """Return where each image or video with boxes goes: below ``output``, no two to one file, none to an input."""
    return dict(zip(sources, result_paths(sources, output, [_drawn_suffix(source) for source in sources]), strict=True))


def _drawn_suffix(source: Source) -> str:
    if source.kind != "image":
        return ".mp4"
    suffix = Path(source.path).suffix
    return suffix if suffix.lower() in _WRITTEN_SUFFIXES else ".png"


class DrawnFiles:
    """Each image with its boxes at its path, each video or camera as one video.

    ``paths``: where the result of each source goes.
    """

    def __init__(self, paths: Mapping[Source, Path], class_names: Sequence[str]):
        self.paths, self.class_names = paths, class_names
        self._source: Source | None = None
        self._video: VideoFile | None = None

    def add(self, shot: Shot, image: np.ndarray, found: Detections) -> None:
        if shot.source != self._source:
            self.close()
            self._source = shot.source
        drawn = draw_boxes(image, found.boxes, found.class_ids, self.class_names, found.scores)
        path = self.paths[shot.source]
        if shot.seconds is None or shot.rate is None:
            write_image(path, drawn)
            return
        self._video = self._video or VideoFile(path, shot.rate)
        self._video.add(drawn, shot.seconds)

    def close(self) -> None:
        if self._video is not None:
            self._video.close()
        self._video = None

    def discard(self) -> None:
        if self._video is not None:
            self._video.discard()
        self._video = None


# In words


_WEAK_SHOWN = 10
_WORTH_A_LOOK = 0.02  # a score; networks that know nothing of an image give it lower ones


@dataclass
class Report:
    """What was found so far: a tally for each path, and the best scores that are not above the threshold.

    ``network_input``: how the network sees an image, in words.
    """

    class_names: Sequence[str]
    score_threshold: float
    max_boxes: int
    network_input: str
    tallies: dict[str, "Tally"] = field(default_factory=dict)
    num_unreadable: int = 0
    num_full: int = 0  # images with as many detections as there may be
    _weak: list[tuple[float, str, str]] = field(default_factory=list)

    def add(self, shot: Shot, found: Detections) -> Detections:
        """Note the detections of an image and return those above the threshold."""
        above = found.scores > self.score_threshold
        strong = Detections(found.boxes[above], found.scores[above], found.class_ids[above])
        self.num_full += len(strong) == self.max_boxes
        self.tallies.setdefault(shot.source.path, Tally()).add(shot, [self.class_names[i] for i in strong.class_ids])
        place = shot.source.path if shot.frame is None else f"{shot.source.path} frame {shot.frame}"
        weak = zip(found.scores[~above].tolist(), found.class_ids[~above], strict=True)
        self._weak += [(score, self.class_names[class_id], place) for score, class_id in weak]
        self._weak = sorted(self._weak, reverse=True)[:_WEAK_SHOWN]
        return strong

    def print_summary(self, results: str) -> None:
        for line in self.summary(results):
            print(line)

    def summary(self, results: str) -> list[str]:
        """Return lines: what each source shows, where the results are, what to do when nothing was found."""
        if not self.tallies:
            return []
        nothing = f"nothing above {self.score_threshold:g}"
        lines = [f"{path}: {tally.in_words() or nothing}" for path, tally in self.tallies.items()]
        lines += [results] if results else []
        if self.num_unreadable:
            lines.append(f"Could not be read, see above: {self.num_unreadable}")
        if self.num_full:
            allowed = f"as many objects as --max-boxes allows ({self.max_boxes})"
            lines.append(f"Images or frames with {allowed}: {self.num_full}")
        return lines if any(tally.objects for tally in self.tallies.values()) else lines + self._advice()

    def _advice(self) -> list[str]:
        if not self._weak:
            return ["Nothing was found, at any score: are these the right weights?"]
        best = self._weak[0][0]
        first = (
            f"To see them, lower the threshold: --score-threshold {_below(best):g}."
            if best > _WORTH_A_LOOK
            else "Scores as low as these mean that the network sees nothing that it knows."
        )
        return [
            f"Nothing was found above {self.score_threshold:g}. The best scores under it:",
            *(f"  {score:.4f}  {name}  {path}" for score, name, path in self._weak),
            f"{first} If they are wrong: the network was given {self.network_input}; are these the --input-size and "
            "the --resize of its training, and are the images like those that it was trained on?",
        ]


@dataclass
class Tally:
    """What a source shows."""

    frames: int = 0  # 0 for an image
    objects: Counter = field(default_factory=Counter)
    frames_with: Counter = field(default_factory=Counter)

    def add(self, shot: Shot, names: Sequence[str]) -> None:
        self.frames += shot.frame is not None
        self.objects.update(names)
        self.frames_with.update(set(names))

    def in_words(self) -> str:
        """Return "2 dog, 1 car" for an image, "250 frames; dog in 120, car in 7" for a video."""
        if not self.frames:
            return ", ".join(f"{number} {name}" for name, number in self.objects.items())
        counted = ", ".join(f"{name} in {number}" for name, number in self.frames_with.most_common())
        return f"{self.frames} frames; {counted}" if counted else ""


def _below(score: float) -> float:
    """Return a round number somewhat below a score: .0731 gives .03."""
    return float(f"{score / 2:.0e}") if score > 0 else 0.0
