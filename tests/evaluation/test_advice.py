"""Advice on an evaluation: each rule is triggered by figures made for it, quotes them, and is otherwise silent."""

import pytest

from tests.evaluation.examples import annotated, detected
from yolo3.evaluation.advice import REMEDIES, evaluation_advice, name_of
from yolo3.evaluation.errors import KINDS
from yolo3.evaluation.measures import measure

NAMES = ("cat", "dog")


def square(x, side=40, y=0):
    return (x, y, x + side, y + side)


CAT, HIT = (square(0), 0), (*square(0), 0.9, 0)


def images(count, objects=(CAT,), found=(HIT,)):
    """``count`` equal images with this ground truth (box, class id) and detections (x, y, x, y, score, class id)."""
    annotation = annotated([box for box, _ in objects], [class_id for _, class_id in objects])
    return [annotation] * count, [detected(*found)] * count


def advice_on(*parts, names=NAMES):
    """Advice on images joined from several `images`."""
    ground_truths, found = ([item for part in parts for item in part[side]] for side in (0, 1))
    return evaluation_advice(measure(ground_truths, found, names))


HITS = images(30)
DOG = [(square(0), 1)]
DOGS = images(30, DOG, [(*square(0), 0.9, 1)])


def test_a_good_evaluation_is_described_as_one():
    assert advice_on(HITS, DOGS) == ["Nothing stands out: AP50 is 1.000, AP 1.000."]


@pytest.mark.parametrize(
    ("parts", "quoted"),
    [
        ([images(3, []), images(3, [], [(*square(0), 0.1, 0)])], ["no annotated objects", "all 3 detections"]),
        (
            [HITS, images(10, [], [(*square(0), 0.5, 1)]), images(90, [], [(*square(0), 0.5, 0)])],
            ["10 of 100 false", "'dog' (10)"],
        ),
        ([images(20), images(20, [], [(*square(0), 0.4, 0)])], ["--score-threshold 0.899"]),
        ([HITS, images(10, DOG, [])], ["'dog' has an AP50 of 0.000 on 10 objects"]),
        ([images(12, found=[(*square(0), 0.2, 0)])], ["score of at least 0.3", "0.200"]),
        ([images(12, found=[])], ["there are no detections"]),
        ([HITS, DOGS, images(30, [], [(*square(0), 0.4, 0)])], ["F1 is 0.800", "1.000", "--score-threshold 0.899"]),
        ([HITS, DOGS, images(12, found=[])], ["'missed', 12 of 12"]),
        ([HITS, DOGS, images(3, [], [(*square(0), 0.85, 0)] * 2)], ["6 detections", "at least 0.8", "6 of them in 3"]),
        (
            [HITS, *[images(1, [], [(*square(0), 0.85, 0)] * count) for count in (1, 4, 2, 3)]],
            ["10 detections", "9 of them in 3"],
        ),
        ([HITS, DOGS, images(6, [(square(0), 1)])], ["6 of 36 'dog'", "'cat'"]),
        # of 100 cats 9 are detected as dogs, of 35 dogs 5 for cats: the rarer case is the worse one
        ([images(91), images(9, found=[(*square(0), 0.9, 1)]), DOGS, images(5, DOG)], ["5 of 35 'dog'", "'cat'"]),
        ([HITS, DOGS, images(100, [(square(0), 1)], [])], ["'dog' has an AP50 of 0.2", "130 objects", "1.000"]),
        (
            [HITS, DOGS, images(12, [(square(0, 20), 0)], []), images(7, found=[])],
            ["0 of 12 are found", "larger ones 60 of 67", "--input-size"],
        ),
        # 40 x 40 against 40 x 28: IoU .7, a hit at .5 and none at .75
        ([images(30, found=[(0, 0, 40, 28, 0.9, 0)])], ["AP50 is 1.000", "AP75 0.000"]),
        ([HITS, images(4, [(square(0), 1)], [(*square(0), 0.9, 1)])], ["fewer than ten", "'dog' (4)"]),
    ],
)  # fmt: skip
def test_problems_of_an_evaluation_are_reported_with_their_numbers(parts, quoted):
    assert any(all(text in sentence for text in quoted) for sentence in advice_on(*parts)), advice_on(*parts)


@pytest.mark.parametrize(
    ("parts", "unsaid"),
    [
        ([HITS, DOGS, images(9, found=[])], "most frequent kind"),
        ([images(240), images(12, found=[])], "most frequent kind"),  # of 252 objects, fewer than a twentieth
        ([images(19), images(19, [], [(*square(0), 0.4, 0)])], "--score-threshold 0"),  # 20 objects are enough
        ([HITS, images(9, DOG, [])], "has an AP50"),  # ten objects are enough
        ([HITS, images(9, [], [(*square(0), 0.5, 1)])], "never annotated"),
        ([HITS, images(10, [], [(*square(0), 0.5, 1)]), images(91, [], [(*square(0), 0.5, 0)])], "never annotated"),
        ([images(12, [], [(*square(0), 0.5, 1)])], "never annotated"),  # nothing is annotated at all
        ([HITS, DOGS, images(2, [], [(*square(0), 0.85, 0)] * 2)], "at least 0.8"),
        ([HITS, DOGS, images(3, [], [(*square(0), 0.7, 0)] * 4)], "at least 0.8"),
        ([HITS, DOGS, images(4, [(square(0), 1)])], "are detected as"),
        ([HITS, DOGS, images(9, [(square(0, 20), 0)], [])], "Small objects"),
        ([images(30, found=[(0, 0, 40, 38, 0.9, 0)])], "not tight"),
        ([HITS, images(10, [(square(0), 1)], [(*square(0), 0.9, 1)])], "fewer than ten"),
        ([HITS, DOGS, images(30, [(square(0), 1)], [])], "has an AP50"),
    ],
)  # fmt: skip
def test_no_advice_is_given_where_nothing_is_wrong(parts, unsaid):
    assert not any(unsaid in sentence for sentence in advice_on(*parts)), advice_on(*parts)


def test_classes_without_annotations_come_most_frequent_first():
    lone = [images(count, [], [(*square(0), 0.5, class_id)]) for class_id, count in ((1, 4), (2, 9), (3, 1))]
    assert any("'c' (9), 'b' (4), 'd' (1)" in sentence for sentence in advice_on(HITS, *lone, names=tuple("abcd")))


def test_each_kind_of_error_has_a_remedy():
    assert tuple(REMEDIES) == KINDS
    assert all(meaning and remedy.endswith(".") for meaning, remedy in REMEDIES.values())


def test_kinds_of_error_have_plurals():
    assert [name_of("localization", count) for count in (1, 2)] == ["localization error", "localization errors"]
    assert name_of("missed", 3) == "missed" and name_of("duplicate", 3) == "duplicates"
