"""Fonts that can write a text: DejaVu Sans, which matplotlib carries with it, else one that this machine has.

ASCII is written without an import of matplotlib, which takes long; where it is not installed, with Pillow's own font.
"""

import importlib.util
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont


def _carried_font() -> str:
    """Return the path of DejaVu Sans within matplotlib, "" where that is not installed."""
    found = importlib.util.find_spec("matplotlib")
    folders = (found and found.submodule_search_locations) or []
    paths = (Path(folder, "mpl-data", "fonts", "ttf", "DejaVuSans.ttf") for folder in folders)
    return next((str(path) for path in paths if path.is_file()), "")


DEFAULT_FONT = _carried_font()  # "" is Pillow's own


@lru_cache(maxsize=64)
def load_font(path: str, size: int) -> ImageFont.FreeTypeFont:
    """Return the font of a file, "" for Pillow's own, at this size in pixels."""
    return ImageFont.truetype(path, size) if path else ImageFont.load_default(size)  # type: ignore[return-value]


def fit_text(text: str, size: int, width: float) -> tuple[str, ImageFont.FreeTypeFont]:
    """Return the text, shortened with an ellipsis where it is wider than ``width`` pixels, and its font."""
    path = find_font(text)
    font = load_font(DEFAULT_FONT if path is None else path, size)
    kept = len(text)
    while kept > 1 and font.getlength(text) > width:
        kept -= 1
        text = text[:kept] + "…"
    return text, font


@lru_cache(maxsize=2048)
def find_font(text: str) -> str | None:
    """Return the file of a font with all letters of the text, ``None`` where there is none."""
    if text.isascii():
        return DEFAULT_FONT
    try:
        from matplotlib.font_manager import fontManager
    except ImportError:
        return None
    letters = frozenset(map(ord, text))
    if letters <= _letters_of(DEFAULT_FONT):
        return DEFAULT_FONT

    def rank(font):  # upright sans serif of normal weight first
        unusual = font.style != "normal", font.weight not in (400, "normal", "regular"), "Sans" not in font.name
        return unusual, font.fname

    wanted = letters | frozenset(range(32, 127))  # a score is written after the name
    fonts = sorted((font for font in fontManager.ttflist if "Last Resort" not in font.name), key=rank)
    return next((font.fname for font in fonts if wanted <= _letters_of(font.fname)), None)


@lru_cache(maxsize=4096)
def _letters_of(path: str) -> frozenset[int]:
    """Return the code points that a font file has a glyph for; none if it cannot be read."""
    from matplotlib.ft2font import FT2Font

    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
