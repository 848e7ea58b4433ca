"""The methods and arguments of Keras 2 by which keras-yolo3's scripts train, on the model of ``create_tiny_model``."""

import keras
import numpy as np
import pytest

from yolo3.compat.train import create_tiny_model
from yolo3.model import preprocess_true_boxes, tiny_yolo_body
from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS

pytestmark = pytest.mark.usefixtures("slim_tiny", "eagerly")


def batches(images=2):
    """As keras-yolo3's own ``data_generator`` yields them: lists."""
    photos = np.random.default_rng(0).random((images, 64, 96, 3)).astype(np.float32)
    boxes = np.zeros((images, 20, 5))
    boxes[:, 0] = [8, 8, 40, 48, 1]
    y_true = preprocess_true_boxes(boxes, (64, 96), DEFAULT_TINY_ANCHORS, 2)
    while True:
        yield [photos, *y_true], np.zeros(images)


@pytest.fixture
def model():
    model = create_tiny_model((64, 96), DEFAULT_TINY_ANCHORS, 2, load_pretrained=False)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss={"yolo_loss": lambda y_true, y_pred: y_pred})
    return model


def test_fit_generator_takes_lists_and_the_options_of_the_queue(model):
    history = model.fit_generator(
        batches(),
        steps_per_epoch=max(1, 3 // 2),
        validation_data=batches(),
        validation_steps=1,
        epochs=3,
        initial_epoch=1,
        verbose=0,
        callbacks=[keras.callbacks.ReduceLROnPlateau(monitor="val_loss", factor=0.1, patience=3)],
        max_queue_size=1,
        workers=4,
        use_multiprocessing=True,
    )
    assert history.epoch == [1, 2] and np.isfinite(history.history["val_loss"]).all()


def test_fit_evaluate_and_predict_take_them_too(model):
    loss = model.evaluate_generator(batches(), steps=1)
    assert loss == model.evaluate(batches(), steps=1, verbose=0, max_queue_size=1) > 1
    assert model.predict_generator(batches(), steps=1, max_queue_size=1) == pytest.approx(loss)
    history = model.fit(batches(), steps_per_epoch=1, validation_data=next(batches()), verbose=0, max_queue_size=1)
    assert history.history["loss"] == [pytest.approx(loss, rel=0.2)]


def test_weights_are_saved_under_the_old_name_and_are_those_of_the_body(model, tmp_path):
    path = str(tmp_path / "trained_weights_stage_1.h5")
    model.save_weights(path)
    body = tiny_yolo_body(keras.Input((None, None, 3)), 3, 2)
    body.load_weights(path)
    for one, other in zip(body.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)

    again = create_tiny_model((64, 96), DEFAULT_TINY_ANCHORS, 2, load_pretrained=False)
    again.load_weights(path)
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])
    found = create_tiny_model((64, 96), DEFAULT_TINY_ANCHORS, 2, freeze_body=1, weights_path=path)
    np.testing.assert_array_equal(found.get_weights()[0], model.get_weights()[0])
