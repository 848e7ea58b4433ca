"""Print what was found wrong with a data set."""

import sys
from collections.abc import Sequence

from yolo3.datasets.annotation import Dataset, Finding

_SHOWN = 20  # findings; a data set may have thousands of one kind


def check_findings(dataset: Dataset, path: str) -> None:
    """Print the findings of a data set to stderr and stop at errors.

    Args:
        dataset: What was read, with its findings.
        path: Where it was read from, for messages.

    Raises:
        ValueError: Where annotations are invalid, or there are no images.
    """
    for finding in dataset.findings[:_SHOWN]:
        print(f"{finding.severity}: {finding}", file=sys.stderr)
    if len(dataset.findings) > _SHOWN:
        print(f"... and {len(dataset.findings) - _SHOWN} more", file=sys.stderr)

    errors = [finding for finding in dataset.findings if finding.severity == "error"]
    if errors:
        plural = "" if len(errors) == 1 else "s"
        raise ValueError(f"{path}: {len(errors)} invalid annotation{plural}, the first: {errors[0]}")
    if not dataset.annotations:
        raise ValueError(f"{path}: expected annotated images, got none")


def list_findings(findings: Sequence[Finding], all_warnings: bool = False, error_word: str = "error") -> None:
    """Print every error and the first warnings to stdout.

    Args:
        findings: What was found.
        all_warnings: Whether every warning is printed too.
        error_word: What the line of an error begins with.
    """
    warnings = [finding for finding in findings if finding.severity != "error"]
    shown = warnings if all_warnings else warnings[:_SHOWN]

    for finding in findings:
        if finding.severity == "error":
            print(f"{error_word}: {finding}")
    for finding in shown:
        print(f"warning: {finding}")
    if len(warnings) > len(shown):
        print(f"... and {len(warnings) - len(shown)} more warnings: --check-only lists all, findings.txt keeps them")
