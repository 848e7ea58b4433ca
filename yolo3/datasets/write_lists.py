"""Write a data set with its lists into a new folder, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from yolo3.datasets.annotation import Annotation, Dataset
from yolo3.datasets.copy_images import ImageCopies
from yolo3.datasets.formats import registry as formats
from yolo3.datasets.lists import list_role
from yolo3.outputs import require_new_folder

ONLY_LIST = "train"  # name of the list of a data set without lists


def write_lists(
    dataset: Dataset,
    lists: Mapping[str, Sequence[Annotation]],
    path: str,
    format: str,
    link: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write lists of a data set in a format, with their images.

    Args:
        dataset: The data set that the lists belong to.
        lists: List name to images.
        path: A folder that does not exist yet or is empty.
        format: Name of the format.
        link: Whether to make hard links of the images in place of copies.
        progress: Called with (images written, all images).

    Raises:
        ValueError: If the folder holds something, or the format is only read.
        OSError: If a file cannot be written; nothing is left of it then.
    """
    require_new_folder(path)
    target = os.path.abspath(path)
    unfinished = os.path.join(os.path.dirname(target), f".{os.path.basename(target)}.{os.getpid()}")
    crowd_is_kept = "crowd" in formats.FORMATS[format].keeps
    total = len({os.path.realpath(item.image_path) for members in lists.values() for item in members})
    images = ImageCopies(link, placed=None if progress is None else lambda count: progress(count, total))
    try:
        for name, members in lists.items():
            if not crowd_is_kept:
                members = [item.select(~item.crowd) if item.crowd.any() else item for item in members]
            part = replace(dataset, annotations=list(members), findings=[], name=f"data [{name}]")
            formats.write_dataset(part, unfinished, format, images=images)
        if os.path.isdir(target):
            os.rmdir(target)
        os.rename(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def lists_for(
    format: str, lists: Mapping[str, Sequence[Annotation]]
) -> tuple[dict[str, Sequence[Annotation]], list[str]]:
    """Return the lists that a format can hold, and a line for each that is left out or called otherwise.

    VOC's lists may overlap. In other formats an image lies in the folder of its list, so that of overlapping lists
    (train, val and trainval) those are written that share no image, the roles train, val and test first.

    Raises:
        ValueError: For yolo, if a list is none of train, val and test, or two are the same one.
    """
    notes: list[str] = []
    chosen = dict(lists)
    if not formats.FORMATS[format].shares_images:
        order = {"train": 0, "val": 1, "test": 2}
        taken: set[int] = set()
        for name in sorted(lists, key=lambda name: order.get(list_role(name), 3)):
            own = {id(item) for item in lists[name]}
            if own & taken:
                del chosen[name]
                notes.append(f"Left out the list '{name}', which has images of other lists.")
            taken |= own
    if format == "yolo":
        roles = {name: list_role(name) for name in chosen}
        if set(roles.values()) - {"train", "val", "test"} or len(set(roles.values())) < len(roles):
            raise ValueError(
                f"yolo: expected lists called train, val and test, got {', '.join(roles)}; choose some with --list, or "
                "draw new ones with --val-split"
            )
        notes += [f"The list '{name}' is called '{role}'." for name, role in roles.items() if name != role]
        chosen = {roles[name]: members for name, members in chosen.items()}
    return chosen, notes


def lost_marks(annotations: Sequence[Annotation], format: str) -> list[str]:
    """Return a line for each kind of mark that a format cannot hold."""
    keeps, lines = formats.FORMATS[format].keeps, []
    crowd = sum(int(item.crowd.sum()) for item in annotations)
    if crowd and "crowd" not in keeps:
        lines.append(f"Left out {crowd:,} crowd regions, which {format} cannot mark.")
    difficult = sum(int(item.difficult.sum()) for item in annotations)
    if difficult and "difficult" not in keeps:
        lines.append(f"{difficult:,} objects are no longer marked as difficult, which {format} cannot say.")
    return lines
