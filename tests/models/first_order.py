"""Inputs with every kind of feature, for tests of the models with first-order terms of all features."""

import numpy as np
import tensorflow as tf

from models import Category, CTRModel, Field, Inputs, SequenceInput, Table

USERS, ITEMS, PRICES, CROSSED, PAIRS, WIDTH = 23, 31, 4, 103, 57, 3
INPUTS = Inputs(
    tables=(
        Table("user", USERS, WIDTH),
        Table("item", ITEMS, WIDTH),
        Table("price", PRICES, WIDTH),
        Table("user_x_history", PAIRS, WIDTH),
    ),
    fields=(
        Field("user", "user", column=0),
        Field("history", "item", sequence="history", pooling="mean"),
        Field("tags", "item", sequence="tags", pooling="sum"),
        Field("price", "price", column=2, scale=1),
        Field("item", "item", column=1),
        Field("friend", "user", column=4),
        Field("user_x_history", "user_x_history", sequence="user_x_history", pooling="mean"),
    ),
    numerics=("age", "price", "height"),
    plain=(2, 0),
    categories=(
        Category("user", 0, USERS, "user"),
        Category("item", 1, ITEMS, "item"),
        Category("user_x_item", 3, CROSSED),
        Category("friend", 4, USERS, "user"),
    ),
    sequences=(
        SequenceInput("history", ITEMS, "item"),
        SequenceInput("tags", ITEMS, "item"),
        SequenceInput("user_x_history", PAIRS, "user_x_history", crossed=True),
        SequenceInput("item_x_history", PAIRS, crossed=True),
    ),
)
"""`friend` shares the table of `user`; two crosses have only wide weights; one cross of a sequence has embeddings."""
WIDE = {
    "wide/user": USERS,
    "wide/history": ITEMS,
    "wide/tags": ITEMS,
    "wide/price": PRICES,
    "wide/item": ITEMS,
    "wide/friend": USERS,
    "wide/user_x_history": PAIRS,
    "wide/user_x_item": CROSSED,
    "wide/item_x_history": PAIRS,
}
"""Table of wide weights -> rows, in the order of the fields of the branch."""
FIELDS = [field.name for field in INPUTS.fields]
COLUMNS = {"user": 0, "item": 1, "price": 2, "user_x_item": 3, "friend": 4}
POOLING = {"history": "mean"}  # all other lists are summed
LIKE_A_RUN = {table.name: "rmsprop_v2" for table in INPUTS.tables} | dict.fromkeys(WIDE, "ftrl")
EACH_APART = {name: name for name in LIKE_A_RUN}


def rows_of(size=7, seed=0):
    """Return examples whose label follows the parity of the cross, which no other feature reveals."""
    random = np.random.default_rng(seed)
    rows = {"user": USERS, "item": ITEMS, "price": PRICES, "user_x_item": CROSSED, "friend": USERS}
    ids = np.stack([random.integers(3, count, size) for count in rows.values()], axis=1)
    batch = {
        "ids": ids.astype(np.int32),
        "numerics": random.normal(size=[size, 3]).astype(np.float32),
        "label": (ids[:, 3] % 2).astype(np.float32),
        "weight": np.ones(size, np.float32),
    }
    for name, count in (("history", ITEMS), ("tags", ITEMS), ("user_x_history", PAIRS), ("item_x_history", PAIRS)):
        lengths = random.integers(0, 4, size).astype(np.int32)
        padded = random.integers(1, count, [size, 3]) * (np.arange(3) < lengths[:, None])
        batch |= {f"sequences/{name}": padded.astype(np.int32), f"lengths/{name}": lengths}
    return batch


def tensors(rows):
    return {key: tf.constant(value) for key, value in rows.items()}


def model_of(make, inputs=INPUTS, seed=1, grouping=None, **arguments):
    return CTRModel(inputs, make(seed=seed, **arguments), 0.3, seed, grouping)


def randomize(model):
    """Assign random values to every variable, positive ones to variances."""
    random = np.random.default_rng(1)
    for variable in (*model.tables.variables, *model.tower.variables):
        values = random.normal(size=variable.shape)
        variable.assign(np.abs(values) + 0.1 if "variance" in variable.name else values)


def table(model, name):
    return np.concatenate(list(model.tables.table_blocks(name)))


def lists(rows, name):
    """Return the ids of a feature, one list per example."""
    if name in COLUMNS:
        return [[id_] for id_ in rows["ids"][:, COLUMNS[name]].tolist()]
    padded, lengths = rows[f"sequences/{name}"], rows[f"lengths/{name}"]
    return [ids[:length].tolist() for ids, length in zip(padded, lengths, strict=True)]


def features_of(model, rows):
    """Return the features in the form that the references take."""
    return [
        {
            "table": table(model, name),
            "ids": lists(rows, name.removeprefix("wide/")),
            "pooling": POOLING.get(name.removeprefix("wide/"), "sum"),
            "factors": rows["numerics"][:, 1] if name == "wide/price" else None,
        }
        for name in WIDE
    ]


def numbers_of(rows):
    return rows["numerics"][:, list(INPUTS.plain)]


def vectors_of(model, rows):
    """Return the embeddings of x_0, float64 [batch, fields, WIDTH], by plain indexing."""
    pooled = []
    for field in INPUTS.fields:
        weights = table(model, field.table).astype(np.float64)
        sums = np.array([weights[ids].sum(axis=0) for ids in lists(rows, field.name)])
        if field.pooling == "mean":
            sums /= np.maximum([len(ids) for ids in lists(rows, field.name)], 1)[:, None]
        pooled.append(sums if field.scale is None else sums * rows["numerics"][:, field.scale, None])
    return np.stack(pooled, axis=1)


def slopes(function, array, h=1e-6):
    """Return the gradient of a function without arguments by finite differences of an array that it reads."""
    found = np.zeros(array.shape)
    for place in np.ndindex(array.shape):
        ends = []
        for step in (h, -2 * h):
            array[place] += step
            ends.append(function())
        array[place] += h
        found[place] = (ends[0] - ends[1]) / (2 * h)
    return found
