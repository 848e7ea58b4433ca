"""yolo3.inference.sources: which files are detected in, in which order, and the names of their results."""

from pathlib import Path

import numpy as np
import pytest

from tests.inference.test_videos import Camera, write_video
from yolo3.inference.sources import count_shots, detect_shots, find_sources, read_shots, result_paths


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*paths):
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(b"")


def named(sources):
    return [(source.kind, source.path, source.name) for source in sources]


def test_files_folders_patterns_videos_and_cameras_come_in_order_each_once(folder):
    touch("b.jpg", "a.jpg", "x/2.PNG", "x/y/1.webp", "x/clip.MP4", "x/notes.txt", "z/3.jpg")
    assert named(find_sources(["b.jpg", "x", "z/*.jpg", "a.jpg", "b.jpg", "./x/2.PNG"], [1, 0, 1])) == [
        ("image", "b.jpg", "b"),
        ("image", "x/2.PNG", "2"),
        ("video", "x/clip.MP4", "clip"),
        ("image", "x/y/1.webp", "y/1"),
        ("image", "z/3.jpg", "3"),
        ("image", "a.jpg", "a"),
        ("camera", "camera 0", "camera_0"),
        ("camera", "camera 1", "camera_1"),
    ]


def test_patterns_reach_into_folders(folder):
    touch("p/1.jpg", "p/q/2.jpg", "p/q/r/3.jpg", "p/q/4.txt", "p/q/5.avi")
    assert [source.path for source in find_sources(["p/**/*.jpg"])] == ["p/1.jpg", "p/q/2.jpg", "p/q/r/3.jpg"]
    assert [source.name for source in find_sources(["p/**/*.jpg"])] == ["1", "q/2", "q/r/3"]
    assert [source.path for source in find_sources(["p/?/[2-9].*"])] == ["p/q/2.jpg", "p/q/5.avi"]
    assert [source.path for source in find_sources(["p/*"])] == ["p/1.jpg", "p/q/2.jpg", "p/q/5.avi", "p/q/r/3.jpg"]
    assert [source.name for source in find_sources([str(folder / "p" / "*" / "*.avi")])] == ["q/5"]


def test_a_file_with_pattern_characters_in_its_name_is_taken_literally(folder):
    touch("a[1].jpg", "a1.jpg")
    assert [source.path for source in find_sources(["a[1].jpg"])] == ["a[1].jpg"]


def test_a_file_with_another_suffix_is_read_as_an_image_if_it_is_named(folder):
    touch("d/scan.xyz", "d/a.jpg")
    assert named(find_sources(["d/scan.xyz"])) == [("image", "d/scan.xyz", "scan")]
    assert [source.path for source in find_sources(["d"])] == ["d/a.jpg"]
    assert [source.path for source in find_sources(["d/*"])] == ["d/a.jpg"]


def test_results_of_an_earlier_run_are_not_read_unless_they_are_named(folder):
    touch("a.jpg", "out/a.jpg", "crops/dog/a_1.jpg", "out/clip.mp4")
    results = ["out", "crops"]
    for argument in (".", "**/*.jpg", "*"):
        assert [Path(source.path).as_posix() for source in find_sources([argument], (), results)] == ["a.jpg"], argument
    assert len(find_sources(["out"], (), results)) == 2
    assert len(find_sources(["out/a.jpg"], (), results)) == 1


def test_missing_files_are_reported(folder):
    touch("empty/notes.txt")
    with pytest.raises(FileNotFoundError, match="nope.jpg"):
        find_sources(["nope.jpg"])
    for argument, message in (
        ("empty", r"empty: expected images .* got a folder without any"),
        ("*.jpg", r"\*\.jpg: expected images .* got no such file that matches"),
        ("0", "0: no such file; the camera with this number is --camera 0"),
    ):
        with pytest.raises(ValueError, match=message):
            find_sources([argument])
    with pytest.raises(ValueError, match="'': expected the path of an image"):
        find_sources([""])
    touch("0")
    assert [source.kind for source in find_sources(["0"])] == ["image"]


def test_no_two_images_share_a_name_whatever_their_folder_suffix_and_case(folder):
    touch("a/same.jpg", "b/same.jpg", "same.png", "c/SAME.jpg", "d/same_2.jpg")
    sources = find_sources(["a", "b/same.jpg", "same.png", "c", "d"])
    assert [source.name for source in sources] == ["same", "same_2", "same_3", "SAME_4", "same_2_2"]
    assert [source.name for source in find_sources(["c", "a"])] == ["SAME", "same_2"]


def test_a_video_shares_its_name_with_an_image_but_with_no_folder(folder):
    touch("x/clip.jpg", "x/clip.mp4", "x/clip.avi", "x/more/1.jpg", "x/more.mov", "x/camera_0.mp4")
    sources = find_sources(["x"], [0])
    assert {source.path: source.name for source in sources} == {
        "x/camera_0.mp4": "camera_0",
        "x/clip.avi": "clip",
        "x/clip.jpg": "clip",
        "x/clip.mp4": "clip_2",
        "x/more.mov": "more_2",  # the frames of "more" would lie beside more/1
        "x/more/1.jpg": "more/1",
        "camera 0": "camera_0_2",
    }


def test_names_stay_below_the_folder_of_results(folder):
    touch("a/b/1.jpg", "2.jpg")
    for argument in ("a/b/../../2.jpg", "a/*/../../2.jpg"):
        assert [source.name for source in find_sources([argument])] == ["2"]


def test_results_overwrite_neither_an_input_nor_another_result(folder):
    touch("a.jpg", "b/a.jpg", "c.png")
    sources = find_sources(["a.jpg", "b/a.jpg", "c.png"])
    assert [str(path) for path in result_paths(sources, "out", [".jpg", ".jpg", ".png"])] == [
        "out/a.jpg", "out/a_2.jpg", "out/c.png",
    ]  # fmt: skip
    assert [str(path) for path in result_paths(sources, ".", [".jpg", ".jpg", ".mp4"])] == [
        "a_2.jpg", "a_2_2.jpg", "c.mp4",
    ]  # fmt: skip


def test_shots_are_paths_and_frames_with_names_of_their_own(folder):
    write_video("clip.avi", 5, rate=10)
    touch("a.jpg")
    shots = list(read_shots(find_sources(["a.jpg", "clip.avi"]), every=2))
    assert [shot.name for shot in shots] == ["a", "clip/000000", "clip/000002", "clip/000004"]
    assert [shot.frame for shot in shots] == [None, 0, 2, 4]
    assert shots[0].image == "a.jpg" and shots[0].seconds is None and shots[0].rate is None
    assert shots[2].image.shape == (48, 64, 3) and shots[2].seconds == pytest.approx(0.2) and shots[2].rate == 5
    assert shots[2].source.path == "clip.avi"


def test_an_unreadable_video_is_reported_and_the_others_are_processed(folder):
    touch("bad.mp4", "a.jpg")
    sources = find_sources(["bad.mp4", "a.jpg"])
    errors = []
    assert [shot.name for shot in read_shots(sources, 1, lambda *error: errors.append(error))] == ["a"]
    assert errors[0][0] == "bad.mp4" and "bad.mp4: expected a video" in str(errors[0][1])
    with pytest.raises(ValueError, match="bad.mp4"):
        list(read_shots(sources))


def test_detections_come_with_their_shot_although_some_images_are_unreadable(folder):
    class Reader:
        def detect_each(self, photos, on_error):
            taken = list(photos)  # far ahead
            for index, photo in enumerate(taken):
                if "bad" in photo:
                    on_error(photo, ValueError("bad"))
                else:
                    yield index, f"pixels of {photo}", f"found in {photo}"

    touch("1.jpg", "bad2.jpg", "3.jpg", "bad4.jpg", "bad5.jpg", "6.jpg", "bad7.jpg")
    errors = []
    found = detect_shots(Reader(), read_shots(find_sources(["."])), lambda photo, _: errors.append(Path(photo).name))
    assert [(shot.name, image, detections) for shot, image, detections in found] == [
        (name, f"pixels of ./{name}.jpg", f"found in ./{name}.jpg") for name in "136"
    ]
    assert errors == ["bad2.jpg", "bad4.jpg", "bad5.jpg", "bad7.jpg"]


def test_a_camera_is_opened_by_its_number(monkeypatch):
    camera = Camera(monkeypatch, [np.zeros((4, 6, 3), np.uint8)] * 2)
    errors = []
    shots = list(read_shots(find_sources([], [7]), on_error=lambda path, error: errors.append((path, str(error)))))
    assert camera.asked_for == 7
    assert errors == [("camera 7", "camera 7: expected further images, got none after 2; is it still plugged in?")]
    assert [(shot.name, shot.source.path) for shot in shots] == [
        ("camera_7/000000", "camera 7"), ("camera_7/000001", "camera 7"),
    ]  # fmt: skip


def test_the_number_of_shots_is_known_where_headers_say_it(folder):
    write_video("clip.avi", 5)
    touch("a.jpg", "bad.mp4")
    sources = find_sources(["a.jpg", "clip.avi", "bad.mp4"])
    assert count_shots(sources) == 6 and count_shots(sources, every=2) == 4
    assert count_shots(find_sources(["a.jpg"], [0])) is None
