"""The detector, with a network whose outputs are known: each cell of 32 pixels is classified as red or green."""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.autograph.impl import api as autograph

from tests.models.cases import PooledBlocks
from tests.models.yolov3.test_architecture import FINE_FIRST
from yolo3.darknet.cfg import parse_cfg
from yolo3.datasets.images import write_image
from yolo3.inference.detector import Detector
from yolo3.models.registry import architecture_of_cfg
from yolo3.models.rpn import architecture as rpn_module
from yolo3.models.saving import save_model

METADATA = {
    "model": "cfg",
    "class_names": ["red", "green", "any"],
    "anchors": [[32, 32]],
    "anchor_mask": [[0]],
    "input_shape": [64, 64],
    "resize": "stretch",
}


@pytest.fixture
def uncompiled():
    """The network runs operation by operation: it is a layer, whose graph takes longer to build than to run."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def cell_network(always=-20.0):
    """One scale, one anchor: the box is the cell; logits 40 (red - green) - 20, the reverse, ``always``."""
    inputs = keras.Input((None, None, 3))
    outputs = keras.layers.Conv2D(8, 1, name="cells")(keras.layers.AveragePooling2D(32)(inputs))
    model = keras.Model(inputs, outputs, name="cell_network")
    kernel = np.zeros((1, 1, 3, 8), np.float32)
    kernel[0, 0, :2, 5] = 40, -40
    kernel[0, 0, :2, 6] = -40, 40
    model.get_layer("cells").set_weights([kernel, np.array([0, 0, 0, 0, 20, -20, -20, always], np.float32)])
    return model


def sample_image(height=64, width=128, colour=(255, 0, 0)):
    """Black, with the right half in one colour."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, width // 2 :] = colour
    return image


def sorted_boxes(found):
    return sorted(found.boxes.tolist())


def test_boxes_of_a_stretched_image_are_in_its_pixels():
    # 64 x 128 becomes 64 x 64: the two right cells are red; they are 64 wide and 32 high in the image
    found = Detector(cell_network(), METADATA)(sample_image())
    assert sorted_boxes(found) == [[64, 0, 128, 32], [64, 32, 128, 64]]
    assert found.class_ids.tolist() == [0, 0] and found.scores.min() > 0.999
    assert found.boxes.dtype == np.float32 and found.class_ids.dtype == np.int32


@pytest.mark.usefixtures("uncompiled")
def test_boxes_of_a_letterboxed_image_are_clipped_to_it():
    # 64 x 128 becomes 32 x 64 at row 16: each right cell is half red, half grey: red - green = .5, logit 0.
    # Cell (32, 0, 64, 32) is (64, -32, 128, 32) in the image, 32 pixels of it are inside.
    found = Detector(cell_network(), METADATA, resize="letterbox")(sample_image())
    assert sorted_boxes(found) == [[64, 0, 128, 32], [64, 32, 128, 64]]
    np.testing.assert_allclose(found.scores, 0.5, atol=1e-3)


def test_boxes_in_the_grey_bars_are_left_out():
    # a 32 x 32 image in 96 x 32: it fills the middle one of three cells, all of which say "any"
    found = Detector(cell_network(always=20.0), METADATA, resize="letterbox", input_shape=(96, 32))(
        np.zeros((32, 32, 3), np.uint8)
    )
    assert found.boxes.tolist() == [[0, 0, 32, 32]] and found.class_ids.tolist() == [2]


@pytest.mark.usefixtures("uncompiled")
def test_a_list_gives_a_list_in_order_whatever_the_batches(tmp_path):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 255, 0), (255, 0, 0)]
    photos = [sample_image(40 + 10 * i, 90, colour) for i, colour in enumerate(colours)]
    for index in (1, 3):
        write_image(tmp_path / f"{index}.png", photos[index])
    given = [photos[0], tmp_path / "1.png", photos[2], str(tmp_path / "3.png"), photos[4]]
    detector = Detector(cell_network(), METADATA, batch_size=2)
    found = detector(given)
    assert [set(detections.class_ids.tolist()) for detections in found] == [{0}, {1}, set(), {1}, {0}]
    for item, detections in zip(given, found):
        alone = detector(item)
        np.testing.assert_allclose(alone.boxes, detections.boxes, atol=1e-4)
        np.testing.assert_allclose(alone.scores, detections.scores, atol=1e-6)
    assert detector([]) == []
    together = detector(np.stack([sample_image(), sample_image(colour=(0, 255, 0))]))
    assert [detections.class_ids[0] for detections in together] == [0, 1]


@pytest.mark.usefixtures("uncompiled")
def test_the_callers_image_is_not_changed_and_thresholds_apply():
    image = sample_image()
    before = image.copy()
    assert len(Detector(cell_network(), METADATA, max_boxes=1)(image)) == 1
    np.testing.assert_array_equal(image, before)
    assert len(Detector(cell_network(), METADATA, resize="letterbox", score_threshold=0.51)(image)) == 0


def test_changed_weights_apply_from_the_next_call():
    model = cell_network()
    detector = Detector(model, METADATA)
    assert len(detector(sample_image())) == 2
    layer = model.get_layer("cells")
    layer.set_weights([weight * 0 - 20 for weight in layer.get_weights()])
    assert len(detector(sample_image())) == 0


def test_a_detector_from_a_file_is_the_same(tmp_path):
    save_model(cell_network(), tmp_path / "m.keras", METADATA)
    detector = Detector(tmp_path / "m.keras")
    assert detector.class_names == ["red", "green", "any"] and detector.resize == "stretch"
    assert sorted_boxes(detector(sample_image())) == [[64, 0, 128, 32], [64, 32, 128, 64]]


@pytest.mark.usefixtures("uncompiled")
def test_an_unreadable_image_is_named_or_left_out(tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no image")
    detector = Detector(cell_network(), METADATA)
    with pytest.raises(ValueError, match="bad.jpg: expected an image"):
        detector([sample_image(), bad])
    with pytest.raises(FileNotFoundError, match="absent.jpg"):
        detector(tmp_path / "absent.jpg")
    errors = []
    photos = [sample_image(), bad, tmp_path / "absent.jpg", sample_image()]
    found = list(detector.detect_each(photos, lambda item, error: errors.append(item)))
    assert [index for index, _, _ in found] == [0, 3] and errors == photos[1:3]
    for wrong in (sample_image().astype(np.float32), sample_image()[..., 0], np.zeros((0, 5, 3), np.uint8)):
        with pytest.raises(TypeError, match="expected uint8"):
            detector(wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"class_names": ["a", "b"]},
            "its outputs have 8 channels, but 2 classes and 1 anchors per scale need 7",
        ),
        ({"anchors": [[1, 1]] * 6, "anchor_mask": [[3, 4, 5], [0, 1, 2]]}, "has 1 outputs, but 6 anchors"),
        ({"input_shape": (60, 64)}, "multiples of 32, got 60 64"),
        ({"resize": "crop"}, "letterbox, stretch, got 'crop'"),
        ({"score_threshold": 1.5}, "score_threshold: expected a number from 0 to 1"),
        ({"precision": "float16"}, "precision: expected one of auto, float32, bfloat16, got 'float16'"),
        ({"batch_size": 0}, "batch_size: expected a whole number above 0"),
    ],
)
def test_parts_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Detector(cell_network(), METADATA, **options)


def test_a_model_without_metadata_needs_names_and_anchors():
    with pytest.raises(ValueError, match="cell_network: carries no class names"):
        Detector(cell_network())
    with pytest.raises(ValueError, match="cell_network: carries no anchors"):
        Detector(cell_network(), class_names=["red", "green", "any"])
    detector = Detector(cell_network(), class_names="abc", anchors=[[32, 32]], anchor_mask=[[0]], input_shape=(64, 64))
    assert detector.resize == "letterbox" and len(detector(sample_image())) == 2


def test_a_network_of_one_size_takes_no_other():
    inputs = keras.Input((64, 64, 3))
    model = keras.Model(inputs, cell_network()(inputs))
    metadata = {key: METADATA[key] for key in ("class_names", "anchors", "anchor_mask")}
    assert Detector(model, metadata).input_shape == (64, 64)
    with pytest.raises(ValueError, match="64 x 64 only, got 96 x 64"):
        Detector(model, METADATA, input_shape=(96, 64))


def test_a_file_s_normalisation_is_folded_and_a_model_s_own_weights_count(tmp_path):
    architecture = architecture_of_cfg(parse_cfg(FINE_FIRST))
    network = architecture.build_network()
    rng = np.random.default_rng(0)
    for layer in network.layers:
        draw = rng.uniform if isinstance(layer, keras.layers.BatchNormalization) else rng.normal
        layer.set_weights([draw(0.1, 0.3, weight.shape) for weight in layer.get_weights()])
    metadata = {**architecture.metadata(), "class_names": ["a", "b"], "input_shape": [32, 64], "resize": "stretch"}
    save_model(network, tmp_path / "model.h5", metadata)
    every_box = {"score_threshold": 0.0, "iou_threshold": 1.0}
    from_file, of_model = Detector(tmp_path / "model.h5", **every_box), Detector(network, metadata, **every_box)
    image = rng.integers(0, 255, (32, 64, 3), np.uint8)
    found, expected = from_file(image), of_model(image)
    assert len(expected.scores) == 160 and np.ptp(expected.scores) > 0.1
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in from_file.network.folded.layers)
    assert from_file.model.count_params() == network.count_params()
    network.set_weights([0.5 * weight for weight in network.get_weights()])
    assert not np.allclose(of_model(image).scores, expected.scores)


@pytest.mark.parametrize("kind", ["file", "model"])
def test_detections_in_half_precision_are_nearly_the_same(kind, tmp_path):
    network = architecture_of_cfg(parse_cfg(FINE_FIRST)).build_network()
    metadata = {
        **architecture_of_cfg(parse_cfg(FINE_FIRST)).metadata(),
        "class_names": ["a", "b"],
        "input_shape": [32, 64],
    }
    rng = np.random.default_rng(0)
    network.set_weights([rng.uniform(0.1, 0.3, weight.shape) for weight in network.get_weights()])
    save_model(network, tmp_path / "model.h5", metadata)
    source = (tmp_path / "model.h5",) if kind == "file" else (network, metadata)
    every_box = {"score_threshold": 0.0, "iou_threshold": 1.0}
    image = rng.integers(0, 255, (32, 64, 3), np.uint8)
    exact, half = (Detector(*source, **every_box, precision=name)(image) for name in ("float32", "bfloat16"))
    assert half.boxes.dtype == half.scores.dtype == np.float32 and len(half.scores) == len(exact.scores) == 160
    assert 0 < np.abs(np.sort(half.scores) - np.sort(exact.scores)).max() < 0.02


def test_a_network_that_cannot_be_rewritten_detects_as_it_is(tmp_path):
    network = keras.Sequential([keras.Input((None, None, 3)), *cell_network().layers[1:]])
    save_model(network, tmp_path / "m.keras", METADATA)
    detector = Detector(tmp_path / "m.keras")
    assert sorted_boxes(detector(sample_image())) == [[64, 0, 128, 32], [64, 32, 128, 64]]
    with pytest.raises(ValueError, match="m.keras: expected a functional network, got a Sequential"):
        Detector(tmp_path / "m.keras", precision="bfloat16")


def test_boxes_overlap_as_much_as_their_architecture_says():
    assert Detector(cell_network(), METADATA).iou_threshold == 0.45
    assert Detector(cell_network(), METADATA, iou_threshold=0.3).iou_threshold == 0.3


@pytest.mark.usefixtures("uncompiled")
def test_abandoned_detections_wait_for_no_thread(monkeypatch):
    ended = []
    shutdown = ThreadPoolExecutor.shutdown

    def note(pool, wait=True, **options):
        ended.append(wait)
        shutdown(pool, wait, **options)

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", note)
    found = Detector(cell_network(), METADATA, batch_size=1).detect_each([sample_image()] * 9)
    next(found)
    found.close()  # what the garbage collection does, in whatever thread it happens to run
    assert ended == [False]


def test_a_network_that_does_not_tell_classes_apart_needs_no_class_names(monkeypatch):
    monkeypatch.setattr(rpn_module, "Blocks", PooledBlocks)
    rpn = rpn_module.Rpn(scales=(1.0, 2.0), width=8)
    detector = Detector(rpn.build_network(), rpn.metadata(), input_shape=(64, 64))
    assert detector.class_names == ["object"]


@pytest.mark.usefixtures("uncompiled")
def test_results_know_their_names_and_the_image_that_they_are_of(tmp_path):
    write_image(tmp_path / "a.png", sample_image())
    detector = Detector(cell_network(), METADATA)
    of_file, of_array = detector([tmp_path / "a.png", sample_image()])
    assert of_file.names == of_array.names == ["red", "red"] and of_file.image == tmp_path / "a.png"
    np.testing.assert_array_equal(of_file.draw(), of_array.draw())
    assert {one.name for one in detector(sample_image())} == {"red"}


def test_the_graph_is_traced_as_it_is_written(monkeypatch):
    # To rewrite the source of each function, as autograph does, took most of the time to the first boxes.
    def fail(*_, **__):
        raise AssertionError("expected no function to be converted")

    monkeypatch.setattr(autograph, "converted_call", fail)
    detector = Detector(cell_network(), METADATA)
    assert len(detector(sample_image())) == 2
    assert len(detector.candidates(sample_image()).select()) == 2
