"""Which weights are the best: by AP, the later ones where it is equal, the last ones without it."""

import math

from yolo3.training.best_weights import epoch_of_highest_ap50, evaluations_since_best, is_better, row_of_epoch


def test_ap_decides_and_not_ap50():
    assert is_better({"AP50": 0.90, "AP": 0.508}, {"AP50": 0.95, "AP": 0.461})
    assert not is_better({"AP50": 0.95, "AP": 0.461}, {"AP50": 0.90, "AP": 0.508})


def test_at_equal_ap_the_later_weights_are_taken():
    assert is_better({"AP": 0.0}, {"AP": 0.0})


def test_without_an_evaluation_so_far_the_last_weights_are_taken_and_never_in_place_of_evaluated_ones():
    assert is_better({"loss": 1.0}, {}) and is_better({"AP": 0.1}, {"loss": 1.0})
    assert not is_better({"loss": 1.0}, {"AP": 0.1})
    assert is_better({"AP": 0.1}, {"AP": math.nan}) and not is_better({"AP": math.nan}, {"AP": 0.1})


def test_earlier_versions_kept_the_first_epoch_with_the_highest_ap50():
    rows = [{"epoch": 1}, {"epoch": 2, "AP50": 0.4}, {"epoch": 3, "AP50": 0.4}, {"epoch": 4, "AP50": math.nan}]
    assert epoch_of_highest_ap50(rows) == 2 and epoch_of_highest_ap50(rows[:1]) == 0
    assert row_of_epoch(rows, 2) == rows[1] and row_of_epoch(rows, 9) == {}


def test_evaluations_are_counted_from_the_first_of_the_highest_ap():
    rows = [
        {"epoch": number, **({} if ap is None else {"AP": ap})} for number, ap in enumerate([0.1, 0.4, None, 0.4, 0.3])
    ]
    assert [evaluations_since_best(rows[:count]) for count in range(6)] == [0, 0, 0, 0, 1, 2]


def test_nothing_is_counted_while_nothing_is_found():
    assert evaluations_since_best([{"AP": 0.0}] * 5) == 0 and evaluations_since_best([{"AP": math.nan}] * 5) == 0
    assert evaluations_since_best([*[{"AP": 0.0}] * 5, {"AP": 0.1}, {"AP": 0.1}]) == 1
