"""Commands of Darknet are answered with the commands that do the same."""

import shlex
from pathlib import Path

import pytest

from tests.darknet.networks import random_weights
from yolo3.cli.darknet_commands import COMMANDS, answer
from yolo3.cli.main import COMMANDS as OURS
from yolo3.cli.main import main
from yolo3.darknet.cfg import parse_cfg

NETWORK = "cfg/yolov3.cfg yolov3.weights"
OPTIONS = "--cfg cfg/yolov3.cfg --weights yolov3.weights"


@pytest.mark.parametrize(
    "darknets, ours",
    [
        (
            f"detector test cfg/coco.data {NETWORK} dog.jpg -thresh .25",
            f"detect {OPTIONS} dog.jpg --score-threshold .25",
        ),
        (
            f"detector test cfg/coco.data {NETWORK} -ext_output dog.jpg -dont_show",
            f"detect {OPTIONS} dog.jpg --csv detections.csv",
        ),
        (
            f"detector test cfg/coco.data {NETWORK} -out found.json dog.jpg",
            f"detect {OPTIONS} dog.jpg --json found.json",
        ),
        (f"detector demo cfg/coco.data {NETWORK} street.mp4 -dont_show", f"detect {OPTIONS} street.mp4"),
        (f"detector demo cfg/coco.data {NETWORK} -c 1", f"detect {OPTIONS} --camera 1 --show"),
        (
            "detector train my.data cfg/yolov3.cfg darknet53.conv.74 -gpus 0,1 -map",
            "train --cfg cfg/yolov3.cfg --weights darknet53.conv.74 --data my.data --recipe darknet",
        ),
        ("detector train my.data my.cfg", "train --cfg my.cfg --data my.data --recipe darknet"),
        (
            f"detector map my.data {NETWORK} -thresh .3",
            f"evaluate {OPTIONS} --data my.data --list valid --at-score .3",
        ),
        (
            f"detector valid my.data {NETWORK} -out results",
            f"evaluate {OPTIONS} --data my.data --list valid --save-detections results.json",
        ),
        (f"detector recall my.data {NETWORK}", f"evaluate {OPTIONS} --data my.data --list valid"),
        (
            "detector calc_anchors my.data -num_of_clusters 6 -width 320 -height 256",
            "anchors --data my.data --num-anchors 6 --input-size 256 320 --output anchors.txt",
        ),
        ("partial my.cfg my.weights my.conv.15 15", "convert my.cfg my.weights network.h5"),
        (f"detect {NETWORK} dog.jpg", f"detect {OPTIONS} dog.jpg"),
        (f"darknet detect {NETWORK} dog.jpg", f"detect {OPTIONS} dog.jpg"),
    ],
)
def test_a_command_of_darknet_is_answered_with_the_whole_command_and_status_2(darknets, ours, capsys):
    assert main(shlex.split(darknets)) == 2
    heading, command = capsys.readouterr().err.splitlines()[:2]
    assert (heading, command) == ("yolo3: Darknet's command. Ours is:", f"yolo3 {ours}")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_answer_is_a_command_that_our_parser_takes(command, capsys):
    found = answer(
        ["detector", command, "coco.data", "net.cfg", "net.weights", *(["15"] if command == "partial" else [])]
    )
    for line in [found.command, *(shlex.split(note) for note in found.notes if note.startswith("yolo3 "))]:
        module = __import__(OURS[line[1]][0], fromlist=["build_parser"])
        module.build_parser().parse_args([word.replace("N", "15") for word in line[2:]])


def test_class_names_come_from_the_data_file(tmp_path):
    (tmp_path / "my.data").write_text("classes = 2\ntrain=train.txt\nnames = data/my.names\n")
    found = answer(["detector", "test", str(tmp_path / "my.data"), "my.cfg", "my.weights", "a b.jpg"])
    assert str(found) == "yolo3 detect --cfg my.cfg --weights my.weights 'a b.jpg' --classes data/my.names"
    for command in ("map", "valid", "recall"):
        found = answer(["detector", command, str(tmp_path / "my.data"), "my.cfg", "my.weights"])
        assert shlex.join(found.command).endswith(
            f"{tmp_path}/my.data --list valid --classes data/my.names"
            + {"map": " --at-score 0.25", "valid": " --save-detections coco_results.json", "recall": ""}[command]
        )


def test_flags_without_a_counterpart_are_explained():
    found = answer(shlex.split("detector train my.data my.cfg my.weights -gpus 0,1 -clear -map backup/"))
    assert found.command[-2:] == ("--recipe", "darknet")
    assert [note.partition(":")[0] for note in found.notes[1:]] == ["-map", "-clear", "-gpus"]


def test_other_words_are_not_darknets(capsys):
    assert answer(["detect", "--weights", "yolov3-tiny", "dog.jpg"]) is None and answer([]) is None
    assert main(["detector"]) == 2
    assert "test, demo, train, map" in capsys.readouterr().err


CFG = """[net]
batch=4
subdivisions=2
width=96
height=96
channels=3
learning_rate=.001
max_batches=2
policy=constant
[convolutional]
batch_normalize=1
filters=8
size=3
stride=16
pad=1
activation=leaky
[convolutional]
filters=16
size=1
stride=2
activation=linear
[yolo]
mask=0,1
anchors=20,20, 40,40
classes=3
num=2
"""


@pytest.mark.slow
def test_the_answers_run_on_darknets_files(tmp_path, monkeypatch, shapes_set, eagerly):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "convert", str(shapes_set), "set", "--format", "yolo"]) == 0
    for name in ("train", "val"):
        images = sorted(Path(f"set/images/{name}").resolve().iterdir())
        Path(f"{name}.txt").write_text("".join(f"{image}\n" for image in images))
    Path("my.names").write_text("circle\nsquare\ntriangle\n")
    Path("my.data").write_text("classes = 3\ntrain = train.txt\nvalid = val.txt\nnames = my.names\nbackup = backup/\n")
    Path("my.cfg").write_text(CFG)
    random_weights(Path("my.weights"), parse_cfg(CFG, "my.cfg"))

    network, image = "my.data my.cfg my.weights", images[0]
    for darknets, written in (
        (f"detector test {network} {image} -ext_output -dont_show", "detections.csv"),
        (f"detector map {network}", None),
        (f"detector valid {network} -out results", "results.json"),
        (f"detector recall {network}", None),
        ("detector calc_anchors my.data -num_of_clusters 2 -width 96 -height 96", "anchors.txt"),
        (f"detector train {network} -map", "runs/train-001/best.h5"),
        ("partial my.cfg my.weights my.conv.1 1", "my.conv.1"),
    ):
        found = answer(shlex.split(darknets))
        for command in [found.command, *(shlex.split(note) for note in found.notes if note.startswith("yolo3 "))]:
            assert main(command[1:]) == 0, command
        assert written is None or Path(written).stat().st_size > 0, darknets
