"""Which columns of a CSV file hold image, class and box: by its header, else by what its first row holds."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from yolo3.datasets.images import IMAGE_SUFFIXES
from yolo3.datasets.json_values import finite_number
from yolo3.files import has_suffix, read_text, text_head

_BYTES_LOOKED_AT = 1 << 13
_DELIMITERS = (",", ";", "\t", "|")

# Names of columns, in lower case without blanks and signs, best first, for each thing that a row says.
_NAMES = {
    "image": "path filepath imagepath filename file imagefilename image imagename imgname img "
    "imagefile imgfile imgpath fname photo imageid imageurl frame",
    "class": "classname labelname categoryname class label category name object tag classid categoryid labelid",
    "x_min": "xmin x1 left xtl bboxxmin minx boxxmin",
    "y_min": "ymin y1 top ytl bboxymin miny boxymin",
    "x_max": "xmax x2 right xbr bboxxmax maxx boxxmax",
    "y_max": "ymax y2 bottom ybr bboxymax maxy boxymax",
    "x": "x bboxx boxx xmin x1 left",
    "y": "y bboxy boxy ymin y1 top",
    "x_centre": "xcenter xcentre centerx centrex cx",
    "y_centre": "ycenter ycentre centery centrey cy",
    "box_width": "w bboxwidth boxwidth bboxw width",
    "box_height": "h bboxheight boxheight bboxh height",
    "bbox": "bbox box boundingbox",
    "image_width": "imagewidth imgwidth imwidth width",
    "image_height": "imageheight imgheight imheight height",
    "list": "split set subset usage partition",
    "difficult": "difficult isdifficult",
    "crowd": "iscrowd crowd isgroupof",
    "score": "score",
}
_LIKE_A_CLASS = re.compile("class|label|categor|species|(?<!shape)(?<!region)type$")  # "cell_type"
_CORNERS = ("x_min", "y_min", "x_max", "y_max")
_SIDES = ("box_width", "box_height")
# What a box can be given by, best first; in the order of its numbers.
_BOXES = (_CORNERS, ("x", "y", *_SIDES), ("x_centre", "y_centre", *_SIDES), ("bbox",))
BOX_ROLES = (*_CORNERS, "x", "y", "x_centre", "y_centre", *_SIDES, "bbox")
# Rows without a header, as patterns of cells: "i" an image, "n" a number or nothing, "t" text, "s" the name of a list.
_PATTERNS = {
    "innnnt": ("image", *_CORNERS, "class"),  # keras-retinanet
    "innnni": ("image", *_CORNERS, "class"),  # the same: a class that ends as an image does
    "innnnn": ("image", *_CORNERS, "class"),  # the same: class ids, or a background image
    "itnnnn": ("image", "class", *_CORNERS),
    "inntnnnn": ("image", "image_width", "image_height", "class", *_CORNERS),  # TensorFlow's tutorials
    "tnnnninn": ("class", "x", "y", "box_width", "box_height", "image", "image_width", "image_height"),  # Make Sense
    "sitnnnnnnnn": ("list", "image", "class", "x_min", "y_min", "", "", "x_max", "y_max", "", ""),  # Google's AutoML
}
_LISTS_OF_AUTOML = ("TRAIN", "TRAINING", "VALIDATE", "VALIDATION", "TEST", "UNASSIGNED")


@dataclass(frozen=True)
class Columns:
    """Where a CSV file holds what.

    Attributes:
        delimiter: What separates its cells.
        has_header: Whether its first row names the columns.
        of: Column number of "image", "class", "x_min", ...
        num_cells: Number of cells of each row.
    """

    delimiter: str
    has_header: bool
    of: dict[str, int]
    num_cells: int


def find_columns(path: str) -> Columns | None:
    """Recognise a CSV file of boxes by its first bytes.

    Args:
        path: Path of the file.

    Returns:
        Its columns, None for any other file.
    """
    lines = text_head(path, _BYTES_LOOKED_AT).splitlines()
    for delimiter in _DELIMITERS:
        try:
            _, first = next(_rows_of(lines, delimiter), (0, []))
        except csv.Error:
            continue
        of = _named_columns(first)
        if of is not None:
            return Columns(delimiter, has_header=True, of=of, num_cells=len(first))
        roles = _PATTERNS.get("".join(_kind_of(cell, at) for at, cell in enumerate(first)))
        if roles is not None:
            of = {role: at for at, role in enumerate(roles) if role}
            return Columns(delimiter, has_header=False, of=of, num_cells=len(first))
    return None


def read_rows(path: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, cells without blanks around them) of each row that is not empty.

    Args:
        path: Path of the CSV file.
        delimiter: What separates its cells.

    Yields:
        The rows; one in quotes may run over several lines, and is that of its first.

    Raises:
        ValueError: If the file is no CSV, such as where a quote is never closed; the message has the line.
    """
    line = 0
    try:
        for line, cells in _rows_of(io.StringIO(read_text(path), newline=""), delimiter):
            yield line, cells
    except csv.Error as error:
        message = f"expected CSV, got '{error}' (is a quote never closed?); repair the file"
        raise ValueError(f"{path}:{line + 1}: {message}") from error


def parse_number(text: str, delimiter: str = ",") -> float:
    """Return a finite number, with a decimal comma too where the comma does not separate cells; NaN for other text."""
    number = finite_number(text.replace(",", ".") if delimiter != "," else text)
    return math.nan if number is None else number


def _rows_of(lines: Sequence[str] | io.StringIO, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    before = 0
    for row in reader:
        line, before = before + 1, reader.line_num
        cells = [cell.strip() for cell in row]
        if any(cells) and not cells[0].startswith("#") and not cells[0].startswith("sep="):  # "sep=;" is Excel's
            yield line, cells


def _named_columns(header: Sequence[str]) -> dict[str, int] | None:
    """Return the columns of a header, None if it has no image or no box, or holds scores of detections."""
    names = [re.sub(r"[^a-z0-9]", "", cell.lower()) for cell in header]
    of = {}
    for role, known in _NAMES.items():
        found = next((name for name in known.split() if name in names), None)
        if found is not None:
            of[role] = names.index(found)

    if "class" not in of:
        alike = [at for at, name in enumerate(names) if _LIKE_A_CLASS.search(name) and at not in of.values()]
        of |= {"class": alike[0]} if alike else {}

    box = next((roles for roles in _BOXES if all(role in of for role in roles)), None)
    if box is None or "image" not in of or "score" in of:
        return None
    if "box_width" in box:  # then a bare "width" is that of the box
        for side in ("width", "height"):
            if of.get(f"image_{side}") == of[f"box_{side}"]:
                del of[f"image_{side}"]
    kept = ("image", "class", "image_width", "image_height", "list", "difficult", "crowd", *box)
    return {role: at for role, at in of.items() if role in kept}


def _kind_of(cell: str, at: int) -> str:
    """Return the letter of a cell in `_PATTERNS`."""
    if has_suffix(cell, IMAGE_SUFFIXES):
        return "i"
    if at == 0 and cell.upper() in _LISTS_OF_AUTOML:
        return "s"
    return "n" if not cell or not math.isnan(parse_number(cell)) else "t"
