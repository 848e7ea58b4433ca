"""A run in progress as one record, which the functions of the loop and of checkpoints share, and what it trains on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from yolo3.detections import Detections
from yolo3.input.batches import training_batches
from yolo3.input.epoch_plan import WHOLE, BatchPart
from yolo3.input.image_cache import ImageStore, check_room, open_images
from yolo3.models.architecture import Architecture
from yolo3.precision import accelerator
from yolo3.training.batch_fit import fit_batch_size
from yolo3.training.batch_statistics import StatisticsImages
from yolo3.training.best_weights import evaluations_since_best, row_of_epoch
from yolo3.training.drawing import Drawing
from yolo3.training.plan import RunPlan, fit_length
from yolo3.training.preparation import Prepared
from yolo3.training.run_folder import RunFolder
from yolo3.training.settings import TrainConfig
from yolo3.training.step import Trainer
from yolo3.training.stopping import StopRequest
from yolo3.training.timing import Timing
from yolo3.training.validation import Validator


@dataclass
class EpochProgress:
    """How far an epoch has come.

    Args:
        batches: Batches trained on.
        totals: Sum of each term of the loss over them.
        seconds: Time that they took.
        waited: Part of it that was spent waiting for data.
    """

    batches: int = 0
    totals: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    waited: float = 0.0


@dataclass
class UnreadTerms:
    """The terms of the loss of a step that may still be computed.

    Args:
        step: Number of the step in the run, from 0.
        indices: Of the images in its batch.
        terms: Scalar tensors by name.
    """

    step: int
    indices: Any
    terms: Mapping[str, Any]


@dataclass
class Run:
    """What a run works with, and how far it has come.

    Args:
        prepared: Checked data and the architecture.
        plan: What happens when; holds the settings.
        folder: Where files go.
        trainer: The networks, the optimizer and the compiled step.
        validator: None without validation images.
        callbacks: Keras callbacks.
        say: Is called with each line of text for the user.
        show_progress: Whether progress bars are shown.
        epoch: Epochs that are finished.
        best_epoch: Epoch whose weights are in `best.h5`; 0 before the first ones.
        best_detections: Those of these weights in each validation image; None where another process has evaluated them.
        loaded_layers: Names of the layers with pretrained weights.
        warned: Rules of `yolo3.training.advice` that have spoken.
        progress: How far the epoch that is being trained has come.
        unread: Terms of the loss of its last step, which are not yet among the totals; None where all are.
        stop: Whether the run has been asked to stop.
        statistics: The training images that batch statistics are estimated over, once `open_batches` has been called.
        last_saved: When the state was last written, in seconds of `time.perf_counter`.
        seconds_saving: How long writing it took.
        timing: Where the time goes.
        drawing: What is drawn while steps go on.
    """

    prepared: Prepared
    plan: RunPlan
    folder: RunFolder
    trainer: Trainer
    validator: Validator | None
    callbacks: keras.callbacks.CallbackList
    say: Callable[[str], None] = print
    show_progress: bool = True
    epoch: int = 0
    best_epoch: int = 0
    best_detections: list[Detections] | None = None
    loaded_layers: list[str] = field(default_factory=list)
    warned: set[str] = field(default_factory=set)
    progress: EpochProgress = field(default_factory=EpochProgress)
    unread: UnreadTerms | None = None
    stop: StopRequest = field(default_factory=StopRequest)
    statistics: StatisticsImages | None = None
    last_saved: float = -math.inf
    seconds_saving: float = 0.0
    timing: Timing = field(default_factory=Timing)
    drawing: Drawing = field(default_factory=Drawing)

    @property
    def config(self) -> TrainConfig:
        """The settings."""
        return self.plan.config

    @property
    def architecture(self) -> Architecture:
        """What the outputs of the networks mean."""
        return self.prepared.architecture

    @property
    def is_over(self) -> bool:
        """Whether all epochs are trained, or AP stands."""
        return self.epoch >= self.plan.epochs or self.stands

    @property
    def stands(self) -> bool:
        """Whether AP has not risen in as many evaluations, of the whole network in training, as the settings allow."""
        if self.config.patience is None:
            return False
        frozen = self.plan.frozen_epochs(pretrained=bool(self.loaded_layers))
        rows = [row for row in self.folder.rows if row["epoch"] > frozen]
        return evaluations_since_best(rows) >= self.config.patience

    @property
    def best_row(self) -> dict:
        """Row of the log of the weights in `best.h5`; empty before the first ones."""
        return row_of_epoch(self.folder.rows, self.best_epoch)


def build_run(
    config: TrainConfig,
    prepared: Prepared,
    folder: RunFolder,
    *,
    callbacks: Iterable[keras.callbacks.Callback] = (),
    say: Callable[[str], None] = print,
    show_progress: bool = True,
    stop: StopRequest | None = None,
    timing: Timing | None = None,
) -> Run:
    """Build the networks of a run, with random weights that depend on the seed; nothing is written yet.

    Args:
        config: Settings.
        prepared: As `yolo3.training.preparation.prepare` returns it for `config`.
        folder: Where the run will be.
        callbacks: Keras callbacks; they see the network that is trained.
        say: Is called with each line of text for the user.
        show_progress: Whether to show progress bars.
        stop: Whether the run has been asked to stop, from :func:`yolo3.training.stopping.stop_signals`.
        timing: Where the time went before.

    Raises:
        ValueError: When decoded images are to be kept on a disk without room for them; where the batch size is to fit
            into memory, when not even one image does.
    """
    if config.cache == "disk":
        check_room(prepared.train, max(config.input_size), folder.path)
    stop = stop or StopRequest()
    if config.fit_batch:
        config = fit_batch_size(config, prepared, say=say, check=stop.check)
    plan = RunPlan(fit_length(config, len(prepared.train)), len(prepared.train))
    keras.utils.set_random_seed(config.seed)
    trainer = Trainer(plan.config, prepared.architecture, plan.total_steps)
    return Run(
        prepared=prepared,
        plan=plan,
        folder=folder,
        trainer=trainer,
        validator=Validator(trainer, prepared.val, prepared.class_names) if prepared.val else None,
        callbacks=keras.callbacks.CallbackList(list(callbacks), model=trainer.network),
        say=say,
        show_progress=show_progress,
        stop=stop,
        timing=timing or Timing(),
    )


def open_store(run: Run) -> ImageStore:
    """Open the training images of a run, decoded ones in memory or in its folder as its settings say."""
    return open_images(
        run.prepared.train,
        largest_side=max(run.config.input_size),
        cache=run.config.cache,
        folder=run.folder.decoded,
        show_progress=run.show_progress,
    )


def open_batches(run: Run, store: ImageStore) -> Iterator:
    """Iterate over the batches from where the run stands to its end; mosaic ends where its settings say.

    On a GPU the next batches are copied to it during a step. With several replicas a batch has a part for each.

    Raises:
        ValueError: When a batch has fewer images than there are replicas.
    """
    config, strategy = run.config, run.trainer.strategy
    run.statistics = StatisticsImages(run.plan, store, stride=run.architecture.stride)

    def batches_of(part: BatchPart):
        return training_batches(
            store,
            batch_size=run.plan.batch_size,
            input_shape=config.input_size,
            stride=run.architecture.stride,
            augmentation=config.augment,
            seed=config.seed,
            epochs=range(run.epoch, run.plan.epochs),
            first_batch=run.progress.batches,
            resize=config.resize,
            scales=config.multi_scale,
            workers=config.workers,
            mosaic_end=config.augment.mosaic_end(run.plan.epochs),
            part=part,
        )

    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        device = accelerator()
        batches = batches_of(WHOLE)
        return iter(batches.apply(tf.data.experimental.prefetch_to_device(device)) if device else batches)
    if run.plan.batch_size < replicas:
        raise ValueError(
            f"batch_size: expected an image or more for each of {replicas} devices, got {run.plan.batch_size} in all"
        )

    def batches_here(context):
        here = replicas // context.num_input_pipelines
        # without an end, so that the replicas need not ask each other at each step whether there is a batch
        return batches_of(BatchPart(replicas, context.input_pipeline_id * here, here)).repeat()

    return iter(strategy.distribute_datasets_from_function(batches_here))


def update_inference_network(run: Run) -> None:
    """Give the inference network the averaged weights, with batch statistics over images of the present epoch.

    Raises:
        Stopped: When the run is asked to stop, between two batches.
    """
    if run.statistics is None:
        return run.trainer.update_inference_network()
    batches = run.statistics.of_epoch(run.epoch)

    def images() -> Iterator[tf.Tensor]:
        for batch in batches:
            run.stop.check()
            yield batch

    run.trainer.update_inference_network(images())
