"""Augmentation: where an image is laid, that its boxes go with it, what is kept of them, seeds and colours."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from yolo3.input.augmentation import augment, distort_colours, draw_colours, move_boxes, place, to_pixels
from yolo3.input.settings import Augmentation
from yolo3.ops.letterbox import resize_image

OFF = Augmentation(
    jitter=0.0, zoom=(1.0, 1.0), flip=0.0, hue=0.0, saturation=1.0, exposure=1.0, mosaic=0.0, mosaic_zoom=(1.0, 1.0)
)
BACKGROUND = (30, 60, 90)
COLOURS = np.array([(220, 20, 20), (20, 220, 20), (20, 20, 220), (220, 220, 20)], np.uint8)


def transform_of(units, image_shape, canvas_shape, region, settings=OFF, zoom=(1.0, 1.0), resize="letterbox"):
    return place(
        tf.constant(units, tf.float32),
        image_shape=image_shape,
        canvas_shape=canvas_shape,
        region=region,
        settings=settings,
        resize=resize,
        zoom=zoom,
    ).numpy()


def example_of(load, indices, settings, canvas_shape, seed):
    return augment(load, indices, canvas_shape=canvas_shape, seed=seed, settings=settings, resize="letterbox")


def lies_or_fills(low, size, start, extent):
    """Whether an image's side lies in the region's, or covers it whole."""
    inside = low >= start - 1e-3 and low + size <= start + extent + 1e-3
    return inside or (low <= start + 1e-3 and low + size >= start + extent - 1e-3)


# Placing


def test_a_wide_image_fills_the_width_and_its_offset_places_it_in_the_height():
    # 100 x 50 on 64 x 64: 64 wide, 32 high, scale .64; 32 rows are free: half of them above.
    whole = (0.0, 0.0, 64.0, 64.0)
    units = [0.5, 0.5, 0.5, 0.9, 0.5, 1.0]
    np.testing.assert_allclose(transform_of(units, (50.0, 100.0), (64.0, 64.0), whole), [0.64, 0.64, 0, 16], atol=1e-5)
    np.testing.assert_allclose(transform_of(units, (100.0, 50.0), (64.0, 64.0), whole)[2:], [28.8, 0], atol=1e-5)


def test_a_mirrored_image_starts_at_its_right_end():
    units = [0.5, 0.5, 0.5, 0.5, 0.5, 0.4]
    values = transform_of(units, (50.0, 100.0), (64.0, 64.0), (0.0, 0.0, 64.0, 64.0), replace(OFF, flip=0.5))
    np.testing.assert_allclose(values, [-0.64, 0.64, 64, 16], atol=1e-5)


def test_jitter_changes_the_aspect_by_both_of_its_numbers():
    # Aspect 1 x 1.2 / .8 = 1.5: on a square canvas 64 wide and 42.67 high.
    units = [1.0, 0.0, 0.5, 0.5, 0.5, 1.0]
    values = transform_of(units, (50.0, 50.0), (64.0, 64.0), (0.0, 0.0, 64.0, 64.0), replace(OFF, jitter=0.2))
    np.testing.assert_allclose(values[:2] * 50, [64, 64 / 1.5], rtol=1e-5)


def test_zoom_is_a_factor_of_the_size_that_fits():
    low, high = (
        transform_of([0.5, 0.5, unit, 0, 0, 1.0], (50.0, 50.0), (64.0, 64.0), (0.0, 0.0, 64.0, 64.0), zoom=(0.5, 2.0))
        for unit in (0.0, 1.0)
    )
    np.testing.assert_allclose([low[0] * 50, high[0] * 50], [32, 128], rtol=1e-5)


def test_an_image_lies_within_its_region_or_fills_it():
    rng = np.random.default_rng(0)
    settings = replace(OFF, jitter=0.3, flip=0.5)
    for _ in range(50):
        left, top, width, height = map(float, (*rng.integers(0, 30, 2), *rng.integers(20, 60, 2)))
        shape = tuple(map(float, rng.integers(20, 200, 2)))
        units = rng.uniform(size=6)
        region = (left, top, width, height)
        scale_x, scale_y, x, y = transform_of(units, shape, (96.0, 64.0), region, settings, (0.3, 2.0))
        size = abs(scale_x) * shape[1], scale_y * shape[0]
        x = x - size[0] if scale_x < 0 else x
        assert lies_or_fills(x, size[0], left, width) and lies_or_fills(y, size[1], top, height)


def test_cropping_moves_each_edge_by_its_own_number_and_fills_the_canvas():
    # Of 100 x 50: left edge in by .2 x 100 x (1 - .5 x 2) = 0, right edge in by 20: 80 columns are seen; the upper edge
    # moves out by 10 rows, the lower one in by 10: 50 rows from -10 on. On 40 x 100: scales .5 and 2, offsets 0 and 20.
    units = [0.5, 1.0, 0.3, 0.0, 1.0, 0.9]
    settings = replace(OFF, jitter=0.2, placement="crop")
    canvas = (100.0, 40.0)
    region = (0.0, 0.0, 40.0, 100.0)
    values = transform_of(units, (50.0, 100.0), canvas, region, settings, resize="stretch")
    np.testing.assert_allclose(values, [0.5, 2, 0, 20], atol=1e-4)
    mirrored = transform_of(units, (50.0, 100.0), canvas, region, replace(settings, flip=1.0), resize="stretch")
    np.testing.assert_allclose(mirrored, [-0.5, 2, 50, 20], atol=1e-4)  # it begins at its right end: 100 x .5


def test_a_letterboxed_crop_keeps_the_aspect_of_the_image():
    # Nothing moves: 100 x 50 on 64 x 64 are seen with 25 rows more above and below.
    settings = replace(OFF, placement="crop")
    values = transform_of([0.5] * 5 + [1.0], (50.0, 100.0), (64.0, 64.0), (0.0, 0.0, 64.0, 64.0), settings)
    np.testing.assert_allclose(values, [0.64, 0.64, 0, 16], atol=1e-4)


def test_a_mosaic_is_fitted_whatever_the_placement():
    both = [replace(OFF, mosaic=1.0, jitter=0.2, placement=placement) for placement in ("fit", "crop")]
    whole, cropped = (example_of(load, [0, 1, 2, 3], settings, (64.0, 64.0), [1, 2])[0] for settings in both)
    np.testing.assert_array_equal(whole, cropped)


# Pixels and boxes


def photo(index, shape, box):
    """An image of one colour with a filled rectangle (corners in pixels) in the colour of its index."""
    image = np.full((*shape, 3), BACKGROUND, np.uint8)
    x_min, y_min, x_max, y_max = box
    image[y_min:y_max, x_min:x_max] = COLOURS[index]
    height, width = shape
    return image, np.array([[x_min / width, y_min / height, x_max / width, y_max / height, index]], np.float32)


IMAGES = [
    photo(0, (80, 120), (30, 20, 90, 60)),
    photo(1, (100, 60), (10, 30, 50, 80)),
    photo(2, (64, 64), (20, 20, 50, 50)),
    photo(3, (50, 150), (30, 5, 110, 45)),
]


def load(index):
    branches = [lambda part=part: (tf.constant(part[0]), tf.constant(part[1])) for part in IMAGES]
    image, boxes = tf.switch_case(tf.cast(index, tf.int32), branches)
    return tf.ensure_shape(image, [None, None, 3]), tf.ensure_shape(boxes, [None, 5])


def examples(settings, seeds, canvas=(96.0, 128.0), first=0):
    """Yield (image, corner boxes in pixels of the canvas, class ids, used) for each seed."""
    indices = tf.constant([first, *(index for index in range(4) if index != first)])
    run = tf.function(lambda seed: example_of(load, indices, settings, canvas, seed), autograph=False)
    for seed in seeds:
        image, boxes, colours, used = run(tf.constant([seed, 5]))
        boxes = boxes.numpy()
        centre, half = boxes[:, :2], boxes[:, 2:4] / 2
        corners = np.concatenate([centre - half, centre + half], 1) * np.array([canvas[1], canvas[0]] * 2)
        image = distort_colours(image[None], colours[None])[0]
        yield image.numpy(), corners, boxes[:, 4].astype(int), int(used)


def assert_box_holds_its_rectangle(image, corners, class_id):
    """The pixels of the rectangle's colour fill the box and lie nowhere else."""
    colour = COLOURS[class_id] / 255
    painted = np.abs(image - colour).max(-1) < 0.25
    x_min, y_min, x_max, y_max = corners
    inner = image[int(np.ceil(y_min + 1)) : int(y_max - 1), int(np.ceil(x_min + 1)) : int(x_max - 1)]
    if inner.size:
        np.testing.assert_allclose(inner.mean((0, 1)), colour, atol=0.02)
    rows, columns = np.nonzero(painted)
    assert columns.min() >= x_min - 1.5 and columns.max() + 1 <= x_max + 1.5
    assert rows.min() >= y_min - 1.5 and rows.max() + 1 <= y_max + 1.5
    # The edge of a box is uncertain by half a pixel on each side.
    width, height = x_max - x_min, y_max - y_min
    assert abs(painted.sum() - width * height) <= width + height + 4


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"flip": 1.0},
        {"jitter": 0.3},
        {"zoom": (0.4, 0.6)},
        {"zoom": (1.5, 2.0)},
        {"jitter": 0.3, "zoom": (0.5, 2.0), "flip": 0.5},
    ],
    ids=str,
)
def test_a_box_lands_where_its_pixels_do(change):
    found = 0
    for image, corners, class_ids, used in examples(replace(OFF, **change), range(12)):
        assert image.shape == (96, 128, 3) and used == 1
        for box, class_id in zip(corners, class_ids):
            assert_box_holds_its_rectangle(image, box, class_id)
            found += 1
    assert found >= 10


@pytest.mark.slow
def test_boxes_of_mosaics_land_where_their_pixels_do_and_a_share_of_the_canvases_is_one():
    settings = replace(OFF, mosaic=0.5, mosaic_zoom=(0.6, 1.4), jitter=0.2, flip=0.5)
    seen, parts = [], []
    for image, corners, class_ids, used in examples(settings, range(50)):
        assert image.shape == (96, 128, 3)
        for box, class_id in zip(corners, class_ids):
            assert_box_holds_its_rectangle(image, box, class_id)
        assert used == 4 or set(class_ids) <= {0}
        seen += class_ids.tolist()
        parts.append(used)
    assert all(seen.count(class_id) >= 5 for class_id in range(4))
    # 50 draws of probability .5: 25 expected, standard deviation 3.5.
    assert set(parts) == {1, 4} and 13 <= parts.count(4) <= 37


def test_a_share_of_the_images_is_mirrored():
    def first_column(image):
        return int(np.argmax((np.abs(image - COLOURS[3] / 255).max(-1) < 0.25).any(0)))

    mirrored = examples(replace(OFF, flip=0.3), range(100), (50.0, 150.0), first=3)
    columns = [first_column(image) for image, *_ in mirrored]
    # Drawn from column 30 to 110 of 150, so mirrored from 150 - 110 = 40. 100 draws of .3: 30, standard deviation 4.6.
    assert set(columns) == {30, 40}
    assert 15 <= columns.count(40) <= 45


# What is kept


def kept(box, region=(0.0, 0.0, 100.0, 100.0)):
    boxes, keep = move_boxes(tf.constant([box], tf.float32), tf.constant([1.0, 1.0, 0.0, 0.0]), region)
    return boxes.numpy()[0], bool(keep[0])


@pytest.mark.parametrize("x_min, is_kept", [(-79.0, True), (-81.0, False)])
def test_a_box_is_kept_while_a_fifth_of_its_area_is_seen(x_min, is_kept):
    # 100 pixels wide: 21 of them are seen, or 19.
    box, keep = kept([x_min, 10, x_min + 100, 50])
    assert keep == is_kept
    np.testing.assert_allclose(box, [0, 10, x_min + 100, 50])


@pytest.mark.parametrize("side, is_kept", [(2.1, True), (1.9, False)])
def test_a_box_is_kept_while_its_smaller_side_has_two_pixels(side, is_kept):
    assert kept([10, 10, 60, 10 + side])[1] == is_kept
    assert kept([10, 10, 10 + side, 60])[1] == is_kept


def test_a_box_outside_the_region_is_left_out():
    assert not kept([120, 10, 160, 50])[1]
    assert not kept([10, 10, 60, 60], (70.0, 0.0, 30.0, 100.0))[1]


def test_a_mirrored_box_has_its_corners_in_order():
    box, transform = tf.constant([[10.0, 20.0, 30.0, 40.0]]), tf.constant([-2.0, 1.0, 100.0, 0.0])
    moved, _ = move_boxes(box, transform, (0.0, 0.0, 100.0, 100.0))
    # 100 - 2 * 30 = 40, 100 - 2 * 10 = 80.
    np.testing.assert_allclose(moved.numpy(), [[40, 20, 80, 40]])


def test_an_image_without_boxes_gives_none():
    def empty(_):
        return tf.constant(IMAGES[0][0]), tf.zeros([0, 5])

    for mosaic in (0.0, 1.0):
        _, boxes, _, _ = example_of(empty, tf.range(4), replace(OFF, mosaic=mosaic), (64.0, 64.0), tf.constant([1, 2]))
        assert boxes.shape == (0, 5)


@pytest.mark.parametrize("seed", range(20))
def test_rounding_to_whole_pixels_moves_a_placement_by_less_than_one(seed):
    rng = np.random.default_rng(seed)
    height, width = map(float, rng.integers(20, 200, 2))
    region = (32.0, 0.0, 64.0, 96.0)
    settings = replace(OFF, jitter=0.3, flip=0.5)
    asked = transform_of(rng.random(6), (height, width), (96.0, 128.0), region, settings, zoom=(0.6, 1.4))
    seen, shown, made = to_pixels(asked, (height, width), region)
    top, left, bottom, right = seen.numpy()
    assert 0 <= left < right <= width and 0 <= top < bottom <= height
    assert shown.numpy()[0] >= 0 and shown.numpy()[1] >= 32 and shown.numpy()[2] <= 96 and shown.numpy()[3] <= 96
    ends = np.array([[left, top], [right, bottom]], float)  # of what is seen, in the image that is mirrored or not
    if asked[0] < 0:
        ends[:, 0] = width - ends[:, 0]
    on_canvas = ends * made.numpy()[:2] + made.numpy()[2:]
    np.testing.assert_allclose(on_canvas, shown.numpy()[[[1, 0], [3, 2]]], atol=1e-3)
    wanted = ends * asked[:2] + asked[2:]
    pixel = np.maximum(np.abs(asked[:2]), 1)  # of the image or of the canvas, the larger one
    assert (np.abs(on_canvas - wanted) <= 0.5 * pixel + 0.51).all()


# Seeds and colours


def test_the_same_seed_gives_the_same_example_and_another_seed_another():
    first, again, other = examples(Augmentation(mosaic=0.0), [7, 7, 8])
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[1], other[1])


@pytest.mark.parametrize("unit, turns", [(0.0, -0.1), (0.25, -0.05), (0.5, 0.0), (1.0, 0.1)])
def test_the_hue_is_shifted_either_way(unit, turns):
    hue, saturation, exposure = draw_colours(tf.constant([0.0, 0.0, unit, 0.0, 0.0]), replace(OFF, hue=0.1)).numpy()
    assert hue == pytest.approx(turns, abs=1e-7) and (saturation, exposure) == (1, 1)


def coloured(image, units, settings):
    """An image 0..1 with the colours that five numbers in 0..1 draw."""
    shifts = draw_colours(tf.constant(units, tf.float32), settings)
    return distort_colours(image[None] * 255, shifts[None])[0]


def test_colours_stay_between_0_and_1_however_far_they_are_shifted():
    settings = Augmentation(hue=0.5, saturation=4.0, exposure=4.0)
    image = tf.random.stateless_uniform([16, 16, 3], [1, 2])
    for seed in range(10):
        changed = coloured(image, tf.random.stateless_uniform([5], [seed, 3]), settings).numpy()
        assert changed.min() >= 0 and changed.max() <= 1 and np.isfinite(changed).all()
        assert np.abs(changed - image).max() > 0.01


@pytest.mark.parametrize("inverse, factor", [(0.2, 2.0), (0.8, 0.5)])
def test_exposure_is_a_factor_or_its_inverse(inverse, factor):
    image = tf.fill([2, 2, 3], 0.4)
    changed = coloured(image, [0.0, 0.0, 0.0, 1.0, inverse], replace(OFF, exposure=2.0))
    np.testing.assert_allclose(changed, np.full((2, 2, 3), 0.4 * factor), rtol=1e-5)


def test_saturation_leaves_grey_as_it_is_and_hue_leaves_the_largest_channel():
    grey = tf.fill([2, 2, 3], 0.4)
    np.testing.assert_allclose(coloured(grey, [1.0] * 5, replace(OFF, saturation=3.0)), grey, atol=1e-5)
    image = tf.random.stateless_uniform([8, 8, 3], [4, 4])
    turned = coloured(image, [0.0, 0.0, 1.0, 0.0, 0.0], replace(OFF, hue=0.3)).numpy()
    np.testing.assert_allclose(turned.max(-1), image.numpy().max(-1), atol=1e-5)
    assert np.abs(turned - image).max() > 0.1


def test_colours_are_unchanged_with_all_parts_off():
    image = tf.random.stateless_uniform([8, 8, 3], [4, 4])
    np.testing.assert_allclose(coloured(image, [0.3] * 5, OFF), image, atol=1e-6)


def test_colours_are_those_of_hsv():
    images = tf.random.stateless_uniform([6, 9, 9, 3], [4, 4])
    shifts = tf.constant([[0.1, 1, 1], [-0.45, 1, 1], [0, 2, 1], [0, 0.5, 1], [0, 1, 1.4], [0.3, 3, 0.6]], tf.float32)
    hue, saturation, value = tf.unstack(tf.image.rgb_to_hsv(images), axis=-1)
    turn, more, brighter = (shifts[:, None, None, index] for index in range(3))
    hsv = tf.stack([(hue + turn) % 1, tf.minimum(saturation * more, 1), value], -1)
    expected = tf.clip_by_value(tf.image.hsv_to_rgb(hsv) * brighter[..., None], 0, 1)
    np.testing.assert_allclose(distort_colours(images * 255, shifts), expected, atol=1e-5)


@pytest.mark.parametrize("shape, canvas", [((64, 64), (64, 64)), ((50, 100), (64, 128)), ((192, 256), (96, 128))])
def test_with_all_parts_off_the_image_is_a_plain_letterbox(shape, canvas):
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    smooth = np.stack([rows * 255 / shape[0], columns * 255 / shape[1], (rows + columns) * 255 / sum(shape)], -1)
    smooth = smooth.astype(np.uint8)

    def one(_):
        return tf.constant(smooth), tf.constant([[0.1, 0.2, 0.6, 0.9, 2.0]])

    size = tuple(map(float, canvas))
    image, boxes, _, _ = example_of(one, tf.range(4), OFF, size, tf.constant([3, 1]))
    image, expected = tf.cast(image, tf.float32) / 255, resize_image(smooth, canvas) / 255
    # Resampling: two grey levels of a smooth image; its outermost pixels are half a pixel beyond the last centre.
    np.testing.assert_allclose(image.numpy()[1:-1, 1:-1], expected[1:-1, 1:-1], atol=2.5 / 255)
    np.testing.assert_allclose(boxes, [[0.35, 0.55, 0.5, 0.7, 2]], atol=1e-6)
