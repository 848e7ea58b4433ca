"""``yolo3 export`` as a user types it."""

import json

import pytest

from tests.cli.test_main import fails_in_one_line
from tests.export.networks import need
from yolo3.cli.main import main


@pytest.mark.slow
def test_the_command_prints_what_it_wrote_and_how_it_compares(weights, folder, capsys):
    need("litert")
    assert main(["export", "--weights", weights, "--format", "litert", "--output", "m.tflite", "--json", "f.json"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("m.tflite: 0.0 MB, metadata also in m.tflite.json")
    assert [line.split()[0] for line in lines[2:4]] == ["boxes", "scores"]
    assert lines[-1].endswith("0 without a match")
    assert set(json.loads((folder / "f.json").read_text())["comparison"]["outputs"]) == {"boxes", "scores"}

    assert main(["detect", "--weights", "m.tflite", "red.png", "green.png"]) == 0
    assert "red.png: 2 red" in capsys.readouterr().out


def test_mistakes_are_reported_in_one_line_before_any_work(weights, folder, capsys, monkeypatch):
    monkeypatch.setattr("yolo3.cli.export.start_tensorflow", lambda: pytest.fail("too late"))
    monkeypatch.setattr("yolo3.export.registry.Exporter.check_packages", lambda exporter: None)
    (folder / "m.onnx").touch()
    for argv, message in (
        (["--weights", "absent.h5"], "absent.h5: No such file or directory"),
        (["--weights", "m.onnx"], "m.onnx: expected weights of Keras or Darknet, got an exported file"),
        (["--weights", weights, "--output", "m.tflite"], "m.tflite: expected a name that ends in .onnx for onnx"),
        (["--weights", weights, "--precision", "int8"], "--precision int8: expected --data DATA with it"),
    ):
        assert message in fails_in_one_line(["export", *argv], capsys)
    with pytest.raises(SystemExit) as error:
        main(["export", "--weights", weights, "--raw", "--nms"])
    assert error.value.code == 2 and "--raw: expected no --nms with it" in capsys.readouterr().err
