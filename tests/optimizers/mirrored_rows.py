"""Train every case on two replicas and save the variables of both.

This is a separate program because two CPUs must be configured before TensorFlow starts.
"""

import sys

import numpy as np
import tensorflow as tf

from tests.optimizers.row_cases import CASES
from tests.optimizers.streams import DIM, ROWS, start, stream

STEPS = 6


def batches_of_replicas():
    """Return, for each step, (rows, gradients) of both replicas; they share many rows."""
    return list(zip(stream(STEPS, seed=1), stream(STEPS, seed=2), strict=True))


def rows_on_replicas(case):
    """Return weight and state of each row, concatenated, on each replica: [replicas, rows, numbers]."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    with strategy.scope():
        table, optimizer = tf.Variable(start()), case.make()
        optimizer.build([table])

    def on_replica(rows, gradients):
        optimizer.apply_gradients([(tf.IndexedSlices(gradients, rows, tf.constant([ROWS, DIM])), table)])

    @tf.function
    def step(rows, gradients):
        strategy.run(on_replica, (rows, gradients))

    for batches in batches_of_replicas():
        step(
            *(
                strategy.experimental_distribute_values_from_function(values_of(part))
                for part in zip(*batches, strict=True)
            )
        )

    by_row = [v for v in (table, *optimizer.variables) if v.shape[:1] == (ROWS,)]
    copies = [strategy.experimental_local_results(v) for v in by_row]
    return np.stack([np.concatenate([v.numpy() for v in replica], axis=1) for replica in zip(*copies, strict=True)])


def values_of(arrays):
    return lambda context: tf.constant(arrays[context.replica_id_in_sync_group])


if __name__ == "__main__":
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    np.savez(sys.argv[1], **{name: rows_on_replicas(case) for name, case in CASES.items()})
