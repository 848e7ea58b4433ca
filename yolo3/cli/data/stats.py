"""``yolo3 data stats``: show what is in a data set."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from yolo3.cli.data.reading import add_reading_options, read_for
from yolo3.cli.options import add_settings, option_type
from yolo3.cli.running import run_command
from yolo3.datasets.dataset_stats import DatasetStats
from yolo3.outputs import check_outputs
from yolo3.settings import COUNT
from yolo3.training.settings import TrainConfig

_SIZES_SHOWN, _GROUPS_SHOWN = 3, 3
_SHEET_IMAGES = 12


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``yolo3 data stats``."""
    parser = argparse.ArgumentParser(
        prog="yolo3 data stats",
        description="Show what is in a data set: classes, lists, sizes of images and boxes, objects an image, images "
        "that look alike, faults, and a sheet of images with their boxes.",
    )
    parser.add_argument("data", metavar="DATA", help="annotations: a file or a folder")
    add_settings(parser, TrainConfig, ["format"])
    add_reading_options(parser)
    add_settings(parser, TrainConfig, ["input_size", "resize"])
    parser.add_argument("--sheet", metavar="FILE.png", help="draw images with their boxes, some of every class")
    parser.add_argument(
        "--sheet-images",
        type=option_type(COUNT.parse),
        default=_SHEET_IMAGES,
        metavar="N",
        help="images in the sheet (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 after a user's mistake."""
    arguments = build_parser().parse_args(argv)
    return run_command("yolo3 data stats", lambda: _stats(arguments))


def _stats(arguments: argparse.Namespace) -> int:
    from yolo3.datasets.dataset_stats import dataset_stats
    from yolo3.datasets.images import write_image
    from yolo3.evaluation.coco import SIZES
    from yolo3.visualize.sheets import draw_ground_truth

    check_outputs(arguments.sheet)
    listed = read_for(arguments, arguments.format, stop=False)
    stats = dataset_stats(listed, arguments.input_size, arguments.resize, SIZES)
    if arguments.sheet:
        sheet = draw_ground_truth(listed.dataset.annotations, listed.dataset.class_names, most=arguments.sheet_images)
        write_image(arguments.sheet, sheet)

    print(json.dumps(asdict(stats), indent=2) if arguments.json else in_words(stats, arguments.input_size))
    if arguments.sheet and not arguments.json:
        print(f"sheet         {arguments.sheet}")
    return 0


def in_words(stats: DatasetStats, input_shape: tuple[int, int]) -> str:
    """Return the numbers as text."""
    lines = [
        f"{stats.name}: {stats.num_images:,} images with {stats.num_boxes:,} boxes of {len(stats.classes)} classes "
        f"({stats.format})",
        "",
        *_class_table(stats),
        "",
    ]
    lists = [f"{name} {counts['images']:,}" for name, counts in stats.lists.items()]
    lists += [f"in no list {stats.in_no_list:,}"] if stats.in_no_list else []
    lines.append(f"lists         {', '.join(lists) or 'none'}")

    sizes = [f"{size} ({count:,})" for size, count in list(stats.image_sizes.items())[:_SIZES_SHOWN]]
    others = len(stats.image_sizes) - len(sizes)
    lines.append(f"image sizes   {', '.join(sizes)}{f' and {others:,} others' if others else ''}")
    if others:
        lines.append(f"longer side   {_spread(stats.image_sides, '{:.0f}')} pixels")
    lines.append(f"objects       {_spread(stats.objects[:-1], '{:.0f}')} an image, mean {stats.objects[-1]:.1f}")
    if stats.box_sides:
        lines.append(f"box sides     {_spread([100 * side for side in stats.box_sides], '{:.1f}')} % of the image")
        height, width = input_shape
        parts = [f"{name} {count / stats.num_boxes:.1%}" for name, count in stats.size_groups.items()]
        lines.append(f"box areas     {', '.join(parts)} (COCO's, in a {width} x {height} input)")
    marks = {"difficult": stats.num_difficult, "crowd regions": stats.num_crowd}
    lines += (
        [f"marks         {', '.join(f'{n:,} {mark}' for mark, n in marks.items() if n)}"] if any(marks.values()) else []
    )

    if stats.groups:
        count = sum(map(len, stats.groups))
        lines.append(
            f"alike         {count:,} images, equal, nearly equal or frames of one film; "
            f"groups: {len(stats.groups):,}, of which in several lists: {stats.groups_across_lists:,}"
        )
        for group in stats.groups[:_GROUPS_SHOWN]:
            more = f" and {len(group) - 2:,} more" if len(group) > 2 else ""
            lines.append(f"                {group[0]}, {group[1]}{more}")
    findings = ", ".join(f"{count:,} {kind}" for kind, count in stats.findings.items())
    lines.append(f"findings      {findings or 'none'}")
    return "\n".join(lines)


def _class_table(stats: DatasetStats) -> list[str]:
    """Return a line for each class, the share of all images and boxes beside the numbers."""
    rows = [["class", "images", "", "boxes", ""]]
    for name, counts in stats.classes.items():
        images, boxes = counts["images"], counts["boxes"]
        shares = images / stats.num_images, boxes / max(stats.num_boxes, 1)
        rows.append([name, f"{images:,}", f"{shares[0]:.1%}", f"{boxes:,}", f"{shares[1]:.1%}"])
    if stats.background:
        rows.append(["(no object)", f"{stats.background:,}", f"{stats.background / stats.num_images:.1%}", "", ""])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]).rstrip()
        for row in rows
    ]


def _spread(values: Sequence[float], form: str) -> str:
    """Return "1 to 28, median 12, 90 % from 4 to 25"."""
    least, low, middle, high, most = (form.format(value) for value in values)
    return least if least == most else f"{least} to {most}, median {middle}, 90 % from {low} to {high}"
