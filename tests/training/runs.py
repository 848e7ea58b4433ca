"""Short runs and callbacks that several test files share."""

import csv
import dataclasses
import os
import signal

import keras
import numpy as np

from yolo3.training.loop import train
from yolo3.training.preparation import prepare
from yolo3.training.run_folder import RunFolder


def run(config, folder, resume=False, callbacks=(), prepared=None, stop=None):
    """Train and return (result, the lines that were said)."""
    said = []
    result = train(
        config,
        prepared or prepare(config),
        RunFolder(folder),
        resume=resume,
        callbacks=callbacks,
        say=said.append,
        show_progress=False,
        stop=stop,
    )
    return result, said


def one_batch(config, **changes):
    """The settings with all twelve images in one batch: a short run."""
    return dataclasses.replace(config, **{"batch_size": 12, "epochs": 1, **changes})


def rows_of(folder):
    with open(os.path.join(folder, "log.csv"), newline="") as file:
        return list(csv.DictReader(file))


TIMING = ("images_per_second", "data_wait", "validation_seconds")


def untimed_rows_of(folder):
    """The log without what depends on the machine."""
    return [{key: value for key, value in row.items() if key not in TIMING} for row in rows_of(folder)]


def state_of(folder):
    return RunFolder(folder).load_state()[0]


def same(a, b):
    return len(a) == len(b) and all(np.array_equal(one, other) for one, other in zip(a, b))


class Interrupted(Exception):
    pass


class InterruptAt(keras.callbacks.Callback):
    """Raises in the second batch of an epoch, as a kill would fall anywhere."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch, self.now = epoch, None

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.now == self.epoch and batch == 1:
            raise Interrupted


class Ask(keras.callbacks.Callback):
    """Asks a run to stop after a batch of an epoch, as a signal does."""

    def __init__(self, stop, epoch, batch):
        super().__init__()
        self.stop, self.place, self.epoch = stop, (epoch, batch), None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            self.stop.number = signal.SIGTERM


class Poison(keras.callbacks.Callback):
    """Makes a weight NaN after a batch of an epoch."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.place, self.epoch = (epoch, batch), None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.place:
            layer = self.model.get_layer("conv_9")
            layer.set_weights([array * np.nan for array in layer.get_weights()])


class StopAfter(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch, self.logs = epoch, []

    def on_epoch_end(self, epoch, logs=None):
        self.logs.append(logs)
        if epoch + 1 == self.epoch:
            self.model.stop_training = True


class Kernels(keras.callbacks.Callback):
    """Keeps the kernel of a layer at the beginning and after each epoch."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def on_train_begin(self, logs=None):
        self.kernels = [self.kernel()]

    def on_epoch_end(self, epoch, logs=None):
        self.kernels.append(self.kernel())

    def kernel(self):
        return self.model.get_layer(self.name).get_weights()[0]


class Rates(keras.callbacks.Callback):
    """Keeps the learning rate of each step."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(float(self.model.optimizer.learning_rate))
