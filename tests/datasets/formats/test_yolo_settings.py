"""data.yaml and Darknet's .data: paths of any system, and one clear line at once for what cannot be meant."""

import time

import cv2
import numpy as np
import pytest

from yolo3.datasets.formats import yolo_txt
from yolo3.datasets.formats.registry import detect_format, read_dataset

LINE = "0 .5 .5 .2 .2\n"


@pytest.fixture
def root(tmp_path):
    """A set with an image and its label in train and in val."""
    for part in ("train", "val"):
        for folder in ("images", "labels"):
            (tmp_path / "set" / folder / part).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "set" / "images" / part / f"{part}.png"), np.zeros((10, 20, 3), np.uint8))
        (tmp_path / "set" / "labels" / part / f"{part}.txt").write_text(LINE)
    return tmp_path / "set"


def write_yaml(root, text, name="data.yaml"):
    (root / name).write_text(text)
    return str(root / name)


@pytest.mark.parametrize(
    "text",
    [
        "path: C:\\data\\set\ntrain: images\\train\nval: images\\val",
        "train: C:\\data\\set\\images\\train\nval: C:\\data\\set\\images\\val",
        "train: ..\\images\\train\nval: '..\\images\\val'",
        'path: "C:\\data\\set"\ntrain: "C:\\data\\set\\images\\train"\nval: "..\\images\\val"',  # \\t is a tab in YAML
        'train:\n  - "D:\\new\\images\\train"\nval:\n  - "..\\images\\val"',
        'train: ["C:\\data\\set\\images\\train"]\nval: "images\\val"',
    ],
)
def test_paths_of_windows_are_read_in_any_quotes(root, text):
    path = write_yaml(root, f'{text}\nnames: ["caf\\u00e9", b]\n')
    for part in ("train", "val"):
        for given in (path, root):
            dataset = read_dataset(given, list_name=part)
            assert [item.image_path for item in dataset.annotations] == [str(root / "images" / part / f"{part}.png")]
            assert dataset.class_names == ["café", "b"] and not dataset.findings


@pytest.mark.parametrize(
    "text, says",
    [
        ("train: images/train\nval: labels/val", r"data\.yaml:2: expected a folder of images, got .*labels/val"),
        (
            "train: images/train\nval: images/vla",
            r"data\.yaml:2: expected a folder or a list .*images/vla, got nothing",
        ),
        ("train: images/train\nval: {a: b}", r"data\.yaml:2: expected a path or a list of paths for 'val'"),
        ("train: images/train\nval: [[a]]", r"data\.yaml:2: expected a path or a list of paths for 'val'"),
        ("train: images/train\nval: /", r"data\.yaml:2: expected a folder of images for 'val', got '/'"),
        ("train: images/train\nval: ../..", r"data\.yaml:2: expected a folder of images for 'val', got '../..'"),
        ("train: images/train\ntrain: images/val\nval: x", r"data\.yaml:2: expected 'train' once"),
    ],
)
def test_a_list_that_cannot_be_meant_names_its_line(root, text, says):
    path = write_yaml(root, f"{text}\nnames: [a]\n")
    for given in (path, root):
        with pytest.raises(ValueError, match=says):
            read_dataset(given, list_name="val")


@pytest.mark.parametrize("value", ["\\", "/", "..", "../.."])
@pytest.mark.parametrize("name", ["obj.data", "data.yaml"])
def test_a_list_above_the_data_set_is_refused_and_the_disk_is_not_walked(root, value, name):
    text = f"train = images/train\nvalid = {value}\n" if name == "obj.data" else f"val: {value}\nnames: [a]\n"
    with pytest.raises(ValueError, match="above the data set"):
        read_dataset(write_yaml(root, text, name))


def bomb():
    """Nine levels of nine aliases, 700 bytes: 400 million values."""
    letters = "abcdefghi"
    lines = [f"{letters[0]}: &{letters[0]} [x, x, x, x, x, x, x, x, x]"]
    for below, letter in zip(letters, letters[1:], strict=False):
        lines.append(f"{letter}: &{letter} [{', '.join(['*' + below] * 9)}]")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text, says",
    [
        (f"{bomb()}\nnames: *i\n", r"data\.yaml:3: expected YAML, got '\*a, an alias of a list"),
        (f"{bomb()}\npath: *i\nnames: [a]\n", r"data\.yaml:3: .*alias"),
        ("names: " + "[" * 100_000, r"data\.yaml:2: .*a few levels"),
        ("names: " + "{a: " * 100_000, r"data\.yaml:2: .*a few levels"),
        ("names:\n" + "".join(" " * depth + "-\n" for depth in range(400)), "a few levels"),
        ("names: [a]\nnc: " + "1" * 400, "as many names as 'nc' states"),
        ("names: [a]\nnc: [1]", "as many names as 'nc' states"),
        ('names: ["\\UFFFFFFFF"]', "an escaped character that does not exist"),
        ("names: [a\x01]", "special characters"),
        ("names: [a]\n#" + "x" * (1 << 20), "up to 1 MiB"),
        ("names: [{a: b}]", r"data\.yaml:2: expected 'names' to be a list"),
    ],
)
def test_bad_yaml_is_one_line_at_once(root, text, says):
    path = write_yaml(root, f"train: images/train\n{text}\n")
    start = time.monotonic()
    for given in (path, root):
        with pytest.raises(ValueError, match=says) as caught:
            read_dataset(given)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    assert time.monotonic() - start < 5


def test_an_alias_of_a_path_is_read(root):
    path = write_yaml(root, "train: &all images/train\nval: *all\nnames: [a]\n")
    assert yolo_txt.list_names(path) == ["train", "val"] and len(read_dataset(path).annotations) == 1


def test_large_files_of_other_programs_are_passed_over(root):
    write_yaml(root, "x: 1\n" + "#" * (1 << 20) + "\nnames: [a]\n", "other.yaml")
    (root / "iris.data").write_bytes(b"\0" * 100 + b"train = x")
    assert len(read_dataset(root).annotations) == 2


@pytest.mark.parametrize("text", ["", "\n", "# nothing here\n"])
def test_a_set_whose_labels_are_all_empty_is_a_set_of_background_images(root, text):
    for part in ("train", "val"):
        (root / "labels" / part / f"{part}.txt").write_text(text)
    assert detect_format(root) == "yolo"
    dataset = read_dataset(root)
    assert [len(item.boxes) for item in dataset.annotations] == [0, 0] and not dataset.findings


def test_an_empty_text_file_among_images_without_labels_is_no_label(root):
    for part in ("train", "val"):
        (root / "labels" / part / f"{part}.txt").unlink()
    for name in "abc":
        cv2.imwrite(str(root / "images" / f"{name}.png"), np.zeros((10, 20, 3), np.uint8))
    (root / "images" / "a.txt").write_text("")
    assert not yolo_txt.matches(str(root))


@pytest.mark.parametrize(
    "line", ["0 100 200 50 60", "0 .5 .5 .1 .1 .9", "cat .5 .5 .1 .1", "0 .5 .5 nan .1", "0 .5 .5 .1 " + "1" * 400]
)
def test_a_set_whose_labels_are_all_wrong_is_told_what_is_wrong(root, line):
    for part in ("train", "val"):
        (root / "labels" / part / f"{part}.txt").write_text(line)
    findings = read_dataset(root).findings
    assert [finding.kind for finding in findings] == ["bad-box", "bad-box"]
    assert all("expected 'class_id" in finding.message and len(finding.message) < 300 for finding in findings)


def test_an_image_that_is_missing_is_said_to_be_missing(root):
    path = write_yaml(root, "train: [images/train/train.png, images/b.png]\nnames: [a]\n")
    (finding,) = read_dataset(path).findings
    assert finding.kind == "missing-image" and finding.where == f"{path}:1" and "images/b.png" in finding.message


@pytest.mark.parametrize(
    "text, names",
    [("nc: 3", ["class_0", "class_1", "class_2"]), ("", ["class_0"]), ("nc: " + "9" * 400, ["class_0"])],
)
def test_a_data_yaml_without_names_still_says_what_the_lists_are(root, text, names):
    path = write_yaml(root, f"train: images/train\nval: images/val\n{text}\n")
    for given in (path, root):
        assert yolo_txt.list_names(str(given)) == ["train", "val"]
        assert read_dataset(given, list_name="val").class_names == names
    (root / "classes.txt").write_text("cat\n")
    assert read_dataset(root, list_name="val").class_names == ["cat"]
