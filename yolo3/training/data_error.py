"""The error of data that cannot be used; needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

from yolo3.datasets.annotation import Finding


class DataError(ValueError):
    """The data cannot be used as it is.

    Args:
        message: One sentence for the user.
        findings: What is wrong, and where.
        notes: Lines for the user about what was read.
    """

    def __init__(self, message: str, findings: list[Finding], notes: Sequence[str] = ()):
        super().__init__(message)
        self.findings = findings
        self.notes = list(notes)
