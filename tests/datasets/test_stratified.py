"""Parts of a data set that hold each class in its share."""

import numpy as np
import pytest

from yolo3.datasets.annotation import Box, build_annotation
from yolo3.datasets.stratified import stratified_parts


def annotations(*classes):
    """One image for each tuple of class ids."""
    return [
        build_annotation(f"{number}.jpg", [Box((0, 0, 9, 9), class_id) for class_id in ids], "x")
        for number, ids in enumerate(classes)
    ]


def counts(items, part_of, class_id):
    held = np.array([class_id in item.class_ids for item in items])
    return np.bincount(part_of[held], minlength=part_of.max() + 1).tolist()


def test_a_rare_class_is_in_each_part_in_its_share():
    items = annotations(*[(0, 1)] * 10, *[(0,)] * 190)  # 200 images, class 1 in ten
    for seed in range(5):
        part_of = stratified_parts(items, [0.7, 0.2, 0.1], np.arange(200), num_classes=2, seed=seed)
        assert counts(items, part_of, 1) == [7, 2, 1]
        assert np.bincount(part_of).tolist() == [140, 40, 20]


def test_background_images_are_divided_too():
    items = annotations(*[()] * 50, *[(0,)] * 50)
    part_of = stratified_parts(items, [0.8, 0.2], np.arange(100), num_classes=1, seed=0)
    assert np.bincount(part_of[:50]).tolist() == [40, 10]


def test_the_seed_decides():
    items = annotations(*[(0,)] * 40)
    first, again, other = (stratified_parts(items, [0.5, 0.5], np.arange(40), 1, seed) for seed in (0, 0, 1))
    assert (first == again).all() and (first != other).any()


def test_groups_stay_in_one_part():
    items = annotations(*[(number % 3,) for number in range(90)])
    groups = np.arange(90) // 6
    part_of = stratified_parts(items, [0.8, 0.2], groups, num_classes=3, seed=2)
    assert set(part_of.reshape(15, 6).sum(axis=1)) == {0, 6}
    assert 12 <= part_of.sum() <= 24  # of 18 due, in groups of six


def test_one_film_is_cut_once_at_its_end():
    items = annotations(*[(0,)] * 20)
    part_of = stratified_parts(items, [0.8, 0.2], np.zeros(20, int), num_classes=1, seed=0)
    assert part_of.tolist() == [0] * 16 + [1] * 4


def test_shares_and_images_have_to_be_enough():
    with pytest.raises(ValueError, match="shares above 0"):
        stratified_parts(annotations((0,), (0,)), [-0.1, 0.6, 0.5], np.arange(2), 1, 0)
    with pytest.raises(ValueError, match="an image for each of 3 parts, got 2"):
        stratified_parts(annotations((0,), (0,)), [0.4, 0.3, 0.3], np.arange(2), 1, 0)
