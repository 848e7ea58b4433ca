"""Published networks: found by name, fetched, checked, and used in one command."""

import dataclasses
import functools
import hashlib
import http.server
import threading
from pathlib import Path

import pytest

from yolo3.darknet.cfg import read_cfg
from yolo3.models import published
from yolo3.models.published import PUBLISHED, PublishedFile, find_network, is_published_name, weights_folder

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "darknet"
CFG = "[net]\nwidth=32\nheight=32\n[convolutional]\nfilters=18\n[yolo]\nmask=0,1,2\n[yolo]\nmask=0,1,2\n"


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """Folder that a server on the loopback address offers; its `url` names it."""
    folder = tmp_path / "offered"
    folder.mkdir()
    (folder / "net.cfg").write_text(CFG)
    (folder / "net.weights").write_bytes(b"weights")
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


@pytest.fixture
def network(server, tmp_path, monkeypatch):
    """The published network "net", whose files the server offers; nothing of it is at hand."""
    folder, url = server
    monkeypatch.setenv("YOLO3_WEIGHTS", str(tmp_path / "kept"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def file(name):
        content = (folder / name).read_bytes()
        return PublishedFile(name, (f"{url}/{name}",), len(content), hashlib.sha256(content).hexdigest())

    entry = published.PublishedNetwork(
        file("net.cfg"), file("net.weights"), "nothing", anchor_mask=((3, 4, 5), (1, 2, 3))
    )
    monkeypatch.setattr(published, "PUBLISHED", {"net": entry})
    return entry


def change(monkeypatch, entry, **weights):
    changed = dataclasses.replace(entry, weights=dataclasses.replace(entry.weights, **weights))
    monkeypatch.setattr(published, "PUBLISHED", {"net": changed})


def test_nothing_is_fetched_unasked(network):
    assert find_network("net") is None
    assert not Path(weights_folder()).exists()


def test_files_are_fetched_once_and_checked(network, server):
    files = find_network("net", fetch=True)
    assert Path(files.weights).read_bytes() == b"weights"
    (server[0] / "net.weights").unlink()
    assert find_network("net") == find_network("net", fetch=True) == files
    assert sorted(path.name for path in Path(weights_folder()).iterdir()) == ["net.cfg", "net.weights"]


def test_the_masks_are_those_of_the_weights(network):
    heads = [section for section in read_cfg(find_network("net", fetch=True).cfg).layers if section.name == "yolo"]
    assert [head.text("mask") for head in heads] == ["3,4,5", "1,2,3"]
    assert (Path(weights_folder()) / "net.cfg").read_text() == CFG, "the published file stays as it is"


def test_another_mirror_is_tried(network, monkeypatch):
    urls = (network.weights.urls[0].replace("net.weights", "gone"), *network.weights.urls)
    change(monkeypatch, network, urls=urls)
    assert Path(find_network("net", fetch=True).weights).read_bytes() == b"weights"


def test_a_web_page_in_place_of_the_file_is_told(network, server):
    (server[0] / "net.weights").write_bytes(b"\n<!DOCTYPE html><p>Sign in")
    with pytest.raises(ValueError, match=r"expected 7 bytes, got 26 of a web page \(HTML\), not of the file"):
        find_network("net", fetch=True)
    assert [path.name for path in Path(weights_folder()).iterdir()] == ["net.cfg"], "nothing half is left"


def test_another_content_is_refused(network, server):
    (server[0] / "net.weights").write_bytes(b"WEIGHTS")
    with pytest.raises(ValueError, match="expected the SHA-256 "):
        find_network("net", fetch=True)


def test_without_a_network_one_line_says_which_file_to_put_where(network, monkeypatch):
    change(monkeypatch, network, urls=("http://127.0.0.1:9/net.weights",))
    with pytest.raises(ValueError) as error:
        find_network("net", fetch=True)
    wanted = "put net.weights (7 bytes, from http://127.0.0.1:9/net.weights) into " + weights_folder()
    assert wanted in str(error.value)
    assert "YOLO3_WEIGHTS" in str(error.value) and "\n" not in str(error.value)


def test_a_truncated_file_at_hand_is_told(network):
    files = find_network("net", fetch=True)
    Path(files.weights).write_bytes(b"weig")
    with pytest.raises(ValueError, match="net.weights: expected the published file of 7 bytes, got 4; remove it"):
        find_network("net")


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_published_name("yolov3-tiny")
    Path("yolov3-tiny").touch()
    assert not is_published_name("yolov3-tiny")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/darknet")
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_table_agrees_with_the_published_files(name):
    entry = PUBLISHED[name]
    for file in (entry.cfg, entry.weights):
        path = next(SHARED.rglob(file.name), None)
        if path is not None:
            assert path.stat().st_size == file.size
            assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/darknet")
def test_the_sizes_of_weights_follow_from_their_cfgs():
    from yolo3.darknet.weights import layer_arrays

    for name, entry in PUBLISHED.items():
        path = next(SHARED.rglob(entry.cfg.name))
        last = 74 if name.endswith(".74") else None
        layers = [stored for stored in layer_arrays(read_cfg(path), None) if last is None or stored.layer.index < last]
        numbers = sum(functools.reduce(int.__mul__, shape, 1) for it in layers for shape in it.shapes.values())
        assert entry.weights.size == 4 * numbers + 20, name  # a header of 20 bytes


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data/darknet")
def test_a_preset_takes_published_weights_by_name_with_their_masks(tmp_path, monkeypatch):
    from yolo3 import YoloV3Detector

    monkeypatch.setenv("YOLO3_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for file in (PUBLISHED["yolov3-tiny"].cfg, PUBLISHED["yolov3-tiny"].weights):
        (tmp_path / file.name).symlink_to(next(SHARED.rglob(file.name)))
    detector = YoloV3Detector.from_preset("yolov3-tiny", class_names=["dog", "cell"], weights="yolov3-tiny")
    assert detector.metadata["anchor_mask"] == [[3, 4, 5], [1, 2, 3]]
    again = YoloV3Detector.from_darknet(*find_network("yolov3-tiny"))
    for layer, kept in (("conv_0", slice(None)), ("conv_12", slice(0, 5))):
        ours, theirs = (model.get_layer(layer).get_weights()[0] for model in (detector, again))
        assert (ours[..., kept] == theirs[..., kept]).all(), layer
