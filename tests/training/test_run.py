"""A run as a record: the batches it trains on, without a network."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from yolo3.training import run as run_module
from yolo3.training.plan import RunPlan
from yolo3.training.preparation import prepare
from yolo3.training.run import Run, open_batches, open_store
from yolo3.training.run_folder import RunFolder
from yolo3.training.step import Trainer


@pytest.fixture
def run_of(settings, tmp_path):
    """Function from settings to a run that has no network."""

    def make(**changes):
        config = dataclasses.replace(settings, cache="memory", batch_size=12, **changes)
        prepared = prepare(config)
        return Run(
            prepared=prepared,
            plan=RunPlan(config, len(prepared.train)),
            folder=RunFolder(tmp_path / "run"),
            trainer=SimpleNamespace(strategy=SimpleNamespace(num_replicas_in_sync=1)),
            validator=None,
            callbacks=None,
            show_progress=False,
        )

    return make


def test_the_last_part_of_a_run_goes_without_mosaic_and_a_resumed_run_too(run_of, settings, monkeypatch):
    # What batches make of it: tests/input/test_batches.py.
    asked = []
    monkeypatch.setattr(run_module, "training_batches", lambda store, **options: asked.append(options) or ())
    run = run_of(epochs=6, augment=dataclasses.replace(settings.augment, mosaic=1.0, plain_share=0.3))
    open_batches(run, store=None)
    run.epoch = 4
    open_batches(run, store=None)
    assert [options["epochs"] for options in asked] == [range(6), range(4, 6)]
    # 6 x (1 - .3) = 4.2: the first five epochs begin before it, however many of them were done before
    assert [options["mosaic_end"] for options in asked] == pytest.approx([4.2, 4.2])


def test_multi_scale_sizes_are_multiples_of_the_stride_of_the_architecture(run_of, settings):
    run = run_of(epochs=12, input_size=(128, 128), multi_scale=(0.75, 1.25))
    run.prepared = SimpleNamespace(train=run.prepared.train, architecture=SimpleNamespace(stride=64))
    shapes = {images.shape[1:3] for images, _, _ in open_batches(run, open_store(run))}
    assert shapes == {(128, 128)}  # 96 is 1.5 cells of 64 pixels and 160 is 2.5: to even, both are 2


@pytest.mark.slow
def test_a_step_is_compiled_once_however_crowded_the_batches_are(run_of, settings, slim_tiny):
    run = run_of(epochs=1, augment=dataclasses.replace(settings.augment, mosaic=0.0))
    crowded = run.prepared.train[0].select(np.zeros(40, int))  # one box forty times
    run.prepared = dataclasses.replace(run.prepared, train=[crowded, *run.prepared.train[1:]])
    run.plan = RunPlan(dataclasses.replace(run.config, batch_size=4), 12)
    run.trainer = Trainer(run.config, run.prepared.architecture, run.plan.total_steps)
    most = []
    for images, boxes, _ in open_batches(run, open_store(run)):
        run.trainer.train_step(images, boxes, 1e-3)
        most.append(int((boxes.numpy()[..., 2] > 0).sum(1).max()))
    assert min(most) < 32 < max(most)  # boxes that once were padded to 32 rows, and to 64
    assert run.trainer.num_graphs == 1


@pytest.mark.slow
def test_a_resumed_run_sees_the_batches_that_the_whole_run_would_have(run_of, settings):
    run = run_of(epochs=3, augment=dataclasses.replace(settings.augment, mosaic=0.5))
    whole = list(open_batches(run, open_store(run)))
    run.epoch = 2
    (last,) = open_batches(run, open_store(run))
    for part, expected in zip(last, whole[2], strict=True):
        np.testing.assert_array_equal(part.numpy(), expected.numpy())
