"""Descriptions of settings: ranges, and what a record makes of them."""

from dataclasses import dataclass

import pytest

from yolo3 import settings
from yolo3.settings import COUNT, SHARE, Number, check_settings, setting, settings_in


@dataclass(frozen=True)
class Recipe:
    """A record with a setting of each kind."""

    minutes: int = setting(30, "time in the oven in minutes", number=COUNT)
    salt: float | None = setting(None, lambda: "share of salt", number=SHARE)
    herbs: tuple[str, ...] = setting((), "herbs", choices=lambda: {"thyme": "dried", "sage": "fresh"})
    notes: str = "none"


RANGES = {  # numbers inside and outside, at the borders
    "COUNT": ("1 7", "0 -1 1.5 x"),
    "WHOLE": ("0 7", "-1 0.5"),
    "SHARE": ("0 0.5 1", "-0.1 1.1 nan"),
    "BELOW_ONE": ("0 0.99", "1 -0.1 nan"),
    "BETWEEN": ("0.01 0.99", "0 1 nan"),
    "POSITIVE": ("0.01 9", "0 -1 nan"),
    "NOT_NEGATIVE": ("0 9", "-0.1 nan"),
    "FACTOR": ("1 9", "0.9 nan"),
}


@pytest.mark.parametrize("name", RANGES)
def test_ranges_hold_their_numbers_and_no_others(name):
    number = getattr(settings, name)
    inside, outside = RANGES[name]
    assert [number.parse(text) for text in inside.split()] == [number.kind(text) for text in inside.split()]
    for text in outside.split():
        with pytest.raises(ValueError, match=f"^expected {number.words}, got {text}$"):
            number.parse(text)


def test_every_range_is_tested():
    assert {name for name, value in vars(settings).items() if isinstance(value, Number)} == set(RANGES)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"minutes": 0}, "minutes: expected a whole number above 0, got 0"),
        ({"minutes": None}, None),
        ({"salt": 2.0}, "salt: expected a number from 0 to 1, got 2.0"),
        ({"herbs": ("sage", "nettle")}, "herbs: expected one of thyme, sage, got 'nettle'"),
    ],
)
def test_settings_out_of_range_are_named(wrong, message):
    with pytest.raises((ValueError, TypeError), match=message):
        check_settings(Recipe(**wrong))


def test_settings_in_range_pass_and_so_do_unset_and_skipped_ones():
    check_settings(Recipe())
    check_settings(Recipe(minutes=1, salt=0.5, herbs=("sage",)))
    check_settings(Recipe(minutes=0), but=["minutes"])


def test_fields_without_a_description_are_not_settings():
    described = settings_in(Recipe)
    assert list(described) == ["minutes", "salt", "herbs"]
    default, of_minutes = described["minutes"]
    assert described["salt"][1].text == "share of salt"
    assert described["herbs"][1].text == "herbs: thyme (dried), sage (fresh)"
    assert default == Recipe.minutes == 30 and of_minutes.text == "time in the oven in minutes"
