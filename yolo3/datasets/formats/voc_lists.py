"""Which XML files a Pascal VOC data set or one of its lists consists of: ImageSets, folders, list files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from yolo3.datasets.annotation import Finding
from yolo3.datasets.find_images import file_key, folder_distance
from yolo3.datasets.formats.voc_xml import is_voc_xml
from yolo3.datasets.images import ANNOTATION_FOLDERS, IMAGE_SUFFIXES
from yolo3.datasets.lists import group_by_folder, require_list
from yolo3.files import (
    base_name,
    files_in,
    has_suffix,
    is_file,
    parent_unless_root,
    read_lines,
    stem_of,
    text_head,
    walk_files,
)

_ENTRIES_LOOKED_AT = 20  # of a text file, to tell whether it is a list


class XmlIndex:
    """The XML files of VOC and the text files below a folder.

    Args:
        folder: The data folder.
    """

    def __init__(self, folder: str):
        self.root = folder
        everything = list(walk_files(folder))
        # An empty XML file counts, so that it is reported.
        self.files = [
            file for file in everything if has_suffix(file, ".xml") and (is_voc_xml(file) or os.path.getsize(file) == 0)
        ]
        self.text_files = [file for file in everything if has_suffix(file, ".txt")]
        self._by_stem: dict[str, list[str]] = {}
        for file in self.files:
            self._by_stem.setdefault(file_key(stem_of(file)), []).append(file)

    def find(self, entry: str, list_file: str) -> str | None:
        """Return the XML file that an entry of a list means.

        Args:
            entry: Stem, image name or path.
            list_file: Path of the list; of several files with the stem the one nearest to it, and to the folders that
                the entry names, is taken.

        Returns:
            The path, None if there is no such file.
        """
        name = base_name(entry)
        stem = stem_of(name) if has_suffix(name, (*IMAGE_SUFFIXES, ".xml")) else name
        found = self._by_stem.get(file_key(stem)) or self._by_stem.get(file_key(name), [])
        near = os.path.join(os.path.dirname(list_file), entry.replace("\\", "/").lstrip("/"))
        return min(found, key=lambda file: (*folder_distance(file, near), stem_of(file) != stem), default=None)


@dataclass
class Selection:
    """XML files to read.

    Attributes:
        root: The data folder.
        entries: (place to name in messages, XML file) of each image.
        findings: Entries of lists that have no XML file.
    """

    root: str
    entries: list[tuple[str, str]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def select_files(path: str, list_name: str | None) -> Selection:
    """Select the XML files of a folder, of one of its lists, of a list file, or a single XML file.

    Args:
        path: The folder or file.
        list_name: Name of a list of the folder.

    Returns:
        The files.

    Raises:
        ValueError: If there are none, or there is no such list.
    """
    if os.path.isfile(path):
        if list_name is not None:
            require_list(path, list_name, [])
        if is_voc_xml(path):
            folder = os.path.dirname(os.path.abspath(path))
            if not any(has_suffix(name, IMAGE_SUFFIXES) for name in files_in(folder)):
                folder = parent_unless_root(folder)  # of the images
            return Selection(folder, [(path, path)])
        root = root_of_list(path)
        if root is None:
            raise ValueError(f"{path}: expected an XML file with <annotation> or a list of such files, got neither")
        return _read_lists([path], XmlIndex(root))

    index = XmlIndex(path)
    if not index.files:
        raise ValueError(f"{path}: expected XML files with <annotation> in this folder or below it, got none")
    members = index.files
    if list_name is not None:
        lists = find_lists(index)
        require_list(path, list_name, lists)
        members = lists[list_name]
    if all(has_suffix(file, ".xml") for file in members):
        return Selection(path, [(file, file) for file in members])
    return _read_lists(members, index)


def find_lists(index: XmlIndex) -> dict[str, list[str]]:
    """Find the lists of a data folder.

    Lists of one name in several ImageSets (VOC2007 and VOC2012 side by side) are one list.

    Args:
        index: The files of the folder.

    Returns:
        List name to its text files, or to its XML files if folders are the lists.
    """
    files = _main_sets(index.text_files)
    if not files:
        files = [file for file in index.text_files if os.path.dirname(os.path.relpath(file, index.root)) == ""]
    lists: dict[str, list[str]] = {}
    for file in files:
        entries = [entry for _, entry in _list_entries(file)]
        if entries:  # lists of one class, with lines like `000005 -1`, do not count
            is_list = any(index.find(entry, file) is not None for entry in entries[:_ENTRIES_LOOKED_AT])
        else:
            is_list = os.path.basename(os.path.dirname(file)).lower() == "main"
        if is_list:
            lists.setdefault(stem_of(file), []).append(file)
    return lists or group_by_folder(index.files, index.root)


def lists_folder(index: XmlIndex) -> str:
    """Return the folder for new lists: that of the data set's own in ImageSets, else ImageSets/Main."""
    own = _main_sets(index.text_files)
    return os.path.dirname(own[0]) if own else os.path.join(index.root, "ImageSets", "Main")


def root_of_list(path: str) -> str | None:
    """Return the data folder of a list file: of the folders up to three above it, the nearest with its XML files."""
    entries = [entry for _, entry in _list_entries(path)][:5]
    stems = [stem_of(base_name(entry)) if has_suffix(entry, IMAGE_SUFFIXES) else base_name(entry) for entry in entries]
    folder = here = os.path.dirname(os.path.abspath(path))
    for _ in range(4 if entries else 0):
        if os.path.dirname(folder) == folder:
            return None
        # The folder itself and those directly below it; a deep search could walk the whole disk. Above the list's own
        # folder there are other data sets, so only folders named as those of annotations count.
        # `is_dir` of a link that leads to itself is an error.
        folders = (e for e in os.scandir(folder) if (os.path.isdir(e.path) if e.is_symlink() else e.is_dir()))
        parents = [e.path for e in folders if folder == here or e.name.lower() in ANNOTATION_FOLDERS]
        parents += [folder] if folder == here else []
        if any(is_file(os.path.join(parent, stem + ".xml")) for parent in parents for stem in stems):
            return folder
        folder = os.path.dirname(folder)
    return None


def _list_entries(path: str) -> list[tuple[int, str]]:
    """Return (line number, entry) of a list; [] for files that are not text."""
    if not text_head(path, 4096):
        return []
    return [
        (number, line.strip())
        for number, line in enumerate(read_lines(path), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]


def _read_lists(files: Iterable[str], index: XmlIndex) -> Selection:
    selection = Selection(index.root)
    for file in files:
        for number, entry in _list_entries(file):
            where, xml = f"{file}:{number}", index.find(entry, file)
            if xml is not None:
                selection.entries.append((where, xml))
                continue
            message = f"expected an XML file named {entry}.xml below {index.root}, got none; add it or remove the line"
            selection.findings.append(Finding("error", "missing-xml", where, message))
    return selection


def _main_sets(text_files: Iterable[str]) -> list[str]:
    """Return, of each ImageSets folder, the text files in Main, else those directly in it, else all below it."""
    by_set: dict[str, dict[str, list[str]]] = {}
    for file in text_files:
        parts = file.split(os.sep)
        lowered = [part.lower() for part in parts]
        if "imagesets" in lowered[:-1]:
            at = len(parts) - 2 - lowered[-2::-1].index("imagesets")
            sub = lowered[at + 1] if at + 2 < len(parts) else ""
            by_set.setdefault(os.sep.join(parts[: at + 1]), {}).setdefault(sub, []).append(file)

    chosen = []
    for subfolders in by_set.values():
        chosen += (
            subfolders.get("main") or subfolders.get("") or [file for some in subfolders.values() for file in some]
        )
    return chosen
