"""The replicas of this process among all that train together, and what the processes gather from each other."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def own_replicas(strategy: tf.distribute.Strategy) -> list[int]:
    """Return the numbers of the replicas in this process, among those of all processes."""
    numbers = strategy.experimental_distribute_values_from_function(lambda context: context.replica_id_in_sync_group)
    return [int(number) for number in strategy.experimental_local_results(numbers)]


def gather_rows(strategy: tf.distribute.Strategy, rows: np.ndarray) -> np.ndarray:
    """Return the rows of all processes, in each of them; all have to call it.

    Args:
        strategy: The strategy that they share.
        rows: float64 [N, C], those of this process; N may differ and be 0.

    Returns:
        float64 [all N, C], ordered by the first column; rows that are equal in it stay in their order.
    """
    own = own_replicas(strategy)
    if len(own) < strategy.num_replicas_in_sync:
        # TensorFlow ends a process where no replica brings a row, and traces its exchange anew for each number of them.
        padded = np.full((1 << len(rows).bit_length(), rows.shape[1]), np.nan)
        padded[: len(rows)] = rows

        def of_replica(context):
            is_first = context.replica_id_in_sync_group == own[0]
            return tf.constant(padded if is_first else padded[:1] * np.nan)

        rows = strategy.gather(strategy.experimental_distribute_values_from_function(of_replica), 0).numpy()
        rows = rows[~np.isnan(rows[:, 0])]
    return rows[np.argsort(rows[:, 0], kind="stable")]
