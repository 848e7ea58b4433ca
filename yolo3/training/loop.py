"""A training run from settings to weights: phases, epochs, what is written down, and going on after a stop."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import keras
import tensorflow as tf
from tqdm import tqdm

from yolo3.darknet.cfg import read_cfg
from yolo3.darknet.network import load_weights
from yolo3.datasets.images import write_image
from yolo3.detections import Detections
from yolo3.evaluation.measures import Measures
from yolo3.input.batches import training_batches
from yolo3.input.image_cache import check_room, open_images
from yolo3.models.loading import load_weights_by_name
from yolo3.models.metadata import is_keras_file
from yolo3.models.saving import save_model
from yolo3.models.yolov3.yolov3 import YoloV3
from yolo3.precision import accelerator
from yolo3.training import run_folder
from yolo3.training.advice import run_advice, run_warnings
from yolo3.training.preparation import Prepared
from yolo3.training.run_folder import RunFolder
from yolo3.training.run_images import objects_by_class, write_images, write_run_report
from yolo3.training.schedules import default_burn_in, learning_rate, squeezed
from yolo3.training.settings import PATHS, TrainConfig
from yolo3.training.trainer import Trainer
from yolo3.training.validation import RECALL_PROPOSALS, Validator, loss_row
from yolo3.visualize.curves import draw_training_curves
from yolo3.visualize.sheets import draw_examples, draw_targets

_EVALUATIONS = 20  # in a run, where evaluate_every is not said
_IMAGES = {
    "memory": "images kept in memory", "disk": "decoded images kept on disk", "none": "images decoded each time",
}  # fmt: skip
_SAVING_SHARE = 0.05  # of the time, at most, goes into writing the state


class NotFiniteError(ValueError):
    """The loss became infinite or NaN."""


@dataclass(frozen=True)
class Result:
    """How a run ended: its folder, the log's last row with an evaluation, the best AP50 (NaN without one), and what
    the log says in words.
    """

    folder: RunFolder
    last_row: dict
    best_ap50: float
    advice: tuple[str, ...] = ()


def train(
    config: TrainConfig,
    prepared: Prepared,
    folder: RunFolder,
    resume: bool = False,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    say: Callable[[str], None] = print,
    show_progress: bool = True,
) -> Result:
    """Train a network and return how it ended; everything else is in the run's folder.

    ``prepared``: as :func:`yolo3.training.preparation.prepare` returns it for ``config``. ``resume``: go on from the state in
    ``folder``. ``callbacks``: Keras callbacks, called once an epoch and once a batch with the network that trains; its
    layers are to be asked for weights, not for outputs (:func:`yolo3.models.rewriting.pool_before_activation`).
    Raises :class:`NotFiniteError`.
    """
    run = _Run(config, prepared, folder, list(callbacks), say, show_progress)
    try:
        return run.go(resume)
    except tf.errors.ResourceExhaustedError as error:
        raise ValueError(f"out of memory; lower --batch-size or --input-size ({_first_line(error)})") from error
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError) as error:
        raise ValueError(f"TensorFlow cannot compute this: {_first_line(error)}") from error
    finally:
        folder.remove_decoded()


def fit_length(config: TrainConfig, num_images: int) -> TrainConfig:
    """Return the settings with ``max_batches`` worked out: as epochs, or as a burn-in and steps that fit the epochs."""
    if config.max_batches is None:
        return config
    steps_per_epoch = math.ceil(num_images / min(config.batch_size, num_images))
    if not config.epochs:
        epochs = math.ceil(config.max_batches * config.accumulate / steps_per_epoch)
        return dataclasses.replace(config, epochs=epochs, max_batches=None)
    updates = math.ceil(steps_per_epoch * config.epochs / config.accumulate)
    steps = squeezed(config.rate_steps, config.max_batches, updates)
    burn_in = min(config.burn_in or 0, default_burn_in(updates))
    return dataclasses.replace(config, rate_steps=steps, burn_in=burn_in, max_batches=None)


def load_darknet_weights(model: keras.Model, cfg_path: str | None, path: str) -> list[str]:
    """Fill the layers that fit from a Darknet file, of the network that the cfg describes; return their names.

    Heads for another number of classes keep their random weights. Raises ``ValueError`` without a cfg, and for a file
    of another network.
    """
    if cfg_path is None:
        raise ValueError(f"{path}: expected a Keras file, got what looks like Darknet's; give its cfg with --cfg FILE")
    filled = load_weights(model, read_cfg(cfg_path), path, skip_mismatch=True)
    if not filled.filled:
        raise ValueError(f"{path}: expected weights of {cfg_path}, found none that fit")
    normalised = [name.replace("conv_", "bn_", 1) for name in filled.filled if name.startswith("conv_")]
    return [*filled.filled, *normalised]


class _Run:
    def __init__(self, config, prepared, folder, callbacks, say, show_progress):
        config = fit_length(config, len(prepared.train))
        self.config, self.prepared, self.folder, self.say = config, prepared, folder, say
        self.show_progress = show_progress
        self.batch_size = min(config.batch_size, len(prepared.train))
        self.steps_per_epoch = math.ceil(len(prepared.train) / self.batch_size)
        self.total_steps = self.steps_per_epoch * config.epochs
        self.total_updates = math.ceil(self.total_steps / config.accumulate)
        self.burn_in = default_burn_in(self.total_updates) if config.burn_in is None else config.burn_in
        self.best_ap50 = float("nan")
        self.taken: list[str] = []
        keras.utils.set_random_seed(config.seed)
        self.trainer = Trainer(config, prepared.architecture, self.total_steps)
        self.validator = Validator(self.trainer, prepared.val, prepared.class_names) if prepared.val else None
        self.callbacks = keras.callbacks.CallbackList(callbacks, model=self.trainer.network)
        self._warned: set[str] = set()
        self._seconds_saving = 0.0
        self._last_saved = -math.inf

    # The course of a run

    def go(self, resume: bool) -> Result:
        if self.config.cache == "disk":  # before the folder holds a run
            paths = [item.image_path for item in self.prepared.train]
            check_room(paths, max(self.config.input_size), self.folder.path)
        first = self._resume() if resume else self._begin()
        frozen_epochs = self._frozen_epochs()
        store = self._open_store()
        self._describe(store)
        batches = self._batches(store, first)
        self.callbacks.on_train_begin()
        frozen = False
        for epoch in range(first, self.config.epochs):
            if (epoch < frozen_epochs) != frozen:
                frozen = not frozen
                self.trainer.set_frozen(frozen)
                self.say("Backbone frozen." if frozen else "Backbone free: all layers learn from here on.")
            row = self._run_epoch(batches, epoch)
            self._finish_epoch(epoch, row)
            if getattr(self.trainer.network, "stop_training", False):
                self.say(f"Stopped after epoch {epoch + 1}, as a callback asked.")
                self._finish_early(epoch, row)
                break
        self.callbacks.on_train_end()
        evaluated = [row for row in self.folder.rows if "AP50" in row]
        last_row = (evaluated or self.folder.rows or [{}])[-1]
        return Result(self.folder, last_row, self.best_ap50, tuple(run_advice(*self._log())))

    def _begin(self) -> int:
        prepared = self.prepared
        if self.config.weights:
            self._load_weights(self.config.weights)
        cfg = getattr(prepared.architecture, "cfg", None)
        self.folder.start(self.config, prepared.class_names, prepared.anchors, prepared.findings, cfg)
        return 0

    def _load_weights(self, path):
        network, plain = self.trainer.network, self.trainer.plain
        plain.set_weights(network.get_weights())
        if is_keras_file(path):
            self.taken = load_weights_by_name(plain, path)
        else:
            self.taken = load_darknet_weights(plain, self.config.cfg, path)
        network.set_weights(plain.get_weights())
        held = [layer.name for layer in self.trainer.network.layers if layer.weights]
        fresh = [name for name in held if name not in self.taken]
        self.say(f"{path}: weights for {len(self.taken)} of {len(held)} layers" + (
            f"; random in {', '.join(fresh[:6])}{' ...' if len(fresh) > 6 else ''}" if fresh else ""))  # fmt: skip

    def _resume(self) -> int:
        if not self.folder.has_state():
            self.say(f"{self.folder.path}: no epoch was finished yet; starting from the beginning.")
            return self._begin()
        self.folder.remove_leftovers()
        arrays, progress = self.folder.load_state()
        self.trainer.set_state(arrays)
        self.best_ap50, self.taken = progress["best_ap50"], progress["taken"]
        self.say(f"Resuming {self.folder.path} after epoch {progress['epoch']} of {self.config.epochs}.")
        return progress["epoch"]

    def _frozen_epochs(self) -> int:
        if self.config.freeze_epochs is not None:
            return self.config.freeze_epochs
        return max(self.config.epochs // 10, 1) if self.taken and self.config.epochs > 1 else 0

    def _open_store(self):
        largest, cache = max(self.config.input_size), self.config.cache
        return open_images(self.prepared.train, largest, cache, self.folder.decoded, self.show_progress)

    def _describe(self, store) -> None:
        config, prepared = self.config, self.prepared
        height, width = config.input_size
        num_images = _IMAGES[store.kept]
        name = os.path.basename(config.cfg) if config.cfg else prepared.architecture.name
        self.say(
            f"{name}, {self.trainer.network.count_params():,} parameters, {len(prepared.class_names)} "
            f"classes, input {width}x{height}, {self.trainer.precision}; {config.epochs} epochs of "
            f"{self.steps_per_epoch} batches of {self.batch_size}; {num_images}."
        )

    # One epoch

    def _batches(self, store, first: int) -> Iterator:
        """Return the batches from an epoch to the end of the run; its last part goes without mosaic."""
        config = self.config
        batches = training_batches(
            store,
            batch_size=self.batch_size,
            input_shape=config.input_size,
            stride=self.prepared.architecture.stride,
            augmentation=config.augment,
            seed=config.seed,
            epochs=range(first, config.epochs),
            resize=config.resize,
            scales=config.multi_scale,
            workers=config.workers,
            mosaic_end=config.augment.mosaic_end(config.epochs),
        )
        device = accelerator()
        if device and self.trainer.strategy.num_replicas_in_sync == 1:  # the next batches are copied during a step
            batches = batches.apply(tf.data.experimental.prefetch_to_device(device))
        return iter(batches)

    def _run_epoch(self, batches: Iterator, epoch: int) -> dict:
        """Learn from every image once; return the row for the log."""
        self.callbacks.on_epoch_begin(epoch)
        totals: dict[str, float] = {}
        start, waited = time.perf_counter(), 0.0
        bar = self._bar(epoch)
        for index in range(self.steps_per_epoch):
            asked = time.perf_counter()
            images, boxes, indices = next(batches)
            waited += time.perf_counter() - asked
            step = epoch * self.steps_per_epoch + index
            rate = self._rate(step)
            self.callbacks.on_train_batch_begin(index)
            terms = {name: float(value) for name, value in self.trainer.train_step(images, boxes, rate).items()}
            self._require_finite(terms, indices.numpy(), step)
            totals = {name: totals.get(name, 0.0) + value for name, value in terms.items()}
            seconds = time.perf_counter() - start
            done = loss_row({name: value / (index + 1) for name, value in totals.items()}, self._terms)
            self.callbacks.on_train_batch_end(index, {"loss": done["loss"]})
            self._show(bar, done, (index + 1) * self.batch_size / seconds, waited / seconds)
        bar.close()
        if not self.trainer.is_finite():  # the last update may have spoilt them; the next loss would tell too late
            raise self._not_finite("weights", indices.numpy(), step)
        num_images = self.steps_per_epoch * self.batch_size
        timing = {"learning_rate": rate, "images_per_second": num_images / seconds, "data_wait": waited / seconds}
        return {"epoch": epoch + 1, **done, **timing}

    @property
    def _terms(self):
        return self.prepared.architecture.terms

    def _rate(self, step: int) -> float:
        config = self.config
        return learning_rate(
            step // config.accumulate, self.total_updates, config.learning_rate, config.schedule, self.burn_in,
            config.burn_in_power, config.rate_steps,
        )  # fmt: skip

    def _require_finite(self, terms, indices, step) -> None:
        if all(math.isfinite(value) for value in terms.values()):
            return
        wrong = ", ".join(name for name, value in terms.items() if not math.isfinite(value))
        raise self._not_finite(wrong, indices, step)

    def _not_finite(self, wrong: str, indices, step) -> NotFiniteError:
        names = sorted({self.prepared.train[index].image_path for index in indices.ravel() if index >= 0})
        return NotFiniteError(
            f"the loss is no longer finite at step {step + 1} ({wrong}); the batch held {', '.join(names)}; "
            f"{self.folder.path} keeps what was saved before; look at these images, or lower --learning-rate"
        )

    def _bar(self, epoch):
        return tqdm(
            total=self.steps_per_epoch, desc=f"epoch {epoch + 1}/{self.config.epochs}", unit="batch",
            disable=None if self.show_progress else True, leave=False, dynamic_ncols=True,
        )  # fmt: skip

    def _show(self, bar, row, rate, wait) -> None:
        parts = " ".join(f"{name} {row[name]:.2f}" for name in self._terms)
        bar.set_postfix_str(f"loss {row['loss']:.2f} ({parts}) {rate:.1f} img/s, data {wait:.0%}", refresh=False)
        bar.update()

    # After an epoch

    def _finish_epoch(self, epoch: int, row: dict) -> None:
        last = epoch + 1 == self.config.epochs
        every = self.config.evaluate_every or max(self.config.epochs // _EVALUATIONS, 1)
        evaluates = last or (epoch + 1) % every == 0
        found: tuple[list[Detections], Measures] | None = None
        if evaluates:
            self.trainer.update_plain()
            if self.validator:
                started = time.perf_counter()
                values, detections, measures = self.validator.run()
                found = (detections, measures)
                row |= values | {"validation_seconds": time.perf_counter() - started}
        self.folder.log(row)
        self._tell(row)
        if evaluates:
            self._save_weights(row)
            draw_training_curves(self.folder.file(run_folder.LOG), self.folder.file(run_folder.CURVES))
        if found:
            self._show_evaluation(*found, epoch, last)
        self._save_state(epoch + 1, always=last)
        self.callbacks.on_epoch_end(epoch, {name: value for name, value in row.items() if name != "epoch"})

    def _show_evaluation(self, detections, measures, epoch: int, last: bool) -> None:
        """Draw what an evaluation found, and say what the log says where it says something new."""
        write_images(self.folder, self.prepared, measures, detections, self.callbacks.callbacks, epoch + 1)
        if last:
            write_run_report(self.folder, self.config, self.prepared, measures, detections, self.trainer.precision)
            return  # the last words are all of them
        for rule, sentence in run_warnings(*self._log()).items():
            if rule not in self._warned:
                self.say(f"  {sentence}")
            self._warned.add(rule)

    def _log(self) -> tuple:
        """Return what :mod:`yolo3.training.advice` asks for."""
        return self.folder.rows, objects_by_class(self.prepared), isinstance(self.prepared.architecture, YoloV3)

    def _finish_early(self, epoch: int, row: dict) -> None:
        """Write what an epoch without evaluation leaves for later ones to write."""
        if "AP50" not in row:
            self.trainer.update_plain()
            self._save_weights(row)
        self._save_state(epoch + 1, always=True)

    def _tell(self, row) -> None:
        parts = " ".join(f"{name} {row[name]:.2f}" for name in self._terms)
        line = f"epoch {row['epoch']:>3}/{self.config.epochs}  loss {row['loss']:.2f} ({parts})"
        line += f"  {row['images_per_second']:.1f} img/s, {row['data_wait']:.0%} waiting for data"
        if "AP50" in row:
            line += f"  | validation loss {row['val_loss']:.2f}  AP50 {row['AP50']:.3f}  AP {row['AP']:.3f}"
            line += f"  recall@{RECALL_PROPOSALS} {row['recall']:.3f}" if "recall" in row else ""
        self.say(line)

    def _save_weights(self, row) -> None:
        metadata = self.metadata(row)
        save_model(self.trainer.plain, self.folder.file(run_folder.LAST), metadata)
        value = row.get("AP50", float("nan"))
        if self.validator is None or math.isnan(self.best_ap50) or value > self.best_ap50:
            self.best_ap50 = value
            save_model(self.trainer.plain, self.folder.file(run_folder.BEST), metadata)

    def metadata(self, row) -> dict:
        """Return what the weights say of themselves."""
        prepared, config = self.prepared, self.config
        ap50 = row.get("AP50")
        ap50 = None if ap50 is None or math.isnan(ap50) else ap50
        training = {"settings": _without_folders(config), "epoch": row["epoch"], "AP50": ap50}
        return {
            **prepared.architecture.metadata(),
            "class_names": list(prepared.class_names),
            "input_shape": list(config.input_size),
            "resize": config.resize,
            "training": training,
        }

    def _save_state(self, epoch: int, always: bool) -> None:
        """Write the state, but not so often that it takes more than a twentieth of the time."""
        now = time.perf_counter()
        if not always and now - self._last_saved < self._seconds_saving / _SAVING_SHARE:
            return
        progress = {"epoch": epoch, "best_ap50": self.best_ap50, "taken": self.taken}
        self.folder.save_state(self.trainer.state(), progress)
        self._last_saved = time.perf_counter()
        self._seconds_saving = self._last_saved - now


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:300]


def _without_folders(config: TrainConfig) -> dict:
    """Return the settings with file names in place of paths: weights are passed on, where they were made is private."""
    settings = dataclasses.asdict(config)
    paths = {name: settings[name] for name in PATHS if settings[name]}
    return settings | {name: os.path.basename(path) for name, path in paths.items()}


def write_targets_sheet(config: TrainConfig, prepared: Prepared, path: str | os.PathLike, num_images: int = 12) -> None:
    """Draw training examples with the targets that the network is given for them."""
    store = open_images(prepared.train, max(config.input_size))
    count = min(num_images, len(prepared.train))
    architecture = prepared.architecture
    batches = training_batches(
        store,
        batch_size=count,
        input_shape=config.input_size,
        stride=architecture.stride,
        augmentation=config.augment,
        seed=config.seed,
        epochs=range(1),
        resize=config.resize,
    )
    images, boxes, _ = next(iter(batches))
    if isinstance(architecture, YoloV3):
        targets, _ = architecture.build_targets(boxes, config.input_size)
        sheet = draw_targets(
            images.numpy(), [target.numpy() for target in targets], prepared.class_names, architecture.strides
        )
    else:
        sheet = draw_examples(images.numpy(), boxes.numpy(), prepared.class_names)
    write_image(path, sheet)
