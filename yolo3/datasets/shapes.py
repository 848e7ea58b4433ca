"""The embedded data set: circles, squares and triangles on textured backgrounds, rendered in seconds from a seed.

Only the form depends on the class; colour, size and background do not. Written as Pascal VOC.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

import cv2
import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.formats.voc_xml import format_xml
from yolo3.files import replace_file, user_cache
from yolo3.temporary import temporary_path

CLASS_NAMES = ("circle", "square", "triangle")
VERSION = 2  # of the rendering: another one makes another cache folder

MIN_SIZE, MAX_SIZE = 0.12, 0.5  # of a shape, as a share of the image's side
MAX_SHAPES = 6
MAX_COVERED = 0.4  # share of a shape that later ones may cover
MIN_CONTRAST = 90.0  # distance in RGB, 0..255 a channel, between a shape and what lies under it
_JPEG_QUALITY = 92
_TRIES = 20  # places that are tried for a shape
_SHIFT = 4  # fractional bits of the coordinates that OpenCV draws with


@dataclass(frozen=True)
class Scene:
    """A rendered image and its shapes.

    Attributes:
        image: uint8 BGR [H, W, 3].
        boxes: float32 [N, 4], boxes_xyxy in pixels.
        class_ids: int32 [N], indices into `CLASS_NAMES`.
    """

    image: np.ndarray
    boxes: np.ndarray
    class_ids: np.ndarray


def shapes_folder(num_train: int = 600, num_val: int = 100, image_size: int = 256, seed: int = 0) -> str:
    """Return the path of the set in the user's cache (XDG_CACHE_HOME, else ~/.cache); render it if it is absent.

    Args:
        num_train: Images of the list train.
        num_val: Images of the list val.
        image_size: Width and height of the images in pixels.
        seed: Seed of the rendering.

    Returns:
        Path of the folder, a Pascal VOC data set.
    """
    name = f"shapes-{VERSION}-{num_train}-{num_val}-{image_size}-{seed}"
    folder = os.path.join(user_cache(), name)
    if not os.path.isdir(folder):
        try:
            write_shapes(folder, num_train=num_train, num_val=num_val, image_size=image_size, seed=seed)
        except OSError as error:
            raise ValueError(
                f"{user_cache()}: expected a folder that the embedded shapes can be written to, got "
                f"'{error.strerror}'; set XDG_CACHE_HOME to another folder, or give annotated images with --data"
            ) from error
    return folder


def write_shapes(
    folder: str | os.PathLike,
    *,
    num_train: int = 600,
    num_val: int = 100,
    image_size: int = 256,
    seed: int = 0,
) -> str:
    """Render a set into a new folder, with lists train and val.

    It is written into a temporary folder beside it, which is renamed last: an interrupted run leaves no half set.

    Args:
        folder: The folder to create.
        num_train: Images of the list train.
        num_val: Images of the list val.
        image_size: Width and height of the images in pixels, at least 32.
        seed: Seed of the rendering; the same seed gives the same images.

    Returns:
        Absolute path of the folder.

    Raises:
        ValueError: If the folder is not empty, or a number is out of range.
    """
    folder = os.path.abspath(os.fspath(folder))
    if os.path.isdir(folder) and os.listdir(folder):
        raise ValueError(f"{folder}: expected a new folder for the shapes, got one with files; choose another")
    if min(num_train, num_val) < 0 or num_train + num_val < 1 or image_size < 32:
        raise ValueError(
            f"shapes: expected at least one image of at least 32 pixels, got {num_train} + {num_val} of {image_size}"
        )
    temporary = temporary_path(folder)
    shutil.rmtree(temporary, ignore_errors=True)
    os.makedirs(temporary)
    try:
        _write_set(str(temporary), num_train=num_train, num_val=num_val, image_size=image_size, seed=seed)
        try:
            os.replace(temporary, folder)
        except OSError:
            if not os.path.isdir(os.path.join(folder, "ImageSets")):
                raise  # else another process was faster, and its folder stays
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _write_set(folder: str, num_train: int, num_val: int, image_size: int, seed: int) -> None:
    names = [f"{number:06d}" for number in range(num_train + num_val)]
    for part in ("Annotations", "JPEGImages"):
        os.makedirs(os.path.join(folder, part))
    for number, name in enumerate(names):
        scene = render_scene(np.random.default_rng([seed, number]), image_size)
        _write_scene(folder, name, scene)
    for part, members in (("train", names[:num_train]), ("val", names[num_train:])):
        replace_file(os.path.join(folder, "ImageSets", "Main", f"{part}.txt"), "".join(f"{n}\n" for n in members))


def _write_scene(folder: str, name: str, scene: Scene) -> None:
    image = os.path.join(folder, "JPEGImages", f"{name}.jpg")
    if not cv2.imwrite(image, scene.image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]):
        raise OSError(f"{image}: could not be written")
    no = np.zeros(len(scene.boxes), bool)
    annotation = Annotation(image, scene.boxes, scene.class_ids, difficult=no, crowd=no, source=image)
    text = format_xml(f"{name}.jpg", scene.image.shape[:2], annotation, CLASS_NAMES)
    with open(os.path.join(folder, "Annotations", f"{name}.xml"), "w", encoding="utf-8") as file:
        file.write(text)


def render_scene(rng: np.random.Generator, size: int) -> Scene:
    """Render one scene with 1 to 6 shapes; a shape that finds no place is left out.

    Args:
        rng: Source of all randomness.
        size: Width and height in pixels.
    """
    image = _draw_background(rng, size)
    masks: list[np.ndarray] = []  # float32 [H, W] 0..1, whole shapes
    visible: list[np.ndarray] = []  # bool [H, W], what later shapes left of them
    class_ids: list[int] = []
    for _ in range(int(rng.integers(1, MAX_SHAPES + 1))):
        class_id = int(rng.integers(len(CLASS_NAMES)))
        mask = _place(rng, size=size, class_id=class_id, masks=masks, visible=visible)
        if mask is not None:
            _paint(rng, image, mask)
            visible[:] = [old & (mask < 0.5) for old in visible] + [mask >= 0.5]
            masks.append(mask)
            class_ids.append(class_id)
    boxes = np.array([tight_box(mask) for mask in masks], np.float32).reshape(-1, 4)
    return Scene(np.clip(image, 0, 255).astype(np.uint8), boxes, np.array(class_ids, np.int32))


def tight_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return x_min, y_min, x_max, y_max around the pixels of a mask [H, W] that are covered at least by half."""
    columns, rows = np.flatnonzero((mask >= 0.5).any(0)), np.flatnonzero((mask >= 0.5).any(1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _place(
    rng: np.random.Generator, size: int, class_id: int, masks: list[np.ndarray], visible: list[np.ndarray]
) -> np.ndarray | None:
    """Return the mask of a shape that covers no earlier one by too much, None after some tries."""
    for _ in range(_TRIES):
        diameter = size * np.exp(rng.uniform(np.log(MIN_SIZE), np.log(MAX_SIZE)))
        centre = rng.uniform(diameter / 2, size - diameter / 2, 2)
        mask = _draw_mask(rng, size=size, class_id=class_id, centre=centre, diameter=diameter)
        if all(
            (left & (mask < 0.5)).sum() >= (1 - MAX_COVERED) * (whole >= 0.5).sum()
            for left, whole in zip(visible, masks, strict=True)
        ):
            return mask
    return None


def _draw_mask(rng: np.random.Generator, size: int, class_id: int, centre: np.ndarray, diameter: float) -> np.ndarray:
    """Return float32 [H, W] 0..1: the anti-aliased form, at most `diameter` pixels wide and high."""
    mask = np.zeros((size, size), np.uint8)
    fixed = 1 << _SHIFT
    if CLASS_NAMES[class_id] == "circle":
        x, y = (int(round(value * fixed)) for value in centre - 0.5)  # OpenCV counts from pixel centres
        cv2.circle(mask, (x, y), int(round((diameter / 2 - 0.5) * fixed)), 255, -1, cv2.LINE_AA, _SHIFT)
    else:
        # A triangle with its tip up, or a square, turned.
        directions = [-90, 30, 150] if CLASS_NAMES[class_id] == "triangle" else [-135, -45, 45, 135]
        angles = np.deg2rad(directions) + np.deg2rad(rng.uniform(-25, 25))
        corners = np.stack([np.cos(angles), np.sin(angles)], 1)  # [3 or 4, 2]
        corners *= (diameter - 1) / (corners.max(0) - corners.min(0)).max()  # OpenCV adds the outline
        corners += centre - (corners.max(0) + corners.min(0)) / 2 - 0.5
        points = np.round(corners * fixed).astype(np.int32)
        cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, _SHIFT)
    return mask.astype(np.float32) / 255


def _paint(rng: np.random.Generator, image: np.ndarray, mask: np.ndarray) -> None:
    """Blend a shaded shape into a float32 image [H, W, 3], in a colour that differs from what lies under it."""
    x_min, y_min, x_max, y_max = tight_box(mask)
    window = (slice(max(y_min - 2, 0), y_max + 2), slice(max(x_min - 2, 0), x_max + 2))
    under, part = image[window], mask[window][..., None]
    colour = _contrasting_colour(rng, under.reshape(-1, 3).mean(0))
    shade = _ramp(rng, part.shape[:2]) * rng.uniform(0, 25) + rng.normal(0, rng.uniform(0, 6), part.shape[:2])
    image[window] = under * (1 - part) + np.clip(colour + shade[..., None], 0, 255) * part


def _contrasting_colour(rng: np.random.Generator, under: np.ndarray) -> np.ndarray:
    """Return any colour at least MIN_CONTRAST from the mean of the pixels under it."""
    while True:
        colour = rng.uniform(0, 255, 3)
        if np.linalg.norm(colour - under) >= MIN_CONTRAST:
            return colour


def _ramp(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return float32 [H, W] -1..1 that rises in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    rows = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, shape[1], dtype=np.float32)[None]
    return (np.cos(angle) * columns + np.sin(angle) * rows) / np.sqrt(2, dtype=np.float32)


def _draw_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return float32 [H, W, 3]: a muted colour with a gradient, noise, perhaps stripes, and thin lines."""
    image = np.broadcast_to(rng.uniform(50, 205, 3).astype(np.float32), (size, size, 3)).copy()
    image += _ramp(rng, (size, size))[..., None] * rng.uniform(-45, 45, 3).astype(np.float32)
    coarse = rng.normal(0, 1, (int(rng.integers(3, 9)),) * 2).astype(np.float32)
    image += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)[..., None] * rng.uniform(4, 16)
    image += rng.standard_normal((size, size, 1), np.float32) * rng.uniform(2, 9)
    if rng.random() < 0.35:
        phase = _ramp(rng, (size, size)) * rng.uniform(10, 60)
        image += np.sign(np.sin(phase))[..., None] * rng.uniform(4, 14)

    # Thin open lines, which are not a shape.
    for _ in range(int(rng.integers(0, 6))):
        (x1, y1), (x2, y2) = rng.integers(0, size, (2, 2)).tolist()
        colour = rng.uniform(0, 255, 3).tolist()
        cv2.line(image, (x1, y1), (x2, y2), colour, int(rng.integers(1, 3)), cv2.LINE_AA)
    return np.clip(image, 0, 255)
