"""Findings of one kind as one line."""

import ast
from pathlib import Path

import pytest

import yolo3
from yolo3.datasets.annotation import Finding
from yolo3.datasets.finding_groups import PHRASES, finding_lines, group_findings

# Reported once for a data set.
ONCE = set("anchor-fit class-names one-based-ids shared-slot small-box supercategory unread-image unused-class".split())


def findings(*places, kind="no-area", severity="error"):
    return [Finding(severity, kind, place, "expected a box, got none") for place in places]


@pytest.mark.parametrize(
    "places, start",
    [
        ([f"d/a.txt:{n}" for n in range(1000)], "1,000 lines of d/a.txt hold boxes without an area, first d/a.txt:0: "),
        (["d/a.json"] * 7, "7 entries of d/a.json hold"),
        ([f"d/a.json (image {n})" for n in range(7)], "7 entries of d/a.json hold"),
        ([f"d/{n}.xml" for n in range(7)], "7 files in d hold"),
        ([f"d/{n // 2}.xml:{n}" for n in range(8)], "8 lines in 4 files in d hold"),
        ([f"d/{n}/a.xml" for n in range(7)], "7 files in d hold"),
        ([f"{n}.xml" for n in range(7)], "7 files hold"),
    ],
    ids=["lines", "a file without lines", "images of a file", "files", "lines of files", "folders", "no folder"],
)
def test_many_findings_are_one_line_that_says_how_many_where_and_the_first(places, start):
    (group,) = group_findings(findings(*places))
    assert group.is_summed
    assert str(group).startswith(start) and str(group).endswith(f"first {places[0]}: expected a box, got none")


def test_few_files_have_a_group_each_and_many_have_one():
    few = [f"{name}.txt:{line}" for line in range(10) for name in "abc"]
    assert [str(group)[:17] for group in group_findings(findings(*few))] == [
        f"10 lines of {name}.txt" for name in "abc"
    ]
    many = [f"{name}.txt:{line}" for line in range(10) for name in "abcd"]
    assert len(group_findings(findings(*many))) == 1


def test_kinds_and_severities_stay_apart_and_errors_come_first():
    mixed = findings("a.txt:1", severity="warning") + findings("a.txt:2") + findings("a.txt:3", kind="bad-box")
    assert [group.findings[0].where for group in group_findings(mixed)] == ["a.txt:2", "a.txt:3", "a.txt:1"]


def test_up_to_five_findings_are_listed_one_by_one():
    assert [group_findings(findings(*["a.txt:1"] * n))[0].is_summed for n in (5, 6)] == [False, True]


def test_a_kind_from_outside_is_called_by_its_name():
    assert "7 entries of a.csv are reported as 'odd-row', first" in str(
        group_findings(findings(*["a.csv"] * 7, kind="odd-row"))[0]
    )


def test_every_kind_that_the_package_reports_has_its_words():
    kinds = set()
    for path in Path(yolo3.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                given = [*node.args[1:2], *(word.value for word in node.keywords if word.arg == "kind")]
                kinds.update(value.value for value in given if isinstance(value, ast.Constant))
    assert {"missing-image", "bad-class-id"} <= kinds
    assert kinds - ONCE <= set(PHRASES)


def test_few_findings_of_a_kind_are_listed_errors_first():
    few = findings(*(f"train.txt:{n}" for n in range(5)), severity="warning")
    few += findings(*(f"train.txt:{n}" for n in range(3)))
    lines = finding_lines(few, kept="all in findings.txt")
    assert [line.split(": ")[:2] for line in lines[:4]] == [
        *(["error", f"train.txt:{n}"] for n in range(3)),
        ["warning", "train.txt:0"],
    ]
    assert len(lines) == 8


def test_many_findings_of_a_kind_are_one_line_that_says_where_all_are():
    many = findings(*(f"train.txt:{n}" for n in range(3356)), kind="missing-image")
    (line,) = finding_lines(many, kept="all in run/findings.txt", error_word="skipped")
    assert line.startswith("skipped: 3,356 lines of train.txt name images that are not there, first train.txt:0: ")
    assert line.endswith("; all in run/findings.txt")
