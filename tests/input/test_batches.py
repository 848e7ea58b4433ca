"""Batches: what an epoch holds, that it can be repeated, padding, mosaics, images to validate on."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.input.images import BLUE, RECTANGLE, RED, annotated, opened, write_rotated
from yolo3.datasets.formats.registry import read_dataset
from yolo3.datasets.images import read_image
from yolo3.input import epoch_plan
from yolo3.input.batches import training_batches, validation_batches
from yolo3.input.epoch_plan import WHOLE, BatchPart, block_size, epoch_order, mosaic_partners, multi_scale_sizes
from yolo3.input.settings import Augmentation
from yolo3.ops.letterbox import boxes_to_network, resize_image

PLAIN = Augmentation(jitter=0.0, zoom=(1.0, 1.0), flip=0.0, hue=0.0, saturation=1.0, exposure=1.0, mosaic=0.0)


@pytest.fixture(scope="module")
def annotations(shapes_set):
    return read_dataset(shapes_set, list_name="train").annotations


def batches_of(store, settings=PLAIN, batch_size=4, shape=(64, 64), seed=0, epochs=range(1), **options):
    dataset = training_batches(
        store,
        batch_size=batch_size,
        input_shape=shape,
        stride=32,
        augmentation=settings,
        seed=seed,
        epochs=epochs,
        **options,
    )
    return [tuple(part.numpy() for part in batch) for batch in dataset]


def sizes_of(num_steps, input_shape, scales, epoch=0, stride=32):
    return multi_scale_sizes(num_steps, input_shape, stride=stride, scales=scales, seed=0, epoch=epoch)


def resized_batches(items, batch_size, resize="letterbox", shape=(64, 64), **options):
    return validation_batches(items, batch_size=batch_size, input_shape=shape, resize=resize, **options)


def assert_same(batches, others):
    assert len(batches) == len(others)
    for batch, other in zip(batches, others):
        for part, expected in zip(batch, other):
            np.testing.assert_array_equal(part, expected)


def mean_inside(image, box_cxcywh):
    """Mean colour of a relative box of an image, its outermost tenth left out."""
    height, width = image.shape[:2]
    x, y, w, h = box_cxcywh * [width, height, width, height]
    rows, columns = (slice(int(at - 0.4 * side), int(np.ceil(at + 0.4 * side))) for at, side in ((y, h), (x, w)))
    return image[rows, columns].mean((0, 1))


# What an epoch holds


@pytest.mark.parametrize("photos, batch_size", [(12, 4), (13, 4), (5, 4), (3, 3), (1, 1), (100, 7)])
def test_an_epoch_holds_every_image_once_and_a_batch_no_image_twice(photos, batch_size):
    order = epoch_order(photos, batch_size, seed=1, epoch=2)
    assert sorted(order[:photos]) == list(range(photos))
    assert len(order) == -(-photos // batch_size) * batch_size
    for batch in order.reshape(-1, batch_size):
        assert len(set(batch)) == batch_size


def test_a_batch_larger_than_the_set_repeats_images():
    assert sorted(epoch_order(2, 5, 0, 0)[:2]) == [0, 1] and len(epoch_order(2, 5, 0, 0)) == 5


def test_the_order_depends_on_seed_and_epoch():
    orders = {tuple(epoch_order(20, 4, seed, epoch)) for seed in range(3) for epoch in range(3)}
    assert len(orders) == 9
    assert tuple(epoch_order(20, 4, 1, 1)) in orders


def test_sizes_of_multi_scale_training_are_multiples_of_32_that_change_every_ten_batches():
    sizes = sizes_of(205, (416, 320), (0.75, 1.0, 1.25))
    assert sizes.shape == (205, 2) and not (sizes % 32).any()
    assert all(len(np.unique(sizes[start : start + 10], axis=0)) == 1 for start in range(0, 205, 10))
    # 416 x .75 = 312 is 9.75 cells: 320; x 1.25 = 520, 16.25 cells: 512. 320 x .75 = 240, 7.5 cells, to even: 256;
    # x 1.25 = 400, 12.5 cells, to even: 384.
    assert {tuple(size) for size in sizes.tolist()} == {(320, 256), (416, 320), (512, 384)}
    assert not np.array_equal(sizes, sizes_of(205, (416, 320), (0.75, 1.0, 1.25), epoch=1))


def test_sizes_of_multi_scale_training_are_multiples_of_the_stride_of_the_network():
    # 192 x .75 = 144 is 2.25 cells of 64 pixels: 128; x 1.25 = 240, 3.75 cells: 256.
    assert set(np.unique(sizes_of(205, (192, 192), (0.75, 1.0, 1.25), stride=64))) == {128, 192, 256}


def test_the_last_epochs_go_without_mosaic(annotations):
    store = opened(annotations, "memory")
    settings = replace(PLAIN, mosaic=1.0)
    batches = batches_of(store, settings, batch_size=12, epochs=range(1, 4), mosaic_end=2.5)
    # epochs 1 and 2 begin before 2.5, also where a run is resumed after epoch 0
    assert [int((indices >= 0).sum(1).max()) for _, _, indices in batches] == [4, 4, 1]


def test_without_scales_all_batches_have_the_size_of_the_input():
    np.testing.assert_array_equal(sizes_of(3, (64, 96), ()), [[64, 96]] * 3)


def test_batches_of_multi_scale_training_have_their_sizes(annotations):
    store = opened(annotations[:11], "memory")
    by_epoch = [sizes_of(11, (64, 64), (0.5, 1.5), epoch) for epoch in range(20)]
    epoch, sizes = next((epoch, sizes) for epoch, sizes in enumerate(by_epoch) if len(np.unique(sizes)) == 2)
    shapes = [
        images.shape[1:3]
        for images, _, _ in batches_of(store, batch_size=1, epochs=range(epoch, epoch + 1), scales=(0.5, 1.5))
    ]
    np.testing.assert_array_equal(shapes, sizes)


@pytest.fixture(scope="module")
def mixed_batches(annotations):
    """One epoch with all of the augmentation, decoded from memory."""
    return batches_of(opened(annotations, "memory"), Augmentation(), batch_size=5)


def test_batches_have_the_documented_types_and_shapes(mixed_batches):
    assert len(mixed_batches) == 3  # 12 images in fives, the last batch filled up
    for images, boxes, indices in mixed_batches:
        assert images.shape == (5, 64, 64, 3) and images.dtype == np.float32
        assert images.min() >= 0 and images.max() <= 1
        assert boxes.shape == (5, 32, 5) and boxes.dtype == np.float32
        assert indices.shape == (5, 4) and indices.dtype == np.int64
        sizes = boxes[..., 2:4]
        assert ((sizes > 0).all(-1) | (boxes == 0).all(-1)).all()
        assert (boxes[..., :2] - sizes / 2 >= -1e-6).all() and (boxes[..., :2] + sizes / 2 <= 1 + 1e-6).all()
        assert set(boxes[..., 4].ravel()) <= {0, 1, 2}


def test_the_first_image_of_each_example_is_that_of_the_order_and_a_mosaic_names_four(mixed_batches):
    indices = np.concatenate([indices for _, _, indices in mixed_batches])
    np.testing.assert_array_equal(indices[:, 0], epoch_order(12, 5, 0, 0))
    used = (indices >= 0).sum(1)
    assert set(used) == {1, 4}


@pytest.mark.slow
def test_images_kept_in_memory_give_the_batches_of_those_read_from_files(annotations, mixed_batches):
    store = opened(annotations, "none")
    assert store.kept == "none" and not store.resized
    assert_same(batches_of(store, Augmentation(), batch_size=5), mixed_batches)


@pytest.mark.slow
def test_several_blocks_of_images_give_the_same_batches_as_images_in_memory(annotations, monkeypatch):
    monkeypatch.setattr(epoch_plan, "_BLOCK", 5)  # 12 images: three blocks of 4
    settings = Augmentation(mosaic=0.7)
    kept, decoded = (batches_of(opened(annotations, cache), settings) for cache in ("memory", "none"))
    assert_same(decoded, kept)


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["memory", "none"])
def test_batches_from_within_an_epoch_are_those_that_follow(annotations, monkeypatch, cache):
    monkeypatch.setattr(epoch_plan, "_BLOCK", 5)  # blocks of 4, batches of 3: they begin within a block
    settings = Augmentation(mosaic=0.7)
    store = opened(annotations, cache)
    whole = batches_of(store, settings, batch_size=3, epochs=range(2))
    assert len(whole) == 8
    rest = batches_of(store, settings, batch_size=3, epochs=range(2), first_batch=3)
    assert_same(rest, whole[3:])


@pytest.mark.parametrize("cache", ["memory", "none"])
@pytest.mark.parametrize("sizes, here", [([2, 2], 1), ([1, 1, 2], 1), ([2, 2], 2)])
def test_the_parts_of_several_devices_are_the_batches_of_one(annotations, cache, sizes, here):
    settings, options = replace(PLAIN, mosaic=0.5), {"epochs": range(1, 3), "first_batch": 1}
    whole = batches_of(opened(annotations, cache), settings, **options)
    parts = [BatchPart(len(sizes), first, here) for first in range(0, len(sizes), here)]
    made = [batches_of(opened(annotations, cache), settings, part=part, **options) for part in parts]
    if here == 2:  # one process makes both parts, one after the other
        made = [made[0][0::2], made[0][1::2]]
    assert [len(batches) for batches in made] == [len(whole)] * len(sizes)
    for expected, pieces in zip(whole, zip(*made)):
        assert [len(piece[0]) for piece in pieces] == sizes
        for column, columns in zip(expected, zip(*pieces)):
            np.testing.assert_array_equal(np.concatenate(columns), column)


def test_blocks_hold_all_positions_and_are_about_as_large():
    # 33 positions in blocks of at most 32: 17 and 16; 100: four of 25; 97: 25, 25, 25, 22
    assert [block_size(positions) for positions in (1, 32, 33, 97, 100)] == [1, 32, 17, 25, 25]


def test_blocks_of_large_images_hold_fewer():
    # 128 MiB: 14 images of 9 MB, so 32 positions make three blocks, of 11; at least four images, however large
    assert block_size(32, 9_000_000) == 11
    assert block_size(32, 10**9) == 4


def test_partners_in_a_mosaic_are_of_the_block_in_the_order_and_any_of_it():
    order = epoch_order(70, 10, 0, 0)
    places, indices = mosaic_partners(order, 24, 0, 0)  # blocks of 24, 24 and 22
    np.testing.assert_array_equal(indices[:, 0], order)
    for start in (0, 24, 48):
        block = order[start : start + 24]
        rows = slice(start, start + len(block))
        np.testing.assert_array_equal(indices[rows], block[places[rows]])
        drawn = [mosaic_partners(order, 24, 0, epoch)[0][rows, 1:] for epoch in range(20)]
        assert {*np.ravel(drawn)} == {*range(len(block))}
    assert not np.array_equal(mosaic_partners(order, 24, 0, 1)[0], places)


@pytest.mark.slow
def test_an_image_is_decoded_once_an_epoch_for_all_of_its_mosaics(annotations):
    store, asked = opened(annotations), []

    def read(index):
        with tf.control_dependencies([tf.numpy_function(lambda number: asked.append(int(number)), [index], [])]):
            return store.read(index)

    batches = batches_of(replace(store, read=read), Augmentation(mosaic=1.0))
    assert all((indices >= 0).all() for _, _, indices in batches)
    assert sorted(asked) == list(range(12))


@pytest.mark.slow
def test_the_same_seed_and_epoch_give_the_same_batches_and_others_other_ones(annotations):
    store = opened(annotations, "memory")
    assert store.kept == "memory"
    settings = Augmentation(mosaic=0.0)
    first = batches_of(store, settings, seed=3, epochs=range(1, 2))
    assert_same(batches_of(store, settings, seed=3, epochs=range(1, 2)), first)
    for seed, epoch in ((3, 2), (4, 1)):
        other = batches_of(store, settings, seed=seed, epochs=range(epoch, epoch + 1))
        assert not np.array_equal(other[0][0], first[0][0]) and not np.array_equal(other[0][2], first[0][2])


# Boxes


def test_boxes_are_padded_to_multiples_of_32_and_empty_images_have_none(tmp_path):
    path = str(tmp_path / "a.png")
    cv2.imwrite(path, np.zeros((100, 100, 3), np.uint8))
    boxes = [(x, 10, x + 20, 40, 1) for x in range(33)]
    several, none = annotated(path, *boxes), annotated(path)
    for batches in (
        lambda part: batches_of(opened(part), batch_size=len(part)),
        lambda part: [tuple(map(np.asarray, batch)) for batch in resized_batches(part, len(part))],
    ):
        ((_, rows, indices),) = batches([several, none])
        rows = rows[np.argsort(indices.reshape(2, -1)[:, 0])]
        assert rows.shape == (2, 64, 5)  # 33 boxes
        assert (rows[0, :33, 2] > 0).all() and not rows[0, 33:].any() and not rows[1].any()
        ((_, rows, _),) = batches([none])
        assert rows.shape == (1, 32, 5) and not rows.any()


def test_crowded_and_sparse_batches_have_the_same_rows(tmp_path):
    path = str(tmp_path / "a.png")
    cv2.imwrite(path, np.zeros((100, 100, 3), np.uint8))
    crowded = annotated(path, *[(x, 10, x + 20, 40, 1) for x in range(40)])
    sparse = annotated(path, (10, 10, 50, 50, 0))
    store = opened([crowded, *[sparse] * 7], "memory")
    for settings, rows in ((PLAIN, 64), (replace(PLAIN, mosaic=0.5), 160)):  # 40 boxes; a mosaic of 4 x 40
        batches = batches_of(store, settings, batch_size=2)
        assert [boxes.shape for _, boxes, _ in batches] == [(2, rows, 5)] * 4
    plain = [boxes.shape for _, boxes, _ in resized_batches([sparse, sparse, crowded], 2)]
    assert plain == [(2, 64, 5), (1, 64, 5)]


def test_an_image_with_thousands_of_boxes_makes_its_own_batches_alone_large(tmp_path):
    path = str(tmp_path / "a.png")
    cv2.imwrite(path, np.zeros((100, 100, 3), np.uint8))
    crowded = annotated(path, *[(x % 80, x // 80, x % 80 + 20, x // 80 + 20, 1) for x in range(1500)])
    sparse = annotated(path, (10, 10, 50, 50, 0))
    batches = batches_of(opened([crowded, sparse, sparse], "memory"), batch_size=1)
    # 512 rows at most for all, and 512 x 4 where 1500 boxes need them
    assert sorted(boxes.shape[1] for _, boxes, _ in batches) == [512, 512, 2048]


def test_crowd_regions_are_left_out_and_boxes_are_clipped_to_the_image(tmp_path):
    path = str(tmp_path / "a.png")
    cv2.imwrite(path, np.zeros((100, 100, 3), np.uint8))
    item = annotated(path, (10, 10, 50, 50, 0, "crowd"), (50, 50, 120, 100, 2), (110, 10, 120, 20, 1))
    ((_, rows, _),) = batches_of(opened([item]), batch_size=1)
    ((_, plain, _),) = resized_batches([item], 1)
    for found in (rows[0], plain.numpy()[0]):
        # 50 to 100 of 100 pixels both ways; the third box has no area inside.
        np.testing.assert_allclose(found[0], [0.75, 0.75, 0.5, 0.5, 2], atol=1e-6)
        assert not found[1:].any()


def test_boxes_of_a_large_jpeg_that_is_decoded_smaller_are_where_the_pixels_are(tmp_path):
    large = np.full((805, 1003, 3), BLUE, np.uint8)  # no multiples of 8
    large[300:700, 620:940] = RED
    path = tmp_path / "large.jpg"
    Image.fromarray(large).save(path, quality=95)
    store = opened([annotated(path, (620, 300, 940, 700, 1))])
    image, _ = next(tf.data.Dataset.range(1).map(store.loader()).as_numpy_iterator())
    assert image.shape == (101, 126, 3)  # an eighth, rounded up; 805 // 8 = 100 is above 1.5 x 64
    ((images, boxes, _),) = batches_of(store, replace(PLAIN, jitter=0.2, flip=0.5), batch_size=1, shape=(96, 96))
    np.testing.assert_allclose(mean_inside(images[0], boxes[0, 0, :4]), np.array(RED) / 255, atol=0.02)
    reds = (np.abs(images[0] - np.array(RED) / 255).max(-1) < 0.25).sum() / 96**2
    assert reds == pytest.approx(boxes[0, 0, 2] * boxes[0, 0, 3], rel=0.08)


# Batches to validate on


@pytest.mark.parametrize("resize", ["letterbox", "stretch"])
def test_validation_images_are_what_detection_sees(tmp_path, annotations, resize):
    write_rotated(tmp_path / "rotated.jpg")
    wide = annotated(tmp_path / "rotated.jpg", RECTANGLE, (0, 0, 15, 15, 0))
    items = [annotations[0], wide, annotations[1]]
    batches = list(resized_batches(items, 2, resize, (64, 96)))
    assert [len(indices) for _, _, indices in batches] == [2, 1]
    np.testing.assert_array_equal(np.concatenate([indices for *_, indices in batches]), [0, 1, 2])
    for images, boxes, indices in batches:
        for image, rows, index in zip(images.numpy(), boxes.numpy(), indices.numpy()):
            photo = read_image(items[index].image_path)
            np.testing.assert_allclose(image, resize_image(photo, (64, 96), resize) / 255, atol=1e-6)
            corners = boxes_to_network(items[index].boxes, photo.shape[:2], (64, 96), resize)
            found = rows[: len(corners)]
            half = found[:, 2:4] / 2
            found_corners = np.concatenate([found[:, :2] - half, found[:, :2] + half], 1) * [96, 64, 96, 64]
            np.testing.assert_allclose(found_corners, corners, atol=1e-3)
            np.testing.assert_array_equal(found[:, 4], items[index].class_ids)
            assert not rows[len(corners) :].any()


def test_validation_batches_are_the_same_each_time(annotations):
    dataset = resized_batches(annotations[:3], 2)
    first, again = ([tuple(map(np.asarray, batch)) for batch in dataset] for _ in range(2))
    assert_same(first, again)


def test_replicas_take_turns_at_whole_validation_batches(annotations):
    def indices(part):
        return [batch[2].numpy().tolist() for batch in resized_batches(annotations[:10], 3, part=part)]

    whole = [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert indices(WHOLE) == whole
    assert [indices(BatchPart(3, number, 1)) for number in range(3)] == [[whole[0], whole[3]], [whole[1]], [whole[2]]]
    assert [indices(BatchPart(4, 0, 2)), indices(BatchPart(4, 2, 2))] == [whole[:2], whole[2:]]
    assert indices(BatchPart(5, 4, 1)) == []
