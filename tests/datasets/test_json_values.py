"""Reading JSON that anybody may have written."""

import json
import math

import pytest

from yolo3.datasets.json_values import finite_number, finite_numbers, read_json, show_value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_is_read_in_any_encoding_of_text(tmp_path, encoding):
    (tmp_path / "a.json").write_text('{"name": "Möwe"}', encoding=encoding)
    assert read_json(str(tmp_path / "a.json")) == {"name": "Möwe"}


@pytest.mark.parametrize(
    "text, says",
    [
        ('{\n"a": }', "a.json:2: expected JSON, got 'Expecting value'"),
        ("", "a.json:1: expected JSON"),
        ("[" * 100_000, "got hundreds"),
        ('{"a":' * 100_000, "got hundreds"),
        ("[" + "1" * 5000 + "]", "thousands of digits"),
        (
            '{"annotations": [1], "images": [], "annotations": []}',
            'each key of an object once, got "annotations" again',
        ),
        ('{"a": {"b": 1, "b": 2}}', 'each key .* once, got "b" again'),
    ],
)
def test_what_cannot_be_read_is_one_line_with_the_file(tmp_path, text, says):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=says) as caught:
        read_json(str(tmp_path / "a.json"))
    assert str(tmp_path / "a.json") in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "value, number",
    [
        (3, 3.0),
        ("12.5", 12.5),
        (10**400, None),
        ("1" * 400, None),
        (math.nan, None),
        (1e39, None),
        ("inf", None),
        (True, None),
    ],
)
def test_only_finite_numbers_are_numbers(value, number):
    assert finite_number(value) == number
    assert finite_number([value]) is None


def test_numbers_are_all_finite_or_none():
    assert finite_numbers([1, "2.5"]) == [1.0, 2.5] and finite_numbers([]) == []
    assert finite_numbers([1, None]) is None and finite_numbers("1x") is None


def test_values_in_messages_are_one_short_line():
    nested = json.loads("[" * 900 + "]" * 900)
    for value in (nested, {"a": "x" * 500}, {"a": "b\nc"}, 10**400, object()):
        assert len(show_value(value)) <= 123 and "\n" not in show_value(value)
    assert show_value({"id": 1}) == '{"id": 1}'
