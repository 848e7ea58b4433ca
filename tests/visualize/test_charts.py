"""Charts: what is drawn where, escaped names, thinned lines, round numbers on the axes."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from yolo3.visualize.charts import (
    GOOD,
    Line,
    bar_chart,
    colour_of,
    confusion_map,
    line_chart,
    nice_ticks,
    shade,
    thinned,
)

EVIL = "<b>\"&'"


def points_of(svg):
    text = next(item.attrib["points"] for item in ElementTree.fromstring(svg).iter("polyline"))
    return [tuple(map(float, pair.split(","))) for pair in text.split()]


def test_a_line_goes_from_corner_to_corner_of_the_plot():
    root = ElementTree.fromstring(svg := line_chart([Line("a", np.array([0, 1]), np.array([0, 1]))], "x", "y", "title"))
    grid = [item.attrib for item in root.iter("line") if item.attrib["class"] == "grid"]
    (left, bottom), (right, top) = points_of(svg)
    assert {float(item["x1"]) for item in grid} == {left} and {float(item["x2"]) for item in grid} == {right}
    assert (max(float(item["y1"]) for item in grid), min(float(item["y1"]) for item in grid)) == (bottom, top)
    assert root.attrib["aria-label"] == "title" and root.attrib["role"] == "img"


def test_bars_are_stacked_and_as_high_as_their_numbers():
    root = ElementTree.fromstring(bar_chart([0, 8, 16], {"hits": [3, 0], "false": [1, 10]}, "size", "boxes", "title"))
    bars = [item.attrib for item in root.iter("rect")]
    heights = [float(bar["height"]) for bar in bars]
    assert len(bars) == 3  # no bar for 0
    assert heights == pytest.approx([3 * heights[1], heights[1], 10 * heights[1]], abs=0.6)
    assert bars[0]["fill"] == GOOD and float(bars[0]["y"]) == pytest.approx(float(bars[1]["y"]) + heights[1], abs=0.11)
    assert {"size", "boxes", "0", "8", "16"} <= {item.text for item in root.iter("text")}
    assert [item.text for item in root.iter("title")] == ["0 to 8: 3 hits, 1 false", "8 to 16: 0 hits, 10 false"]


def places_of(root):
    """Where the texts of a chart stand: text to (x, y)."""
    return {item.text: (float(item.attrib["x"]), float(item.attrib["y"])) for item in root.iter("text")}


def test_bars_stand_between_their_edges_and_reach_up_to_their_numbers():
    root = ElementTree.fromstring(bar_chart([0, 8, 16], {"hits": [3, 0], "false": [1, 10]}, "size", "boxes", "title"))
    places, bars = places_of(root), [{name: item.attrib[name] for name in item.attrib} for item in root.iter("rect")]
    lefts, rights = ([float(bar["x"]) + side * float(bar["width"]) for bar in bars] for side in (0, 1))
    ends = [places[text][0] for text in ("0", "8", "16")]  # the last text that is "0" is that of the axis below
    assert lefts == pytest.approx([ends[0], ends[0], ends[1]], abs=2)
    assert rights == pytest.approx([ends[1], ends[1], ends[2]], abs=2)
    height = {item.text: float(item.attrib["y"]) - 4 for item in root.iter("text") if item.get("text-anchor") == "end"}
    base, tops = height["0"], [float(bar["y"]) for bar in bars]
    assert tops == pytest.approx([base - 0.3 * (base - height["10"]), base - 0.4 * (base - height["10"]), height["10"]])
    assert float(bars[2]["height"]) == pytest.approx(base - height["10"])
    assert places["size"][1] > places["16"][1] > base > height["10"] > places["boxes"][1] > 0


def test_points_lie_where_the_axes_say():
    root = ElementTree.fromstring(svg := line_chart([Line("a", np.array([0.4]), np.array([0.8]))], "x", "y", "title"))
    ((x, y),) = points_of(svg)
    below = {item.text: float(item.attrib["x"]) for item in root.iter("text") if item.get("text-anchor") == "middle"}
    beside = {item.text: float(item.attrib["y"]) for item in root.iter("text") if item.get("text-anchor") == "end"}
    assert list(below)[:6] == list(beside) == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert (x, y) == pytest.approx((below["0.4"], beside["0.8"] - 4), abs=0.1)


def test_uprights_stand_at_their_places():
    marks = [("limit", 32), ("half", 64)]
    bars = ElementTree.fromstring(bar_chart([0, 32, 96], {"a": [1, 1]}, "x", "y", "t", marks))
    lines = ElementTree.fromstring(line_chart([], "x", "y", "t", marks=[("limit", 0.5), ("half", 0.75)]))
    places = [[float(line.attrib["x1"]) for line in root.iter("line") if line.attrib["class"] == "mark"]
              for root in (bars, lines)]  # fmt: skip
    assert places[0] == pytest.approx(places[1])  # 32 is the middle of two bins, 64 the middle of the second


def test_names_are_escaped_in_every_chart():
    charts = [
        line_chart([Line(EVIL, np.zeros(2), np.zeros(2))], EVIL, EVIL, EVIL, [(EVIL, 0.5)]),
        bar_chart([0, 1], {EVIL: [1]}, EVIL, EVIL, EVIL, marks=[(EVIL, 0.5)]),
        confusion_map(np.eye(2, dtype=int), [EVIL, EVIL], EVIL),
    ]
    for chart in charts:
        root = ElementTree.fromstring(chart)
        assert root.attrib["aria-label"] == EVIL and not list(root.iter("b"))
        assert any(EVIL in (item.text or "") for item in root.iter("title")) and EVIL in "".join(root.itertext())


def test_a_thinned_line_keeps_its_ends_and_its_extremes():
    x = np.linspace(0, 1, 50_000)
    y = np.sin(40 * x) ** 2
    y[20_100], y[33_500] = -2.0, 3.0  # within the columns 60 and 100, not at their ends
    few_x, few_y = thinned(x, y)
    assert len(few_x) <= 4 * 151 and (few_x[0], few_x[-1]) == (0, 1)
    assert (few_y.min(), few_y.max()) == (-2.0, 3.0)
    np.testing.assert_allclose(np.interp(few_x, x, y), few_y)
    assert np.abs(np.interp(x, few_x, few_y) - y)[:20_000].max() < 0.05
    falling = thinned(x[::-1], y[::-1])
    assert (falling[0][0], falling[0][-1]) == (1, 0) and falling[1].max() == 3.0
    assert thinned([], [])[0].size == 0 and thinned([0.5], [1.0])[0].tolist() == [0.5]


@pytest.mark.parametrize(
    ("top", "ticks"),
    [(1, [0, 1]), (3, [0, 1, 2, 3]), (10, [0, 2, 4, 6, 8, 10]), (11, [0, 5, 10, 15]), (7300, range(0, 8001, 2000))],
)
def test_axes_have_round_numbers(top, ticks):
    assert nice_ticks(top).tolist() == list(ticks)


def test_nothing_is_written_beyond_the_edge():
    # signs are at most 8 units wide at this size; the last number of an axis stands half outside of the plot
    root = ElementTree.fromstring(bar_chart([0, 1024], {"a": [99_999]}, "x", "detections", "t"))
    assert {"100,000", "1024"} <= {text.text for text in root.iter("text")}
    for text in root.iter("text"):
        width, x = 8 * len(text.text.replace(",", "")), float(text.attrib["x"])
        left = x - width * {"start": 0, "middle": 0.5, "end": 1}[text.attrib.get("text-anchor", "start")]
        assert left >= 0 and left + width <= 480, text.text


def test_a_map_draws_what_is_there_and_darker_what_is_more():
    root = ElementTree.fromstring(confusion_map(np.array([[8, 2], [0, 0]]), ["cat", "dog"], "t"))
    cells = {cell.findtext("title"): cell.attrib["fill"] for cell in root.iter("rect") if len(cell)}
    assert cells == {"cat taken for cat: 8": shade(0.8, True), "cat taken for dog: 2": shade(0.2, False)}
    corner = {cell.findtext("title"): [int(cell.attrib[side]) for side in "xy"] for cell in root.iter("rect")}
    (left, top), (right, same) = corner["cat taken for cat: 8"], corner["cat taken for dog: 2"]
    ground = next(item.attrib for item in root.iter("rect") if not len(item))
    assert (int(ground["x"]), int(ground["y"]), same) == (left, top, top) and right == left + int(ground["width"]) / 2
    names = [float(item.attrib["y"]) for item in root.iter("text") if item.get("y")]
    assert top < names[0] < top + 11 < names[1] < top + 22 == float(root.attrib["viewBox"].split()[3])
    lightness = [sum(bytes.fromhex(shade(share, False)[1:])) for share in (0, 0.01, 0.5, 1)]
    assert lightness == sorted(lightness, reverse=True) and lightness[0] == 3 * 255


def test_lines_of_many_classes_can_be_told_apart():
    assert len({colour_of(place) for place in range(14)}) == 14
    assert not any(dashed for _, dashed in map(colour_of, range(7))) and all(colour_of(place)[1] for place in (7, 13))


def test_long_names_are_cut_in_a_map():
    root = ElementTree.fromstring(confusion_map(np.eye(2), ["a" * 18, "b" * 19], "t"))
    assert {item.text for item in root.iter("text")} == {"a" * 18, "b" * 17 + "…"}
