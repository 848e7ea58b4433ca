"""Charts: what is drawn where, what the legends say, and files that say the same each time."""

import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from yolo3.evaluation.average_precision import precision_recall
from yolo3.evaluation.measures import at_thresholds
from yolo3.visualize.charts import (
    BAD,
    GOOD,
    PALE,
    confusion_chart,
    png,
    precision_recall_chart,
    score_histogram,
    shortened,
    size_histogram,
    svg,
    threshold_chart,
)


def axes_of(figure):
    (axes,) = figure.get_axes()
    return axes


def legend_of(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def curve(ap):
    return SimpleNamespace(precision=np.array([1.0, 0.5]), recall=np.array([ap, ap]), ap=ap)


def test_a_curve_goes_from_recall_0_to_the_last_recall_and_falls_to_the_axis():
    figure = precision_recall_chart({"cat": precision_recall([True, False, True], [0.9, 0.8, 0.7], 3)})
    (line,) = axes_of(figure).get_lines()
    # hit, false, hit of 3: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3
    np.testing.assert_allclose(line.get_xdata(), [0, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    np.testing.assert_allclose(line.get_ydata(), [1, 1, 1 / 2, 2 / 3, 0])
    assert legend_of(figure) == ["0.556 cat"]  # 1/3 * 1 + 1/3 * 2/3


def test_classes_without_ground_truth_have_no_curve():
    figure = precision_recall_chart({"seen": precision_recall([], [], 3), "never": precision_recall([], [], 0)})
    assert legend_of(figure) == ["0.000 seen"]
    assert [text.get_text() for text in axes_of(precision_recall_chart({})).texts] == ["no class has ground truth"]


def test_of_many_classes_the_best_and_the_worst_have_names_and_styles_of_their_own():
    figure = precision_recall_chart({f"c{k}": curve(k / 20) for k in range(12)})
    named = ["0.550 c11", "0.500 c10", "0.450 c9", "0.400 c8", "0.350 c7"]
    named += ["0.200 c4", "0.150 c3", "0.100 c2", "0.050 c1", "0.000 c0"]
    assert legend_of(figure) == [*named, "2 more classes"]
    looks = [(line.get_color(), line.get_linestyle()) for line in axes_of(figure).get_lines()]
    assert looks[:2] == [(PALE, "-")] * 2 and len(set(looks[2:-1])) == 10


def test_values_at_a_threshold_hold_down_to_the_next_score():
    # a hit of .9 and a false one of .5, of 1 object: precision 1 above .5, 1/2 at .5 and below
    points = at_thresholds(precision_recall([True, False], [0.9, 0.5], 1))
    figure = threshold_chart(points, used=0.3, best=0.9)
    precision = axes_of(figure).get_lines()[0]
    assert precision.get_drawstyle() == "steps-post"
    assert precision.get_xdata().tolist() == [0.9, 0.5, 0] and precision.get_ydata().tolist() == [1, 0.5, 0.5]
    assert legend_of(figure) == ["precision", "recall", "F1", "threshold used: 0.3", "largest F1: 0.90"]
    assert len(legend_of(threshold_chart(points, used=0.3, best=float("nan")))) == 4


def bars_of(figure):
    """(left edge, height, colour) of the bars that are not empty."""
    patches = axes_of(figure).patches
    return [
        (round(bar.get_x(), 3), bar.get_height(), to_hex(bar.get_facecolor())) for bar in patches if bar.get_height()
    ]


def test_bars_of_scores_are_stacked_and_as_high_as_their_numbers():
    figure = score_histogram(np.float32([0.95, 0.42]), np.float32([0.44, 0.4, 0.05]), used=0.3)
    good, bad = GOOD.lower(), BAD.lower()
    assert bars_of(figure) == [(0.4, 1, good), (0.95, 1, good), (0.4, 2, bad)]
    assert [bar.get_y() for bar in axes_of(figure).patches if bar.get_height() == 2] == [1]  # on the hits
    assert legend_of(figure) == ["hits", "false positives", "threshold used: 0.3"]
    assert legend_of(score_histogram(np.zeros(0), np.zeros(0), used=0.05)) == ["hits", "false positives"]


def test_sizes_have_two_bars_per_octave_however_large_they_are():
    figure = size_histogram(np.array([40.0, 50.0]), np.array([3000.0]), limits=[32, 96])
    # 32 to 45.3, 45.3 to 64, and 2048 to 2896 or 2896 to 4096
    assert bars_of(figure) == [(32, 1, GOOD.lower()), (45.255, 1, GOOD.lower()), (2896.309, 1, BAD.lower())]
    axes = axes_of(figure)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [str(2**k) for k in range(5, 13)]
    assert [line.get_xdata()[0] for line in axes.get_lines()] == [32, 96]
    assert axes_of(size_histogram(np.array([0.5]), np.zeros(0), limits=[32, 96])).patches[0].get_height() == 1


def test_labels_of_the_size_axis_do_not_overlap():
    figure = size_histogram(np.array([2.0, 9000.0]), np.zeros(0), limits=[32, 96])
    png(figure)
    boxes = [tick.get_window_extent() for tick in axes_of(figure).get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:]))


def test_a_legend_covers_no_curve():
    figure = precision_recall_chart({f"a class with a long name {k}": curve(k / 20) for k in range(12)})
    png(figure)
    (legend,) = figure.legends
    box, axes = legend.get_window_extent(), axes_of(figure).get_window_extent()
    assert box.y1 < axes.y0 and box.x0 >= 0 and box.x1 <= figure.bbox.width


def test_cells_of_a_confusion_matrix_are_darker_the_larger_their_share_and_blue_on_the_diagonal():
    figure = confusion_chart(np.array([[8, 2, 0], [0, 0, 0], [1, 0, 0]]), ["cat", "dog"])
    axes = axes_of(figure)
    values = axes.get_images()[0].get_array()
    assert values[0, 0] > 0.6 and values[2, 0] < values[0, 1] < 0 and values[1, 1] == 0
    assert {text.get_position(): text.get_text() for text in axes.texts} == {(0, 0): "8", (1, 0): "2", (0, 2): "1"}
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["cat", "dog", "(not found)"]
    assert not axes_of(confusion_chart(np.ones((21, 21), int), ["a"] * 20)).texts  # no room for numbers


@pytest.mark.filterwarnings("error")
def test_any_name_can_be_written():
    names = ["$\\frac$", "_hidden", "<b>&\"'", "図", "", "x" * 99]
    for figure in (
        precision_recall_chart({name: curve(0.5) for name in names}),
        confusion_chart(np.ones((7, 7), int), names),
    ):
        assert ElementTree.fromstring(svg(figure)).tag.endswith("svg")
    assert "0.500 _hidden" in legend_of(precision_recall_chart({name: curve(0.5) for name in names}))
    assert shortened("x" * 99, 10) == "x" * 9 + "…" and shortened("x" * 10, 10) == "x" * 10


def test_the_same_chart_is_the_same_file():
    first, second = (svg(confusion_chart(np.eye(3, dtype=int), ["a", "b"])) for _ in range(2))
    assert first == second


def test_curves_of_very_many_detections_stay_small():
    rng = np.random.default_rng(0)
    scores = rng.random(50_000)
    many = precision_recall(rng.random(50_000) < scores, scores, 30_000)
    assert len(svg(precision_recall_chart({"cat": many}))) < 150_000
    assert len(svg(threshold_chart(at_thresholds(many), used=0.3, best=0.5))) < 500_000
