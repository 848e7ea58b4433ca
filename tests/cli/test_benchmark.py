"""`yolo3 benchmark` as a user types it. How fast things are is for `benchmarks/`."""

import json

import pytest

from yolo3.cli.benchmark import build_parser, main


def test_a_missing_file_is_reported_before_anything_is_timed(capsys):
    assert main(["input", "--data", "no/such.txt"]) == 1
    assert capsys.readouterr().err == "yolo3 benchmark: no/such.txt: No such file or directory\n"


def test_detection_in_float16_is_refused_before_anything_is_timed(capsys):
    assert main(["--precision", "float16"]) == 1
    assert "--precision float16: expected `step` or `input`" in capsys.readouterr().err


def test_parts_are_named():
    assert build_parser().parse_args(["input"]).part == "input"
    with pytest.raises(SystemExit):
        build_parser().parse_args(["everything"])


@pytest.mark.slow
@pytest.mark.parametrize("model", ["yolov3-tiny", "yolov1-tiny"])
def test_each_part_prints_one_json_object(model, capsys):
    size = ["--model", model, "--input-size", "64", "64", "--batch-size", "2", "--num-classes", "3", "--steps", "2"]
    keys = {"images_per_second", "min", "max", "steps"}
    for part, own in (
        ("step", {"precision", "loss_share", "matrix_gflops"}),
        ("input", {"cached"}),
        ("inference", {"precision", "by_batch_size"}),
    ):
        assert main([part, *size, "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert set(result) == keys | own
        assert 0 < result["min"] <= result["images_per_second"] <= result["max"] and result["steps"] == 2
    assert set(result["by_batch_size"]) == {"1", "2"}


@pytest.mark.slow
def test_all_parts_together_end_with_the_bottleneck(capsys):
    assert main(["--input-size", "64", "64", "--batch-size", "2", "--num-classes", "3", "--steps", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["step", "input", "inference", "The"]
