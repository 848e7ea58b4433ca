"""Lists that are drawn, written in the format of the data, and read back."""

import os
from pathlib import Path

import numpy as np
import pytest

from yolo3.cli.main import main
from yolo3.datasets import pixel_limit
from yolo3.datasets.annotation import Box, Dataset, build_annotation
from yolo3.datasets.formats.registry import list_names, read_dataset
from yolo3.datasets.images import write_image
from yolo3.datasets.write_lists import write_lists
from yolo3.training.preparation import prepare
from yolo3.training.settings import TrainConfig

FORMATS = ["keras-yolo3", "voc", "coco", "yolo"]


def split(*words):
    return main(["data", "split", *map(str, words)])


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Twenty images: a pair of equal ones, and a rare class in four."""
    folder = tmp_path_factory.mktemp("photos")
    annotations = []
    for number in range(20):
        image = str(folder / f"{number}.png")
        pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3), np.uint8)
        write_image(image, pixels if number != 1 else np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8))
        boxes = [Box((4, 4, 20, 20), 0), *([Box((8, 8, 30, 30), 1)] if number % 5 == 2 else [])]
        annotations.append(build_annotation(image, boxes, image, (32, 32)))
    return Dataset(annotations, ["common", "rare"], "voc")


@pytest.fixture
def unlisted(photos, tmp_path):
    """Function that writes the images in a format, without lists where it can."""

    def write(format):
        write_lists(
            photos,
            {"all": photos.annotations} if format != "yolo" else {"train": photos.annotations},
            str(tmp_path / "set"),
            format,
        )
        if format == "voc":
            (tmp_path / "set" / "ImageSets" / "Main" / "all.txt").unlink()
        return tmp_path / "set"

    return write


def stems(path, name):
    return {Path(item.image_path).stem for item in read_dataset(path, list_name=name).annotations}


def test_an_image_of_too_many_pixels_stops_the_command(unlisted, capsys, monkeypatch):
    monkeypatch.setattr(pixel_limit, "_max_pixels", pixel_limit.MAX_PIXELS)  # and put back after the test
    assert split(unlisted("coco"), "--max-pixels", "1023") == 1
    assert "got 32x32 pixels, more than the 1,023 allowed; --max-pixels" in capsys.readouterr().err


@pytest.mark.parametrize("format", FORMATS)
def test_drawn_lists_are_read_by_train(unlisted, format, capsys):
    data = unlisted(format)
    assert split(data, "--val-split", "0.25", "--suffix", "_x") == 0
    said = capsys.readouterr().out
    command = said.splitlines()[-1].split("yolo3 train ")[1].split()
    options = dict(zip(command[::2], command[1::2]))
    assert said.splitlines()[2].split() == ["rare", "3", "1"]  # of four images, a quarter

    config = TrainConfig(data=options["--data"], train_list=options["--train-list"], val_list=options["--val-list"])
    prepared = prepare(config)
    train, val = ({Path(item.image_path).stem for item in part} for part in (prepared.train, prepared.val))
    assert len(val) == 5 and len(train) == 15 and not train & val
    assert len({"0", "1"} & val) in (0, 2)  # the equal ones stay together
    assert sum(len(item.boxes) for item in prepared.train + prepared.val) == 24


def test_the_seed_decides_and_three_lists_can_be_drawn(unlisted):
    data = unlisted("voc")
    for suffix, seed in (("_a", 1), ("_b", 1), ("_c", 2)):
        assert split(data, "--suffix", suffix, "--seed", seed, "--test-split", "0.2") == 0
    assert [len(stems(data, f"{name}_a")) for name in ("train", "val", "test")] == [12, 4, 4]
    assert stems(data, "val_a") == stems(data, "val_b") != stems(data, "val_c")


def test_lists_that_exist_are_never_replaced_in_silence(small, capsys):
    before = {file.name: file.read_text() for file in (small / "ImageSets" / "Main").iterdir()}
    assert split(small, "--val-split", "0.4") == 1
    error = capsys.readouterr().err
    assert "train.txt: expected no list of this name, got one" in error and "Traceback" not in error
    assert {file.name: file.read_text() for file in (small / "ImageSets" / "Main").iterdir()} == before
    assert split(small, "--val-split", "0.4", "--overwrite") == 0
    assert len(stems(small, "val")) == 2


def test_lists_that_do_not_read_back_are_taken_away_again(unlisted, capsys):
    """A list of the same name deeper in the data is one list with the new one."""
    data = unlisted("voc")
    other = data / "more" / "ImageSets" / "Main"
    other.mkdir(parents=True)
    (other / "train.txt").write_text("\n".join(str(number) for number in range(20)) + "\n")
    (data / "ImageSets" / "Main" / "odd.txt").write_text("3\n")
    assert split(data) == 1
    error = capsys.readouterr().err
    assert "expected the list 'train' to read back to its 16 images, got 20" in error
    assert sorted(os.listdir(data / "ImageSets" / "Main")) == ["odd.txt"]


def test_images_of_one_name_in_two_folders_are_named_with_their_folders(tmp_path):
    for folder in ("day", "night"):
        for number in range(5):
            pixels = np.random.default_rng([number, len(folder)]).integers(0, 255, (32, 32, 3), np.uint8)
            write_image(tmp_path / "set" / folder / f"{number}.png", pixels)
            (tmp_path / "set" / folder / f"{number}.xml").write_text(
                f"<annotation><filename>{number}.png</filename><object><name>a</name><bndbox><xmin>1</xmin><ymin>1</ymin>"
                "<xmax>9</xmax><ymax>9</ymax></bndbox></object></annotation>"
            )
    assert split(tmp_path / "set", "--val-split", "0.3") == 0
    assert sorted(list_names(tmp_path / "set")) == ["train", "val"]
    assert len(read_dataset(tmp_path / "set", list_name="val").annotations) == 3


def test_lists_that_are_hidden_are_told(tmp_path, photos, capsys):
    write_lists(photos, {"train": photos.annotations[:12], "val": photos.annotations[12:]}, str(tmp_path / "c"), "coco")
    for name in ("train", "val"):
        (tmp_path / "c" / "annotations" / f"instances_{name}.json").rename(
            tmp_path / "c" / name / "_annotations.coco.json"
        )
    (tmp_path / "c" / "annotations").rmdir()
    assert split(tmp_path / "c", "--suffix", "_x") == 0
    assert "the data set's lists train, val are not looked at" in capsys.readouterr().out


def test_a_format_without_lists_is_converted_instead(tmp_path, photos, capsys):
    rows = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
    for item in photos.annotations:
        write_image(tmp_path / "set" / Path(item.image_path).name, np.zeros((32, 32, 3), np.uint8))
        rows.append(f"{Path(item.image_path).name},32,32,a,1,1,9,9")
    (tmp_path / "set" / "labels.csv").write_text("\n".join(rows) + "\n")
    assert split(tmp_path / "set") == 1
    assert "yolo3 data convert" in capsys.readouterr().err


def test_shares_have_to_leave_images_to_train_on(small, capsys):
    assert split(small, "--val-split", "0.6", "--test-split", "0.5") == 1
    assert "expected shares above 0 whose sum is below 1" in capsys.readouterr().err
