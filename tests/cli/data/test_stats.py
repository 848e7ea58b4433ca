"""What a data set holds, in words, as JSON, and as a sheet."""

import json

import pytest

from yolo3.cli.data.stats import in_words
from yolo3.cli.main import main
from yolo3.datasets.dataset_stats import dataset_stats
from yolo3.datasets.images import read_image
from yolo3.datasets.listed import read_listed
from yolo3.evaluation.coco import SIZES


def stats(*words):
    return main(["data", "stats", *map(str, words)])


@pytest.fixture
def numbers(small):
    return dataset_stats(read_listed(str(small)), (80, 80), "stretch", SIZES)


def test_classes_lists_and_objects_are_counted(numbers):
    assert (numbers.num_images, numbers.num_boxes, numbers.background) == (5, 8, 1)
    assert numbers.classes["zebra"] == {"images": 2, "boxes": 2} and numbers.classes["cat"] == {"images": 4, "boxes": 4}
    assert numbers.classes["never seen"] == {"images": 0, "boxes": 0}
    assert numbers.lists == {"train": {"images": 3, "boxes": 6}, "val": {"images": 2, "boxes": 2}}
    assert numbers.objects[0] == 0 and numbers.objects[-1] == pytest.approx(8 / 5)
    assert (numbers.num_difficult, numbers.num_crowd) == (1, 0)


def test_sizes_are_those_of_images_and_of_boxes_in_the_network(numbers):
    assert numbers.image_sizes == {"60 x 40": 5} and numbers.image_sides == [60] * 5
    # Boxes of 16.75 x 26.5 and 20 x 30 pixels in 60 x 40: sqrt(443.9 / 2400) and sqrt(600 / 2400) of the image.
    assert numbers.box_sides[0] == pytest.approx(0.4300, abs=1e-3) and numbers.box_sides[-1] == pytest.approx(0.5)
    # Stretched to 80 x 80: 22.3 x 53 pixels, a square of 34.4; and 26.7 x 60, one of 40.
    assert numbers.size_groups == {"small": 0, "medium": 8, "large": 0}


def test_images_that_look_alike_in_two_lists_are_counted(small):
    images = small / "JPEGImages"
    names = sorted(path.name for path in images.iterdir())
    (images / names[-1]).write_bytes((images / names[0]).read_bytes())  # of val, and of train
    (images / names[1]).write_bytes((images / names[2]).read_bytes())
    found = dataset_stats(read_listed(str(small)), (80, 80), "stretch", SIZES)
    lists = {
        name: {stem_line for stem_line in (small / "ImageSets" / "Main" / f"{name}.txt").read_text().split()}
        for name in ("train", "val")
    }
    assert len(found.groups) == 2 and all(
        len(group) == 2 and group[0].startswith("JPEGImages") for group in found.groups
    )
    across = sum(
        len({name for name in lists for path in group if path.split("/")[-1].split(".")[0] in lists[name]}) == 2
        for group in found.groups
    )
    assert found.groups_across_lists == across >= 1


def test_the_numbers_are_printed_in_words_and_as_json(small, capsys):
    assert stats(small) == 0
    said = capsys.readouterr().out
    assert "5 images with 8 boxes of 4 classes (voc)" in said and "lists         train 3, val 2" in said
    assert "in a 416 x 416 input" in said and "1 warning unused-class" in said
    assert stats(small, "--json", "--list", "val") == 0
    assert json.loads(capsys.readouterr().out)["num_images"] == 2


def test_the_sheet_shows_every_class(small, tmp_path, capsys):
    assert stats(small, "--sheet", tmp_path / "sheet.png", "--sheet-images", "2") == 0
    height, width = read_image(tmp_path / "sheet.png").shape[:2]
    assert width > 2 * 640 > height  # two images beside each other
    assert f"sheet         {tmp_path}/sheet.png" in capsys.readouterr().out


def test_faults_are_listed_and_do_not_stop(small, capsys):
    (small / "Annotations" / "1.xml").write_text("<annotation><object>")
    assert stats(small) == 0
    said = capsys.readouterr()
    assert "skipped: " in said.err and "1 error bad-xml" in said.out


def test_a_set_without_boxes_has_no_sizes_of_boxes(small):
    for file in (small / "Annotations").iterdir():
        file.write_text("<annotation><size><width>60</width><height>40</height></size></annotation>")
    found = dataset_stats(read_listed(str(small)), (80, 80), "letterbox", SIZES)
    assert found.num_boxes == 0 and found.box_sides == [] and "box sides" not in in_words(found, (80, 80))
