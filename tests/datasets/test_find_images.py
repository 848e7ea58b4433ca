"""Which image a name means."""

import numpy as np

from yolo3.datasets.find_images import ImageIndex, ListedPaths, ambiguity_findings, folder_distance
from yolo3.datasets.images import write_image as write_pixels


def write_image(path):
    write_pixels(path, np.zeros((4, 6, 3), np.uint8))
    return str(path)


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


def test_listed_paths_are_found_where_the_data_lies_now(tmp_path, monkeypatch):
    image = write_image(tmp_path / "data" / "obj" / "a b.jpg")
    monkeypatch.chdir("/")
    paths = ListedPaths(str(tmp_path / "data" / "train.txt"))
    for entry in ("obj/a b.jpg", "data/obj/a b.jpg", image, "obj\\a b.jpg", "/somewhere/else/a b.jpg"):
        assert paths.find(entry) == image, entry
    assert paths.find("obj/c.jpg") is None


def test_folders_agree_from_the_top_and_then_from_the_bottom():
    near = "/set/xml/monday/1.xml"
    # Shared from the top: /, set (2), or xml too (3); then monday from the bottom.
    assert folder_distance("/set/photos/monday/1.jpg", near) == (-2, -1)
    assert folder_distance("/set/photos/tuesday/1.jpg", near) == (-2, 0)
    assert folder_distance("/set/xml/1.jpg", near) == (-3, 0)
    assert folder_distance("/set/xml/monday/1.jpg", near) == (-4, 0)
