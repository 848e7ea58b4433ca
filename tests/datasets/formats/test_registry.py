"""Which format a path is in, its lists, and round trips through all formats."""

import json
from pathlib import Path

import numpy as np
import pytest

from yolo3.cli import train
from yolo3.datasets import shapes
from yolo3.datasets.annotation import Box, Dataset, build_annotation
from yolo3.datasets.formats import registry as formats
from yolo3.datasets.formats.format import Format
from yolo3.datasets.images import write_image


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return shapes.write_shapes(tmp_path_factory.mktemp("set") / "shapes", num_train=4, num_val=2, image_size=64)


def boxes_by_image(dataset):
    return {Path(item.image_path).name: np.column_stack([item.boxes, item.class_ids]) for item in dataset.annotations}


@pytest.mark.parametrize("format", [format.name for format in formats.FORMATS.values() if format.write])
def test_every_format_keeps_lists_names_and_boxes(source, tmp_path, format):
    for part in ("train", "val"):
        formats.write_dataset(formats.read_dataset(source, list_name=part), tmp_path / "out", format)
    assert formats.detect_format(tmp_path / "out") == format
    assert formats.find_default_lists(tmp_path / "out") == ("train", "val")
    for part in ("train", "val"):
        old = boxes_by_image(formats.read_dataset(source, list_name=part))
        new = formats.read_dataset(tmp_path / "out", list_name=part)
        assert not new.findings and new.format == format and new.name == f"out [{part}]"
        assert new.class_names == ["circle", "square", "triangle"]
        assert boxes_by_image(new).keys() == old.keys()
        for name, rows in boxes_by_image(new).items():
            np.testing.assert_allclose(rows, old[name], atol=1e-5)


@pytest.mark.parametrize(
    "content, format",
    [
        ("photo 1.jpg 1,2,3,4,0\n", "keras-yolo3"),
        ("<annotation></annotation>", "voc"),
        ('{"images": [], "categories": []}', "coco"),
        ("train: x\nnames: [a]\n", "yolo"),
    ],
)
def test_a_file_is_recognised_by_its_content(tmp_path, content, format):
    path = tmp_path / ("a.yaml" if format == "yolo" else "a.txt")
    path.write_text(content)
    assert formats.detect_format(path) == format


def test_an_unknown_path_is_an_error_that_says_what_was_looked_for(tmp_path):
    with pytest.raises(ValueError, match="nothing there"):
        formats.detect_format(tmp_path / "absent")
    with pytest.raises(ValueError, match="got an empty folder") as caught:
        formats.detect_format(tmp_path)
    assert all(name in str(caught.value) for name in formats.FORMATS) and "\n" not in str(caught.value)
    (tmp_path / "cat.gif").write_bytes(b"GIF")
    with pytest.raises(ValueError, match="a folder with cat.gif"):
        formats.read_dataset(tmp_path)
    with pytest.raises(ValueError, match="got an image"):
        formats.list_names(tmp_path / "cat.gif")
    (tmp_path / "set.zip").write_bytes(b"PK")
    with pytest.raises(ValueError, match="got an archive; unpack it"):
        formats.read_dataset(tmp_path / "set.zip")
    (tmp_path / "cat.xyz").write_bytes(b"XYZ")
    with pytest.raises(ValueError, match="a file of 3 bytes"):
        formats.list_names(tmp_path / "cat.xyz")


def test_an_unknown_format_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="expected one of .*keras-yolo3.*, got 'unknown'"):
        formats.read_dataset(tmp_path, format="unknown")


def test_writing_a_format_that_is_only_read_names_those_that_are_written(tmp_path):
    dataset = Dataset([], ["cat"], "csv")
    with pytest.raises(ValueError, match="expected one that is written, .*voc.*, got 'csv', which is only read"):
        formats.write_dataset(dataset, tmp_path / "out", "csv")
    assert not (tmp_path / "out").exists()


def test_paths_may_be_path_objects_or_text(source):
    assert formats.list_names(Path(source)) == formats.list_names(source) == ["train", "val"]


def toy_format():
    """A format of a user: a .toy file, an image, a class name and a box a line."""

    def read(path, class_names=None, list_name=None):
        lines = [line.split() for line in Path(path).read_text().splitlines()]
        names = list(class_names or sorted({line[1] for line in lines}))
        annotations = [
            build_annotation(
                str(Path(path).parent / image), [Box(tuple(map(float, box)), names.index(name))], f"{path}:{number}"
            )
            for number, (image, name, *box) in enumerate(lines, 1)
        ]
        return Dataset(annotations, names, "toy", name=Path(path).stem)

    return Format(
        name="toy",
        description="toys, one a line",
        looked_for="lines 'image name x_min y_min x_max y_max' in a .toy file",
        matches=lambda path: path.endswith(".toy"),
        list_names=lambda path: [],
        read=read,
        write=lambda dataset, path: None,
    )


@pytest.mark.slow
def test_a_registered_format_is_read_checked_and_offered_as_an_option(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(formats, "FORMATS", formats.FORMATS.copy())
    formats.register(toy_format())
    for number in range(4):
        image = np.random.default_rng(number).integers(0, 255, (64, 96, 3), np.uint8)
        write_image(tmp_path / f"{number}.png", image)
    lines = [f"{number}.png {name} 8 8 40 48" for number, name in enumerate(["cow", "dog", "cow", "dog"])]
    (tmp_path / "set.toy").write_text("\n".join(lines))

    dataset = formats.read_dataset(tmp_path / "set.toy")
    assert (dataset.format, dataset.class_names, len(dataset.annotations)) == ("toy", ["cow", "dog"], 4)

    anchors = Path(__file__).parents[3] / "model_data" / "tiny_yolo_anchors.txt"
    options = ["--data", str(tmp_path / "set.toy"), "--format", "toy", "--anchors", str(anchors), "--check-only"]
    assert train.main([*options, "--input-size", "96", "96", "--output", str(tmp_path / "run")]) == 0
    assert "set: 4 images (toy)." in capsys.readouterr().out
    with pytest.raises(SystemExit):
        train.main(["--help"])
    assert "toy (toys, one a line)" in " ".join(capsys.readouterr().out.split())


def test_two_formats_with_the_same_name_are_an_error(monkeypatch):
    monkeypatch.setattr(formats, "FORMATS", formats.FORMATS.copy())
    formats.register(toy_format())
    with pytest.raises(ValueError, match="expected a name that is not taken, got 'toy'"):
        formats.register(toy_format())


@pytest.mark.parametrize("format", ["voc", "coco", "yolo"])
def test_a_class_name_that_is_a_command_to_the_terminal_is_refused_by_name(format, tmp_path):
    write_image(tmp_path / "a.jpg", np.zeros((10, 10, 3), np.uint8))
    name = "cat\\u001b[31m"
    if format == "coco":
        images = [{"id": 1, "file_name": "a.jpg"}]
        text = json.dumps({"images": images, "annotations": [], "categories": [{"id": 1, "name": "NAME"}]})
        (tmp_path / "a.json").write_text(text.replace("NAME", name))
    elif format == "yolo":
        (tmp_path / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
        (tmp_path / "data.yaml").write_text(f'train: .\nnames: ["{name}"]\n')
    else:
        box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>"
        (tmp_path / "a.xml").write_text(
            f"<annotation><filename>a.jpg</filename><object><name>cat\u009b31m</name>{box}</object></annotation>",
            encoding="utf-8",
        )
    with pytest.raises(ValueError, match=r"expected class names of printable characters, got 'cat\\x(1b\[|9b)31m'"):
        formats.read_dataset(tmp_path)
