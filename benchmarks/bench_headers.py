"""Microseconds per file for sizes from image headers (ours, Pillow) and for Pascal VOC's XML (ours by lxml, xml.etree).

    python benchmarks/bench_headers.py --data bccd

`--data`: a Pascal VOC folder. All take turns after one untimed round over all files; medians with the smallest and
largest, in time of the processor, which other work disturbs less. The answers are compared first.
"""

import argparse
import json
import statistics
import time
import xml.etree.ElementTree as ET
from pathlib import Path

from PIL import Image

from yolo3.datasets.formats.voc_xml import parse_xml
from yolo3.datasets.image_size import image_size
from yolo3.datasets.images import IMAGE_SUFFIXES
from yolo3.files import has_suffix, walk_files

_ORIENTATION_TAG = 0x0112


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", metavar="FILE")
    return parser


def size_by_pillow(path: str) -> tuple[int, int]:
    """Return (height, width) of the upright image; `getexif` would decode a PNG and look at XMP."""
    with Image.open(path) as image:
        width, height = image.size
        exif = Image.Exif()
        exif.load(image.info.get("exif", b""))
    return (width, height) if exif.get(_ORIENTATION_TAG, 1) >= 5 else (height, width)


def objects_by_lxml(path: str) -> list[tuple]:
    """Return (name, xmin, ymin, xmax, ymax) of each object."""
    return [
        (item.name, item.xyxy[0] + 1, item.xyxy[1] + 1, item.xyxy[2], item.xyxy[3]) for item in parse_xml(path).objects
    ]


def objects_by_etree(path: str) -> list[tuple]:
    """Return the same without the lines of the objects, which xml.etree does not know."""
    objects = []
    for element in ET.parse(path).getroot().findall("object"):
        box = element.find("bndbox")
        corners = (float(box.findtext(tag)) for tag in ("xmin", "ymin", "xmax", "ymax"))
        objects.append((element.findtext("name").strip(), *corners))
    return objects


def main(argv=None) -> int:
    """Run the benchmark and print its table."""
    arguments = build_parser().parse_args(argv)
    files = list(walk_files(arguments.data))
    images = [file for file in files if has_suffix(file, IMAGE_SUFFIXES)]
    xml = [file for file in files if has_suffix(file, ".xml")]
    rows = {
        "size, ours": (image_size, images),
        "size, Pillow": (size_by_pillow, images),
        "XML, lxml": (objects_by_lxml, xml),
        "XML, xml.etree": (objects_by_etree, xml),
    }
    for one, other in (("size, ours", "size, Pillow"), ("XML, lxml", "XML, xml.etree")):
        assert [rows[one][0](path) for path in rows[one][1]] == [rows[other][0](path) for path in rows[other][1]]

    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(arguments.rounds):
        for name, (function, paths) in rows.items():
            start = time.process_time()
            for path in paths:
                function(path)
            seconds[name].append((time.process_time() - start) / len(paths))

    results = {
        name: {"median": statistics.median(values) * 1e6, "min": min(values) * 1e6, "max": max(values) * 1e6}
        for name, values in seconds.items()
    }
    for name, result in results.items():
        print("{:<16}{median:8.1f} us a file ({min:.1f} to {max:.1f})".format(name, **result))
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(results, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
