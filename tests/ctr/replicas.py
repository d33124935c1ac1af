"""Train or resume experiments in a process with two CPUs, one after another.

python -m tests.ctr.replicas CONFIG RUN_FOLDER STEP [KEY=VALUE]... [-- RUN_FOLDER STEP [KEY=VALUE]...]...

The process gets a SIGTERM after STEP, 0 for none. An interrupted run is named on stderr, and the next run starts. All
runs need the same model: each numbers its sums over replicas from 1, and TensorFlow treats equal numbers as one sum.
"""

import signal
import sys
from itertools import groupby

import tensorflow as tf
import tf_keras

import ctr
from ctr.errors import Interrupted
from models import MODELS
from tests.ctr.undrawn import undrawn
from tests.toy_towers import TOYS


def train(config, folder, last, *overrides):
    def end(batch, logs):
        if batch + 1 == int(last):
            signal.raise_signal(signal.SIGTERM)

    callback = tf_keras.callbacks.LambdaCallback(on_batch_end=end)
    try:
        ctr.train(ctr.load_experiment(config, overrides), folder, resume=True, callbacks=[callback])
    except Interrupted as interrupted:
        print(f"Interrupted: {interrupted}", file=sys.stderr)


if __name__ == "__main__":
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    config, *runs = sys.argv[1:]
    MODELS.update(TOYS)
    with undrawn():
        for is_training, words in groupby(runs, "--".__ne__):
            if is_training:
                train(config, *words)
