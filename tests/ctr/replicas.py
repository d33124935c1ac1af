"""Train experiments in a process that has two CPUs, or go on with them, one after another.

python -m tests.ctr.replicas CONFIG RUN_FOLDER STEP [KEY=VALUE]... [-- RUN_FOLDER STEP [KEY=VALUE]...]...

After a step, 0 for none, comes a SIGTERM; a run that it ends is named on stderr, and the next one begins. All must be
of one model: each training counts the sums of its replicas from 1, and TensorFlow takes those of one number for one.
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
    config, *trainings = sys.argv[1:]
    MODELS.update(TOYS)
    with undrawn():
        for is_training, words in groupby(trainings, "--".__ne__):
            if is_training:
                train(config, *words)
