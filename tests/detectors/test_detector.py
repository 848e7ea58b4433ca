"""Detectors as Keras models: raw outputs, loss, fit, detections, files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.detectors.cases import BOXES, LABELS, NAMES, SIZE, batch, detector
from tests.models.cases import PooledBlocks
from yolo3.detectors.architectures import RetinaNetDetector, YoloV3Detector
from yolo3.detectors.detector import KerasDetector
from yolo3.inference.detector import Detector
from yolo3.models.loading import load_network
from yolo3.models.loss import batch_terms, loss_row
from yolo3.models.registry import named_architecture
from yolo3.models.yolov3.loss_options import LossOptions

pytestmark = pytest.mark.usefixtures("slim_tiny")
TERMS = ("box", "objectness", "no_object", "class")


@pytest.fixture(scope="module")
def built(slim_tiny):
    return detector()


def compiled(optimizer="sgd", **arguments):
    """Return a detector whose steps run operation by operation, which starts sooner than a graph is built."""
    model = detector(**arguments)
    model.compile(optimizer=optimizer, run_eagerly=True)
    return model


def as_floats(metrics):
    return {name: float(value) for name, value in metrics.items()}


# Calls and loss


def test_a_call_gives_the_raw_outputs_of_the_network(built):
    images, _ = batch()
    plain = keras.Model(built.inputs[0], built.outputs)
    coarse, fine = built(images)
    assert coarse.shape == (2, 2, 3, 3 * 8) and fine.shape == (2, 4, 6, 3 * 8)
    np.testing.assert_allclose(coarse, plain(images)[0], rtol=1e-5)


def test_integer_images_are_those_of_0_to_255(built):
    pixels = np.random.default_rng(1).integers(0, 256, (1, *SIZE, 3)).astype(np.uint8)
    np.testing.assert_allclose(built(pixels)[0], built(np.float32(pixels) / 255)[0], rtol=1e-4, atol=1e-6)


def test_the_loss_is_that_of_the_command_on_targets_built_in_the_graph():
    model, (images, y) = compiled(), batch()
    boxes = np.concatenate([(BOXES[..., :2] + BOXES[..., 2:]) / 2, BOXES[..., 2:] - BOXES[..., :2]], -1)
    rows = np.concatenate([boxes / [96, 64, 96, 64], np.maximum(LABELS, 0)[..., None]], -1).astype(np.float32)
    expected = loss_row(batch_terms(model.architecture, model(images), rows, SIZE), TERMS)
    metrics = model.test_on_batch(images, y, return_dict=True)
    assert as_floats(metrics) == pytest.approx(as_floats(expected), rel=1e-4)


def test_weights_of_samples_are_refused():
    images, y = batch()
    with pytest.raises(ValueError, match="sample_weight: expected none"):
        compiled().test_on_batch(images, y, sample_weight=np.ones(2))


def test_images_of_an_unknown_size_are_refused(built):
    with pytest.raises(ValueError, match="images: expected a known height and width"):
        built.compute_loss(keras.Input((None, None, 3)), batch()[1], None)


def test_sides_that_the_network_does_not_take_are_refused(built):
    images = np.zeros((1, 60, 96, 3), np.float32)
    with pytest.raises(ValueError, match="input size: expected multiples of 32, got 60 96"):
        built.compute_loss(images, {"boxes": BOXES[:1], "labels": LABELS[:1]}, None)


# Fit


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return batch()


def data_of(kind):
    images, y = batch(4)
    if kind == "arrays":
        return {"x": images, "y": y, "batch_size": 2}
    if kind == "tf.data":
        return {"x": tf.data.Dataset.from_tensor_slices((images, y)).batch(2), "shuffle": False}
    if kind == "ragged":
        boxes, labels = (tf.RaggedTensor.from_tensor(part) for part in (y["boxes"], y["labels"]))
        return {
            "x": tf.data.Dataset.from_tensor_slices((images, {"boxes": boxes, "labels": labels})).batch(2),
            "shuffle": False,
        }
    if kind == "PyDataset":
        return {"x": Batches()}
    return {"x": (batch() for _ in range(2)), "steps_per_epoch": 2, "shuffle": False}


@pytest.mark.parametrize(
    "kind",
    [
        "tf.data",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("arrays", "ragged", "PyDataset", "generator")),
    ],
)
def test_fit_takes_the_data_that_keras_takes_and_logs_each_term(kind):
    model = compiled()
    history = model.fit(**data_of(kind), verbose=0).history
    assert history.keys() == {"loss", *TERMS}
    assert history["loss"][0] == pytest.approx(sum(history[term][0] for term in TERMS), rel=1e-4)
    assert int(model.optimizer.iterations) == 2


@pytest.mark.slow
def test_fit_learns_the_images_that_it_is_given():
    model, (images, y) = detector(), batch(2)
    model.compile(keras.optimizers.Adam(3e-3))
    first = model.evaluate(images, y, verbose=0, return_dict=True)
    model.fit(images, y, epochs=60, verbose=0)
    after = model.evaluate(images, y, verbose=0, return_dict=True)
    assert after["loss"] < first["loss"] / 2 and after.keys() == {"loss", *TERMS}


def test_fit_refuses_labels_that_count_from_one():
    images, y = batch()
    with pytest.raises(ValueError, match="labels: expected 0 to 2, .*got 3 in image 0"):
        compiled().fit(images, {**y, "labels": np.where(LABELS < 0, -1, LABELS + 1)}, verbose=0)


def test_train_on_batch_returns_the_terms():
    images, y = batch()
    assert compiled().train_on_batch(images, y, return_dict=True).keys() == {"loss", *TERMS}


def test_a_frozen_backbone_keeps_its_weights_and_statistics():
    model, (images, y) = detector(), batch()
    model.backbone.trainable = False
    model.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
    before = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    model.train_on_batch(images, y)

    frozen = {layer.name for layer in model.backbone.layers if layer.weights}
    assert frozen == {f"{kind}_{index}" for kind in ("conv", "bn") for index in range(7)}
    for name, weights in before.items():
        same = all(np.array_equal(a, b) for a, b in zip(weights, model.get_layer(name).get_weights()))
        assert same == (name in frozen), name


def test_the_backbone_gives_the_features_that_the_heads_read(built):
    # Strides 32 and 16 of 64 x 96 pixels.
    shapes = sorted(tuple(output.shape[1:3]) for output in built.backbone(np.zeros((1, *SIZE, 3), np.float32)))
    assert shapes == [(2, 3), (4, 6)]


def test_half_precision_keeps_a_loss_of_float32():
    model, (images, y) = compiled(dtype="mixed_bfloat16"), batch()
    assert model(images)[0].dtype == tf.bfloat16 and model.get_layer("conv_0").kernel.dtype == "float32"
    loss = model.compute_loss(images, y, model(images))
    assert loss.dtype == tf.float32 and np.isfinite(float(loss))
    assert keras.config.dtype_policy().name == "float32"


def test_float16_scales_its_loss():
    model = compiled("auto", dtype="mixed_float16")
    images, y = batch()
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    model.fit(images, y, verbose=0)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)


# Detections


@pytest.fixture(scope="module")
def confident(slim_tiny):
    """Detector that finds something: its objectness and its classes are raised."""
    model = detector(score_threshold=0.2)
    for layer in (model.get_layer("conv_9"), model.get_layer("conv_12")):
        bias = np.random.default_rng(2).normal(0, 1, layer.bias.shape)
        layer.set_weights([layer.get_weights()[0] * 30, bias])
    return model


@pytest.mark.slow
def test_detections_are_those_of_the_detector_of_the_same_network(confident):
    pixels = np.random.default_rng(3).integers(0, 256, (2, *SIZE, 3)).astype(np.uint8)
    found = confident.predict(pixels, verbose=0)
    network = Detector(
        keras.Model(confident.inputs[0], confident.outputs),
        {**confident.metadata, "input_shape": SIZE},
        score_threshold=0.2,
    )
    assert found.keys() == {"boxes", "confidence", "labels", "num_detections"} and found["num_detections"].min() > 2
    for index, image in enumerate(pixels):
        count, other = found["num_detections"][index], network(image)
        assert count == len(other)
        np.testing.assert_allclose(found["boxes"][index, :count], other.boxes, atol=1e-3)
        np.testing.assert_allclose(found["confidence"][index, :count], other.scores, atol=1e-5)
        assert found["labels"][index, :count].tolist() == other.class_ids.tolist()
        assert (found["labels"][index, count:] == -1).all() and not found["boxes"][index, count:].any()


@pytest.mark.slow
def test_boxes_are_predicted_in_the_format_that_fit_takes(confident):
    images, _ = batch()
    corners = confident.predict(images, verbose=0)["boxes"]
    relative = detector(bounding_box_format="rel_xywh", score_threshold=0.2)
    relative.set_weights(confident.get_weights())
    found = relative.predict_on_batch(images)["boxes"]
    expected = np.concatenate([corners[..., :2], corners[..., 2:] - corners[..., :2]], -1) / [96, 64, 96, 64]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_threshold_can_be_given_for_one_call(confident):
    images, _ = batch()
    few = confident.predict(images, verbose=0, score_threshold=0.5)
    many = confident.predict(images, verbose=0, score_threshold=0.01)
    shown = few["confidence"][few["labels"] >= 0]
    assert 0 < len(shown) < (many["labels"] >= 0).sum() and (shown > 0.5).all()


# Files


@pytest.mark.slow
def test_a_saved_detector_opens_with_plain_keras_and_trains_on(confident, tmp_path):
    model, (images, y) = compiled("auto", loss=LossOptions(box_loss="ciou")), batch()
    model.fit(images, y, verbose=0)
    model.save(tmp_path / "d.keras")

    again = keras.models.load_model(tmp_path / "d.keras")
    assert type(again) is YoloV3Detector and again.architecture.loss.box_loss == "ciou" and again.class_names == NAMES
    np.testing.assert_allclose(again(images)[0], model(images)[0], atol=1e-5)
    assert int(again.optimizer.iterations) == 1 and again.run_eagerly
    history = again.fit(images, y, initial_epoch=1, epochs=2, verbose=0).history
    assert history.keys() == {"loss", "box", "objectness", "no_object", "class"}
    assert int(again.optimizer.iterations) == 2  # goes on with the optimizer of the file


def test_a_saved_detector_is_read_by_the_commands(confident, tmp_path):
    images, _ = batch()
    confident.save(tmp_path / "d.keras")
    network, metadata = load_network(tmp_path / "d.keras")
    assert metadata["class_names"] == list(NAMES) and type(network) is not YoloV3Detector
    np.testing.assert_allclose(network(images)[1], confident(images)[1], atol=1e-5)
    assert Detector(tmp_path / "d.keras").class_names == list(NAMES)


@pytest.mark.parametrize("name", ["n.keras", "n.h5"])
def test_the_network_alone_is_a_file_of_stock_layers(confident, tmp_path, name):
    images, _ = batch()
    confident.save_network(tmp_path / name)
    plain = keras.models.load_model(tmp_path / name)
    assert type(plain) is keras.Model or type(plain).__module__.startswith("keras.")
    np.testing.assert_allclose(plain(images)[0], confident(images)[0], atol=1e-5)
    assert load_network(tmp_path / name)[1]["class_names"] == list(NAMES)


def test_h5_holds_the_network_alone(confident, tmp_path):
    confident.save(tmp_path / "d.h5")
    assert not isinstance(keras.models.load_model(tmp_path / "d.h5", compile=False), KerasDetector)


@pytest.mark.slow
def test_an_exported_detector_gives_the_raw_outputs(confident, tmp_path):
    images, _ = batch()
    confident.export(tmp_path / "exported", format="tf_saved_model", verbose=False)
    exported = tf.saved_model.load(tmp_path / "exported")
    for one, other in zip(exported.serve(images), confident(images), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_its_config_builds_it_again(built):
    model = detector(bounding_box_format="center_xywh", input_size=(96, 64), max_boxes=7, name="mine")
    again = type(model).from_config(model.get_config())
    assert again.get_config() == model.get_config()
    assert again.inputs[0].shape == (None, 96, 64, 3) and again.name == "mine"


def test_weights_of_a_file_are_loaded_by_name(confident, tmp_path):
    confident.save_network(tmp_path / "n.h5")
    other = YoloV3Detector.from_preset("yolov3-tiny", num_classes=5, weights=tmp_path / "n.h5")
    assert np.array_equal(other.get_layer("conv_3").kernel, confident.get_layer("conv_3").kernel)
    assert other.get_layer("conv_9").bias.shape == (3 * 10,)


# Bad input


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"preset": "yolov9", "num_classes": 2}, "^preset: expected one of yolov3, .*got 'yolov9'"),
        ({"preset": "yolov3-tiny"}, "num_classes: expected the number of classes, or class_names"),
        ({"preset": "yolov3-tiny", "num_classes": 2, "class_names": ["a"]}, "class_names: expected 2 names, got 1"),
        ({"preset": "retinanet", "num_classes": 2}, "YoloV3Detector: expected a network of YoloV3, got 'retinanet'"),
        ({"preset": "yolov3-tiny", "num_classes": 2, "input_size": (60, 64)}, "multiples of 32, got 60 64"),
    ],
)
def test_a_detector_that_cannot_be_made_says_why_in_one_line(arguments, words):
    with pytest.raises(ValueError, match=words):
        YoloV3Detector.from_preset(**arguments)


def test_a_missing_file_of_weights_is_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        YoloV3Detector.from_preset("yolov3-tiny", num_classes=2, weights=tmp_path / "none.h5")


# Other architectures


@pytest.mark.slow
def test_every_architecture_has_the_same_interface():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("yolo3.models.retinanet.Blocks", PooledBlocks)
        model = RetinaNetDetector.from_preset("retinanet", class_names=NAMES, options={"depth": 1, "width": 8})
    model.compile("sgd", run_eagerly=True)
    images, y = batch()
    assert model.fit(images, y, verbose=0).history.keys() == {"loss", "class", "box"}
    assert model.predict(images, verbose=0)["boxes"].shape == (2, 300, 4)
    assert KerasDetector(named_architecture("yolov3-tiny", 2)).class_names == ("0", "1")
