"""Darknet's cfg and weights become Keras files."""

import json

import h5py
import keras
import numpy as np
import pytest

from tests.convert.command import convert
from tests.darknet.networks import DATA, NANO, YOLO, needs_data, random_image, random_weights, run, text_of
from tests.darknet.reference import forward, letterbox, raw_outputs, resize
from yolo3.cli.convert_darknet import main
from yolo3.convert.to_keras import metadata_of
from yolo3.darknet.cfg import parse_cfg, read_cfg
from yolo3.darknet.keras_weights import load_weights
from yolo3.darknet.network import build_network
from yolo3.darknet.weights import Header
from yolo3.datasets.images import read_image
from yolo3.inference.detector import Detector
from yolo3.models.loading import load_network
from yolo3.models.metadata import read_metadata
from yolo3.models.yolov3.postprocess import select_boxes
from yolo3.models.yolov3.scales import make_scales
from yolo3.ops.boxes import cxcywh_to_xyxy, pairwise_iou
from yolo3.ops.letterbox import resize_geometry


def test_the_file_holds_what_the_cfg_says(tmp_path, files):
    cfg_path, weights_path, names_path = files
    assert convert(cfg_path, weights_path, tmp_path / "m.h5", "--classes", names_path) == 0
    metadata = read_metadata(tmp_path / "m.h5")
    assert metadata["class_names"] == ["cat", "dog"]
    assert metadata["anchors"] == [[10, 13], [16, 30], [33, 23], [30, 61]]
    assert metadata["anchor_mask"] == [[2, 3], [0, 1]]
    assert metadata["scale_x_y"] == [1.05, 1.0] and metadata["input_shape"] == [16, 16]
    assert metadata["darknet"]["header"] == {
        "major": 0,
        "minor": 1,
        "revision": 3,
        "seen": 12345,
        "seen_bytes": 4,
    }


def test_keras_alone_opens_the_file_and_computes_the_same(tmp_path, files):
    cfg_path, weights_path, _ = files
    assert convert(cfg_path, weights_path, tmp_path / "m.keras") == 0
    model = keras.models.load_model(tmp_path / "m.keras")
    image = random_image((3, 16, 16))
    text = text_of(YOLO)
    floats = np.fromfile(weights_path, "<f4", offset=16)
    for result, expected in zip(run(model, image), raw_outputs(text, forward(text, floats, image)), strict=True):
        np.testing.assert_allclose(result, expected.transpose(1, 2, 0), atol=1e-4)


def test_weights_alone_are_written_as_keras_2_did(tmp_path, files):
    cfg_path, weights_path, _ = files
    assert convert("-w", cfg_path, weights_path, tmp_path / "w.h5") == 0
    cfg = read_cfg(cfg_path)
    expected, model = build_network(cfg), build_network(cfg)
    load_weights(expected, cfg, weights_path)
    model.load_weights(tmp_path / "w.h5", by_name=True)
    for one, other in zip(expected.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with h5py.File(tmp_path / "w.h5") as file:
        assert "model_config" not in file.attrs
    assert convert("--to-darknet", tmp_path / "w.h5", tmp_path / "b.cfg", tmp_path / "b.weights") == 0
    assert (tmp_path / "b.weights").read_bytes() == weights_path.read_bytes()


def test_results_are_given_as_json_too(tmp_path, files, capsys):
    cfg_path, weights_path, _ = files
    assert convert(cfg_path, weights_path, tmp_path / "m.h5", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["picture"] is None  # the key of earlier versions
    assert report["filled"] == [f"conv_{i}" for i in range(6)] and report["random"] == []
    assert report["seen"] == 12345 and report["outputs"] == [[None, None, 14]] * 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[:-4], "cut short"),
        (lambda content: content + b"\0" * 4, "too long"),
        (lambda content: b"<!DOCTYPE html>" + content, "web page"),
        (lambda content: b"", "0 bytes"),
    ],
)
def test_files_that_do_not_fit_are_refused_before_anything_is_written(tmp_path, files, capsys, change, words):
    cfg_path, weights_path, _ = files
    expected = weights_path.stat().st_size
    weights_path.write_bytes(change(weights_path.read_bytes()))
    before = sorted(tmp_path.iterdir())
    assert convert(cfg_path, weights_path, tmp_path / "m.h5") == 1
    err = capsys.readouterr().err
    assert words in err and f"got {weights_path.stat().st_size:,}" in err and len(err.splitlines()) == 1
    assert f"{expected:,}" in err or "page" in words or "0 bytes" in words
    assert sorted(tmp_path.iterdir()) == before


def test_weights_for_another_number_of_classes_are_refused(tmp_path, files, capsys):
    cfg_path, weights_path, _ = files
    other = tmp_path / "other.cfg"
    other.write_text(text_of(YOLO.replace("classes=2", "classes=4").replace("filters=14", "filters=18")))
    assert convert(other, weights_path, tmp_path / "m.h5") == 1
    assert "with 2 classes, but the cfg has 4" in capsys.readouterr().err
    assert not (tmp_path / "m.h5").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.cfg", "net.weights", "m.h5"], "none.cfg: No such file"),
        (["net.cfg", "none.weights", "m.h5"], "none.weights: No such file"),
        (["net.cfg", "net.weights", "m.hdf"], "expected a name that ends in"),
        (["-w", "net.cfg", "net.weights", "m.keras"], "holds a whole model"),
        (["net.weights", "net.weights", "m.h5"], "net.weights"),
        (["--to-darknet", "net.weights", "b.cfg", "b.weights"], "expected a Keras file"),
        (["--classes", "three.names", "net.cfg", "net.weights", "m.h5"], "expected 2"),
    ],
)
def test_user_errors_end_in_one_line(tmp_path, files, capsys, monkeypatch, arguments, words):
    (tmp_path / "three.names").write_text("a\nb\nc\n")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert words in err and len(err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "arguments", [["a", "b"], ["--to-darknet", "-w", "a", "b", "c"], ["--upto", "3", "a", "b", "c"]]
)
def test_wrong_options_end_with_2(arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_an_image_is_refused_where_it_cannot_be_drawn(tmp_path, files, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no Graphviz there
    cfg_path, weights_path, _ = files
    assert convert("-p", cfg_path, weights_path, tmp_path / "m.h5") == 1
    err = capsys.readouterr().err
    assert "pydot" in err or "Graphviz" in err
    assert not (tmp_path / "m.h5").exists()


def test_heads_with_anchors_of_their_own_share_one_list():
    text = text_of(
        YOLO.replace(
            "anchors=10,13, 16,30, 33,23, 30,61\nnum=4\nclasses=2\nscale",
            "anchors=1,2, 3,4, 5,6, 7,8\nnum=4\nclasses=2\nscale",
        )
    )
    metadata = metadata_of(parse_cfg(text), Header())
    assert metadata["anchors"] == [[1, 2], [3, 4], [5, 6], [7, 8], [10, 13], [16, 30], [33, 23], [30, 61]]
    assert metadata["anchor_mask"] == [[2, 3], [4, 5]]


@needs_data
@pytest.mark.slow
def test_tiny_masks_that_the_published_weights_were_not_trained_with_are_noted(tmp_path, capsys):
    cfg_path = DATA / "darknet" / "cfg" / "yolov3-tiny.cfg"
    random_weights(tmp_path / "tiny.weights", read_cfg(cfg_path))
    assert convert(cfg_path, tmp_path / "tiny.weights", tmp_path / "tiny.h5") == 0
    assert "mask=1,2,3" in capsys.readouterr().out


@pytest.mark.slow
@needs_data
def test_detections_are_those_of_darknet(tmp_path):
    """Scores differ by at most .03 and boxes have an IoU of .95, as decoders of JPEG differ."""
    assert convert(NANO, NANO.with_suffix(".weights"), tmp_path / "nano.h5") == 0
    model, metadata = load_network(tmp_path / "nano.h5")
    for case in json.loads((DATA / "golden" / "nano_coco_detections.json").read_text()):
        original = read_image(DATA / "images" / case["image"])
        boxes, scores, class_ids = detect_as_darknet(model, metadata, original, case["letterbox"])
        height, width = original.shape[:2]
        for each in (each for each in case["detections"] if each["score"] > 0.15):
            box = cxcywh_to_xyxy(np.array([each["xywh"]]) * [width, height, width, height])
            overlaps = pairwise_iou(box, boxes)[0] * (class_ids == each["class"])
            best = int(overlaps.argmax())
            assert overlaps[best] >= 0.95, (case["image"], case["letterbox"], each)
            assert abs(scores[best] - each["score"]) <= 0.03, (case["image"], case["letterbox"], each)


def detect_as_darknet(model, metadata, original, letterboxed):
    """Return boxes xyxy in pixels of the image, scores and class ids, for scores above .1."""
    shape, mode = tuple(metadata["input_shape"]), "letterbox" if letterboxed else "stretch"
    scales = make_scales(metadata["anchors"], metadata["anchor_mask"], scale_x_y=metadata["scale_x_y"])
    image = (letterbox if letterboxed else resize)(original.astype(np.float32) / 255, *shape)
    boxes, scores, class_ids, counts = (
        keras.ops.convert_to_numpy(values)[0]
        for values in select_boxes(
            model(image[None]), scales, len(metadata["class_names"]), shape, score_threshold=0.1, iou_threshold=0.45
        )
    )
    height, width, top, left = resize_geometry(original.shape[:2], shape, mode)
    factors = np.array([original.shape[1] / width, original.shape[0] / height] * 2)
    return (boxes[:counts] - [left, top] * 2) * factors, scores[:counts], class_ids[:counts]


@needs_data
@pytest.mark.slow
def test_the_detector_finds_what_darknet_finds(tmp_path):
    assert convert(NANO, NANO.with_suffix(".weights"), tmp_path / "nano.h5") == 0
    detector = Detector(tmp_path / "nano.h5")
    found = detector(DATA / "images" / "dog.jpg")
    assert {detector.class_names[index] for index in found.class_ids} == {"dog", "bicycle", "car"}
