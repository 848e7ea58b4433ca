"""VoTT 2's JSON: one `<id>-asset.json` per image, or the one file of its export with all `assets`."""

from __future__ import annotations

import os
import re
import urllib.parse
from collections.abc import Sequence
from typing import Any

from yolo3.datasets.annotation import Dataset
from yolo3.datasets.formats.described_images import DescribedBox, DescribedImage, Description, build_dataset
from yolo3.datasets.formats.format import Format
from yolo3.datasets.formats.names import DESCRIPTIONS
from yolo3.datasets.json_values import finite_numbers, read_json, show_value
from yolo3.datasets.lists import group_by_folder
from yolo3.files import base_name, has_suffix, text_head, walk_files

NAME = "vott"
_BYTES_LOOKED_AT = 4096
_FILES_LOOKED_AT = 50  # JSON files of a folder that are looked at, to tell whether it is in this format
_ASSET = re.compile(r'\s*\{\s*"asset"\s*:\s*\{')
_EXPORT = re.compile(r'\s*\{.*?"(videoSettings|securityToken|activeLearningSettings|assets)"\s*:', re.DOTALL)
_NOT_VISITED = 0  # the `state` of an asset that nobody has looked at


def matches(path: str) -> bool:
    """Return whether a path is, or holds, JSON of VoTT, or is a project file (.vott) beside it."""
    path = _without_project_file(path)
    if os.path.isfile(path):
        return _is_vott_json(path)
    files = (file for file in walk_files(path) if has_suffix(file, ".json"))
    return any(_is_vott_json(file) for file, _ in zip(files, range(_FILES_LOOKED_AT), strict=False))


def list_names(path: str) -> list[str]:
    """Return the names of the folders (train/, val/) that divide the JSON files; a file has none."""
    path = _without_project_file(path)
    return list(group_by_folder(_find_files(path), path)) if os.path.isdir(path) else []


def read(path: str, class_names: Sequence[str] | None = None, list_name: str | None = None) -> Dataset:
    """Read a JSON file, the JSON files of a folder, or one of its lists.

    Of a folder that holds files of single assets and an export, the files of assets count: they are the newer.

    Args:
        path: The file or folder; a project file (.vott) stands for its folder.
        class_names: Classes of the result; if None, the tags of the project in their order.
        list_name: Name of a list of the folder.

    Returns:
        The data set; an asset that was visited and has no region is background.

    Raises:
        ValueError: If there is no such JSON, or no such list.
    """
    path = _without_project_file(path)
    files = [path] if os.path.isfile(path) else _find_files(path)
    if not files:
        raise ValueError(f"{path}: expected {FORMAT.looked_for}, got none")
    lists = group_by_folder(files, path) if os.path.isdir(path) else {}
    list_of_file = {file: name for name, members in lists.items() for file in members}

    description = Description(NAME, class_names=_read_tags(path))
    for file in files:
        description.reading = list_of_file.get(file, "")
        content = description.read_json(file, dict)
        if content is None:
            continue
        description.class_names += _tags_of(content)
        assets = content.get("assets", {})
        entries = [content] if "asset" in content else list(assets.values()) if isinstance(assets, dict) else []
        for entry in entries:
            _describe(file, description.reading, entry, description)
    return build_dataset(path, description, class_names, list_name)


FORMAT = Format(
    name=NAME,
    description=DESCRIPTIONS[NAME],
    looked_for="JSON with 'asset' or 'assets'",
    matches=matches,
    list_names=list_names,
    read=read,
    recorded=True,
)


def _without_project_file(path: str) -> str:
    return os.path.dirname(os.path.abspath(path)) if has_suffix(path, ".vott") and os.path.isfile(path) else path


def _is_vott_json(file: str) -> bool:
    head = text_head(file, _BYTES_LOOKED_AT)
    return _ASSET.match(head) is not None or _EXPORT.match(head) is not None


def _find_files(folder: str) -> list[str]:
    """Return the JSON files of assets, or without these the exports."""
    heads = {file: text_head(file, _BYTES_LOOKED_AT) for file in walk_files(folder) if has_suffix(file, ".json")}
    assets = [file for file, head in heads.items() if _ASSET.match(head)]
    return assets or [file for file, head in heads.items() if _EXPORT.match(head)]


def _read_tags(path: str) -> list[str]:
    """Return the tags of the project file (.vott) in a folder, [] if there is none that can be read."""
    if os.path.isfile(path):
        return []
    for file in walk_files(path):
        if has_suffix(file, ".vott"):
            try:
                content = read_json(file)
            except ValueError:
                continue  # it is encrypted or of another kind; names occur in the assets
            return _tags_of(content) if isinstance(content, dict) else []
    return []


def _tags_of(content: dict[str, Any]) -> list[str]:
    tags = content.get("tags")
    names = [tag.get("name") for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []
    return [name for name in names if isinstance(name, str) and name]


def _describe(file: str, list_name: str, entry: Any, description: Description) -> None:
    """Add the image of one asset; what is wrong with its regions is reported."""
    asset = entry.get("asset") if isinstance(entry, dict) else None
    asset = asset if isinstance(asset, dict) else {}
    name, path = (value if isinstance(value, str) else "" for value in (asset.get("name"), asset.get("path")))
    if not name and not path:
        description.report("bad-line", file, f"expected an asset with a name or a path, got {show_value(entry)}")
        return
    regions = entry.get("regions") or []
    if not isinstance(regions, list):
        description.report("bad-line", file, f"expected a list 'regions' of {name or path}, got {show_value(regions)}")
        return
    if not regions and asset.get("state") == _NOT_VISITED:
        return

    stated = asset.get("size") if isinstance(asset.get("size"), dict) else {}
    size = finite_numbers((stated.get("height"), stated.get("width"))) if isinstance(stated, dict) else None
    image = DescribedImage(
        name=_path_of(path) or name,
        where=file,
        list_name=list_name,
        size=(int(size[0]), int(size[1])) if size is not None and min(size) >= 1 else None,
        other_name=name,
    )
    for region in regions:
        try:
            image.boxes += _parse_region(region)
        except ValueError as error:
            description.report("bad-box", file, f"{name or base_name(path)}: {error}")
    description.images.append(image)


def _path_of(path: str) -> str:
    """Return the path in an asset's URL: "file:C:/a%20b.jpg", or of a blob store with a signature behind "?"."""
    scheme, colon, rest = path.partition(":")
    if colon and scheme.lower() == "file":
        return rest.lstrip("/") if re.match(r"/*[A-Za-z]:", rest) else re.sub("^/+", "/", rest)
    return urllib.parse.urlsplit(path).path if scheme.lower() in ("http", "https") else path


def _parse_region(region: Any) -> list[DescribedBox]:
    """Return a box for each tag of a region.

    Raises:
        ValueError: If it has no tag, or a coordinate is no number.
    """
    tags = region.get("tags") if isinstance(region, dict) else None
    names = [tag.strip() for tag in tags if isinstance(tag, str) and tag.strip()] if isinstance(tags, list) else []
    if not names:
        raise ValueError(f"expected a region with tags, got {show_value(region)}; tag it or remove it")

    bounds, points = region.get("boundingBox"), region.get("points")
    if isinstance(bounds, dict):
        numbers = finite_numbers(bounds.get(key) for key in ("left", "top", "width", "height"))
        if numbers is not None:
            left, top, width, height = numbers
            return [DescribedBox(name, (left, top, left + width, top + height)) for name in names]
    elif isinstance(points, list) and len(points) >= 2 and all(isinstance(point, dict) for point in points):
        xs, ys = (finite_numbers(point.get(axis) for point in points) for axis in "xy")
        if xs is not None and ys is not None:
            return [DescribedBox(name, (min(xs), min(ys), max(xs), max(ys))) for name in names]
    raise ValueError(f"expected numbers in 'boundingBox' or 'points', got {show_value(bounds or points)}")
