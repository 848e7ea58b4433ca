"""The command that converts, both ways."""

import json

import h5py
import keras
import numpy as np
import pytest

from tests.darknet.test_network import DATA, NANO, YOLO, needs_data, random_image, random_weights, run, text_of
from tests.darknet_reference import forward, letterbox, raw_outputs, resize
from yolo3.cli.convert_darknet import main
from yolo3.convert.conversion import metadata_of, resize_of
from yolo3.darknet.cfg import parse_cfg, read_cfg
from yolo3.darknet.layers import yolo_heads
from yolo3.darknet.network import build_network, load_weights
from yolo3.darknet.weights import Header, open_weights
from yolo3.datasets.images import read_image
from yolo3.inference.detector import Detector
from yolo3.models.loading import load_network
from yolo3.models.metadata import read_metadata
from yolo3.models.saving import save_model
from yolo3.models.yolov3.networks import spp_yolo_body, tiny_yolo_body, yolo_body
from yolo3.models.yolov3.postprocess import select_boxes
from yolo3.ops.boxes import cxcywh_to_xyxy, pairwise_iou
from yolo3.ops.letterbox import resize_geometry


@pytest.fixture
def files(tmp_path):
    """A cfg with Windows line ends and a remark, its weights with an odd header, and names."""
    cfg_path, weights_path, names_path = (
        tmp_path / "net.cfg",
        tmp_path / "net.weights",
        tmp_path / "net.names",
    )
    cfg_path.write_bytes(("# mine\n" + text_of(YOLO)).replace("\n", "\r\n").encode())
    random_weights(weights_path, read_cfg(cfg_path), Header(0, 1, 3, 12345, 4))
    names_path.write_text("cat\ndog\n")
    return cfg_path, weights_path, names_path


def convert(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.mark.parametrize("name", ["model.h5", "model.keras", "model.weights.h5"])
def test_a_network_goes_to_keras_and_back_to_the_same_bytes(tmp_path, files, capsys, name):
    cfg_path, weights_path, names_path = files
    assert convert(cfg_path, weights_path, tmp_path / name, "--classes", names_path) == 0
    out = capsys.readouterr().out
    assert "Darknet 0.1.3, trained on 12,345 images" in out and "6 layers with weights, conv_0 to conv_5" in out
    assert f"wrote {tmp_path / name}" in out
    assert convert("--to-darknet", tmp_path / name, tmp_path / "back.cfg", tmp_path / "back.weights") == 0
    assert (tmp_path / "back.cfg").read_bytes() == cfg_path.read_bytes()
    assert (tmp_path / "back.weights").read_bytes() == weights_path.read_bytes()


def test_the_file_says_what_the_cfg_said(tmp_path, files):
    cfg_path, weights_path, names_path = files
    assert convert(cfg_path, weights_path, tmp_path / "m.h5", "--classes", names_path) == 0
    metadata = read_metadata(tmp_path / "m.h5")
    assert metadata["class_names"] == ["cat", "dog"]
    assert metadata["anchors"] == [[10, 13], [16, 30], [33, 23], [30, 61]]
    assert metadata["anchor_mask"] == [[2, 3], [0, 1]]
    assert metadata["scale_x_y"] == [1.05, 1.0] and metadata["input_shape"] == [16, 16]
    assert metadata["darknet"]["header"] == {
        "major": 0,
        "minor": 1,
        "revision": 3,
        "seen": 12345,
        "seen_bytes": 4,
    }


def test_keras_alone_opens_the_file_and_computes_the_same(tmp_path, files):
    cfg_path, weights_path, _ = files
    assert convert(cfg_path, weights_path, tmp_path / "m.keras") == 0
    model = keras.models.load_model(tmp_path / "m.keras")
    image = random_image((3, 16, 16))
    text = text_of(YOLO)
    floats = np.fromfile(weights_path, "<f4", offset=16)
    for result, expected in zip(run(model, image), raw_outputs(text, forward(text, floats, image)), strict=True):
        np.testing.assert_allclose(result, expected.transpose(1, 2, 0), atol=1e-4)


def test_weights_alone_are_written_as_keras_2_did(tmp_path, files):
    cfg_path, weights_path, _ = files
    assert convert("-w", cfg_path, weights_path, tmp_path / "w.h5") == 0
    cfg = read_cfg(cfg_path)
    expected, model = build_network(cfg), build_network(cfg)
    load_weights(expected, cfg, weights_path)
    model.load_weights(tmp_path / "w.h5", by_name=True)
    for one, other in zip(expected.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with h5py.File(tmp_path / "w.h5") as file:
        assert "model_config" not in file.attrs
    assert convert("--to-darknet", tmp_path / "w.h5", tmp_path / "b.cfg", tmp_path / "b.weights") == 0
    assert (tmp_path / "b.weights").read_bytes() == weights_path.read_bytes()


def test_results_are_given_as_json_too(tmp_path, files, capsys):
    cfg_path, weights_path, _ = files
    assert convert(cfg_path, weights_path, tmp_path / "m.h5", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["picture"] is None  # the key of earlier versions
    assert report["filled"] == [f"conv_{i}" for i in range(6)] and report["random"] == []
    assert report["seen"] == 12345 and report["outputs"] == [[None, None, 14]] * 2


def test_a_partial_file_says_what_is_random_and_goes_back(tmp_path, files, capsys):
    cfg_path, weights_path, _ = files
    assert convert(cfg_path, weights_path, tmp_path / "m.h5") == 0
    assert convert("--to-darknet", "--upto", 3, tmp_path / "m.h5", tmp_path / "b.cfg", tmp_path / "net.conv.3") == 0
    size = (tmp_path / "net.conv.3").stat().st_size
    assert (tmp_path / "net.conv.3").read_bytes() == weights_path.read_bytes()[:size]
    capsys.readouterr()
    assert convert(cfg_path, tmp_path / "net.conv.3", tmp_path / "p.h5") == 0
    out = capsys.readouterr().out
    assert "filled: 3 layers with weights, conv_0 to conv_2" in out
    assert "random: 3 layers with weights, conv_3 to conv_5" in out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content[:-4], "cut short"),
        (lambda content: content + b"\0" * 4, "too many"),
        (lambda content: b"<!DOCTYPE html>" + content, "web page"),
        (lambda content: b"", "0 bytes"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path, files, capsys, change, words):
    cfg_path, weights_path, _ = files
    expected = weights_path.stat().st_size
    weights_path.write_bytes(change(weights_path.read_bytes()))
    before = sorted(tmp_path.iterdir())
    assert convert(cfg_path, weights_path, tmp_path / "m.h5") == 1
    err = capsys.readouterr().err
    assert words in err and f"got {weights_path.stat().st_size:,}" in err and len(err.splitlines()) == 1
    assert f"{expected:,}" in err or "page" in words or "0 bytes" in words
    assert sorted(tmp_path.iterdir()) == before


def test_other_classes_are_named(tmp_path, files, capsys):
    cfg_path, weights_path, _ = files
    other = tmp_path / "other.cfg"
    other.write_text(text_of(YOLO.replace("classes=2", "classes=4").replace("filters=14", "filters=18")))
    assert convert(other, weights_path, tmp_path / "m.h5") == 1
    assert "with 2 classes, where the cfg says 4" in capsys.readouterr().err
    assert not (tmp_path / "m.h5").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.cfg", "net.weights", "m.h5"], "none.cfg: No such file"),
        (["net.cfg", "none.weights", "m.h5"], "none.weights: No such file"),
        (["net.cfg", "net.weights", "m.hdf"], "expected a name that ends in"),
        (["-w", "net.cfg", "net.weights", "m.keras"], "holds a whole model"),
        (["net.weights", "net.weights", "m.h5"], "net.weights"),
        (["--to-darknet", "net.weights", "b.cfg", "b.weights"], "expected a Keras file"),
        (["--classes", "three.names", "net.cfg", "net.weights", "m.h5"], "expected 2"),
    ],
)
def test_mistakes_end_in_one_line(tmp_path, files, capsys, monkeypatch, arguments, words):
    (tmp_path / "three.names").write_text("a\nb\nc\n")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert words in err and len(err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "arguments", [["a", "b"], ["--to-darknet", "-w", "a", "b", "c"], ["--upto", "3", "a", "b", "c"]]
)
def test_wrong_options_end_with_2(arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_a_image_is_asked_for_only_where_it_can_be_drawn(tmp_path, files, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no Graphviz there
    cfg_path, weights_path, _ = files
    assert convert("-p", cfg_path, weights_path, tmp_path / "m.h5") == 1
    err = capsys.readouterr().err
    assert "pydot" in err or "Graphviz" in err
    assert not (tmp_path / "m.h5").exists()


def test_the_forks_resize_differently():
    assert resize_of(parse_cfg(text_of(YOLO))) == "stretch"  # scale_x_y
    assert resize_of(parse_cfg(text_of(YOLO.replace("scale_x_y=1.05", "")))) == "letterbox"
    assert resize_of(parse_cfg(text_of(YOLO).replace("[net]", "[net]\nletter_box=1"))) == "letterbox"


def test_heads_with_anchors_of_their_own_share_one_list():
    text = text_of(
        YOLO.replace(
            "anchors=10,13, 16,30, 33,23, 30,61\nnum=4\nclasses=2\nscale",
            "anchors=1,2, 3,4, 5,6, 7,8\nnum=4\nclasses=2\nscale",
        )
    )
    metadata = metadata_of(parse_cfg(text), Header())
    assert metadata["anchors"] == [[1, 2], [3, 4], [5, 6], [7, 8], [10, 13], [16, 30], [33, 23], [30, 61]]
    assert metadata["anchor_mask"] == [[2, 3], [4, 5]]


def test_classes_and_anchors_changed_by_training_go_into_the_cfg(tmp_path, files):
    cfg_path, weights_path, names_path = files
    assert convert(cfg_path, weights_path, tmp_path / "m.h5", "--classes", names_path) == 0
    metadata = read_metadata(tmp_path / "m.h5")
    other = parse_cfg(text_of(YOLO.replace("classes=2", "classes=1").replace("filters=14", "filters=12")))
    metadata |= {"class_names": ["cell"], "anchors": [[1, 2], [3, 4], [5, 6], [7, 8.5]]}
    save_model(build_network(other), tmp_path / "trained.h5", metadata)
    assert convert("--to-darknet", tmp_path / "trained.h5", tmp_path / "t.cfg", tmp_path / "t.weights") == 0
    written = read_cfg(tmp_path / "t.cfg")
    assert [head.classes for head in yolo_heads(written)] == [1, 1]
    np.testing.assert_array_equal(yolo_heads(written)[0].anchors, [[1, 2], [3, 4], [5, 6], [7, 8.5]])
    assert open_weights(tmp_path / "t.weights", written).complete


# Models that never were Darknet's


TINY_ANCHORS = [[10, 14], [23, 27], [37, 58], [81, 82], [135, 169], [344, 319]]


def metadata_for(num_anchors=6, **more):
    anchors = (TINY_ANCHORS * 2)[:num_anchors]
    return {"class_names": ["a", "b"], "anchors": anchors, "input_shape": [96, 64], **more}


def check_way_to_darknet(tmp_path, model, metadata):
    """Convert, build from the cfg that was written, compare; return that cfg."""
    save_model(model, tmp_path / "own.h5", metadata)
    assert convert("--to-darknet", tmp_path / "own.h5", tmp_path / "own.cfg", tmp_path / "own.weights") == 0
    cfg = read_cfg(tmp_path / "own.cfg")
    again = build_network(cfg)
    assert load_weights(again, cfg, tmp_path / "own.weights").file.complete
    image = random_image((3, 64, 64))
    for one, other in zip(run(model, image), run(again, image), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    return cfg


def shake(model):
    """Random statistics, so that a layer left out would show."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    return model


def test_a_tiny_network_trained_here_goes_to_darknet(tmp_path):
    model = shake(tiny_yolo_body(keras.Input((None, None, 3)), 3, 2))
    cfg = check_way_to_darknet(tmp_path, model, metadata_for(scale_x_y=[1.1, 1.0], anchor_mask=[[3, 4, 5], [1, 2, 3]]))
    first, second = yolo_heads(cfg)
    assert (first.mask, second.mask) == ((3, 4, 5), (1, 2, 3)) and (first.scale_x_y, second.scale_x_y) == (
        1.1,
        1.0,
    )
    assert cfg.input_shape == (96, 64, 3)
    np.testing.assert_array_equal(first.anchors, TINY_ANCHORS)


@needs_data
@pytest.mark.slow
def test_a_tiny_network_has_the_layers_of_darknets_own_cfg(tmp_path):
    model = tiny_yolo_body(keras.Input((None, None, 3)), 3, 80)
    names = [f"class {number}" for number in range(80)]
    cfg = check_way_to_darknet(tmp_path, model, metadata_for(class_names=names, input_shape=[416, 416]))
    check_same_layers(cfg, read_cfg(DATA / "darknet" / "cfg" / "yolov3-tiny.cfg"))


def check_same_layers(cfg, expected):
    assert [section.name for section in cfg.layers] == [section.name for section in expected.layers]
    for ours, theirs in zip(cfg.layers, expected.layers, strict=True):
        same = ("batch_normalize", "filters", "size", "stride", "pad", "activation", "mask", "classes")
        assert [ours.text(key, "") for key in same] == [theirs.text(key, "") for key in same], theirs.where()


@needs_data
@pytest.mark.slow
@pytest.mark.parametrize(("name", "body"), [("yolov3", yolo_body), ("yolov3-spp", spp_yolo_body)])
def test_large_networks_trained_here_have_the_layers_of_darknets_own_cfgs(tmp_path, name, body):
    model = body(keras.Input((None, None, 3)), 3, 80)
    names = [f"class {number}" for number in range(80)]
    cfg = check_way_to_darknet(tmp_path, model, metadata_for(9, class_names=names, input_shape=[416, 416]))
    check_same_layers(cfg, read_cfg(DATA / "darknet" / "cfg" / f"{name}.cfg"))


def test_layers_of_keras_yolo3_are_taken_as_they_compute(tmp_path):
    """Padding on two sides, another epsilon, a bias before the normalisation, a depthwise convolution, names
    of Keras' own.
    """
    image = keras.Input((None, None, 3))
    x = keras.layers.ZeroPadding2D(((1, 0), (1, 0)))(image)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="valid", bias_initializer="ones")(x)
    x = keras.layers.BatchNormalization()(x)
    first = keras.layers.LeakyReLU(negative_slope=0.1)(x)
    x = keras.layers.DepthwiseConv2D(3, padding="same", activation="relu")(first)
    second = keras.layers.Add()([first, x])
    x = keras.layers.Concatenate()([first, second])
    model = shake(keras.Model(image, [keras.layers.Conv2D(14, 1)(x)]))
    cfg = check_way_to_darknet(tmp_path, model, metadata_for(2, anchor_mask=[[0, 1]]))
    assert [section.name for section in cfg.layers] == ["convolutional"] * 2 + [
        "shortcut",
        "route",
        "convolutional",
        "yolo",
    ]


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (
            lambda: keras.layers.AveragePooling2D(2, name="mean"),
            "'mean': Darknet has no section for a AveragePooling2D",
        ),
        (
            lambda: keras.layers.Conv2D(14, 3, 2, "same", name="odd"),
            "'odd': Darknet pads all four sides alike",
        ),
        (
            lambda: keras.layers.LeakyReLU(negative_slope=0.3, name="steep"),
            "'steep': expected Darknet's slope",
        ),
    ],
)
def test_what_darknet_cannot_compute_is_refused_by_name(tmp_path, capsys, layer, words):
    image = keras.Input((None, None, 3))
    model = keras.Model(image, [layer()(keras.layers.Conv2D(14, 1)(image))])
    save_model(model, tmp_path / "own.h5", metadata_for(2, anchor_mask=[[0, 1]]))
    assert convert("--to-darknet", tmp_path / "own.h5", tmp_path / "own.cfg", tmp_path / "own.weights") == 1
    assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["own.h5"]


def test_a_model_that_says_nothing_needs_anchors_and_classes(tmp_path, capsys):
    image = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 1)(image)  # Darknet reads the image once
    outputs = [keras.layers.Conv2D(21, 1)(keras.layers.MaxPooling2D(size)(x)) for size in (32, 16)]
    keras.Model(image, outputs).save(tmp_path / "own.keras")
    command = ["--to-darknet", tmp_path / "own.keras", tmp_path / "own.cfg", tmp_path / "own.weights"]
    assert convert(*command) == 1
    assert "give --anchors and --classes" in capsys.readouterr().err
    (tmp_path / "anchors.txt").write_text("10,14, 23,27, 37,58, 81,82, 135,169, 344,319\n")
    (tmp_path / "names.txt").write_text("a\nb\n")
    assert convert(*command, "--anchors", tmp_path / "anchors.txt", "--classes", tmp_path / "names.txt") == 0
    assert yolo_heads(read_cfg(tmp_path / "own.cfg"))[1].mask == (0, 1, 2)


@needs_data
def test_the_trained_network_converts_and_goes_back_to_the_same_bytes(tmp_path, capsys):
    weights = NANO.with_suffix(".weights")
    assert convert(NANO, weights, tmp_path / "nano.h5") == 0
    out = capsys.readouterr().out
    assert "class names: the 80 of" in out and "coco_classes.txt" in out
    assert read_metadata(tmp_path / "nano.h5")["resize"] == "stretch"
    assert convert("--to-darknet", tmp_path / "nano.h5", tmp_path / "b.cfg", tmp_path / "b.weights") == 0
    assert (tmp_path / "b.cfg").read_bytes() == NANO.read_bytes()
    assert (tmp_path / "b.weights").read_bytes() == weights.read_bytes()


@needs_data
@pytest.mark.slow
def test_tiny_masks_that_the_published_weights_were_not_trained_with_are_noted(tmp_path, capsys):
    cfg_path = DATA / "darknet" / "cfg" / "yolov3-tiny.cfg"
    random_weights(tmp_path / "tiny.weights", read_cfg(cfg_path))
    assert convert(cfg_path, tmp_path / "tiny.weights", tmp_path / "tiny.h5") == 0
    assert "mask=1,2,3" in capsys.readouterr().out


@pytest.mark.slow
@needs_data
def test_detections_are_those_of_darknet(tmp_path):
    """Images resized as Darknet does: scores within .03, boxes with an IoU of .95 (decoders of JPEG
    differ).
    """
    assert convert(NANO, NANO.with_suffix(".weights"), tmp_path / "nano.h5") == 0
    model, metadata = load_network(tmp_path / "nano.h5")
    for case in json.loads((DATA / "golden" / "nano_coco_detections.json").read_text()):
        photo = read_image(DATA / "images" / case["image"])
        boxes, scores, class_ids = detect_as_darknet(model, metadata, photo, case["letterbox"])
        height, width = photo.shape[:2]
        for each in (each for each in case["detections"] if each["score"] > 0.15):
            box = cxcywh_to_xyxy(np.array([each["xywh"]]) * [width, height, width, height])
            overlaps = pairwise_iou(box, boxes)[0] * (class_ids == each["class"])
            best = int(overlaps.argmax())
            assert overlaps[best] >= 0.95, (case["image"], case["letterbox"], each)
            assert abs(scores[best] - each["score"]) <= 0.03, (case["image"], case["letterbox"], each)


def detect_as_darknet(model, metadata, photo, letterboxed):
    """Boxes xyxy in pixels of the image, scores and class ids, above a score of .1."""
    shape, mode = tuple(metadata["input_shape"]), "letterbox" if letterboxed else "stretch"
    image = (letterbox if letterboxed else resize)(photo.astype(np.float32) / 255, *shape)
    boxes, scores, class_ids, counts = (
        keras.ops.convert_to_numpy(values)[0]
        for values in select_boxes(
            model(image[None]), metadata["anchors"], len(metadata["class_names"]), shape,
            metadata["anchor_mask"], metadata["scale_x_y"], 0.1, 0.45, 300,
        )
    )  # fmt: skip
    height, width, top, left = resize_geometry(photo.shape[:2], shape, mode)
    factors = np.array([photo.shape[1] / width, photo.shape[0] / height] * 2)
    return (boxes[:counts] - [left, top] * 2) * factors, scores[:counts], class_ids[:counts]


@needs_data
@pytest.mark.slow
def test_the_detector_finds_what_darknet_finds(tmp_path):
    assert convert(NANO, NANO.with_suffix(".weights"), tmp_path / "nano.h5") == 0
    detector = Detector(tmp_path / "nano.h5")
    found = detector(DATA / "images" / "dog.jpg")
    assert {detector.class_names[index] for index in found.class_ids} == {"dog", "bicycle", "car"}
