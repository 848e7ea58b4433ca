"""The embedded data set: circles, squares and triangles on textured backgrounds, rendered from a seed in
seconds.

The form tells the class; colour, size and background tell nothing. Written as Pascal VOC.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from yolo3.datasets.annotation import Annotation
from yolo3.datasets.formats.voc_xml import format_xml
from yolo3.files import replace_file

CLASS_NAMES = ("circle", "square", "triangle")
VERSION = 2  # of the rendering: another one makes another cache folder

MIN_SIZE, MAX_SIZE = 0.12, 0.5  # of a shape, as a share of the image's side
MAX_SHAPES = 6
MAX_COVERED = 0.4  # share of a shape that later ones may cover
MIN_CONTRAST = 90.0  # distance in RGB, 0..255 a channel, between a shape and what lies under it
_JPEG_QUALITY = 92
_SHIFT = 4  # fractional bits of the coordinates that OpenCV draws with


@dataclass(frozen=True)
class Scene:
    """An image, uint8 BGR [H, W, 3], and its shapes: boxes_xyxy float32 [N, 4] in pixels, class_ids int32
    [N].
    """

    image: np.ndarray
    boxes: np.ndarray
    class_ids: np.ndarray


def shapes_folder(num_train: int = 600, num_val: int = 100, image_size: int = 256, seed: int = 0) -> str:
    """Path of the set in the user's cache (XDG_CACHE_HOME, else ~/.cache), rendered first when it is not
    there.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    name = f"shapes-{VERSION}-{num_train}-{num_val}-{image_size}-{seed}"
    folder = os.path.join(cache, "yolo3", name)
    if not os.path.isdir(folder):
        write_shapes(folder, num_train=num_train, num_val=num_val, image_size=image_size, seed=seed)
    return folder


def write_shapes(
    folder: str | os.PathLike,
    *,
    num_train: int = 600,
    num_val: int = 100,
    image_size: int = 256,
    seed: int = 0,
) -> str:
    """Render a set into a new folder (lists train and val) and return its path.

    All is written into a temporary folder beside it, which is renamed last: a run that is interrupted leaves
    no half set. Raises ValueError when the folder holds something or a number makes no sense.
    """
    folder = os.path.abspath(os.fspath(folder))
    if os.path.isdir(folder) and os.listdir(folder):
        raise ValueError(f"{folder}: expected a new folder for the shapes, got one with files; choose another")
    if min(num_train, num_val) < 0 or num_train + num_val < 1 or image_size < 32:
        raise ValueError(
            f"shapes: expected at least one image of at least 32 pixels, got {num_train} + {num_val} of {image_size}"
        )
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    temporary = tempfile.mkdtemp(prefix=".shapes-", dir=os.path.dirname(folder))
    try:
        _write_set(temporary, num_train, num_val, image_size, seed)
        os.chmod(temporary, 0o755)
        _rename(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _rename(temporary: str, folder: str) -> None:
    """Put the finished folder in its place; when another process was faster, its folder stays."""
    try:
        os.replace(temporary, folder)
    except OSError:
        if not os.path.isdir(os.path.join(folder, "ImageSets")):
            raise


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
    annotation = Annotation(image, scene.boxes, scene.class_ids, no, no, image)
    text = format_xml(f"{name}.jpg", scene.image.shape[:2], annotation, CLASS_NAMES)
    with open(os.path.join(folder, "Annotations", f"{name}.xml"), "w", encoding="utf-8") as file:
        file.write(text)


# Images


def render_scene(rng: np.random.Generator, size: int) -> Scene:
    """One image of size x size pixels with 1 to 6 shapes; a shape that finds no place is left out."""
    image = _draw_background(rng, size)
    masks: list[np.ndarray] = []  # float32 [H, W] 0..1, whole shapes
    visible: list[np.ndarray] = []  # bool [H, W], what later shapes left of them
    class_ids: list[int] = []
    for _ in range(int(rng.integers(1, MAX_SHAPES + 1))):
        class_id = int(rng.integers(len(CLASS_NAMES)))
        mask = _place(rng, size, class_id, masks, visible)
        if mask is not None:
            _paint(rng, image, mask)
            visible[:] = [old & (mask < 0.5) for old in visible] + [mask >= 0.5]
            masks.append(mask)
            class_ids.append(class_id)
    boxes = np.array([tight_box(mask) for mask in masks], np.float32).reshape(-1, 4)
    return Scene(np.clip(image, 0, 255).astype(np.uint8), boxes, np.array(class_ids, np.int32))


def tight_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """x_min, y_min, x_max, y_max around the pixels of a mask [H, W] that are covered at least by half."""
    columns, rows = np.flatnonzero((mask >= 0.5).any(0)), np.flatnonzero((mask >= 0.5).any(1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _place(
    rng: np.random.Generator, size: int, class_id: int, masks: list[np.ndarray], visible: list[np.ndarray]
) -> np.ndarray | None:
    """Mask of a shape that covers too much of none before it; None after some tries."""
    for _ in range(20):
        diameter = size * np.exp(rng.uniform(np.log(MIN_SIZE), np.log(MAX_SIZE)))
        centre = rng.uniform(diameter / 2, size - diameter / 2, 2)
        mask = _draw_mask(rng, size, class_id, centre, diameter)
        if all(
            (left & (mask < 0.5)).sum() >= (1 - MAX_COVERED) * (whole >= 0.5).sum()
            for left, whole in zip(visible, masks, strict=True)
        ):
            return mask
    return None


def _draw_mask(rng: np.random.Generator, size: int, class_id: int, centre: np.ndarray, diameter: float) -> np.ndarray:
    """Float32 [H, W] 0..1: the anti-aliased form, at most `diameter` pixels wide and high."""
    mask = np.zeros((size, size), np.uint8)
    fixed = 1 << _SHIFT
    if CLASS_NAMES[class_id] == "circle":
        x, y = (int(round(value * fixed)) for value in centre - 0.5)  # OpenCV counts from pixel centres
        cv2.circle(mask, (x, y), int(round((diameter / 2 - 0.5) * fixed)), 255, -1, cv2.LINE_AA, _SHIFT)
    else:
        corners = _corners(CLASS_NAMES[class_id], np.deg2rad(rng.uniform(-25, 25)))
        corners *= (diameter - 1) / (corners.max(0) - corners.min(0)).max()  # OpenCV adds the outline
        corners += centre - (corners.max(0) + corners.min(0)) / 2 - 0.5
        points = np.round(corners * fixed).astype(np.int32)
        cv2.fillPoly(mask, [points], 255, cv2.LINE_AA, _SHIFT)
    return mask.astype(np.float32) / 255


def _corners(form: str, angle: float) -> np.ndarray:
    """Float64 [3 or 4, 2] (x, y): corners of a triangle with its tip up, or of a square, turned by `angle`
    radians.
    """
    directions = np.deg2rad([-90, 30, 150] if form == "triangle" else [-135, -45, 45, 135]) + angle
    return np.stack([np.cos(directions), np.sin(directions)], 1)


def _paint(rng: np.random.Generator, image: np.ndarray, mask: np.ndarray) -> None:
    """Blend a shape into a float32 image [H, W, 3]: a colour that differs from what lies under it, slightly
    shaded.
    """
    x_min, y_min, x_max, y_max = tight_box(mask)
    window = (slice(max(y_min - 2, 0), y_max + 2), slice(max(x_min - 2, 0), x_max + 2))
    under, part = image[window], mask[window][..., None]
    colour = _contrasting_colour(rng, under.reshape(-1, 3).mean(0))
    shade = _ramp(rng, part.shape[:2]) * rng.uniform(0, 25) + rng.normal(0, rng.uniform(0, 6), part.shape[:2])
    image[window] = under * (1 - part) + np.clip(colour + shade[..., None], 0, 255) * part


def _contrasting_colour(rng: np.random.Generator, under: np.ndarray) -> np.ndarray:
    """Any colour at least MIN_CONTRAST from the mean of the pixels under it."""
    while True:
        colour = rng.uniform(0, 255, 3)
        if np.linalg.norm(colour - under) >= MIN_CONTRAST:
            return colour


def _ramp(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Float32 [H, W] -1..1 that rises in a direction taken at random."""
    angle = rng.uniform(0, 2 * np.pi)
    rows = np.linspace(-1, 1, shape[0], dtype=np.float32)[:, None]
    columns = np.linspace(-1, 1, shape[1], dtype=np.float32)[None]
    return (np.cos(angle) * columns + np.sin(angle) * rows) / np.sqrt(2, dtype=np.float32)


def _draw_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Float32 [H, W, 3]: a muted colour with a gradient, coarse and fine noise, perhaps stripes, and thin
    lines.
    """
    image = np.broadcast_to(rng.uniform(50, 205, 3).astype(np.float32), (size, size, 3)).copy()
    image += _ramp(rng, (size, size))[..., None] * rng.uniform(-45, 45, 3).astype(np.float32)
    coarse = rng.normal(0, 1, (int(rng.integers(3, 9)),) * 2).astype(np.float32)
    image += cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)[..., None] * rng.uniform(4, 16)
    image += rng.standard_normal((size, size, 1), np.float32) * rng.uniform(2, 9)
    if rng.random() < 0.35:
        phase = _ramp(rng, (size, size)) * rng.uniform(10, 60)
        image += np.sign(np.sin(phase))[..., None] * rng.uniform(4, 14)
    _draw_lines(rng, image)
    return np.clip(image, 0, 255)


def _draw_lines(rng: np.random.Generator, image: np.ndarray) -> None:
    """Thin open lines that are no shape."""
    size = image.shape[0]
    for start, end in _line_ends(rng, size):
        colour = rng.uniform(0, 255, 3).tolist()
        cv2.line(image, start, end, colour, int(rng.integers(1, 3)), cv2.LINE_AA)


def _line_ends(rng: np.random.Generator, size: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    for _ in range(int(rng.integers(0, 6))):
        (x1, y1), (x2, y2) = rng.integers(0, size, (2, 2)).tolist()
        yield (x1, y1), (x2, y2)
