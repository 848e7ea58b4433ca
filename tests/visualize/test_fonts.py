"""Fonts: the usual one where it has all letters, another where it lacks some."""

import subprocess
import sys

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


def test_ascii_is_written_without_matplotlib_installed_or_imported():
    script = (
        "import sys\n"
        "from yolo3.visualize import fonts\n"
        "assert fonts.fit_text('cat 0.50', 12, 200.0)[1].getlength('cat') > 10\n"
        "assert 'matplotlib.font_manager' not in sys.modules\n"
    )
    for start in ("", "import sys; sys.modules['matplotlib'] = None  # as if it were not installed\n"):
        done = subprocess.run([sys.executable, "-c", start + script], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
