"""An epoch: when the terms of the loss are read, what callbacks get, and what is saved meanwhile."""

import dataclasses

import keras
import pytest

from tests.training.runs import one_batch, rows_of, run, same, state_of, untimed_rows_of
from yolo3.training.preparation import prepare
from yolo3.training.run_folder import RunFolder
from yolo3.training.step import ASKED, Trainer
from yolo3.training.step_terms import NotFiniteError
from yolo3.training.stopping import Stopped, StopRequest

pytestmark = pytest.mark.usefixtures("undrawn")


class Term:
    """A term of the loss that tells when it is read."""

    def __init__(self, name, value, events):
        self.name, self.value, self.events = name, value, events

    def __float__(self):
        self.events.append(self.name)
        return float(self.value)


@pytest.fixture
def events(monkeypatch):
    """Beginnings of steps and readings of their loss, in order."""
    events, train_step = [], Trainer.train_step

    def told(trainer, *arguments):
        number = sum(event.startswith("begin") for event in events)
        events.append(f"begin {number}")
        first, *others = train_step(trainer, *arguments).items()
        return {first[0]: Term(f"read {number}", first[1], events), **dict(others)}

    monkeypatch.setattr(Trainer, "train_step", told)
    return events


def test_the_terms_of_a_step_are_read_when_the_next_one_has_begun(events, settings, slim_tiny, eagerly, tmp_path):
    run(dataclasses.replace(settings, epochs=1), tmp_path / "run")
    assert events == ["begin 0", "begin 1", "read 0", "begin 2", "read 1", "read 2"]


def test_callbacks_get_the_loss_up_to_their_batch(events, settings, slim_tiny, eagerly, tmp_path):
    class Losses(keras.callbacks.Callback):
        seen = []

        def on_train_batch_end(self, batch, logs=None):
            self.seen.append(logs["loss"])

    run(dataclasses.replace(settings, epochs=1), tmp_path / "run", callbacks=[Losses()])
    assert events == ["begin 0", "read 0", "begin 1", "read 1", "begin 2", "read 2"]
    assert Losses.seen[-1] == pytest.approx(float(rows_of(tmp_path / "run")[0]["loss"]), rel=1e-6)
    assert len(set(Losses.seen)) == 3


def test_a_function_given_as_callback_gets_the_loss_too(settings, slim_tiny, eagerly, tmp_path):
    seen = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]))
    run(dataclasses.replace(settings, epochs=1), tmp_path / "run", callbacks=[callback])
    assert len(seen) == 3


def test_a_loss_that_is_not_finite_is_named_with_its_own_step_and_images(
    settings, slim_tiny, eagerly, tmp_path, monkeypatch
):
    config, train_step, batches = dataclasses.replace(settings, epochs=1), Trainer.train_step, []

    def spoilt(trainer, *arguments):
        batches.append(arguments)
        terms = train_step(trainer, *arguments)
        return {name: value * float("nan") for name, value in terms.items()} if len(batches) == 2 else terms

    monkeypatch.setattr(Trainer, "train_step", spoilt)
    prepared = prepare(config)
    with pytest.raises(NotFiniteError, match="at step 2 ") as caught:
        run(config, tmp_path / "run", prepared=prepared)
    assert len(batches) == 3
    assert sum(item.image_path in str(caught.value) for item in prepared.train) == 4
    assert not RunFolder(tmp_path / "run").has_state()


def stop_in(monkeypatch, number, stop):
    """Ask a run to stop while a step is computed, as a signal does."""
    train_step, begun = Trainer.train_step, []

    def told(trainer, *arguments):
        begun.append(arguments)
        if len(begun) == number:
            stop.number = 15
        return train_step(trainer, *arguments)

    monkeypatch.setattr(Trainer, "train_step", told)


def test_a_state_saved_within_an_epoch_has_the_terms_of_its_last_step(
    settings, slim_tiny, eagerly, tmp_path, monkeypatch
):
    config = dataclasses.replace(settings, epochs=1)
    run(config, tmp_path / "whole")
    stop = StopRequest()
    with monkeypatch.context() as patch:
        stop_in(patch, 2, stop)
        with pytest.raises(Stopped):
            run(config, tmp_path / "run", stop=stop)
    assert RunFolder(tmp_path / "run").load_state()[1]["progress"]["batches"] == 2
    run(config, tmp_path / "run", resume=True)
    assert untimed_rows_of(tmp_path / "run") == untimed_rows_of(tmp_path / "whole")
    assert same(state_of(tmp_path / "run"), state_of(tmp_path / "whole"))


@pytest.mark.parametrize("save_minutes", [1e-9, 10])
def test_processes_agree_after_the_same_step_whichever_of_them_saves(
    save_minutes, settings, slim_tiny, eagerly, tmp_path, monkeypatch
):
    config = dataclasses.replace(settings, epochs=1, save_minutes=save_minutes)
    train_step, begun = Trainer.train_step, []
    stop = StopRequest()
    stop.together = True

    def told(trainer, images, boxes, rate, asked):
        begun.append(asked)
        return {
            **train_step(trainer, images, boxes, rate),
            ASKED: float(len(begun) == 1),
        }  # another was asked in step 1

    monkeypatch.setattr(Trainer, "train_step", told)
    with pytest.raises(Stopped):
        run(config, tmp_path / "run", stop=stop)
    assert begun == [False, False]  # it is known once the second step has begun
    assert RunFolder(tmp_path / "run").load_state()[1]["progress"]["batches"] == 2


def test_the_last_step_of_an_epoch_can_be_the_one_that_asks(settings, slim_tiny, eagerly, tmp_path, monkeypatch):
    stop = StopRequest()
    stop_in(monkeypatch, 1, stop)
    with pytest.raises(Stopped):
        run(one_batch(settings), tmp_path / "run", stop=stop)
    assert RunFolder(tmp_path / "run").load_state()[1]["progress"]["batches"] == 1
