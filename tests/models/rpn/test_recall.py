"""The recall of proposals by hand."""

import math

import numpy as np
import pytest

from yolo3.models.rpn.recall import proposal_recall


def test_recall_by_hand():
    truths = [np.array([[0, 0, 10, 10], [20, 20, 30, 30.0]]), np.zeros((0, 4)), np.array([[0, 0, 10, 10.0]])]
    found = [np.array([[0, 0, 10, 6.0], [50, 50, 60, 60]]), np.array([[0, 0, 5, 5.0]]), np.zeros((0, 4))]
    assert proposal_recall(truths, found) == pytest.approx(1 / 3)  # an IoU of .6; nothing near; no proposal
    assert proposal_recall(truths, found, iou_threshold=0.7) == 0
    assert math.isnan(proposal_recall([np.zeros((0, 4))], [np.zeros((0, 4))]))
