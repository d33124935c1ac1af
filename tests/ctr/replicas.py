"""Train an experiment in a process that has two CPUs, or go on with it; after a step, 0 for none, comes a SIGTERM.

python -m tests.ctr.replicas CONFIG RUN_FOLDER STEP [KEY=VALUE]...
"""

import signal
import sys

import tensorflow as tf
import tf_keras

import ctr

if __name__ == "__main__":
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    config, folder, last, *overrides = sys.argv[1:]

    def end(batch, logs):
        if batch + 1 == int(last):
            signal.raise_signal(signal.SIGTERM)

    callback = tf_keras.callbacks.LambdaCallback(on_batch_end=end)
    ctr.train(ctr.load_experiment(config, overrides), folder, resume=True, callbacks=[callback])
