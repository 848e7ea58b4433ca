"""Annotation files damaged at random are read or refused in one line, and never end in a traceback or a long wait."""

import json
import random
import time

import cv2
import numpy as np
import pytest

from yolo3.datasets.checks import check_dataset
from yolo3.datasets.formats.registry import read_dataset

BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 50, "height": 50}],
    "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "segmentation": [[1, 2, 3, 4, 5, 6]]}],
    "categories": [{"id": 1, "name": "cat", "supercategory": "pet"}, {"id": 2, "name": "pet"}],
}
FILES = {
    "train.txt": "a.png 1,2,30,40,0 5,6,7,8,1\n'images/b c.png' 1,2,3,4,0\n# x\n",
    "a.txt": "0 .5 .5 .1 .1\n1 .1 .2 .3 .4 .5 .6\n",
    "data.yaml": "path: .\ntrain: images\nval:\n - images\nnc: 2\nnames:\n  0: a\n  1: b\n",
    "obj.data": "classes=2\ntrain = train.txt\nvalid=train.txt\nnames = classes.txt\n",
    "classes.txt": "cat\ndog\n",
    "a.xml": f"<annotation><filename>a.png</filename><object><name>cat</name>{BOX}</object></annotation>",
    "a.json": json.dumps(COCO),
}
PIECES = [b"\0", b"\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\n", b"\r", b" ", b",", b"'", b'"', b":", b"=", b"#", b"%00"]
PIECES += [b"nan", b"1e999", b"9" * 400, b"-1", b"<", b"&x;", b"<!--", b"]", b"{", b"*a", b"&a ", b"\\", b"/", b".."]
PIECES += [b"null", b"true", b"[]", b'"1155"', b"\x1b[31m", "\u2028".encode(), "\u0301".encode()]


def damaged(text, rng):
    """Return text with up to three pieces put in, taken out or replaced."""
    content = bytearray(text.encode())
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(content) + 1)
        piece = rng.choice([b"", *PIECES])
        content[start : start + rng.choice([0, 0, 1, 4, 8])] = piece
    return bytes(content)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_read_or_refused_in_one_line(tmp_path, name):
    (tmp_path / "images").mkdir()
    for shade, path in enumerate(("a.png", "images/a.png", "images/b c.png")):
        cv2.imwrite(str(tmp_path / path), np.full((50, 50, 3), shade, np.uint8))
    others = {"data.yaml": (), "classes.txt": ("train.txt",), "obj.data": ("train.txt", "classes.txt")}.get(name, ())
    for other in others:
        (tmp_path / other).write_text(FILES[other])

    rng = random.Random(name)
    for _ in range(200):
        (tmp_path / name).write_bytes(content := damaged(FILES[name], rng))
        start = time.monotonic()
        for path in (tmp_path, tmp_path / name):
            try:
                check_dataset(read_dataset(path), train=True)
            except (ValueError, OSError) as error:
                message = str(error)
                assert "expected" in message and "\n" not in message and len(message) < 1500, content
        assert time.monotonic() - start < 5, content
