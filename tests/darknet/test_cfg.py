"""Cfg text, and what its sections mean."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from yolo3.darknet.cfg import cfg_bytes, format_cfg, parse_cfg, read_cfg, replace_option
from yolo3.darknet.layers import IMAGE, needs_fixed_size, output_indices, resolve_layers, with_classes, yolo_heads

CFGS = Path(__file__).parents[3] / "shared" / "data" / "darknet" / "cfg"

SMALL = """\
# a remark
[net]
width=64
height = 32
channels=3

[convolutional]
batch_normalize=1
filters=16
size=3
stride=2
pad=1
activation=leaky

[convolutional]
filters=14
size=1
activation=linear

[yolo]
mask = 1,2
anchors = 10,13,  16,30.5,  33,23
classes=2
num=3
ignore_thresh=.7
scale_x_y=1.1

[route]
layers=-3, 0
"""


def cfg_of(layers: str, width: int = 32, height: int = 32):
    return parse_cfg(f"[net]\nwidth={width}\nheight={height}\nchannels=3\n{layers}", "some.cfg")


def shapes_of(layers: str, **size):
    return [layer.out_shape for layer in resolve_layers(cfg_of(layers, **size))]


def refused(layers: str, *words: str):
    with pytest.raises(ValueError) as caught:
        resolve_layers(cfg_of(layers))
    for word in ("some.cfg:", *words):
        assert word in str(caught.value)


def test_sections_options_and_lines_are_found():
    cfg = parse_cfg(SMALL, "small.cfg")
    assert [section.name for section in cfg.layers] == ["convolutional", "convolutional", "yolo", "route"]
    assert cfg.input_shape == (32, 64, 3)
    assert cfg.layers[0].line == 7 and cfg.layers[0].where("size") == "small.cfg:10"
    assert cfg.layers[2].numbers("anchors") == (10, 13, 16, 30.5, 33, 23)


def test_blanks_mean_nothing_and_short_names_are_the_long_ones():
    cfg = parse_cfg("[network]\n[ c o n v ]\n\t f i lters = 1 6\n[max]\n[avg]\n[conn]\n[soft]\n")
    assert [section.name for section in cfg.layers] == [
        "convolutional",
        "maxpool",
        "avgpool",
        "connected",
        "softmax",
    ]
    assert cfg.layers[0].integer("filters") == 16


def test_the_first_of_two_equal_keys_counts():
    assert parse_cfg("[net]\nwidth=10\nwidth=20\n").net.integer("width") == 10


def test_windows_line_ends_and_a_byte_order_mark_change_nothing():
    cfg = parse_cfg("\ufeff" + SMALL.replace("\n", "\r\n"))
    assert format_cfg(cfg) == format_cfg(parse_cfg(SMALL))


def test_a_remark_ends_a_list_of_numbers():
    assert parse_cfg("[net]\nsteps=1,2 # ,3\n").net.integers("steps") == (1, 2)


def test_printing_and_parsing_are_inverse():
    text = format_cfg(parse_cfg(SMALL))
    assert format_cfg(parse_cfg(text)) == text
    assert "anchors=10,13,16,30.5,33,23\n" in text


def test_the_bytes_of_a_file_are_kept(tmp_path):
    content = SMALL.replace("\n", "\r\n").encode() + b"# \xff\xfe not UTF-8"
    path = tmp_path / "odd.cfg"
    path.write_bytes(content)
    assert cfg_bytes(read_cfg(path)) == content


def test_one_option_is_changed_and_all_other_text_kept():
    cfg = parse_cfg(SMALL.replace("\n", "\r\n"))
    changed = replace_option(cfg, cfg.layers[0], "filters", "8")
    assert changed.text == cfg.text.replace("filters=16\r\n", "filters=8\r\n")


@pytest.mark.parametrize(
    ("text", "line", "got"),
    [
        ("width=3\n", 1, "width=3"),
        ("[net]\nwidth\n", 2, "width"),
        ("[net]\n=3\n", 2, "=3"),
        ("[net\n", 1, "[net"),
        ("[convolutional]\n", 1, "convolutional"),
    ],
)
def test_what_is_no_cfg_is_refused_with_its_line(text, line, got):
    with pytest.raises(ValueError, match=f"x.cfg:{line}: expected.*") as caught:
        parse_cfg(text, "x.cfg")
    assert got in str(caught.value)


def test_a_file_without_sections_is_refused():
    with pytest.raises(ValueError, match="without sections"):
        parse_cfg("# only a remark\n")


def test_what_is_no_number_is_refused_with_its_line():
    cfg = parse_cfg("[net]\nwidth=wide\nheight=1.5\n", "x.cfg")
    with pytest.raises(ValueError, match="x.cfg:2: expected a whole number for 'width'"):
        cfg.net.integer("width")
    with pytest.raises(ValueError, match="x.cfg:3"):
        cfg.net.integer("height")
    with pytest.raises(ValueError, match="expected 'depth='"):
        cfg.net.text("depth")


def test_sources_are_relative_or_absolute():
    layers = resolve_layers(parse_cfg(SMALL))
    assert [layer.sources for layer in layers] == [(IMAGE,), (0,), (1,), (0, 0)]
    assert [layer.out_shape for layer in layers] == [(16, 32, 16), (16, 32, 14), (16, 32, 14), (16, 32, 32)]


def test_shapes_follow_darknets_formulas():
    # (in + 2*1 - 3) // 2 + 1: 9 -> 5, 8 -> 4
    assert shapes_of("[convolutional]\nfilters=4\nsize=3\nstride=2\npad=1\n", width=8, height=9) == [(5, 4, 4)]
    # padding = size // 2 = 1 with size 2: (8 + 2 - 2) // 1 + 1 = 9
    assert shapes_of("[convolutional]\nfilters=4\nsize=2\npad=1\n", width=8, height=8) == [(9, 9, 4)]
    # total padding size - 1: (7 + 1 - 2) // 2 + 1 = 4;  with none: (7 - 2) // 2 + 1 = 3
    assert shapes_of("[maxpool]\nsize=2\nstride=2\n", width=7, height=7) == [(4, 4, 3)]
    assert shapes_of("[maxpool]\nsize=2\nstride=2\npadding=0\n", width=7, height=7) == [(3, 3, 3)]
    assert shapes_of("[maxpool]\nsize=2\nstride=1\n", width=13, height=13) == [(13, 13, 3)]
    assert shapes_of("[upsample]\n", width=4, height=2) == [(4, 8, 3)]
    assert shapes_of("[convolutional]\nfilters=8\n[reorg]\nstride=2\n", width=4, height=4)[1] == (2, 2, 32)
    assert shapes_of("[avgpool]\n[connected]\noutput=7\n") == [(1, 1, 3), (1, 1, 7)]
    assert shapes_of("[local]\nfilters=2\nsize=3\nstride=2\npad=1\n", width=8, height=8) == [(4, 4, 2)]


def test_a_route_takes_one_group_of_each_layer():
    layers = "[convolutional]\nfilters=8\n[route]\nlayers=-1\ngroups=2\ngroup_id=1\n[route]\nlayers=-1,0\n"
    assert [shape[2] for shape in shapes_of(layers)] == [8, 4, 12]


def test_heads_say_anchors_masks_and_the_rest():
    (head,) = yolo_heads(parse_cfg(SMALL))
    np.testing.assert_array_equal(head.anchors, [[10, 13], [16, 30.5], [33, 23]])
    assert (head.mask, head.classes, head.scale_x_y, head.ignore_thresh) == ((1, 2), 2, 1.1, 0.7)
    assert (head.grid_shape, head.stride) == ((16, 32), 2)


def test_outputs_are_read_by_the_heads_or_the_last_layer():
    assert output_indices(parse_cfg(SMALL)) == (1,)
    assert output_indices(cfg_of("[convolutional]\n[maxpool]\n")) == (1,)
    assert needs_fixed_size(cfg_of("[connected]\n")) and not needs_fixed_size(parse_cfg(SMALL))


def test_heads_for_other_classes_change_two_lines():
    cfg = parse_cfg(SMALL)
    other = with_classes(cfg, 5)
    assert other.text == cfg.text.replace("filters=14", "filters=20").replace("classes=2", "classes=5")
    assert yolo_heads(other)[0].classes == 5


def test_filters_that_do_not_fit_the_classes_are_refused():
    with pytest.raises(ValueError, match=r"2 anchors \* \(5 \+ 2 classes\) = 14 filters before \[yolo\], got 21"):
        resolve_layers(parse_cfg(SMALL.replace("filters=14", "filters=21")))


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ("[convolutional]\n\n[lstm]\n", ("some.cfg:7", "[lstm]")),
        ("[convolutional]\nactivation=relu6\n", ("some.cfg:6", "relu6")),
        ("[convolutional]\nxnor=1\n", ("some.cfg:6", "xnor=1")),
        ("[convolutional]\ngroups=2\n", ("3 channels",)),
        ("[convolutional]\nfilters=0\n", ("filters", "got 0")),
        ("[convolutional]\nsize=3\ndilation=2\n", ("dilation",)),
        ("[convolutional]\nsize=40\n", ("large enough", "32x32x3")),
        ("[convolutional]\ndontload=1\n", ("dontload",)),
        ("[maxpool]\nsize=2\npadding=2\n", ("0 to size - 1",)),
        ("[route]\nlayers=-1\n", ("before it",)),
        ("[convolutional]\n[route]\nlayers=5\n", ("got 5",)),
        ("[convolutional]\n[maxpool]\nstride=2\n[route]\nlayers=0,1\n", ("one size", "32x32x1, 16x16x1")),
        ("[convolutional]\n[maxpool]\nstride=2\n[shortcut]\nfrom=0\n", ("one shape",)),
        ("[convolutional]\n[shortcut]\nfrom=-1\nweights_type=per_channel\n", ("weights_type",)),
        ("[convolutional]\n[route]\nlayers=0\ngroup_id=1\n", ("group_id",)),
        ("[convolutional]\n[scale_channels]\nfrom=-1\n", ("1x1x1",)),
        ("[local]\nsize=5\npad=1\n", ("size=5",)),
        ("[dropout]\nprobability=1\n", ("probability",)),
        ("[reorg]\nstride=2\n", ("stride",)),
        ("[crop]\ncrop_height=64\ncrop_width=8\n", ("64x8",)),
        ("[softmax]\n", ("vector",)),
        (
            "[connected]\noutput=9\n[detection]\nside=1\nclasses=2\nnum=1\ncoords=4\n",
            ("= 7 numbers", "got 9"),
        ),
        ("[convolutional]\nfilters=7\n[yolo]\nclasses=2\nnum=1\nmask=1\n", ("mask",)),
    ],
)
def test_what_is_not_computed_is_refused_by_name_and_line(layers, words):
    refused(layers, *words)


def test_a_neutral_value_of_an_option_is_accepted():
    assert shapes_of("[convolutional]\nxnor=0\nfilters=2\n[shortcut]\nfrom=-1\nweights_type=none\n")[-1] == (
        32,
        32,
        2,
    )


@pytest.mark.skipif(not CFGS.is_dir(), reason="needs ../shared/data")
@pytest.mark.parametrize(
    "name", ["yolov3", "yolov3-tiny", "yolov3-spp", "yolov3-voc", "yolov1", "yolov1-tiny", "darknet53"]
)
def test_darknets_own_cfgs_are_understood(name):
    cfg = read_cfg(CFGS / f"{name}.cfg")
    assert cfg_bytes(cfg) == (CFGS / f"{name}.cfg").read_bytes()
    assert format_cfg(parse_cfg(format_cfg(cfg))) == format_cfg(cfg)
    assert resolve_layers(cfg)[-1].out_shape[2] in (255, 75, 1715, 1470, 1000)


def test_parsing_needs_no_tensorflow():
    code = (
        "import sys, yolo3.darknet.cfg, yolo3.darknet.weights; sys.exit('tensorflow' "
        "in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
