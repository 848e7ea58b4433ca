"""From settings to checked data: lists, where validation images come from, class names, what stops a run."""

import dataclasses
import shutil
from dataclasses import replace

import cv2
import h5py
import numpy as np
import pytest

from yolo3.datasets import check_images, pixel_limit
from yolo3.datasets.annotation import Finding
from yolo3.datasets.formats.registry import read_dataset, write_dataset
from yolo3.models.metadata import format_metadata, write_metadata
from yolo3.models.registry import MODELS
from yolo3.models.yolov3.anchors import DEFAULT_ANCHORS, DEFAULT_TINY_ANCHORS, write_anchors
from yolo3.models.yolov3.loss_options import LossOptions
from yolo3.training.image_lists import ImageLists
from yolo3.training.preparation import DataError, choose_architecture, prepare, with_network
from yolo3.training.settings import TrainConfig


@pytest.fixture(scope="module")
def anchors(tmp_path_factory):
    path = tmp_path_factory.mktemp("anchors") / "tiny.txt"
    write_anchors(path, DEFAULT_TINY_ANCHORS)
    return str(path)


@pytest.fixture
def prepared(anchors):
    """Function from settings to what `prepare` makes of them."""

    def run(**settings):
        return prepare(TrainConfig(**{"anchors": anchors, "input_size": (96, 96), **settings}))

    return run


def write_lines(folder, *lines, names=("cat", "dog")):
    """A set of text lines with images of 100 x 100 pixels named 0.png, 1.png, ...; "N" in a line is its number."""
    folder.mkdir(exist_ok=True)
    for number in range(len(lines)):
        pixels = np.random.default_rng(number).integers(0, 255, (100, 100, 3), np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
    (folder / "train.txt").write_text("".join(f"{number}.png {boxes}\n" for number, boxes in enumerate(lines)))
    if names:
        (folder / "classes.txt").write_text("\n".join(names) + "\n")
    return str(folder / "train.txt")


def names_of(annotations):
    return sorted(item.image_path.rsplit("/", 1)[-1] for item in annotations)


def mask_of(architecture):
    return tuple(scale.anchor_mask for scale in architecture.scales)


GOOD = "10,10,40,50,0 50,50,90,90,1"


# Lists and validation


def test_the_lists_of_a_data_set_are_found_and_reported(prepared, shapes_set):
    result = prepared(data=shapes_set)
    assert names_of(result.train) == [f"{number:06d}.jpg" for number in range(12)]
    assert names_of(result.val) == [f"{number:06d}.jpg" for number in range(12, 16)]
    assert any("'train' to train, 'val' to validate" in note for note in result.notes)
    assert result.class_names == ["circle", "square", "triangle"]
    assert result.architecture.name == "yolov3-tiny" and mask_of(result.architecture) == ((3, 4, 5), (0, 1, 2))
    np.testing.assert_array_equal(result.anchors, DEFAULT_TINY_ANCHORS)


def test_an_image_of_too_many_pixels_is_invalid_or_left_out(prepared, tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_limit, "_max_pixels", pixel_limit.MAX_PIXELS)  # and put back after the test
    path = write_lines(tmp_path / "set", "10,10,50,50,0", "10,10,50,50,1")
    cv2.imwrite(str(tmp_path / "set" / "1.png"), np.zeros((100, 101, 3), np.uint8))
    with pytest.raises(DataError) as caught:
        prepared(data=path, max_pixels=10_000)
    found = [finding for finding in caught.value.findings if finding.severity == "error"]
    assert [finding.kind for finding in found] == ["huge-image"] and "101x100 pixels" in str(found[0])
    assert len(prepared(data=path, max_pixels=10_000, skip_bad=True, val_split=0).train) == 1
    assert len(prepared(data=path, val_split=0).train) == 2


def test_lists_that_are_named_are_taken(prepared, shapes_set):
    result = prepared(data=shapes_set, train_list="val", val_list="train")
    assert (len(result.train), len(result.val)) == (4, 12)


def test_a_named_list_to_train_on_alone_is_divided(prepared, shapes_set):
    result = prepared(data=shapes_set, train_list="train", val_split=0.25)
    assert (len(result.train), len(result.val)) == (9, 3)  # a quarter of 12
    assert names_of([*result.train, *result.val]) == [f"{number:06d}.jpg" for number in range(12)]


def test_a_list_that_does_not_exist_is_refused_with_those_that_do(prepared, shapes_set):
    with pytest.raises(ValueError, match="'trainval'; it has train, val"):
        prepared(data=shapes_set, train_list="trainval")


def test_validation_images_may_be_a_data_set_of_their_own(prepared, shapes_set, tmp_path):
    write_dataset(read_dataset(shapes_set, list_name="val"), tmp_path / "other", "yolo")
    result = prepared(data=shapes_set, train_list="train", val=str(tmp_path / "other"))
    assert (len(result.train), len(result.val)) == (12, 4)
    assert all(str(tmp_path) in item.image_path for item in result.val)


def test_an_image_in_both_sets_is_a_warning(prepared, shapes_set):
    result = prepared(data=shapes_set, train_list="train", val=shapes_set, val_list="train")
    assert sum(finding.kind == "overlap" for finding in result.findings) == 12


def test_the_split_is_drawn_with_the_seed(prepared, tmp_path):
    data = write_lines(tmp_path / "d", *[GOOD] * 20)
    first, again, other = (prepared(data=data, val_split=0.2, seed=seed) for seed in (0, 0, 1))
    assert len(first.val) == 4 and len(first.train) == 16  # a fifth of 20
    assert names_of(first.val) == names_of(again.val) != names_of(other.val)
    assert not set(names_of(first.val)) & set(names_of(first.train))


def test_equal_images_stay_on_one_side_of_a_drawn_split(prepared, tmp_path):
    data = write_lines(tmp_path / "d", *[GOOD] * 20)
    for number in range(0, 20, 2):
        shutil.copy(tmp_path / "d" / f"{number}.png", tmp_path / "d" / f"{number + 1}.png")
    result = prepared(data=data, val_split=0.2, seed=1)
    drawn = {int(name.split(".")[0]) // 2 for name in names_of(result.val)}
    assert len(result.val) == 4 and len(drawn) == 2  # two whole pairs
    assert not [finding for finding in result.findings if finding.kind == "overlap"]
    assert any(note.startswith("Kept on one side of the split: 10 groups") for note in result.notes)


def test_no_split_means_no_validation_and_is_reported(prepared, tmp_path):
    result = prepared(data=write_lines(tmp_path / "d", GOOD, GOOD), val_split=0.0)
    assert len(result.train) == 2 and result.val == []
    assert any("No validation" in note for note in result.notes)


def test_one_image_alone_is_trained_on(prepared, tmp_path):
    result = prepared(data=write_lines(tmp_path / "d", GOOD))
    assert len(result.train) == 1 and result.val == []


def test_without_data_the_embedded_shapes_are_used_and_reported(prepared, shapes_set, monkeypatch):
    monkeypatch.setattr("yolo3.training.sources.shapes_folder", lambda: shapes_set)
    result = prepared()
    assert (len(result.train), len(result.val)) == (12, 4)
    assert "No --data given" in result.notes[0] and shapes_set in result.notes[0]


# Class names


def test_class_names_of_both_sets_are_united(prepared, shapes_set, tmp_path):
    folder = tmp_path / "more"
    shutil.copytree(shapes_set, folder)
    for file in (folder / "Annotations").iterdir():
        file.write_text(file.read_text().replace("circle", "ball"))
    result = prepared(data=shapes_set, train_list="train", val=str(folder), val_list="val")
    assert sorted(result.class_names) == ["ball", "circle", "square", "triangle"]
    number = result.class_names.index("ball")
    assert any(number in item.class_ids for item in result.val)
    assert not any(number in item.class_ids for item in result.train)


def test_class_names_from_a_file_give_the_order(prepared, shapes_set, tmp_path):
    (tmp_path / "names.txt").write_text("triangle\nsquare\ncircle\n")
    plain = prepared(data=shapes_set)
    turned = prepared(data=shapes_set, classes=str(tmp_path / "names.txt"))
    assert turned.class_names == ["triangle", "square", "circle"]
    np.testing.assert_array_equal(turned.train[0].class_ids, 2 - plain.train[0].class_ids)


def test_the_images_of_both_parts_have_names_by_which_they_are_chosen_again(prepared, tmp_path):
    data = write_lines(tmp_path / "d", *[GOOD] * 20)
    first = prepared(data=data, val_split=0.2)
    assert len(first.lists.val) == 4 and sorted(first.lists.train + first.lists.val) == names_of(
        first.train + first.val
    )

    # another seed and more images would draw others
    data = write_lines(tmp_path / "d", *[GOOD] * 22)
    again = prepare(TrainConfig(data=data, val_split=0.2, seed=3), lists=first.lists)
    for part in ("train", "val"):
        assert [item.image_path for item in getattr(again, part)] == [item.image_path for item in getattr(first, part)]
    assert again.lists == first.lists
    assert any("in no list of the run and are left out: 2, first" in note for note in again.notes)


def test_images_of_a_run_that_are_gone_are_counted_and_a_set_without_any_is_refused(prepared, tmp_path):
    data = write_lines(tmp_path / "d", *[GOOD] * 6)
    lists = ImageLists(["0.png", "1.png", "x.png"], ["2.png"])
    result = prepare(TrainConfig(data=data), lists=lists)
    assert names_of(result.train) == ["0.png", "1.png"] and names_of(result.val) == ["2.png"]
    assert any("not in the data any more: 1, first x.png." in note for note in result.notes)
    with pytest.raises(ValueError, match="expected the images of the run, found none of them, such as x.png"):
        prepare(TrainConfig(data=data), lists=ImageLists(["x.png"], []))


def test_the_lists_of_a_data_set_are_kept_by_name_too(prepared, shapes_set):
    result = prepared(data=shapes_set)
    assert result.lists.val == [f"JPEGImages/{number:06d}.jpg" for number in range(12, 16)]
    assert len(set(result.train_digests)) == 12


def test_what_both_sets_say_of_the_whole_data_is_said_once(prepared, shapes_set, monkeypatch):
    note = Finding("warning", "class-names", shapes_set, "a category without boxes is not a class")

    def read(*arguments):
        dataset = read_dataset(*arguments)
        return replace(dataset, findings=[*dataset.findings, note])

    monkeypatch.setattr("yolo3.training.preparation.formats.read_dataset", read)
    assert prepared(data=shapes_set).findings.count(note) == 1


# What stops a run


BAD = [GOOD, "10,10,10,40,0 20,20,60,60,1", "10,10,40,40,7"]  # a box without area; a class that does not exist


def test_invalid_annotations_stop_the_run_and_all_are_listed_with_file_and_line(prepared, tmp_path):
    data = write_lines(tmp_path / "d", *BAD)
    (tmp_path / "d" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="3 invalid annotations.*--skip-bad") as caught:
        prepared(data=data)
    errors = [str(finding) for finding in caught.value.findings if finding.severity == "error"]
    assert len(errors) == 3
    assert [error.split(": ")[0] for error in errors] == [f"{data}:{line}" for line in (1, 3, 2)]


def test_invalid_annotations_are_skipped_on_request_and_counted(prepared, tmp_path):
    data = write_lines(tmp_path / "d", *BAD)
    (tmp_path / "d" / "0.png").write_bytes(b"no image")
    result = prepared(data=data, skip_bad=True, val_split=0.0)
    assert names_of(result.train) == ["1.png", "2.png"]
    assert [len(item.boxes) for item in result.train] == [1, 0]
    note = next(note for note in result.notes if "left out" in note)
    assert note.count("1 ") == 3  # one image, one box without area, one class id
    assert len([finding for finding in result.findings if finding.severity == "error"]) == 3


def test_a_run_on_good_data_reports_nothing_skipped(prepared, tmp_path):
    result = prepared(data=write_lines(tmp_path / "d", GOOD, GOOD), skip_bad=True)
    assert not any("left out" in note for note in result.notes)


def test_ids_that_start_at_1_stop_the_run_even_with_skip_bad(prepared, tmp_path):
    data = write_lines(tmp_path / "d", "10,10,40,50,1", "10,10,40,50,2 50,50,90,90,1")
    for skip_bad in (False, True):
        with pytest.raises(DataError) as caught:
            prepared(data=data, skip_bad=skip_bad)
        assert any("start at 1" in finding.message for finding in caught.value.findings)
    with pytest.raises(DataError, match="start at 1.*subtract 1"):
        prepared(data=data, skip_bad=True)


def test_errors_in_the_validation_images_stop_the_run_too(prepared, shapes_set, tmp_path):
    data = write_lines(tmp_path / "d", "10,10,40,40,9", names=("circle", "square", "triangle"))
    with pytest.raises(DataError) as caught:
        prepared(data=shapes_set, train_list="train", val=data)
    assert f"{data}:1" in [finding.where for finding in caught.value.findings]


def test_data_without_any_box_is_refused(prepared, tmp_path):
    with pytest.raises(ValueError, match="at least one box to train on, got none in 2 images"):
        prepared(data=write_lines(tmp_path / "d", "", ""), format="keras-yolo3", val_split=0.0)


def test_a_missing_path_is_refused(prepared, tmp_path):
    with pytest.raises(ValueError, match="nowhere: expected a file or a folder"):
        prepared(data=str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError):
        prepared(anchors=str(tmp_path / "none.txt"))


def test_progress_is_reported_for_each_image(anchors, shapes_set):
    calls = []
    prepare(TrainConfig(anchors=anchors, data=shapes_set), progress=lambda done, all_: calls.append((done, all_)))
    assert calls[-1] == (4, 4) and (12, 12) in calls and len(calls) == 16


# Anchors and network


@pytest.fixture
def name_for(tmp_path):
    """Return a function from a number of anchors to the name of the network chosen for them."""

    def name(number, **settings):
        write_anchors(tmp_path / "some.txt", np.resize(DEFAULT_ANCHORS, (number, 2)))
        return choose_architecture(TrainConfig(anchors=str(tmp_path / "some.txt"), **settings), 3).name

    return name


def test_the_number_of_anchors_selects_a_network_that_can_be_overridden(name_for):
    assert name_for(9) == "yolov3" and name_for(6) == "yolov3-tiny"
    assert name_for(9, model="yolov3-spp") == "yolov3-spp"


@pytest.mark.parametrize("model, number", [("yolov3-tiny", 9), ("yolov3", 6), ("yolov3-spp", 6)])
def test_anchors_that_do_not_fit_the_network_are_refused_with_both_numbers(name_for, model, number):
    with pytest.raises(ValueError, match=rf"some.txt: {model} predicts at . scales; {number} anchors make ."):
        name_for(number, model=model)


@pytest.mark.parametrize("name", ["yolov3-tiny", "yolov3", "yolov3-spp"])
def test_a_named_network_has_its_own_anchors(name):
    architecture = choose_architecture(TrainConfig(model=name), 3)
    assert architecture.name == name
    np.testing.assert_array_equal(architecture.anchors, MODELS[name].anchors)


@pytest.fixture
def weights_of(tmp_path):
    """Return a function from metadata to a file of weights that holds nothing else."""

    def write(**metadata):
        with h5py.File(tmp_path / "start.h5", "w"):
            pass
        write_metadata(tmp_path / "start.h5", format_metadata(metadata))
        return str(tmp_path / "start.h5")

    return write


def test_pretrained_weights_bring_their_network_anchors_and_masks(weights_of):
    mask = ((3, 4, 5), (1, 2, 3))
    weights = weights_of(model="yolov3-tiny", anchors=DEFAULT_TINY_ANCHORS * 2, anchor_mask=mask)
    for model in (None, "yolov3-tiny"):
        architecture = choose_architecture(TrainConfig(weights=weights, model=model), 3)
        assert architecture.name == "yolov3-tiny" and mask_of(architecture) == mask
        np.testing.assert_array_equal(architecture.anchors, DEFAULT_TINY_ANCHORS * 2)
    # of another network they are layers to start from
    assert choose_architecture(TrainConfig(weights=weights, model="yolov3"), 3).name == "yolov3"
    full = weights_of(model="yolov3", anchors=DEFAULT_ANCHORS)
    assert choose_architecture(TrainConfig(weights=full), 3).name == "yolov3"


@pytest.mark.parametrize("metadata", [{}, {"model": "cfg"}, {"model": "rpn"}])
def test_pretrained_weights_that_do_not_say_which_network_they_are_need_model_or_cfg(weights_of, metadata):
    with pytest.raises(ValueError, match="start.h5: does not name a YOLOv3 network; say which it is with --model, or"):
        choose_architecture(TrainConfig(weights=weights_of(**metadata)), 3)


def test_other_numbers_of_anchors_need_a_network_and_a_mask(prepared, tmp_path, shapes_set):
    path = str(tmp_path / "four.txt")
    write_anchors(path, DEFAULT_ANCHORS[:4])
    with pytest.raises(ValueError, match="got 4"):
        prepared(anchors=path, data=shapes_set)
    mask = ((2, 3), (0, 1))
    architecture = prepared(anchors=path, data=shapes_set, model="yolov3-tiny", anchor_mask=mask).architecture
    assert mask_of(architecture) == mask


def test_a_mask_that_names_no_anchor_is_refused(prepared, shapes_set):
    with pytest.raises(ValueError, match="index 6 names no anchor"):
        prepared(data=shapes_set, anchor_mask=((3, 4, 6), (0, 1, 2)))


# Architectures without anchors


def sized(*sizes_wh):
    """Lines of 24 images, each with a box of each size (w, h), which grow a little from image to image."""
    return [
        " ".join(f"2,2,{2 + w + number / 50:.2f},{2 + h + number / 50:.2f},0" for w, h in sizes_wh)
        for number in range(24)
    ]


def test_anchors_are_clustered_on_the_training_boxes_at_the_size_of_the_input(prepared, tmp_path):
    data = write_lines(tmp_path / "d", *sized((10, 10), (14, 40), (40, 14), (30, 30), (60, 20), (60, 80)))
    result = prepared(data=data, anchors="auto", input_size=(192, 192), val_split=0.25)
    # 100 x 100 pixels in an input of 192 x 192: all is 1.92 times as large, and grows by less than a pixel.
    sizes = np.array([[10, 10], [14, 40], [40, 14], [30, 30], [60, 20], [60, 80]]) * 1.92
    np.testing.assert_allclose(result.anchors, sizes, atol=0.02 * 24 * 1.92)
    assert "Anchors clustered on 108 training boxes at 192x192: average IoU 0.98" in "\n".join(result.notes)
    assert not [finding for finding in result.findings if finding.kind == "anchor-fit"]
    again = prepared(data=data, anchors="auto", input_size=(192, 192), val_split=0.25, model="yolov3-tiny")
    np.testing.assert_array_equal(again.anchors, result.anchors)


TALL = ((2, 80), (3, 70), (4, 90), (2, 40), (3, 95), (5, 60))


def test_anchors_that_fit_badly_are_replaced_where_nothing_says_otherwise(prepared, tmp_path, weights_of):
    data = write_lines(tmp_path / "d", *sized(*TALL))
    result = prepared(data=data, anchors=None)
    assert result.anchors[:, 0].max() < 10
    assert sum("which fit badly" in note for note in result.notes) == 1
    assert "No --model given: training yolov3-tiny." in result.notes

    given = prepared(data=data)  # a file of anchors
    np.testing.assert_array_equal(given.anchors, DEFAULT_TINY_ANCHORS)
    weights = weights_of(model="yolov3-tiny", anchors=DEFAULT_TINY_ANCHORS.tolist())
    pretrained = prepared(data=data, anchors=None, weights=weights)
    np.testing.assert_array_equal(pretrained.anchors, DEFAULT_TINY_ANCHORS)
    for kept in (given, pretrained):
        (finding,) = [finding for finding in kept.findings if finding.kind == "anchor-fit"]
        assert "--anchors auto trains with 6" in finding.message


def test_anchors_that_fit_stay(prepared, tmp_path):
    data = write_lines(tmp_path / "d", *sized((10, 13), (22, 26), (35, 58)))
    result = prepared(data=data, anchors=None, input_size=(96, 96))
    np.testing.assert_array_equal(result.anchors, DEFAULT_TINY_ANCHORS)
    assert "No --model given: training yolov3-tiny with its own anchors." in result.notes


def test_too_few_boxes_keep_the_networks_anchors_unless_others_are_asked_for(prepared, tmp_path):
    data = write_lines(tmp_path / "d", "2,2,4,90,0", "2,2,4,80,0", "2,2,4,70,0")
    np.testing.assert_array_equal(prepared(data=data, anchors=None).anchors, DEFAULT_TINY_ANCHORS)
    with pytest.raises(ValueError, match="cannot make 6 anchors of 2 boxes with 2 distinct sizes"):
        prepared(data=data, anchors="auto", val_split=0.4)


def test_anchors_are_clustered_for_the_network_of_the_weights(prepared, tmp_path, weights_of):
    data = write_lines(tmp_path / "d", *sized(*TALL))
    mask = [[3, 4, 5], [1, 2, 3]]
    weights = weights_of(model="yolov3-tiny", anchors=DEFAULT_TINY_ANCHORS.tolist(), anchor_mask=mask)
    result = prepared(data=data, anchors="auto", weights=weights)
    assert mask_of(result.architecture) == ((3, 4, 5), (1, 2, 3)) and result.anchors[:, 0].max() < 10
    write_anchors(tmp_path / "own.txt", result.anchors)  # as a run keeps them, to be resumed
    config = with_network(TrainConfig(data=data, anchors="auto", weights=weights), result.architecture)
    resumed = choose_architecture(dataclasses.replace(config, anchors=str(tmp_path / "own.txt")), 2)
    assert (resumed.name, mask_of(resumed)) == (result.architecture.name, mask_of(result.architecture))
    np.testing.assert_array_equal(resumed.anchors, result.anchors)


def test_networks_without_anchors_to_choose_have_none_clustered(shapes_set):
    with pytest.raises(ValueError, match="anchors: expected no file of anchors for retinanet, got auto"):
        TrainConfig(data=shapes_set, model="retinanet", anchors="auto")


def test_proposals_are_of_one_class_whatever_the_classes_of_the_data(prepared, shapes_set):
    result = prepared(anchors=None, model="rpn", data=shapes_set)
    assert result.class_names == ["object"]
    ids = np.concatenate([annotation.class_ids for annotation in (*result.train, *result.val)])
    assert ids.size and not ids.any()
    assert any("does not distinguish classes" in note for note in result.notes)


def test_an_architecture_takes_its_options(shapes_set, prepared):
    options = {"anchors": None, "data": shapes_set, "input_size": (128, 128)}
    chosen = (("grid_size", 5), ("activation", "sigmoid"))
    architecture = prepared(model="yolov1-tiny", model_options=chosen, **options).architecture
    assert (architecture.grid_size, architecture.activation, architecture.num_classes) == (5, "sigmoid", 3)
    architecture = prepared(
        model="retinanet", model_options=(("anchor_scale", 2), ("width", 64)), **options
    ).architecture
    assert (architecture.anchor_scale, architecture.width) == (2, 64)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"model": "yolov1-tiny", "model_options": (("grid", 5),)}, "expected one of grid_size, .*-tiny, got grid"),
        ({"model": "retinanet", "model_options": (("depth", "four"),)}, "depth: expected int, got 'four'"),
        ({"model": "retinanet", "model_options": (("depth", True),)}, "depth: expected int, got True"),
        ({"model": "rpn", "loss": LossOptions("giou")}, "box_loss: options of the loss of YOLOv3, which rpn"),
    ],
    ids=["unknown", "a word", "a boolean", "a loss"],
)  # fmt: skip
def test_options_that_an_architecture_does_not_have_are_refused(prepared, shapes_set, settings, message):
    with pytest.raises(ValueError, match=message):
        prepared(anchors=None, data=shapes_set, input_size=(128, 128), **settings)


def test_yolov3_has_no_model_options(prepared, shapes_set):
    with pytest.raises(ValueError, match="model_options: expected none for YOLOv3, got grid_size"):
        prepared(data=shapes_set, model_options=(("grid_size", 5),))


ONE_HEAD_CFG = """[net]
channels=3
[convolutional]
filters=8
size=3
stride=16
pad=1
activation=leaky
[convolutional]
filters=16
size=1
activation=linear
[yolo]
mask=0,1
anchors=10,10, 20,20
num=2
classes=3
"""


def test_sizes_are_multiples_of_the_stride_of_the_network_and_of_nothing_else(tmp_path):
    (tmp_path / "one.cfg").write_text(ONE_HEAD_CFG)
    config = TrainConfig(cfg=str(tmp_path / "one.cfg"), input_size=(208, 208))  # 6.5 x 32
    assert choose_architecture(config, 3).stride == 16
    with pytest.raises(ValueError, match=r"input size: expected multiples of 16, got 208 200 \(height width\)"):
        choose_architecture(TrainConfig(cfg=str(tmp_path / "one.cfg"), input_size=(208, 200)), 3)


def test_upsampled_layers_of_a_cfg_count_for_its_stride(tmp_path):
    # The only head is at stride 16; its features are joined with those of stride 32, sampled up.
    deeper = ONE_HEAD_CFG.replace(
        "[convolutional]\nfilters=16",
        "[convolutional]\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
        "[upsample]\nstride=2\n[route]\nlayers=-1,0\n[convolutional]\nfilters=16",
    )
    (tmp_path / "up.cfg").write_text(deeper)
    assert choose_architecture(TrainConfig(cfg=str(tmp_path / "up.cfg"), input_size=(224, 224)), 3).stride == 32
    with pytest.raises(ValueError, match="expected multiples of 32, got 208 208"):
        choose_architecture(TrainConfig(cfg=str(tmp_path / "up.cfg"), input_size=(208, 208)), 3)


def test_images_are_checked_on_all_cores_or_with_the_threads_that_are_asked_for(prepared, shapes_set, monkeypatch):
    threads = []
    pool = check_images.ThreadPoolExecutor
    monkeypatch.setattr(check_images, "ThreadPoolExecutor", lambda count: threads.append(count) or pool(count))
    for workers in (0, 3):
        prepared(data=shapes_set, workers=workers)
    assert threads == [check_images.available_cores()] * 2 + [3] * 2  # for the lists train and val
