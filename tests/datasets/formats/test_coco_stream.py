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


PLAIN = [{"id": n, "image_id": 7, "category_id": 1, "bbox": [n, 2, 10, 5], "iscrowd": 0} for n in range(1, 9)]
UNUSUAL = [
    {"image_id": 7, "category_id": 1, "bbox": [1, 2, 10, 5], "more": [{"a": 1}, {"bbox": 2}]},
    {"image_id": 7, "category_id": 1, "bbox": [1, 2, 10, 5], "iscrowd": True},
    {"image_id": "7", "category_id": 1, "bbox": [1, 2, 10, 5], "note": "}, {"},
    {"image_id": 7, "category_id": 1, "bbox": "1155", "note": "}]}"},
    None,
]


@pytest.mark.parametrize("unusual", UNUSUAL)
@pytest.mark.parametrize("place", [0, 4, 8])
@pytest.mark.parametrize("indent", [None, 1])
def test_an_unusual_annotation_among_plain_ones_changes_none_of_them(tmp_path, unusual, place, indent):
    entries = [*PLAIN[:place], unusual, *PLAIN[place:]]
    content = {"annotations": entries, "images": CONTENT["images"], "categories": CONTENT["categories"]}
    (tmp_path / "a.json").write_text(json.dumps(content, indent=indent))
    found = list(stream_coco(str(tmp_path / "a.json"))["annotations"])
    read_of_it = found.pop(place)
    assert found == PLAIN
    assert read_of_it is None or {key: unusual[key] for key in read_of_it if key in unusual}.items() <= unusual.items()
    assert read_of_it is None or read_of_it["bbox"] == unusual["bbox"]


@pytest.mark.parametrize("twice", ['"bbox": [3, 2, 10, 5]', '"\\u0062box": [3, 2, 10, 5]', '"image_id": 8'])
def test_a_key_twice_in_one_of_many_plain_annotations_is_refused(tmp_path, twice):
    entries = ", ".join(json.dumps(item) for item in PLAIN)
    entries = entries.replace('"iscrowd": 0', twice, 1)
    (tmp_path / "a.json").write_text('{"images": [], "annotations": [' + entries + '], "categories": []}')
    assert stream_coco(str(tmp_path / "a.json")) is None


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


@pytest.mark.parametrize("piece", [40, 300, 1 << 20])
def test_brackets_within_items_and_texts_do_not_end_an_item(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(coco_stream, "PIECE", piece)
    images = [{"id": number, "file_name": '"}, {"' * 5 + f"{number}.png"} for number in range(9)]
    nested = [{"keypoints": [{"x": 1}, {"x": 2}], "id": number, "image_id": 1} for number in range(9)]
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": nested, "more": [{}, {"a": {}}]}))
    found = stream_coco(str(tmp_path / "a.json"))
    assert found["images"] == images and list(found["annotations"]) == nested and found["more"] == [{}, {"a": {}}]


def test_columns_and_single_entries_give_the_same_boxes_in_the_same_order(tmp_path, monkeypatch):
    write_image(tmp_path / "a.png", 30, 40)
    write_image(tmp_path / "b.png", 20, 10)
    plain = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0}
    entries = [
        plain | {"bbox": [38.5, 2, 2, 4]},  # rounding, clipped
        plain | {"image_id": 2, "bbox": [8.5, 2, 2, 4], "category_id": 3},
        plain | {"bbox": ["5", 2, 3, 4]},
        plain | {"bbox": [6, 2, 3, 4], "iscrowd": 1},
        plain | {"image_id": 9},  # no such image
        plain | {"category_id": 9},  # no such category
        plain | {"category_id": 2},  # left out
        plain | {"bbox": [1e39, 2, 3, 4]},  # beyond a float32
        plain | {"bbox": [True, 2, 3, 4]},
        plain | {"image_id": "2", "bbox": [7, 2, 3, 4]},
        plain | {"image_id": 2, "bbox": [0, 2, 3, 4]},
    ]
    images = [{"id": 2, "file_name": "b.png"}, {"id": 1, "file_name": "a.png"}]
    categories = [{"id": number, "name": name} for number, name in enumerate(("cat", "cow", "dog"), 1)]
    (tmp_path / "a.json").write_text(json.dumps({"images": images, "annotations": entries, "categories": categories}))

    kept = []
    for streamed in (1 << 40, 0):
        monkeypatch.setattr(coco, "_BYTES_STREAMED", streamed)
        dataset = read(str(tmp_path / "a.json"), ["cat", "dog"])
        kept.append([item.kind for item in dataset.findings])
        b, a = dataset.annotations
        np.testing.assert_array_equal(b.boxes, [[8.5, 2, 10, 6], [7, 2, 10, 6], [0, 2, 3, 6]])
        np.testing.assert_array_equal(b.class_ids, [1, 0, 0])
        np.testing.assert_array_equal(a.boxes, [[38.5, 2, 40, 6], [5, 2, 8, 6], [6, 2, 9, 6]])
        np.testing.assert_array_equal(a.crowd, [False, False, True])
        assert not a.difficult.any() and (a.boxes.dtype, a.class_ids.dtype) == (np.float32, np.int32)
    assert kept[0] == kept[1] == ["unknown-class", "unknown-image", "unknown-class", "bad-box", "bad-box"]
