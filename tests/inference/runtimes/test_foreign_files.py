"""Exported files that are damaged, of another origin, or no files at all: one line each, no crash."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.cli.test_main import fails_in_one_line
from tests.export.networks import cells, need
from tests.inference.runtimes.test_runtime import METADATA
from yolo3.inference.detector import Detector

SUFFIXES = {"onnx": ".onnx", "litert": ".tflite", "openvino": ".xml"}


def write_onnx(path, metadata=None, outputs=("boxes", "scores"), impossible=False):
    """Write an ONNX file that reduces its images to outputs of zeros, [B, 1, 1, 1]; or fails at it."""
    onnx = pytest.importorskip("onnx", reason="needs onnx: pip install '.[onnx]'")
    pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install '.[onnx]'")
    helper, kinds = onnx.helper, onnx.TensorProto
    shape = helper.make_tensor("shape", kinds.INT64, [1], [7])  # which no batch of images has
    nodes = [helper.make_node("Cast", ["images"], ["pixels"], to=kinds.FLOAT)]
    for name in outputs:
        nodes.append(
            helper.make_node("Reshape", ["pixels", "shape"], [name])
            if impossible
            else helper.make_node("ReduceMax", ["pixels"], [name], axes=[1, 2, 3])
        )
    graph = helper.make_graph(
        nodes,
        "foreign",
        [helper.make_tensor_value_info("images", kinds.UINT8, ["batch", 64, 96, 3])],
        [helper.make_tensor_value_info(name, kinds.FLOAT, None) for name in outputs],
        [shape],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if metadata is not None:
        helper.set_model_props(model, {"yolo3": json.dumps(metadata)})
    onnx.save(model, str(path))


def test_an_onnx_file_of_another_program_is_one_line_in_every_command(folder, capsys):
    write_onnx("m.onnx")
    (folder / "data.txt").write_text("red.png 64,0,128,32,0\n")
    expected = "m.onnx: expected a file of `yolo3 export`, got one without its metadata"
    with pytest.raises(ValueError, match=expected):
        Detector("m.onnx")
    assert expected in fails_in_one_line(["detect", "--weights", "m.onnx", "red.png"], capsys)
    assert expected in fails_in_one_line(["evaluate", "--weights", "m.onnx", "--data", "data.txt"], capsys)


def test_metadata_of_another_network_are_noticed_by_its_outputs(tmp_path):
    write_onnx(tmp_path / "m.onnx", METADATA, outputs=("output0",))
    with pytest.raises(ValueError, match="m.onnx: expected the outputs boxes, scores, got output0"):
        Detector(tmp_path / "m.onnx")


def test_a_network_that_fails_while_it_computes_is_one_line(folder, capsys):
    write_onnx("m.onnx", METADATA, impossible=True)
    line = fails_in_one_line(["detect", "--weights", "m.onnx", "red.png"], capsys)
    assert "m.onnx: ONNX failed while it computed: " in line


@pytest.mark.parametrize("suffix", SUFFIXES.values())
def test_a_folder_in_place_of_a_file_is_one_line(suffix, folder, capsys):
    (folder / f"m{suffix}").mkdir()
    line = fails_in_one_line(["detect", "--weights", f"m{suffix}", "red.png"], capsys)
    assert line == f"yolo3 detect: m{suffix}: Is a directory\n"


def test_an_openvino_file_without_its_weights_says_so(tmp_path):
    openvino = pytest.importorskip("openvino", reason="needs openvino: pip install '.[openvino]'")
    images = openvino.opset13.parameter([1, 64, 96, 3], np.float32, name="images")
    weights = np.arange(64 * 96 * 3, dtype=np.float32).reshape(1, 64, 96, 3)
    openvino.save_model(openvino.Model([openvino.opset13.add(images, weights)], [images]), str(tmp_path / "m.xml"))
    (tmp_path / "m.bin").unlink()
    with pytest.raises(ValueError, match=r"m.xml: OpenVINO cannot open it, damaged or of another kind: .*bin file"):
        Detector(tmp_path / "m.xml")


@pytest.mark.slow
@pytest.mark.parametrize("name", SUFFIXES)
def test_damaged_files_never_end_the_process(name, tmp_path):
    need(name)
    from yolo3.export.export import export
    from yolo3.export.settings import ExportSettings

    path = tmp_path / f"cells{SUFFIXES[name]}"
    export(cells(), path, ExportSettings(format=name, suppression="greedy"))
    whole = path.read_bytes()
    damaged = [whole[: len(whole) * part // 8] for part in range(8)] + [bytes(64) + whole[64:], whole[:-1]]
    damaged += [
        whole[:place] + bytes(reversed(whole[place : place + 32])) + whole[place + 32 :]
        for place in range(0, len(whole), len(whole) // 40)
    ]
    for number, content in enumerate(damaged):
        (tmp_path / f"{number}{path.suffix}").write_bytes(content)
        if name == "openvino":
            (tmp_path / f"{number}.bin").write_bytes(path.with_suffix(".bin").read_bytes())

    script = """
import sys
import numpy as np
from yolo3.inference.detector import Detector
for path in sys.argv[1:]:
    try:
        Detector(path, score_threshold=None)(np.zeros((64, 96, 3), np.uint8))
        print("opened")
    except (ValueError, OSError) as error:
        print(error)
"""
    paths = [str(tmp_path / f"{number}{path.suffix}") for number in range(len(damaged))]
    done = subprocess.run([sys.executable, "-c", script, *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert len(lines) == len(damaged) and "opened" not in lines[:8]
    assert all(line == "opened" or line.startswith(given) for line, given in zip(lines, paths, strict=True))
