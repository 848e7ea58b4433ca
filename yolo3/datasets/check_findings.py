"""Say what was found in a data set, findings first, then notes on what was read, and stop at errors."""

import sys
from collections.abc import Callable, Sequence

from yolo3.datasets.annotation import Dataset, Finding
from yolo3.datasets.finding_groups import finding_lines, format_findings
from yolo3.files import replace_file


def print_to_stderr(line: str) -> None:
    """Print a line on standard error."""
    print(line, file=sys.stderr)


def check_findings(
    dataset: Dataset,
    path: str,
    keep: str | None = None,
    skip: bool = False,
    say: Callable[[str], None] = print_to_stderr,
) -> None:
    """Say the findings and notes of a data set, and stop at errors.

    Args:
        dataset: What was read, with its findings and notes.
        path: Where it was read from, for messages.
        keep: File to write every finding to, from `add_findings_option`.
        skip: Whether errors are said to be skipped, and do not stop.
        say: Is called with each line.

    Raises:
        ValueError: Where annotations are invalid and not skipped, or there are no images.
    """
    findings: Sequence[Finding] = dataset.findings
    if keep:
        replace_file(keep, format_findings(findings))
    kept = f"all in {keep}" if keep else "--findings FILE keeps all"
    lines = finding_lines(findings, kept=kept, error_word="skipped" if skip else "error")
    for line in [*lines, *dataset.notes]:
        say(line)

    errors = [finding for finding in findings if finding.severity == "error"]
    if errors and not skip:
        plural = "" if len(errors) == 1 else "s"
        raise ValueError(f"{path}: {len(errors):,} invalid annotation{plural}, the first: {errors[0]}")
    if not dataset.annotations:
        raise ValueError(f"{path}: expected annotated images, got none")
