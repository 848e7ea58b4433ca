"""The processes that train together, one on each host, as what starts them says in the environment.

TF_CONFIG is set by hand, by Kubeflow's TFJob and by Ray Train; `srun` of Slurm sets variables of its own.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf

_EXPECTED = 'expected JSON such as {"cluster": {"worker": ["a:22", "b:22"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Task:
    """One of the processes that train together.

    Args:
        number: 0 is the first, which alone writes and speaks.
        count: How many there are.
        starter: "TF_CONFIG" or "Slurm"; empty for a process by itself.
    """

    number: int = 0
    count: int = 1
    starter: str = ""

    @property
    def is_first(self) -> bool:
        """Whether this process writes the run folder and speaks to the user."""
        return self.number == 0

    def resolver(self) -> tf.distribute.cluster_resolver.ClusterResolver:
        """Return what tells TensorFlow where the other processes are."""
        import tensorflow as tf

        resolvers = tf.distribute.cluster_resolver
        if self.starter == "TF_CONFIG":
            return resolvers.TFConfigClusterResolver()
        # It lists as many tasks of a node as that has GPUs. Which of them a task sees is left to Slurm, by
        # --gpus-per-task, and to the devices of the run.
        return resolvers.SlurmClusterResolver(gpus_per_node=self.count, gpus_per_task=1, auto_set_gpu=False)


def check_same(strategy: tf.distribute.Strategy, task: Task, **facts: str | int) -> None:
    """Check that all processes agree before they train together.

    Args:
        strategy: The strategy that they share.
        task: Which of them this is.
        **facts: What has to be the same in all of them, by what it is called.

    Raises:
        ValueError: Naming the first fact that is not.
    """
    if task.count == 1:
        return
    import tensorflow as tf

    own = [zlib.crc32(str(value).encode("utf-8", "surrogatepass")) for value in facts.values()]
    every = strategy.gather(strategy.run(lambda: tf.constant([own], tf.int64)), 0).numpy()  # [replicas, facts]
    for place, name in enumerate(facts):
        if len(set(every[:, place].tolist())) > 1:
            raise ValueError(
                f"{name}: expected the same in all {task.count} processes, got others; for runs of their own start "
                "each with TF_CONFIG={}"
            )


def task_of_environment() -> Task:
    """Return which process of how many this is.

    Raises:
        ValueError: When TF_CONFIG is not what TensorFlow's documentation says, or names roles besides chief and worker.
    """
    if text := os.environ.get("TF_CONFIG"):
        return _task_of_config(text)
    count, number = os.environ.get("SLURM_STEP_NUM_TASKS", "1"), os.environ.get("SLURM_PROCID", "0")
    if count.isdecimal() and number.isdecimal() and int(count) > 1:  # set by srun, for each of several tasks
        return Task(int(number), int(count), "Slurm")
    return Task()


def _task_of_config(text: str) -> Task:
    try:
        config = json.loads(text)
        cluster, task = config.get("cluster", {}), config.get("task", {"type": "worker", "index": 0})
        hosts = [("chief", place) for place in range(len(cluster.get("chief", ())))]
        hosts += [("worker", place) for place in range(len(cluster.get("worker", ())))]
        if not hosts and not cluster:
            return Task()
        number = hosts.index((task["type"], int(task["index"])))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(f"TF_CONFIG: {_EXPECTED}, got {text[:200]}") from None
    if others := set(cluster) - {"chief", "worker"}:
        raise ValueError(f"TF_CONFIG: expected the roles chief and worker alone, got {', '.join(sorted(others))} too")
    return Task(number, len(hosts), "TF_CONFIG") if len(hosts) > 1 else Task()
