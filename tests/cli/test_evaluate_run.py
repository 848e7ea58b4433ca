"""`yolo3 evaluate --run`, and what is said of images that were trained on. Network: test_detector's."""

import csv
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.inference.test_detector import METADATA, cell_network, sample_image
from yolo3.cli.main import main
from yolo3.datasets.check_images import check_image
from yolo3.datasets.formats.registry import read_dataset, write_dataset
from yolo3.datasets.images import write_image
from yolo3.models.saving import save_model
from yolo3.training.image_lists import ImageLists
from yolo3.training.run_folder import RunFolder
from yolo3.training.settings import TrainConfig
from yolo3.training.trained_images import trained_images

pytestmark = pytest.mark.usefixtures("eagerly")  # the network is a layer, whose graph takes longer to build than to run
LINE = "{}.png 64,0,128,32,0 64,32,128,64,0\n"


@pytest.fixture
def set_of_ten(tmp_path, monkeypatch):
    """The current folder, with a set in data/: 0.png to 9.png of different reds, both cells annotated."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    for number in range(10):
        write_image(f"data/{number}.png", sample_image(colour=(255 - number, 0, 0)))
    Path("data/train.txt").write_text("".join(map(LINE.format, range(10))))
    Path("data/classes.txt").write_text("\n".join(METADATA["class_names"]))
    return tmp_path


def make_run(train, val, /, **settings):
    """Make a run folder `run` whose network was trained on images of these numbers."""
    config = TrainConfig(data=str(Path("data").absolute()), **settings)
    lists = ImageLists([f"{number}.png" for number in train], [f"{number}.png" for number in val])
    RunFolder("run").start(config, class_names=METADATA["class_names"], lists=lists)
    seen = trained_images(check_image(f"data/{number}.png").digest for number in train)
    save_model(cell_network(), "run/best.h5", METADATA | {"training": {"images": seen}})


def evaluated(capsys, *words):
    """Return (figures, what is printed, what is warned of) of a command that ends well."""
    assert main(["evaluate", *words, "--json", "ap.json"]) == 0
    said = capsys.readouterr()
    return json.loads(Path("ap.json").read_text()), said.out, said.err


def test_a_run_is_evaluated_on_the_images_that_it_drew(set_of_ten, capsys):
    make_run(range(8), [8, 9])
    figures, said, _ = evaluated(capsys, "--run", "run")
    assert figures["images"] == 2 and figures["images_trained_on"] == 0
    assert figures["per_class"]["red"]["num_truths"] == 4
    first, second, *_ = said.splitlines()
    assert first == "run/best.h5 on 2 images of data, validation images of run"
    assert second == "None of these 2 images was trained on."


def test_data_that_was_trained_on_is_said_before_the_numbers(set_of_ten, capsys):
    make_run(range(8), [8, 9])
    figures, said, _ = evaluated(capsys, "--weights", "run/best.h5", "--data", "data", "--report", "report.html")
    assert figures["images"] == 10 and figures["images_trained_on"] == 8
    assert said.index("8 of these 10 images were trained on") < said.index("AP50")
    assert "8 of these 10 images were trained on" in Path("report.html").read_text()


def test_images_that_were_trained_on_are_known_by_their_bytes_wherever_they_lie(set_of_ten, capsys):
    make_run(range(8), [8, 9])
    Path("copy").mkdir()
    shutil.copy("data/3.png", "copy/other.png")
    shutil.copy("data/9.png", "copy/new.png")
    Path("copy/train.txt").write_text(LINE.format("other") + LINE.format("new"))
    shutil.copy("data/classes.txt", "copy")
    shutil.copy("run/best.h5", "alone.h5")
    assert evaluated(capsys, "--weights", "alone.h5", "--data", "copy")[0]["images_trained_on"] == 1


def test_weights_that_do_not_know_say_nothing(set_of_ten, weights, capsys):
    figures, said, _ = evaluated(capsys, "--weights", weights, "--data", "data")
    assert figures["images_trained_on"] is None and "trained on" not in said


def test_weights_of_too_many_images_to_name_say_so(set_of_ten, capsys, monkeypatch):
    monkeypatch.setattr("yolo3.training.trained_images._MOST", 7)
    make_run(range(8), [8, 9])
    shutil.copy("run/best.h5", "alone.h5")
    figures, *said = evaluated(capsys, "--weights", "alone.h5", "--data", "data")
    assert figures["images_trained_on"] is None
    assert "trained on 8 images, too many to name them" in "".join(said)


def test_a_run_is_evaluated_where_its_data_has_moved(set_of_ten, capsys):
    make_run(range(8), [8, 9])
    Path("data").rename("moved")
    assert main(["evaluate", "--run", "run"]) == 1
    message = "/data: the data of run is not there; if it has moved, say where with --data"
    assert message in capsys.readouterr().err
    for path in ("moved", "moved/train.txt"):
        assert evaluated(capsys, "--run", "run", "--data", path)[0]["images"] == 2


def test_validation_images_that_are_gone_are_counted(set_of_ten, capsys):
    make_run(range(8), [8, 9])
    Path("data/train.txt").write_text("".join(map(LINE.format, range(9))))
    figures, _, warned = evaluated(capsys, "--run", "run")
    assert figures["images"] == 1
    assert re.search("warning: .*: 1 of 2 validation images of run are not there, first 9.png", warned)
    Path("data/train.txt").write_text("".join(map(LINE.format, range(8))))
    assert main(["evaluate", "--run", "run"]) == 1
    assert "2 of 2 validation images of run are not there, first 8.png; if they" in capsys.readouterr().err


def test_a_run_on_the_embedded_shapes_is_evaluated_on_their_validation_list(set_of_ten, capsys, monkeypatch):
    for part, numbers in {"train": range(8), "val": [8, 9]}.items():
        Path("list.txt").write_text("".join(f"data/{LINE.format(number)}" for number in numbers))
        listed = read_dataset("list.txt", class_names=METADATA["class_names"])
        write_dataset(replace(listed, name=f"shapes [{part}]"), "shapes", "voc")
    monkeypatch.setattr("yolo3.training.sources.shapes_folder", lambda: "shapes")
    make_run(range(8), [])
    lists = ImageLists([f"JPEGImages/{number}.png" for number in range(8)], ["JPEGImages/8.png", "JPEGImages/9.png"])
    RunFolder("run").start(TrainConfig(), class_names=METADATA["class_names"], lists=lists)
    figures, said, _ = evaluated(capsys, "--run", "run")
    assert figures["images"] == 2 and figures["images_trained_on"] == 0
    assert said.startswith("run/best.h5 on 2 images of shapes [val], validation images of run\n")


def test_validation_data_of_its_own_is_what_has_moved(set_of_ten, capsys):
    shutil.copytree("data", "other")
    make_run(range(8), [8, 9], val=str(Path("other").absolute()))
    assert evaluated(capsys, "--run", "run")[1].startswith("run/best.h5 on 2 images of other, ")
    Path("other").rename("moved")
    assert evaluated(capsys, "--run", "run", "--data", "moved")[1].startswith("run/best.h5 on 2 images of moved, ")


def test_other_options_override_those_of_the_run(set_of_ten, weights, capsys):
    make_run(range(8), [8, 9])
    Path("data/test.txt").write_text("".join(map(LINE.format, range(3))))
    figures, said, _ = evaluated(capsys, "--run", "run", "--list", "test", "--weights", weights, "--batch-size", "1")
    assert figures["images"] == 3 and said.startswith(f"{weights} on 3 images of data [test]\n")


def test_a_run_that_left_out_invalid_annotations_is_evaluated_so(set_of_ten, capsys):
    make_run(range(8), [8, 9], skip_bad=True)
    with open("data/train.txt", "a") as file:
        file.write("missing.png 1,1,30,30,0\n")
    assert evaluated(capsys, "--run", "run")[0]["images"] == 2


def test_a_run_of_an_earlier_version_has_its_list_or_says_what_to_do(set_of_ten, capsys):
    make_run(range(8), [8, 9])
    Path("run/val.txt").unlink()
    assert main(["evaluate", "--run", "run"]) == 1
    assert "run: expected a list of validation images: runs of earlier versions do not" in capsys.readouterr().err

    Path("data/val.txt").write_text(LINE.format(9))  # a list of the data set needs none of the run
    assert evaluated(capsys, "--run", "run")[0]["images"] == 1


@pytest.mark.parametrize(
    "words, status, message",
    [
        ([], 2, "the following arguments are required: --weights, --data; or --run"),
        (["--weights", "run/best.h5"], 2, "the following arguments are required: --data; or --run"),
        (["--run", "data"], 1, "data: expected the folder of a run with settings.json in it, found none"),
        (["--run", "run"], 1, "run: expected a list of validation images: it validated on no images; choose"),
    ],
)
def test_what_is_missing_is_said_in_one_line(set_of_ten, capsys, words, status, message):
    make_run(range(10), [])
    if status == 2:
        with pytest.raises(SystemExit, match="2"):
            main(["evaluate", *words])
    else:
        assert main(["evaluate", *words]) == 1
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_a_run_without_weights_says_so(set_of_ten, capsys):
    make_run(range(8), [8, 9])
    Path("run/best.h5").unlink()
    assert main(["evaluate", "--run", "run"]) == 1
    assert "run: expected best.h5 in it, found none: it has not evaluated yet" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("drawn", [False, True], ids=["a list of the data set", "a drawn split"])
def test_a_run_and_its_evaluation_agree_in_average_precision(
    drawn, shapes_set, tmp_path, slim_tiny, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    lists = ["--train-list", "train", "--val-split", "0.25"] if drawn else []
    options = ["--input-size", "96", "96", "--batch-size", "4", "--precision", "float32", "--mosaic", "0", "--ema", "0"]
    options += ["--epochs", "60", "--evaluate-every", "60", "--jitter", "0", "--learning-rate", "0.003"]
    words = ["--data", shapes_set, *lists, *options, "--output", "run"]
    assert main(["train", *words]) == 0
    with open("run/log.csv", newline="") as file:
        *_, row = csv.DictReader(file)

    figures = evaluated(capsys, "--run", "run")[0]
    assert figures["images"] == (3 if drawn else 4) and figures["images_trained_on"] == 0
    for name in ("AP50", "AP"):
        assert figures[name] == pytest.approx(float(row[name]), abs=1e-4)
    assert figures["AP50"] > 0.01  # there is something to agree on
