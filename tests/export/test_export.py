"""Exported files of every format: what they hold, what they compute, and that what differs is not written."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest

from tests.export.networks import FORMATS, SUFFIXES, cells, need, photographs
from yolo3.detections import Detections
from yolo3.export import registry
from yolo3.export.compare import TOLERANCES, Comparison, detection_differences, output_differences
from yolo3.export.export import DifferentError, default_path, export
from yolo3.export.settings import ExportSettings
from yolo3.inference.detector import Detector
from yolo3.inference.runtimes.registry import RUNTIMES


def same_detections(exported, expected):
    for found, ours in zip(exported(photographs()), expected(photographs()), strict=True):
        boxes, scores, unmatched = detection_differences(ours, found, 0.31, TOLERANCES["float32"])
        assert unmatched == 0 and boxes < 1e-2 and scores < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["boxes", "detections", "raw"])
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_detects_what_the_network_does(name, kind, tmp_path):
    need(name)
    settings = ExportSettings(format=name, suppression="greedy" if kind == "detections" else None, raw=kind == "raw")
    detector = cells(max_boxes=20)
    done = export(detector, tmp_path / f"cells{SUFFIXES[name]}", settings)
    assert done.path.exists() and done.size > 0 and done.comparison.unmatched == 0
    names = {"boxes": ["boxes", "scores"], "raw": ["raw_0"]}.get(kind, ["boxes", "scores", "class_ids", "count"])
    assert list(done.comparison.outputs) == names

    exported = Detector(done.path, max_boxes=20)
    assert exported.class_names == ["red", "green", "any"] and exported.input_shape == (64, 96)
    assert exported.resize == "letterbox" and exported.metadata["anchors"] == [[32, 32]]
    assert "training" not in exported.metadata  # the settings of a run, with its paths, are nobody's business
    assert exported.metadata["export"]["outputs"] == kind
    same_detections(exported, detector)
    outputs = exported.network.run(np.zeros((3, 64, 96, 3), np.uint8))  # any number of images, whatever the file takes
    assert set(outputs) == set(names) and all(len(output) == 3 for output in outputs.values())

    beside = json.loads((tmp_path / f"cells{SUFFIXES[name]}.json").read_text())
    assert beside == exported.metadata
    files = {path.name for path in tmp_path.iterdir()}
    assert not [name for name in files if name.startswith(".")], "nothing temporary stays"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_float_input_and_a_fixed_batch_are_as_asked_for(name, tmp_path):
    need(name)
    path = tmp_path / f"cells{SUFFIXES[name]}"
    export(cells(), path, ExportSettings(format=name, input="float32", batch=2))
    exported = Detector(path)
    assert exported.metadata["export"] | {"input": "float32", "batch": 2} == exported.metadata["export"]
    same_detections(exported, cells())  # four images, two at a time; and one, with one more to fill the batch
    assert len(exported(photographs()[0])) == len(cells()(photographs()[0]))


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_half_precision_is_nearly_the_same(name, tmp_path):
    need(name)
    path = tmp_path / f"cells{SUFFIXES[name]}"
    done = export(cells(), path, ExportSettings(format=name, precision="float16"))
    assert Detector(path).precision == "float16"
    assert done.comparison.scores < 0.02


@pytest.mark.slow
def test_a_file_that_differs_is_not_written_and_the_output_is_named(tmp_path, monkeypatch):
    need("litert")
    path = tmp_path / "cells.tflite"
    path.write_bytes(b"old")
    write = registry.EXPORTERS["litert"].load()

    def write_another_network(graph, *rest):
        network = graph.detector.model
        before = network.get_weights()
        network.set_weights([before[0], before[1] + [0, 0, 0, 0, 0, 0, 15, 0]])
        write(graph, *rest)
        network.set_weights(before)

    monkeypatch.setattr(registry.Exporter, "load", lambda exporter: write_another_network)
    with pytest.raises(DifferentError, match=r"not written, as output scores differs by 0\.\d+ \(allowed: 0.001\)"):
        export(cells(), path, ExportSettings(format="litert"))
    assert path.read_bytes() == b"old" and [file.name for file in tmp_path.iterdir()] == ["cells.tflite"]


def test_detections_that_are_too_far_apart_have_no_match():
    ours = Detections([[0, 0, 10, 10], [50, 50, 90, 90]], [0.9, 0.8], [0, 1])
    for moved, expected in ((0.05, (0.05, 0.0, 0)), (2.0, (0.0, 0.0, 1))):
        theirs = Detections([[0, 0, 10, 10], [50, 50, 90, 90 + moved]], [0.9, 0.8], [0, 1])
        assert detection_differences(ours, theirs, 0.3, TOLERANCES["float32"]) == pytest.approx(expected, abs=1e-5)
    other_class = Detections(ours.boxes, ours.scores, [0, 2])  # one of both is missing, one of both is new
    assert detection_differences(ours, other_class, 0.3, TOLERANCES["float32"]) == (0.0, 0.0, 2)
    found = Comparison(outputs={"boxes": 0.01}, detections=20, unmatched=1)
    assert found.failures(TOLERANCES["float16"]) == []
    assert found.failures(TOLERANCES["float32"]) == [
        "1 of 20 detections have no match within 0.1 pixels and a score of 0.001"
    ]


def test_outputs_that_are_not_numbers_differ():
    boxes, scores = np.ones((1, 2, 4), np.float32), np.full((1, 2, 1), 0.9, np.float32)
    got = {"boxes": boxes * np.nan, "scores": scores}
    found = output_differences({"boxes": boxes, "scores": scores}, got, TOLERANCES["float32"], 0.3)
    assert found == {"boxes": np.inf, "scores": 0.0}
    found = output_differences({"boxes": boxes, "scores": scores}, {"boxes": boxes[:, :1]}, TOLERANCES["float32"], 0.3)
    assert found == {"boxes": np.inf, "scores": np.inf}  # of another shape; missing


@pytest.mark.slow
def test_suppression_within_a_file_has_its_thresholds(tmp_path):
    need("litert")
    path = tmp_path / "cells.tflite"
    export(cells(score_threshold=0.4, max_boxes=5), path, ExportSettings(format="litert", suppression="greedy"))
    lowest = Detector(path, score_threshold=None)
    assert lowest.score_threshold == 0.4 and lowest.max_boxes == 5
    for options, message in (
        ({"score_threshold": 0.3}, "keeps scores above 0.4, got a score threshold of 0.3; export it with a lower one"),
        (
            {"score_threshold": 0.5, "iou_threshold": 0.2},
            "iou_threshold 0.45, got 0.2; run yolo3 export without --nms",
        ),
        ({"score_threshold": 0.5, "nms": "soft"}, "has nms greedy, got soft"),
        ({"score_threshold": 0.5, "input_shape": (32, 32)}, "takes images of 64 x 96 only, got 32 x 32"),
        ({"score_threshold": 0.5, "precision": "bfloat16"}, "computes in float32, got bfloat16"),
        ({"score_threshold": 0.5, "anchors": [[1, 1]]}, "an exported file holds its anchors; leave them out"),
        ({"score_threshold": 0.5, "class_names": ["a"]}, "expected 3 class names as it has classes, got 1"),
    ):
        with pytest.raises(ValueError, match=message):
            Detector(path, **options)


@pytest.mark.slow
def test_a_saved_model_letterboxes_images_of_any_size_within(tmp_path):
    import tensorflow as tf

    path = tmp_path / "cells_saved_model"
    detector = cells(max_boxes=20)
    export(detector, path, ExportSettings(format="saved_model", suppression="greedy"))
    detect = tf.saved_model.load(str(path)).signatures["image"]
    for image in [*photographs()[:3], np.repeat(np.repeat(photographs()[0], 9, 0), 9, 1)]:  # the last is reduced first
        outputs = {name: output.numpy() for name, output in detect(image=tf.constant(image)).items()}
        expected, count = detector(image), outputs["count"]
        inside = (outputs["boxes"][:count, 2:] > outputs["boxes"][:count, :2]).all(-1)  # not in the grey bars
        assert sorted(outputs["boxes"][:count][inside].round(1).tolist()) == sorted(expected.boxes.round(1).tolist())
        assert not outputs["boxes"][count:].any()


def test_names_of_files_say_format_and_precision():
    for weights, settings, expected in (
        ("runs/best.h5", ExportSettings(format="onnx"), "runs/best.onnx"),
        ("best.weights.h5", ExportSettings(format="litert", precision="float16"), "best_float16.tflite"),
        ("best.keras", ExportSettings(format="saved_model"), "best_saved_model"),
    ):
        assert default_path(weights, settings).as_posix() == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"raw": True, "suppression": "greedy"}, "^raw=True: expected no suppression with it"),
        ({"format": "onnx", "suppression": "soft"}, "^suppression: expected one of greedy for onnx, got soft"),
        (
            {"format": "saved_model", "precision": "int8"},
            "one of float32, float16 for saved_model, got int8, which needs onnx or litert or openvino",
        ),
        ({"batch": 0}, "batch: expected a whole number above 0, got 0"),
        ({"format": "caffe"}, "format: expected one of saved_model, onnx, litert, openvino, got 'caffe'"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ExportSettings(**options)


def test_every_format_that_is_written_can_be_run():
    assert set(registry.EXPORTERS) == set(RUNTIMES)


def test_a_missing_package_is_one_line_that_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"needs onnx, which is not installed: pip install 'yolo3\[onnx\]'"):
        export(cells(), tmp_path / "m.onnx", ExportSettings(format="onnx"))


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_link_stays_a_link_a_file_keeps_its_mode_and_a_folder_is_replaced(kind, tmp_path, monkeypatch):
    def write(graph, path, metadata, calibration):
        if kind == "folder":
            path.mkdir()
        (path / "part" if kind == "folder" else path).write_text("new")

    (tmp_path / "disk").mkdir()
    target = tmp_path / "disk" / "real.onnx"
    if kind == "folder":
        target.mkdir()
        (target / "former").write_text("old")
    else:
        target.write_text("old")
        target.chmod(0o640)
    (tmp_path / "m.onnx").symlink_to(target)
    settings = ExportSettings(format="onnx")
    stub = SimpleNamespace(check_packages=lambda: None, batch=None, load=lambda: write)
    monkeypatch.setitem(registry.EXPORTERS, "onnx", stub)
    monkeypatch.setattr("yolo3.export.export._check", lambda *_: (None, {}))
    export(cells(), tmp_path / "m.onnx", settings)

    assert (tmp_path / "m.onnx").is_symlink() and os.listdir(tmp_path / "disk") == ["real.onnx"]
    if kind == "folder":
        assert os.listdir(target) == ["part"]
    else:
        assert target.read_text() == "new" and target.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["disk", "m.onnx", "m.onnx.json"]
