"""A tower with two streams reads shared or separate tables as NumPy would, and updates only the rows it looked up."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from models import CTRModel, Field, Inputs, Table, Tower, with_streams
from optimizers import Adagrad, Router

USERS, ITEMS, DIM = 12, 9, 3
INPUTS = Inputs(
    tables=(Table("user", USERS, DIM), Table("item", ITEMS, DIM)),
    fields=(
        Field("user", "user", column=0),
        Field("item", "item", column=1),
        Field("history", "item", sequence="history", pooling="mean"),
        Field("price", "item", column=1, scale=1),
    ),
    numerics=("age", "price"),
    plain=(0,),
)
FIELDS = ["user", "item", "history", "price"]
SHARED, SEPARATE = False, True
both = pytest.mark.parametrize("separate", [SHARED, SEPARATE], ids=["shared", "separate"])


class TwoStreams(Tower):
    """logit = w . (left * right) + b + the plain numeric; the fields of both streams are multiplied elementwise."""

    def __init__(self, separate, streams=(("left", None), ("right", None))):
        super().__init__(name="two_streams")
        self.separate, self._streams = separate, dict(streams)
        start = tf_keras.initializers.GlorotUniform(seed=1)
        self.head = tf_keras.layers.Dense(1, name="head", kernel_initializer=start)

    @property
    def blocks(self):
        return {"head": [self.head]}

    def extend(self, inputs):
        return with_streams(inputs, self._streams, self.separate)

    def call(self, x0, step, right, training=False):
        width = right.shape[1]
        return tf.squeeze(self.head(x0[:, :width] * right), axis=1) + x0[:, width]


def a_batch(size=5, seed=1):
    random = np.random.default_rng(seed)
    return {
        "ids": np.stack([random.integers(3, 6, size), random.integers(3, ITEMS, size)], axis=1).astype(np.int32),
        "numerics": random.normal(size=[size, 2]).astype(np.float32),
        "sequences/history": random.integers(3, 5, [size, 4]).astype(np.int32),
        "lengths/history": random.integers(0, 5, size).astype(np.int32),
        "label": random.integers(0, 2, size).astype(np.float32),
        "weight": random.uniform(0.5, 2, size).astype(np.float32),
    }


def tensors(batch):
    return {key: tf.constant(value) for key, value in batch.items()}


def table_of(model, name):
    return np.concatenate(list(model.tables.table_blocks(name))).astype(np.float64)


def vectors(model, batch, prefix, names=FIELDS):
    """Return the concatenated vectors of some fields, float64, from the tables of a stream."""
    user, item = table_of(model, f"{prefix}user"), table_of(model, f"{prefix}item")
    past = [item[ids[:n]].mean(axis=0) if n else np.zeros(DIM) for ids, n in zip(*histories(batch), strict=True)]
    users, items = batch["ids"].T
    found = {"user": user[users], "item": item[items], "history": np.array(past)}
    found["price"] = item[items] * batch["numerics"][:, 1:]
    return np.hstack([found[name] for name in names])


def histories(batch):
    return batch["sequences/history"], batch["lengths/history"]


@both
def test_logits_are_those_of_numpy(separate):
    model, batch = CTRModel(INPUTS, TwoStreams(separate), stddev=0.5), a_batch()
    left, right = (vectors(model, batch, f"{stream}/" if separate else "") for stream in ("left", "right"))
    kernel, bias = (variable.numpy().astype(np.float64) for variable in model.tower.head.variables)
    expected = (left * right) @ kernel[:, 0] + bias + batch["numerics"][:, 0]
    np.testing.assert_allclose(model(tensors(batch)), expected, rtol=1e-5)


@both
def test_the_tables_are_the_features_or_one_for_each_stream(separate):
    model = CTRModel(INPUTS, TwoStreams(separate))
    sizes = {"user": (USERS, DIM), "item": (ITEMS, DIM)}
    expected = {f"{stream}/{name}": size for stream in ("left", "right") for name, size in sizes.items()}
    assert {t.name: (t.rows, t.dim) for t in model.tables.inputs.tables} == (expected if separate else sizes)
    assert model.tables.inputs.numerics == INPUTS.numerics


def test_tables_of_streams_start_each_in_its_own_way():
    model = CTRModel(INPUTS, TwoStreams(SEPARATE), stddev=0.5)
    left, right = table_of(model, "left/user"), table_of(model, "right/user")
    assert not left[:3].any()
    assert not np.isin(left[3:], right[3:]).any()


@both
def test_a_step_moves_the_rows_of_the_batch_in_every_table_and_no_other(separate):
    model, batch = CTRModel(INPUTS, TwoStreams(separate), stddev=0.5), a_batch()
    optimizers = {"*": Adagrad(0.1)}, {"*": tf_keras.optimizers.SGD(0.1)}
    model.compile(optimizer=Router(*optimizers, model.logical_variables))
    names = [table.name for table in model.tables.inputs.tables]
    before = {name: table_of(model, name) for name in names}
    model.train_step(tensors(batch))
    past = np.concatenate([ids[:n] for ids, n in zip(*histories(batch), strict=True)])
    users, items = batch["ids"].T
    read = {"user": set(users.tolist()), "item": {*items.tolist(), *past.tolist()}}
    for name in names:
        moved = np.flatnonzero((table_of(model, name) != before[name]).any(axis=1))
        assert set(moved.tolist()) == read[name.rpartition("/")[2]], name


def test_a_stream_of_some_fields_leaves_the_tables_of_the_others_out():
    streams = (("left", ("user",)), ("right", ("item",)))
    model, batch = CTRModel(INPUTS, TwoStreams(SEPARATE, streams), stddev=0.5), a_batch()
    assert [table.name for table in model.tables.inputs.tables] == ["left/user", "right/item"]
    left, right = table_of(model, "left/user")[batch["ids"][:, 0]], table_of(model, "right/item")[batch["ids"][:, 1]]
    kernel, bias = (variable.numpy().astype(np.float64) for variable in model.tower.head.variables)
    expected = (left * right) @ kernel[:, 0] + bias + batch["numerics"][:, 0]
    np.testing.assert_allclose(model(tensors(batch)), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("streams", "message"),
    [
        ({"left": ("user", "itm")}, "left: unknown field 'itm'. Use fields of x0: user, item, history, price"),
        ({"left": None, "right": ()}, "right: no field. Use fields of x0: user, item, history, price"),
        ({"left": None, "deep": None}, "`deep` is x0, which is the first stream. Use another name."),
    ],
)
def test_streams_that_cannot_be_are_refused(streams, message):
    with pytest.raises(ValueError, match=f"^streams: {message}$"):
        with_streams(INPUTS, streams)


def test_a_feature_called_as_the_table_of_a_stream_is_refused():
    taken = replace(INPUTS, tables=(*INPUTS.tables, Table("left/user", 9, 4)))
    with pytest.raises(ValueError, match=r"duplicate table 'left/user'\. Rename the feature\."):
        with_streams(taken, {"left": None}, separate=True)
