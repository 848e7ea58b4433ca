"""The recall of proposals by hand, and that of a network's best."""

import math

import numpy as np
import pytest

from tests.models.cases import SHAPE, to_rows
from tests.models.rpn.test_architecture import SMALL, perfect_outputs
from yolo3.models.rpn.recall import measure_recall, proposal_recall


def test_recall_by_hand():
    truths = [np.array([[0, 0, 10, 10], [20, 20, 30, 30.0]]), np.zeros((0, 4)), np.array([[0, 0, 10, 10.0]])]
    found = [np.array([[0, 0, 10, 6.0], [50, 50, 60, 60]]), np.array([[0, 0, 5, 5.0]]), np.zeros((0, 4))]
    assert proposal_recall(truths, found) == pytest.approx(1 / 3)  # an IoU of .6; nothing near; no proposal
    assert proposal_recall(truths, found, iou_threshold=0.7) == 0
    assert math.isnan(proposal_recall([np.zeros((0, 4))], [np.zeros((0, 4))]))


@pytest.mark.parametrize("num_proposals, expected", [(1, 0.5), (50, 1.0)])
def test_recall_is_measured_on_batches_with_the_best_proposals_alone(num_proposals, expected):
    boxes = np.concatenate([to_rows([[10, 10, 30, 40], [60, 5, 90, 30]]), np.zeros((1, 3, 5), np.float32)], 1)
    raw = perfect_outputs(SMALL, SMALL.build_targets(boxes, SHAPE), SHAPE)
    images = np.zeros((1, *SHAPE, 3), np.float32)

    def known(photos, training):
        assert not training
        return raw

    assert measure_recall(SMALL, known, [(images, boxes), (images, boxes)], num_proposals) == expected
