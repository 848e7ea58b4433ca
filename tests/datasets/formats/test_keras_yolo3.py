"""Text lines of keras-yolo3, tidy and not."""

import cv2
import numpy as np
import pytest

from yolo3.datasets.annotation import Annotation, Dataset
from yolo3.datasets.formats import keras_yolo3


def write_images(folder, *names, height=100, width=200):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.full((height, width, 3), number, np.uint8))


def kinds(dataset):
    return [(finding.kind, finding.where.rsplit("/", 1)[-1]) for finding in dataset.findings]


def parsed(line):
    found = keras_yolo3.parse_line(line)
    return found.path, [(*box.xyxy, box.class_id) for box in found.boxes], found.faults


def test_a_plain_line_is_a_path_and_boxes():
    assert parsed("a.jpg 1,2,30,40,0 5,6,70,80,12") == ("a.jpg", [(1, 2, 30, 40, 0), (5, 6, 70, 80, 12)], [])


@pytest.mark.parametrize(
    "line, path",
    [
        ("my photo 1.jpg 1,2,3,4,0", "my photo 1.jpg"),
        ('"my photo 1.jpg" 1,2,3,4,0', "my photo 1.jpg"),
        ("'it, 3,4.jpg' 1,2,3,4,0", "it, 3,4.jpg"),
        ("2019 12,5.jpg 1,2,3,4,0", "2019 12,5.jpg"),
        ("a.jpg\t1,2,3,4,0,", "a.jpg"),
        ("  a.jpg   1.0,2.0,3e0,4.,0.0  ", "a.jpg"),
        ("\ufeffa.jpg 1,2,3,4,0", "a.jpg"),
    ],
)
def test_boxes_are_recognised_from_the_right_end(line, path):
    assert parsed(line) == (path, [(1, 2, 3, 4, 0)], [])


def test_a_line_without_boxes_is_a_background_image():
    assert parsed("some photo.jpg") == ("some photo.jpg", [], [])


@pytest.mark.parametrize("line", ["", "   ", "# a.jpg 1,2,3,4,0", "\ufeff"])
def test_blank_lines_and_comments_are_skipped(line):
    assert keras_yolo3.parse_line(line) is None


@pytest.mark.parametrize(
    "token",
    [
        "12,33",
        "1,2,3,4,5,6",
        "1,2,3,4,cat",
        "1,2,3,4,0.5",
        "1,2,3,4,9999999999",
        "1,2,3,4,inf",
        "1,2,nan,4,0",
        "1,2,,4,0",
    ],
)
def test_a_bad_box_is_an_error_and_the_others_stay(token):
    path, boxes, (fault,) = parsed(f"a.jpg 1,2,3,4,0 {token} 5,6,7,8,1")
    assert (path, boxes) == ("a.jpg", [(1, 2, 3, 4, 0), (5, 6, 7, 8, 1)])
    assert fault.startswith("expected 'x_min,y_min,x_max,y_max,class_id'") and f"got '{token}'" in fault


def test_words_between_boxes_are_an_error():
    path, boxes, (fault,) = parsed("a.jpg 1,2,3,4,0 oops 5,6,7,8,1")
    assert (path, len(boxes)) == ("a.jpg", 2) and "got 'oops'" in fault


def test_spaces_inside_a_box_are_errors_and_not_a_missing_image():
    path, boxes, faults = parsed("a.jpg 1, 2, 3, 4, 0")
    assert path == "a.jpg" and not boxes and faults


@pytest.mark.parametrize("line", ["my a.jpg10,20,30,40,0 1,2,3,4,0", "my a.JPG10,20,30,40 1,2,3,4,0"])
def test_a_missing_blank_after_the_path_is_said_and_the_image_is_found(line):
    path, boxes, (fault,) = parsed(line)
    assert path.lower() == "my a.jpg" and boxes == [(1, 2, 3, 4, 0)]
    assert fault.startswith("expected a blank between the image and its first box, got 'my a.")


@pytest.mark.parametrize("separator", [",", ", ", ";"])
def test_a_comma_after_the_path_is_no_part_of_it(separator):
    assert parsed(f"a.jpg{separator} 1,2,3,4,0") == ("a.jpg", [(1, 2, 3, 4, 0)], [])


@pytest.mark.parametrize(
    "line", ["a.jpg10,20,30,40,0", "a.jpg 10 20 30 40 0", "a.jpg 1, 2, 3, 4, 0", "a.jpg 10,20,30,40"]
)
def test_a_file_whose_boxes_are_all_wrong_is_recognised_and_told_what_is_wrong(tmp_path, line):
    write_images(tmp_path, "a.jpg")
    (tmp_path / "train.txt").write_text(line + "\n")
    assert keras_yolo3.matches(str(tmp_path / "train.txt"))
    findings = keras_yolo3.read(str(tmp_path / "train.txt")).findings
    assert {finding.kind for finding in findings} == {"bad-box"} and findings[0].where.endswith("train.txt:1")


@pytest.mark.parametrize("text", ["see a.jpg\n", "a.jpg\nb.jpg\n", "a.jpg 2019 12\n", "x" * 100_000, ".jpg1" * 20_000])
def test_other_text_is_not_in_this_form(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    assert not keras_yolo3.matches(str(tmp_path / "a.txt"))


def test_a_file_is_read_with_its_line_numbers(tmp_path):
    write_images(tmp_path, "a.jpg", "b c.png", "d.bmp")
    text = "\ufeff# train\r\na.jpg 10,20,30,40,1\r\n\r\nb c.png\r\nd.bmp 0,0,201,101,0 12,33\r\nno.jpg 1,1,2,2,0\r\n"
    (tmp_path / "train.txt").write_bytes(text.encode())
    dataset = keras_yolo3.read(str(tmp_path / "train.txt"))
    assert [item.image_path.rsplit("/", 1)[-1] for item in dataset.annotations] == [
        "a.jpg",
        "b c.png",
        "d.bmp",
    ]
    assert dataset.annotations[0].where(0).endswith("train.txt:2")
    # The image is 200x100: one pixel beyond is rounding.
    assert dataset.annotations[2].boxes.tolist() == [[0, 0, 200, 100]]
    assert kinds(dataset) == [("bad-box", "train.txt:5"), ("missing-image", "train.txt:6")]
    assert dataset.class_names == ["class_0", "class_1"] and dataset.name == "train.txt"


def test_names_come_from_classes_txt_beside_the_list(tmp_path):
    write_images(tmp_path, "a.jpg")
    (tmp_path / "train.txt").write_text("a.jpg 1,1,5,5,0\n")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    assert keras_yolo3.read(str(tmp_path / "train.txt")).class_names == ["cat", "dog"]
    mapped = keras_yolo3.read(str(tmp_path / "train.txt"), class_names=["dog", "cat"])
    assert mapped.annotations[0].class_ids.tolist() == [1] and mapped.class_names == ["dog", "cat"]


def test_names_given_that_lack_a_class_are_reported(tmp_path):
    write_images(tmp_path, "a.jpg")
    (tmp_path / "train.txt").write_text("a.jpg 1,1,5,5,0\n")
    (tmp_path / "classes.txt").write_text("cat\n")
    dataset = keras_yolo3.read(str(tmp_path / "train.txt"), class_names=["cats"])
    assert kinds(dataset) == [("unknown-class", "train.txt:1")] and "'cats'" in dataset.findings[0].message


def test_ids_stay_unchanged_when_the_classes_have_no_names(tmp_path):
    write_images(tmp_path, "a.jpg")
    (tmp_path / "train.txt").write_text("a.jpg 1,1,5,5,-1 1,1,5,5,7\n")
    assert keras_yolo3.read(str(tmp_path / "train.txt"), class_names=["x"]).annotations[0].class_ids.tolist() == [-1, 7]


def test_the_text_files_of_a_folder_are_its_lists(tmp_path):
    write_images(tmp_path, "a.jpg", "b.jpg", "valid/c.jpg")
    (tmp_path / "train.txt").write_text("a.jpg 1,1,5,5,0\n")
    (tmp_path / "test.txt").write_text("b.jpg 1,1,5,5,2\n")
    (tmp_path / "readme.txt").write_text("Images of cats.\n")
    (tmp_path / "valid" / "_annotations.txt").write_text("c.jpg 1,1,5,5,1\n")
    assert keras_yolo3.list_names(str(tmp_path)) == ["test", "train", "valid"]
    dataset = keras_yolo3.read(str(tmp_path), list_name="train")
    # Names are numbered over all lists, so that every list gives the same ones.
    assert len(dataset.annotations) == 1 and dataset.class_names == ["class_0", "class_1", "class_2"]
    assert len(keras_yolo3.read(str(tmp_path)).annotations) == 3
    with pytest.raises(ValueError, match="got 'val'; it has test, train, valid"):
        keras_yolo3.read(str(tmp_path), list_name="val")


def test_an_empty_source_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="got none"):
        keras_yolo3.read(str(tmp_path))
    (tmp_path / "a.txt").write_text("# nothing\n")
    with pytest.raises(ValueError, match="no images"):
        keras_yolo3.read(str(tmp_path / "a.txt"))


def test_written_data_are_read_back(tmp_path):
    names = ["a.jpg", "my photo.png", "it's.jpg", "#1.jpg", "x/y.bmp"]
    write_images(tmp_path, *names)
    boxes = np.array([[0, 0, 200, 100], [1 / 3, 2.5, 99.9, 50]], np.float32)
    no = np.zeros(2, bool)
    items = [Annotation(str(tmp_path / name), boxes, np.array([1, 0], np.int32), no, no, "x") for name in names]
    items.append(items[0].select(no))
    dataset = Dataset(items, ["cat", "dog"], "voc", [], "set [val]")
    keras_yolo3.write(dataset, str(tmp_path))
    again = keras_yolo3.read(str(tmp_path), list_name="val")
    assert again.class_names == ["cat", "dog"] and not again.findings
    for old, new in zip(items, again.annotations, strict=True):
        assert new.image_path == old.image_path
        np.testing.assert_array_equal(new.boxes, old.boxes)
        np.testing.assert_array_equal(new.class_ids, old.class_ids)


def test_the_first_word_is_always_the_path_so_that_a_lost_path_is_reported():
    assert parsed("1,2,3,4,0 5,6,7,8,1") == ("1,2,3,4,0", [(5, 6, 7, 8, 1)], [])


def test_a_text_file_written_by_powershell_is_read(tmp_path):
    write_images(tmp_path, "a b.png")
    (tmp_path / "train.txt").write_bytes("C:\\photos\\a b.png 10,20,30,40,0\r\n".encode("utf-16"))
    assert keras_yolo3.matches(str(tmp_path))
    dataset = keras_yolo3.read(str(tmp_path))
    assert dataset.annotations[0].boxes.tolist() == [[10, 20, 30, 40]] and not dataset.findings


def test_images_that_have_moved_are_found_in_the_folder_given(tmp_path):
    write_images(tmp_path, "photos/a.png")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "train.txt").write_text("/gone/elsewhere/a.png 10,20,30,40,0\n")
    assert len(keras_yolo3.read(str(tmp_path)).annotations) == 1
    assert kinds(keras_yolo3.read(str(tmp_path / "lists" / "train.txt"))) == [("missing-image", "train.txt:1")]


def test_an_image_given_as_a_text_file_is_an_error(tmp_path):
    write_images(tmp_path, "a.png")
    with pytest.raises(ValueError, match="got no text"):
        keras_yolo3.read(str(tmp_path / "a.png"))
