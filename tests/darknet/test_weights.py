"""Weight files as arrays, and what their size reveals."""

import numpy as np
import pytest

from tests.darknet.networks import DATA, needs_data
from yolo3.darknet.cfg import parse_cfg, read_cfg
from yolo3.darknet.weights import (
    DEFAULT_HEADER,
    Header,
    format_header,
    layer_arrays,
    open_weights,
    parse_header,
    write_weights,
)

TEXT = """\
[net]
width=32
height=32
channels=3
[convolutional]
batch_normalize=1
filters=4
size=3
pad=1
activation=leaky
[maxpool]
stride=2
[convolutional]
filters=6
size=1
groups=2
activation=relu
[convolutional]
filters=7
activation=linear
[yolo]
mask=0
num=1
anchors=10,10
classes=2
"""
# conv 0: 4 * 4 + 4*3*3*3 = 124; conv 1: 6 + 6*2 = 18; conv 2: 7 + 7*6 = 49
COUNTS = [124, 18, 49]
CFG = parse_cfg(TEXT, "net.cfg")


def random_file(path, cfg=CFG, header=DEFAULT_HEADER, floats=None):
    stored = layer_arrays(cfg)
    count = sum(layer.floats for layer in stored) if floats is None else floats
    values = np.random.default_rng(0).standard_normal(count).astype("<f4")
    path.write_bytes(format_header(header) + values.tobytes())
    return path, values


def refusal(path, cfg=CFG):
    with pytest.raises(ValueError) as caught:
        open_weights(path, cfg)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("version", "size"),
    [
        ((0, 2, 0), 20),
        ((0, 2, 5), 20),
        ((0, 1, 0), 16),
        ((1, 0, 0), 20),
        ((1000, 0, 0), 16),
        ((0, 1000, 0), 16),
        ((999, 0, 0), 20),
    ],
)
def test_the_header_has_a_long_count_from_version_0_2_on(version, size):
    header = parse_header(format_header(Header(*version, seen=7, seen_bytes=size - 12)) + b"\x01" * 8)
    assert (header.major, header.minor, header.revision) == version
    assert (header.size, header.seen) == (size, 7)


def test_headers_are_written_as_they_were_read():
    for start in (
        bytes(range(20)),
        b"\0" * 20,
        np.array([0, 2, 5], "<i4").tobytes() + (2**40).to_bytes(8, "little"),
    ):
        header = parse_header(start)
        assert format_header(header) == start[: header.size]


def test_arrays_follow_the_order_of_the_cfg():
    assert [layer.floats for layer in layer_arrays(CFG)] == COUNTS
    first, second, third = layer_arrays(CFG)
    assert first.shapes == {
        "beta": (4,),
        "gamma": (4,),
        "mean": (4,),
        "variance": (4,),
        "kernel": (4, 3, 3, 3),
    }
    assert second.shapes == {"bias": (6,), "kernel": (6, 2, 1, 1)}
    assert list(third.shapes) == ["bias", "kernel"]


def test_connected_and_local_layers_have_an_order_of_their_own():
    cfg = parse_cfg(
        "[net]\nwidth=4\nheight=4\nchannels=2\n[local]\nfilters=3\nsize=3\nstride=1\npad=1\n"
        "[connected]\noutput=5\nbatch_normalize=1\n"
    )
    local, connected = layer_arrays(cfg)
    assert local.shapes == {"bias": (3, 4, 4), "kernel": (16, 3, 2, 3, 3)}
    assert list(connected.shapes.items()) == [
        ("beta", (5,)),
        ("kernel", (5, 48)),
        ("gamma", (5,)),
        ("mean", (5,)),
        ("variance", (5,)),
    ]


def test_numbers_are_read_in_their_places(tmp_path):
    path, values = random_file(tmp_path / "a.weights")
    file = open_weights(path, CFG)
    assert file.complete and file.floats == 191
    (_, first), (_, second), _ = file.arrays()
    np.testing.assert_array_equal(first["mean"], values[8:12])  # after beta and gamma
    np.testing.assert_array_equal(first["kernel"].ravel(), values[16:124])
    np.testing.assert_array_equal(second["bias"], values[124:130])


@pytest.mark.parametrize(
    "header",
    [Header(0, 2, 5, 32013312), Header(0, 1, 0, 7, 4), Header(0, 2, 5, 9, 4), Header(2000, 5, 1, 3, 4)],
)
def test_reading_and_writing_give_the_same_bytes(tmp_path, header):
    path, _ = random_file(tmp_path / "a.weights", header=header)
    file = open_weights(path, CFG)
    assert file.header == header
    size = write_weights(
        tmp_path / "b.weights", file.header, zip(file.present, (arrays for _, arrays in file.arrays()))
    )
    assert (tmp_path / "b.weights").read_bytes() == path.read_bytes()
    assert size == path.stat().st_size


@pytest.mark.parametrize("header", [Header(0, 2, 5, 640), Header(0, 1, 0, 640, 4)])
@pytest.mark.parametrize("change", [4, -4])
def test_four_bytes_more_or_less_are_not_mistaken_for_another_header(tmp_path, header, change):
    path, _ = random_file(tmp_path / "a.weights", header=header)
    content = path.read_bytes()
    path.write_bytes(content + b"\0" * 4 if change > 0 else content[:-4])
    assert f"expected {len(content)} bytes" in refusal(path)


def test_old_files_hold_connected_weights_the_other_way_round(tmp_path):
    cfg = parse_cfg("[net]\nwidth=1\nheight=1\nchannels=3\n[connected]\noutput=2\n")
    header = Header(2000, 0, 0, 0, 4)
    path, values = random_file(tmp_path / "old.weights", cfg, header)
    file = open_weights(path, cfg)
    ((_, arrays),) = file.arrays()
    np.testing.assert_array_equal(arrays["kernel"], values[2:].reshape(3, 2).T)
    write_weights(tmp_path / "b.weights", header, [(file.present[0], arrays)])
    assert (tmp_path / "b.weights").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("layers", [1, 2])
def test_a_file_cut_after_a_layer_fills_the_first_layers(tmp_path, layers):
    path, _ = random_file(tmp_path / "net.conv.2", floats=sum(COUNTS[:layers]))
    file = open_weights(path, CFG)
    assert not file.complete
    assert [stored.layer.number for stored in file.present] == list(range(layers))
    assert [stored.layer.number for stored in file.missing] == list(range(layers, 3))


def test_a_file_cut_inside_a_layer_is_refused(tmp_path):
    path, _ = random_file(tmp_path / "cut.weights", floats=130)
    # 20 + 4 * 191 = 784 expected, 20 + 4 * 130 = 540 found; layer 2 has bytes 20 + 4*124 = 516 to 588
    message = refusal(path)
    assert "expected 784 bytes for net.cfg, got 540" in message
    assert "ends inside layer 2 [convolutional] (net.cfg:13) (bytes 516 to 588)" in message


def test_a_file_that_ends_in_the_middle_of_a_number_is_refused(tmp_path):
    path, _ = random_file(tmp_path / "cut.weights")
    path.write_bytes(path.read_bytes()[:-2])
    assert "got 782" in refusal(path)


def test_a_file_too_long_is_refused(tmp_path):
    path, _ = random_file(tmp_path / "long.weights", floats=200)
    assert "expected 784 bytes for net.cfg, got 820: it is 36 bytes too long" in refusal(path)


def test_the_class_count_that_a_file_fits_is_named(tmp_path):
    # A class more is a filter more for the one anchor: 6 weights and a bias, 7 numbers.
    path, _ = random_file(tmp_path / "five.weights", floats=191 + 3 * 7)
    message = refusal(path)
    assert "with 5 classes, but the cfg has 2" in message and "expected 784 bytes" in message and "got 868" in message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "0 bytes"),
        (b"\0" * 19, "19 bytes"),
        (b"\n<!DOCTYPE html><html>" + b"x" * 1000, "web page"),
        (b"<html>" + b"x" * 1000, "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 248007048\n", "Git LFS"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "Keras file"),
    ],
)
def test_files_that_are_not_weights_are_told_apart(tmp_path, content, words):
    path = tmp_path / "x.weights"
    path.write_bytes(content)
    message = refusal(path)
    assert words in message and f"got {len(content):,} bytes" in message


def test_a_missing_file_raises_the_systems_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_weights(tmp_path / "none.weights", CFG)


def test_a_failed_write_leaves_no_file(tmp_path):
    path = tmp_path / "a.weights"
    path.write_bytes(b"before")
    wrong = {name: np.zeros(3) for name in ("beta", "gamma", "mean", "variance", "kernel")}
    with pytest.raises(ValueError, match=r"layer 0 .*expected 'beta' of shape \(4,\), got \(3,\)"):
        write_weights(path, Header(), [(layer_arrays(CFG)[0], wrong)])
    assert [each.name for each in tmp_path.iterdir()] == ["a.weights"] and path.read_bytes() == b"before"


@needs_data
@pytest.mark.parametrize(
    ("name", "floats"),
    [
        # Numbers in Darknet's published files: (size - 20) / 4
        ("cfg/yolov3.cfg", 62_001_757),
        ("cfg/yolov3-tiny.cfg", 8_858_734),
        ("cfg/yolov3-spp.cfg", 63_052_381),
        ("cfg/yolov3-voc.cfg", 61_678_657),
        ("cfg/yolov1.cfg", 197_328_243),
        ("cfg/yolov1-tiny.cfg", 27_099_950),
        ("weights/MobileNetV2-YOLOv3-Nano-coco.cfg", 891_070),
    ],
)
def test_darknets_networks_have_as_many_numbers_as_their_files(name, floats):
    assert sum(layer.floats for layer in layer_arrays(read_cfg(DATA / "darknet" / name))) == floats
