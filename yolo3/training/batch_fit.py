"""The batch size that memory holds, with as many images in an update as asked for (`--batch-size auto`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from yolo3.input.epoch_plan import scaled_size
from yolo3.input.settings import MOSAIC_IMAGES
from yolo3.training.batch_trial import Trial, address_space_of_a_step, shortage
from yolo3.training.preparation import Prepared
from yolo3.training.settings import TrainConfig


def fit_batch_size(
    config: TrainConfig,
    prepared: Prepared,
    *,
    say: Callable[[str], None] = print,
    check: Callable[[], None] = lambda: None,
    shortage_of: Callable[[Trial], str] | None = None,
) -> TrainConfig:
    """Return settings with the largest batch size that memory holds; more steps make up an update instead.

    One step of the whole network is tried at the largest input size of the run, in a process of its own.

    Args:
        config: Settings; an update has `batch_size` x `accumulate` images before and after, where there are as many.
        prepared: What is trained on.
        say: Is called with one line on what was chosen.
        check: Is called now and then; what it raises ends the search.
        shortage_of: Returns why memory does not hold a step, "" if it does; for tests.

    Raises:
        ValueError: When memory does not hold a step of one image.
    """
    per_update = min(config.batch_size, len(prepared.train)) * config.accumulate
    input_size, num_boxes = largest_size(config, prepared.architecture.stride), most_boxes(config, prepared)
    address_space = address_space_of_a_step()
    try_step = shortage_of or (lambda trial: shortage(trial, check=check))

    too_large: dict[int, str] = {}
    for batch_size in batch_sizes(per_update):
        steps = per_update // batch_size
        fitted = dataclasses.replace(config, batch_size=batch_size, accumulate=steps, fit_batch=False)
        reason = try_step(
            Trial(
                fitted,
                prepared.architecture,
                input_size,
                num_classes=max(len(prepared.class_names), 1),
                num_boxes=num_boxes,
                address_space=address_space,
            )
        )
        if not reason:
            say(_chosen(fitted, too_large))
            return fitted
        too_large[batch_size] = reason
    raise ValueError(
        f"--batch-size auto: expected memory for a step of one image of {input_size[1]}x{input_size[0]}, got too "
        f"little ({reason}); lower --input-size, or choose a smaller network"
    )


def batch_sizes(per_update: int) -> list[int]:
    """Return the batch sizes to try: all images of an update at once, then at most half of the last, down to one.

    Each divides the images of an update, such as 12, 6, 3, 1 for 12.
    """
    sizes = [per_update]
    while sizes[-1] > 1:
        sizes.append(max(size for size in range(1, sizes[-1] // 2 + 1) if per_update % size == 0))
    return sizes


def largest_size(config: TrainConfig, stride: int) -> tuple[int, int]:
    """Return the largest (height, width) of the network input in a run, in pixels."""
    height, width = scaled_size(config.input_size, max(config.multi_scale, default=1.0), stride).astype(int)
    return max(config.input_size[0], int(height)), max(config.input_size[1], int(width))


def most_boxes(config: TrainConfig, prepared: Prepared) -> int:
    """Return the largest number of boxes that an example of a run may have."""
    most = max((len(annotation.boxes) for annotation in prepared.train), default=0)
    return max(most * (MOSAIC_IMAGES if config.augment.mosaic else 1), 1)


def _chosen(config: TrainConfig, too_large: dict[int, str]) -> str:
    line = f"Batch size {config.batch_size}"
    if config.accumulate > 1:
        line += f", {config.accumulate} steps for each update of {config.batch_size * config.accumulate} images"
    if not too_large:
        return f"{line}: memory holds a training step of them."
    sizes = " and ".join(map(str, too_large))
    return f"{line}: memory holds no step of {sizes} ({list(too_large.values())[-1]})."
