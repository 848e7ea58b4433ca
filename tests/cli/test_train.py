"""`yolo3 train`: errors in one line, checking, resuming, the closing lines."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.darknet.networks import YOLO, random_weights, text_of
from yolo3.cli.train import main
from yolo3.darknet.cfg import parse_cfg, read_cfg
from yolo3.models.metadata import read_metadata

ROOT = Path(__file__).resolve().parents[2]
TINY = str(ROOT / "model_data" / "tiny_yolo_anchors.txt")


# Mistakes


def test_a_recipe_without_a_cfg_and_a_cfg_beside_a_model_are_refused(tmp_path, capsys):
    assert main(["--anchors", TINY, "--recipe", "darknet"]) == 1
    assert "--recipe darknet: expected --cfg FILE with it" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["--cfg", str(tmp_path / "net.cfg"), "--model", "yolov3"])
    assert "--model does not go with --cfg" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, message",
    [
        (["--anchors", TINY, "--no-such-option", "1"], "unrecognized arguments: --no-such-option"),
        (["--anchors", TINY, "--optimizer", "adamw"], "invalid choice: 'adamw'"),
        (["--anchors", TINY, "--epochs", "0"], "expected a whole number above 0, got 0"),
        (["--anchors", TINY, "--jitter", "2"], "expected a number from 0 to below 1, got 2"),
        (["--anchors", TINY, "--input-size", "0", "96"], "expected a whole number above 0, got 0"),
        (["--anchors", TINY, "--anchor-mask", "1,x"], "expected indices such as 3,4,5, got 1,x"),
        (["--resume", "runs/x", "--epochs", "3"], "--resume takes no other option"),
    ],
)
def test_a_wrong_option_exits_with_2(words, message, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def failure(capsys, *words):
    """Return what a command that ends with status 1 says on standard error: one line."""
    assert main(words) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Traceback" not in error
    return error


def test_files_that_are_missing_end_in_one_line(capsys, tmp_path, shapes_set):
    for data in ((), ("--data", shapes_set)):
        error = failure(capsys, "--anchors", str(tmp_path / "none.txt"), *data, "--output", str(tmp_path / "o"))
        assert error == f"yolo3 train: {tmp_path / 'none.txt'}: No such file or directory\n"
    assert "nowhere" in failure(capsys, "--anchors", TINY, "--data", str(tmp_path / "nowhere"))
    assert "settings.json" in failure(capsys, "--resume", str(tmp_path))


def test_bad_data_exits_with_1_and_lists_every_line(capsys, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), 128 + cv2.randn(cv2.UMat(60, 60, cv2.CV_8UC3), 0, 30).get())
    (tmp_path / "train.txt").write_text("a.png 1,1,30,30,0\nmissing.png 1,1,30,30,0\nb.png 5,5,5,30,0\n")
    words = ["--anchors", TINY, "--data", str(tmp_path / "train.txt"), "--output", str(tmp_path / "run")]
    assert main(words) == 1
    said = capsys.readouterr()
    for line in (2, 3):
        assert f"error: {tmp_path}/train.txt:{line}: " in said.out
    assert "--skip-bad" in said.err and said.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_notes_on_what_was_read_come_after_the_findings(capsys, tmp_path):
    (tmp_path / "train.txt").write_text("".join(f"missing{number}.png 1,1,30,30,0\n" for number in range(10)))
    assert main(["--anchors", TINY, "--data", str(tmp_path / "train.txt"), "--output", str(tmp_path / "run")]) == 1
    finding, *_, note = capsys.readouterr().out.splitlines()
    assert finding.startswith("error: 10 lines of") and finding.endswith(f"; all in {tmp_path}/run/findings.txt")
    assert note == "train.txt: 0 images (keras-yolo3)."
    assert os.listdir(tmp_path / "run") == ["findings.txt"]


def test_data_alone_is_enough_and_the_first_lines_say_which_network_is_trained(
    capsys, tmp_path, shapes_set, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(["--data", shapes_set, "--check-only"]) == 0
    said = capsys.readouterr().out
    assert "No --model given: training yolov3-tiny with its own anchors." in said
    assert "The data can be used." in said


# Runs


SMALL = ["--input-size", "64", "64", "--batch-size", "12", "--mosaic", "0", "--precision", "float32"]


def test_check_only_draws_the_targets_and_trains_nothing(capsys, tmp_path, shapes_set):
    run = tmp_path / "run"
    words = ["--anchors", TINY, "--data", shapes_set, *SMALL, "--output", str(run), "--check-only"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert f"The data can be used. Training targets: {run / 'targets.png'}" in said
    assert sorted(os.listdir(run)) == ["findings.txt", "targets.png"]
    assert cv2.imread(str(run / "targets.png")).shape[0] > 64


def test_check_only_says_what_would_be_taken_from_the_weights(capsys, tmp_path, shapes_set):
    cfg, weights = tmp_path / "net.cfg", tmp_path / "net.weights"
    cfg.write_text(text_of(YOLO))
    random_weights(weights, read_cfg(cfg))
    words = ["--cfg", str(cfg), "--weights", str(weights), "--data", shapes_set, "--input-size", "64", "64"]
    assert main([*words, "--output", str(tmp_path / "run"), "--check-only"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(str(weights)))
    assert line == f"{weights}: weights for 7 of 9 layers; boxes and objectness in conv_3, conv_5"

    weights.write_bytes(weights.read_bytes()[:-4])
    error = failure(capsys, *words, "--output", str(tmp_path / "cut"), "--check-only")
    assert f"{weights}: expected 3,556 bytes for {cfg}, got 3,552: it ends inside layer 11 [convolutional]" in error


def test_a_cfg_of_images_that_are_neither_rgb_nor_grey_is_refused_before_a_folder_is_made(capsys, tmp_path, shapes_set):
    (tmp_path / "net.cfg").write_text(text_of(YOLO, channels=4))
    error = failure(capsys, "--cfg", str(tmp_path / "net.cfg"), "--data", shapes_set, "--output", str(tmp_path / "run"))
    assert error.endswith("net.cfg:4: expected channels=3, RGB images, or 1, grey ones, in [net], got 4\n")
    assert not (tmp_path / "run").exists()


def test_an_edited_cfg_with_weights_of_80_classes_is_told_to_give_the_published_one(capsys, tmp_path, shapes_set):
    cfg, weights = tmp_path / "edited.cfg", tmp_path / "published.weights"
    published = text_of(YOLO.replace("classes=2", "classes=80").replace("filters=14", "filters=170"))
    random_weights(weights, parse_cfg(published))
    cfg.write_text(text_of(YOLO.replace("classes=2", "classes=3").replace("filters=14", "filters=16")))
    words = ["--cfg", str(cfg), "--weights", str(weights), "--data", shapes_set, "--input-size", "64", "64"]
    error = failure(capsys, *words, "--output", str(tmp_path / "run"), "--check-only")
    assert "fits this network with 80 classes, but the cfg has 3; give the cfg that the weights were trained" in error
    assert "such as the published one" in error


@pytest.fixture(scope="module")
def finished(slim_tiny, eagerly, shapes_set, tmp_path_factory):
    """Folder and words of one epoch of the tiny network with an eighth of its filters."""
    run = tmp_path_factory.mktemp("runs") / "run"
    lines = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builtins.print", lambda *words, **_: lines.append(" ".join(map(str, words))))
        patch.setattr("yolo3.cli.train._say", lines.append)
        status = main(["--anchors", TINY, "--data", shapes_set, *SMALL, "--epochs", "1", "--output", str(run)])
    assert status == 0
    return run, "\n".join(lines)


def test_the_last_lines_name_weights_curves_predictions_and_the_next_commands(finished, shapes_set):
    run, said = finished
    end = said[said.index("Done.") :]
    assert "On 4 images it has not seen: AP50" in end
    for name in ("best.h5", "last.h5", "curves.png", "log.csv", "predictions.png"):
        assert str(run / name) in end and (run / name).is_file()
    assert f"yolo3 detect --weights {run / 'best.h5'} IMAGES_OR_FOLDERS" in end
    assert f"yolo3 evaluate --run {run}" in end


def test_a_run_prints_its_folder_before_it_starts(finished):
    run, said = finished
    assert f"Run folder: {run}" in said[: said.index("epoch ")]
    assert "'train' to train, 'val' to validate" in said


@pytest.mark.slow
def test_a_finished_run_is_not_overwritten_but_resumed(finished, capsys, shapes_set):
    run, _ = finished
    assert "resume it with --resume" in failure(capsys, "--anchors", TINY, "--data", shapes_set, "--output", str(run))
    before = (run / "best.h5").read_bytes()
    assert main(["--resume", str(run)]) == 0
    assert f"Resuming {run} after epoch 1 of 1." in capsys.readouterr().out
    assert (run / "best.h5").read_bytes() == before


def test_a_run_keeps_its_lists_and_its_weights_know_what_they_were_trained_on(finished):
    run, _ = finished
    assert (run / "val.txt").read_text().split() == [f"JPEGImages/{number:06d}.jpg" for number in range(12, 16)]
    assert len((run / "train.txt").read_text().split()) == 12
    assert read_metadata(run / "best.h5")["training"]["images"]["number"] == 12


def test_a_run_of_a_version_that_kept_no_lists_is_resumed_and_gets_them(finished, capsys):
    run, _ = finished
    before = (run / "val.txt").read_text()
    (run / "val.txt").unlink()
    assert main(["--resume", str(run)]) == 0
    assert (
        f"{run}: kept no lists of images; validation images that were drawn are drawn anew." in capsys.readouterr().out
    )
    assert (run / "val.txt").read_text() == before


def test_resuming_needs_neither_the_anchors_file_nor_the_names_it_began_with(finished):
    from yolo3.training.whole_run import resumed

    config, folder = resumed(str(finished[0]))
    assert config.anchors == str(finished[0] / "anchors.txt") and config.classes == str(finished[0] / "classes.txt")


@pytest.mark.slow
def test_the_script_trains_and_its_weights_open_with_keras_alone(tmp_path, shapes_set):
    words = ["--anchors", TINY, "--epochs", "1", "--data", shapes_set, *SMALL, "--output", str(tmp_path / "run")]
    environment = os.environ | {"PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, str(ROOT / "train.py"), *words], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "Done." in done.stdout and "Traceback" not in done.stderr
    best = str(tmp_path / "run" / "best.h5")
    code = f"import keras; print(keras.models.load_model({best!r}).count_params())"
    opened = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    # 8,858,734 for 80 classes, less what 77 classes fewer take: 2 outputs of 3 x 77 = 231 channels on 512 and 256, and
    # their biases: 231 x (512 + 1 + 256 + 1) = 177,870.
    assert opened.stdout.strip() == str(8_858_734 - 177_870), opened.stderr


def test_tensorboard_gets_its_curves_where_it_is_installed(finished):
    pytest.importorskip("tensorboard")
    run, _ = finished
    assert list((run / "tensorboard").rglob("events.out.tfevents.*"))


def test_a_list_to_validate_on_needs_one_to_train_on(shapes_set, capsys):
    assert main(["--anchors", TINY, "--data", shapes_set, "--val-list", "val", "--check-only"]) == 1
    assert "--val-list val needs --train-list, or it would be trained on; lists: train, val" in capsys.readouterr().err
