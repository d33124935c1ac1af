"""Train an experiment in a process that has two CPUs.

python -m tests.ctr.replicas CONFIG RUN_FOLDER [KEY=VALUE]...
"""

import sys

import tensorflow as tf

import ctr

if __name__ == "__main__":
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    config, folder, *overrides = sys.argv[1:]
    ctr.train(ctr.load_experiment(config, overrides), folder)
