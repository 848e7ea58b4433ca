"""The devices that a run computes on, and the strategy of `tf.distribute` that spreads its batches over them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from yolo3.training.cluster import Task

if TYPE_CHECKING:
    import tensorflow as tf

ALONE = Task()

DEVICES = "auto, cpu, a number of GPUs, or the numbers of GPUs such as 0,1,3"
_PROCESSOR = re.compile(r"cpu(?::([1-9]\d{0,2}))?")


def check_devices(devices: str) -> str:
    """Return a value of `devices` as it is written, such as "auto", "cpu", "2" or "0,1,3".

    Raises:
        ValueError: For anything else.
    """
    numbers = re.fullmatch(r"\d+(,\d+)*", devices)
    if devices == "auto" or _PROCESSOR.fullmatch(devices) or (numbers and devices.strip("0")):
        if "," not in devices or len(set(devices.split(","))) == devices.count(",") + 1:
            return devices
    raise ValueError(f"expected {DEVICES}, got {devices}")


def build_strategy(devices: str | None, task: Task = ALONE) -> tf.distribute.Strategy:
    """Choose devices; to be called before TensorFlow computes anything.

    Args:
        devices: "auto": every GPU, or the processor where there is none. "cpu": the processor; "cpu:2" as two replicas,
            to try what several devices do. "2": the first two GPUs. "0,1,3": these GPUs. None: the first GPU, or the
            processor.
        task: Which process of how many that train together this is. With several, the devices are those of each.

    Returns:
        The default strategy for one device, `tf.distribute.MirroredStrategy` for several, and
        `tf.distribute.MultiWorkerMirroredStrategy` for those of several processes.

    Raises:
        ValueError: For GPUs that there are not, and when TensorFlow has begun to compute on other devices.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if devices is None and task.count == 1:
        return tf.distribute.get_strategy()
    if devices is None:
        devices = "1" if gpus else "cpu"
    if devices == "auto":
        devices = str(len(gpus)) if gpus else "cpu"

    processor = _PROCESSOR.fullmatch(devices)
    if processor and processor[1] and task.count > 1:
        raise ValueError(f"devices: expected cpu, or GPUs, in each of {task.count} processes, got {devices}")
    names = _choose(devices, gpus)
    if task.count > 1:
        return tf.distribute.MultiWorkerMirroredStrategy(task.resolver())
    return tf.distribute.MirroredStrategy(names) if len(names) > 1 else tf.distribute.get_strategy()


def _choose(devices: str, gpus: list) -> list[str]:
    """Make these devices those that TensorFlow sees; return their names."""
    import tensorflow as tf

    processor = _PROCESSOR.fullmatch(devices)
    try:
        if processor:
            replicas = int(processor[1] or 1)
            tf.config.set_visible_devices([], "GPU")
            if replicas > 1:
                parts = [tf.config.LogicalDeviceConfiguration() for _ in range(replicas)]
                tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
            return [f"CPU:{number}" for number in range(replicas)]
        numbers = [int(part) for part in devices.split(",")] if "," in devices else list(range(int(devices)))
        if max(numbers) >= len(gpus):
            raise ValueError(f"devices: expected GPUs of this machine, which has {len(gpus) or 'none'}, got {devices}")
        tf.config.set_visible_devices([gpus[number] for number in numbers], "GPU")
        return [f"GPU:{place}" for place in range(len(numbers))]
    except RuntimeError as error:
        raise ValueError(f"devices: expected a choice before TensorFlow computes, got {devices} after it") from error
