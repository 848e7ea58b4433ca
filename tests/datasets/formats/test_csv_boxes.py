"""CSV files with a box per row, of several tools."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from yolo3.datasets.formats import csv_boxes
from yolo3.datasets.formats import registry as formats

TENSORFLOW = "filename,width,height,class,xmin,ymin,xmax,ymax\n"


def write_image(path, height=100, width=200, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), value, np.uint8))


def write_csv(path, text, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, **options)
    return str(path)


def read_text(tmp_path, text, names=("a.jpg",), **options):
    """Read a CSV beside images of these names."""
    for name in names:
        write_image(tmp_path / name)
    return csv_boxes.read(write_csv(tmp_path / "set.csv", text), **options)


def found(dataset):
    """(image, class, box) of all boxes."""
    return [
        (Path(item.image_path).name, dataset.class_names[class_id], box)
        for item in dataset.annotations
        for box, class_id in zip(item.boxes.tolist(), item.class_ids, strict=True)
    ]


def kinds(dataset):
    return [finding.kind for finding in dataset.findings]


A, B = ("a.jpg", "cat", [10, 20, 60, 80]), ("a.jpg", "dog", [0, 0, 200, 100])


@pytest.mark.parametrize(
    "text",
    [
        TENSORFLOW + "a.jpg,200,100,cat,10,20,60,80\na.jpg,200,100,dog,0,0,200,100\n",
        "a.jpg,200,100,cat,10,20,60,80\na.jpg,200,100,dog,0,0,200,100\n",
        "a.jpg,10,20,60,80,cat\na.jpg,0,0,200,100,dog\n",
        "\ufeffa.jpg,10,20,60,80,cat\r\n\r\n/content/set/a.jpg,0,0,200,100,dog\r\n",
        "path,x1,y1,x2,y2,class\na.jpg,10.0,20.0,60.0,80.0,cat\na.jpg, 0, 0, 200, 100, dog\n",
        '"image","xmin","ymin","xmax","ymax","label"\n"a.jpg",10,20,60,80,"cat"\n"a.jpg",0,0,200,100,"dog"\n',
        "Image Name;Label;X Min;Y Min;X Max;Y Max\na.jpg;cat;10,0;20,0;60,0;80,0\na.jpg;dog;0;0;200;100\n",
        ",filename,cell_type,xmin,xmax,ymin,ymax\n0,a.jpg,cat,10,60,20,80\n1,a.jpg,dog,0,200,0,100\n",
        "sep=;\nfile;label;left;top;right;bottom\na.jpg;cat;10;20;60;80\na.jpg;dog;0;0;200;100\n",
        "file\tlabel\tleft\ttop\tright\tbottom\na.jpg\tcat\t10\t20\t60\t80\na.jpg\tdog\t0\t0\t200\t100\n",
        "cat,10,20,50,60,a.jpg,200,100\ndog,0,0,200,100,a.jpg,200,100\n",
        'image_id,width,height,bbox,label\na,200,100,"[10, 20, 50, 60]",cat\na,200,100,"[0, 0, 200, 100]",dog\n',
        "frame,class,x_center,y_center,width,height\na.jpg,cat,35,50,50,60\na.jpg,dog,100,50,200,100\n",
        "TRAIN,gs://set/a.jpg,cat,0.05,0.2,,,0.3,0.8,,\nTRAIN,gs://set/a.jpg,dog,0,0,,,1,1,,\n",
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded\na,xc,cat,1,0.05,0.3,0.2,0.8,0\n"
        "a,xc,dog,1,0,1,0,1,0\n",
    ],
    ids=[
        "tensorflow",
        "tensorflow-without-header",
        "retinanet",
        "retinanet-of-windows",
        "header-of-retinanet",
        "vott",
        "semicolons",
        "bccd-with-a-column-of-numbers",
        "excel",
        "tabs",
        "make-sense",
        "bbox-column",
        "centres",
        "automl",
        "open-images",
    ],
)
def test_each_dialect_gives_the_same_boxes(tmp_path, text):
    dataset = read_text(tmp_path, text)
    np.testing.assert_allclose([box for _, _, box in found(dataset)], [A[2], B[2]], atol=1e-4)
    assert [row[:2] for row in found(dataset)] == [A[:2], B[:2]]
    assert not dataset.findings and dataset.class_names == ["cat", "dog"]
    assert formats.detect_format(tmp_path) == formats.detect_format(tmp_path / "set.csv") == "csv"


def test_boxes_know_their_rows(tmp_path):
    dataset = read_text(tmp_path, TENSORFLOW + "a.jpg,200,100,cat,1,2,3,4\n\na.jpg,200,100,cat,5,5,9,9\n")
    (item,) = dataset.annotations
    assert [item.where(box).rpartition(":")[2] for box in range(2)] == ["2", "4"]


def test_rows_of_empty_cells_are_background_images(tmp_path):
    dataset = read_text(tmp_path, "a.jpg,,,,,\nb.jpg,1,2,3,4,cat\nc.jpg\n", names=("a.jpg", "b.jpg", "c.jpg"))
    assert [len(item.boxes) for item in dataset.annotations] == [0, 1, 0] and not dataset.findings


@pytest.mark.parametrize(
    "row, kind, says",
    [
        ("a.jpg,1,2,x,4,cat", "bad-box", "expected numbers for x_min, y_min, x_max, y_max, got '1, 2, x, 4'"),
        ("a.jpg,1,2,nan,4,cat", "bad-box", "got '1, 2, nan, 4'"),
        ("a.jpg,1,2,1e400,4,cat", "bad-box", "expected numbers"),
        ("a.jpg,1,2," + "9" * 400 + ",4,cat", "bad-box", "expected numbers"),
        ("a.jpg,1,2,3,4,", "bad-box", "expected the name of a class"),
        ("a.jpg,1,2", "bad-box", "expected numbers"),
        ("a,b.jpg,1,2,3,4,cat", "bad-line", "expected 6 cells, got 7; quote names with ','"),
        (",1,2,3,4,cat", "bad-line", "expected the name of an image"),
        ("lost.jpg,1,2,3,4,cat", "missing-image", "lost.jpg"),
    ],
)
def test_a_bad_row_is_reported_with_its_line_and_the_rest_is_read(tmp_path, row, kind, says):
    dataset = read_text(tmp_path, f"a.jpg,5,5,9,9,cat\n{row}\n")
    assert [len(item.boxes) for item in dataset.annotations] == [1]
    (finding,) = dataset.findings
    assert finding.kind == kind and says in finding.message and finding.where.endswith("set.csv:2")


def test_a_quote_that_is_never_closed_is_one_finding(tmp_path):
    (finding,) = read_text(tmp_path, 'a.jpg,1,2,3,4,cat\n"a.jpg,1,2,3,4,cat\n' * 3).findings
    assert finding.kind == "bad-csv" and finding.where.endswith("set.csv:2")
    assert "is a quote never closed?" in finding.message and "\n" not in finding.message


def test_a_stated_size_is_compared_with_the_image(tmp_path):
    dataset = read_text(tmp_path, TENSORFLOW + "a.jpg,400,200,cat,10,20,60,80\n")
    (finding,) = dataset.findings
    assert finding.kind == "size-mismatch" and finding.where.endswith("set.csv:2")


def test_ids_are_named_by_a_class_file(tmp_path):
    write_csv(tmp_path / "classes.csv", "dog,0\ncat,1\nfox,2\n")
    dataset = read_text(tmp_path, "a.jpg,10,20,60,80,1\na.jpg,0,0,200,100,dog\n")
    assert found(dataset) == [A, B] and dataset.class_names == ["dog", "cat", "fox"]


@pytest.mark.parametrize("label", ["dgo", "2"])
def test_a_class_that_the_class_file_lacks_is_an_error_not_a_new_class(tmp_path, label):
    write_csv(tmp_path / "classes.csv", "dog,0\ncat,1\n")
    dataset = read_text(tmp_path, f"a.jpg,10,20,60,80,cat\na.jpg,0,0,9,9,{label}\n")
    (finding,) = dataset.findings
    assert finding.kind == "unknown-class" and finding.where.endswith("set.csv:2") and label in finding.message
    assert dataset.class_names == ["dog", "cat"] and found(dataset) == [A]


def test_ids_may_be_written_as_decimals(tmp_path):
    assert read_text(tmp_path, "a.jpg,10,20,60,80,1.0\n").class_names == ["class_0", "class_1"]
    write_csv(tmp_path / "classes.csv", "dog,0\ncat,1\n")
    assert found(read_text(tmp_path, "a.jpg,10,20,60,80,1.0\n")) == [A]


@pytest.mark.parametrize("name, text", [("classes.txt", "dog\ncat\n"), ("map.csv", "name,id\ncat,1\ndog,0\n")])
def test_class_files_of_other_forms_name_ids_too(tmp_path, name, text):
    write_csv(tmp_path / name, text)
    assert found(read_text(tmp_path, "a.jpg,10,20,60,80,1\n")) == [A]


def test_ids_without_names_mean_the_given_names_or_are_numbered(tmp_path):
    text = "a.jpg,10,20,60,80,1\n"
    assert read_text(tmp_path, text).class_names == ["class_0", "class_1"]
    assert found(read_text(tmp_path, text, class_names=["dog", "cat"])) == [A]
    (finding,) = read_text(tmp_path, text, class_names=["dog"]).findings
    assert finding.kind == "unknown-class" and finding.where.endswith("set.csv:1")


def test_a_table_of_whole_images_is_no_class_file(tmp_path):
    write_csv(tmp_path / "_classes.csv", "filename,cat\na.jpg,1\nb.jpg,1\n")
    assert found(read_text(tmp_path, "a.jpg,10,20,60,80,cat\n")) == [A]


@pytest.mark.parametrize("row", ["cat,zero", "cat,0", "fox,1", "fox"])
def test_a_bad_class_file_is_one_line(tmp_path, row):
    write_csv(tmp_path / "_classes.csv", f"cat,0\ndog,1\n{row}\n")
    with pytest.raises(ValueError, match=r"_classes\.csv:3: expected 'class,id'"):
        read_text(tmp_path, "a.jpg,10,20,60,80,1\n")


def test_rows_without_a_class_are_of_one_class_and_that_is_told(tmp_path):
    text = "filename,xmin,ymin,xmax,ymax\na.jpg,10,20,60,80\n"
    dataset = read_text(tmp_path, text)
    assert dataset.class_names == ["object"] and kinds(dataset) == ["no-class"]
    assert found(read_text(tmp_path, text, class_names=["cat"])) == [A]


def test_given_class_names_are_matched_by_name(tmp_path):
    dataset = read_text(tmp_path, "a.jpg,10,20,60,80,cat\na.jpg,0,0,9,9,dog\n", class_names=["cat"])
    assert found(dataset) == [A] and kinds(dataset) == ["unknown-class"]


def test_groups_of_open_images_are_crowd_regions(tmp_path):
    text = "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf\na,cat,0.05,0.3,0.2,0.8,1\n"
    assert read_text(tmp_path, text).annotations[0].crowd.tolist() == [True]


def test_roboflows_folders_are_lists(tmp_path):
    for part in ("train", "valid", "test"):
        write_image(tmp_path / part / f"{part}1_jpg.rf.5f.jpg")
        row = f"{part}1_jpg.rf.5f.jpg,200,100,{part},1,2,30,40\n"
        write_csv(tmp_path / part / "_annotations.csv", TENSORFLOW + row)
    assert formats.list_names(tmp_path) == ["test", "train", "valid"]
    assert formats.find_default_lists(tmp_path) == ("train", "valid")
    dataset = formats.read_dataset(tmp_path, list_name="valid")
    assert found(dataset) == [("valid1_jpg.rf.5f.jpg", "valid", [1, 2, 30, 40])]
    assert dataset.class_names == ["test", "train", "valid"] and dataset.name.endswith("[valid]")
    with pytest.raises(ValueError, match="got 'val'; it has test, train, valid"):
        formats.read_dataset(tmp_path, list_name="val")


@pytest.mark.parametrize("joined", [False, True])
def test_faults_of_another_list_do_not_count(tmp_path, joined):
    """A bad row of val.csv is no error of the training images."""
    rows = {"train": "a.jpg,10,20,60,80,cat\n", "val": "b.jpg,1,2,3,4,cat\nb.jpg,1,2,x,4,cat\nlost.jpg,1,2,3,4,cat\n"}
    for part, text in rows.items():
        if not joined:
            write_csv(tmp_path / f"{part}.csv", text)
    if joined:
        lines = [f"{part},{line}" for part, text in rows.items() for line in text.splitlines()]
        write_csv(tmp_path / "set.csv", "\n".join(["split,path,x1,y1,x2,y2,class", *lines]) + "\n")
    for name in "ab":
        write_image(tmp_path / f"{name}.jpg")
    assert not csv_boxes.read(str(tmp_path), list_name="train").findings
    assert kinds(csv_boxes.read(str(tmp_path), list_name="val")) == ["bad-box", "missing-image"]


def test_the_list_of_a_file_tells_images_of_one_name_apart(tmp_path):
    for value, part in enumerate(("train", "test")):
        write_image(tmp_path / "images" / part / "1.jpg", value=value)
        write_csv(tmp_path / f"{part}_labels.csv", TENSORFLOW + "1.jpg,200,100,cat,1,2,30,40\n")
    for part in ("train", "test"):
        (item,) = csv_boxes.read(str(tmp_path), list_name=f"{part}_labels").annotations
        assert Path(item.image_path) == tmp_path / "images" / part / "1.jpg"


def test_a_column_may_name_the_lists(tmp_path):
    text = "split,filename,xmin,ymin,xmax,ymax,class\nval,a.jpg,10,20,60,80,cat\ntrain,b.jpg,1,1,9,9,dog\n"
    dataset = read_text(tmp_path, text, names=("a.jpg", "b.jpg"), list_name="val")
    assert found(dataset) == [A] and dataset.class_names == ["cat", "dog"]


def test_folders_in_the_names_of_images_are_lists_where_nothing_else_is(tmp_path):
    rows = "set\\train\\a.jpg,10,20,60,80,cat\nset\\val\\b.jpg,1,1,9,9,dog\n"
    dataset = read_text(tmp_path, rows, names=("train/a.jpg", "val/b.jpg"), list_name="train")
    assert found(dataset) == [A] and dataset.class_names == ["cat", "dog"]
    assert formats.find_default_lists(tmp_path) == ("train", "val")


def test_images_without_a_row_are_counted(tmp_path):
    write_image(tmp_path / "other.jpg")
    read_text(tmp_path, "a.jpg,10,20,60,80,cat\n")
    (finding,) = csv_boxes.read(str(tmp_path)).findings
    assert finding.kind == "no-annotation" and finding.message.startswith("1 images have no annotation")


def test_results_and_other_tables_are_not_annotations(tmp_path):
    tables = [
        "image,frame,seconds,class_id,class_name,score,x_min,y_min,x_max,y_max\na.jpg,,,0,cat,0.9,1,2,3,4\n",
        "epoch,loss,val_loss\n1,2,3\n",
        "filename,cat,dog\na.jpg,1,0\n",
        "a.jpg,0,1\n",
        "1,2,3,4,5,6\n",
        "",
    ]
    for number, text in enumerate(tables):
        assert not csv_boxes.matches(write_csv(tmp_path / f"{number}.csv", text)), text
    assert not csv_boxes.matches(str(tmp_path))
    (tmp_path / "photo.csv").write_bytes(b"\xff\xd8\xff\0")
    assert not csv_boxes.matches(str(tmp_path / "photo.csv"))


def test_a_folder_of_other_data_is_told_by_few_first_bytes(tmp_path, monkeypatch):
    for number in range(80):
        (tmp_path / f"{number}.csv").write_text("time,x,y\n" + "1,2,3\n" * 10)
    looked_at = []
    monkeypatch.setattr(csv_boxes, "find_columns", looked_at.append)
    assert not csv_boxes.matches(str(tmp_path)) and len(looked_at) == 50


def test_images_of_a_single_file_are_beside_it_or_beside_its_folder_of_annotations(tmp_path):
    write_image(tmp_path / "photos" / "a.jpg")
    row = "a.jpg,10,20,60,80,cat\n"
    assert found(csv_boxes.read(write_csv(tmp_path / "annotations" / "set.csv", row))) == [A]
    assert found(csv_boxes.read(write_csv(tmp_path / "set.csv", row))) == [A]
    dataset = csv_boxes.read(write_csv(tmp_path / "elsewhere" / "set.csv", row))  # nothing else is searched
    assert kinds(dataset) == ["missing-image"]


def test_an_image_of_another_list_is_not_taken_for_a_missing_one(tmp_path):
    write_image(tmp_path / "valid" / "a.jpg")
    write_csv(tmp_path / "train" / "_annotations.csv", "a.jpg,1,2,3,4,cat\n")
    dataset = csv_boxes.read(str(tmp_path), list_name="train")
    assert kinds(dataset) == ["missing-image"] and "is another image" in dataset.findings[0].message
