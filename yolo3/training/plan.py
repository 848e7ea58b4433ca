"""What happens when in a run, worked out before its first step: batches, updates, learning rates, phases."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from yolo3.training.schedules import default_burn_in, learning_rate, rescale_steps
from yolo3.training.settings import DEFAULT_EPOCHS, EVALUATIONS, FROZEN_PART, LEAST_UPDATES, TrainConfig


@dataclass(frozen=True)
class RunPlan:
    """The course of a run. A step is a batch; `accumulate` steps make an update.

    Args:
        config: Settings whose length `fit_length` has resolved.
        num_images: Images to train on.
    """

    config: TrainConfig
    num_images: int

    @property
    def batch_size(self) -> int:
        """Images per step: `batch_size`, or all images if there are fewer."""
        return min(self.config.batch_size, self.num_images)

    @property
    def steps_per_epoch(self) -> int:
        """Steps that show every image once."""
        return math.ceil(self.num_images / self.batch_size)

    @property
    def epochs(self) -> int:
        """Passes over the images."""
        assert self.config.epochs is not None, "fit_length resolves it"
        return self.config.epochs

    @property
    def total_steps(self) -> int:
        """Steps of the run."""
        return self.steps_per_epoch * self.epochs

    @property
    def total_updates(self) -> int:
        """Updates of the run."""
        return math.ceil(self.total_steps / self.config.accumulate)

    @property
    def burn_in(self) -> int:
        """Updates of the warm-up."""
        return default_burn_in(self.total_updates) if self.config.burn_in is None else self.config.burn_in

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step (0 is the first); all steps of an update share one."""
        return learning_rate(
            step // self.config.accumulate,
            total=self.total_updates,
            base=self.config.learning_rate,
            schedule=self.config.schedule,
            burn_in=self.burn_in,
            burn_in_power=self.config.burn_in_power,
            steps=self.config.rate_steps,
        )

    def frozen_epochs(self, pretrained: bool) -> int:
        """Return how many epochs the backbone stays frozen, by default a tenth of the run if it is pretrained."""
        if self.config.freeze_epochs is not None:
            return self.config.freeze_epochs
        return max(self.epochs // FROZEN_PART, 1) if pretrained and self.epochs > 1 else 0

    def evaluates_after(self, epoch: int) -> bool:
        """Return whether the network is evaluated, and its weights are saved, after epoch number `epoch` (from 1)."""
        every = self.config.evaluate_every or max(self.epochs // EVALUATIONS, 1)
        return epoch == self.epochs or epoch % every == 0


def fit_length(config: TrainConfig, num_images: int) -> TrainConfig:
    """Resolve the length of a run: `epochs`, and `max_batches`, the length that a recipe is meant for.

    Args:
        config: Settings. With `max_batches` and 0 `epochs` the run gets as many epochs as the recipe takes; with both,
            the warm-up and the steps of the schedule are rescaled to the epochs. With neither it gets the default
            number of epochs, or more where the images are few.
        num_images: Images to train on.

    Returns:
        The settings with `epochs` a number and `max_batches` None.
    """
    steps_per_epoch = math.ceil(num_images / min(config.batch_size, num_images))
    if config.epochs is None:
        enough = math.ceil(LEAST_UPDATES * config.accumulate / steps_per_epoch)
        config = dataclasses.replace(config, epochs=max(DEFAULT_EPOCHS, enough))
    if config.max_batches is None:
        return config
    if not config.epochs:
        epochs = math.ceil(config.max_batches * config.accumulate / steps_per_epoch)
        return dataclasses.replace(config, epochs=epochs, max_batches=None)

    updates = math.ceil(steps_per_epoch * config.epochs / config.accumulate)
    steps = rescale_steps(config.rate_steps, from_total=config.max_batches, to_total=updates)
    burn_in = min(config.burn_in or 0, default_burn_in(updates))
    return dataclasses.replace(config, rate_steps=steps, burn_in=burn_in, max_batches=None)
