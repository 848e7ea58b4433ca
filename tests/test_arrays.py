"""Files of arrays are read whole or refused in one line, before memory is taken."""

import io
import zipfile

import numpy as np
import pytest

from yolo3.arrays import read_arrays, write_arrays


@pytest.fixture
def file(tmp_path):
    write_arrays(tmp_path / "a.npz", {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "text": np.array("{}")})
    return tmp_path / "a.npz"


def test_arrays_come_back(file):
    arrays = read_arrays(file)
    assert arrays["x"].dtype == np.float32 and arrays["x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert str(arrays["text"]) == "{}"


def npy_that_claims(shape, dtype="<f8"):
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": dtype, "fortran_order": False, "shape": shape})
    return content.getvalue() + bytes(64)


@pytest.mark.parametrize("shape", [(100_000_000_000,), (10**300,), (2**62, 2**62)])
def test_a_header_that_claims_more_than_the_file_holds_takes_no_memory(tmp_path, shape):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", npy_that_claims(shape))
    with pytest.raises(
        ValueError, match=r"a\.npz: expected a whole file of arrays, got a damaged one \('x.npy': claims"
    ):
        read_arrays(tmp_path / "a.npz")


def test_python_objects_are_not_read(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.array([{}], object))
    with pytest.raises(ValueError, match="holds Python objects, which are not read"):
        read_arrays(tmp_path / "a.npz")


def test_any_damage_is_one_line_with_the_file(file):
    content = bytearray(file.read_bytes())
    random = np.random.default_rng(0)
    for _ in range(400):
        damaged = bytearray(content)
        for at in random.integers(0, len(content), 3):
            damaged[at] = random.integers(0, 256)
        file.write_bytes(bytes(damaged[: random.integers(1, len(content))] if random.random() < 0.3 else damaged))
        try:
            read_arrays(file)
        except ValueError as error:
            assert str(error).startswith(f"{file}: expected") and len(str(error).splitlines()) == 1
