"""Clustering of box sizes into anchors, and how well anchors fit."""

import numpy as np
import pytest

from yolo3.models.yolov3.anchor_clusters import _moved, anchor_fit, cluster_anchors
from yolo3.models.yolov3.anchors import DEFAULT_ANCHORS
from yolo3.ops.boxes import shape_iou


def groups(seed=0, each=60):
    rng = np.random.default_rng(seed)
    centres = np.array([[10, 20], [50, 50], [120, 60], [200, 300]], np.float64)
    return centres, np.repeat(centres, each, axis=0) * rng.uniform(0.95, 1.05, (4 * each, 2))


def test_clusters_find_well_separated_groups_in_order_of_area():
    centres, sizes = groups()
    found = cluster_anchors(sizes, 4)
    np.testing.assert_allclose(found, centres, rtol=0.03)
    assert found.dtype == np.float64


def test_clustering_is_repeatable_and_does_not_change_its_input():
    rng = np.random.default_rng(1)
    sizes = rng.lognormal(3.5, 0.7, (400, 2))
    before = sizes.copy()
    first = cluster_anchors(sizes, 9, seed=3)
    np.testing.assert_array_equal(first, cluster_anchors(sizes, 9, seed=3))
    np.testing.assert_array_equal(sizes, before)
    assert (np.diff(first.prod(axis=1)) >= 0).all()


def test_clusters_beat_the_defaults_and_random_choices_on_their_own_data():
    rng = np.random.default_rng(2)
    sizes = rng.lognormal(3.5, 0.8, (500, 2))
    found = anchor_fit(sizes, cluster_anchors(sizes, 9)).mean_iou
    assert found > anchor_fit(sizes, DEFAULT_ANCHORS).mean_iou + 0.02
    chosen = [anchor_fit(sizes, sizes[rng.choice(500, 9, replace=False)]).mean_iou for _ in range(50)]
    assert found > max(chosen)


def test_no_cluster_can_be_moved_to_its_mean_or_median_for_a_gain():
    _, sizes = groups(3)
    found = cluster_anchors(sizes, 5)
    owner = shape_iou(sizes, found).argmax(axis=1)
    assert set(owner) == set(range(5))  # none is empty
    for centre_of in (np.mean, np.median):
        moved = np.array([centre_of(sizes[owner == k], axis=0) for k in range(5)])
        assert anchor_fit(sizes, moved).mean_iou <= anchor_fit(sizes, found).mean_iou + 1e-6


def test_a_centre_without_sizes_moves_to_the_size_that_fits_worst():
    sizes = np.array([[10.0, 10], [12, 12], [90, 5]])
    centres = np.array([[11.0, 11], [400, 400]])
    overlap = shape_iou(sizes, centres)
    moved = _moved(sizes, np.zeros(3, int), overlap=overlap, centres=centres, centre_of=np.mean)
    np.testing.assert_allclose(moved, [[112 / 3, 9], [90, 5]])


def test_as_many_anchors_as_distinct_sizes_are_those_sizes():
    sizes = np.array([[10, 10], [10, 10], [10, 10.5], [300, 5], [7, 80]], np.float64)
    np.testing.assert_allclose(cluster_anchors(sizes, 4), [[10, 10], [10, 10.5], [7, 80], [300, 5]])


@pytest.mark.parametrize(("sizes", "count"), [([[10, 10]] * 50, 2), ([[1, 2], [3, 4]], 3), (np.zeros((0, 2)), 1)])
def test_fewer_distinct_sizes_than_anchors_are_refused(sizes, count):
    with pytest.raises(ValueError, match=f"cannot make {count} anchors"):
        cluster_anchors(sizes, count)


def test_sizes_that_are_not_positive_are_refused():
    with pytest.raises(ValueError, match="got 0 x 5"):
        cluster_anchors([[0, 5], [1, 2]], 1)
    with pytest.raises(ValueError, match=r"shape \[3\]"):
        cluster_anchors([1, 2, 3], 1)


def test_many_sizes_are_sampled():
    rng = np.random.default_rng(0)
    sizes = np.repeat(groups(each=10)[1], 1000, axis=0)
    np.testing.assert_allclose(cluster_anchors(sizes, 4, restarts=1), groups()[0], rtol=0.05)
    rare = np.concatenate([np.full((50_000, 2), 10.0), rng.uniform(50, 99, (3, 2))])
    assert len(cluster_anchors(rare, 4, restarts=1)) == 4  # the sample may have missed the three rare sizes


def test_fit_by_hand():
    # Anchor 10 x 10: IoU 1; 10 x 5: 50 / 100; 10 x 50: 100 / 500 = .2.
    fit = anchor_fit([[10, 10], [10, 5], [10, 50]], [[10, 10]])
    assert fit.mean_iou == pytest.approx(1.7 / 3)
    assert (fit.above_50, fit.above_25) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert fit.num_boxes == 3
    with pytest.raises(ValueError, match="got 0 boxes and 9 anchors"):
        anchor_fit(np.zeros((0, 2)), DEFAULT_ANCHORS)
