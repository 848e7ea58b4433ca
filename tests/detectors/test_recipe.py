"""What a detector is trained with that was compiled without an optimizer."""

import keras
import pytest

from tests.detectors.cases import batch, detector
from yolo3.detectors.recipe import default_optimizer

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
