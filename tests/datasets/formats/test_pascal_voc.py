"""Pascal VOC in folders of every layout."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo3.datasets.annotation import Annotation, Dataset
from yolo3.datasets.formats import pascal_voc
from yolo3.datasets.formats.registry import read_dataset, write_dataset
from yolo3.datasets.formats.voc_xml import parse_xml

BCCD = Path(__file__).parents[4] / "shared" / "data" / "bccd"


def write_image(path, height=100, width=200):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), len(str(path)) % 256, np.uint8))


def voc_object(name="cat", box=(11, 21, 50, 60), extra="<difficult>0</difficult>"):
    corners = "".join(
        f"<{tag}>{value}</{tag}>" for tag, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
    )
    return f"<object>\n<name>{name}</name>{extra}<bndbox>{corners}</bndbox>\n</object>\n"


def write_xml(path, *objects, filename="", size=(200, 100)):
    path.parent.mkdir(parents=True, exist_ok=True)
    size_text = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>\n" if size else ""
    path.write_text(f"<annotation>\n<filename>{filename}</filename>\n{size_text}{''.join(objects)}</annotation>\n")


def write_pair(folder, stem, *objects, xml="Annotations", images="JPEGImages", suffix=".jpg"):
    write_image(folder / images / (stem + suffix))
    write_xml(folder / xml / (stem + ".xml"), *(objects or [voc_object()]), filename=stem + suffix)


def kinds(dataset):
    return [finding.kind for finding in dataset.findings]


def stems(dataset):
    return [Path(item.image_path).stem for item in dataset.annotations]


def test_pixels_that_count_from_one_become_edges(tmp_path):
    write_pair(tmp_path, "a", voc_object(box=(1, 1, 200, 100)), voc_object("dog", (10.5, 20, 30.25, 40)))
    dataset = pascal_voc.read(str(tmp_path))
    # x_min and y_min lose one: a box over all 200x100 pixels is 0,0,200,100.
    np.testing.assert_array_equal(dataset.annotations[0].boxes, [[0, 0, 200, 100], [9.5, 19, 30.25, 40]])
    assert dataset.class_names == ["cat", "dog"] and dataset.annotations[0].class_ids.tolist() == [0, 1]
    assert dataset.annotations[0].where(1).endswith("a.xml:7")
    assert not dataset.findings


def test_boxes_that_count_from_zero_are_clipped_to_the_border(tmp_path):
    write_pair(tmp_path, "a", voc_object(box=(0, 0, 201, 101)))
    assert pascal_voc.read(str(tmp_path)).annotations[0].boxes.tolist() == [[0, 0, 200, 100]]


@pytest.mark.parametrize(
    "extra, difficult",
    [
        ("", False),
        ("<difficult/>", False),
        ("<difficult>1</difficult>", True),
        ("<difficult>Unspecified</difficult>", False),
    ],
)
def test_difficult_may_be_missing(tmp_path, extra, difficult):
    write_pair(tmp_path, "a", voc_object(extra=extra))
    assert pascal_voc.read(str(tmp_path)).annotations[0].difficult.tolist() == [difficult]


@pytest.mark.parametrize(
    "xml, images", [("Annotations", "JPEGImages"), ("", ""), ("labels/xml", "photos/all"), ("a b", "")]
)
@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".Png", ".bmp"])
def test_folders_of_any_layout_are_read(tmp_path, xml, images, suffix):
    write_pair(tmp_path, "my photo.1", xml=xml, images=images, suffix=suffix)
    assert pascal_voc.matches(str(tmp_path))
    dataset = pascal_voc.read(str(tmp_path))
    assert stems(dataset) == ["my photo.1"] and not dataset.findings and pascal_voc.list_names(str(tmp_path)) == []


@pytest.mark.parametrize("filename", ["", "a", "A.JPG", "a.png", "C:\\photos\\a.jpg", "../x/a.jpg"])
def test_an_image_is_found_by_filename_or_by_the_name_of_the_xml(tmp_path, filename):
    write_image(tmp_path / "a.jpg")
    write_xml(tmp_path / "a.xml", voc_object(), filename=filename)
    assert stems(pascal_voc.read(str(tmp_path))) == ["a"]


def test_filename_wins_when_no_image_has_the_name_of_the_xml(tmp_path):
    write_image(tmp_path / "photo.jpg")
    write_xml(tmp_path / "0001.xml", voc_object(), filename="photo.jpg")
    assert stems(pascal_voc.read(str(tmp_path))) == ["photo"]


def test_a_copied_xml_with_a_stale_filename_belongs_to_its_own_image(tmp_path):
    write_pair(tmp_path, "a")
    write_image(tmp_path / "JPEGImages" / "a_flip.jpg")
    write_xml(tmp_path / "Annotations" / "a_flip.xml", voc_object(), filename="a.jpg")
    dataset = pascal_voc.read(str(tmp_path))
    assert sorted(stems(dataset)) == ["a", "a_flip"] and kinds(dataset) == ["filename-mismatch"]


def test_masks_named_like_an_image_are_not_mistaken_for_it(tmp_path):
    write_pair(tmp_path, "a")
    write_image(tmp_path / "SegmentationClass" / "a.png")
    (item,) = pascal_voc.read(str(tmp_path)).annotations
    assert item.image_path.endswith("a.jpg")


def test_lists_are_those_of_imagesets_main_without_those_of_one_class(tmp_path):
    for stem in ("a", "b 1", "c"):
        write_pair(tmp_path, stem)
    main = tmp_path / "ImageSets" / "Main"
    main.mkdir(parents=True)
    (main / "train.txt").write_text("a\nb 1\n\n")
    (main / "test.txt").write_text("c.jpg\n")
    (main / "cat_train.txt").write_text("a  1\nb 1 -1\n")
    (main.parent / "Layout").mkdir()
    (main.parent / "Layout" / "train.txt").write_text("c\n")
    assert pascal_voc.list_names(str(tmp_path)) == ["test", "train"]
    assert stems(pascal_voc.read(str(tmp_path), list_name="train")) == ["a", "b 1"]
    assert stems(pascal_voc.read(str(tmp_path), list_name="test")) == ["c"]
    assert stems(pascal_voc.read(str(tmp_path))) == ["a", "b 1", "c"]
    assert stems(pascal_voc.read(str(main / "train.txt"))) == ["a", "b 1"]
    with pytest.raises(ValueError, match="got 'val'; it has test, train"):
        pascal_voc.read(str(tmp_path), list_name="val")


def test_folders_are_lists_when_there_is_no_imagesets(tmp_path):
    for part in ("train", "valid", "test"):
        write_pair(tmp_path, "same", xml=part, images=part)
    assert pascal_voc.list_names(str(tmp_path)) == ["test", "train", "valid"]
    (item,) = pascal_voc.read(str(tmp_path), list_name="valid").annotations
    assert Path(item.image_path).parent.name == "valid"


def test_lists_with_the_same_name_in_two_years_are_merged(tmp_path):
    for year in ("VOC2007", "VOC2012"):
        write_pair(tmp_path / year, "a")
        (tmp_path / year / "ImageSets" / "Main").mkdir(parents=True)
        (tmp_path / year / "ImageSets" / "Main" / "trainval.txt").write_text("a\n")
    dataset = pascal_voc.read(str(tmp_path), list_name="trainval")
    assert [Path(item.image_path).parts[-3] for item in dataset.annotations] == ["VOC2007", "VOC2012"]


def test_each_list_gives_the_class_names_of_the_whole_folder(tmp_path):
    write_pair(tmp_path, "a", voc_object("zebra"), xml="train", images="train")
    write_pair(tmp_path, "b", voc_object("ant"), xml="val", images="val")
    dataset = pascal_voc.read(str(tmp_path), list_name="train")
    assert dataset.class_names == ["ant", "zebra"] and dataset.annotations[0].class_ids.tolist() == [1]


def test_a_single_xml_file_is_a_data_set(tmp_path):
    write_pair(tmp_path, "a")
    path = str(tmp_path / "Annotations" / "a.xml")
    assert pascal_voc.matches(path) and stems(pascal_voc.read(path)) == ["a"]


def test_errors_are_listed_and_the_rest_is_read(tmp_path):
    write_pair(
        tmp_path,
        "a",
        voc_object("cat"),
        "<object><name>cat</name></object>\n",
        "<object><name/></object>\n",
        voc_object(box=(1, 2, "x", 4)),
        voc_object("Cats"),
    )
    write_xml(tmp_path / "Annotations" / "lost.xml", voc_object())
    (tmp_path / "Annotations" / "torn.xml").write_text("<annotation>\n<object>\n<name>cat</annotation>\n")
    (tmp_path / "Annotations" / "void.xml").write_text("")
    write_image(tmp_path / "JPEGImages" / "alone.jpg")
    dataset = pascal_voc.read(str(tmp_path), class_names=["cat"])
    assert stems(dataset) == ["a"] and len(dataset.annotations[0].boxes) == 1
    found = {(finding.kind, Path(finding.where).name) for finding in dataset.findings}
    # a.xml: the objects start on lines 4, 7, 8, 9 and 12.
    assert found == {
        ("bad-xml", "torn.xml:3"),
        ("bad-xml", "void.xml:1"),
        ("missing-image", "lost.xml"),
        ("bad-box", "a.xml:7"),
        ("bad-box", "a.xml:8"),
        ("bad-box", "a.xml:9"),
        ("unknown-class", "a.xml:12"),
        ("no-annotation", tmp_path.name),
    }


def test_list_entries_without_xml_are_listed(tmp_path):
    write_pair(tmp_path, "a")
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets" / "train.txt").write_text("a\nb\n")
    dataset = pascal_voc.read(str(tmp_path), list_name="train")
    assert [(finding.kind, Path(finding.where).name) for finding in dataset.findings] == [
        ("missing-xml", "train.txt:2")
    ]


def test_an_image_without_objects_is_kept(tmp_path):
    write_image(tmp_path / "a.jpg")
    write_xml(tmp_path / "a.xml", filename="a.jpg")
    assert pascal_voc.read(str(tmp_path), class_names=["cat"]).annotations[0].boxes.shape == (0, 4)


@pytest.mark.parametrize(
    "size, kind", [((100, 200), ["exif-size"]), ((400, 200), ["size-mismatch"]), ((0, 0), []), (None, [])]
)
def test_a_stated_size_that_differs_from_the_image_is_a_warning(tmp_path, size, kind):
    write_image(tmp_path / "a.jpg")
    write_xml(tmp_path / "a.xml", voc_object(), size=size)
    assert kinds(pascal_voc.read(str(tmp_path))) == kind


def test_comments_do_not_shift_the_lines(tmp_path):
    write_pair(tmp_path, "a", "<!-- <object>\n -->\n", voc_object())
    assert pascal_voc.read(str(tmp_path)).annotations[0].lines == (6,)


def test_other_xml_is_not_voc(tmp_path):
    (tmp_path / "pom.xml").write_text("<?xml version='1.0'?>\n<project/>\n")
    assert not pascal_voc.matches(str(tmp_path)) and not pascal_voc.matches(str(tmp_path / "pom.xml"))
    with pytest.raises(ValueError, match="got none"):
        pascal_voc.read(str(tmp_path))


def test_written_data_are_read_back(tmp_path):
    for part in ("x", "y"):
        write_image(tmp_path / "in" / part / "a&b.png")
    boxes = np.array([[0, 0, 200, 100], [1 / 3, 2.5, 99.9, 50]], np.float32)
    items = [
        Annotation(
            str(tmp_path / "in" / part / "a&b.png"),
            boxes,
            np.array([1, 0], np.int32),
            np.array([True, False]),
            np.zeros(2, bool),
            "x",
        )
        for part in ("x", "y")
    ]
    pascal_voc.write(Dataset(items, ["R&D", "dog"], "yolo", [], "set [val]"), str(tmp_path / "out"))
    again = pascal_voc.read(str(tmp_path / "out"), list_name="val")
    assert again.class_names == ["R&D", "dog"] and not again.findings and stems(again) == ["a&b", "a&b_2"]
    for new in again.annotations:
        np.testing.assert_allclose(new.boxes, boxes, rtol=0, atol=1e-6)
        assert new.class_ids.tolist() == [1, 0] and new.difficult.tolist() == [True, False]


@pytest.mark.skipif(not BCCD.is_dir(), reason="the photographs of blood cells are not beside the repository")
def test_real_images_are_read_with_their_lists():
    assert pascal_voc.list_names(str(BCCD)) == ["test", "train", "trainval", "val"]
    dataset = pascal_voc.read(str(BCCD), list_name="test")
    assert dataset.class_names == ["Platelets", "RBC", "WBC"] and not dataset.findings
    assert len(dataset.annotations) == 72 and len(pascal_voc.read(str(BCCD)).annotations) == 364


@pytest.mark.parametrize(
    "head, encoding, root",
    [
        ("", "utf-8", '<annotation xmlns="http://example.org/voc">'),
        ("", "utf-8", '<v:annotation xmlns:v="http://example.org/voc">'),
        ('<?xml version="1.0" encoding="ISO-8859-1"?>\n', "latin-1", "<annotation>"),
        ('<?xml version="1.0" encoding="utf-16"?>\n', "utf-16", "<annotation>"),
        ("", "utf-16", "<annotation>"),
        ('<?xml version="1.0" encoding="gb2312"?>\n', "gb2312", "<annotation>"),
        ('<?xml version="1.0"?>\n', "utf-8-sig", "<annotation>"),
        ('\n <?xml version="1.0" encoding="utf-8"?>\n', "utf-8", "<annotation>"),
        ('<?xml version="1.0" encoding="nonsense"?>\n', "utf-8", "<annotation>"),
    ],
)
def test_xml_is_read_in_its_encoding_and_without_its_namespace(tmp_path, head, encoding, root):
    name = {"latin-1": "Käfer", "gb2312": "猫"}.get(encoding, "cat")
    prefix = "v:" if root.startswith("<v:") else ""
    text = f"{head}{root}\n{voc_object(name)}{voc_object(name)}</annotation>\n"
    text = text.replace("</annotation>", f"</{prefix}annotation>")
    for tag in ("object", "name", "difficult", "bndbox", "xmin", "ymin", "xmax", "ymax") if prefix else ():
        text = text.replace(f"<{tag}>", f"<{prefix}{tag}>").replace(f"</{tag}>", f"</{prefix}{tag}>")
    write_image(tmp_path / "a.jpg")
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))
    if prefix:  # a prefixed root is not looked for in a folder, but a file that is read is understood
        found = parse_xml(str(tmp_path / "a.xml"))
        names, lines = [item.name for item in found.objects], [item.line for item in found.objects]
    else:
        dataset = pascal_voc.read(str(tmp_path))
        (item,) = dataset.annotations
        assert not dataset.findings
        names, lines = [dataset.class_names[number] for number in item.class_ids], list(item.lines)
    first = (head + root).count("\n") + 2
    assert names == [name, name] and lines == [first, first + 3]


def test_files_with_the_same_name_are_matched_by_their_folders(tmp_path):
    for day, count in (("monday", 1), ("tuesday", 2)):
        for stem in ("1", "2"):
            write_image(tmp_path / "JPEGImages" / day / f"{stem}.jpg", height=100 + count)
            objects = [voc_object(box=(1, 1, 50 + number, 60)) for number in range(count)]
            write_xml(tmp_path / "Annotations" / day / f"{stem}.xml", *objects, filename=f"{stem}.jpg", size=None)
    main = tmp_path / "ImageSets" / "Main"
    main.mkdir(parents=True)
    (main / "train.txt").write_text("monday/1\nmonday/2\n")
    (main / "test.txt").write_text("tuesday/1\ntuesday/2\n")
    for name, day, count in (("train", "monday", 1), ("test", "tuesday", 2)):
        dataset = pascal_voc.read(str(tmp_path), list_name=name)
        assert [Path(item.image_path).parent.name for item in dataset.annotations] == [day, day]
        assert [len(item.boxes) for item in dataset.annotations] == [count, count] and not dataset.findings


@pytest.mark.parametrize("folder", ["ImageSets/Main", "imagesets/main", "ImageSets"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_from_any_system_name_xml_files_in_any_case(tmp_path, folder, encoding):
    for stem in ("a", "b", "c"):
        write_pair(tmp_path, stem)
    path = tmp_path / folder / "train.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes("A\r\n\r\n C:\\photos\\b.JPG \r\n".encode(encoding))
    assert pascal_voc.list_names(str(tmp_path)) == ["train"]
    assert stems(pascal_voc.read(str(tmp_path), list_name="train")) == ["a", "b"]


def test_written_classes_keep_their_order_and_those_without_boxes(shapes_set, tmp_path):
    names = ["triangle", "star", "circle", "square"]
    write_dataset(read_dataset(shapes_set, class_names=names, list_name="val"), tmp_path / "out", "voc")
    assert read_dataset(tmp_path / "out").class_names == names
    (tmp_path / "out" / "classes.txt").write_text("circle\n")  # not of this data: it has names that are not in it
    assert read_dataset(tmp_path / "out").class_names == ["circle", "square", "triangle"]


def test_a_list_of_images_does_not_take_the_xml_of_another_data_set(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "1.xml").write_text("<annotation></annotation>")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "train.txt").write_text("1.jpg\n")
    assert not pascal_voc.matches(str(tmp_path / "own" / "train.txt"))
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "1.xml").write_text("<annotation></annotation>")
    assert pascal_voc.matches(str(tmp_path / "own" / "train.txt"))
