"""Batches for loops of one's own as a `keras.utils.PyDataset`: no TensorFlow, any backend of Keras."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from yolo3.datasets.annotation import Annotation, Dataset
from yolo3.datasets.images import read_image
from yolo3.input.augmentation_numpy import NUM_UNITS, augment_numpy
from yolo3.input.epoch_plan import block_size, epoch_order, mosaic_partners
from yolo3.input.image_boxes import network_boxes, relative_boxes
from yolo3.input.settings import Augmentation
from yolo3.input.usable_images import usable_images
from yolo3.ops.box_formats import NO_OBJECT, check_format, columns_of
from yolo3.ops.letterbox import least_side, resize_image


class KerasBatches(keras.utils.PyDataset):
    """Augmented batches of a data set, for `fit` on any backend and for loops of one's own.

    A batch is `(images, {"boxes", "labels"})`: float32 [B, H, W, 3], RGB, 0..1; float32 [B, T, 4]; int32 [B, T], padded
    with boxes of zeros and the label -1. It depends on the seed, the epoch and its place in it alone, and the epoch
    after is another one (`on_epoch_end`, which `fit` calls). Images are read in threads with `workers=`.

    Args:
        data: A path in any format that is read, what :func:`yolo3.read_dataset` returns, or annotations.
        batch_size: Images in a batch; the last batch of an epoch is filled up with images from its beginning.
        input_size: (height, width) of the images in pixels.
        bounding_box_format: One of :data:`yolo3.ops.box_formats.FORMATS`, as Keras' layers name them.
        augmentation: How images vary; None for images as detection sees them, in the order of the data.
        resize: How images are brought to the input size, "letterbox" or "stretch".
        max_boxes: Objects in an image that there is room for; by default as many as a batch has.
        seed: Of all random numbers.
        skip_bad: Whether invalid annotations are left out.
        **options: Of `keras.utils.PyDataset`: `workers`, `use_multiprocessing`, `max_queue_size`.

    Raises:
        OSError: For files that cannot be read.
        ValueError: For invalid annotations, and for arguments out of range.

    Example:
        >>> batches = yolo3.KerasBatches("VOCdevkit/VOC2007", batch_size=8, bounding_box_format="xywh", workers=4)
        >>> images, objects = batches[0]
        >>> images.shape, objects["boxes"].shape, objects["labels"].shape
        ((8, 416, 416, 3), (8, 12, 4), (8, 12))
    """

    def __init__(
        self,
        data: str | os.PathLike | Dataset | Sequence[Annotation],
        *,
        batch_size: int = 8,
        input_size: tuple[int, int] = (416, 416),
        bounding_box_format: str = "xyxy",
        augmentation: Augmentation | None = Augmentation(),  # noqa: B008 (frozen)
        resize: str = "letterbox",
        max_boxes: int | None = None,
        seed: int = 0,
        skip_bad: bool = False,
        **options: Any,
    ):
        super().__init__(**options)
        self.bounding_box_format = check_format(bounding_box_format)
        self.annotations = usable_images(data, skip_bad)
        self.batch_size, self.input_size, self.resize = (
            int(batch_size),
            (int(input_size[0]), int(input_size[1])),
            resize,
        )
        if self.batch_size < 1:
            raise ValueError(f"batch_size: expected a whole number above 0, got {batch_size}")
        self.augmentation, self.max_boxes, self.seed, self.epoch = augmentation, max_boxes, seed, 0
        self._boxes, self._first = relative_boxes(self.annotations)
        self._least = least_side((max(self.input_size),))

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return -(-len(self.annotations) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return a batch of the present epoch."""
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        places = range(index * self.batch_size, (index + 1) * self.batch_size)
        if self.augmentation is None:
            examples = [self._plain(place) for place in places if place < len(self.annotations)]
        else:
            order = epoch_order(len(self.annotations), self.batch_size, self.seed, self.epoch)
            _, partners = mosaic_partners(order, block_size(len(order)), self.seed, self.epoch)
            examples = [self._augmented(place, partners[place], self.augmentation) for place in places]

        most = max((len(rows) for _, rows in examples), default=0) if self.max_boxes is None else self.max_boxes
        rows = np.zeros((len(examples), most, 5), np.float32)
        rows[..., 4] = NO_OBJECT
        for place, (_, found) in enumerate(examples):
            rows[place, : len(found)] = found[:most]
        x, y, width, height, labels = np.moveaxis(rows, -1, 0)
        boxes = np.stack(columns_of(self.bounding_box_format, (x, y), (width, height), self.input_size), -1)
        images = np.stack([image for image, _ in examples])
        return images, {"boxes": boxes.astype(np.float32), "labels": labels.astype(np.int32)}

    def on_epoch_end(self) -> None:
        """Go on to the next epoch, whose images are in another order and augmented anew."""
        self.epoch += 1

    def _plain(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        annotation = self.annotations[index]
        image = resize_image(read_image(annotation.image_path), self.input_size, self.resize)
        return image.astype(np.float32) / 255, network_boxes(annotation, self.input_size, self.resize)

    def _augmented(self, place: int, indices: np.ndarray, settings: Augmentation) -> tuple[np.ndarray, np.ndarray]:
        return augment_numpy(
            self._load,
            indices.tolist(),
            units=np.random.default_rng([self.seed, self.epoch, place, 3]).random(NUM_UNITS, np.float32),
            canvas_shape=self.input_size,
            settings=settings,
            resize=self.resize,
        )

    def _load(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        image = read_image(self.annotations[index].image_path, self._least)
        return image, self._boxes[self._first[index] : self._first[index + 1]]
