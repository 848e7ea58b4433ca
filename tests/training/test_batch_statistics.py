"""Batch statistics of averaged weights: estimated over images, and nothing else is changed by it."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.training.test_step import IMAGES, make, same, train, weights
from yolo3.input import batches as batches_module
from yolo3.input.batches import training_batches
from yolo3.input.image_cache import open_images
from yolo3.models.fused_batch_norm import FusedBatchNormalization
from yolo3.training import batch_statistics
from yolo3.training.batch_statistics import IMAGES as NUM_IMAGES
from yolo3.training.batch_statistics import StatisticsImages, estimate_statistics
from yolo3.training.plan import RunPlan
from yolo3.training.preparation import prepare

BATCH = np.random.default_rng(1).normal(3, 2, (5, 4, 2, 2, 3)).astype(np.float32)  # five batches of four images


def normalizing(**options):
    inputs = keras.Input((None, None, 3))
    layer = FusedBatchNormalization(name="bn", **options)
    return keras.Model(inputs, layer(inputs)), layer


@pytest.mark.parametrize("count", [1, 3, 5])
def test_statistics_are_the_averages_over_the_batches_without_what_was_before(count):
    network, layer = normalizing(momentum=0.8)
    layer.moving_mean.assign([100.0, 100, 100])
    estimate_statistics(network, lambda batch: network(batch, training=True), BATCH[:count])
    # A slow loop: the weight of a batch falls by .8 with each one after it; 16 values of a channel in a batch.
    shares = 0.8 ** np.arange(count)[::-1]
    means = [batch.mean((0, 1, 2)) for batch in BATCH[:count]]
    variances = [batch.var((0, 1, 2)) * 16 / 15 for batch in BATCH[:count]]
    for variable, values in ((layer.moving_mean, means), (layer.moving_variance, variances)):
        np.testing.assert_allclose(variable.numpy(), np.average(values, 0, shares), rtol=1e-5)


def test_frozen_layers_and_those_without_images_keep_their_statistics():
    network, layer = normalizing()
    layer.moving_mean.assign([1.0, 2, 3])
    estimate_statistics(network, lambda batch: network(batch, training=True), [])
    layer.trainable = False
    estimate_statistics(network, lambda batch: network(batch, training=True), BATCH)
    np.testing.assert_array_equal(layer.moving_mean.numpy(), [1, 2, 3])


@pytest.fixture
def averaging(slim_tiny, eagerly):
    trainer = make(ema=0.9)
    train(trainer, 3)
    return trainer


def test_the_inference_network_gets_the_statistics_of_the_averaged_weights_and_the_other_stays(averaging):
    before, state = weights(averaging), averaging.state()
    averaging.update_inference_network()
    moving = averaging.inference_network.get_layer("bn_0").moving_mean.numpy()
    averaging.update_inference_network([IMAGES])
    assert same(weights(averaging), before) and same(averaging.state(), state)

    # One batch: the statistics of the first normalization are those of its input under the averaged weights.
    network = averaging.inference_network
    features = keras.Model(network.inputs, network.get_layer("conv_0").output)(IMAGES).numpy()
    np.testing.assert_allclose(network.get_layer("bn_0").moving_mean.numpy(), features.mean((0, 1, 2)), atol=1e-4)
    assert not np.allclose(moving, features.mean((0, 1, 2)), atol=1e-4)


def test_an_error_among_the_images_leaves_the_network_that_is_trained_as_it_was(averaging):
    def images():
        yield IMAGES
        raise KeyboardInterrupt

    before = averaging.state()
    with pytest.raises(KeyboardInterrupt):
        averaging.update_inference_network(images())
    assert same(averaging.state(), before)


def test_weights_that_are_not_averaged_keep_the_moving_averages(slim_tiny, eagerly):
    trainer = make(ema=0.0)
    train(trainer, 2)
    trainer.update_inference_network([IMAGES])
    assert same(trainer.inference_network.get_weights(), trainer.network.get_weights())


def test_the_images_are_those_of_the_epoch_and_the_same_each_time(settings):
    config = dataclasses.replace(settings, multi_scale=(0.5,))
    prepared = prepare(config)
    plan = RunPlan(config, len(prepared.train))
    store = open_images(prepared.train, largest_side=64)
    images = StatisticsImages(plan, store, stride=32)
    first, again, other = ([batch.numpy() for batch in images.of_epoch(epoch)] for epoch in (0, 0, 1))
    assert [batch.shape for batch in first] == [(4, 64, 64, 3)] * 3  # twelve images in batches of four
    assert same(first, again) and not same(first, other)
    assert NUM_IMAGES >= 12

    batches = training_batches(
        store, batch_size=4, input_shape=(64, 64), stride=32, augmentation=config.augment, seed=1, epochs=range(1, 2)
    )
    assert same(other, [batch.numpy() for batch, _, _ in batches])


def test_the_images_of_further_evaluations_trace_nothing_anew(settings, monkeypatch):
    prepared = prepare(settings)
    images = StatisticsImages(RunPlan(settings, 12), open_images(prepared.train, largest_side=64), stride=32)
    list(images.of_epoch(0))
    augmented = []
    monkeypatch.setattr(batches_module, "augment", lambda *_, **__: augmented.append(1))
    assert [len(list(images.of_epoch(epoch))) for epoch in range(1, 3)] == [3, 3]
    assert not augmented


def test_batches_that_were_trained_on_are_kept_and_equal_those_that_are_read_again(settings, monkeypatch):
    prepared = prepare(settings)
    plan, store = RunPlan(settings, 12), open_images(prepared.train, largest_side=64)
    read, kept = (StatisticsImages(plan, store, stride=32) for _ in range(2))
    expected = [batch.numpy() for batch in read.of_epoch(1)]
    batches = training_batches(
        store, batch_size=4, input_shape=(64, 64), stride=32, augmentation=settings.augment, seed=1, epochs=range(0, 2)
    )
    for step, (images, _, _) in enumerate(batches):
        kept.keep(*divmod(step, 3), images)
    monkeypatch.setattr(batch_statistics, "training_batches", None)  # nothing is read again
    assert same(expected, [batch.numpy() for batch in kept.of_epoch(1)])
    assert same(expected, [batch.numpy() for batch in kept.of_epoch(1)])


@pytest.mark.parametrize("changes", [{"multi_scale": (0.5,)}, {"evaluate_every": 2}])
def test_batches_of_other_sizes_and_of_epochs_without_an_evaluation_are_not_kept(settings, changes):
    config = dataclasses.replace(settings, **changes)
    store = open_images(prepare(config).train, largest_side=64)
    images = StatisticsImages(RunPlan(config, 12), store, stride=32)
    for index in range(3):
        images.keep(0, index, tf.zeros((4, 32, 32, 3)))
    assert all(batch.shape == (4, 64, 64, 3) for batch in images.of_epoch(0))


def test_an_epoch_that_was_resumed_in_its_middle_is_read_again(settings):
    store = open_images(prepare(settings).train, largest_side=64)
    images = StatisticsImages(RunPlan(settings, 12), store, stride=32)
    for index in (1, 2):
        images.keep(0, index, tf.zeros((4, 64, 64, 3)))
    found = list(images.of_epoch(0))
    assert len(found) == 3 and all(batch.numpy().any() for batch in found)


@pytest.mark.parametrize(("batch_size", "batches"), [(4, 16), (8, 8), (64, 2), (200, 1)])
def test_the_images_are_about_as_many_whatever_the_batch_size(settings, batch_size, batches):
    plan = RunPlan(dataclasses.replace(settings, batch_size=batch_size), 200)
    images = StatisticsImages(plan, None, stride=32)
    for index in range(plan.steps_per_epoch):
        images.keep(0, index, tf.zeros((1, 64, 64, 3)))
    assert len(list(images.of_epoch(0))) == batches
