"""Records, class names, images in a folder, sizes from headers."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from yolo3.datasets import annotation as ann
from yolo3.datasets.class_names import (
    ClassMap,
    numbered_class_names,
    read_class_names,
    unknown_name_message,
    write_class_names,
)
from yolo3.datasets.find_images import (
    ImageIndex,
    ListedPaths,
    ambiguity_findings,
    copy_image,
    folder_distance,
    group_by_folder,
)
from yolo3.datasets.images import image_size, read_image, size_findings
from yolo3.files import read_text, replace_file, text_head, walk_files


def write_image(path, height=20, width=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), image)
    return str(path)


def with_exif(path, orientation, order="<"):
    """Put an EXIF segment behind the start of a JPEG."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = mark + struct.pack(order + "IH", 8, 1) + entry + b"\0\0\0\0"
    content = path.read_bytes()
    body = b"Exif\0\0" + tiff
    path.write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + content[2:])


def annotations(count):
    return [ann.build_annotation(f"{number}.jpg", [], f"train.txt:{number}") for number in range(count)]


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".png", ".bmp", ".webp", ".tif"])
def test_the_size_is_that_of_the_decoded_image(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_image(path, 21, 34)
    assert image_size(str(path)) == (21, 34) == read_image(path).shape[:2]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_the_size_as_it_turns_the_image(tmp_path, orientation, order):
    path = tmp_path / "a.jpg"
    write_image(path, 20, 30)
    with_exif(path, orientation, order)
    # Orientations 5 to 8 are quarter turns: 30 rows of 20 pixels.
    assert image_size(str(path)) == ((30, 20) if orientation >= 5 else (20, 30))
    assert image_size(str(path)) == read_image(path).shape[:2]


@pytest.mark.parametrize("before_pixels", [True, False])
def test_exif_turns_the_size_of_a_png_too(tmp_path, before_pixels):
    path = tmp_path / "a.png"
    write_image(path, 20, 30)
    content = path.read_bytes()
    tiff = b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + b"\0" * 4
    chunk = struct.pack(">I", len(tiff)) + b"eXIf" + tiff + struct.pack(">I", zlib.crc32(b"eXIf" + tiff))
    at = 33 if before_pixels else len(content) - 12  # behind the 8 + 25 bytes of the header, or before IEND
    path.write_bytes(content[:at] + chunk + content[at:])
    assert image_size(str(path)) == (30, 20) == read_image(path).shape[:2]


def test_progressive_grey_and_four_channel_images_have_a_size(tmp_path):
    image = np.zeros((9, 7), np.uint8)
    cv2.imwrite(str(tmp_path / "p.jpg"), image, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((9, 7, 4), np.uint8))
    assert image_size(str(tmp_path / "p.jpg")) == image_size(str(tmp_path / "a.png")) == (9, 7)


def test_the_size_comes_from_the_content_not_from_the_suffix(tmp_path):
    write_image(tmp_path / "a.png", 11, 12)
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert image_size(str(tmp_path / "a.jpg")) == (11, 12)


def test_the_size_of_what_is_no_image_is_an_error(tmp_path):
    for content in (b"", b"no image", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n"):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(ValueError, match="a.jpg"):
            image_size(str(tmp_path / "a.jpg"))
    with pytest.raises(OSError):
        image_size(str(tmp_path / "absent.jpg"))


def test_class_names_skip_blank_lines_comments_and_byte_order_mark(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_bytes("\ufeff# names\r\ncat\r\n\r\n traffic light \r\n".encode())
    assert read_class_names(path) == ["cat", "traffic light"]


def test_a_class_name_given_twice_is_an_error_with_both_lines(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("cat\n\ndog\ncat\n")
    with pytest.raises(ValueError, match=r"classes\.txt:4: .*'cat' again \(first on line 1\)"):
        read_class_names(path)


def test_an_empty_class_file_is_an_error(tmp_path):
    (tmp_path / "classes.txt").write_text("\n# nothing\n")
    with pytest.raises(ValueError, match="one class name a line"):
        read_class_names(tmp_path / "classes.txt")


def test_class_names_written_are_read_back_and_leave_no_other_file(tmp_path):
    names = ["cat", "traffic light", "\u00e9t\u00e9"]
    write_class_names(tmp_path / "run" / "classes.txt", names)
    assert read_class_names(tmp_path / "run" / "classes.txt") == names
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["classes.txt"]


@pytest.mark.parametrize("names", [["a", "a"], [""], [" a"], ["#a"], ["a\nb"]])
def test_class_names_that_would_not_be_read_back_are_refused(tmp_path, names):
    with pytest.raises(ValueError, match="class names"):
        write_class_names(tmp_path / "classes.txt", names)


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        replace_file(path, "new \ud800")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_unknown_names_come_with_the_nearest_known_ones():
    assert "did you mean 'Platelets'?" in unknown_name_message("platelet", ["RBC", "Platelets"])
    assert "the classes are RBC, WBC" in unknown_name_message("zebra", ["RBC", "WBC"])


def test_a_split_loses_none_and_repeats_with_its_seed():
    items = annotations(50)
    train, val = ann.split_annotations(items, 0.1, seed=3)
    assert (len(train), len(val)) == (45, 5)
    assert sorted(map(id, train + val)) == sorted(map(id, items))
    assert ann.split_annotations(items, 0.1, seed=3) == (train, val)
    assert ann.split_annotations(items, 0.1, seed=4)[1] != val


@pytest.mark.parametrize(
    "count, fraction, sizes", [(0, 0.5, (0, 0)), (1, 0.9, (1, 0)), (2, 0.01, (1, 1)), (3, 0.99, (1, 2))]
)
def test_both_parts_of_a_split_hold_one_when_there_are_two(count, fraction, sizes):
    train, val = ann.split_annotations(annotations(count), fraction, seed=0)
    assert (len(train), len(val)) == sizes


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5])
def test_a_split_needs_a_fraction(fraction):
    with pytest.raises(ValueError, match="between 0 and 1"):
        ann.split_annotations(annotations(4), fraction, seed=0)


def test_one_pixel_beyond_the_border_is_rounding_and_more_is_not():
    boxes = np.array([[-1, -1, 31, 21], [-1.5, 0, 30, 22]], float)
    before = boxes.copy()
    clipped = ann.clip_rounding(boxes, (20, 30))
    # Width 30: 31 -> 30. Height 20: 21 -> 20, but 22 is two pixels out and stays.
    np.testing.assert_array_equal(clipped, [[0, 0, 30, 20], [-1.5, 0, 30, 22]])
    np.testing.assert_array_equal(boxes, before)


def test_a_box_is_named_by_its_line_and_a_image_by_its_source():
    boxes = [ann.Box((0, 0, 1, 1), 0, line=4), ann.Box((1, 1, 2, 2), 1, line=9)]
    item = ann.build_annotation("a.jpg", boxes, "a.xml")
    assert (item.where(1), item.where()) == ("a.xml:9", "a.xml")
    assert ann.build_annotation("a.jpg", boxes[:1], "train.txt:4").where(0) == "train.txt:4"
    chosen = item.select(np.array([False, True]))
    assert chosen.lines == (9,) and chosen.class_ids.tolist() == [1]


def test_an_annotation_without_boxes_has_arrays_of_the_right_form():
    item = ann.build_annotation("a.jpg", [], "a.xml")
    assert item.boxes.shape == (0, 4) and item.boxes.dtype == np.float32
    assert item.class_ids.dtype == np.int32 and item.difficult.dtype == item.crowd.dtype == bool


def test_images_are_found_in_any_case_and_the_nearest_is_taken(tmp_path):
    near = write_image(tmp_path / "train" / "A.JPG")
    far = write_image(tmp_path / "test" / "a.jpg")
    index = ImageIndex(str(tmp_path))
    assert index.find("a.jpg", str(tmp_path / "train" / "a.xml")) == near
    assert index.find_stem("a", str(tmp_path / "test" / "a.xml")) == far
    assert index.find_unique("a.jpg") is None and index.find("b.jpg", str(tmp_path / "x")) is None
    assert not index.ambiguous


def test_images_that_fit_equally_well_are_reported(tmp_path):
    write_image(tmp_path / "one" / "a.jpg")
    write_image(tmp_path / "two" / "a.jpg")
    index = ImageIndex(str(tmp_path))
    index.find("a.jpg", str(tmp_path / "xml" / "a.xml"))
    (finding,) = ambiguity_findings(index, "folder")
    assert finding.kind == "ambiguous-image" and finding.severity == "warning"


def test_hidden_files_and_rings_of_links_are_passed_over(tmp_path):
    write_image(tmp_path / "a.jpg")
    write_image(tmp_path / ".cache" / "b.jpg")
    (tmp_path / "._a.jpg").write_bytes(b"x")
    (tmp_path / "__MACOSX").mkdir()
    (tmp_path / "__MACOSX" / "c.jpg").write_bytes(b"x")
    (tmp_path / "ring").symlink_to(tmp_path)
    assert list(walk_files(str(tmp_path))) == [str(tmp_path / "a.jpg")]


def test_listed_paths_are_found_where_the_data_lies_now(tmp_path, monkeypatch):
    image = write_image(tmp_path / "data" / "obj" / "a b.jpg")
    monkeypatch.chdir("/")
    paths = ListedPaths(str(tmp_path / "data" / "train.txt"))
    for entry in ("obj/a b.jpg", "data/obj/a b.jpg", image, "obj\\a b.jpg", "/somewhere/else/a b.jpg"):
        assert paths.find(entry) == image, entry
    assert paths.find("obj/c.jpg") is None


def test_folders_divide_files_below_what_they_share():
    files = ["/d/ann/train/1.xml", "/d/ann/train/2.xml", "/d/ann/val/3.xml"]
    assert group_by_folder(files, "/d") == {"train": files[:2], "val": files[2:]}
    assert group_by_folder(files[:2], "/d") == {} == group_by_folder([], "/d")
    assert group_by_folder([*files, "/d/ann/4.xml"], "/d") == {}


def test_a_copied_image_never_replaces_another(tmp_path):
    first, second = tmp_path / "x" / "a.jpg", tmp_path / "y" / "a.png"
    write_image(first)
    write_image(second, 5, 5)
    folder = str(tmp_path / "out")
    taken = set()
    assert copy_image(str(first), folder, taken).endswith("out/a.jpg")
    assert copy_image(str(second), folder, taken).endswith("out/a_2.png")
    assert copy_image(str(first), folder, taken).endswith("out/a_3.jpg")
    assert taken == {f"{folder}/a.jpg", f"{folder}/a_2.png", f"{folder}/a_3.jpg"}
    # Written again, nothing is copied a second time.
    assert copy_image(str(first), folder, set()).endswith("out/a.jpg")


def test_crowd_regions_left_out_are_counted_in_the_log(caplog):
    boxes = [ann.Box((0, 0, 1, 1), 0, crowd=True), ann.Box((1, 1, 2, 2), 0)]
    item = ann.build_annotation("a.jpg", boxes, "a.json")
    (left,) = ann.without_crowd([item], "voc")
    assert left.boxes.tolist() == [[1, 1, 2, 2]] and len(item.boxes) == 2
    assert "left out 1 crowd regions" in caplog.text


def test_sizes_that_disagree_are_warned_of():
    assert size_findings((20, 30), (20, 30), "a") == [] == size_findings(None, (20, 30), "a")
    assert size_findings((20, 30), (30, 20), "a")[0].kind == "exif-size"
    assert size_findings((20, 30), (40, 60), "a")[0].kind == "size-mismatch"


def test_classes_are_numbered_up_to_the_highest_id_that_can_be_believed():
    assert numbered_class_names([2, 0, -1]) == ["class_0", "class_1", "class_2"]
    assert numbered_class_names([1, 2_000_000_000]) == ["class_0", "class_1"]
    assert numbered_class_names([]) == ["class_0"]


def test_class_ids_are_mapped_by_name():
    findings = []
    boxes = [ann.Box((0, 0, 1, 1), class_id, line=class_id + 1) for class_id in (0, 1, 2, 5)]
    mapped = ClassMap(["cat", "dog", "cow"], ["dog", "cat"]).apply(boxes, "a.txt", findings)
    assert [box.class_id for box in mapped] == [1, 0]
    assert [(finding.kind, finding.where) for finding in findings] == [
        ("unknown-class", "a.txt:3"),
        ("bad-class-id", "a.txt:6"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_text_is_read_in_the_encodings_that_editors_write(tmp_path, encoding):
    (tmp_path / "a.txt").write_bytes("Käfer\r\n".encode(encoding))
    assert read_text(str(tmp_path / "a.txt")) == "Käfer\r\n"


def test_the_head_of_what_is_no_text_is_empty(tmp_path):
    (tmp_path / "a.txt").write_bytes("one\ntwo\n".encode("utf-16"))
    # A mark of two bytes, three characters of two, and half a one.
    assert text_head(str(tmp_path / "a.txt"), 9) == "one"
    write_image(tmp_path / "a.png")
    assert text_head(str(tmp_path / "a.png"), 4096) == ""


def test_class_names_that_are_no_text_are_refused(tmp_path):
    path = write_image(tmp_path / "names.png")
    with pytest.raises(ValueError, match="names.png: expected one class name a line, got bytes that are no text"):
        read_class_names(path)


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(IsADirectoryError) as error:
        replace_file(tmp_path / "out", "x")
    assert error.value.filename == str(tmp_path / "out") and [path.name for path in tmp_path.iterdir()] == ["out"]


def test_folders_agree_from_the_top_and_then_from_the_bottom():
    near = "/set/xml/monday/1.xml"
    # Shared from the top: /, set (2), or xml too (3); then monday from the bottom.
    assert folder_distance("/set/photos/monday/1.jpg", near) == (-2, -1)
    assert folder_distance("/set/photos/tuesday/1.jpg", near) == (-2, 0)
    assert folder_distance("/set/xml/1.jpg", near) == (-3, 0)
    assert folder_distance("/set/xml/monday/1.jpg", near) == (-4, 0)
