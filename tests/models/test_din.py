"""DIN's attention follows its float64 reference and ignores padding, and its output is concatenated with x_0."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from models import DIN, Behaviors, Category, CTRModel, Field, Inputs, SequenceInput, Table
from models.din import Attention
from tests.models.histories import history_batch
from tests.reference import din as reference

ITEMS, SHOPS, DIM = 30, 12, 4
INPUTS = Inputs(
    tables=(Table("item", ITEMS, DIM), Table("shop", SHOPS, DIM)),
    fields=(Field("item", "item", column=0), Field("shop", "shop", column=1)),
    numerics=("age",),
    plain=(0,),
    categories=(Category("item", 0, ITEMS, "item"), Category("shop", 1, SHOPS, "shop"), Category("a_x_b", 2, 9)),
    sequences=(SequenceInput("past", ITEMS, "item"), SequenceInput("shops", SHOPS, "shop")),
)
TARGETS = {"past": "item", "shops": "shop"}


def a_batch(size=6):
    return history_batch([ITEMS, SHOPS], {"past": ITEMS, "shops": SHOPS}, size)


def a_unit(activation="sigmoid", softmax=False, hidden=(5, 3), dtype="float32"):
    """Return an attention unit with random weights, and a target and a history of each length from 0."""
    random = np.random.default_rng(5)
    unit = Attention(hidden, activation, softmax, "glorot_uniform", 0, "attention/past", "unit")
    unit._set_dtype_policy(dtype)
    for dense in unit.scorer:
        dense._set_dtype_policy(dtype)
    target, vectors = random.normal(size=[4, DIM]), random.normal(size=[4, 3, DIM])
    lengths = np.arange(4)
    mask = (np.arange(3) < lengths[:, None]).astype(np.float64)
    behaviors = Behaviors(tf.constant(vectors, dtype), tf.constant(mask, dtype))
    unit(tf.constant(target, dtype), behaviors)
    for variable in unit.trainable_variables:
        variable.assign(random.normal(size=variable.shape))
    return unit, target, vectors, lengths, behaviors


def weights_of(unit):
    return [(dense.kernel.numpy(), dense.bias.numpy()) for dense in unit.scorer]


every_unit = pytest.mark.parametrize(
    ("activation", "softmax"), [("sigmoid", False), ("relu", False), ("sigmoid", True)], ids=str
)


@every_unit
def test_attention_follows_the_float64_reference(activation, softmax):
    unit, target, vectors, lengths, behaviors = a_unit(activation, softmax)

    pooled = unit(tf.constant(target, tf.float32), behaviors)

    expected = reference.attention(target, vectors, lengths, weights_of(unit), activation, softmax)
    np.testing.assert_allclose(pooled, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(pooled[0], 0)  # the empty history


@every_unit
def test_gradients_follow_finite_differences_of_the_reference(activation, softmax):
    unit, target, vectors, lengths, behaviors = a_unit(activation, softmax, dtype="float64")
    random, weights = np.random.default_rng(2), weights_of(unit)
    points = [tf.constant(target), behaviors.vectors, *unit.trainable_variables]
    directions = [random.normal(size=point.shape) for point in points]

    with tf.GradientTape() as tape:
        tape.watch(points[:2])
        total = tf.reduce_sum(unit(points[0], Behaviors(points[1], behaviors.mask)))
    slope = sum(
        float(tf.reduce_sum(tf.convert_to_tensor(g) * d))
        for g, d in zip(tape.gradient(total, points), directions, strict=True)
    )

    def reference_total(h):
        flat = [value for layer in weights for value in layer]
        moved = [value + h * d for value, d in zip((target, vectors, *flat), directions, strict=True)]
        layers = list(zip(moved[2::2], moved[3::2], strict=True))
        return reference.attention(moved[0], moved[1], lengths, layers, activation, softmax).sum()

    h = 1e-6
    assert slope == pytest.approx((reference_total(h) - reference_total(-h)) / (2 * h), rel=1e-6)


@every_unit
def test_padding_never_changes_what_is_pooled(activation, softmax):
    unit, target, vectors, _, (_, mask) = a_unit(activation, softmax)
    target, mask = tf.constant(target, tf.float32), mask.numpy()
    other = np.where(mask[:, :, None] > 0, vectors, 50.0).astype(np.float32)
    longer = Behaviors(tf.constant(np.tile(other, [1, 2, 1])), tf.constant(np.concatenate([mask, 0 * mask], axis=1)))

    pooled = unit(target, Behaviors(tf.constant(vectors, tf.float32), tf.constant(mask)))

    np.testing.assert_array_equal(unit(target, Behaviors(tf.constant(other), tf.constant(mask))), pooled)
    np.testing.assert_allclose(unit(target, longer), pooled, rtol=1e-5, atol=1e-6)


def a_model(stddev=0.5, inputs=INPUTS, **arguments):
    return CTRModel(inputs, DIN(**{"targets": TARGETS, "attention": (4,), "hidden": (5,), **arguments}), stddev=stddev)


def test_what_is_pooled_stands_beside_x0():
    model, batch = a_model(), a_batch()
    item, shop = (np.concatenate(list(model.tables.table_blocks(name))) for name in ("item", "shop"))
    ids = batch["ids"].numpy()

    logits = model(batch).numpy()

    targets = item[ids[:, 0]], shop[ids[:, 1]]
    pooled = [
        reference.attention(
            target,
            table[batch[f"sequences/{name}"]],
            batch[f"lengths/{name}"].numpy(),
            weights_of(unit),
            "sigmoid",
            False,
        )
        for target, table, name, unit in zip(targets, (item, shop), TARGETS, model.tower.attention, strict=True)
    ]
    x = tf.constant(np.concatenate([*targets, batch["numerics"], *pooled], axis=1), tf.float32)
    expected = tf.squeeze(model.tower.head(model.tower.deep(x, 0)), axis=1)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-6)


def test_a_pooled_sequence_of_its_own_is_part_of_x0_as_well():
    mean = Field("past", "item", sequence="past", pooling="mean")
    model = a_model(inputs=replace(INPUTS, fields=(*INPUTS.fields, mean)))

    assert model.tables.width == 3 * DIM + 1
    assert model.tower.deep.blocks[0][0].kernel.shape[0] == 3 * DIM + 1 + 2 * DIM


def test_towers_are_named_and_hold_each_variable_once():
    tower = a_model().tower

    named = {name: [id(v) for layer in layers for v in layer.variables] for name, layers in tower.blocks.items()}

    assert list(named) == ["attention", "deep", "head"]
    assert sorted(chain(*named.values())) == sorted(id(v) for v in tower.variables)


def test_units_start_unlike_and_by_the_seed():
    def kernels(**arguments):
        return [unit.scorer[0].kernel.numpy() for unit in a_model(**arguments).tower.attention]

    past, shops = kernels(seed=1)
    np.testing.assert_array_equal(kernels(seed=1), [past, shops])
    assert (past != shops).any()
    assert (kernels(seed=2)[0] != past).any()


@pytest.mark.parametrize("size", [1, 6])
@pytest.mark.medium
def test_it_trains_and_moves_only_the_rows_of_its_batch(size):
    model, batch = a_model(batch_norm=False), a_batch(size)  # batch norm maps a batch of one to a constant
    model.compile(optimizer=tf_keras.optimizers.SGD(0.5, jit_compile=False))
    before = np.concatenate(list(model.tables.table_blocks("item")))

    for _ in range(2):
        model.train_step(batch)

    moved = (np.concatenate(list(model.tables.table_blocks("item"))) != before).any(axis=1)
    touched = set(batch["ids"].numpy()[:, 0]) | set(batch["sequences/past"].numpy().ravel()) - {0}
    assert set(np.flatnonzero(moved)) == touched
    assert np.isfinite(model(batch)).all()


@pytest.mark.parametrize("softmax", [False, True])
def test_under_mixed_precision_it_is_close(softmax):
    model = a_model(batch_norm=False, activation="relu", softmax=softmax)
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        mixed = a_model(batch_norm=False, activation="relu", softmax=softmax)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")

    np.testing.assert_allclose(mixed(a_batch()), model(a_batch()), atol=0.03)
    assert {dense.compute_dtype for dense in mixed.tower.attention[0].scorer} == {"bfloat16"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attention": (4, 0)}, r"attention must be .*Received: \[4, 0\]"),
        ({"hidden": (0,)}, r"hidden must be .*Received: \[0\]"),
        ({"targets": {}}, "targets: din needs a sequence and its candidate. Add one"),
        ({"targets": {"pst": "item"}}, "targets: unknown sequence feature 'pst'. Use one of: past, shops"),
        ({"targets": {"past": "itm"}}, "targets: unknown categorical feature 'itm'. Use one of: item, shop"),
        (
            {"targets": {"past": "a_x_b"}},
            "'past' and 'a_x_b' need embeddings, which a cross of dim 1 lacks. Set its dim.",
        ),
    ],
    ids=str,
)
def test_refused_are(arguments, message):
    with pytest.raises(ValueError, match=message):
        a_model(**arguments)


def test_a_history_and_its_target_are_of_one_width():
    wide = replace(INPUTS, tables=(INPUTS.tables[0], Table("shop", SHOPS, 7)))

    with pytest.raises(ValueError, match=r"'past' and 'shop' must have one dim. Received: \[4, 7\]"):
        a_model(inputs=wide, targets={"past": "shop"})
