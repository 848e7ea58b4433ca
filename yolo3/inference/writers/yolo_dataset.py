"""Images and their detections as a YOLO data set: to be corrected in a labelling tool, and trained on."""

import dataclasses
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from yolo3.datasets.class_names import write_class_names
from yolo3.datasets.images import write_image
from yolo3.detections import Detections
from yolo3.files import naming, replace_file
from yolo3.inference.sources import Shot, numbered
from yolo3.inference.writers.yolo_txt import YoloTxtFolder


class YoloDataset:
    """Writer of a data set that labelling tools open and :mod:`yolo3.datasets.formats.yolo_txt` reads.

    ``images/NAME.jpg`` and ``labels/NAME.txt`` lie in one folder each, as Label Studio's converter wants them;
    ``classes.txt`` is for that converter, and once more among the labels for labelImg; ``data.yaml`` names the classes
    and ``train.txt``, the list of the images, for CVAT and for training. Files of images are copied as they are, frames
    of videos become JPEG.

    Args:
        folder: Folder of the data set, new or empty.
        class_names: Name of each class id.
    """

    def __init__(self, folder: str | os.PathLike, class_names: Sequence[str]):
        self.folder, self.class_names = Path(folder), class_names
        self._labels = YoloTxtFolder(self.folder / "labels")
        self._images: list[str] = []  # names of files
        self._taken = {"classes"}  # names without suffix, in lower case
        self._closed = False

    def add(self, shot: Shot, image: np.ndarray, found: Detections) -> None:
        """Write an image and its labels; see :meth:`Writer.add`."""
        if not self._images:
            self._write_classes()  # names that cannot be written are told before the work
        flat = shot.name.replace("/", "_").encode(errors="replace").decode().replace("?", "_")
        name = next(free for free in numbered(flat) if free.casefold() not in self._taken)
        self._taken.add(name.casefold())
        self._labels.add(dataclasses.replace(shot, name=name), image, found)

        suffix = ".jpg" if shot.frame is not None else Path(shot.source.path).suffix
        path = self.folder / "images" / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if shot.frame is not None:
            write_image(path, image)
        else:
            with naming(path):
                shutil.copyfile(shot.source.path, path)
        self._images.append(path.name)

    def close(self) -> None:
        """Write the list of the images, and the settings that name it and the classes."""
        if not self._images:
            self._write_classes()
        replace_file(self.folder / "train.txt", "".join(f"./images/{name}\n" for name in self._images))
        settings = {"train": "train.txt", "names": dict(enumerate(self.class_names))}
        import yaml  # which detection by an exported file does not need else

        replace_file(self.folder / "data.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
        self._closed = True

    def _write_classes(self) -> None:
        for folder in (self.folder, self.folder / "labels"):
            write_class_names(folder / "classes.txt", self.class_names)

    def discard(self) -> None:
        """Delete what was written of a data set that is not whole."""
        if not self._closed:
            for name in ("images", "labels", "train.txt", "classes.txt", "data.yaml"):
                path = self.folder / name
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
