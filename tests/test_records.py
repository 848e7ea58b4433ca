"""Records built from JSON have the declared types, or one line names the field."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import pytest

from yolo3.records import build_record, checked_fields


@dataclass(frozen=True)
class Inner:
    share: float = 0.5


@dataclass(frozen=True)
class Outer:
    name: str | None = None
    size: tuple[int, int] = (1, 2)
    masks: tuple[tuple[int, ...], ...] | None = None
    factor: float | tuple[float, ...] = 1.0
    flag: bool = False
    options: dict[str, Any] | None = None
    inner: Inner = Inner()


def test_a_record_comes_back_from_json():
    record = Outer("a", (3, 4), ((1, 2), (3,)), (1.0, 2.0), True, {"x": 1}, Inner(0.25))
    assert build_record(Outer, json.loads(json.dumps(asdict(record)))) == record


@pytest.mark.parametrize(
    "values, words",
    [
        ({"name": 3}, "name: expected text, got 3"),
        ({"size": [1]}, r"size: expected a list of 2, got \[1\]"),
        ({"size": [1, "2"]}, r"size\[1\]: expected a whole number, got '2'"),
        ({"size": [1, True]}, r"size\[1\]: expected a whole number, got True"),
        ({"size": [1, 10**400]}, r"size\[1\]: expected a whole number, got 1000"),
        ({"masks": [[1], 2]}, r"masks\[1\]: expected a list, got 2"),
        ({"factor": "x"}, "factor: expected a number or a list, got 'x'"),
        ({"factor": float("nan")}, "factor: expected a number or a list, got nan"),
        ({"flag": 1}, "flag: expected true or false, got 1"),
        ({"options": [1]}, r"options: expected an object, got \[1\]"),
        ({"inner": {"share": None}}, "inner: share: expected a number, got None"),
        ({"inner": 5}, "inner: expected an object with fields, got 5"),
        ({"other": 5}, "'other': expected one of the fields of this version"),
        ([], r"expected an object with fields, got \[\]"),
    ],
)
def test_a_value_of_another_type_is_one_line_with_the_field(values, words):
    with pytest.raises(ValueError, match=words) as caught:
        build_record(Outer, values)
    assert len(str(caught.value).splitlines()) == 1


def test_other_keys_can_be_left_aside():
    assert checked_fields(Outer, {"name": "a", "of another version": 1}) == {"name": "a"}


def test_a_deep_value_is_shown_without_recursion():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="name: expected text, got a list"):
        build_record(Outer, {"name": deep})
