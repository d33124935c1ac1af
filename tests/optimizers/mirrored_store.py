"""Grow, reset and scatter a store on two replicas and save what each holds.

This is a separate program because two CPUs must be configured before TensorFlow starts.
"""

import sys

import numpy as np
import tensorflow as tf

from optimizers import VariableRows

OLD, NEW, DIM = 5, 9, 3


def arrays(rows, seed):
    random = np.random.default_rng(seed)
    return [random.normal(size=(rows, width)).astype(np.float32) for width in (DIM, 1)]


def store_of(values):
    weight, touches = (tf.Variable(array) for array in values)
    return VariableRows(weight, {"touches": touches}), (weight, touches)


def grown_on_replicas(strategy):
    """Return weight and state of each replica after growth, a reset, and scatters outside and inside of replicas."""
    small, _ = store_of(arrays(OLD, seed=1))
    with strategy.scope():
        large, variables = store_of(arrays(NEW, seed=2))
    large.grow(small, {"touches": 3.0})
    large.reset(tf.constant([1]), {"touches": 4.0})
    large.view(2, 4).scatter(tf.constant([0, 3]), tf.ones([2, DIM]), 7 * tf.ones([2, 1]))

    def double(weight, rows):  # the way Keras updates a variable
        own = VariableRows(weight, {"touches": variables[1]})
        own.scatter(rows, *(2 * value for value in own.gather(rows)))

    @tf.function
    def step():
        context = tf.distribute.get_replica_context()
        context.merge_call(lambda merged: merged.extended.update(variables[0], double, args=(tf.constant([0, 8]),)))

    strategy.run(step)
    copies = [strategy.experimental_local_results(variable) for variable in variables]
    return [[copy.numpy() for copy in replica] for replica in zip(*copies, strict=True)]


if __name__ == "__main__":
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    replicas = grown_on_replicas(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))
    np.savez(
        sys.argv[1],
        **{
            f"{place}/{name}": one
            for place, all_of in enumerate(replicas)
            for name, one in zip("ws", all_of, strict=True)
        },
    )
