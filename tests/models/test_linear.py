"""Linear sums one weight per value of every feature, and a weight times each plain number; it has no embeddings."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from models import DNN, MODELS, CTRModel, Field, Inputs, Linear, Table, cost_of
from models.wide import FirstOrder
from optimizers import FtrlProximal, Router, adam
from tests.models import first_order
from tests.models.first_order import EACH_APART, INPUTS, LIKE_A_RUN, WIDE, randomize, rows_of, table, tensors
from tests.reference import linear as reference

NO_NUMBERS = replace(INPUTS, plain=())
every_grouping = pytest.mark.parametrize(
    "grouping", [None, LIKE_A_RUN, EACH_APART], ids=["by width", "by optimizer", "each apart"]
)


def model_of(inputs=INPUTS, **arguments):
    return first_order.model_of(Linear, inputs, **arguments)


def weights_of(model):
    return {"kernel": model.tower.head.kernel.numpy(), "bias": model.tower.head.bias.numpy()}


def expected_logits(model, rows):
    return reference.linear(first_order.features_of(model, rows), first_order.numbers_of(rows), weights_of(model))


# The logit


@every_grouping
def test_logits_follow_the_float64_reference(grouping):
    model, rows = model_of(grouping=grouping), rows_of(20)
    randomize(model)

    np.testing.assert_allclose(model(tensors(rows)), expected_logits(model, rows), rtol=1e-5, atol=1e-5)


def test_a_logit_by_hand():
    tower = Linear()
    tower(tf.zeros([1, 2]), 0, wide=tf.zeros([1, 3]))
    tower.head.kernel.assign([[10.0], [100.0]])
    tower.head.bias.assign([0.5])

    logit = tower(tf.constant([[3.0, 4.0]]), 0, wide=tf.constant([[0.25, -2.0, 1.0]]))

    assert logit.numpy().tolist() == [430.0 + 0.5 + (0.25 - 2 + 1)]


@pytest.mark.parametrize("numbers", [INPUTS.plain, ()], ids=["with numbers", "without numbers"])
def test_an_untrained_model_scores_the_base_rate_for_every_example(numbers):
    model = CTRModel(replace(INPUTS, plain=numbers), Linear(), base_logit=-2.5)

    np.testing.assert_array_equal(model(tensors(rows_of(9))), np.full(9, np.float32(-2.5)))


@pytest.mark.parametrize("name", ["user", "friend"])
def test_features_that_share_an_embedding_table_have_weights_of_their_own(name):
    model, rows = model_of(), rows_of(20)
    rows["ids"][:, 0] = rows["ids"][:, 4] = 5
    fused = model.tables.fused["1 "]

    fused.assign(tf.tensor_scatter_nd_add(fused, [[model.tables.offsets[f"wide/{name}"] + 5]], [[2.0]]))

    np.testing.assert_allclose(model(tensors(rows)), np.full(20, 2.0))


def test_gradients_follow_finite_differences_of_the_reference():
    model, rows = model_of(grouping=EACH_APART), rows_of(5)
    randomize(model)
    features, numbers = first_order.features_of(model, rows), first_order.numbers_of(rows)
    weights = {name: array.astype(np.float64) for name, array in weights_of(model).items()}
    features = [{**feature, "table": feature["table"].astype(np.float64)} for feature in features]
    by_hand = np.array([1.0, -0.5, 2.0, 0.25, -1.0])

    with tf.GradientTape() as tape:
        total = tf.reduce_sum(model(tensors(rows)) * by_hand)
    variables = [*model.tables.fused.values(), model.tower.head.kernel, model.tower.head.bias]
    gradients = [tf.convert_to_tensor(gradient).numpy() for gradient in tape.gradient(total, variables)]

    arrays = [*(feature["table"] for feature in features), weights["kernel"], weights["bias"]]
    for gradient, array in zip(gradients, arrays, strict=True):
        slopes = first_order.slopes(lambda: reference.linear(features, numbers, weights) @ by_hand, array)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-5)


# Its inputs


def test_extend_replaces_the_embeddings_by_a_table_of_width_1_for_each_feature():
    extended = Linear().extend(INPUTS).trimmed()

    assert [(one.name, one.rows, one.dim, one.stddev) for one in extended.tables] == [
        (name, rows, 1, 0.0) for name, rows in WIDE.items()
    ]
    assert [(one.name, one.table, one.branch) for one in extended.fields] == [(name, name, "wide") for name in WIDE]
    poolings = {one.name: one.pooling for one in extended.fields if one.sequence}
    assert poolings == {
        "wide/history": "mean",
        "wide/tags": "sum",
        "wide/user_x_history": "sum",
        "wide/item_x_history": "sum",
    }
    assert [one.scale for one in extended.fields if one.name == "wide/price"] == [1]


def test_a_sequence_without_pooling_has_no_weights():
    fields = tuple(field for field in INPUTS.fields if field.name != "tags")

    assert "wide/tags" not in [table.name for table in Linear().extend(replace(INPUTS, fields=fields)).tables]


def test_without_numbers_the_tower_gets_an_input_of_width_0_and_has_only_its_bias():
    model, rows = model_of(NO_NUMBERS), rows_of(20)
    randomize(model)

    x0 = model.tables(tensors(rows))["deep"]

    assert (x0.shape, model.tables.width) == ((20, 0), 0)
    assert [tuple(variable.shape) for variable in model.tower.variables] == [(1,)]
    weights = {"kernel": np.zeros([2, 1]), "bias": model.tower.head.bias.numpy()}
    expected = reference.linear(first_order.features_of(model, rows), first_order.numbers_of(rows), weights)
    np.testing.assert_allclose(model(tensors(rows)), expected, rtol=1e-5, atol=1e-5)


def test_plain_numbers_alone_are_enough():
    inputs = Inputs((), (), ("a", "b"), (1, 0))
    model = CTRModel(inputs, Linear())
    randomize(model)
    batch = {"ids": np.zeros([3, 0], np.int32), "numerics": np.float32([[1, 2], [3, 4], [0, 5]])}

    expected = batch["numerics"][:, [1, 0]] @ model.tower.head.kernel.numpy()[:, 0] + model.tower.head.bias.numpy()

    np.testing.assert_allclose(model(tensors(batch)), expected, rtol=1e-6)
    assert model.tables.trainable_variables == []


def test_neither_feature_nor_number_is_an_error():
    with pytest.raises(ValueError, match="tables: a model needs an embedding, a wide weight or a plain number"):
        CTRModel(Inputs((), (), ("a",), ()), Linear())


def test_a_feature_called_as_a_table_of_wide_weights_is_refused():
    taken = replace(INPUTS, tables=(*INPUTS.tables, Table("wide/user", 9, 4)))

    with pytest.raises(ValueError, match=r"duplicate table 'wide/user'\. Rename the feature\."):
        Linear().extend(taken)


def test_another_tower_can_have_an_input_of_width_0_too():
    fields = (Field("user", "user", column=0, branch="other"),)
    inputs = Inputs((Table("user", 9, 2),), fields, (), ())

    class Other(DNN):
        def call(self, x0, step, training=False, other=None):
            return super().call(tf.concat([x0, other], axis=1), step, training)

    assert CTRModel(inputs, Other(hidden=(4,)))({"ids": np.int32([[3], [4]]), "numerics": np.zeros([2, 0])}).shape == 2


# Its weights


def test_its_only_block_is_the_head():
    model = model_of()

    assert list(model.tower.blocks) == ["head"]
    assert model.logical_variables == [("table", list(WIDE)), ("tower", ["head"]), ("tower", ["head"])]


@every_grouping
def test_all_weights_start_at_zero_whatever_the_seed_and_the_initializer(grouping):
    model = model_of(grouping=grouping, seed=7, initializer="he_normal")

    assert all((variable.numpy() == 0).all() for variable in model.trainable_variables)


def test_it_is_called_linear_in_a_config():
    assert MODELS["linear"] is Linear


@every_grouping
def test_the_gradient_of_every_table_is_sparse(grouping):
    model = model_of(grouping=grouping)

    _, gradients = model.loss_and_gradients(tensors(rows_of()))

    tables = gradients[: len(model.tables.fused)]
    assert all(isinstance(gradient, tf.IndexedSlices) for gradient in tables)


def test_the_cost_counts_a_parameter_for_each_value():
    signature = {key: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for key, value in rows_of().items()}

    costs = {cost.name: cost.parameters for cost in cost_of(model_of(), signature)}

    assert costs == {"tables": sum(WIDE.values()), "head": 2 + 1}


# Precision and training


def test_in_mixed_precision_weights_keep_all_their_bits(mixed_bfloat16):
    model, rows = model_of(NO_NUMBERS), tensors(rows_of(9))
    fine = np.float32(1 + 2**-20)
    head = model.tower.head

    head.bias.assign([fine])

    assert (head.compute_dtype, model(rows).dtype) == ("float32", tf.float32)
    np.testing.assert_array_equal(model(rows), np.full(9, fine))
    numbers = CTRModel(INPUTS, Linear())
    numbers.tower.head.kernel.assign([[fine], [fine]])
    x0 = tf.cast(numbers.tables(rows)["deep"], tf.float32).numpy()
    np.testing.assert_allclose(numbers(rows), x0.sum(axis=1) * fine, rtol=1e-6)


def test_a_layer_without_bias_and_wide_weights_is_the_product_with_the_numbers():
    layer, numbers = FirstOrder("first_order", use_bias=False), tf.constant([[1.0, 2.0]])
    layer(numbers)
    layer.kernel.assign([[3.0], [4.0]])

    assert layer(numbers).numpy().tolist() == [11.0]
    assert layer.bias is None


def fitted(l1, epochs, size=2048):
    model = model_of(grouping=LIKE_A_RUN)
    optimizer = Router({"wide/*": FtrlProximal(5.0, l1=l1)}, {"*": adam(0.01)}, model.logical_variables)
    model.compile(optimizer=optimizer)
    data = tf.data.Dataset.from_tensor_slices(rows_of(size)).batch(128)
    return model, model.fit(data, epochs=epochs, verbose=0).history["loss"]


@pytest.mark.medium
def test_plain_compile_and_fit_learn_the_cross():
    _, losses = fitted(l1=0.001, epochs=6)

    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.5 < np.log(2)


@pytest.mark.medium
def test_l1_leaves_exact_zeros():
    shares = [
        np.mean(np.concatenate([table(model, name)[3:] for name in WIDE]) == 0)
        for model, _ in (fitted(l1, 1, 1024) for l1 in (0.0, 0.02, 10.0))
    ]

    assert shares[0] < 0.1 < shares[1] < 0.95 < shares[2] == 1
