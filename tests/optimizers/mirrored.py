"""Train with every tower optimizer on two replicas and write the weights of both.

This is a separate program because logical devices must be configured before TensorFlow starts.
"""

import sys

import numpy as np
import tensorflow as tf

from tests.optimizers.dense_cases import CASES, gradients, variables


def mirrored(optimizer_of, strategy):
    """Return the weights of both replicas after steps on gradients that sum to those of `gradients`."""
    with strategy.scope():
        some, optimizer = variables(), optimizer_of()
        optimizer.build(some)

    def replica_step(grads):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        share = tf.gather([2.0, -1.0], replica)  # the sum equals the gradient bit for bit
        optimizer.apply_gradients([(share * gradient, v) for gradient, v in zip(grads, some, strict=True)])

    @tf.function
    def step(*grads):
        strategy.run(replica_step, [grads])

    for grads in gradients(12):
        step(*map(tf.constant, grads))
    return [np.stack([copy.numpy() for copy in strategy.experimental_local_results(v)]) for v in some]


if __name__ == "__main__":
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    weights = {name: mirrored(case.optimizer, strategy) for name, case in CASES.items()}
    np.savez(
        sys.argv[1], **{f"{name}/{place}": w for name, all_of in weights.items() for place, w in enumerate(all_of)}
    )
