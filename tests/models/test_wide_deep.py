"""Wide & Deep adds a weight for each category's value to an MLP, from separate tables that start at zero."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from models import DCNV2, MODELS, Category, CTRModel, Field, Inputs, SequenceInput, Table, Tower, WideDeep
from optimizers import FtrlProximal, PatternError, RMSPropV2, Router, adam
from tests.reference import wide_deep as reference

USERS, ITEMS, HOURS, CROSSED, PAIRS = 43, 31, 27, 203, 57
INPUTS = Inputs(
    tables=(Table("user", USERS, 4), Table("item", ITEMS, 4), Table("hour", HOURS, 2)),
    fields=(
        Field("user", "user", column=0),
        Field("history", "item", sequence="history", pooling="mean"),
        Field("hour", "hour", column=2),
        Field("price", "hour", column=3, scale=1),
    ),
    numerics=("age", "price"),
    plain=(0,),
    categories=(Category("user", 0, USERS), Category("user_x_hour", 1, CROSSED), Category("hour", 2, HOURS)),
)
WIDE = {"wide/user": USERS, "wide/user_x_hour": CROSSED, "wide/hour": HOURS}
WITH_PAIRS = replace(
    INPUTS,
    sequences=(
        SequenceInput("history", ITEMS, "item"),
        SequenceInput("user_x_history", PAIRS, crossed=True),
        SequenceInput("hour_x_history", PAIRS, "hour_x_history", crossed=True),
    ),
    tables=(*INPUTS.tables, Table("hour_x_history", PAIRS, 2)),
    fields=(*INPUTS.fields, Field("hour_x_history", "hour_x_history", sequence="hour_x_history", pooling="mean")),
)
"""Inputs with a history and its crosses with the user and with the hour; the latter has vectors too."""
OF_PAIRS = {"wide/user_x_history": PAIRS, "wide/hour_x_history": PAIRS}


def model_of(inputs=INPUTS, seed=1, grouping=None, **tower):
    return CTRModel(inputs, WideDeep(**{"hidden": (6, 5), "seed": seed, **tower}), 0.3, seed, grouping)


def rows_of(size=7, seed=0):
    """Return rows whose label follows the parity of the cross, which no other column reveals."""
    random = np.random.default_rng(seed)
    sizes = (USERS, CROSSED, HOURS, 4)
    ids = np.stack([random.integers(0 if k < 3 else 3, rows, size) for k, rows in enumerate(sizes)], axis=1)
    lengths = random.integers(0, 4, size)
    return {
        "ids": ids.astype(np.int32),
        "numerics": random.normal(size=[size, 2]).astype(np.float32),
        "sequences/history": (random.integers(3, ITEMS, [size, 3]) * (np.arange(3) < lengths[:, None])).astype(
            np.int32
        ),
        "lengths/history": lengths.astype(np.int32),
        "label": (ids[:, 1] % 2).astype(np.float32),
        "weight": np.ones(size, np.float32),
    }


def tensors(rows):
    return {key: tf.constant(value) for key, value in rows.items()}


def randomize(model):
    """Assign random values to every variable, positive ones to variances."""
    random = np.random.default_rng(1)
    for variable in (*model.tables.variables, *model.tower.variables):
        values = random.normal(size=variable.shape)
        variable.assign(np.abs(values) + 0.1 if "variance" in variable.name else values)


def table(model, name):
    return np.concatenate(list(model.tables.table_blocks(name)))


def x0_of(model, rows):
    """Return x_0 [batch, width] by plain indexing, float64."""
    user, item, hour = (table(model, name).astype(np.float64) for name in ("user", "item", "hour"))
    histories = [
        item[ids[:length]].mean(axis=0) if length else np.zeros(item.shape[1])
        for ids, length in zip(rows["sequences/history"], rows["lengths/history"], strict=True)
    ]
    ids, numerics = rows["ids"], rows["numerics"]
    return np.hstack([user[ids[:, 0]], histories, hour[ids[:, 2]], hour[ids[:, 3]] * numerics[:, 1:], numerics[:, :1]])


def expected_logits(model, rows):
    deep = [
        {
            "kernel": dense.kernel.numpy(),
            "bias": dense.bias.numpy() if dense.use_bias else None,
            "norm": norm and [v.numpy() for v in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)],
        }
        for dense, norm, *_ in model.tower.deep.blocks
    ]
    weights = {"deep": deep, "head": [v.numpy() for v in model.tower.head.trainable_variables]}
    return reference.wide_deep(x0_of(model, rows), rows["ids"][:, :3], [table(model, name) for name in WIDE], weights)


def with_pairs(rows, seed=0):
    """Return the rows with ids for the crosses of the history, which is empty in some rows."""
    random, lengths = np.random.default_rng(seed), rows["lengths/history"]
    for name in ("user_x_history", "hour_x_history"):
        ids = random.integers(1, PAIRS, [len(lengths), 3]) * (np.arange(3) < lengths[:, None])
        rows |= {f"sequences/{name}": ids.astype(np.int32), f"lengths/{name}": lengths}
    return rows


APART = {name: name for name in ("user", "item", "hour", *WIDE)}
LIKE_A_RUN = {name: "ftrl" if name in WIDE else "rmsprop_v2" for name in APART}
every_grouping = pytest.mark.parametrize(
    "grouping", [None, LIKE_A_RUN, APART], ids=["by width", "by optimizer", "each apart"]
)


# The logit


@pytest.mark.parametrize("batch_norm", [True, False], ids=["batch norm", "no batch norm"])
@every_grouping
def test_logits_follow_the_float64_reference(grouping, batch_norm):
    model, rows = model_of(grouping=grouping, batch_norm=batch_norm, dropout=0.5), rows_of(20)
    randomize(model)
    expected = expected_logits(model, rows)

    logits = model(tensors(rows)).numpy()

    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_a_logit_by_hand():
    tower = WideDeep(hidden=(2,), batch_norm=False)
    tower(tf.zeros([1, 2]), 0, wide=tf.zeros([1, 3]))
    tower.deep.blocks[0][0].kernel.assign([[1.0, -1.0], [2.0, 0.0]])
    tower.deep.blocks[0][0].bias.assign([0.0, 1.0])
    tower.head.kernel.assign([[10.0], [100.0]])
    tower.head.bias.assign([0.5])

    logit = tower(tf.constant([[3.0, 4.0]]), 0, wide=tf.constant([[0.25, -2.0, 1.0]]))

    # relu([11, -2]) = [11, 0]; 110 + 0.5 + (0.25 - 2 + 1)
    assert logit.numpy().tolist() == [109.75]


def test_a_wide_weight_moves_the_logits_of_its_rows_by_itself():
    model, rows = model_of(), rows_of(20)
    rows["ids"][::2, 2], rows["ids"][1::2, 2] = 5, 6
    before = model(tensors(rows)).numpy()

    fused = model.tables.fused["1 "]
    fused.assign(tf.tensor_scatter_nd_add(fused, [[model.tables.offsets["wide/hour"] + 5]], [[2.0]]))

    moved = model(tensors(rows)).numpy() - before

    np.testing.assert_allclose(moved, np.where(np.arange(20) % 2, 0.0, 2.0), atol=1e-6)


def test_the_wide_part_adds_nothing_at_the_start():
    rows = rows_of()
    other = {**rows, "ids": rows["ids"].copy()}
    other["ids"][:, 1] = 0  # the cross, which has no field in the deep branch

    np.testing.assert_array_equal(model_of()(tensors(rows)), model_of()(tensors(other)))


# Its tables


def test_extend_adds_a_table_of_width_1_and_a_field_for_each_category():
    extended = WideDeep().extend(INPUTS)

    added = extended.tables[len(INPUTS.tables) :]
    assert [(one.name, one.rows, one.dim, one.stddev) for one in added] == [(n, r, 1, 0.0) for n, r in WIDE.items()]
    fields = extended.fields[len(INPUTS.fields) :]
    assert [(one.name, one.table, one.column, one.branch) for one in fields] == [
        (name, name, column, "wide") for column, name in enumerate(WIDE)
    ]
    assert replace(extended, tables=INPUTS.tables, fields=INPUTS.fields) == INPUTS


def test_other_towers_extend_nothing():
    assert DCNV2(hidden=(4,)).extend(INPUTS) is INPUTS
    assert Tower().extend(INPUTS) is INPUTS


def test_two_features_that_share_a_table_have_wide_tables_of_their_own():
    friend = replace(
        INPUTS,
        fields=(*INPUTS.fields, Field("friend", "user", column=4)),
        categories=(*INPUTS.categories, Category("friend", 4, USERS)),
    )

    names = [one.name for one in WideDeep().extend(friend).tables]

    assert names == ["user", "item", "hour", *WIDE, "wide/friend"]


@every_grouping
def test_wide_tables_start_at_zero_and_the_others_do_not(grouping):
    model = model_of(grouping=grouping)

    for name, rows in WIDE.items():
        np.testing.assert_array_equal(table(model, name), np.zeros([rows, 1]))
    for name in ("user", "item", "hour"):
        assert (table(model, name)[3:] != 0).all()


@every_grouping
def test_deep_tables_start_the_same_without_the_wide_part(grouping):
    wide, cross = model_of(grouping=grouping), CTRModel(INPUTS, DCNV2(hidden=(6, 5), seed=1), 0.3, 1)

    for name in ("user", "item", "hour"):
        np.testing.assert_array_equal(table(wide, name), table(cross, name))


def test_the_mlp_starts_the_same_as_in_another_model():
    parallel = CTRModel(INPUTS, DCNV2(structure="parallel", hidden=(6, 5), seed=1), 0.3, 1)

    for (one, *_), (other, *_) in zip(model_of().tower.deep.blocks, parallel.tower.deep.blocks, strict=True):
        np.testing.assert_array_equal(one.kernel, other.kernel)


@every_grouping
def test_the_gradient_of_every_table_is_sparse_and_holds_the_rows_of_the_batch(grouping):
    model, rows = model_of(grouping=grouping), rows_of()

    with tf.GradientTape() as tape:
        loss = model.compute_loss(tensors(rows), training=True)
    gradients = tape.gradient(loss, model.tables.trainable_variables)

    assert all(isinstance(gradient, tf.IndexedSlices) for gradient in gradients)
    touched = {key: set(g.indices.numpy().tolist()) for key, g in zip(model.tables.groups, gradients, strict=True)}
    for column, name in enumerate(WIDE):
        [group] = [key for key, members in model.tables.groups.items() if name in [one.name for one in members]]
        offset = model.tables.offsets[name]
        own = {row - offset for row in touched[group] if offset <= row < offset + WIDE[name]}
        assert own == set(rows["ids"][:, column].tolist())


def test_the_gradient_of_a_wide_weight_is_the_sum_of_the_residuals_of_its_rows():
    model, rows = model_of(batch_norm=False), rows_of(40)
    randomize(model)
    logits = expected_logits(model, rows)
    residuals = (1 / (1 + np.exp(-logits)) - rows["label"]) / len(logits)
    expected = np.zeros(HOURS)
    np.add.at(expected, rows["ids"][:, 2], residuals)

    fused = model.tables.fused["1 "]
    with tf.GradientTape() as tape:
        loss = model.compute_loss(tensors(rows), training=True)
    gradient = tf.convert_to_tensor(tape.gradient(loss, fused)).numpy()[:, 0]

    start = model.tables.offsets["wide/hour"]
    np.testing.assert_allclose(gradient[start : start + HOURS], expected, rtol=1e-4, atol=1e-6)


# A cross of a sequence


def test_each_pair_of_a_row_adds_its_weight_to_the_logit():
    model, rows = model_of(WITH_PAIRS), with_pairs(rows_of(20))
    before = model(tensors(rows)).numpy()
    assert set(rows["lengths/history"]) == {0, 1, 2, 3}

    weights = np.random.default_rng(4).normal(size=PAIRS)
    fused, start = model.tables.fused["1 "], model.tables.offsets["wide/user_x_history"]
    fused.assign(tf.tensor_scatter_nd_update(fused, np.arange(start, start + PAIRS)[:, None], weights[:, None]))

    expected = [
        sum(weights[row] for row in ids[:length])
        for ids, length in zip(rows["sequences/user_x_history"], rows["lengths/user_x_history"], strict=True)
    ]
    np.testing.assert_allclose(model(tensors(rows)).numpy() - before, expected, atol=1e-5)


def test_a_logit_of_one_pair_that_stands_twice_counts_its_weight_twice():
    model, rows = model_of(WITH_PAIRS), with_pairs(rows_of(1))
    rows |= {"sequences/user_x_history": np.int32([[5, 5, 9]]), "lengths/user_x_history": np.int32([2])}
    before = model(tensors(rows)).numpy()

    fused, start = model.tables.fused["1 "], model.tables.offsets["wide/user_x_history"]
    fused.assign(tf.tensor_scatter_nd_update(fused, [[start], [start + 5], [start + 9]], [[4.0], [0.25], [16.0]]))

    np.testing.assert_allclose(model(tensors(rows)).numpy() - before, [0.5], atol=1e-6)


def test_extend_adds_a_table_and_a_summed_field_for_each_cross_of_a_sequence_and_none_for_a_sequence():
    extended = WideDeep().extend(WITH_PAIRS)

    tables = {one.name: (one.rows, one.dim, one.stddev) for one in extended.tables[len(WITH_PAIRS.tables) :]}
    assert tables == {name: (rows, 1, 0.0) for name, rows in (WIDE | OF_PAIRS).items()}
    fields = [one for one in extended.fields if one.branch == "wide" and one.sequence]
    assert [(one.name, one.table, one.column, one.sequence, one.pooling) for one in fields] == [
        (name, name, None, name.removeprefix("wide/"), "sum") for name in OF_PAIRS
    ]


def test_a_cross_of_a_sequence_alone_is_a_wide_part():
    inputs = replace(WITH_PAIRS, categories=())

    assert [one.name for one in WideDeep().extend(inputs).fields if one.branch == "wide"] == list(OF_PAIRS)


def test_its_tables_start_at_zero_and_logits_as_without_it():
    rows = with_pairs(rows_of())
    model = model_of(WITH_PAIRS)

    for name in OF_PAIRS:
        np.testing.assert_array_equal(table(model, name), np.zeros([PAIRS, 1]))
    without = model_of(replace(WITH_PAIRS, sequences=()))
    np.testing.assert_array_equal(model(tensors(rows)), without(tensors(rows)))


def touched_pairs(rows, name):
    """Return the ids of the batch; padding is looked up like any other row and gets a gradient of zero."""
    return set(rows[f"sequences/{name}"].ravel().tolist()) - {0}


def test_the_gradient_of_a_pair_is_the_sum_of_the_residuals_of_its_rows_and_of_no_other_pair():
    model, rows = model_of(WITH_PAIRS, batch_norm=False), with_pairs(rows_of(40))
    residuals = (tf.sigmoid(model(tensors(rows))).numpy() - rows["label"]) / 40
    expected = np.zeros(PAIRS)
    for ids, length, residual in zip(rows["sequences/user_x_history"], rows["lengths/history"], residuals, strict=True):
        np.add.at(expected, ids[:length], residual)

    fused, start = model.tables.fused["1 "], model.tables.offsets["wide/user_x_history"]
    with tf.GradientTape() as tape:
        loss = model.compute_loss(tensors(rows), training=True)
    gradient = tape.gradient(loss, fused)

    assert isinstance(gradient, tf.IndexedSlices)
    own = {row - start for row in gradient.indices.numpy().tolist() if start <= row < start + PAIRS}
    assert own - {0} == touched_pairs(rows, "user_x_history")
    dense = tf.convert_to_tensor(gradient).numpy()[start : start + PAIRS, 0]
    np.testing.assert_allclose(dense, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.medium
def test_training_moves_only_the_pairs_of_the_batch():
    wide = {**LIKE_A_RUN, **dict.fromkeys(OF_PAIRS, "ftrl"), "hour_x_history": "rmsprop_v2"}
    model, rows = model_of(WITH_PAIRS, grouping=wide), with_pairs(rows_of(5))
    model.compile(optimizer=router(model, l1=0.0))

    model.fit(tf.data.Dataset.from_tensor_slices(rows).batch(5), verbose=0)

    for name in OF_PAIRS:
        moved = set(np.flatnonzero(table(model, name)).tolist())
        assert moved == touched_pairs(rows, name.removeprefix("wide/"))


# Its towers


def test_towers_are_deep_and_head_and_hold_every_trainable_variable_once():
    model = model_of()

    assert list(model.tower.blocks) == ["deep", "head"]
    held = [id(v) for layers in model.tower.blocks.values() for layer in layers for v in layer.trainable_variables]
    assert sorted(held) == sorted(id(v) for v in model.tower.trainable_variables)


def test_logical_variables_name_the_wide_tables():
    described = model_of(grouping=LIKE_A_RUN).logical_variables

    assert [names for kind, names in described if kind == "table"] == [["user", "item"], ["hour"], list(WIDE)]


def test_it_is_called_wide_deep_in_a_config():
    assert MODELS["wide_deep"] is WideDeep


def test_dropout_and_the_evaluation_without_it():
    model, rows = model_of(dropout=0.5, batch_norm=False, hidden=(50,)), tensors(rows_of(20))

    np.testing.assert_array_equal(model(rows), model_of(dropout=0.0, batch_norm=False, hidden=(50,))(rows))
    assert (model(rows, training=True).numpy() != model(rows).numpy()).any()


# Precision


def test_in_mixed_precision_the_mlp_alone_computes_in_bfloat16(mixed_bfloat16):
    model, rows = model_of(), tensors(rows_of())

    assert model.tower.deep.blocks[0][0].compute_dtype == "bfloat16"
    parts = model.tables(rows)
    assert (parts["deep"].dtype, parts["wide"].dtype) == (tf.bfloat16, tf.float32)
    assert model(rows).dtype == tf.float32
    assert {variable.dtype for variable in model.trainable_variables} == {tf.float32}


def test_in_mixed_precision_a_wide_weight_keeps_all_its_bits(mixed_bfloat16):
    model, rows = model_of(), tensors(rows_of())
    before, fine = model(rows).numpy(), np.float32(1 + 2**-20)
    wide = model.tables.fused["1 "]

    wide.assign(tf.fill(wide.shape, fine))

    np.testing.assert_allclose(model(rows).numpy() - before, np.full(7, 3 * fine), rtol=0, atol=5e-7)


# Training, as in a notebook


def router(model, l1=0.001):
    return Router(
        {"*": RMSPropV2(0.02), "wide/*": FtrlProximal(5.0, l1=l1)}, {"*": adam(0.001)}, model.logical_variables
    )


def fitted(l1=0.001, epochs=8, size=2048, **tower):
    model = model_of(grouping=LIKE_A_RUN, **tower)
    model.compile(optimizer=router(model, l1))
    data = tf.data.Dataset.from_tensor_slices(rows_of(size)).batch(128)
    return model, model.fit(data, epochs=epochs, verbose=0).history["loss"]


@pytest.mark.medium
def test_plain_compile_and_fit_lower_the_loss_by_what_only_the_wide_part_knows():
    _, losses = fitted()

    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.5 < np.log(2)


@pytest.mark.slow
def test_mixed_precision_trains(mixed_bfloat16):
    _, losses = fitted(dropout=0.1)

    assert losses[-1] < 0.5


@pytest.mark.slow
def test_l1_leaves_exact_zeros_in_the_wide_tables_and_in_no_other():
    models = [fitted(l1, epochs=1, size=1024)[0] for l1 in (0.0, 0.02, 10.0)]

    shares = [np.mean(np.concatenate([table(model, name)[3:] for name in WIDE]) == 0) for model in models]
    assert shares[0] < 0.05 < shares[1] < 0.95 < shares[2] == 1
    assert (table(models[-1], "user")[3:] != 0).all()


@pytest.mark.slow
def test_training_moves_only_the_rows_of_the_batch():
    model, rows = model_of(grouping=LIKE_A_RUN), rows_of(5)
    model.compile(optimizer=router(model, l1=0.0))

    model.fit(tf.data.Dataset.from_tensor_slices(rows).batch(5), verbose=0)

    for column, name in enumerate(WIDE):
        assert set(np.flatnonzero(table(model, name))) == set(rows["ids"][:, column].tolist())


@pytest.mark.slow
def test_the_same_training_twice_gives_the_same_bits():
    models = [fitted(epochs=1, size=256, dropout=0.3)[0] for _ in range(2)]

    one, other = ([variable.numpy().tobytes() for variable in model.variables] for model in models)
    assert one == other


def test_a_deep_table_of_width_1_that_shares_the_variable_needs_a_grouping():
    narrow = replace(INPUTS, tables=(*INPUTS.tables[:2], Table("hour", HOURS, 1)))

    with pytest.raises(PatternError, match=r"'hour' \('\*'\) and 'wide/hour' \('wide/\*'\) share a variable"):
        router(model_of(narrow))
    router(model_of(narrow, grouping=LIKE_A_RUN))


# Rejected arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": ()}, r"hidden must be one or more widths.* Received: \[\]"),
        ({"hidden": (8, 0)}, r"hidden must be .*Received: \[8, 0\]"),
        ({"dropout": 1.0}, "dropout .*Received: 1.0"),
    ],
    ids=str,
)
def test_refused_are(arguments, message):
    with pytest.raises(ValueError, match=message):
        model_of(**arguments)


def test_inputs_without_a_category_are_refused():
    with pytest.raises(
        ValueError, match=r"wide_deep needs a categorical feature or a cross for its wide weights\. Add one\."
    ):
        model_of(replace(INPUTS, categories=()))


def test_a_feature_called_as_a_wide_table_is_refused():
    taken = replace(INPUTS, tables=(*INPUTS.tables, Table("wide/user", 9, 4)))

    with pytest.raises(ValueError, match=r"duplicate table 'wide/user'\. Rename the feature\."):
        model_of(taken)


def test_a_tower_that_defines_no_blocks_is_told_so():
    class Nothing(Tower):
        pass

    with pytest.raises(TypeError, match="Nothing must define blocks"):
        _ = Nothing().blocks
