"""What a call of the detector returns: the detections in an image, with names, to print, draw, save and hand on."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from yolo3.datasets.images import read_image, write_image
from yolo3.detections import Detections
from yolo3.files import printable

_SHOWN = 10  # detections that a repr lists


class Detection(NamedTuple):
    """One detected object.

    Attributes:
        name: Of its class.
        score: 0 to 1.
        box: (x_min, y_min, x_max, y_max) in pixels of the image.
        class_id: Number of its class, from 0.
    """

    name: str
    score: float
    box: tuple[float, float, float, float]
    class_id: int

    def __repr__(self) -> str:
        corners = ", ".join(f"{side:.0f}" for side in self.box)
        return f"Detection({printable(self.name)!r}, {self.score:.2f}, box=({corners}))"


@dataclass(frozen=True, eq=False, repr=False)
class DetectionResult(Detections):
    """The detections in one image, best scores first, with the names of their classes.

    It is a sequence of :class:`Detection`; the arrays of all of them are `boxes`, `scores` and `class_ids`.

    Args:
        boxes: float32 [N, 4], corners (x_min, y_min, x_max, y_max) in pixels of the original image.
        scores: float32 [N], 0 to 1.
        class_ids: int32 [N].
        class_names: Name of each class id.
        image: The image that they were found in, to draw on: its path, or uint8 [H, W, 3], RGB.

    Raises:
        ValueError: If boxes, scores and class ids differ in number.

    Example:
        >>> found = Detector("model.h5")("dog.jpg")
        >>> found
        DetectionResult(3 objects in dog.jpg)
          dog      0.98  x 131..309  y 218..541
          bicycle  0.94  x 121..568  y 118..437
          car      0.82  x 468..692  y  74..171
        >>> [(one.name, one.score) for one in found if one.score > 0.9]
        >>> found.save("found.png")
    """

    class_names: Sequence[str] = ()
    image: str | os.PathLike | np.ndarray | None = None

    @property
    def names(self) -> list[str]:
        """Name of the class of each detection."""
        known = len(self.class_names)
        return [str(self.class_names[index]) if index < known else f"class {index}" for index in self.class_ids]

    def __getitem__(self, index: int) -> Detection:
        """Return one detection, of the best score first."""
        left, top, right, bottom = map(float, self.boxes[index])
        return Detection(
            name=self.names[index],
            score=float(self.scores[index]),
            box=(left, top, right, bottom),
            class_id=int(self.class_ids[index]),
        )

    def __iter__(self) -> Iterator[Detection]:
        """Iterate over the detections."""
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        number = f"{len(self)} object{'' if len(self) == 1 else 's'}"
        where = "" if self.image is None or isinstance(self.image, np.ndarray) else f" in {os.fspath(self.image)}"
        lines = [f"{type(self).__name__}({number}{printable(where)})"]

        names = [printable(name) for name in self.names[:_SHOWN]]
        width = max(map(len, names), default=0)
        for name, score, (left, top, right, bottom) in zip(names, self.scores, self.boxes):
            lines.append(f"  {name:<{width}}  {score:.2f}  x {left:4.0f}..{right:<4.0f}  y {top:4.0f}..{bottom:<4.0f}")
        if len(self) > _SHOWN:
            lines.append(f"  and {len(self) - _SHOWN} more")
        return "\n".join(line.rstrip() for line in lines)

    def draw(self, image: str | os.PathLike | np.ndarray | None = None) -> np.ndarray:
        """Return the image with the boxes drawn on it, uint8 RGB [H, W, 3].

        Args:
            image: What to draw on, a path or uint8 [H, W, 3]; the image that was detected in if None.

        Raises:
            OSError: If the image is a file that cannot be read any more.
            ValueError: Without an image.
        """
        from yolo3.visualize.boxes import draw_boxes  # needs Pillow

        image = self.image if image is None else image
        if image is None:
            raise ValueError("draw: expected an image= to draw on, got none")
        pixels = image if isinstance(image, np.ndarray) else read_image(image)
        return draw_boxes(pixels, self.boxes, self.class_ids, class_names=self.class_names, scores=self.scores)

    def save(self, path: str | os.PathLike) -> Path:
        """Write the image with the boxes drawn on it, whole or not at all, and return its path.

        Args:
            path: Of the image; the ending, such as .png or .jpg, is its format.

        Raises:
            OSError: If it cannot be written.
            ValueError: For an ending that is no format of images.
        """
        write_image(path, self.draw())
        return Path(path)

    def to_coco(self, image_id: int | None = None, category_ids: Sequence[int] | None = None) -> list[dict]:
        """Return the detections in COCO's results format, ready for `json.dump` and pycocotools' `loadRes`.

        Args:
            image_id: Id of the image in the annotation file; if None the number that is the name of its file, as in
                COCO's 000000397133.jpg.
            category_ids: [C], category id of each class in the annotation file. By default COCO's own for its 80
                classes, and class id + 1 for others.

        Returns:
            List of `{"image_id", "category_id", "bbox": [x, y, width, height], "score"}`.

        Raises:
            ValueError: Without an `image_id` for an image whose name is no number.
        """
        from yolo3.inference.writers.coco_results import coco_category_ids, coco_detections_json

        if image_id is None:
            stem = "" if self.image is None or isinstance(self.image, np.ndarray) else Path(self.image).stem
            if not (stem.isascii() and stem.isdigit()):
                raise ValueError("to_coco: expected image_id=, the id of the image in the annotation file, got none")
            image_id = int(stem)
        own = coco_category_ids(self.class_names)
        return coco_detections_json([self], [image_id], own if category_ids is None else category_ids)

    def to_supervision(self) -> Any:
        """Return the detections as `supervision.Detections`, with the names in `data["class_name"]`.

        Raises:
            ModuleNotFoundError: If the package supervision is not installed.
        """
        import supervision

        return supervision.Detections(
            xyxy=self.boxes.copy(),
            confidence=self.scores.copy(),
            class_id=self.class_ids.astype(int),
            data={"class_name": np.array(self.names, dtype=str)},
        )
