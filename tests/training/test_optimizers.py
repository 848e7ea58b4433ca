"""The optimizers that settings mean, and Darknet's gradient descent against its own code."""

import keras
import numpy as np
import pytest

from yolo3.training.optimizers import DarknetSGD, DecayedAdam, DecayedSGD, build_optimizer
from yolo3.training.settings import TrainConfig


def test_it_follows_darknet_where_the_rate_changes():
    """src/convolutional_layer.c: updates -= decay batch w; w += rate / batch updates; updates *= momentum."""
    rng = np.random.default_rng(0)
    weights, batch, decay, momentum = rng.normal(size=4), 8, 0.01, 0.9
    variable = keras.Variable(weights.astype(np.float32), name="kernel")
    optimizer = DarknetSGD(momentum=momentum, kernel_decay=decay)
    updates = np.zeros(4)
    for rate in (1e-5, 1e-3, 0.1, 0.1, 0.01, 0.01):
        gradient = rng.normal(size=4)  # the mean over the images, as ours is; Darknet adds up minus the gradients
        optimizer.learning_rate = rate
        optimizer.apply([keras.ops.convert_to_tensor(gradient.astype(np.float32))], [variable])
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


@pytest.mark.parametrize("scaled", [False, True])
def test_decay_is_for_kernels_alone_and_stays_in_the_config(scaled):
    optimizer = DecayedSGD(learning_rate=1.0, kernel_decay=0.25)
    again = DecayedAdam.from_config(DecayedAdam(kernel_decay=0.25).get_config())
    assert again.kernel_decay == 0.25
    outer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=8) if scaled else optimizer
    kernel, bias = (keras.Variable([4.0], name=name) for name in ("kernel", "bias"))
    outer.apply([outer.scale_loss(keras.ops.ones(1)) for _ in range(2)], [kernel, bias])
    assert (float(kernel.numpy()[0]), float(bias.numpy()[0])) == (2.0, 3.0)  # 4 - (1 + .25 x 4) and 4 - 1


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_the_optimizer_is_the_one_asked_for(optimizer):
    built = build_optimizer(TrainConfig(anchors="a", optimizer=optimizer, precision="float32"), 100)
    assert isinstance(built, getattr(keras.optimizers, {"adam": "Adam", "sgd": "SGD"}[optimizer]))
    assert built.kernel_decay == TrainConfig.weight_decay == 5e-4
    if optimizer == "sgd":
        assert built.momentum == 0.9 and built.nesterov
