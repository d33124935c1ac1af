"""A small click log and an experiment on it, which trains in seconds."""

import os
from functools import cache

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tf_keras
import yaml

from ctr.config.experiment import load_experiment
from features import open_data

THREADS = 2
tf.config.threading.set_intra_op_parallelism_threads(THREADS)  # before TensorFlow starts
tf.config.threading.set_inter_op_parallelism_threads(THREADS)


@cache
def click_log(rows=1200, seed=0):
    """Return columns of every kind, where users 0-3 click on items 0-4 and users 4-7 on items 5-9."""
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 8, rows), rng.integers(0, 10, rows)
    price = rng.lognormal(0, 1, rows)
    logit = np.where((user < 4) == (item < 5), 1.5, -1.5) + 0.3 * np.log1p(price) - 0.3
    history = [rng.integers(0, 10, rng.integers(0, 6)).tolist() for _ in range(rows)]
    return pa.table(
        {
            "ts": pa.array(np.arange(rows) * 60_000_000, pa.timestamp("us", tz="UTC")),
            "user": pa.array(user, pa.int64()),
            "item": pa.array([f"item {k}" for k in item]),
            "history": pa.array([[f"item {k}" for k in one] for one in history]),
            "price": pa.array(price, mask=rng.random(rows) < 0.1),
            "w": pa.array(rng.uniform(0.5, 2, rows).astype(np.float32)),
            "clicked": pa.array((rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int8)),
        }
    )


CONFIG = """
name: tiny
seed: 3
data:
  path: {data}
  split: {{by: time, column: ts, fractions: [0.6, 0.2, 0.2]}}
  label: clicked
  keep: [ts]
features:
  defaults: {{dim: 4}}
  columns:
    user: {{}}
    item: {{}}
    history: {{type: sequence, table: item, max_length: 4}}
    hour: {{column: ts, part: hour}}
    price: {{type: numeric, transform: log1p, missing_indicator: true}}
model: {{type: dcn_v2, cross_layers: 1, hidden: [8], dropout: 0.1, initializer: {{tables: 0.3}}}}
optimizers:
  sparse: {{"*": {{type: rmsprop_v2, learning_rate: 0.3, l2_gradient: 0.001}}}}
  dense: {{type: adam, learning_rate: 0.01}}
training: {{batch_size: 64, epochs: 3, threads: {threads}, device: cpu}}
"""


def write_clicks(folder):
    """Write the click log as three files of two row groups each, in a new folder, and return the folder."""
    folder.mkdir()
    for k in range(3):
        pq.write_table(click_part(k), folder / f"part-{k}.parquet", row_group_size=200)
    return folder


def click_part(k):
    """Return one third of the click log."""
    return click_log().slice(400 * k, 400)


def swap_two_labels(path):
    """Swap the labels of two neighbors in a file of `write_clicks` so that it keeps its size and footer."""
    table, before, footer = click_part(int(path.stem[-1])), path.read_bytes(), open_data(str(path))[0].file.footer
    place = table.column_names.index("clicked")
    for row in range(table.num_rows - 1):
        labels = table["clicked"].to_pylist()
        labels[row], labels[row + 1] = labels[row + 1], labels[row]
        changed = table.set_column(place, table.schema.field(place), pa.array(labels, table.schema.field(place).type))
        pq.write_table(changed, path, row_group_size=200)
        if open_data(str(path))[0].file.footer == footer and path.read_bytes() != before:
            return
    pytest.fail(f"no two labels of {path} can be swapped so")


def write_config(path, data):
    """Write the experiment on the files of a folder and return the path of its YAML file."""
    path.write_text(CONFIG.format(data=data, threads=THREADS))
    return path


@pytest.fixture
def data_folder(tmp_path):
    """Write the click log as three files of two row groups each and return the folder."""
    return write_clicks(tmp_path / "clicks")


@pytest.fixture
def config(tmp_path, data_folder):
    """Write the experiment's YAML file and return its path."""
    return write_config(tmp_path / "tiny.yaml", data_folder)


@pytest.fixture
def make_experiment(config):
    """Return a function that reads the experiment, with settings changed as by `--set`."""
    return lambda *overrides: load_experiment(config, list(overrides))


@pytest.fixture
def edit_config(config):
    """Return a function that rewrites the YAML file by a function on its values."""

    def edit(change):
        values = yaml.safe_load(config.read_text())
        change(values)
        config.write_text(yaml.safe_dump(values))
        return config

    return edit


@pytest.fixture
def mixed_bfloat16():
    """Set the Keras policy so that layers made in the test compute in bfloat16."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    yield
    tf_keras.mixed_precision.set_global_policy(before)
