"""Look up the ids that a COCO file gives to images and categories, for results in COCO's format."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from yolo3.datasets.find_images import KnownFolders, file_key, num_fitting_parts, num_parts
from yolo3.datasets.formats.coco_categories import category_name, usable_categories
from yolo3.datasets.images import UNREAD_SUFFIXES
from yolo3.datasets.written_names import spellings
from yolo3.files import base_name, has_suffix, stem_of


class CocoIds:
    """Ids of the images and categories of a COCO annotation file.

    Args:
        file: Path of the JSON file.

    Raises:
        ValueError: If the file is not COCO JSON, or an image lacks its id or its `file_name`.
    """

    def __init__(self, file: str):
        from yolo3.datasets.formats.coco import load_json  # needs msgspec, which detection without such a file does not

        content = load_json(file)
        self.file = file
        self.categories: Mapping[str, int] = {category_name(item): item["id"] for item in usable_categories(content)}
        self._images: dict[str, list[tuple[str, Any]]] = {}  # by file name; by stem where such images are not read
        for image in content["images"]:
            if not isinstance(image, dict) or not {"id", "file_name"} <= image.keys():
                raise ValueError(f"{file}: expected images with 'id' and 'file_name', got {json.dumps(image)[:80]}")
            name = str(image["file_name"])
            for key in {_key_of(spelling) for spelling in spellings(name)}:
                self._images.setdefault(key, []).append((name, image["id"]))
        self._folders = KnownFolders(name for named in self._images.values() for name, _ in named)

    def image_id(self, image_path: str) -> Any | None:
        """Return the id of an image, found by its file name and the folders above it as `find_images` finds images.

        Of several images of one name, the one whose `file_name` shares the longest run of trailing parts with the path
        is meant; of those that share equally many, one whose `file_name` is matched as a whole. An image of the file in
        a folder that tells it apart is not meant: train/1.jpg is not val/1.jpg.

        Args:
            image_path: Path of an image.

        Returns:
            The id as the file has it, None if no image has this name.

        Raises:
            ValueError: If several images fit equally well; the message lists them.
        """
        path = os.path.abspath(image_path)
        alike = [*self._images.get(_key_of(path), []), *self._images.get(file_key(stem_of(path)), [])]
        ranked = [
            ((shared := num_fitting_parts(name, path), shared == num_parts(name)), name, image_id)
            for name, image_id in alike
            if not self._folders.tell_apart(path, name)
        ]
        if not ranked:
            return None

        best = max(rank for rank, _, _ in ranked)
        fitting = [(name, image_id) for rank, name, image_id in ranked if rank == best]
        if len(fitting) > 1:
            names = ", ".join(f"{name} (id {image_id})" for name, image_id in fitting)
            raise ValueError(f"{self.file}: expected one image that {image_path} can mean, got several: {names}")
        return fitting[0][1]

    def category_ids(self, class_names: Sequence[str]) -> list[int]:
        """Return the category id of each class.

        Raises:
            ValueError: If the file has no category of a class's name.
        """
        missing = [name for name in class_names if name not in self.categories]
        if missing:
            raise ValueError(f"{self.file}: expected the network's classes as categories, got none called {missing[0]}")
        return [self.categories[name] for name in class_names]


def _key_of(name: str) -> str:
    """Return the key of a file name; of one that is not read, such as HEIC, the stem that a converted image shares."""
    return file_key(stem_of(base_name(name)) if has_suffix(name, UNREAD_SUFFIXES) else base_name(name))
