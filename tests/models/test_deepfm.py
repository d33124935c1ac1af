"""DeepFM is a factorization machine and an MLP that read the same embeddings."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from models import DNN, FM, MODELS, BatchNorm, CTRModel, DeepFM, Table, cost_of
from tests.models import first_order
from tests.models.first_order import (
    EACH_APART,
    INPUTS,
    LIKE_A_RUN,
    WIDE,
    features_of,
    numbers_of,
    randomize,
    rows_of,
    table,
    tensors,
    vectors_of,
)
from tests.reference import deepfm as reference

every_grouping = pytest.mark.parametrize(
    "grouping", [None, LIKE_A_RUN, EACH_APART], ids=["by width", "by optimizer", "each apart"]
)


def model_of(inputs=INPUTS, **arguments):
    return first_order.model_of(DeepFM, inputs, **{"hidden": (6, 5), **arguments})


def weights_of(model):
    """Return the weights of the tower as float64 arrays, in the form that the reference takes."""
    tower = model.tower
    weights = {
        "kernel": tower.first_order.kernel,
        "deep": [
            {
                "kernel": dense.kernel,
                "bias": dense.bias if dense.use_bias else None,
                "norm": norm and [norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance],
            }
            for dense, norm, *_ in tower.deep.blocks
        ],
        "head": (tower.head.kernel, tower.head.bias),
    }
    return tf.nest.map_structure(lambda v: None if v is None else v.numpy().astype(np.float64), weights)


def expected_logits(model, rows):
    return reference.deepfm(features_of(model, rows), numbers_of(rows), vectors_of(model, rows), weights_of(model))


# The logit


@pytest.mark.parametrize("batch_norm", [True, False], ids=["batch norm", "no batch norm"])
@every_grouping
def test_logits_follow_the_float64_reference(grouping, batch_norm):
    model, rows = model_of(grouping=grouping, batch_norm=batch_norm, dropout=0.5), rows_of(20)
    randomize(model)
    expected = expected_logits(model, rows)

    np.testing.assert_allclose(model(tensors(rows)), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def test_gradients_of_the_vectors_follow_finite_differences_of_the_reference():
    """The embeddings get the gradients of the pairs and of the MLP together."""
    model, rows = model_of(batch_norm=False), rows_of(3)
    randomize(model)
    vectors, by_hand = vectors_of(model, rows), np.array([1.0, -0.5, 2.0])
    features, numbers, weights = features_of(model, rows), numbers_of(rows), weights_of(model)

    branches = model.tables(tensors(rows))
    x0 = branches["deep"]
    with tf.GradientTape() as tape:
        tape.watch(x0)
        total = tf.reduce_sum(model.tower(x0, step=0, wide=branches["wide"]) * by_hand)
    gradient = tape.gradient(total, x0).numpy()[:, : vectors[0].size].reshape(vectors.shape)

    slopes = first_order.slopes(lambda: reference.deepfm(features, numbers, vectors, weights) @ by_hand, vectors)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-3, atol=1e-4 * np.abs(slopes).max())


def test_its_logit_is_that_of_fm_and_that_of_dnn():
    rows = tensors(rows_of(20))
    deepfm = model_of(batch_norm=False)
    fm, dnn = first_order.model_of(FM), CTRModel(INPUTS, DNN(hidden=(6, 5), batch_norm=False, seed=1), 0.3, 1)

    np.testing.assert_allclose(deepfm(rows), fm(rows).numpy() + dnn(rows).numpy(), rtol=1e-5, atol=1e-6)


def test_dropout_and_batch_norm_are_in_the_mlp_only():
    model, rows = model_of(dropout=0.5, hidden=(50,)), tensors(rows_of(20))
    model.tower.head.kernel.assign(tf.zeros_like(model.tower.head.kernel))

    np.testing.assert_array_equal(model(rows, training=True), model(rows))
    fm = first_order.model_of(FM)
    np.testing.assert_allclose(model(rows), fm(rows), rtol=1e-6)


def test_dropout_acts_in_training_and_not_in_evaluation():
    rows = tensors(rows_of(20))
    model = model_of(dropout=0.5, batch_norm=False, hidden=(50,))

    np.testing.assert_array_equal(model(rows), model_of(dropout=0.0, batch_norm=False, hidden=(50,))(rows))
    assert (model(rows, training=True).numpy() != model(rows).numpy()).any()


def test_the_settings_of_batch_norm_reach_the_mlp():
    model = model_of(batch_norm=BatchNorm(epsilon=1e-5, momentum=0.8))

    norms = [norm for _, norm, *_ in model.tower.deep.blocks]
    assert [(norm.epsilon, norm.momentum) for norm in norms] == [(1e-5, 0.8)] * 2


def test_an_untrained_model_without_embeddings_scores_the_base_rate():
    model = CTRModel(replace(INPUTS, plain=()), DeepFM(hidden=(6,)), stddev=0.0, base_logit=-2.5)

    np.testing.assert_array_equal(model(tensors(rows_of(9))), np.full(9, np.float32(-2.5)))


# Its inputs and weights


def test_the_pairs_and_the_mlp_share_one_table_of_embeddings():
    names = [one.name for one in model_of().tables.inputs.tables]

    assert names == [*(one.name for one in INPUTS.tables), *WIDE]


@every_grouping
def test_embeddings_and_mlp_start_as_in_another_model(grouping):
    deepfm, dnn = model_of(grouping=grouping), CTRModel(INPUTS, DNN(hidden=(6, 5), seed=1), 0.3, 1)

    for one in INPUTS.tables:
        np.testing.assert_array_equal(table(deepfm, one.name), table(dnn, one.name))
    for (one, *_), (other, *_) in zip(deepfm.tower.deep.blocks, dnn.tower.deep.blocks, strict=True):
        np.testing.assert_array_equal(one.kernel, other.kernel)


def test_its_blocks_hold_every_variable_once():
    model = model_of()

    assert list(model.tower.blocks) == ["first_order", "pairs", "deep", "head"]
    held = [id(v) for layers in model.tower.blocks.values() for layer in layers for v in layer.trainable_variables]
    assert sorted(held) == sorted(id(v) for v in model.tower.trainable_variables)
    assert MODELS["deepfm"] is DeepFM


def test_the_cost_of_each_block():
    signature = {key: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for key, value in rows_of().items()}

    costs = {cost.name: cost.parameters for cost in cost_of(model_of(batch_norm=False), signature)}

    mlp = (7 * 3 + 2) * 6 + 6 + 6 * 5 + 5
    embeddings = sum(one.rows * one.dim for one in INPUTS.tables)
    wide = sum(WIDE.values())
    assert costs == {"tables": embeddings + wide, "first_order": 2, "pairs": 0, "deep": mlp, "head": 6, "deepfm": 0}


def test_in_mixed_precision_the_mlp_alone_computes_in_bfloat16(mixed_bfloat16):
    tower = model_of().tower

    types = {layer.name: layer.compute_dtype for layer in (tower.deep, tower.pairs, tower.first_order, tower.head)}
    assert types == {"deep": "bfloat16", "pairs": "float32", "first_order": "float32", "head": "float32"}


# Rejected arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": ()}, r"hidden must be one or more widths\. Received: \[\]"),
        ({"hidden": (8, 0)}, r"hidden must be .*Received: \[8, 0\]"),
        ({"dropout": 1.0}, "dropout .*Received: 1.0"),
    ],
)
def test_a_mistake_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        DeepFM(**arguments)


def test_embeddings_of_two_widths_are_refused():
    inputs = replace(INPUTS, tables=(Table("user", 23, 5), *INPUTS.tables[1:]))

    with pytest.raises(
        ValueError,
        match=r"deepfm needs at least two embeddings, all of one width\. Set their `dim`\. Received: user 5, ",
    ):
        model_of(inputs)
