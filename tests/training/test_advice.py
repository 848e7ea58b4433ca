"""Advice on a run: each rule is triggered by a log made for it, quotes its numbers, and is silent on a normal one."""

import numpy as np
import pytest

from yolo3.training import advice
from yolo3.training.advice import run_advice, run_warnings

EPOCHS = np.arange(1, 21)
COLUMNS = {  # of a normal run, rounded from one on blood cells; the last epochs go without mosaic
    "epoch": EPOCHS,
    "loss": [180, 122, 86, 78, 67, 61, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 24, 23, 23],
    "objectness": [93, 65, 49, 44, 38, 35, 33, 32, 31, 31, 30, 30, 29, 28, 27, 26, 26, 12, 11.8, 11.5],
    "val_wh": [1.5, 0.9, 0.8, 0.7, 0.7, 0.6, 0.5, *[0.4] * 6, *[0.3] * 7],
    "val_objectness": [60, 51, 38, 30, 23, 18, 16, 14, 12, *[11] * 7, *[10] * 4],
    "val_class": [26, 11, 3.3, 1.8, 1.2, 0.7, 0.6, 0.5, *[0.4] * 6, *[0.3] * 6],
    "learning_rate": np.linspace(1e-3, 1e-5, 20),
    "data_wait": np.full(20, 0.02),
    "val_loss": [122, 87, 60, 46, 38, 32, 29, 27, 26, 26, 26, 25, 25, 24, 24, 24, 23, 23, 23, 23],
    "AP50": [0.01, 0.17, 0.45, 0.55, 0.74, 0.83, 0.85, 0.86, 0.87, *[0.88] * 4, 0.89, 0.89, *[0.90] * 5],
    "AP": [0.0, 0.05, 0.2, 0.3, 0.36, 0.39, 0.43, 0.45, 0.46, 0.47, 0.47, 0.5, *[0.51] * 2, *[0.52] * 3, *[0.53] * 3],
    "AP50_cell": [0.01, 0.2, 0.4, 0.56, 0.68, *[0.75] * 15],
    "AP50_plate": [0.0, 0.0, 0.0, 0.12, 0.55, *[0.8] * 15],
}


def rows_of(columns=None, epochs=20, **changed):
    """Rows of a log as csv.DictReader gives them: texts, with empty cells where there is no number."""
    columns = (COLUMNS if columns is None else columns) | changed
    return [
        {name: "" if np.isnan(values[index]) else repr(float(values[index])) for name, values in columns.items()}
        for index in range(epochs)
    ]


def rule_says(rule, rows, objects=None):
    """The sentence of one rule, after checking that `run_advice` holds it if there is one."""
    heard = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(advice, "RUN_RULES", (lambda log: heard.append(rule(log)),))
        run_advice(rows, objects)
    assert heard[0] is None or heard[0] in run_advice(rows, objects)
    return heard[0]


@pytest.mark.parametrize("rule", advice.RUN_RULES)
def test_rules_are_silent_on_a_normal_run_at_each_of_its_epochs(rule):
    early = {advice.still_improving}  # in the middle of a run it is right
    for epochs in range(20 if rule in early else 1, 21):
        assert rule_says(rule, rows_of(epochs=epochs)) is None, epochs


def test_a_normal_run_is_described_as_one():
    assert run_advice(rows_of()) == [
        "Nothing stands out: the training loss fell from 180.0 to 23.0, and AP50 reached 0.900 in epoch 16."
    ]
    assert run_advice(rows_of(epochs=2))[0].endswith("the training loss is 122.0 in epoch 2.")
    assert run_advice([]) == []
    numbers = [{name: float(value) for name, value in row.items()} for row in rows_of()]  # as RunFolder.rows has them
    assert run_advice(numbers) == run_advice(rows_of())
    assert run_advice([{"loss": 10 - epoch} for epoch in range(5)])[0].startswith("Nothing stands out")


RISING = [*COLUMNS["val_loss"][:10], *np.linspace(27, 40, 10)]
# name of the rule: columns that make it speak, what the sentence quotes, columns near them that do not
SPEAKING = {
    "loss_stagnates": (
        {"loss": np.full(20, 180.0), "AP50": np.zeros(20)}, ["180.0", "epoch 20", "0.001", "a tenth of it"],
        {"loss": np.full(20, 180.0)},  # but objects are found: weights from elsewhere
    ),
    "loss_jumps": (
        {"loss": [50, 40, 90, 30, *[20] * 16]}, ["had been 40.0 and was 90.0 in epoch 3", "0.001"],
        {"loss": [50, 40, 75, 30, *[20] * 16]},
    ),
    "boxes_do_not_fit": (
        {"val_wh": np.full(20, 4.5)}, ["4.5", "10.0", "yolo3 anchors"], {"val_wh": np.full(20, 2.4)},
    ),
    "ap_stays_zero": (
        {"AP50": np.full(20, 0.004)}, ["0.004", "20 epochs", "180.0", "23.0"], {"AP50": np.full(20, 0.02)},
    ),
    "ap_stays_low": (
        {"AP50": np.full(20, 0.05), "val_loss": np.linspace(122, 100, 20)},
        ["0.050 in 20 epochs", "110.4 in epoch 11", "100.0 now", "--weights"],
        {"AP50": np.full(20, 0.11), "val_loss": np.linspace(122, 100, 20)},
    ),
    "classes_not_learned": (
        {"val_class": np.linspace(26, 25, 20)}, ["epoch 5", "23.0 to 10.0", "25.8 to 25.0", "class names"],
        {"val_class": np.linspace(26, 22, 20)},
    ),
    "overfits": (
        {"val_loss": RISING, "AP": np.full(20, 0.4)}, ["180.0 to 23.0", "26.0 in epoch 9", "now 40.0"],
        {"val_loss": RISING},  # but AP rises too
    ),
    "best_is_past": (
        {"AP": [*np.linspace(0.1, 0.5, 16), 0.49, 0.48, 0.47, 0.46]},
        ["AP was best in epoch 16", "0.500", "0.460", "best.h5"],
        {"AP": [*np.linspace(0.1, 0.5, 16), 0.49, 0.48, 0.47, 0.48]},
    ),
    "class_is_weak": (
        {"AP50_plate": np.full(20, 0.2)}, ["'plate'", "0.200", "0.750"], {"AP50_plate": np.full(20, 0.45)},
    ),
    "class_is_not_validated": (
        {"AP50_plate": np.full(20, np.nan)}, ["1 of 2 classes", "'plate'"],
        {"AP50_plate": [*[np.nan] * 19, 0.8]},
    ),
    "still_improving": (
        {"AP": np.linspace(0.1, 0.5, 20)}, ["0.395 in epoch 15", "0.500 in epoch 20", "--epochs"],
        {"AP": np.linspace(0.45, 0.5, 20)},
    ),
    "waits_for_data": (
        {"data_wait": np.full(20, 0.41)}, ["41%", "--workers", "--cache"], {"data_wait": [0.9, *[0.3] * 19]},
    ),
}  # fmt: skip


def test_each_rule_has_a_log_that_triggers_it():
    assert list(SPEAKING) == [rule.__name__ for rule in advice.RUN_RULES]


@pytest.mark.parametrize("name", SPEAKING)
def test_a_rule_quotes_its_numbers_and_is_silent_just_within_its_limits(name):
    speaking, quoted, silent = SPEAKING[name]
    sentence = rule_says(getattr(advice, name), rows_of(**speaking))
    assert all(text in sentence for text in quoted), sentence
    assert rule_says(getattr(advice, name), rows_of(**silent)) is None


# name of a rule, and columns that lack just one of the things that make it speak
QUIET = [
    ("loss_stagnates", {"loss": [180, *[168] * 19], "AP50": np.zeros(20)}),  # the loss has fallen by a fifteenth
    ("boxes_do_not_fit", {"val_wh": np.full(20, 20.0), "val_objectness": np.linspace(60, 40, 20)}),  # by a third alone
    ("ap_stays_zero", {"AP50": np.full(20, 0.004), "loss": np.linspace(180, 100, 20)}),  # it has not halved
    ("classes_not_learned", {"val_class": np.full(20, 26.0), "val_objectness": [60] * 4 + [38, *[30] * 15]}),
    ("best_is_past", {"AP50": np.zeros(20)}),
    ("class_is_weak", {"AP50_plate": np.full(20, 0.1), "AP50_cell": np.full(20, 0.39)}),  # the others are not learned
    ("class_is_weak", {"AP50_plate": np.full(20, 0.19), "AP50_cell": np.full(20, 0.42)}),  # less than .25 below
    ("still_improving", {"AP": [*np.linspace(0.1, 0.5, 19), 0.49]}),  # the last is not about the best
]


@pytest.mark.parametrize(("name", "columns"), QUIET)
def test_a_rule_is_silent_where_one_condition_is_not_met(name, columns):
    assert rule_says(getattr(advice, name), rows_of(**columns)) is None


def test_sentences_quote_the_last_epochs():
    ap = [*np.full(19, 0.004), 0.006]
    assert "AP50 is 0.006 after 20" in rule_says(advice.ap_stays_zero, rows_of(AP50=ap))
    classes = [*np.linspace(26, 25, 19), 27]
    assert "went from 25.8 to 27.0" in rule_says(advice.classes_not_learned, rows_of(val_class=classes))


def test_the_most_important_comes_first():
    both = rows_of(**SPEAKING["waits_for_data"][0], **SPEAKING["classes_not_learned"][0])
    assert [sentence.split()[0] for sentence in run_advice(both)] == ["Objects", "Training"]


def test_the_advice_on_a_weak_class_gives_its_number_of_objects():
    rows = rows_of(AP50_plate=np.full(20, 0.2))
    few, some, enough = (run_advice(rows, {"plate": count, "cell": 300})[0] for count in (20, 150, 280))
    assert "enough examples" in some
    assert "There are 20 objects of it to train on, and 300 of the others (median): annotate more of them." in few
    assert "enough examples (280 objects" in enough


def test_epochs_without_validation_are_ignored():
    gaps = {
        name: np.where(EPOCHS % 4 == 0, values, np.nan) if name.startswith(("val_", "AP")) else values
        for name, values in COLUMNS.items()
    }
    assert run_advice(rows_of(gaps))[0].startswith("Nothing stands out")
    rising = np.where(EPOCHS % 2 == 0, RISING, np.nan)
    assert "epoch 10" in rule_says(advice.overfits, rows_of(val_loss=rising, AP=np.full(20, 0.4)))


def test_overfitting_is_reported_even_where_the_validation_loss_only_stagnates():
    # 180 to 9 is a twentieth, 122 to 100 five sixths; AP stands
    heart = {"loss": np.geomspace(180, 9, 20), "val_loss": np.linspace(122, 100, 20), "AP": np.full(20, 0.1)}
    assert "180.0 to 9.0" in rule_says(advice.overfits, rows_of(**heart))
    assert rule_says(advice.overfits, rows_of(**heart | {"val_loss": np.geomspace(122, 20, 20)})) is None


def test_a_validation_loss_that_rises_little_or_late_or_with_the_training_loss_is_not_overfitting():
    stands = {"AP": np.full(20, 0.4)}
    for rising in ([*COLUMNS["val_loss"][:10], *np.linspace(26, 28.5, 10)], [*COLUMNS["val_loss"][:17], 22, 26, 27]):
        assert rule_says(advice.overfits, rows_of(val_loss=rising, **stands)) is None
    both = {"val_loss": RISING, "loss": [*COLUMNS["loss"][:10], *[54] * 10]}
    assert rule_says(advice.overfits, rows_of(**both, **stands)) is None


def test_overfitting_is_not_reported_while_ap_improves():
    # since the least loss in epoch 9, or since half of the run
    for gaining in (np.full(20, 0.4), np.append(np.full(19, 0.4), 0.42), [*[0.3] * 8, *[0.4] * 12]):
        sentence = rule_says(advice.overfits, rows_of(val_loss=RISING, AP=gaining))
        assert (sentence is None) == (gaining[-1] > 0.41)


def test_a_learning_rate_that_is_far_too_low_is_reported():
    still = {"loss": np.full(20, 180.0), "AP50": np.zeros(20), "learning_rate": np.full(20, 1e-7)}
    assert "a higher one" in run_advice(rows_of(**still))[0]


def test_badly_fitting_anchors_explain_missed_and_misclassified_objects():
    lost = {"val_wh": np.full(20, 4.5), "val_class": np.linspace(26, 25, 20), "AP50": np.full(20, 0.004)}
    assert len(run_advice(rows_of(**lost))) == 1


def test_a_network_that_finds_hardly_anything_should_train_on_while_the_loss_falls():
    little = {"AP50": np.full(20, 0.05)}
    assert "validation loss has levelled off" in rule_says(advice.ap_stays_low, rows_of(val_loss=RISING, **little))
    assert "still decreasing, so more --epochs" in rule_says(advice.ap_stays_low, rows_of(**little))
    empty = np.full(20, np.nan)
    assert "training loss has levelled off: 53.0 in epoch 11, 52.0" in rule_says(
        advice.ap_stays_low, rows_of(val_loss=empty, **little, loss=[*COLUMNS["loss"][:11], *[52] * 9])
    )
    assert rule_says(advice.ap_stays_low, rows_of(**little, epochs=9)) is None
    assert rule_says(advice.ap_stays_low, rows_of(AP50=empty)) is None


@pytest.mark.parametrize("name", ["loss_stagnates", "loss_jumps", "boxes_do_not_fit", "ap_stays_zero"])
def test_a_rule_that_explains_why_hardly_anything_is_found_stands_alone(name):
    columns = {"AP50": np.full(20, 0.004)} | SPEAKING[name][0]
    assert rule_says(getattr(advice, name), rows_of(**columns))
    assert rule_says(advice.ap_stays_low, rows_of(**columns)) is None


def test_a_weak_class_that_catches_up_is_given_time():
    # the others are at .750; from .1 to .16 in two evaluations is a rise, to .14 it is none
    for last, silent in ((0.16, True), (0.14, False)):
        rows = rows_of(AP50_plate=[*[0.0] * 17, 0.1, 0.12, last])
        assert (rule_says(advice.class_is_weak, rows) is None) == silent


def test_long_lists_are_visibly_shortened():
    assert advice.some_of(["a", "b"]) == "a, b" and advice.some_of(list("abcde")) == "a, b, c, d, e"
    assert advice.some_of(list("abcdefg")) == "a, b, c, d, e and 2 more" and advice.some_of([]) == ""
    columns = COLUMNS | {f"AP50_{index}": np.full(20, np.nan) for index in range(6)}
    assert "6 of 8 classes ('0', '1', '2', '3', '4' and 1 more)" in run_advice(rows_of(columns))[0]


def test_a_class_term_that_was_small_from_the_start_is_not_an_error():
    # three tenths of the objectness part, which ends at 10
    assert rule_says(advice.classes_not_learned, rows_of(val_class=np.full(20, 2.9))) is None
    assert rule_says(advice.classes_not_learned, rows_of(val_class=np.full(20, 3.1)))


def test_terms_of_other_losses_are_ignored():
    mixed = rows_of(**SPEAKING["classes_not_learned"][0], val_wh=np.full(20, 9.0))
    assert run_advice(mixed)[0].startswith("The network struggles with the sizes")
    assert run_advice(mixed, yolov3_terms=False)[0].startswith("Nothing stands out")


def test_warnings_during_a_run_leave_out_what_only_its_end_can_tell():
    climbing = [{"epoch": n + 1, "loss": 100.0 / (n + 1), "AP50": 0.1 * n, "AP": 0.05 * n} for n in range(9)]
    assert any("still improving" in sentence for sentence in run_advice(climbing))
    assert run_warnings(climbing) == {}
    stands = [{"epoch": n + 1, "loss": 100.0, "AP50": 0.0} for n in range(4)]
    assert list(run_warnings(stands)) == ["loss_stagnates"]
    assert run_warnings(stands)["loss_stagnates"] in run_advice(stands)
    assert run_warnings(stands[:2]) == {}
