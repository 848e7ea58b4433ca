"""Which files are there, from a listing and from the disk."""

from yolo3.datasets.known_files import KnownFiles
from yolo3.datasets.written_names import Places
from yolo3.file_states import watching
from yolo3.files import walk_files


def test_a_listing_answers_for_its_folders_and_the_disk_for_the_others(tmp_path):
    for name in ("set/a.jpg", "set/.hidden.jpg", "other/b.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path / "set")
    known = KnownFiles(walk_files(str(tmp_path / "set")))
    there = ["set/a.jpg", "set/.hidden.jpg", "other/b.jpg", "link/a.jpg"]
    absent = ["set/b.jpg", "set/.a.jpg", "other/a.jpg", "nowhere/a.jpg", "link/b.jpg"]
    assert all(known.has(str(tmp_path / name)) for name in there)
    assert not any(known.has(str(tmp_path / name)) for name in absent)


def test_a_folder_without_files_of_a_kind_is_known_to_have_none(tmp_path):
    for name in ("labelled/a.txt", "plain/a.jpg", "elsewhere/a.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    known = KnownFiles([str(tmp_path / "labelled" / "a.txt"), str(tmp_path / "plain" / "a.jpg")])
    may = {name: known.may_hold(str(tmp_path / name), ".txt") for name in ("labelled", "plain", "elsewhere", "gone")}
    assert may == {"labelled": True, "plain": False, "elsewhere": True, "gone": False}


def test_folders_that_were_not_listed_are_asked_for_once(tmp_path):
    known = KnownFiles([])
    looked = []
    with watching(lambda: looked.append(1)):
        assert not any(known.has(str(tmp_path / "nowhere" / f"{number}.jpg")) for number in range(10))
    assert len(looked) == 1


def test_the_first_of_the_places_that_has_a_name_counts(tmp_path):
    for name in ("one/1.jpg", "two/1.jpg", "two/in/2.jpg", "two/3 4.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    places = Places([str(tmp_path / "one"), str(tmp_path / "two")], KnownFiles(walk_files(str(tmp_path))))
    assert places.find("1.jpg") == str(tmp_path / "one/1.jpg")
    assert places.find("../two/1.jpg") == str(tmp_path / "two/1.jpg")
    assert places.find("in/2.jpg") == str(tmp_path / "two/in/2.jpg")
    assert places.find("3%204.jpg") == str(tmp_path / "two/3 4.jpg")
    assert places.find("2.jpg") is None
