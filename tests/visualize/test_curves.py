"""Charts of a training run: what the log holds is drawn, and PNG files are written."""

import numpy as np
import pytest

from yolo3.datasets.images import read_image
from yolo3.visualize import curves
from yolo3.visualize.curves import draw_confusion, draw_precision_recall, draw_training_curves


def drawn_panels(monkeypatch, csv_text, tmp_path):
    """The panels, taken from the figure before it is written."""
    kept = []
    monkeypatch.setattr(curves, "png", lambda figure: kept.append(figure) or b"")
    (tmp_path / "log.csv").write_text(csv_text, encoding="utf-8")
    draw_training_curves(tmp_path / "log.csv", tmp_path / "curves.png")
    return kept[0].get_axes()


def drawn_lines(*options):
    """The labelled lines of each panel."""
    return [
        {line.get_label(): np.array(line.get_xydata()) for line in axes.get_lines()} for axes in drawn_panels(*options)
    ]


def test_training_curves_show_what_the_file_has_and_skip_empty_cells(monkeypatch, tmp_path):
    text = "epoch,loss,xy,val_loss,AP50,learning_rate,note\n"
    text += "1,9,2,8,,.001,x\n2,5,1,,0.4,.001,\n3,nan,,4,,.0005,\n"
    loss, terms, score, rate = drawn_lines(monkeypatch, text, tmp_path)
    assert loss["training"].tolist() == [[1, 9], [2, 5]]
    assert loss["validation"].tolist() == [[1, 8], [3, 4]]
    assert terms["xy"].tolist() == [[1, 2], [2, 1]]
    assert score["AP50"].tolist() == [[2, 0.4]]
    assert rate["learning rate (right)"][:, 1].tolist() == [0.001, 0.001, 0.0005]


@pytest.mark.parametrize(("first", "scale"), [(50, "linear"), (500, "log")])
def test_a_loss_that_falls_far_is_drawn_on_a_logarithmic_axis(monkeypatch, tmp_path, first, scale):
    loss = drawn_panels(monkeypatch, f"epoch,loss\n1,{first}\n2,5\n", tmp_path)[0]
    assert loss.get_yscale() == scale
    assert not any("$" in tick.get_text() for tick in loss.get_yticklabels())


@pytest.mark.parametrize("text", ["", "epoch,loss\n", "epoch,loss\n1,\n", "loss\n3\n2\n"])
def test_training_curves_of_a_run_that_has_hardly_begun(monkeypatch, tmp_path, text):
    loss = drawn_lines(monkeypatch, text, tmp_path)[0]
    expected = {"training": [[1, 3], [2, 2]]} if text.startswith("loss") else {}
    assert {name: line.tolist() for name, line in loss.items()} == expected


def test_charts_are_written_as_images(tmp_path):
    (tmp_path / "log.csv").write_text("epoch,loss\n1,5\n2,3\n")
    draw_training_curves(tmp_path / "log.csv", tmp_path / "curves.png")
    draw_confusion(np.zeros((3, 3)), ["a", "b"], tmp_path / "confusion.png")  # nothing annotated, nothing detected
    draw_precision_recall({}, tmp_path / "pr.png")
    sizes = [read_image(tmp_path / f"{name}.png").shape for name in ("curves", "confusion", "pr")]
    assert all(min(size[:2]) > 200 and size[2] == 3 for size in sizes) and sizes[0][1] == 1650  # 15 inches of 110 dots
