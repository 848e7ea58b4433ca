"""Which image a name means."""

import pytest

from yolo3.datasets.annotation import build_annotation
from yolo3.datasets.find_images import ImageIndex, ListedPaths, folder_distance, only_image, without_contested


def write_image(path, shade=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes([shade]))
    return str(path)


def test_images_are_found_in_any_case_and_the_nearest_is_taken(tmp_path):
    near = write_image(tmp_path / "train" / "A.JPG")
    far = write_image(tmp_path / "test" / "a.jpg")
    index = ImageIndex(str(tmp_path))
    assert index.find("a.jpg", near=str(tmp_path / "train" / "a.xml")) == [near]
    assert index.find_stem("a", near=str(tmp_path / "test" / "a.xml")) == [far]
    assert index.find("b.jpg", near=str(tmp_path / "x")) == []


@pytest.mark.parametrize(
    "name, found",
    [
        ("video2/1.png", "video2/1.png"),
        ("/content/drive/MyDrive/set/frames/video2/1.png", "video2/1.png"),
        ("C:\\set\\video2\\1.png", "video2/1.png"),
        ("VIDEO2/1.PNG", "video2/1.png"),
        ("a%20(1).png", "a (1).png"),
        ("b%20(1).png", "b%20(1).png"),  # as written wins
        ("/data/local-files/?d=video2%2F1.png", "video2/1.png"),
        ("https://host/video2/1.png", "video2/1.png"),
        ("caf\u00e9.png", "cafe\u0301.png"),
        ("e\u0301te\u0301.png", "\u00e9t\u00e9.png"),
        ("same/1.png", "same/1.png"),
        ("same/1.PNG", "same/1.PNG"),
    ],
)
def test_the_longest_run_of_path_parts_says_which_image_a_name_means(tmp_path, name, found):
    names = ("video1/1.png", "video2/1.png", "a (1).png", "b (1).png", "b%20(1).png")
    for number, other in enumerate((*names, "cafe\u0301.png", "\u00e9t\u00e9.png", "same/1.png", "same/1.PNG")):
        write_image(tmp_path / other, shade=number)
    findings = []
    candidates = ImageIndex(str(tmp_path)).find(name)
    assert only_image(candidates, name, "a.json", findings) == str(tmp_path / found) and not findings
    (tmp_path / "lists").mkdir()
    assert ListedPaths(str(tmp_path / "lists" / "train.txt"), str(tmp_path)).find(name) == [str(tmp_path / found)]


def test_images_that_fit_equally_well_are_an_error_that_lists_them(tmp_path):
    paths = [write_image(tmp_path / folder / "a.png", shade=number) for number, folder in enumerate(("one", "two"))]
    candidates = ImageIndex(str(tmp_path)).find("three/a.png", near=str(tmp_path / "xml" / "a.xml"))
    findings = []
    assert only_image(candidates, "three/a.png", "a.xml", findings) is None
    (finding,) = findings
    assert (finding.kind, finding.severity, finding.where) == ("ambiguous-image", "error", "a.xml")
    assert all(path in finding.message for path in paths)


def test_identical_copies_are_one_image(tmp_path):
    first, _ = (write_image(tmp_path / folder / "a.png") for folder in ("one", "two"))
    findings = []
    assert only_image(ImageIndex(str(tmp_path)).find("a.png"), "a.png", "t:1", findings) == first and not findings


def test_listed_paths_are_found_where_the_data_lies_now(tmp_path, monkeypatch):
    image = write_image(tmp_path / "data" / "obj" / "a b.jpg")
    monkeypatch.chdir("/")
    paths = ListedPaths(str(tmp_path / "data" / "train.txt"))
    for entry in ("obj/a b.jpg", "data/obj/a b.jpg", image, "obj\\a b.jpg", "/somewhere/else/a b.jpg"):
        assert paths.find(entry) == [image], entry
    assert paths.find("obj/c.jpg") == []


@pytest.mark.parametrize(
    "names, kept",
    [
        (["video1/1.png", "video2/1.png"], ["video1/1.png"]),  # the second names another image, which is not there
        (["/a/video2/1.png", "/b/video3/1.png"], []),  # each shares 1.png alone
        (["/a/video1/1.png", "video1/1.png"], ["/a/video1/1.png", "video1/1.png"]),  # one ends in the other
        (["x/1.png", "x/1.png"], ["x/1.png", "x/1.png"]),  # one name twice is for the checks
    ],
)
def test_an_image_belongs_to_the_name_that_shares_more_of_its_path(names, kept):
    annotations = [build_annotation("/set/video1/1.png", [], f"{number}.xml") for number in range(2)]
    findings = []
    left = without_contested(annotations, names, findings)
    assert [names[annotations.index(item)] for item in left] == kept
    assert [finding.kind for finding in findings] == ["missing-image"] * (2 - len(kept))


def test_folders_agree_from_the_top_and_then_from_the_bottom():
    near = "/set/xml/monday/1.xml"
    # Shared from the top: /, set (2), or xml too (3); then monday from the bottom.
    assert folder_distance("/set/photos/monday/1.jpg", near) == (-2, -1)
    assert folder_distance("/set/photos/tuesday/1.jpg", near) == (-2, 0)
    assert folder_distance("/set/xml/1.jpg", near) == (-3, 0)
    assert folder_distance("/set/xml/monday/1.jpg", near) == (-4, 0)


@pytest.mark.parametrize(
    "name, found",
    [
        ("val/1.png", None),  # the image of a list is not that of another one
        ("/data/valid/images/7.png", None),
        ("video2/1.png", None),  # video2 is there, without this image
        ("/content/set/video2/1.png", None),
        ("video3/2.png", "video2/2.png"),  # of a folder that is not there, the data has moved
        ("/content/set/1.png", "train/1.png"),
        ("trainval/1.png", "train/1.png"),
        ("train2017/1.png", "train/1.png"),
    ],
)
def test_a_folder_that_tells_that_another_image_is_meant_is_believed(tmp_path, name, found):
    for path in ("train/1.png", "video2/2.png", "train/images/7.png"):
        write_image(tmp_path / path)
    index = ImageIndex(str(tmp_path))
    assert index.find(name) == ([] if found is None else [str(tmp_path / found)])
    findings = []
    assert (only_image(index.find(name), name, "a.json", findings, index) is None) == (found is None)
    assert all("is another image" in finding.message for finding in findings)


def test_a_name_without_a_folder_is_not_taken_from_far_above(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    write_image(tmp_path / "1.png")
    for folder, found in ((tmp_path / "lists", True), (tmp_path / "set" / "lists", False)):
        folder.mkdir(parents=True)
        paths = ListedPaths(str(folder / "train.txt"))
        assert (paths.find("1.png") == [str(tmp_path / "1.png")]) == found
        assert paths.find(f"{tmp_path.name}/1.png") == [str(tmp_path / "1.png")]
