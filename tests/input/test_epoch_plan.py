"""What is drawn for an epoch, and its parts for devices that train together."""

import numpy as np
import pytest

from yolo3.input.epoch_plan import BatchPart, plan_epoch


@pytest.mark.parametrize("replicas", [1, 2, 3, 5])
def test_the_parts_of_a_batch_are_the_batch(replicas):
    arguments = dict(
        num_images=17, batch_size=5, block=8, input_shape=(64, 96), stride=32, scales=(), seed=3, mosaic=0.5
    )
    whole = plan_epoch(2, **arguments)
    parts = [plan_epoch(2, part=BatchPart(replicas, number), **arguments) for number in range(replicas)]
    for column, pieces in zip(whole, zip(*parts), strict=True):
        batches = [np.split(piece, 4) for piece in pieces]  # of each part
        together = np.concatenate([np.concatenate(of_batch) for of_batch in zip(*batches)])
        np.testing.assert_array_equal(together, column)


def test_the_sizes_of_parts_differ_by_one_at_most():
    assert BatchPart(3).bounds(8) == [0, 2]
    assert BatchPart(3, first=1, here=2).bounds(8) == [2, 5, 8]
