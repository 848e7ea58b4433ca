"""What a detector is trained with that was compiled without an optimizer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.detectors.cases import SIZE, batch, detector
from yolo3.detectors.ground_truth import to_rows
from yolo3.detectors.recipe import default_optimizer
from yolo3.training.settings import TrainConfig
from yolo3.training.step import Trainer

pytestmark = pytest.mark.usefixtures("slim_tiny")


def rate_at(optimizer, step):
    return float(optimizer._learning_rate(step))


def test_the_rate_rises_for_a_twentieth_of_the_run_and_falls_along_a_cosine():
    optimizer = default_optimizer(total_steps=400)
    # A warm-up of 400 / 20 = 20 steps to 1e-3; half way through the other 380: .02 + .98 / 2 = .51 of it; the end .02.
    assert rate_at(optimizer, 20) == pytest.approx(1e-3)
    assert rate_at(optimizer, 10) == pytest.approx(0.5e-3, rel=0.1)
    assert rate_at(optimizer, 20 + 190) == pytest.approx(0.51e-3, rel=1e-3)
    assert rate_at(optimizer, 400) == pytest.approx(2e-5)


def test_weights_are_averaged_over_a_fortieth_of_the_run():
    assert default_optimizer(total_steps=4000).ema_momentum == pytest.approx(0.99)
    unknown = default_optimizer(total_steps=None)
    assert not unknown.use_ema and float(unknown.learning_rate) == pytest.approx(1e-3)


def test_float16_has_a_scaled_loss():
    assert isinstance(default_optimizer(100, "float16"), keras.optimizers.LossScaleOptimizer)


def test_each_fit_is_a_run_of_its_own_length():
    model, (images, y) = detector(), batch(4)
    model.compile(run_eagerly=True)
    model.fit(images, y, batch_size=2, epochs=1, verbose=0)  # 2 steps
    first = model.optimizer
    assert int(first.iterations) == 2 and first.use_ema
    assert model.get_layer("bn_0").momentum == 0.5  # of a short run

    model.fit(images[:2], {name: part[:2] for name, part in y.items()}, epochs=1, verbose=0)
    assert model.optimizer is not first and int(model.optimizer.iterations) == 1


def test_an_optimizer_that_is_given_stays():
    model, (images, y) = detector(), batch()
    own = keras.optimizers.SGD(1e-3)
    model.compile(own, run_eagerly=True)
    model.fit(images, y, verbose=0)
    assert model.optimizer is own and model.get_layer("bn_0").momentum == 0.99


def test_an_update_is_that_of_the_command():
    model, (images, y) = detector(), batch()
    trainer = Trainer(TrainConfig(ema=0.0, precision="float32", input_size=SIZE), model.architecture, steps=1)
    trainer.network.set_weights(model.get_weights())
    model.compile(run_eagerly=True)
    assert model.optimizer.kernel_decay == TrainConfig.weight_decay
    model.optimizer.learning_rate = rate = 1e-3

    tf.config.run_functions_eagerly(True)  # one step is done sooner than its graph is built
    try:
        model.train_on_batch(images, y)
        trainer.train_step(tf.constant(images), to_rows(y, "xyxy", SIZE), rate)
    finally:
        tf.config.run_functions_eagerly(False)

    # Adam's first moments are a tenth of the gradients: of the loss, and of the decay of kernels.
    for one, other in zip(model.optimizer._momentums, trainer.optimizer._momentums, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(other).max(), err_msg=one.path)
