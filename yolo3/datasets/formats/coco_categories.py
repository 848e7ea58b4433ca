"""Ids and categories of COCO files, which other tools write in several ways."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any


def id_key(value: Any) -> int | str | None:
    """Return what an id is known by: 7 for 7, 7.0 and "7"; other text as it is; None for what is no id.

    Tools differ: an `image_id` may be "7" where the image has the id 7.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() else str(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    return int(text) if re.fullmatch("0|-?[1-9][0-9]{0,17}", text) else text


def entry_id(entry: Any, key: str) -> int | str | None:
    """Return the `id_key` under a key of an object, None for anything else."""
    return id_key(entry.get(key)) if isinstance(entry, dict) else None


def category_name(category: dict[str, Any]) -> str:
    """Return the name of a category on one line, without blanks around it."""
    return " ".join(str(category["name"]).split())


def usable_categories(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the categories that have an id and a name, sorted by id, numbers first."""
    usable = [
        item
        for item in content["categories"]
        if entry_id(item, "id") is not None and item.get("name") is not None and category_name(item)
    ]
    return sorted(usable, key=lambda item: (isinstance(id_key(item["id"]), str), id_key(item["id"])))


def may_be_supercategory(content: dict[str, Any]) -> str | None:
    """Return the name of the category that is the supercategory of all others and has no box, None if there is none.

    Roboflow's exports have one, category 0 with the supercategory "none".
    """
    categories = usable_categories(content)
    supers = {category_name(item): str(item.get("supercategory") or "").strip() for item in categories}
    for item in categories:
        name = category_name(item)
        if len(supers) > 1 and supers[name] != name and all(supers[other] == name for other in supers if other != name):
            number = id_key(item["id"])
            return None if content["annotations"].count_categories()[number] else name
    return None


def supercategories(contents: Iterable[dict[str, Any]]) -> list[str]:
    """Return the names that are supercategories without a box in every file that has them."""
    is_super: dict[str, bool] = {}
    for content in contents:
        candidate = may_be_supercategory(content)
        for item in usable_categories(content):
            name = category_name(item)
            is_super[name] = is_super.get(name, True) and name == candidate
    return [name for name, without_box in is_super.items() if without_box]
