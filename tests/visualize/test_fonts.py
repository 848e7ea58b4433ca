"""Fonts: the usual one where it has all letters, another where it lacks some."""

from matplotlib.font_manager import fontManager

from yolo3.visualize import fonts
from yolo3.visualize.fonts import DEFAULT_FONT, find_font


def test_a_font_has_all_letters_of_the_text():
    assert find_font("cat 0.50") == find_font("Žluťoučký") == find_font("собака") == DEFAULT_FONT
    assert find_font("\U0010fffd") is None


def test_letters_that_the_usual_font_lacks_come_from_another_one():
    stix = next(font.fname for font in fontManager.ttflist if font.name == "STIXGeneral")
    lacking = fonts._letters_of(stix) - fonts._letters_of(DEFAULT_FONT)
    letter = chr(min(number for number in lacking if number > 0x2000))
    path = find_font(f"a{letter}")
    assert path not in (None, DEFAULT_FONT) and {ord(letter), *map(ord, "a .0123456789")} <= fonts._letters_of(path)
