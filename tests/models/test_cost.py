"""Parameters and operations of a row, counted by hand: a multiply-add is 2, a bias, a ReLU or a product 1 a number."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from models import (
    DCNV2,
    DIN,
    DNN,
    MODELS,
    Category,
    CTRModel,
    Field,
    Inputs,
    SequenceInput,
    Stream,
    Table,
    Tower,
    TwoStream,
    WideDeep,
)
from models.cost import cost_of

LENGTH = 5  # of the longest history
VECTORS = Inputs(
    tables=(Table("user", 20, 4), Table("item", 10, 4)),
    fields=(Field("user", "user", column=0), Field("item", "item", column=1)),
    numerics=("age",),
    plain=(0,),
    categories=(Category("user", 0, 20, "user"), Category("item", 1, 10, "item")),
    sequences=(SequenceInput("history", 10, "item"),),
)
WIDTH = 9  # two vectors and a number


class Computing(Tower):
    """A tower without layers, whose logit is the mean of a function of x_0 [batch, width]."""

    def __init__(self, compute):
        super().__init__(name="computing")
        self.compute = compute

    @property
    def blocks(self):
        return {}

    def call(self, x0, step, training=False):
        return tf.reduce_mean(self.compute(x0), axis=1)


def with_field(**field):
    """Return VECTORS with one more field."""
    return Inputs(VECTORS.tables, (*VECTORS.fields, Field(**field)), VECTORS.numerics, VECTORS.plain)


def signature(rows=None, length=LENGTH):
    return {
        "ids": tf.TensorSpec([rows, 2], tf.int32),
        "numerics": tf.TensorSpec([rows, 1], tf.float32),
        "sequences/history": tf.TensorSpec([rows, length], tf.int32),
        "lengths/history": tf.TensorSpec([rows], tf.int32),
        "label": tf.TensorSpec([rows], tf.float32),
    }


def costs(tower, inputs=VECTORS, **batch):
    """Return, by component, (parameters, operations)."""
    return {part: counts for part, *counts in cost_of(CTRModel(inputs, tower), signature(**batch))}


def dense(fan_in, units):
    """Return parameters and operations of a layer with bias and without activation."""
    return np.array([fan_in * units + units, 2 * fan_in * units + units])


def every_model():
    """Return one model of each name that a config accepts."""
    arguments = {
        "din": lambda: {"targets": {"history": "item"}},
        "can": lambda: {"base": DNN(hidden=[8]), "pairs": (("item", "history"),)},
        "two_stream": lambda: {"streams": {"easy": Stream(DNN(hidden=[8])), "hard": Stream(DCNV2(hidden=[8]))}},
    }
    return {name: lambda name=name, make=make: make(**arguments.get(name, dict)()) for name, make in MODELS.items()}


every = pytest.mark.parametrize("make_tower", every_model().values(), ids=every_model().keys())


def test_an_mlp_costs_its_products_biases_and_activations():
    found = costs(DNN(hidden=[8, 6], batch_norm=False))

    relu = [0, 8 + 6]
    assert found["deep"] == [*(dense(WIDTH, 8) + dense(8, 6) + relu)]
    assert found["head"] == [*dense(6, 1)]


def test_a_batch_norm_instead_of_a_bias_costs_a_multiplication_and_an_addition_a_unit():
    norm_for_bias = np.array([2 * 8, 2 * 8]) - [8, 8]
    relu = [0, 8]

    assert costs(DNN(hidden=[8]))["deep"] == [*(dense(WIDTH, 8) + norm_for_bias + relu)]


def test_a_dropout_costs_nothing_in_evaluation():
    assert costs(DNN(hidden=[8], dropout=0.5)) == costs(DNN(hidden=[8]))


def test_a_stream_costs_what_its_model_costs_alone():
    streams = {"easy": Stream(DNN(hidden=[8])), "hard": Stream(DCNV2(cross_layers=1, hidden=[6]))}
    found = costs(TwoStream(streams))

    for name, tower in (("easy", DNN(hidden=[8])), ("hard", DCNV2(cross_layers=1, hidden=[6]))):
        alone = costs(tower)
        assert found[name] == [sum(counts) for counts in zip(*(alone[block] for block in tower.blocks), strict=True)]
    assert found["fusion"] == [2, 4]


@pytest.mark.parametrize("layers", [1, 3])
def test_a_full_rank_cross_layer_costs_a_square_matrix_and_three_operations_a_number(layers):
    found = costs(DCNV2("cross_only", cross_layers=layers))

    assert found["cross"] == [layers * (WIDTH**2 + WIDTH), layers * (2 * WIDTH**2 + 3 * WIDTH)]
    assert found["head"] == [*dense(WIDTH, 1)]


def test_a_cross_layer_of_rank_r_costs_two_matrices_of_width_r():
    found = costs(DCNV2("cross_only", cross_layers=1, rank=2))

    assert found["cross"] == [2 * WIDTH * 2 + WIDTH, 2 * (2 * WIDTH * 2) + 3 * WIDTH]


@pytest.mark.medium
def test_the_layers_of_a_tower_are_one_part():
    both, stacked, parallel = (
        costs(DCNV2(structure, hidden=[8])) for structure in ("stacked_parallel", "stacked", "parallel")
    )

    assert both["deep"] == [one + other for one, other in zip(stacked["deep"], parallel["deep"], strict=True)]


def test_wide_and_deep_costs_an_mlp_and_in_its_own_name_the_sum_of_the_wide_weights():
    found, without = costs(WideDeep(hidden=[8])), costs(DNN(hidden=[8]))

    wide_weights = 20 + 10
    assert found["tables"][0] == without["tables"][0] + wide_weights
    assert (found["deep"], found["head"]) == (without["deep"], without["head"])
    assert found["wide_deep"] == [0, 2 + 1]  # two weights, and the logit of the deep branch
    assert list(found) == ["tables", "deep", "head", "wide_deep"]


def test_tables_have_all_their_rows_and_a_look_up_is_no_operation():
    assert costs(DNN(hidden=[8]))["tables"] == [(20 + 10) * 4, 0]


@pytest.mark.parametrize(("pooling", "divisions"), [("sum", 0), ("mean", 1)])
@pytest.mark.parametrize("length", [1, LENGTH])
def test_pooling_costs_a_multiply_add_for_each_number_of_the_longest_sequence(pooling, divisions, length):
    inputs = with_field(name="history", table="item", sequence="history", pooling=pooling)

    assert costs(DNN(hidden=[8]), inputs, length=length)["tables"][1] == length * (2 * 4 + divisions)


def test_a_number_as_an_embedding_costs_a_multiplication_a_number():
    assert costs(DNN(hidden=[8]), with_field(name="age", table="user", column=0, scale=0))["tables"][1] == 4


@pytest.mark.medium
@every
def test_the_parts_of_every_model_have_all_its_trainable_parameters(make_tower):
    model = CTRModel(VECTORS, make_tower())

    found = cost_of(model, signature())

    assert sum(cost.parameters for cost in found) == sum(math.prod(v.shape) for v in model.trainable_variables)


@pytest.mark.medium
@every
def test_every_tower_of_every_model_computes(make_tower):
    model = CTRModel(VECTORS, make_tower())

    found = {part: flops for part, _, flops in cost_of(model, signature())}

    assert [*found][: 1 + len(model.tower.blocks)] == ["tables", *model.tower.blocks]
    assert all(found[tower] > 0 for tower in model.tower.blocks)


@pytest.mark.medium
@every
def test_the_rows_of_a_batch_do_not_matter(make_tower):
    model = CTRModel(VECTORS, make_tower())

    assert cost_of(model, signature(rows=64)) == cost_of(model, signature())


def test_precision_does_not_matter(mixed_bfloat16):
    low = costs(DCNV2(hidden=[8]))
    tf_keras.mixed_precision.set_global_policy("float32")

    assert low == costs(DCNV2(hidden=[8]))


def test_a_tower_that_is_called_twice_costs_twice():
    class Twice(DNN):
        def call(self, x0, step, training=False):
            return super().call(x0, step, training) + super().call(-x0, step, training)

    once, twice = costs(DNN(hidden=[8])), costs(Twice(hidden=[8]))

    for tower in ("deep", "head"):
        assert twice[tower] == [once[tower][0], 2 * once[tower][1]]
    assert twice["dnn"] == [0, WIDTH + 1]


@pytest.mark.parametrize(
    "product",
    [
        lambda x: tf.matmul(x[:, :, None], x[:, :, None], transpose_a=True),
        lambda x: tf.matmul(x[:, None], x[:, None], transpose_b=True),
        lambda x: tf.einsum("bi,bi->b", x, x)[:, None],
        lambda x: tf.einsum("...i,...i->...", x, x)[:, None],
        lambda x: tf.einsum("i...,i...->...", tf.transpose(x), tf.transpose(x))[:, None],
    ],
)
def test_a_product_costs_what_it_sums_however_it_is_written(product):
    found = costs(Computing(lambda x0: tf.reshape(product(x0), [-1, 1])))

    mean = 1
    assert found["computing"] == [0, 2 * WIDTH + mean]


@pytest.mark.parametrize("length", [1, LENGTH])
def test_attention_costs_an_mlp_for_each_behavior_of_the_longest_history(length):
    found = costs(DIN({"history": "item"}, attention=(3,), attention_activation="relu", hidden=[8]), length=length)

    relu = np.array([0, 3])
    inputs, mlp, pooled = 2 * 4, dense(4 * 4, 3) + relu + dense(3, 1), 2 * 4
    assert found["attention"][0] == mlp[0]
    assert found["attention"][1] == length * (inputs + mlp[1] + pooled)


def test_what_is_done_once_a_batch_is_not_of_a_row():
    weights = tf.ones([WIDTH])

    assert costs(Computing(lambda x0: x0 * tf.sqrt(weights))) == costs(Computing(lambda x0: x0 * weights))


@pytest.mark.parametrize(
    "compute",
    [
        lambda x0: tf.while_loop(lambda x: tf.reduce_sum(x) < 9, lambda x: [x + 1], [x0])[0],
        lambda x0: tf.function(tf.square)(x0),
    ],
    ids=["a loop", "a function"],
)
def test_what_cannot_be_counted_is_an_error_and_not_zero(compute):
    with pytest.raises(ValueError, match=r"ctr_model/computing/.*: cannot count operations inside a function"):
        costs(Computing(compute))


def test_counting_changes_nothing():
    model = CTRModel(VECTORS, DCNV2(hidden=[8]))
    model.step.assign(7)
    before = [variable.numpy().tobytes() for variable in model.variables]
    score = tf.function(lambda batch: model(batch, training=False), input_signature=[signature()], autograph=False)
    score.get_concrete_function()

    cost_of(model, signature())
    score.get_concrete_function()

    assert [variable.numpy().tobytes() for variable in model.variables] == before
    assert int(model.step) == 7
    assert score.experimental_get_tracing_count() == 1
