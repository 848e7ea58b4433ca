"""One XML file of Pascal VOC."""

import contextlib
import time

import pytest

from yolo3.datasets.formats.voc_xml import is_voc_xml, parse_xml

BOX = "<bndbox><xmin>11</xmin><ymin>21</ymin><xmax>50</xmax><ymax>60</ymax></bndbox>"


def parse(tmp_path, text):
    (tmp_path / "a.xml").write_text(text)
    return parse_xml(str(tmp_path / "a.xml"))


def test_an_object_is_read_with_its_line(tmp_path):
    text = f"<annotation>\n<!-- <object> -->\n<object>\n<name> cat </name>\n{BOX}</object></annotation>"
    (item,) = parse(tmp_path, text).objects
    assert (item.name, item.xyxy, item.difficult, item.line) == ("cat", (10, 20, 50, 60), False, 3)


def test_the_first_of_several_elements_with_the_same_name_counts(tmp_path):
    parts = "<part><name>ear</name></part><name>cat</name><name>dog</name>"
    (item,) = parse(tmp_path, f"<annotation><object>{parts}{BOX}</object></annotation>").objects
    assert item.name == "cat"


def test_a_second_box_in_an_object_is_reported_with_its_line(tmp_path):
    found = parse(tmp_path, f"<annotation>\n<object><name>cat</name>{BOX}{BOX}</object></annotation>")
    ((line, message),) = found.faults
    assert line == 2 and "got several for 'cat'" in message and not found.objects


@pytest.mark.parametrize(
    "text, line", [("", 1), ("<annotation>\n<object>\n</annotation>", 3), ("<annotation>\n<object 1/></annotation>", 2)]
)
def test_malformed_files_are_reported_with_the_line(tmp_path, text, line):
    with pytest.raises(ValueError, match=rf"a\.xml:{line}: expected well-formed XML, got '[^']+'; repair the file"):
        parse(tmp_path, text)


def test_entities_that_a_file_defines_are_not_expanded(tmp_path):
    head = '<!DOCTYPE annotation [<!ENTITY own "cat"><!ENTITY host SYSTEM "file:///etc/hostname">]>'
    for name in ("own", "host"):
        body = f"<filename>&{name};</filename><object><name>a&amp;b</name>{BOX}</object>"
        found = parse(tmp_path, f"{head}<annotation>{body}</annotation>")
        assert found.filename == "" and found.objects[0].name == "a&b"


def test_entities_that_multiply_are_refused_at_once(tmp_path):
    levels = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(9))  # 10^9 times "ha"
    start = time.perf_counter()
    with pytest.raises(ValueError, match="a.xml:1: expected well-formed XML"):
        parse(tmp_path, f'<!DOCTYPE annotation [<!ENTITY e0 "ha">{levels}]><annotation>&e9;</annotation>')
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    "prolog",
    [
        "",
        "\n<?xml version='1.0' encoding='utf-8'?>\n",
        f"<!-- licence {'x' * 10_000} -->",
        "<?xml version='1.0'?><!-- <object> --><?tool a?><!DOCTYPE annotation>",
        '<!DOCTYPE annotation [<!ENTITY a "<annotations>">]>',
    ],
)
def test_an_annotation_is_recognised_behind_any_prolog(tmp_path, prolog):
    for encoding in ("utf-8", "utf-16"):
        head = prolog.replace("utf-8", encoding)
        (tmp_path / "a.xml").write_text(f"{head}<annotation><object/></annotation>", encoding)
        assert is_voc_xml(str(tmp_path / "a.xml"))
        (tmp_path / "a.xml").write_text(f"{head}<annotations><annotation/></annotations>", encoding)
        assert not is_voc_xml(str(tmp_path / "a.xml"))


@pytest.mark.parametrize(
    "text",
    [
        f"<annotation><x><![CDATA[{'<!--' * 250_000}]]></x><object><name>cat</name>{BOX}</object></annotation>",
        f"<annotation>{'<!--' * 250_000}",
        f"{'<!--' * 250_000}<annotation/>",
        f"{'<?' * 250_000}<annotation/>",
        f"{'<!DOCTYPE ' * 100_000}<annotation/>",
        f"<annotation>{'<a>' * 250_000}",
        f"<?xml {'x' * 1_000_000}<annotation/>",
        f"<annotation>{'&lt;' * 250_000}</annotation>",
    ],
)
def test_text_made_to_take_long_is_read_or_refused_at_once(tmp_path, text):
    (tmp_path / "a.xml").write_text(text)
    start = time.perf_counter()
    is_voc_xml(str(tmp_path / "a.xml"))
    with contextlib.suppress(ValueError):
        parse_xml(str(tmp_path / "a.xml"))
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-inf", "1" * 400, "1e999", "0x10", ""])
def test_corners_are_finite_numbers(tmp_path, value):
    found = parse(tmp_path, f"<annotation><object><name>cat</name>{BOX.replace('50', value)}</object></annotation>")
    ((line, message),) = found.faults
    assert line == 1 and message.startswith("expected a number in <xmax>") and not found.objects
