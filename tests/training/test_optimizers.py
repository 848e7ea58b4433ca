"""The optimizers that settings mean, and Darknet's gradient descent against its own code."""

import keras
import numpy as np
import pytest

from yolo3.training.optimizers import DarknetSGD, build_optimizer
from yolo3.training.settings import TrainConfig


def test_it_follows_darknet_where_the_rate_changes():
    """src/convolutional_layer.c: updates -= decay batch w; w += rate / batch updates; updates *= momentum."""
    rng = np.random.default_rng(0)
    weights, batch, decay, momentum = rng.normal(size=4), 8, 0.01, 0.9
    variable = keras.Variable(weights.astype(np.float32))
    optimizer = DarknetSGD(momentum=momentum)
    updates = np.zeros(4)
    for rate in (1e-5, 1e-3, 0.1, 0.1, 0.01, 0.01):
        gradient = rng.normal(size=4)  # the mean over the images, as ours is; Darknet adds up minus the gradients
        optimizer.learning_rate = rate
        decayed = gradient + decay * np.asarray(variable.numpy(), np.float64)  # as the training step does
        optimizer.apply([keras.ops.convert_to_tensor(decayed.astype(np.float32))], [variable])
        updates += -batch * gradient
        updates -= decay * batch * weights
        weights = weights + rate / batch * updates
        updates *= momentum
        np.testing.assert_allclose(variable.numpy(), weights, rtol=1e-5, atol=1e-6)


def test_the_rate_inside_the_buffer_would_give_other_weights():
    ours, keras_own = keras.Variable([1.0]), keras.Variable([1.0])
    pairs = [(DarknetSGD(momentum=0.5), ours), (keras.optimizers.SGD(momentum=0.5), keras_own)]
    for rate in (1.0, 0.1):
        for optimizer, variable in pairs:
            optimizer.learning_rate = rate
            optimizer.apply([keras.ops.ones(1)], [variable])
    # Gradient 1 twice. Rate outside: 1 - 1 - .1 (1 + .5) = -.15. Inside: 1 - 1 - (.5 x 1 + .1) = -.6.
    assert ours.numpy()[0] == pytest.approx(-0.15) and keras_own.numpy()[0] == pytest.approx(-0.6)


def test_it_averages_accumulates_and_can_be_rebuilt():
    optimizer = DarknetSGD(learning_rate=0.5, momentum=0.8, gradient_accumulation_steps=2, use_ema=True)
    variable = keras.Variable([0.0])
    for gradient in (1.0, 3.0):
        optimizer.apply([gradient * keras.ops.ones(1)], [variable])
    assert variable.numpy()[0] == pytest.approx(-1.0)  # one update with the mean of both: .5 x 2
    again = DarknetSGD.from_config(optimizer.get_config())
    assert (again.momentum, again.gradient_accumulation_steps, again.use_ema) == (0.8, 2, True)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_optimizer_is_the_one_asked_for(optimizer):
    built = build_optimizer(TrainConfig(anchors="a", optimizer=optimizer, precision="float32"), 100)
    assert type(built).__name__.lower() == optimizer
    if optimizer == "sgd":
        assert built.momentum == 0.9 and built.nesterov
