"""Kinds of error and the confusion matrix: by hand, and sums that must hold."""

import numpy as np

from tests.evaluation.examples import annotated, detected, random_images
from yolo3.evaluation.errors import confusion_matrix, error_kinds


def one_of_each_kind():
    annotation = annotated(
        [(0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10), (60, 0, 70, 10), (80, 0, 90, 10)],
        [0, 0, 0, 1, 0],
        difficult=[False, False, False, False, True],
    )
    found = detected(
        (0, 0, 10, 10, 0.9, 0),  # hit
        (0, 0, 10, 9, 0.8, 0),  # the same annotation again
        (20, 0, 30, 10, 0.7, 1),  # the other class
        (40, 6, 50, 16, 0.6, 0),  # IoU 40 / 160 = .25
        (200, 0, 210, 10, 0.5, 0),  # nothing there
        (80, 0, 90, 10, 0.5, 0),  # difficult
        (60, 0, 70, 10, 0.1, 1),  # under the score threshold: its annotation is missed
    )
    return [annotation], [found]


def test_each_kind_of_error_is_recognised():
    result = error_kinds(*one_of_each_kind())
    expected = ["hit", "duplicate", "misclassified", "localization", "background", "", ""]
    assert result.detection_kinds[0].tolist() == expected
    assert result.missed[0].tolist() == [False, False, False, True, False]
    assert result.counts == dict.fromkeys(
        ["hit", "duplicate", "misclassified", "localization", "background", "missed"], 1
    )


def test_confusion_matrix_by_hand():
    # Class 0: one hit, one taken for class 1, one localization error: missed. Class 1: one missed. The duplicate,
    # the localization error and the stray detection of class 0 lie on background.
    matrix = confusion_matrix(*one_of_each_kind(), 2)
    np.testing.assert_array_equal(matrix, [[1, 1, 1], [0, 0, 1], [3, 0, 0]])


def test_confusion_prefers_the_right_class_to_the_higher_score():
    ground_truths = [annotated([(0, 0, 10, 10)], [1])]
    detections = [detected((0, 0, 10, 10, 0.9, 0), (0, 0, 10, 10, 0.6, 1))]
    np.testing.assert_array_equal(confusion_matrix(ground_truths, detections, 2), [[0, 0, 0], [0, 1, 0], [1, 0, 0]])


def test_confusion_rows_add_up_to_the_objects_and_columns_to_the_detections():
    ground_truths, detections = random_images(4, hard=False)
    matrix = confusion_matrix(ground_truths, detections, 4)
    true_ids = np.concatenate([t.class_ids for t in ground_truths])
    found_ids = np.concatenate([d.class_ids[d.scores >= 0.25] for d in detections])
    np.testing.assert_array_equal(matrix[:4].sum(axis=1), np.bincount(true_ids, minlength=4))
    np.testing.assert_array_equal(matrix[:, :4].sum(axis=0), np.bincount(found_ids, minlength=4))
    assert matrix[4, 4] == 0
    kinds = error_kinds(ground_truths, detections).counts
    assert kinds["hit"] == np.trace(matrix)
