"""CAN's micro-MLPs follow their float64 reference, ignore padding, and extend any tower."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from models import CAN, DCNV2, DIN, DNN, Behaviors, Category, CTRModel, Field, Inputs, SequenceInput, Table, WideDeep
from models.can import co_action, micro_mlp_parameters
from tests.models.histories import history_batch
from tests.reference import can as reference

ITEMS, SHOPS, HOURS, DIM = 30, 12, 9, 4
INPUTS = Inputs(
    tables=(Table("item", ITEMS, DIM), Table("shop", SHOPS, DIM), Table("hour", HOURS, DIM)),
    fields=(Field("item", "item", column=0), Field("shop", "shop", column=1), Field("hour", "hour", column=2)),
    numerics=("age",),
    plain=(0,),
    categories=(
        Category("item", 0, ITEMS, "item"),
        Category("shop", 1, SHOPS, "shop"),
        Category("hour", 2, HOURS, "hour"),
    ),
    sequences=(SequenceInput("past", ITEMS, "item"), SequenceInput("shops", SHOPS, "shop")),
)


def a_batch(size=6):
    return history_batch([ITEMS, SHOPS, HOURS], {"past": ITEMS, "shops": SHOPS}, size)


def base():
    return DNN(hidden=(5,), batch_norm=False)


def unit(widths, bias=True, orders=2, independent_orders=False, size=4, length=3):
    """Return random parameters, behaviors and lengths for a co-action unit."""
    random = np.random.default_rng(7)
    sets = orders if independent_orders else 1
    parameters = random.normal(size=[size, sets * micro_mlp_parameters(widths, bias)])
    vectors = random.normal(size=[size, length, widths[0]])
    lengths = np.array([0, *random.integers(1, length + 1, size - 1)])
    mask = (np.arange(length) < lengths[:, None]).astype(np.float64)
    return parameters, vectors, lengths, mask


CASES = [
    pytest.param((16, 8, 4), False, 3, False, "tanh", id="the public code's"),
    pytest.param((4,) * 9, True, 2, False, "tanh", id="the paper's"),
    pytest.param((4, 3, 2), True, 2, True, "selu", id="orders apart"),
    pytest.param((3, 5), True, 1, False, "linear", id="one layer"),
    pytest.param((2, 6, 3), False, 4, True, "linear", id="no bias, orders apart"),
]


@pytest.mark.parametrize(("widths", "bias", "orders", "apart", "activation"), CASES)
def test_co_actions_follow_the_float64_reference(widths, bias, orders, apart, activation):
    parameters, vectors, lengths, mask = unit(widths, bias, orders, apart)

    found = co_action(
        tf.constant(parameters, tf.float32),
        Behaviors(tf.constant(vectors, tf.float32), tf.constant(mask, tf.float32)),
        widths,
        bias,
        orders,
        apart,
        activation,
    )

    expected = reference.co_action(parameters, vectors, lengths, widths, bias, orders, apart, activation)
    assert found.shape == (len(lengths), orders * sum(widths[1:]))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("widths", "bias", "orders", "apart", "activation"), CASES)
def test_gradients_follow_finite_differences_of_the_reference(widths, bias, orders, apart, activation):
    parameters, vectors, lengths, mask = unit(widths, bias, orders, apart)
    random = np.random.default_rng(3)
    directions = random.normal(size=parameters.shape), random.normal(size=vectors.shape)

    with tf.GradientTape() as tape:
        points = tf.constant(parameters), tf.constant(vectors)
        tape.watch(points)
        total = tf.reduce_sum(
            co_action(points[0], Behaviors(points[1], tf.constant(mask)), widths, bias, orders, apart, activation)
        )
    slopes = [float(tf.reduce_sum(g * d)) for g, d in zip(tape.gradient(total, points), directions, strict=True)]

    def reference_total(step_parameters, step_vectors):
        moved = parameters + step_parameters * directions[0], vectors + step_vectors * directions[1]
        return reference.co_action(*moved, lengths, widths, bias, orders, apart, activation).sum()

    h = 1e-6
    expected = [
        (reference_total(h, 0) - reference_total(-h, 0)) / (2 * h),
        (reference_total(0, h) - reference_total(0, -h)) / (2 * h),
    ]
    assert slopes == pytest.approx(expected, rel=1e-5)


def test_of_order_one_with_one_layer_and_no_activation_it_is_a_bilinear_form_of_each_behavior():
    parameters, vectors, lengths, mask = unit((3, 2), bias=False, orders=1)

    found = co_action(
        tf.constant(parameters), Behaviors(*map(tf.constant, (vectors, mask))), (3, 2), False, 1, False, "linear"
    )

    forms = np.einsum("bld,bdo->blo", vectors, parameters.reshape(-1, 3, 2))
    np.testing.assert_allclose(found, [form[:length].sum(axis=0) for form, length in zip(forms, lengths, strict=True)])


def test_padding_never_changes_a_co_action_even_with_a_bias():
    parameters, vectors, _, mask = unit((4, 3, 2))

    def found(vectors, mask):
        return co_action(
            *map(tf.constant, (parameters,)),
            Behaviors(tf.constant(vectors), tf.constant(mask)),
            (4, 3, 2),
            True,
            2,
            False,
            "tanh",
        )

    other = np.where(mask[:, :, None] > 0, vectors, 1e3)
    longer = np.concatenate([other, other], axis=1), np.concatenate([mask, 0 * mask], axis=1)
    np.testing.assert_array_equal(found(vectors, mask), found(other, mask))
    np.testing.assert_allclose(found(vectors, mask), found(*longer), rtol=1e-12)
    np.testing.assert_array_equal(found(vectors, mask)[0], 0)


def extended(**arguments):
    return CAN(base(), **{"pairs": (("item", "past"),), "micro_mlp": (4, 3), **arguments}).extend(INPUTS)


def own_tables(inputs):
    return [(table.name, table.rows, table.dim) for table in inputs.tables if table not in INPUTS.tables]


def test_a_pair_has_a_table_of_micro_mlps_and_one_of_their_inputs():
    assert own_tables(extended()) == [("can/item_x_past/item", ITEMS, 4 * 3 + 3), ("can/item_x_past/user", ITEMS, 4)]
    assert own_tables(extended(bias=False, orders=3, independent_orders=True))[0][2] == 3 * 4 * 3


def test_combinations_are_independent_unless_told_otherwise():
    pairs = (("item", "past"), ("item", "shops"), ("shop", "shops"), ("item", "hour"))
    apart = own_tables(extended(pairs=pairs))
    shared = own_tables(extended(pairs=pairs, independent_combinations=False))

    assert [name for name, *_ in apart] == [f"can/{a}_x_{b}/{side}" for a, b in pairs for side in ("item", "user")]
    assert [name for name, *_ in shared] == [
        "can/item/item",
        "can/past/user",
        "can/shops/user",
        "can/shop/item",
        "can/hour/user",
    ]


def test_without_independent_parameters_the_features_own_tables_serve():
    arguments = {"micro_mlp": (2, 2), "bias": False, "independent_parameters": False}
    narrow = replace(INPUTS, tables=(*INPUTS.tables[:2], Table("hour", HOURS, 2)))

    inputs = CAN(base(), (("item", "hour"),), **arguments).extend(narrow)

    assert inputs.tables == narrow.tables
    assert [field.table for field in inputs.fields[-2:]] == ["item", "hour"]
    with pytest.raises(ValueError, match=r"without independent_parameters, 'item' must have dim 15\. Received: 4"):
        extended(independent_parameters=False)


def test_own_tables_start_with_their_own_deviation():
    assert {table.stddev for table in extended(stddev=0.3).tables if table not in INPUTS.tables} == {0.3}


def rows_of(model, name):
    return np.concatenate(list(model.tables.table_blocks(name)))


def test_the_base_takes_x0_and_the_co_actions_of_every_pair():
    tower = CAN(base(), (("item", "past"), ("shop", "hour")), micro_mlp=(4, 3), stddev=0.5)
    model, batch = CTRModel(INPUTS, tower, stddev=0.5), a_batch()
    ids = {name: batch["ids"].numpy()[:, column] for column, name in enumerate(("item", "shop", "hour"))}

    logits = model(batch).numpy()

    table = {name: rows_of(model, name) for name in model.tables.offsets}
    x0 = np.concatenate([table[name][ids[name]] for name in ids] + [batch["numerics"]], axis=1)
    settings = ((4, 3), True, 2, False, "tanh")
    past = table["can/item_x_past/user"][batch["sequences/past"]]
    hour = table["can/shop_x_hour/user"][ids["hour"]][:, None]
    x = np.concatenate(
        [
            x0,
            reference.co_action(table["can/item_x_past/item"][ids["item"]], past, batch["lengths/past"], *settings),
            reference.co_action(table["can/shop_x_hour/item"][ids["shop"]], hour, np.ones(6, int), *settings),
        ],
        axis=1,
    )
    np.testing.assert_allclose(logits, tower.base(tf.constant(x, tf.float32), 0), rtol=1e-4, atol=1e-6)


BASES = {
    "dnn": base,
    "dcn_v2": lambda: DCNV2(cross_layers=1, hidden=(5,), batch_norm=False),
    "din": lambda: DIN({"past": "item"}, attention=(4,), hidden=(5,), batch_norm=False),
    "wide_deep": lambda: WideDeep(hidden=(5,), batch_norm=False),
}


@pytest.mark.medium
@pytest.mark.parametrize("size", [1, 6])
@pytest.mark.parametrize("make_base", BASES.values(), ids=BASES)
def test_it_trains_on_any_base_with_any_number_of_rows(make_base, size):
    model = CTRModel(INPUTS, CAN(make_base(), (("item", "past"),), micro_mlp=(4, 3), stddev=0.5), stddev=0.5)
    model.compile(optimizer=tf_keras.optimizers.SGD(0.1, jit_compile=False))
    before = rows_of(model, "can/item_x_past/item")

    for _ in range(2):
        model.train_step(a_batch(size))

    assert np.isfinite(model(a_batch(size))).all()
    moved = (rows_of(model, "can/item_x_past/item") != before).any(axis=1)
    ids = a_batch(size)["ids"].numpy()[:, 0]
    assert moved.sum() == len(set(ids[a_batch(size)["lengths/past"].numpy() > 0]))
    assert {kind for kind, _ in model.logical_variables} == {"table", "tower"}


def test_what_follows_a_history_is_never_seen():
    model, batch = CTRModel(INPUTS, CAN(base(), (("item", "past"),), micro_mlp=(4, 3), stddev=0.5)), a_batch()
    ids, lengths = batch["sequences/past"].numpy(), batch["lengths/past"].numpy()
    other = {**batch, "sequences/past": tf.constant(np.where(np.arange(5) < lengths[:, None], ids, ITEMS - 1))}
    longer = {**batch, "sequences/past": tf.pad(batch["sequences/past"], [[0, 0], [0, 4]])}

    np.testing.assert_array_equal(model(batch), model(other))
    np.testing.assert_allclose(model(batch), model(longer), rtol=1e-6)


def test_under_mixed_precision_it_is_close():
    model = CTRModel(INPUTS, CAN(base(), (("item", "past"),), micro_mlp=(4, 3), stddev=0.5), stddev=0.5)
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        mixed = CTRModel(INPUTS, CAN(base(), (("item", "past"),), micro_mlp=(4, 3), stddev=0.5), stddev=0.5)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")

    np.testing.assert_allclose(mixed(a_batch()), model(a_batch()), atol=0.02)
    assert mixed(a_batch()).dtype == tf.float32
    assert mixed.tables(a_batch())["deep"].dtype == tf.bfloat16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pairs": ()}, r"pairs must be one or more pairs with distinct names\. Received: \[\]"),
        (
            {"pairs": (("item", "past"),) * 2},
            r"pairs .*with distinct names. Received: \['item_x_past', 'item_x_past'\]",
        ),
        ({"pairs": (("itm", "past"),)}, "pairs: unknown categorical feature 'itm'. Use one of: item, shop, hour"),
        (
            {"pairs": (("item", "pst"),)},
            "pairs: unknown categorical or sequence feature 'pst'. Use one of: item, shop, hour, past, shops",
        ),
        ({"micro_mlp": (4,)}, r"micro_mlp .*Received: \[4\]"),
        ({"micro_mlp": (4, 0)}, r"micro_mlp .*Received: \[4, 0\]"),
        ({"pairs": (("a", "b_x_c"), ("a_x_b", "c"))}, r"with distinct names. Received: \['a_x_b_x_c', 'a_x_b_x_c'\]"),
        ({"stddev": -0.1}, "stddev must be at least 0. Received: -0.1"),
        ({"orders": 0}, "orders .*Received: 0"),
    ],
    ids=str,
)
def test_refused_are(arguments, message):
    with pytest.raises(ValueError, match=message):
        extended(**arguments)
