"""FM adds the dot products of all pairs of embeddings to the first-order terms of `linear`."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from models import FM, MODELS, Linear, Table, cost_of
from models.fm import PairSum
from optimizers import FtrlProximal, RMSPropV2, Router, adam
from tests.models import first_order
from tests.models.first_order import (
    EACH_APART,
    FIELDS,
    INPUTS,
    LIKE_A_RUN,
    WIDE,
    WIDTH,
    features_of,
    numbers_of,
    randomize,
    rows_of,
    tensors,
    vectors_of,
)
from tests.reference import fm as reference

every_grouping = pytest.mark.parametrize(
    "grouping", [None, LIKE_A_RUN, EACH_APART], ids=["by width", "by optimizer", "each apart"]
)


def model_of(inputs=INPUTS, **arguments):
    return first_order.model_of(FM, inputs, **arguments)


def weights_of(model):
    return {"kernel": model.tower.head.kernel.numpy(), "bias": model.tower.head.bias.numpy()}


def expected_logits(model, rows):
    return reference.fm(features_of(model, rows), numbers_of(rows), vectors_of(model, rows), weights_of(model))


# The logit


@every_grouping
def test_logits_follow_the_float64_reference(grouping):
    model, rows = model_of(grouping=grouping), rows_of(20)
    randomize(model)
    expected = expected_logits(model, rows)

    np.testing.assert_allclose(model(tensors(rows)), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_pairs_by_hand():
    total = PairSum()(tf.constant([[[1.0, 2.0], [3.0, 4.0], [-5.0, 0.5]]]))

    # 3 + 8, -5 + 1, -15 + 2
    assert total.numpy().tolist() == [11.0 - 4.0 - 13.0]


@pytest.mark.parametrize("fields", [1, 2, 6])
def test_the_pairs_follow_the_loop_over_pairs(fields):
    vectors = np.random.default_rng(fields).normal(size=[5, fields, 4]).astype(np.float32)

    np.testing.assert_allclose(PairSum()(vectors), reference.pairs(vectors), rtol=1e-5, atol=1e-5)


def test_the_gradient_of_a_vector_is_the_sum_of_the_others():
    vectors = tf.constant(np.random.default_rng(0).normal(size=[3, 4, 2]).astype(np.float32))

    with tf.GradientTape() as tape:
        tape.watch(vectors)
        total = PairSum()(vectors)

    expected = tf.reduce_sum(vectors, axis=1, keepdims=True) - vectors
    np.testing.assert_allclose(tape.gradient(total, vectors), expected, rtol=1e-5, atol=1e-6)


def test_no_tensor_holds_all_pairs():
    graph = tf.function(PairSum()).get_concrete_function(tf.TensorSpec([None, 11, WIDTH])).graph

    shapes = [tuple(output.shape) for op in graph.get_operations() for output in op.outputs if output.shape.rank]

    assert not [shape for shape in shapes if shape.count(11) > 1 or 11 * 11 in shape]


def test_gradients_of_the_tables_follow_finite_differences_of_the_reference():
    model, rows = model_of(grouping=EACH_APART), rows_of(3)
    randomize(model)
    vectors, by_hand = vectors_of(model, rows), np.array([1.0, -0.5, 2.0])
    features, numbers, weights = features_of(model, rows), numbers_of(rows), weights_of(model)
    slopes = first_order.slopes(lambda: reference.fm(features, numbers, vectors, weights) @ by_hand, vectors)
    expected = np.zeros(model.tables.inputs.table("user").rows * WIDTH).reshape(-1, WIDTH)
    for field, column in (("user", 0), ("friend", 4)):  # two fields of one table
        np.add.at(expected, rows["ids"][:, column], slopes[:, FIELDS.index(field)])

    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(tensors(rows)) * by_hand)
    [gradient] = tape.gradient(total, [model.tables.fused[f"{WIDTH} user"]])

    assert isinstance(gradient, tf.IndexedSlices)
    np.testing.assert_allclose(tf.convert_to_tensor(gradient), expected, rtol=1e-4, atol=1e-4)


def test_without_embeddings_it_is_the_linear_model():
    fm, linear, rows = model_of(), first_order.model_of(Linear), rows_of(20)
    randomize(fm)
    for name, variable in fm.tables.fused.items():
        if name.startswith(f"{WIDTH} "):
            variable.assign(tf.zeros_like(variable))
    linear.tables.fused["1 "].assign(fm.tables.fused["1 "])
    for one, other in zip(linear.tower.variables, fm.tower.variables, strict=True):
        one.assign(other)

    np.testing.assert_array_equal(fm(tensors(rows)), linear(tensors(rows)))


def test_columns_behind_the_vectors_are_in_no_pair():
    tower = FM()
    tower.connect(INPUTS)
    vectors, more = np.ones([1, len(FIELDS) * WIDTH], np.float32), np.float32([[5.0, 7.0, 9.0]])
    tower(tf.constant(np.hstack([vectors, more])), 0, wide=tf.zeros([1, 1]))
    tower.head.kernel.assign([[1.0], [0.0], [2.0]])

    logit = tower(tf.constant(np.hstack([vectors, more])), 0, wide=tf.constant([[0.5]]))

    pairs = len(FIELDS) * (len(FIELDS) - 1) / 2
    assert logit.numpy().tolist() == [pairs * WIDTH + 5 + 18 + 0.5]


# Its inputs and weights


def test_extend_keeps_x0_and_adds_a_table_of_width_1_for_each_feature():
    extended = FM().extend(INPUTS)

    assert extended.fields[: len(FIELDS)] == INPUTS.fields
    assert extended.tables[: len(INPUTS.tables)] == INPUTS.tables
    assert {one.name: one.rows for one in extended.tables[len(INPUTS.tables) :]} == WIDE


@pytest.mark.parametrize(
    ("change", "received"),
    [
        (
            {"tables": (Table("user", 23, 5), *INPUTS.tables[1:])},
            "user 5, history 3, tags 3, price 3, item 3, friend 5",
        ),
        ({"fields": INPUTS.fields[:1]}, "user 3$"),
        ({"fields": ()}, "none$"),
    ],
    ids=["two widths", "one field", "no field"],
)
def test_fields_that_cannot_meet_are_refused(change, received):
    message = rf"fm needs at least two embeddings, all of one width\. Set their `dim`\. Received: {received}"
    with pytest.raises(ValueError, match=message):
        model_of(replace(INPUTS, **change))


def test_without_numbers_the_head_has_only_a_bias():
    model = model_of(replace(INPUTS, plain=()))

    assert [tuple(variable.shape) for variable in model.tower.variables] == [(1,)]
    assert model(tensors(rows_of(4))).shape == 4


def test_its_blocks_are_the_pairs_and_the_head():
    assert list(model_of().tower.blocks) == ["pairs", "head"]
    assert MODELS["fm"] is FM


def test_weights_outside_the_tables_start_at_zero():
    assert all((variable.numpy() == 0).all() for variable in model_of(initializer="he_normal").tower.variables)


def test_the_cost_of_the_pairs_is_linear_in_the_number_of_fields():
    signature = {key: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for key, value in rows_of().items()}
    half = replace(INPUTS, fields=INPUTS.fields[:3])

    few, all_ = ({cost.name: cost.flops for cost in cost_of(model_of(one), signature)} for one in (half, INPUTS))

    assert all_["pairs"] - few["pairs"] == 4 * 3 * WIDTH  # a square and two sums for each number of four fields


# Precision and training


def test_in_mixed_precision_the_pairs_are_summed_in_float32(mixed_bfloat16):
    model, rows = model_of(), tensors(rows_of())
    model.tower.head.bias.assign([np.float32(1 + 2**-20)])
    x0 = tf.cast(model.tables(rows)["deep"], tf.float32).numpy()

    pairs = reference.pairs(x0[:, : len(FIELDS) * WIDTH].reshape(-1, len(FIELDS), WIDTH))

    assert model.tower.pairs.compute_dtype == "float32"
    np.testing.assert_allclose(model(rows), pairs + 1 + 2**-20, rtol=1e-5)


@pytest.mark.medium
def test_plain_compile_and_fit_learn_what_only_a_pair_tells():
    """The label says whether two ids agree, which no sum of weights per id can tell."""
    two = replace(INPUTS, fields=(INPUTS.fields[0], INPUTS.fields[4]), categories=INPUTS.categories[:2], sequences=())
    model = model_of(two, grouping=LIKE_A_RUN)
    rows = rows_of(2048)
    rows["ids"][:, :2] = 3 + rows["ids"][:, :2] % 4
    rows["label"] = (rows["ids"][:, 0] == rows["ids"][:, 1]).astype(np.float32)
    sparse = {"*": RMSPropV2(0.1), "wide/*": FtrlProximal(0.1, l1=0.001)}
    model.compile(optimizer=Router(sparse, {"*": adam(0.01)}, model.logical_variables))

    data = tf.data.Dataset.from_tensor_slices(rows).batch(128)
    losses = model.fit(data, epochs=8, verbose=0).history["loss"]

    rate = rows["label"].mean()
    constant = -rate * np.log(rate) - (1 - rate) * np.log(1 - rate)
    assert losses[-1] < 0.5 * constant
