"""Lists of a data set, such as train and val: their names, and which belong together."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from yolo3.datasets.annotation import Dataset

# Lists that belong together, best first: (train, validation).
_DEFAULT_PAIRS = (("train", "val"), ("trainval", "test"), ("train", "test"))
_NAMES_A_LIST = re.compile("train|val|test|dev", re.IGNORECASE)
_ROLES = {
    "train": "train",
    "training": "train",
    "trainval": "trainval",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}


def list_role(name: str) -> str:
    """Return "train", "trainval", "val" or "test" if the name of a list says so, else ""."""
    words = re.findall(r"[a-z]+", os.path.basename(name).lower())
    roles = [_ROLES[word] for word in words if word in _ROLES]
    return roles[-1] if roles else ""


def default_pair(names: Iterable[str]) -> tuple[str, str] | None:
    """Choose the lists to train and to validate on.

    train and val (valid, validation), else trainval and test, else train and test. Numbers and words around the name
    do not matter (2007_train, train2017); of several with one role the shortest name is taken.

    Args:
        names: Names of a data set's lists.

    Returns:
        (train, validation), None if there is no such pair.
    """
    by_role: dict[str, str] = {}
    for name in sorted(names, key=len):
        by_role.setdefault(list_role(name), name)
    for train, val in _DEFAULT_PAIRS:
        if train in by_role and val in by_role:
            return by_role[train], by_role[val]
    return None


def require_list(path: str, list_name: str, names: Iterable[str]) -> None:
    """Raise ValueError, naming the lists there are, if a data set has no list of this name."""
    names = list(names)
    if list_name not in names:
        have = f"it has {', '.join(names)}" if names else "it has no lists of its own"
        raise ValueError(f"{path}: expected a list of the data set, got '{list_name}'; {have}")


def dataset_name(path: str, list_name: str | None) -> str:
    """Return the name of a data set, "folder" or "folder [trainval]"."""
    base = os.path.basename(os.path.normpath(os.path.abspath(path)))
    return f"{base} [{list_name}]" if list_name else base


def list_of(dataset: Dataset, default: str = "train") -> str:
    """Return the list that a data set was read from, as a name that a file or folder can have."""
    match = re.search(r"\[([^\]]+)\]$", dataset.name)
    return match.group(1).replace("/", "_") if match else default


def group_by_folder(paths: Sequence[str], root: str) -> dict[str, list[str]]:
    """Group paths by the folders that divide them, such as train/, valid/ and test/.

    Args:
        paths: Paths below `root`.
        root: The data folder.

    Returns:
        Name of a folder directly below the deepest folder that holds all paths, to the paths in it; {} if some path
        lies in none.
    """
    if not paths:
        return {}
    relative = [os.path.relpath(path, root).split(os.sep) for path in paths]
    depth = 0
    while all(len(parts) > depth + 1 for parts in relative) and len({parts[depth] for parts in relative}) == 1:
        depth += 1
    if any(len(parts) <= depth + 1 for parts in relative):
        return {}

    groups: dict[str, list[str]] = {}
    for path, parts in zip(paths, relative, strict=True):
        groups.setdefault(parts[depth], []).append(path)
    return groups


def name_list_files(files: Sequence[str], root: str) -> dict[str, str]:
    """Name annotation files that hold a list each.

    A file is named by its name before the first dot, without "instances_" (COCO), or by its folder if it begins with
    "_" (train/_annotations.coco.json, Roboflow). Files of one name that is no list's (train/labels.json,
    val/labels.json) are named by the folders that divide them.

    Args:
        files: Paths below `root`.
        root: The data folder.

    Returns:
        Name of the list to its file, in order.
    """
    by_name: dict[str, list[str]] = {}
    for file in files:
        by_name.setdefault(list_name_of(file), []).append(file)

    lists: dict[str, str] = {}
    for name, same in by_name.items():
        groups = {} if len(same) == 1 or _NAMES_A_LIST.search(name) else group_by_folder(same, root)
        names = list(groups) if len(groups) == len(same) else [name] * len(same)
        for wanted, file in zip(names, same, strict=True):
            lists[os.path.relpath(file, root) if wanted in lists else wanted] = file
    return lists


def list_name_of(file: str) -> str:
    """Return "train2017" of instances_train2017.json, "train" of train/_annotations.coco.json, else the stem."""
    stem = os.path.basename(file).split(".")[0]
    if stem.startswith("_"):
        return os.path.basename(os.path.dirname(os.path.abspath(file)))
    return stem.removeprefix("instances_")
