"""Damaged network files: one line with the name of the file, no memory for what they only claim to hold."""

import json
import zipfile

import h5py
import numpy as np
import pytest

from tests.models.tiny import METADATA
from yolo3.models.loading import holds_model, load_network, read_layer_arrays
from yolo3.models.metadata import read_metadata
from yolo3.models.registry import architecture_from_metadata


def damaged(content, random):
    """A copy of bytes with some of them changed, and now and then the end cut off."""
    copy = np.frombuffer(content, np.uint8).copy()
    at = random.integers(0, len(copy), random.integers(1, 20))
    if random.random() < 0.5:  # the tables of both formats lie at the ends
        at = at % 4096 if random.random() < 0.5 else len(copy) - 1 - at % 4096
    copy[at] = random.integers(0, 256, len(at))
    return copy[: random.integers(1, len(copy))].tobytes() if random.random() < 0.1 else copy.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["m.h5", "m.keras", "m.weights.h5"])
def test_reading_a_damaged_file_raises_one_line_with_its_name(name, tiny_files, tmp_path):
    content = (tiny_files / name).read_bytes()
    random = np.random.default_rng(1)
    path = tmp_path / name
    for _ in range(25):
        path.write_bytes(damaged(content, random))
        for read in (read_metadata, holds_model, read_layer_arrays):
            try:
                read(path)
            except ValueError as error:
                assert str(error).startswith(f"{path}: ") and len(str(error).splitlines()) == 1


def test_a_heap_that_hdf5_reads_for_ever_is_refused_at_once(tiny_files, tmp_path):
    content = bytearray((tiny_files / "m.h5").read_bytes())
    place = content.index(b"GCOL\x01\0\0\0")
    assert read_metadata(tiny_files / "m.h5")
    content[place + 16 : place + 32] = bytes(16)  # the first object: free space of no size
    (tmp_path / "m.h5").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"m\.h5: expected a whole HDF5 file.*\(a heap at \d+ with an object of 0 bytes"
    ):
        read_metadata(tmp_path / "m.h5")


def file_with_metadata(path, text):
    with h5py.File(path, "w") as file:
        file.attrs["yolo3"] = text
    return path


@pytest.mark.parametrize(
    "field, value, words",
    [
        ("anchor_mask", [-5], r"anchor_mask\[0\]: expected a list, got -5"),
        ("anchor_mask", [[-5]], "anchor_mask: expected indices of 6 anchors, got -5"),
        ("anchor_mask", [[0, 6]], "anchor_mask: expected indices of 6 anchors, got 6"),
        ("anchors", [[10, 13, 4]], r"anchors\[0\]: expected a list of 2, got \[10, 13, 4\]"),
        ("anchors", [[10, None]], r"anchors\[0\]\[1\]: expected a number, got None"),
        ("anchors", [[0, 5]], "anchors: expected sizes above 0, got 0"),
        ("class_names", "ab", "class_names: expected a list, got 'ab'"),
        ("class_names", ["a", 3], r"class_names\[1\]: expected text, got 3"),
        ("input_shape", [416], r"input_shape: expected a list of 2, got \[416\]"),
        ("input_shape", [416, 0], "input_shape: expected sides from 1 to 65536, got 0"),
        ("input_shape", [10**30, 32], "input_shape.0.: expected a whole number, got 1000"),
        ("model", 3, "model: expected text, got 3"),
        ("resize", "zoom", "resize: expected letterbox or stretch, got 'zoom'"),
        ("strides", [0], "strides: expected strides of 1 or more, got 0"),
        ("scale_x_y", "wide", "scale_x_y: expected a number or a list, got 'wide'"),
        ("darknet", [1], r"darknet: expected an object, got \[1\]"),
        ("darknet", {"cfg": 3}, r"darknet\.cfg: expected text, got 3"),
        ("options", 5, "options: expected an object, got 5"),
    ],
)
def test_metadata_of_the_wrong_kind_names_the_field(field, value, words, tmp_path):
    path = file_with_metadata(tmp_path / "m.h5", json.dumps(METADATA | {field: value}))
    with pytest.raises(ValueError, match=rf"m\.h5: its yolo3 metadata: {words}"):
        read_metadata(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"class_names": ' + "[" * 100_000])
def test_metadata_nested_too_deeply_is_one_line(text, tmp_path):
    with pytest.raises(ValueError, match=r"m\.keras: its yolo3 metadata is not JSON"):
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
            archive.writestr("yolo3.json", text)
        read_metadata(tmp_path / "m.keras")


def test_metadata_that_unpacks_to_a_gigabyte_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("yolo3.json", "w", force_zip64=True) as member:
            for _ in range(100):
                member.write(b" " * (1 << 20))
    assert (tmp_path / "m.keras").stat().st_size < 200_000
    with pytest.raises(ValueError, match="expected JSON text as yolo3 metadata, got more than 67108864 characters"):
        read_metadata(tmp_path / "m.keras")


def test_an_array_that_claims_more_than_is_stored_takes_no_memory(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        group = file.create_group("layer")
        group.create_dataset("kernel", shape=(1 << 38,), dtype="f4", chunks=(1 << 20,))
        group.attrs["weight_names"] = ["kernel"]
        file.attrs["layer_names"] = ["layer"]
    for read in (read_layer_arrays, load_network):
        with pytest.raises(ValueError, match=r"m\.h5: expected a whole HDF5 file.*layer/kernel: an array of"):
            read(tmp_path / "m.h5") if read is read_layer_arrays else read(
                tmp_path / "m.h5", anchors=METADATA["anchors"], class_names=["a"]
            )


@pytest.mark.parametrize("name", ["retinanet", "rpn", "yolov1"])
def test_options_of_other_architectures_are_checked(name):
    metadata = {"model": name, "class_names": ["a"]}
    key = "yolov1" if name == "yolov1" else "options"
    with pytest.raises(ValueError, match="expected"):
        architecture_from_metadata(metadata | {key: {"unknown": 1}})
    field = {"retinanet": "width", "rpn": "strides", "yolov1": "grid_size"}[name]
    with pytest.raises(ValueError, match=f"{field}: expected a"):
        architecture_from_metadata(metadata | {key: {field: "x"}})
    if name != "yolov1":  # files without options have the defaults
        assert architecture_from_metadata(metadata).name == name
