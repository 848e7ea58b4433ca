"""Cfg text."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.darknet.networks import SMALL
from yolo3.darknet.cfg import cfg_bytes, format_cfg, parse_cfg, read_cfg, replace_option


def test_sections_options_and_lines_are_found():
    cfg = parse_cfg(SMALL, "small.cfg")
    assert [section.name for section in cfg.layers] == ["convolutional", "convolutional", "yolo", "route"]
    assert cfg.input_shape == (32, 64, 3)
    assert cfg.layers[0].line == 7 and cfg.layers[0].where("size") == "small.cfg:10"
    assert cfg.layers[2].numbers("anchors") == (10, 13, 16, 30.5, 33, 23)


def test_blanks_are_ignored_and_short_section_names_mean_the_long_ones():
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


def test_a_comment_ends_a_list_of_numbers():
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
    changed = replace_option(cfg, cfg.layers[0], key="filters", value="8")
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
def test_text_that_is_not_a_cfg_is_refused_with_its_line(text, line, got):
    with pytest.raises(ValueError, match=f"x.cfg:{line}: expected.*") as caught:
        parse_cfg(text, "x.cfg")
    assert got in str(caught.value)


def test_a_file_without_sections_is_refused():
    with pytest.raises(ValueError, match="without sections"):
        parse_cfg("# only a comment\n")


def test_text_that_is_not_a_number_is_refused_with_its_line():
    cfg = parse_cfg("[net]\nwidth=wide\nheight=1.5\n", "x.cfg")
    with pytest.raises(ValueError, match="x.cfg:2: expected a whole number for 'width'"):
        cfg.net.integer("width")
    with pytest.raises(ValueError, match="x.cfg:3"):
        cfg.net.integer("height")
    with pytest.raises(ValueError, match="expected 'depth='"):
        cfg.net.text("depth")


def test_parsing_needs_no_tensorflow():
    code = (
        "import sys, yolo3.darknet.cfg, yolo3.darknet.weights; sys.exit('tensorflow' "
        "in sys.modules or 'keras' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0


@pytest.mark.parametrize("value", ["10,13  16,30", "10 13,16,30", "10,13,16\t30"])
def test_a_missing_comma_is_told_where_it_is_missing(value):
    section = parse_cfg(f"[net]\n[yolo]\nanchors = {value}  # w,h\nmask = 0\n").layers[0]
    with pytest.raises(ValueError, match="cfg:3: expected .* for 'anchors', got .* without a comma"):
        section.numbers("anchors")
    assert section.integers("mask") == (0,)


@pytest.mark.parametrize("value", ["nan", "inf", "1e999", "9" * 400])
def test_numbers_are_finite(value):
    section = parse_cfg(f"[net]\nmomentum={value}\n").net
    with pytest.raises(ValueError, match="cfg:2: expected a number for 'momentum'"):
        section.number("momentum")
