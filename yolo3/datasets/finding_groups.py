"""Findings of one kind as one line: a data set may have thousands of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from yolo3.datasets.annotation import Finding, file_of

LISTED = 5  # findings of a kind that are listed one by one; more become one line
_FILES = 3  # files of a kind that have a line each; more become one line

# What places have in common, by kind of finding: "3,356 lines of train.txt ...".
PHRASES = {
    "ambiguous-image": "name an image that several files fit equally well",
    "bad-box": "hold boxes that cannot be read",
    "bad-class-id": "hold class ids out of range",
    "bad-csv": "cannot be read as CSV",
    "bad-json": "cannot be read as JSON",
    "bad-line": "cannot be read",
    "bad-xml": "cannot be read as XML",
    "duplicate-box": "hold a box for the second time",
    "duplicate-image": "name an image that is listed before",
    "empty-image": "name images that are empty files",
    "exif-size": "state the size of an image before its EXIF orientation",
    "filename-mismatch": "name another image than the one beside them",
    "huge-image": "name images of too many pixels",
    "missing-image": "name images that are not there",
    "missing-xml": "name images without an XML file",
    "no-annotation": "have images without annotations",
    "no-area": "hold boxes without an area",
    "no-class": "have no column for the class",
    "no-image": "belong to no image",
    "outside": "hold boxes that lie or reach outside the image",
    "overlap": "name images that are trained on too",
    "same-image": "name images with the same bytes as others",
    "several-images": "name animations or images of several pages",
    "shared-label": "belong to several images",
    "size-mismatch": "state another size than the image has",
    "truncated-image": "name images that end too early",
    "unknown-class": "name classes that are not known",
    "unknown-image": "belong to an image that is not listed",
    "unreadable-image": "name images that cannot be decoded",
    "without-area": "hold points, lines or tags, which give no box",
}


@dataclass(frozen=True)
class FindingGroup:
    """Findings of one severity and kind, in one file or in many.

    Attributes:
        findings: At least one, in their order.
    """

    findings: Sequence[Finding]

    @property
    def severity(self) -> str:
        """Return "error" or "warning"."""
        return self.findings[0].severity

    @property
    def is_summed(self) -> bool:
        """Whether they are too many to be listed one by one."""
        return len(self.findings) > LISTED

    def __str__(self) -> str:
        """Return one line: how many there are, where, and the first of them."""
        first = self.findings[0]
        phrase = PHRASES.get(first.kind, f"are reported as '{first.kind}'")
        return f"{self._places()} {phrase}, first {first}"

    def _places(self) -> str:
        wheres = [finding.where for finding in self.findings]
        files = list(dict.fromkeys(map(_file, wheres)))
        number = f"{len(wheres):,}"
        unit = "lines" if all(re.search(r":[0-9]+$", where) for where in wheres) else "entries"
        if len(files) == 1:
            return f"{number} {unit} of {files[0]}"

        folders = {os.path.dirname(file) for file in files}
        folder = folders.pop() if len(folders) == 1 else _common_folder(files)
        files_in_words = f"{len(files):,} files" + (f" in {folder}" if folder else "")
        return files_in_words if len(files) == len(wheres) else f"{number} {unit} in {files_in_words}"


def group_findings(findings: Iterable[Finding]) -> list[FindingGroup]:
    """Group findings by severity and kind, and by file where these are few.

    Args:
        findings: In any order.

    Returns:
        The groups, errors first, each in the order of its first finding.
    """
    by_kind: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        by_kind.setdefault((finding.severity, finding.kind), []).append(finding)

    groups: list[FindingGroup] = []
    for alike in by_kind.values():
        by_file: dict[str, list[Finding]] = {}
        for finding in alike:
            by_file.setdefault(_file(finding.where), []).append(finding)
        groups += map(FindingGroup, by_file.values() if len(by_file) <= _FILES else [alike])
    return sorted(groups, key=lambda group: group.severity != "error")


def finding_lines(findings: Iterable[Finding], *, kept: str, error_word: str = "error") -> list[str]:
    """Return a line for each finding, or one for all of a kind where these are many; errors come first.

    Args:
        findings: What was found.
        kept: What a line for many says about the others, such as "all in findings.txt".
        error_word: What the line of an error begins with.
    """
    lines = []
    for group in group_findings(findings):
        word = error_word if group.severity == "error" else group.severity
        texts = [f"{group}; {kept}"] if group.is_summed else map(str, group.findings)
        lines += [f"{word}: {text}" for text in texts]
    return lines


def format_findings(findings: Iterable[Finding]) -> str:
    """Return every finding as a line of text, as ``findings.txt`` holds them."""
    return "".join(f"{finding.severity}: {finding}\n" for finding in findings)


def _file(where: str) -> str:
    """Return the file of "file:line" or "file (image 7)"."""
    return re.sub(r" \(image [^)]*\)$", "", file_of(where))


def _common_folder(files: Sequence[str]) -> str:
    try:
        return os.path.commonpath(files)
    except ValueError:  # absolute and relative paths, or several drives
        return ""
