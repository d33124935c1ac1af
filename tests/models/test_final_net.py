"""FinalNet multiplies maps of its input in two blocks, gates the fields of one, and teaches both by their mean."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from models import CAN, BatchNorm, Category, CTRModel, Field, FinalNet, Inputs, Table
from models.final_net import FactorizedLayer, FieldGate
from tests.models import deep_cross
from tests.models.deep_cross import float64
from tests.models.fields import randomize
from tests.reference import final_net as reference

DIM, FIELDS = 4, 3
WIDTH = FIELDS * DIM + 1
INPUTS = Inputs(
    tables=(Table("user", 30, DIM), Table("item", 20, DIM), Table("one", 30, 1)),
    fields=(
        Field("user", "user", column=0),
        Field("bias", "one", column=0, branch="wide"),  # of another branch, so its width does not matter
        Field("item", "item", column=1),
        Field("seller", "user", column=2),
    ),
    numerics=("age",),
    plain=(0,),
    categories=(Category("user", 0, 30, "user"), Category("item", 1, 20, "item")),
)
PURE = replace(INPUTS, fields=tuple(field for field in INPUTS.fields if field.branch == "deep"))
KINDS = {
    "default": {},
    "sum": {"residual": "sum"},
    "no gate": {"field_gate": False},
    "one block": {"hidden_2": ()},
    "one block without a gate": {"hidden_2": (), "field_gate": False, "residual": "sum"},
    "long second block": {"hidden": (4,), "hidden_2": (6, 2, 4), "residual": "sum"},
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
every_residual = pytest.mark.parametrize("residual", ["concat", "sum"])


def x0(size=5, width=WIDTH, seed=0):
    return deep_cross.x0(size, width, seed)


def output_of(tower, x, training=False):
    """Return the logits, and the losses by name."""
    output = tower(tf.constant(x), 0, training=training)
    return (output, {}) if isinstance(output, tf.Tensor) else (output.logit, output.losses)


def built(inputs=INPUTS, width=WIDTH, **arguments):
    """Return a built tower."""
    tower = FinalNet(**{"hidden": (6, 4), "hidden_2": (6,), **arguments})
    tower.connect(inputs)
    tower(tf.constant(x0(width=width)), 0)
    return tower


def weights_of(tower, value=float64):
    """Return the weights in the form that the reference takes; `value` reads a variable."""

    def layer(factorized, norm):
        moments = norm and [value(v) for v in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)]
        return {"kernel": value(factorized.dense.kernel), "bias": value(factorized.dense.bias), "norm": moments}

    return {
        "gate": tower.gate and (value(tower.gate.kernel), value(tower.gate.bias)),
        "blocks": [[layer(factorized, norm) for factorized, norm, *_ in block.blocks] for block in tower.deep],
        "heads": [(value(head.kernel), value(head.bias)) for head in tower.heads],
    }


def expected_logits(tower, x, kind, value=float64, training=False):
    """Return the logits of each block."""
    residual = kind.get("residual", "concat")
    return reference.final_net(
        np.asarray(x, np.float64), (FIELDS, DIM), residual, weights_of(tower, value), training=training
    )


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


# The logit


@pytest.mark.parametrize("batch_norm", [True, False], ids=["batch norm", "no batch norm"])
@every_kind
def test_logits_and_losses_follow_the_float64_reference(kind, batch_norm):
    tower = built(batch_norm=batch_norm, dropout=0.5, **kind)
    randomize(tower)
    parts = expected_logits(tower, x0(), kind)
    mean = sum(parts) / len(parts)

    logits, losses = output_of(tower, x0())

    assert_close(logits, mean)
    assert list(losses) == ([f"distillation_{index}" for index in (1, 2)] if len(parts) == 2 else [])
    for loss, part in zip(losses.values(), parts, strict=False):
        assert_close(loss, reference.cross_entropy(1 / (1 + np.exp(-mean)), part))


@every_residual
def test_training_normalizes_the_products_of_the_batch(residual):
    tower = built(residual=residual)
    randomize(tower)
    parts = expected_logits(tower, x0(40), {"residual": residual}, training=True)

    logits, _ = output_of(tower, x0(40), training=True)

    assert_close(logits, sum(parts) / 2)
    layers = [layer for block in tower.deep for layer in block.blocks]
    assert [norm.gamma.shape[0] for _, norm, *_ in layers] == [6, 4, 6]
    assert all(factorized.dense.use_bias for factorized, *_ in layers)  # the bias of h_1 outlives the normalization


@pytest.mark.parametrize(("residual", "expected"), [("concat", [3.0, 21.0]), ("sum", [3.0 + 21.0])])
def test_a_factorized_layer_by_hand(residual, expected):
    layer = FactorizedLayer(len(expected), residual, "zeros", "layer")
    layer(tf.zeros([1, 2]))
    layer.dense.kernel.assign([[1.0, 0.0], [0.0, 2.0]])
    layer.dense.bias.assign([1.0, -1.0])
    # h_2 = 2 + 1 and h_1 = 2 * 4 - 1
    assert layer(tf.constant([[2.0, 4.0]])).numpy().tolist() == [expected]


def test_a_field_gate_by_hand():
    gate = FieldGate()
    gate(tf.zeros([1, 2, 2]))
    gate.kernel.assign([[0.0, 10.0], [100.0, 0.0]])
    gate.bias.assign([1.0, 2.0])
    # column by column: the gate of field 1 is 1 + 100 x_2, that of field 2 is 2 + 10 x_1
    gated = gate(tf.constant([[[3.0, 4.0], [5.0, 6.0]]]))
    assert gated.numpy().tolist() == [[[3 * 501.0, 4 * 601.0], [5 * 32.0, 6 * 42.0]]]


@pytest.mark.medium
@pytest.mark.parametrize("kind", [KINDS["default"], KINDS["sum"], KINDS["one block"]], ids=str)
def test_gradients_of_the_logit_follow_finite_differences_of_the_reference(kind):
    tower = built(batch_norm=False, **kind)
    randomize(tower)
    point = tf.constant(x0(seed=2))
    with tf.GradientTape() as tape:
        tape.watch(point)
        total = tf.reduce_sum(output_of(tower, point)[0])

    def expected(value):
        parts = expected_logits(tower, value(point), kind, value)
        return sum(parts).sum() / len(parts)

    check_slopes(tape, total, [point, *tower.trainable_variables], expected)


def check_slopes(tape, total, sources, expected):
    """Compare the gradient in a random direction for each source with the slope of `expected`.

    Args:
        tape: tape of `total`.
        total: sum whose gradients are checked.
        sources: variables and tensors.
        expected: function of `value`, which reads a source.
    """
    h, random = 1e-6, np.random.default_rng(3)
    for source, gradient in zip(sources, tape.gradient(total, sources), strict=True):
        direction = random.normal(size=source.shape)

        def moved(step, source=source, direction=direction):
            return expected(lambda one: float64(one) + (step * direction if one is source else 0))

        terms = gradient.numpy() * direction
        slope = (moved(h) - moved(-h)) / (2 * h)
        assert terms.sum() == pytest.approx(slope, rel=1e-3, abs=1e-5 * np.abs(terms).sum())


# The losses of the blocks


def rows_of(size=12, seed=0):
    random = np.random.default_rng(seed)
    ids = np.stack([random.integers(3, rows, size) for rows in (30, 20, 30)], axis=1)
    return {
        "ids": tf.constant(ids, tf.int32),
        "numerics": tf.constant(random.normal(size=[size, 1]), tf.float32),
        "label": tf.constant(random.integers(0, 2, size), tf.float32),
        "weight": tf.constant(random.choice([0.5, 1.0, 3.0], size), tf.float32),
    }


def model_of(inputs=PURE, stddev=0.5, base_logit=None, **arguments):
    tower = FinalNet(**{"hidden": (6, 4), "hidden_2": (6,), **arguments})
    return CTRModel(inputs, tower, stddev, base_logit=base_logit)


@pytest.mark.medium
@pytest.mark.parametrize("distillation", [1.0, 0.3])
def test_the_blocks_learn_from_labels_and_from_the_score_as_a_constant(distillation):
    model, rows = model_of(batch_norm=False, distillation=distillation), rows_of()
    randomize(model.tower)
    x, weight = model.tables(rows)["deep"], rows["weight"].numpy().astype(np.float64)
    score = 1 / (1 + np.exp(-sum(expected_logits(model.tower, x, {})) / 2))  # does not move below

    def expected(value):
        parts = expected_logits(model.tower, x, {}, value)
        label = reference.cross_entropy(rows["label"].numpy(), sum(parts) / 2)
        taught = sum(reference.cross_entropy(score, part) for part in parts)
        return ((label + distillation * taught) * weight).sum() / weight.sum()

    with tf.GradientTape() as tape:
        loss = model.compute_loss(rows)

    assert float(loss) == pytest.approx(expected(float64), rel=1e-5)
    check_slopes(tape, loss, model.tower.trainable_variables, expected)
    means = {name: float(mean.result()) for name, mean in model.mean_losses.items()}
    assert means.keys() == {"distillation_1", "distillation_2"}
    assert float(model.mean_loss.result()) + sum(means.values()) == pytest.approx(float(loss), rel=1e-6)


@pytest.mark.parametrize("arguments", [{"distillation": 0.0}, {"hidden_2": ()}], ids=str)
def test_without_distillation_or_a_second_block_there_are_no_further_losses(arguments):
    assert model_of(**arguments).mean_losses == {}


def test_the_losses_of_large_logits_are_exact():
    tower = built(hidden=(2,), hidden_2=(2,))
    for head, bias in zip(tower.heads, (2000.0, -1000.0), strict=True):
        head.kernel.assign(tf.zeros_like(head.kernel))
        head.bias.assign([bias])

    with tf.GradientTape() as tape:
        logit, losses = output_of(tower, x0(1))
        total = tf.add_n([*losses.values()])
    gradients = tape.gradient(total, [head.bias for head in tower.heads])

    # the score is 1 at a logit of 500: the first block agrees, the second is 1000 below
    assert float(logit[0]) == 500
    assert [float(loss[0]) for loss in losses.values()] == [0.0, 1000.0]
    assert [float(gradient[0]) for gradient in gradients] == [0.0, -1.0]


def test_blocks_that_agree_lose_the_entropy_of_the_score_and_get_no_gradient():
    tower = built()
    for head in tower.heads:
        head.kernel.assign(tf.zeros_like(head.kernel))
        head.bias.assign([0.7])
    with tf.GradientTape() as tape:
        _, losses = output_of(tower, x0(1))
        total = tf.add_n([*losses.values()])
    score = 1 / (1 + np.exp(-0.7))
    entropy = -score * np.log(score) - (1 - score) * np.log(1 - score)
    assert float(total[0]) == pytest.approx(2 * entropy, rel=1e-6)
    assert float(tape.gradient(total, tower.heads[0].bias)[0]) == pytest.approx(0, abs=1e-7)


# The gate and the rest of x_0


def test_gates_start_at_1():
    gate = FieldGate()
    x = x0().reshape(-1)[:60].reshape(5, 3, 4)
    np.testing.assert_array_equal(gate(tf.constant(x)), x)


def test_the_gate_feeds_the_first_block_only():
    tower = built(batch_norm=False)
    randomize(tower)
    before = expected_logits(tower, x0(), {})
    tower.gate.kernel.assign(tower.gate.kernel + 0.5)
    first, second = expected_logits(tower, x0(), {})
    assert_close(output_of(tower, x0())[0], (first + second) / 2)
    np.testing.assert_array_equal(second, before[1])
    assert (first != before[0]).any()


@every_residual
def test_numbers_behind_the_embeddings_reach_both_blocks_ungated(residual):
    tower, more = built(residual=residual, width=WIDTH + 3), x0(width=WIDTH + 3)
    randomize(tower)
    assert_close(output_of(tower, more)[0], sum(expected_logits(tower, more, {"residual": residual})) / 2)
    assert tower.gate.kernel.shape == [FIELDS, FIELDS]
    widths = [block.blocks[0][0].dense.kernel.shape[0] for block in tower.deep]
    assert widths == [WIDTH + 3 + FIELDS * DIM, WIDTH + 3]


def test_in_a_model_the_fields_are_those_of_x0_in_declared_order():
    model, rows = model_of(), rows_of()
    randomize(model.tower)
    user, item = (np.concatenate(list(model.tables.table_blocks(name))) for name in ("user", "item"))
    ids = rows["ids"].numpy()
    x = np.hstack([user[ids[:, 0]], item[ids[:, 1]], user[ids[:, 2]], rows["numerics"].numpy()])
    assert_close(model(rows), sum(expected_logits(model.tower, x, {})) / 2)


def test_below_can_the_co_actions_are_not_gated():
    tower = CAN(FinalNet(hidden=(6,), hidden_2=(6,)), (("user", "item"),), micro_mlp=(4, 2))
    model = CTRModel(PURE, tower, 0.5, base_logit=-1.5)
    assert tower.base.gate.kernel.shape == [FIELDS, FIELDS]
    assert list(model.mean_losses) == ["distillation_1", "distillation_2"]
    assert tower.logit_biases == tower.base.logit_biases


def test_without_a_gate_embeddings_may_differ_in_width_or_not_exist():
    uneven = replace(PURE, tables=(Table("user", 30, 2), Table("item", 20, 3)))
    assert model_of(uneven, field_gate=False).tower.gate is None
    assert model_of(Inputs((), (), ("age",), (0,)), field_gate=False).tower.blocks.keys() == {"deep", "head"}


# Weights


@every_kind
def test_blocks_are_named_and_hold_each_variable_once(kind):
    tower = built(**kind)
    names = ["gate", "deep", "head"] if kind.get("field_gate", True) else ["deep", "head"]
    named = {name: [id(v) for layer in layers for v in layer.variables] for name, layers in tower.blocks.items()}
    assert list(named) == names
    assert sorted(chain(*named.values())) == sorted(id(v) for v in tower.variables)
    assert all(named.values())


@every_kind
def test_an_untrained_model_predicts_the_base_rate_where_x0_is_zero(kind):
    model = model_of(stddev=0.0, base_logit=-2.5, **kind)
    rows = {**rows_of(), "numerics": tf.zeros([12, 1])}
    np.testing.assert_allclose(model(rows), np.full(12, -2.5), rtol=1e-6)


def kernels(tower):
    """Return the kernels of each block, the head's last."""
    parts = zip(tower.deep, tower.heads, strict=True)
    return [[*(one[0].dense.kernel.numpy() for one in block.blocks), head.kernel.numpy()] for block, head in parts]


def test_weights_depend_on_the_seed_and_the_path_only():
    (first, second), (same, _), [alone], (other, _) = (
        kernels(built(**arguments))
        for arguments in ({}, {"hidden_2": (2, 8), "dropout": 0.5}, {"hidden_2": ()}, {"seed": 5})
    )
    for left, right, third, changed in zip(first, same, alone, other, strict=True):
        np.testing.assert_array_equal(left, right)
        np.testing.assert_array_equal(left, third)
        assert (left != changed).all()
    assert len(second) == 2


def test_blocks_of_one_shape_start_unlike():
    (one, head), (two, other) = kernels(built(hidden=(40,), hidden_2=(40,), field_gate=False))
    assert abs(np.corrcoef(one.ravel(), two.ravel())[0, 1]) < 0.15
    assert abs(np.corrcoef(head.ravel(), other.ravel())[0, 1]) < 0.5


@pytest.mark.parametrize(("residual", "columns"), [("concat", 40), ("sum", 80)])
def test_kernels_have_the_range_of_the_initializer_for_both_maps(residual, columns):
    [kernel, _], _ = kernels(built(hidden=(40,), residual=residual, field_gate=False))
    assert kernel.shape == (WIDTH, columns)
    assert np.abs(kernel).max() == pytest.approx(np.sqrt(6 / (WIDTH + columns)), rel=0.02)


def test_each_batch_norm_has_the_numbers_of_the_setting():
    tower = built(batch_norm=BatchNorm(epsilon=1e-5, momentum=0.5))
    norms = [norm for block in tower.deep for _, norm, *_ in block.blocks]
    assert [(norm.epsilon, norm.momentum) for norm in norms] == [(1e-5, 0.5)] * 3


# Dropout and precision


@pytest.mark.parametrize(("arguments", "rates"), [({}, (0.4, 0.4)), ({"dropout_2": 0.0}, (0.4, 0.0))], ids=str)
def test_each_block_drops_at_its_own_rate(arguments, rates):
    tower = built(hidden=(60,), hidden_2=(60,), residual="sum", batch_norm=False, dropout=0.4, **arguments)
    x = tf.constant(x0(200))
    for block, rate, width in zip(tower.deep, rates, (WIDTH + FIELDS * DIM, WIDTH), strict=True):
        inputs = tf.concat([x, x], axis=1)[:, :width]
        kept, dropped = (block(inputs, 0, training=training).numpy() for training in (False, True))
        share = (dropped[kept > 0] == 0).mean()
        assert share == pytest.approx(rate, abs=0.03)
        again, other = (block(inputs, step, training=True).numpy() for step in (0, 1))
        np.testing.assert_array_equal(dropped, again)
        assert (dropped != other).any() == (rate > 0)


@pytest.mark.medium
def test_mixed_precision_computes_in_bfloat16_close_to_float32_with_float32_losses(mixed_bfloat16):
    mixed = built()
    tf_keras.mixed_precision.set_global_policy("float32")
    full = built()
    rough, fine = (output_of(tower, x0()) for tower in (mixed, full))
    assert {v.dtype for v in (rough[0], *rough[1].values(), *mixed.variables)} == {tf.float32}
    np.testing.assert_allclose(rough[0], fine[0], atol=0.05 * np.abs(fine[0]).max())
    assert (rough[0].numpy() != fine[0].numpy()).any()


def test_one_graph_serves_batches_of_every_size():
    tower = built()
    graph = tf.function(lambda x: tower(x, 0).logit, input_signature=[tf.TensorSpec([None, WIDTH])], autograph=False)
    for size in (0, 1, 7):
        np.testing.assert_allclose(graph(x0(size)), output_of(tower, x0(size))[0], rtol=1e-5, atol=1e-6)


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": ()}, r"hidden must be one or more widths. Received: \[\]"),
        ({"hidden": (6, 0)}, r"hidden must be widths .* Received: \[6, 0\]"),
        ({"hidden_2": (10**6,)}, r"hidden_2 must be widths .* Received: \[1000000\]"),
        ({"hidden": (6, 5)}, r"hidden must be even widths .* Received: \[6, 5\]"),
        ({"hidden_2": (7,)}, r"hidden_2 must be even widths .* Received: \[7\]"),
        ({"residual": "add"}, "residual must be one of concat, sum. Received: 'add'"),
        ({"distillation": -0.1}, "distillation must be a number of at least 0. Received: -0.1"),
        ({"distillation": float("nan")}, "distillation must be a number of at least 0. Received: nan"),
        ({"distillation": float("inf")}, "distillation must be a number of at least 0. Received: inf"),
        ({"dropout": 1.0}, r"^dropout must be in \[0, 1\). Received: 1.0"),
        ({"dropout_2": -0.1}, r"^dropout_2 must be in \[0, 1\). Received: -0.1"),
        (
            {"inputs": replace(INPUTS, tables=(Table("user", 9, 4), Table("item", 9, 2)))},
            "field_gate needs embeddings of one `dim`, but user has 4 and item has 2. Set one `dim`, or `field_gate: f",
        ),
        ({"inputs": Inputs((), (), ("age",), (0,))}, "field_gate: no feature has an embedding. Add one, or set"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_refused_are(arguments, message):
    with pytest.raises(ValueError, match=message):
        built(**arguments)


def test_a_sum_takes_odd_widths():
    assert built(residual="sum", hidden=(5,), hidden_2=(3,)).heads[0].kernel.shape == [5, 1]
