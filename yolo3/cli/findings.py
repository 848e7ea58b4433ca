"""Print what was found in a data set: findings first, those of a kind together, then notes on what was read."""

import argparse
import sys
from collections.abc import Sequence

from yolo3.datasets.annotation import Dataset, Finding
from yolo3.datasets.finding_groups import finding_lines, format_findings
from yolo3.files import replace_file

_OPTION = "--findings FILE"


def add_findings_option(parser: argparse.ArgumentParser) -> None:
    """Add the option of commands that have no folder to keep all findings in."""
    parser.add_argument(
        "--findings", metavar="FILE", help="write every finding about the data to this file, one a line"
    )


def check_findings(dataset: Dataset, path: str, keep: str | None = None, skip: bool = False) -> None:
    """Print the findings and notes of a data set to stderr, and stop at errors.

    Args:
        dataset: What was read, with its findings and notes.
        path: Where it was read from, for messages.
        keep: File to write every finding to, from `add_findings_option`.
        skip: Whether errors are printed as skipped, and do not stop.

    Raises:
        ValueError: Where annotations are invalid and not skipped, or there are no images.
    """
    findings: Sequence[Finding] = dataset.findings
    if keep:
        replace_file(keep, format_findings(findings))
    kept = f"all in {keep}" if keep else f"{_OPTION} keeps all"
    lines = finding_lines(findings, kept=kept, error_word="skipped" if skip else "error")
    for line in [*lines, *dataset.notes]:
        print(line, file=sys.stderr)

    errors = [finding for finding in findings if finding.severity == "error"]
    if errors and not skip:
        plural = "" if len(errors) == 1 else "s"
        raise ValueError(f"{path}: {len(errors):,} invalid annotation{plural}, the first: {errors[0]}")
    if not dataset.annotations:
        raise ValueError(f"{path}: expected annotated images, got none")
