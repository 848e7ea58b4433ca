"""The metadata of exported files: whatever it is, it has the types that it must have or is refused in one line."""

import json
import tracemalloc
import zipfile

import numpy as np
import pytest

from tests.export.networks import need
from yolo3.inference.detector import Detector
from yolo3.inference.runtimes.runtime import cannot_open, check_outputs, export_metadata

EXPORT = {"outputs": "boxes", "input": "uint8", "batch": None, "precision": "float32", "iou_threshold": 0.45}
METADATA = {"class_names": ["cat", "dog"], "input_shape": [64, 96], "resize": "letterbox", "export": EXPORT}


def read(**changes):
    return export_metadata(json.dumps(METADATA | changes), "m.onnx")


def test_whole_metadata_is_returned_as_it_is():
    assert read() == METADATA
    within = EXPORT | {"outputs": "detections", "max_boxes": 9, "nms": "greedy", "nms_overlap": "iou"}
    assert read(export=within)["export"] == within


@pytest.mark.parametrize(
    "field, value, words",
    [
        ("class_names", "ab", "class_names: expected a list, got 'ab'"),
        ("class_names", ["a", 3], r"class_names\[1\]: expected text, got 3"),
        ("input_shape", None, "input_shape: expected a list of 2, got none"),
        ("input_shape", [10**12, 32], "input_shape: expected sides from 1 to 65536, got 1000000000000"),
        ("anchor_mask", [-5], r"anchor_mask\[0\]: expected a list, got -5"),
        ("resize", "zoom", "resize: expected letterbox or stretch, got 'zoom'"),
        ("outputs", "all", "outputs: expected one of detections, boxes, raw, got 'all'"),
        ("outputs", "detections", "max_boxes: expected a value, as suppression is within the file, got none"),
        ("input", 3, "input: expected text, got 3"),
        ("batch", "two", "batch: expected a whole number, got 'two'"),
        ("batch", 0, "batch: expected 1 or more, got 0"),
        ("precision", [7], r"precision: expected text, got \[7\]"),
        ("iou_threshold", None, "iou_threshold: expected a number, got None"),
        ("one_class", [1], r"one_class: expected text, got \[1\]"),
    ],
)
def test_a_value_of_the_wrong_kind_names_its_field(field, value, words):
    within = field in EXPORT or field == "one_class"
    with pytest.raises(ValueError, match=rf"^m\.onnx: its yolo3 metadata: {words}$"):
        read(**({"export": EXPORT | {field: value}} if within else {field: value}))


@pytest.mark.parametrize("field", EXPORT)
def test_a_field_that_is_missing_is_named(field):
    export = {name: value for name, value in EXPORT.items() if name != field}
    with pytest.raises(ValueError, match=f"^m.onnx: its yolo3 metadata: export: expected the field {field}, got none$"):
        read(export=export)


@pytest.mark.parametrize("text", ["[" * 100_000, b"\xff\xfe{", "[1]", "{", '{"export": 5}', "", None])
def test_text_that_is_no_metadata_is_one_line(text):
    with pytest.raises(ValueError, match=r"^m\.onnx: [^\n]*metadata[^\n]*$"):
        export_metadata(text, "m.onnx")


def test_class_names_that_command_a_terminal_come_back_escaped():
    hostile = ["a\x1b[2J", "two\nlines", "half\udcff"]
    assert read(class_names=hostile)["class_names"] == [r"a\x1b[2J", r"two\nlines", r"half\udcff"]


@pytest.mark.parametrize("suffix", [".onnx", ".tflite", ".xml"])
def test_a_runtime_s_long_words_are_one_line(suffix, tmp_path):
    need({".onnx": "onnx", ".tflite": "litert", ".xml": "openvino"}[suffix])
    path = tmp_path / f"m{suffix}"
    path.write_text("<?xml version='1.0'?>\n<net><layers>\n")
    with pytest.raises(ValueError, match=r"^[^\n]*m\.[^\n]*: [^\n]*$"):
        Detector(path)


def test_metadata_of_a_litert_file_takes_no_memory_for_what_it_claims(tmp_path):
    need("litert")
    path = tmp_path / "m.tflite"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("yolo3.json", "w", force_zip64=True) as member:
            for _ in range(200):
                member.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(ValueError, match="metadata, got more than 67108864 characters"):
        Detector(path)
    assert tracemalloc.get_traced_memory()[1] < 150 << 20
    tracemalloc.stop()


def test_a_damaged_archive_at_the_end_of_a_litert_file_is_one_line(tmp_path):
    need("litert")
    path = tmp_path / "m.tflite"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("yolo3.json", json.dumps(METADATA) * 9)
    content = np.frombuffer(path.read_bytes(), np.uint8).copy()
    content[45:70] ^= 0x55
    path.write_bytes(content.tobytes())
    with pytest.raises(ValueError, match=r"m\.tflite: expected a file of `yolo3 export`, got one without its metadata"):
        Detector(path)


def test_a_file_without_the_outputs_of_its_metadata_is_refused():
    check_outputs(METADATA, ["scores", "boxes", "more"], "m.onnx")
    with pytest.raises(ValueError, match="^m.onnx: expected the outputs boxes, scores, got output_0, scores$"):
        check_outputs(METADATA, ["scores", "output_0"], "m.onnx")


@pytest.mark.parametrize(
    "error, words",
    [
        (RuntimeError("Exception from src/core.cpp:84:\nCheck 'ok' failed at src/ir.cpp:219:\nno tag\n\n"), "no tag"),
        (
            Exception("[ONNXRuntimeError] : 7 : INVALID : Load model from m.xml failed:Parsing failed."),
            "Parsing failed.",
        ),
        (ValueError("m.xml is no\nbuffer"), "it is no buffer"),
        (RuntimeError(""), "RuntimeError"),
    ],
)
def test_what_a_runtime_says_is_one_line_without_places_in_its_source(error, words):
    expected = f"m.xml: OpenVINO cannot open it, damaged or of another kind: {words}"
    assert str(cannot_open("m.xml", "OpenVINO", error)) == expected
