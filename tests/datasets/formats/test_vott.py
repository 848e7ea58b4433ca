"""VoTT's JSON of assets and of its export."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo3.datasets.formats import registry as formats
from yolo3.datasets.formats import vott

BOUNDS = {"left": 10, "top": 20, "width": 50, "height": 60}


def write_image(path, height=100, width=200):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((height, width, 3), np.uint8))


def write_json(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return str(path)


def region(*tags, **more):
    return {"id": "x", "type": "RECTANGLE", "tags": list(tags or ["cat"]), "boundingBox": BOUNDS, "points": []} | more


def asset(*regions, name="a.jpg", path=None, state=2, **more):
    stated = {"format": "jpg", "id": "1", "name": name, "path": path or f"file:/home/me/set/{name}", "state": state}
    stated |= {"size": {"width": 200, "height": 100}, "type": 1} | more
    return {"asset": stated, "regions": list(regions), "version": "2.1.0"}


def export(*assets, tags=("dog", "cat")):
    settings = {"name": "set", "securityToken": "set Token", "videoSettings": {"frameExtractionRate": 15}}
    tags = [{"name": name, "color": "#5db300"} for name in tags]
    return settings | {"tags": tags, "assets": {str(number): item for number, item in enumerate(assets)}}


def read_assets(tmp_path, *assets, names=("a.jpg",)):
    for name in names:
        write_image(tmp_path / name)
    return vott.read(write_json(tmp_path / "set-export.json", export(*assets)))


def kinds(dataset):
    return [finding.kind for finding in dataset.findings]


def test_an_export_is_read_with_its_tags_in_order(tmp_path):
    dataset = read_assets(tmp_path, asset(region(), region("dog", "fox")))
    assert dataset.annotations[0].boxes.tolist() == [[10, 20, 60, 80]] * 3 and not dataset.findings
    assert dataset.class_names == ["dog", "cat", "fox"] and dataset.annotations[0].class_ids.tolist() == [1, 0, 2]
    assert formats.detect_format(tmp_path) == formats.detect_format(tmp_path / "set-export.json") == "vott"


def test_files_of_assets_count_before_an_export_and_take_the_order_of_tags_from_the_project(tmp_path):
    write_json(tmp_path / "1-asset.json", asset(region(), region()))
    write_json(tmp_path / "set.vott", export(tags=("fox", "cat")))
    read_assets(tmp_path, asset(region("old")))
    dataset = vott.read(str(tmp_path))
    assert dataset.class_names == ["fox", "cat"] and [len(item.boxes) for item in dataset.annotations] == [2]
    assert formats.detect_format(tmp_path / "1-asset.json") == formats.detect_format(tmp_path / "set.vott") == "vott"
    assert len(formats.read_dataset(tmp_path / "set.vott").annotations) == 1


@pytest.mark.parametrize(
    "path",
    [
        "file:/home/me/set/a%20%231.jpg",
        "file:///home/me/a%20%231.jpg",
        "file:C:/Users/me/a%20%231.jpg",
        "https://store.blob.core.windows.net/set/a%20%231.jpg?sv=2018&sig=x%2F",
        "C:\\set\\a #1.jpg",
    ],
)
def test_the_path_of_an_asset_is_a_url(tmp_path, path):
    dataset = read_assets(tmp_path, asset(region(), name="x", path=path), names=("a #1.jpg",))
    assert len(dataset.annotations) == 1 and not dataset.findings


def test_frames_of_a_video_are_their_exported_images(tmp_path):
    name = "film.mp4#t=1.533333"
    item = asset(region(), name=name, path=f"file:/home/me/{name}", format="mp4", type=3)
    dataset = read_assets(tmp_path, item, names=(f"{name}.jpg",))
    assert [Path(item.image_path).name for item in dataset.annotations] == [f"{name}.jpg"] and not dataset.findings


def test_visited_assets_without_regions_are_background_and_others_are_not_used(tmp_path):
    dataset = read_assets(tmp_path, asset(state=1), asset(name="b.jpg", state=0), names=("a.jpg", "b.jpg"))
    assert [Path(item.image_path).name for item in dataset.annotations] == ["a.jpg"]


def test_polygons_without_bounds_become_the_boxes_around_them(tmp_path):
    points = [{"x": 10, "y": 20}, {"x": 60, "y": 30}, {"x": 30, "y": 80}]
    dataset = read_assets(tmp_path, asset(region(type="POLYGON", points=points, boundingBox=None)))
    assert dataset.annotations[0].boxes.tolist() == [[10, 20, 60, 80]]


@pytest.mark.parametrize(
    "bad",
    [
        5,
        region() | {"tags": []},
        region() | {"tags": "cat"},
        region(boundingBox=BOUNDS | {"left": None}),
        region(boundingBox=BOUNDS | {"left": 10**400}),
        region(boundingBox=None),
        region(boundingBox="1155"),
    ],
)
def test_a_bad_region_is_reported_with_its_image_and_the_rest_is_read(tmp_path, bad):
    dataset = read_assets(tmp_path, asset(bad, region()))
    assert len(dataset.annotations[0].boxes) == 1
    (finding,) = dataset.findings
    assert finding.kind == "bad-box" and finding.message.startswith("a.jpg: expected")
    assert finding.where == str(tmp_path / "set-export.json")


@pytest.mark.parametrize("bad", [5, {}, {"asset": {}}, {"asset": {"name": 3}}, asset() | {"regions": {"a": 1}}])
def test_a_bad_asset_is_reported_and_the_rest_is_read(tmp_path, bad):
    dataset = read_assets(tmp_path, bad, asset(region()))
    assert len(dataset.annotations) == 1 and kinds(dataset) == ["bad-line"]


def test_missing_images_and_other_sizes_are_reported(tmp_path):
    lost = asset(region(), name="lost.jpg")
    dataset = read_assets(tmp_path, asset(region(), size={"width": 400, "height": 200}), lost)
    assert kinds(dataset) == ["size-mismatch", "missing-image"]


def test_folders_are_lists_of_the_same_classes(tmp_path):
    for part, tag in (("train", "cat"), ("test", "dog")):
        write_image(tmp_path / part / f"{part}.jpg")
        write_json(tmp_path / part / "1-asset.json", asset(region(tag), name=f"{part}.jpg"))
    assert formats.find_default_lists(tmp_path) == ("train", "test")
    dataset = formats.read_dataset(tmp_path, list_name="test")
    assert dataset.class_names == ["cat", "dog"] and len(dataset.annotations) == 1


def test_other_json_is_not_votts(tmp_path):
    for number, content in enumerate(({"images": [], "categories": []}, [], {"shapes": []}, {"name": "assets"})):
        write_json(tmp_path / f"{number}.json", content)
    assert not vott.matches(str(tmp_path))
