"""What reading gave is kept beside the data, and is read anew once anything has changed that the reader looked at."""

import dataclasses
import json
import os

import numpy as np
import pytest

from tests.datasets.checked import write_image
from yolo3.datasets import cache, dataset_cache
from yolo3.datasets.annotation import Annotation, Dataset, Finding
from yolo3.datasets.dataset_cache import pack_dataset, unpack_dataset
from yolo3.datasets.formats import registry
from yolo3.datasets.formats.format import Format
from yolo3.datasets.formats.registry import find_default_lists, list_names, matching_formats, read_dataset
from yolo3.datasets.shapes import write_shapes


@pytest.fixture(autouse=True)
def kept(monkeypatch):
    """Everything is kept, also what was written a moment ago and took no time."""
    monkeypatch.delenv("YOLO3_DATA_CACHE")
    monkeypatch.setattr(dataset_cache, "WORTH_SECONDS", 0)
    monkeypatch.setattr(dataset_cache, "FRESH_NS", -1)


@pytest.fixture
def reads(monkeypatch):
    """Arguments of the calls that read files, since the fixture."""
    calls = []
    read = registry._read
    monkeypatch.setattr(registry, "_read", lambda *arguments: calls.append(arguments) or read(*arguments))
    return calls


@pytest.fixture
def coco(tmp_path):
    folder = tmp_path / "set"
    (folder / "annotations").mkdir(parents=True)
    (folder / "train").mkdir()
    for name in "ab":
        write_image(folder / "train" / f"{name}.png", 30, 40, ord(name))
    write_coco(folder)
    return folder


def write_coco(folder, width=10):
    content = {
        "images": [{"id": number, "file_name": f"{name}.png"} for number, name in enumerate(["a", "b", "absent"])],
        "annotations": [{"image_id": 0, "category_id": 7, "bbox": [1, 2, width, 5], "iscrowd": 1}],
        "categories": [{"id": 7, "name": "cat"}],
    }
    (folder / "annotations" / "instances_train.json").write_text(json.dumps(content))


def assert_same(one, other):
    for field in dataclasses.fields(Dataset):
        if field.name != "annotations":
            assert getattr(one, field.name) == getattr(other, field.name)
    for first, second in zip(one.annotations, other.annotations, strict=True):
        for field in dataclasses.fields(Annotation):
            values = getattr(first, field.name), getattr(second, field.name)
            if isinstance(values[0], np.ndarray):
                np.testing.assert_array_equal(*values)
                assert values[0].dtype == values[1].dtype
            else:
                assert values[0] == values[1] and type(values[0]) is type(values[1])


def test_a_second_start_reads_nothing_and_gets_the_same(coco, reads):
    first = read_dataset(coco)
    assert len(reads) == 1 and len(first.findings) == 1
    assert_same(read_dataset(coco), first)
    assert len(reads) == 1


def test_everything_of_a_data_set_is_kept():
    arrays = {"boxes": np.array([[1, 2, 3, 4.5]], np.float32), "class_ids": np.array([1], np.int32)}
    marks = {"difficult": np.array([True]), "crowd": np.array([False])}
    odd = "odd \udcff name\n.png"
    one = Annotation(odd, **arrays, **marks, source="a.txt:3", lines=(3,), image_shape=(5, 6))
    none = Annotation(
        "b.png", np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0, bool), np.zeros(0, bool), "a.txt:4"
    )
    finding = Finding("error", "no-area", "a.txt:3", "expected a box", annotation=0, box=0)
    whole = Dataset([one, none], ["a", "é"], "voc", [finding], "set [train]", ["a note"], "/data")
    plain, packed = pack_dataset(whole)
    assert_same(unpack_dataset(json.loads(json.dumps(plain)), packed), whole)
    empty = Dataset([], [], "voc")
    assert_same(unpack_dataset(*pack_dataset(empty)), empty)


CHANGES = {
    "annotations": lambda folder: write_coco(folder, width=11),
    "a time": lambda folder: os.utime(folder / "annotations" / "instances_train.json", (5, 5)),
    "an image": lambda folder: write_image(folder / "train" / "a.png", 31, 40),
    "an image added": lambda folder: write_image(folder / "train" / "absent.png"),
    "an image removed": lambda folder: os.remove(folder / "train" / "b.png"),
    "an image moved": lambda folder: os.rename(folder / "train" / "b.png", folder / "b.png"),
    "a list added": lambda folder: (folder / "annotations" / "instances_val.json").write_text("{}"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_of_the_data_is_noticed(coco, reads, change):
    read_dataset(coco)
    CHANGES[change](coco)
    again = read_dataset(coco)
    assert len(reads) == 2
    assert_same(again, registry._read(str(coco), None, None, None))


def test_names_that_are_the_data_s_own_need_no_other_reading(coco, reads):
    first = read_dataset(coco)
    assert_same(read_dataset(coco, class_names=first.class_names), first)
    assert len(reads) == 1


@pytest.mark.parametrize("other", [{"list_name": "train"}, {"class_names": ["cat", "dog"]}, {"format": "coco"}])
def test_another_list_format_or_other_names_are_read_anew(coco, reads, other):
    read_dataset(coco)
    read_dataset(coco, **other)
    read_dataset(coco, **other)
    read_dataset(coco)
    assert len(reads) == 2


def test_files_elsewhere_that_a_list_leads_to_are_part_of_it(tmp_path, reads):
    images = tmp_path / "elsewhere"
    images.mkdir()
    write_image(images / "a.png")
    (tmp_path / "lists").mkdir()
    file = tmp_path / "lists" / "train.txt"
    file.write_text(f"{images}/a.png 1,2,30,40,0\n../elsewhere/b.png 1,2,30,40,0\n")
    assert len(read_dataset(file).annotations) == 1
    read_dataset(file)
    assert len(reads) == 1
    write_image(images / "b.png")
    assert len(read_dataset(file).annotations) == 2
    (tmp_path / "lists" / "classes.txt").write_text("dog\n")
    assert read_dataset(file).class_names == ["dog"]
    write_image(images / "a.png", 50, 60)
    assert read_dataset(file).annotations[0].image_shape == (50, 60)
    assert len(reads) == 4


def test_formats_and_lists_are_kept_too(coco, monkeypatch):
    assert matching_formats(coco) == ["coco"] and list_names(coco) == ["train"]

    def fail(path):
        raise TypeError

    fails = dataclasses.replace(registry.FORMATS["coco"], matches=fail, list_names=fail)
    monkeypatch.setitem(registry.FORMATS, "coco", fails)
    assert matching_formats(coco) == ["coco"] and list_names(coco) == ["train"] and find_default_lists(coco) is None
    write_coco(coco, 11)
    with pytest.raises(TypeError):
        matching_formats(coco)


def test_data_that_was_written_a_moment_ago_is_not_relied_on(coco, reads, monkeypatch):
    monkeypatch.setattr(dataset_cache, "FRESH_NS", 2_000_000_000)
    read_dataset(coco)
    read_dataset(coco)
    assert len(reads) == 2


def test_data_that_changes_while_it_is_read_is_not_kept(coco, reads, monkeypatch):
    read = registry._read

    def changed_meanwhile(*arguments):
        dataset = read(*arguments)
        write_coco(coco, 12 + len(reads))
        return dataset

    monkeypatch.setattr(registry, "_read", changed_meanwhile)
    read_dataset(coco)
    read_dataset(coco)
    assert len(reads) == 2


def test_work_of_no_time_leaves_no_files(coco, monkeypatch):
    monkeypatch.setattr(dataset_cache, "WORTH_SECONDS", 60)
    read_dataset(coco)
    assert sorted(os.listdir(coco)) == ["annotations", "train"]


@pytest.mark.parametrize("damage", ["cut", "another file", "arrays of another length", "missing arrays"])
def test_a_damaged_file_is_ignored_and_replaced(coco, reads, damage):
    first = read_dataset(coco)
    (file,) = (coco / cache.FOLDER).glob("read-*.npz")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-40])
    elif damage == "another file":
        file.write_bytes(b"\0" * 100)
    else:
        header, arrays = cache.read_cache(str(file))
        if damage == "missing arrays":
            arrays.pop("boxes")
        else:
            arrays["boxes"] = arrays["boxes"][:0]
        cache.write_cache(str(file), header, arrays)
    assert_same(read_dataset(coco), first)
    assert_same(read_dataset(coco), first)
    assert len(reads) == 2


def test_a_format_from_outside_is_read_each_time_unless_it_says_that_it_can_be_watched(tmp_path, reads, monkeypatch):
    (tmp_path / "a.toy").write_text("")

    def toy(recorded):
        return Format(
            name="toy",
            description="",
            looked_for="",
            matches=lambda path: path.endswith(".toy"),
            list_names=lambda path: [],
            read=lambda path, class_names=None, list_name=None: Dataset([], ["x"], "toy"),
            recorded=recorded,
        )

    for recorded, expected in ((False, 2), (True, 1)):
        monkeypatch.setitem(registry.FORMATS, "toy", toy(recorded))
        reads.clear()
        for _ in range(2):
            assert read_dataset(tmp_path / "a.toy").format == "toy"
        assert len(reads) == expected


def test_a_set_of_each_written_format_is_read_once(tmp_path, reads):
    shapes = write_shapes(tmp_path / "voc", num_train=2, num_val=1, image_size=48)
    dataset = read_dataset(shapes, list_name="train")
    for name in ("coco", "yolo", "keras-yolo3"):
        registry.write_dataset(dataset, tmp_path / name, name)
    for name in ("voc", "coco", "yolo", "keras-yolo3"):
        reads.clear()
        first = read_dataset(tmp_path / name, name)
        assert_same(read_dataset(tmp_path / name, name), first)
        assert len(reads) == 1, name
