"""The report of an evaluation: its figures, its parts in every case, what it asks of a browser, and a real browser."""

import base64
import dataclasses
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from html import unescape
from html.parser import HTMLParser
from unittest.mock import patch

import numpy as np
import pytest

from tests.evaluation.examples import detected
from yolo3.datasets.annotation import Box, build_annotation
from yolo3.datasets.images import write_image
from yolo3.evaluation.measures import measure
from yolo3.evaluation.report import Subject, _code, build_report, write_report

SUBJECT = Subject("Evaluation of run/best.h5 on cells [test]", {"Weights": "run/best.h5"}, {"Resize": "letterbox"})
SECTIONS = ["summary", "subject", "classes", "curves", "errors", "confusion", "histograms", "images", "settings"]
NOTHING = detected()
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page(HTMLParser):
    """What a page holds. Fails on tags that are not closed in order."""

    EMPTY = {"meta", "img", "br"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.figures, self.words, self._open, self._value = [], {}, [], [], None
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.EMPTY:
            self._open.append(tag)
        if tag == "data" and "id" in dict(attributes):
            self.figures[dict(attributes)["id"]] = float(dict(attributes)["value"])

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, text):
        if self._open and self._open[-1] != "style":
            self.words.append(text)

    def of(self, name):
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def photos_of(page):
    return [image for image in page.of("img") if image.get("class") != "chart"]


def annotate(folder, name, boxes, class_ids=None, difficult=(), size=(120, 160)):
    path = str(folder / name)
    write_image(path, np.full((*size, 3), 200, np.uint8))
    ids = class_ids or [0] * len(boxes)
    rows = [Box(box, class_id, index in difficult) for index, (box, class_id) in enumerate(zip(boxes, ids))]
    return build_annotation(path, rows, name, size)


def report(ground_truths, detections, names=("cat", "dog"), subject=SUBJECT, drawn=False, **options):
    """The page; with empty charts unless ``drawn``, which takes time."""
    measures = measure(ground_truths, detections, names)
    if drawn:
        return build_report(subject, measures, ground_truths, detections, **options)
    with patch("yolo3.evaluation.report_charts.charts.svg", return_value="<svg/>"):
        return build_report(subject, measures, ground_truths, detections, **options)


@pytest.fixture
def two(tmp_path):
    """(ground_truths, detections): a hit of .9 and a false one of .8 in the first image; a miss in the second."""
    ground_truths = [
        annotate(tmp_path, "a.png", [(10, 10, 50, 50)]),
        annotate(tmp_path, "b.png", [(60, 60, 90, 110)], [1]),
    ]
    return ground_truths, [detected((10, 10, 50, 50, 0.9, 0), (100, 20, 140, 60, 0.8, 0)), NOTHING]


def test_figures_by_hand_have_all_their_digits(two):
    # cat: its one object is the best of two detections, AP 1; dog: one object, nothing found, AP 0; the mean is 1/2.
    # One hit of two detections, one of two objects found: precision, recall and F1 1/2. IoU 1 + 0 of 2 detections.
    figures = Page(report(*two)).figures
    assert [figures["AP50"], figures["AP"], figures["AP75"]] == pytest.approx([0.5] * 3)
    assert figures["precision"] == figures["recall"] == figures["F1"] == figures["average-IoU"] == 0.5
    # with the first detection alone: precision 1, recall 1/2
    assert figures["best-F1"] == pytest.approx(2 / 3)
    kinds = ("missed", "misclassified", "localization", "duplicate", "background")
    assert [figures[kind] for kind in kinds] == [1, 0, 0, 0, 1]


def cells(html, kind):
    """The texts of the cells of the table of this kind, row by row."""
    table = html.split(f'<table class="{kind}">')[1].split("</table>")[0]
    rows = [re.split("<t[hd][^>]*>", row)[1:] for row in table.split("<tr>")[1:]]
    return [[unescape(re.sub("<[^>]*>", "", cell)).strip() for cell in row] for row in rows]


def test_the_class_table_by_hand(two):
    # cat: precision 1/2, recall 1, F1 2/3, best without the false one of .8; dog: nothing said, nothing found
    head, dog, cat = cells(report(*two), "classes")
    assert head == "class|objects|AP50|AP|precision|recall|F1|found|not found|false positives|best score".split("|")
    assert dog == ["dog", "1", "0.000", "0.000", "–", "0.000", "0.000", "0", "1", "0", "–"]
    assert cat == ["cat", "1", "1.000", "1.000", "0.500", "1.000", "0.667", "1", "0", "1", "0.900"]


def test_kinds_of_error_and_confusions_by_hand(tmp_path):
    # a cat found; a cat taken for a dog; a dog with a dog and a cat on it; a dog with a box too small; a cat on nothing
    boxes = [(0, 0, 20, 20), (30, 0, 50, 20), (60, 0, 80, 20), (90, 0, 110, 20)]
    ground_truths = [annotate(tmp_path, "a.png", boxes, [0, 0, 1, 1])]
    small = (90, 0, 110, 6)
    rows = [(*boxes[0], 0.9, 0), (*boxes[1], 0.9, 1), (*boxes[2], 0.9, 0), (*boxes[2], 0.8, 1), (*small, 0.9, 1)]
    html = report(ground_truths, [detected(*rows, (120, 50, 140, 70, 0.9, 0))])
    counts = {row[0]: row[1] for row in cells(html, "errors")[1:]}
    assert counts.pop("misclassified") == "2" and counts.pop("localization error") == "1"
    assert counts == {"missed": "0", "duplicate": "0", "background": "1"}
    assert cells(html, "confusions")[1:] == [["cat", "dog", "1", "50%"]]  # the other dog is found as a dog too
    assert "2 hits, 2 misclassified, 1 localization error, 1 background" in Page(html).text
    alt = "Confusion matrix of 2 classes: 2 hits, 1 objects not found, 3 detections without an object"
    assert alt in [image["alt"] for image in Page(html).of("img")]


def test_classes_in_the_table_are_those_of_objects_and_of_detections(tmp_path):
    ground_truths = [annotate(tmp_path, "a.png", [(10, 10, 50, 50)], [1])]
    html = report(ground_truths, [detected((100, 20, 140, 60, 0.8, 3))], [f"class {index}" for index in range(5)])
    assert [row[0] for row in cells(html, "classes")[1:]] == ["class 1", "class 3"]
    assert "Neither annotated nor detected: class 0, class 2, class 4." in Page(html).text
    assert "Confusion matrix of 2 classes" in html


def test_only_the_most_frequent_of_many_confusions_are_listed(tmp_path):
    names = [f"class {index}" for index in range(13)]
    boxes = [(10 * index, 0, 10 * index + 8, 8) for index in range(13)]
    ground_truths = [annotate(tmp_path, "a.png", boxes, list(range(13)))] * 2
    found = [detected((*boxes[4], 0.9, 7)), detected((*boxes[4], 0.9, 7), (*boxes[2], 0.9, 3))]
    html = report(ground_truths, found, names)
    assert cells(html, "confusions")[1:] == [["class 4", "class 7", "2", "100%"], ["class 2", "class 3", "1", "50%"]]


def test_captions_count_what_the_histograms_do_not_show(tmp_path):
    # small, medium and large; the large one is not found; a false positive of .05 is below the first bar
    boxes = [(0, 0, 10, 10), (20, 0, 60, 40), (60, 0, 160, 100)]
    ground_truths = [annotate(tmp_path, "a.png", boxes)]
    rows = (*boxes[0], 0.95, 0), (*boxes[1], 0.42, 0), (0, 60, 20, 80, 0.44, 0), (0, 60, 20, 80, 0.05, 0)
    text = Page(report(ground_truths, [detected(*rows)], ("cat",))).text
    assert "Below 0.1, not drawn: 0 hits and 1 false positives" in text
    assert "small 1 of 1 (AP 1.000), medium 1 of 1 (AP 1.000), large 0 of 1 (AP 0.000)" in text


def test_the_page_says_what_was_evaluated_and_how(two):
    page = Page(report(*two))
    assert [attributes["id"] for attributes in page.of("section")] == SECTIONS
    for words in (SUBJECT.title, "run/best.h5", "letterbox", "Images 2", "Objects 2", "IoU of 0.5"):
        assert words in page.text
    assert "dog missed (30 x 50 pixels)" in page.text and "cat 0.80 on background" in page.text
    assert "lang" in page.of("html")[0] and any(meta.get("name") == "viewport" for meta in page.of("meta"))


def test_every_image_and_chart_has_a_text_alternative(two):
    images = Page(report(*two, drawn=True)).of("img")
    photos = [image["alt"] for image in images if image["src"].startswith("data:image/jpeg")]
    assert photos == ["b.png: 0 hits, 1 missed", "a.png: 1 hit, 1 background"]
    charts = [image for image in images if image.get("class") == "chart"]
    assert len(charts) == 5 and all(len(image["alt"]) > 20 and int(image["width"]) > 200 for image in charts)
    for image in charts:
        content = base64.b64decode(image["src"].removeprefix("data:image/svg+xml;base64,"))
        assert ElementTree.fromstring(content).tag.endswith("svg")


def test_the_page_loads_nothing_from_the_network(two):
    page = Page(report(*two))
    assert not page.of("script") and not page.of("link")
    addresses = [value for _, attributes in page.tags for name, value in attributes.items() if name in ("src", "href")]
    assert len(addresses) == 7 and all(re.match("data:image/(jpeg|svg.xml);base64,", value) for value in addresses)
    assert "url(" not in report(*two) and "@import" not in report(*two)
    policy = next(meta["content"] for meta in page.of("meta") if "http-equiv" in meta)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_names_are_escaped_wherever_they_stand(tmp_path):
    evil = '</title><script>alert("1")</script>&amp;'
    ground_truths = [annotate(tmp_path, 'a<i>"&.png', [(10, 10, 50, 50), (70, 70, 90, 90)], [0, 1])]
    detections = [detected((10, 10, 50, 50, 0.9, 1), (70, 70, 90, 90, 0.9, 0), (100, 10, 150, 40, 0.5, 0))]
    names = [evil, "it's <b>"]
    subject = Subject(evil, {evil: evil}, {evil: evil})
    page = Page(report(ground_truths, detections, names, subject))
    assert not page.of("script") and len(page.of("b")) == 1
    assert page.text.count(evil) >= 8 and 'a<i>"&.png' in page.text
    assert any(image["alt"].startswith('a<i>"&.png: ') for image in page.of("img"))


def test_commands_and_options_are_code_and_names_in_advice_are_escaped():
    text = str(_code("use `yolo3 anchors`, --input-size or '<b>--x' and class--y"))
    code = "<code>yolo3 anchors</code>", "<code>--input-size</code>"
    assert all(part in text for part in code) and text.count("<code>") == 2 and "&lt;b&gt;" in text


CASES = {
    "one class": lambda folder: (
        [annotate(folder, "a.png", [(10, 10, 50, 50)])], [detected((12, 10, 50, 50, 0.9, 0))], 1,
    ),
    "80 classes, 3 of them there": lambda folder: (
        [annotate(folder, "a.png", [(10, 10, 50, 50), (60, 60, 90, 90)], [3, 70])],
        [detected((12, 10, 50, 50, 0.9, 3), (60, 60, 90, 90, 0.5, 5))], 80,
    ),
    "80 classes, all there": lambda folder: (
        [annotate(folder, "a.png", [(i, 1, i + 20, 30) for i in range(80)], list(range(80)))],
        [detected(*[(i, 1, i + 20, 30, 0.4 + i / 200, (i * 7) % 80) for i in range(80)])], 80,
    ),
    "no detections": lambda folder: ([annotate(folder, "a.png", [(10, 10, 50, 50)])], [NOTHING], 2),
    "weak detections alone": lambda folder: (
        [annotate(folder, "a.png", [(10, 10, 50, 50)])], [detected((10, 10, 50, 50, 0.1, 0))], 2,
    ),
    "no objects": lambda folder: ([annotate(folder, "a.png", [])], [detected((12, 10, 50, 50, 0.9, 0))], 2),
    "neither": lambda folder: ([annotate(folder, "a.png", [])], [NOTHING], 2),
    "no image": lambda folder: ([], [], 2),
    "difficult ones alone": lambda folder: (
        [annotate(folder, "a.png", [(10, 10, 50, 50)], difficult=[0])], [detected((12, 10, 50, 50, 0.9, 0))], 2,
    ),
    "no errors": lambda folder: (
        [annotate(folder, "a.png", [(10, 10, 50, 50)])], [detected((10, 10, 50, 50, 1, 0))], 1,
    ),
    "a huge object": lambda folder: (
        [annotate(folder, "a.png", [(0, 0, 1500, 1200)], size=(1200, 1500))], [NOTHING], 1,
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", CASES)
def test_the_page_has_all_its_parts_whatever_the_data(case, tmp_path):
    ground_truths, detections, num_classes = CASES[case](tmp_path)
    drawn = case in ("weak detections alone", "no objects")
    page = Page(report(ground_truths, detections, [f"class {index}" for index in range(num_classes)], drawn=drawn))
    assert [attributes["id"] for attributes in page.of("section")] == SECTIONS
    assert "nan" not in page.text.lower().split() and page.of("li")
    assert not any("nan" in value for _, attributes in page.tags for name, value in attributes.items() if name != "src")
    assert ("difficult" in page.text.split("Objects")[1][:60]) == (case == "difficult ones alone")


def test_the_costliest_image_comes_first(tmp_path):
    # costs: a false one of .5; two misses; a false one of .9 and a miss; none
    box, other = (10, 10, 50, 50), (100, 20, 140, 60)
    ground_truths = [
        annotate(tmp_path, f"{name}.png", boxes) for name, boxes in zip("abcd", ([], [box, other], [box], [box]))
    ]
    detections = [detected((*other, 0.5, 0)), NOTHING, detected((*other, 0.9, 0)), detected((*box, 0.9, 0))]
    page = Page(report(ground_truths, detections))
    assert [image["alt"].split(".")[0] for image in photos_of(page)] == ["b", "c", "a"]
    assert "cost 2.00" in page.text and "cost 1.90" in page.text and "cost 0.50" in page.text
    assert len(photos_of(Page(report(ground_truths, detections, most_images=1)))) == 1


def test_boxes_lie_where_they_are_in_the_image(two):
    page = Page(report(*two))
    overlay = [attributes for tag, attributes in page.tags if attributes.get("viewbox") == "0 0 160 120"]
    assert len(overlay) == 2
    boxes = {
        attributes["class"]: [float(attributes[side]) for side in ("x", "y", "width", "height")]
        for attributes in page.of("rect") if attributes.get("class") in ("hit", "missed", "background")
    }  # fmt: skip
    assert boxes == {"hit": [10, 10, 40, 40], "missed": [60, 60, 30, 50], "background": [100, 20, 40, 40]}
    assert len([rect for rect in page.of("rect") if rect.get("class") == "object"]) == 1  # a missed one is drawn once


def test_numbers_of_errors_are_inside_the_image(tmp_path):
    corners = [(0, 0, 20, 20), (145, 5, 160, 20), (5, 108, 25, 120), (60, 40, 80, 60)]
    ground_truths = [annotate(tmp_path, "a.png", corners)]
    discs = [
        [float(disc[side]) for side in ("cx", "cy", "r")]
        for disc in Page(report(ground_truths, [NOTHING])).of("circle")
    ]
    assert all(r <= x <= 160 - r and r <= y <= 120 - r for x, y, r in discs) and discs[3][:2] == [60, 40]
    assert [x < 80 for x, _, _ in discs] == [True, False, True, True]


def test_the_page_stays_small_however_large_the_images_are(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (1400, 2000, 3), np.uint8)
    write_image(tmp_path / "n.png", noise)
    annotation = build_annotation(str(tmp_path / "n.png"), [Box((0, 0, 90, 90), 0)], "n", (1400, 2000))
    text = report([annotation] * 3, [NOTHING] * 3)
    assert len(photos_of(Page(text))) == 3 and len(text) < 3 * 400_000  # noise is the worst case for JPEG


def test_the_page_is_written_whole_or_not_at_all(two, tmp_path):
    ground_truths, detections = two
    path = tmp_path / "sub" / "r.html"
    measures = measure(ground_truths, detections, ("cat", "dog"))
    write_report(path, SUBJECT, measures, ground_truths, detections)
    assert path.read_text().endswith("</html>\n")
    path.write_text("before")
    (tmp_path / "b.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="b.png: expected an image"):
        write_report(path, SUBJECT, measures, ground_truths, detections)
    assert path.read_text() == "before" and [item.name for item in path.parent.iterdir()] == ["r.html"]


def test_an_image_whose_name_is_not_utf8_is_in_the_page_with_an_escape(two, tmp_path):
    ground_truths, detections = two
    (tmp_path / "a.png").rename(tmp_path / "caf\udce9.png")
    ground_truths[0] = dataclasses.replace(ground_truths[0], image_path=str(tmp_path / "caf\udce9.png"))
    measures = measure(ground_truths, detections, ("cat", "dog"))
    write_report(tmp_path / "r.html", SUBJECT, measures, ground_truths, detections)
    assert r"caf\udce9.png" in (tmp_path / "r.html").read_text()


PROBE = """
<img id="probe" src="data:image/jpeg;base64,AAAA">
<script>addEventListener("load", () => {
  document.body.style.width = "WIDTHpx";  // windows cannot be as narrow as phones
  const main = document.querySelector("main");
  const broken = [...document.images].filter(image => !image.naturalWidth).map(image => image.id || image.alt);
  const wide = main.scrollWidth > main.clientWidth;
  const names = performance.getEntriesByType("resource").map(entry => entry.name);
  const asked = names.filter(name => !name.startsWith("data:"));
  const height = element => Math.round(element.getBoundingClientRect().height);
  const charts = [...document.querySelectorAll("img.chart")].map(height).filter(pixels => pixels > 100).length;
  const photos = [...document.querySelectorAll(".photo")].map(photo => [...photo.children].map(height));
  const seen = {broken, wide, asked, charts, photos, width: main.clientWidth, images: document.images.length};
  document.documentElement.dataset.seen = JSON.stringify(seen);
});</script></body>"""


def seen_by_browser(page, folder, width):
    """Open the page, with a script and a broken image added, and return what the script saw."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert policy in page
    probed = page.replace(policy, policy + "; script-src 'unsafe-inline'")
    probed = probed.replace("</body>", PROBE.replace("WIDTH", str(width)))
    (folder / "probed.html").write_text(probed)
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={folder / 'profile'}", f"--window-size={max(width, 500)},900", "--virtual-time-budget=5000",
        "--dump-dom", (folder / "probed.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    page = Page(done.stdout)
    return page, json.loads(page.of("html")[0]["data-seen"])


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium or google-chrome is installed")
@pytest.mark.parametrize("width", [340, 1000])
def test_a_browser_shows_all_of_the_page(width, tmp_path):
    ground_truths, detections, _ = CASES["80 classes, all there"](tmp_path)
    names = [f"class <{index}>&" for index in range(80)]
    page, seen = seen_by_browser(report(ground_truths, detections, names, drawn=True), tmp_path, width)
    assert seen["broken"] == ["probe"]  # the image that is broken on purpose, and no other
    assert seen["images"] == 7 and seen["charts"] == 5
    assert seen["asked"] == []
    assert not seen["wide"] and seen["width"] == width
    ((photo, overlay),) = seen["photos"]
    assert photo > 100 and abs(photo - overlay) <= 1
    assert [attributes["id"] for attributes in page.of("section")] == SECTIONS
