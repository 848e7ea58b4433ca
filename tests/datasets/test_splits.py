"""Drawing validation images."""

import numpy as np
import pytest

from yolo3.datasets.annotation import build_annotation
from yolo3.datasets.splits import draw_validation, natural_key, split_annotations


def annotations(count):
    return [build_annotation(f"{number}.jpg", [], f"train.txt:{number}") for number in range(count)]


def test_a_split_loses_none_and_repeats_with_its_seed():
    items = annotations(50)
    train, val = split_annotations(items, 0.1, seed=3)
    assert (len(train), len(val)) == (45, 5)
    assert sorted(map(id, train + val)) == sorted(map(id, items))
    assert split_annotations(items, 0.1, seed=3) == (train, val)
    assert split_annotations(items, 0.1, seed=4)[1] != val


@pytest.mark.parametrize(
    "count, fraction, sizes", [(0, 0.5, (0, 0)), (1, 0.9, (1, 0)), (2, 0.01, (1, 1)), (3, 0.99, (1, 2))]
)
def test_both_parts_of_a_split_hold_one_when_there_are_two(count, fraction, sizes):
    train, val = split_annotations(annotations(count), fraction, seed=0)
    assert (len(train), len(val)) == sizes


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5])
def test_a_split_needs_a_fraction(fraction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        split_annotations(annotations(4), fraction, seed=0)


def test_a_split_without_groups_is_that_of_earlier_versions():
    # Before there were groups: the first of a permutation with the seed.
    earlier = set(np.random.default_rng(7).permutation(50)[:10].tolist())
    for groups in (None, np.arange(50)):
        drawn = draw_validation([f"{number}.jpg" for number in range(50)], 0.2, seed=7, groups=groups)
        assert set(np.flatnonzero(drawn)) == earlier


def test_a_group_stays_on_one_side():
    groups = np.repeat(np.arange(20), 5)  # 100 images in 20 films
    for seed in range(5):
        drawn = draw_validation([f"{number}.jpg" for number in range(100)], 0.2, seed, groups)
        assert drawn.sum() == 20 and set(drawn.reshape(20, 5).sum(axis=1)) == {0, 5}


def test_single_images_fill_what_groups_leave():
    groups = np.array([0] * 30 + list(range(30, 100)))  # one film of 30 that does not fit into 10
    drawn = draw_validation([f"{number}.jpg" for number in range(100)], 0.1, 3, groups)
    assert drawn.sum() == 10 and not drawn[:30].any()


def test_the_smallest_group_is_taken_where_none_fits():
    groups = np.repeat([0, 1, 2], [40, 12, 48])
    drawn = draw_validation([f"{number}.jpg" for number in range(100)], 0.1, 0, groups)
    assert np.flatnonzero(drawn).tolist() == list(range(40, 52))  # 12 images for 10 wanted


def test_a_film_that_is_all_there_is_is_cut_once_at_its_end():
    paths = [f"frame_{number}.jpg" for number in range(20)]
    order = np.random.default_rng(0).permutation(20)  # lists need not be in the order of the film
    drawn = draw_validation([paths[number] for number in order], 0.2, 0, np.zeros(20, int))
    assert {paths[number] for number in order[drawn]} == {f"frame_{number}.jpg" for number in range(16, 20)}
    assert draw_validation(["a.jpg", "b.jpg"], 0.1, 0, np.zeros(2, int)).tolist() == [False, True]


def test_names_sort_as_people_count():
    names = ["b.jpg", "f10.jpg", "f9.jpg", "10.jpg", "9.jpg"]
    assert sorted(names, key=natural_key) == ["9.jpg", "10.jpg", "b.jpg", "f9.jpg", "f10.jpg"]
