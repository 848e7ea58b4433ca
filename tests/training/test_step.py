"""The step: it learns, decays kernels alone, averages, freezes, accumulates, scales, and can be continued."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from yolo3.models.yolov3.anchors import DEFAULT_TINY_ANCHORS
from yolo3.models.yolov3.architecture import YoloV3
from yolo3.models.yolov3.losses import TERMS
from yolo3.training import step as step_module
from yolo3.training.settings import TrainConfig
from yolo3.training.step import Trainer

pytestmark = pytest.mark.usefixtures("slim_tiny")

IMAGES = tf.constant(np.random.default_rng(0).uniform(0, 1, (4, 64, 64, 3)).astype(np.float32))
BOXES = np.zeros((4, 32, 5), np.float32)
BOXES[0, 0] = [0.5, 0.5, 0.4, 0.6, 1]
BOXES[1, :2] = [[0.2, 0.3, 0.2, 0.2, 0], [0.7, 0.7, 0.5, 0.3, 2]]
BOXES[2, 0] = [0.4, 0.6, 0.9, 0.9, 2]  # and none in the fourth


@pytest.fixture
def eagerly():
    """Run the step operation by operation: a few steps are done sooner than a graph is built."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def make(seed=0, steps=1000, num_classes=3, **settings):
    keras.utils.set_random_seed(seed)
    config = TrainConfig(anchors="none", **{"precision": "float32", "weight_decay": 0.0, "ema": 0.0, **settings})
    return Trainer(config, YoloV3.from_name("yolov3-tiny", num_classes, anchors=DEFAULT_TINY_ANCHORS), steps)


def train(trainer, steps=1, rate=1e-3):
    terms = [trainer.train_step(IMAGES, tf.constant(BOXES), rate) for _ in range(steps)]
    return [float(sum(part[name] for name in TERMS)) for part in terms]


def learned(trainer):
    return [variable.numpy() for variable in trainer._learned]


def weights(trainer):
    return [array.copy() for array in trainer.network.get_weights()]


def same(a, b):
    return all(np.array_equal(one, other) for one, other in zip(a, b, strict=True))


def backbone(trainer):
    """Weights of the layers up to the heads: seven convolutions with their normalization."""
    names = [f"{kind}_{index}" for kind in ("conv", "bn") for index in range(7)]
    return [array for name in names for array in trainer.network.get_layer(name).get_weights()]


# Learning


@pytest.mark.slow
def test_steps_on_one_batch_lower_the_loss():
    trainer = make()
    losses = train(trainer, 25, rate=3e-3)
    assert np.isfinite(losses).all() and losses[-1] < 0.6 * losses[0]
    # The compiled step is that of the network in inference too: its terms are finite with the averaged statistics.
    trainer.update_inference_network()
    outputs = trainer.inference_network(IMAGES, training=False)
    assert all(np.isfinite(output).all() for output in outputs)


def test_the_rate_is_that_of_the_step(eagerly):
    trainer = make()
    before = learned(trainer)
    train(trainer, rate=0.0)
    assert same(learned(trainer), before)
    train(trainer, rate=1e-3)
    # Adam's first step has the length of the rate: m / sqrt(v) is 1 where the gradient is well above epsilon.
    largest = max(np.abs(a - b).max() for a, b in zip(learned(trainer), before))
    assert largest == pytest.approx(2e-3, rel=0.6)


@pytest.mark.parametrize("precision, tolerance", [("float32", 1e-6), ("float16", 1e-6)])
def test_weight_decay_changes_only_kernels(eagerly, precision, tolerance):
    results = []
    for decay in (0.0, 0.1):
        trainer = make(optimizer="sgd", weight_decay=decay, precision=precision)
        before = learned(trainer)
        train(trainer, rate=1e-3)
        results.append(learned(trainer))
    for variable, start, without, with_decay in zip(trainer._learned, before, *results):
        # Nesterov's first step with momentum .9 is (1 + .9) rate g: here 1.9 x .001 x .1 w less.
        expected = -1.9e-4 * start if variable.name == "kernel" else np.zeros_like(start)
        np.testing.assert_allclose(with_decay - without, expected, atol=tolerance)
    assert sum(variable.name == "kernel" for variable in trainer._learned) == 13  # the tiny network's convolutions


def test_the_displayed_loss_excludes_weight_decay(eagerly):
    assert train(make(weight_decay=0.0)) == train(make(weight_decay=0.5))


@pytest.mark.slow
def test_gradients_are_clipped_by_their_common_norm(eagerly):
    trainer = make(optimizer="sgd", clip_norm=0.1)
    before = learned(trainer)
    train(trainer, rate=1.0)
    moved = np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(learned(trainer), before)))
    assert moved == pytest.approx(0.19, rel=1e-3)  # 1.9 x rate x .1, as above


@pytest.mark.slow
def test_accumulated_gradients_change_weights_at_every_third_step(eagerly):
    trainer = make(accumulate=3, ema=0.9)
    states = [learned(trainer)]
    for _ in range(6):
        train(trainer, rate=1e-3)
        states.append(learned(trainer))
    changed = [not same(before, after) for before, after in zip(states, states[1:])]
    assert changed == [False, False, True, False, False, True]


@pytest.mark.slow
def test_three_accumulated_steps_on_one_batch_equal_one_step(eagerly):
    # The gradient of the same batch three times, divided by three; statistics do not matter in training mode.
    one, three = make(optimizer="sgd"), make(optimizer="sgd", accumulate=3)
    train(one, 1)
    train(three, 3)
    for a, b in zip(learned(one), learned(three)):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.slow
def test_float16_scales_the_loss_but_not_the_displayed_one(eagerly):
    scaled, plain = make(precision="float16"), make()
    assert isinstance(scaled.optimizer, keras.optimizers.LossScaleOptimizer)
    assert float(scaled.optimizer.scale_loss(1.0)) > 1000
    assert scaled.network.get_layer("conv_0").compute_dtype == "float16"
    before = learned(scaled)
    losses = train(scaled, 3), train(plain, 3)
    np.testing.assert_allclose(*losses, rtol=0.03)
    assert not same(learned(scaled), before) and scaled.is_finite()


def test_a_batch_whose_gradient_overflows_in_float16_is_skipped(eagerly):
    trainer = make(precision="float16")
    trainer.optimizer.dynamic_scale.assign(2.0**120)
    before = learned(trainer)
    train(trainer)
    assert same(learned(trainer), before)
    assert float(trainer.optimizer.dynamic_scale) == 2.0**119


@pytest.mark.slow
def test_the_compiled_loss_gives_every_weight_the_gradient_of_the_plain_one():
    trainer = make()
    variables = [variable.value for variable in trainer.network.trainable_variables]

    def gradients(terms_of):
        with tf.GradientTape() as tape:
            terms = terms_of(trainer.network(IMAGES), (64, 64), tf.constant(BOXES))
            loss = sum(terms[name] for name in TERMS)
        return tape.gradient(loss, variables)

    plain = gradients(trainer.batch_terms)
    compiled = tf.function(lambda: gradients(trainer.terms_of), autograph=False)()
    # The biases of the outputs are those that TensorFlow mixes up where the compiled loss takes several tensors.
    for variable, one, other in zip(trainer.network.trainable_variables, plain, compiled, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-4 * np.abs(one).max(), err_msg=variable.path)


@pytest.mark.slow
def test_a_step_compiled_by_xla_has_the_loss_and_the_update_of_the_plain_one():
    plain, compiled = make(), make(jit_compile=True)
    np.testing.assert_allclose(train(plain, 2), train(compiled, 2), rtol=1e-4)
    for a, b in zip(weights(plain), weights(compiled)):
        np.testing.assert_allclose(a, b, atol=5e-3)  # Adam's first steps are rate x sign(g), whatever g's rounding


# The inference network


def test_the_inference_network_takes_the_averages_and_the_other_keeps_its_weights(eagerly):
    trainer = make(ema=0.75)
    steps = []
    for _ in range(2):
        train(trainer, rate=1e-2)
        steps.append(learned(trainer))
    current = weights(trainer)
    trainer.update_inference_network()
    assert same(weights(trainer), current)
    plain = [variable.numpy() for variable in trainer.inference_network.trainable_variables]
    for average, first, second in zip(plain, *steps):
        # The average starts at the weights after the first step: then three quarters of it and one of the new ones.
        np.testing.assert_allclose(average, 0.75 * first + 0.25 * second, atol=1e-6)
    statistics = [
        [v.numpy() for v in net.non_trainable_variables] for net in (trainer.inference_network, trainer.network)
    ]
    assert same(*statistics)


@pytest.mark.slow
def test_without_averages_the_inference_network_takes_the_current_weights(eagerly):
    for trainer in (make(ema=0.0), make(ema=0.9)):
        trainer.update_inference_network()  # before the first step there is no average either
        assert same(trainer.inference_network.get_weights(), trainer.network.get_weights())
    trainer = make(ema=0.0)
    train(trainer)
    trainer.update_inference_network()
    assert same(trainer.inference_network.get_weights(), trainer.network.get_weights())


@pytest.mark.slow
def test_averages_with_loss_scaling_reach_the_inference_network(eagerly):
    trainer = make(precision="float16", ema=0.5)
    train(trainer, 3, rate=1e-2)
    trainer.update_inference_network()
    assert not same([v.numpy() for v in trainer.inference_network.trainable_variables], learned(trainer))
    assert all(np.isfinite(array).all() for array in trainer.inference_network.get_weights())


def test_the_inference_network_is_made_of_stock_layers_in_float32():
    trainer = make(precision="bfloat16")
    kinds = {type(layer) for layer in trainer.inference_network.layers if layer.name.startswith("bn_")}
    assert kinds == {keras.layers.BatchNormalization}
    assert {layer.compute_dtype for layer in trainer.inference_network.layers} == {"float32"}
    assert trainer.network.get_layer("conv_1").compute_dtype == "bfloat16"
    assert {variable.dtype for variable in trainer.network.variables} == {"float32"}


def test_objectness_starts_low():
    trainer = make()
    outputs = trainer.network(IMAGES, training=False)
    for output in outputs:
        objectness = tf.sigmoid(tf.reshape(output, (-1, 3, 8))[..., 4]).numpy()
        assert np.median(objectness) == pytest.approx(0.01, rel=0.5)


# Freezing and weights from elsewhere


@pytest.mark.slow
def test_a_frozen_backbone_stays_unchanged_until_it_is_unfrozen(eagerly):
    trainer = make(ema=0.9)
    trainer.set_frozen(True)
    before, heads = backbone(trainer), trainer.network.get_layer("conv_9").get_weights()
    train(trainer, 2)
    assert same(backbone(trainer), before)  # the statistics of its normalization included
    assert not same(trainer.network.get_layer("conv_9").get_weights(), heads)
    trainer.update_inference_network()  # the averages of what did not change are what it is
    averaged, own = (
        network.get_layer("conv_3").get_weights()[0] for network in (trainer.inference_network, trainer.network)
    )
    np.testing.assert_allclose(averaged, own, atol=1e-6)
    trainer.set_frozen(False)
    train(trainer)
    assert not any(np.array_equal(a, b) for a, b in zip(backbone(trainer), before))


# State


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"ema": 0.9, "precision": "float16"}, {"optimizer": "sgd", "accumulate": 2}])
def test_a_trainer_with_a_restored_state_continues_as_the_first_did(eagerly, settings):
    trainer = make(**settings)
    train(trainer, 1)
    state = [array.copy() for array in trainer.state()]
    train(trainer, 2)
    expected = weights(trainer)
    other = make(seed=1, **settings)
    other.set_state(state)
    train(other, 2)
    assert same(weights(other), expected)
    assert same(other.state(), trainer.state())


def test_a_state_holds_the_weights_and_the_optimizer():
    trainer, other = make(ema=0.9, accumulate=2), make(seed=1, ema=0.9, accumulate=2)
    rng = np.random.default_rng(0)
    variables = [*trainer.network.variables, *trainer.optimizer.variables]
    for variable in variables:  # moments, averages, accumulated gradients and counters are zero or alike at first
        variable.assign(rng.integers(1, 9, variable.shape))
    other.set_state(trainer.state())
    restored = [*other.network.variables, *other.optimizer.variables]
    assert len(restored) > 4 * len(learned(trainer))
    assert same([variable.numpy() for variable in restored], [variable.numpy() for variable in variables])


@pytest.mark.slow
def test_the_state_of_another_network_is_refused():
    with pytest.raises(ValueError, match="state: expected that of the same network"):
        make().set_state(make(num_classes=4).state())
    with pytest.raises(ValueError, match="state"):
        make(ema=0.0).set_state(make(ema=0.9).state())


def test_weights_that_are_not_finite_are_noticed():
    trainer = make()
    assert trainer.is_finite()
    layer = trainer.network.get_layer("bn_4")
    layer.set_weights([*layer.get_weights()[:3], np.full_like(layer.get_weights()[3], np.inf)])
    assert not trainer.is_finite()


# Small things


def test_the_network_that_is_trained_averages_its_statistics_over_less_than_the_one_that_validates():
    trainer = make()
    assert trainer.network.get_layer("bn_0").momentum < trainer.inference_network.get_layer("bn_0").momentum == 0.99


@pytest.mark.parametrize(("precision", "chosen"), [("bfloat16", True), ("float32", False)])
def test_kernels_get_their_gradients_by_products_in_bfloat16_alone(precision, chosen, slim_tiny, monkeypatch):
    networks = []
    monkeypatch.setattr(step_module, "multiply_for_kernels", networks.append)
    monkeypatch.setattr(step_module, "accelerator", lambda: None)
    trainer = make(precision=precision)
    assert networks == ([trainer.network] if chosen else [])
