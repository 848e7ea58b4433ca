"""Large COCO files are read piece by piece, to the same content as at once, without what is not used."""

import json
import tracemalloc

import numpy as np
import pytest

from tests.datasets.checked import write_image
from yolo3.datasets.formats import coco, coco_stream
from yolo3.datasets.formats.coco import read
from yolo3.datasets.formats.coco_stream import Entries, stream_coco

CONTENT = {
    "info": {"description": 'a, [set] {of} "things"', "year": 2017, "nothing": None},
    "images": [
        {"id": 7, "file_name": "a.png", "height": 30, "width": 40, "license": 3},
        {"id": 8, "file_name": "ü😀.png", "coco_url": "http://images.example.org/8.png"},
        "no image",
    ],
    "licenses": [],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 2.5, 10, 1e1], "segmentation": [[1, 2, 3, 4, 5, 6]]},
        {"id": 2, "image_id": 7, "category_id": 1, "bbox": [3, 2, 10, 5], "iscrowd": 1},
        {"id": 3, "image_id": "8", "category_id": 1, "bbox": [1, 2, 10, 5]},
        {"id": 4, "image_id": 7, "category_id": 1, "segmentation": [[1, 2, 30, 2, 30, 20]]},
        {"id": 5, "image_id": 7, "category_id": 1, "bbox": ["1", 2, 10, 5]},
        {"id": 6, "image_id": 7, "category_id": 1, "bbox": None},
        17,
    ],
    "categories": [{"id": 1, "name": "cat"}],
}


@pytest.mark.parametrize("piece", [1, 7, 64, 1 << 22])
@pytest.mark.parametrize("indent", [None, 1])
def test_pieces_of_any_size_give_what_is_read(tmp_path, monkeypatch, piece, indent):
    monkeypatch.setattr(coco_stream, "PIECE", piece)
    (tmp_path / "a.json").write_text(json.dumps(CONTENT, indent=indent, ensure_ascii=False), encoding="utf-8-sig")
    found = stream_coco(str(tmp_path / "a.json"))
    entries = list(found.pop("annotations"))
    expected = json.loads(json.dumps(CONTENT))
    assert entries[0] == {"id": 1, "image_id": 7, "category_id": 1, "bbox": [1, 2.5, 10, 10], "iscrowd": 0}
    assert entries[1] == expected["annotations"][1]
    assert entries[2:] == expected.pop("annotations")[2:]
    assert found.pop("images") == [
        {"id": 7, "file_name": "a.png", "height": 30, "width": 40},
        {"id": 8, "file_name": "ü😀.png"},
        "no image",
    ]
    expected.pop("images")
    assert found == expected


BROKEN = ["", "[]", "{", "{}x", '{"images": [}', '{"images": [1,]}', '{"images": [1 2]}', '{"a": 1, "a": 2}', '{"a" 1}']


@pytest.mark.parametrize("text", [*BROKEN, '{"images": [{"id": 1, "id": 2}]}', "[" * 5000, '{"a": "\ud800"'])
def test_whatever_is_unusual_is_left_to_the_other_reader(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert stream_coco(str(tmp_path / "a.json")) is None


def test_a_large_file_gives_the_same_data_set_as_a_small_one(tmp_path, monkeypatch):
    for name in ("a.png", "ü😀.png"):
        write_image(tmp_path / name, 30, 40)
    (tmp_path / "a.json").write_text(json.dumps(CONTENT))
    small = read(str(tmp_path / "a.json"))
    monkeypatch.setattr(coco, "_BYTES_STREAMED", 0)
    large = read(str(tmp_path / "a.json"))
    assert [str(finding) for finding in large.findings] == [str(finding) for finding in small.findings]
    assert len(large.annotations) == len(small.annotations) == 2
    for one, other in zip(large.annotations, small.annotations):
        np.testing.assert_array_equal(one.boxes, other.boxes)
        np.testing.assert_array_equal(one.crowd, other.crowd)


def test_polygons_take_no_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(coco_stream, "PIECE", 1 << 14)
    entry = {"id": 10**6, "image_id": 10**6, "category_id": 50, "bbox": [1.5, 2.5, 3.5, 4.5], "iscrowd": 0}
    entries = [entry | {"segmentation": [[0.25 + number] * 44]} for number in range(3000)]
    (tmp_path / "a.json").write_text(json.dumps({"images": [], "annotations": entries, "categories": []}))
    del entries
    tracemalloc.start()
    found = stream_coco(str(tmp_path / "a.json"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found["annotations"]) == 3000 and isinstance(found["annotations"], Entries)
    assert peak / 3000 < 150  # bytes an annotation; 64 are kept, and the file has 400
