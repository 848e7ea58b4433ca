"""What is printed of the findings of a data set."""

import pytest

from yolo3.cli.findings import check_findings, list_findings
from yolo3.datasets.annotation import Dataset, Finding


def findings(severity, number):
    return [Finding(severity, "some-kind", f"train.txt:{index}", f"{severity} {index}") for index in range(number)]


def test_all_errors_and_the_first_warnings_are_listed(capsys):
    list_findings(findings("warning", 25) + findings("error", 30))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:50]] == ["error"] * 30 + ["warning"] * 20
    assert lines[50:] == ["... and 5 more warnings: --check-only lists all, findings.txt keeps them"]


def test_all_warnings_are_listed_on_request(capsys):
    list_findings(findings("warning", 25), all_warnings=True)
    assert len(capsys.readouterr().out.splitlines()) == 25
    list_findings(findings("error", 1), error_word="skipped")
    assert capsys.readouterr().out.startswith("skipped: ")


def test_errors_stop_a_command_after_the_first_findings_are_printed(capsys):
    with pytest.raises(ValueError, match="train.txt: 22 invalid annotations, the first: .*error 0"):
        check_findings(Dataset([], ["a"], "keras-yolo3", findings=findings("error", 22)), "train.txt")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21 and lines[-1] == "... and 2 more"


def test_a_data_set_without_images_stops_a_command():
    with pytest.raises(ValueError, match="train.txt: expected annotated images, got none"):
        check_findings(Dataset([], ["a"], "keras-yolo3"), "train.txt")
