"""FinalMLP combines two MLPs by a bilinear form; a gate of each depends on a context from tables of its own."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from models import CAN, BatchNorm, Category, CTRModel, Field, FinalMLP, FinalNet, Inputs, Stream, Table, TwoStream
from models.final_mlp import BilinearFusion, FeatureGate
from optimizers import Adagrad, Router, adam
from tests.models import deep_cross
from tests.models.deep_cross import float64
from tests.models.fields import mlp_weights, randomize
from tests.reference import final_mlp as reference

INPUTS = Inputs(
    tables=(Table("user", 30, 4), Table("item", 20, 3)),
    fields=(
        Field("user", "user", column=0),
        Field("item", "item", column=1),
        Field("friend", "user", column=2),
        Field("price", "item", column=3, scale=1),
        Field("history", "item", sequence="history", pooling="mean"),
    ),
    numerics=("age", "price"),
    plain=(0,),
    categories=(Category("user", 0, 30, "user"), Category("item", 1, 20, "item")),
)
WIDTH = 4 + 3 + 4 + 3 + 3 + 1
WIDTHS = {"context_1": 4 + 3, "context_2": 3}
CONTEXTS = {"context_1": ("user", "history"), "context_2": ("item",)}
KINDS = {
    "learned vectors": {},
    "contexts": CONTEXTS,
    "one context": {"context_2": ("item",)},
    "linear gates": {**CONTEXTS, "gate_hidden": ()},
    "deep gates": {**CONTEXTS, "gate_hidden": (5, 4)},
    "no gates": {**CONTEXTS, "gates": False},
    "one head": {"heads": 1},
    "as many heads as numbers": {"hidden": (6,), "hidden_2": (6,), "heads": 6},
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def x0(size=5, width=WIDTH, seed=0):
    return deep_cross.x0(size, width, seed)


def contexts_of(kind, size=5):
    """Return a random context for each branch that the tower reads."""
    has_gates = kind.get("gates", True)
    return {name: x0(size, WIDTHS[name], seed=7) for name in CONTEXTS if kind.get(name) and has_gates}


def logits_of(tower, x, kind, training=False):
    return tower(tf.constant(x), 0, training=training, **contexts_of(kind, len(x)))


def built(**arguments):
    """Return a built tower."""
    tower = FinalMLP(**{"hidden": (5, 4), "hidden_2": (6,), "heads": 2, "gate_hidden": (3,), **arguments})
    logits_of(tower, x0(), arguments)
    return tower


def weights_of(tower, value=float64):
    """Return the weights in the form that the reference takes; `value` reads a variable."""

    def gate(one):
        return value(one.vector) if one.hidden is None else [(value(d.kernel), value(d.bias)) for d in one.mlp]

    return {
        "gates": [gate(one) for one in tower.gates] or None,
        "deep": [mlp_weights(mlp, value) for mlp in tower.deep],
        "matrices": value(tower.fusion.kernel),
        "heads": [value(head.kernel) for head in tower.linear],
        "bias": value(tower.linear[1].bias),
    }


def expected_logits(tower, x, contexts, value=float64):
    both = [contexts.get(name) for name in CONTEXTS]
    both = [context if context is None else np.asarray(context, np.float64) for context in both]
    return reference.final_mlp(np.asarray(x, np.float64), both, weights_of(tower, value))


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


# The logit


@pytest.mark.parametrize("batch_norm", [True, False], ids=["batch norm", "no batch norm"])
@every_kind
def test_logits_follow_the_float64_reference(kind, batch_norm):
    tower = built(batch_norm=batch_norm, dropout=0.5, **kind)
    randomize(tower)
    assert_close(logits_of(tower, x0(), kind), expected_logits(tower, x0(), contexts_of(kind)))


def test_a_fusion_by_hand():
    fusion = BilinearFusion(2, "glorot_uniform", 0)
    fusion((tf.zeros([1, 4]), tf.zeros([1, 2])))
    fusion.kernel.assign([[[1.0], [10.0]], [[100.0], [1000.0]]])
    # head 1 has x = [1, 2] and y = 5, head 2 has x = [3, 4] and y = 6
    logits = fusion((tf.constant([[1.0, 2.0, 3.0, 4.0]]), tf.constant([[5.0, 6.0]])))
    assert logits.numpy().tolist() == [(1 + 20) * 5.0 + (300 + 4000) * 6.0]


def test_a_gate_by_hand():
    gate = FeatureGate((1,), "glorot_uniform", 0, "gate/0")
    gate(tf.zeros([1, 2]), tf.zeros([1, 2]))
    hidden, last = gate.mlp
    hidden.kernel.assign([[1.0], [1.0]])
    hidden.bias.assign([-1.0])
    last.kernel.assign([[np.log(3.0), 0.0]])
    last.bias.assign([0.0, -np.log(3.0)])
    x = tf.constant([[10.0, 100.0]])
    # relu(1 + 1 - 1) = 1: sigmoid(log 3) = 3/4 and sigmoid(-log 3) = 1/4; relu(-1) = 0: sigmoid(0) = 1/2
    np.testing.assert_allclose(gate(x, tf.constant([[1.0, 1.0]])), [[15.0, 50.0]], rtol=1e-6)
    np.testing.assert_allclose(gate(x, tf.constant([[0.0, 0.0]])), [[10.0, 50.0]], rtol=1e-6)


@pytest.mark.medium
@pytest.mark.parametrize("kind", [{}, {**CONTEXTS, "gate_hidden": (5, 4)}, {"gates": False}], ids=str)
def test_gradients_follow_finite_differences_of_the_reference(kind):
    tower, contexts = built(batch_norm=False, **kind), {k: tf.constant(v) for k, v in contexts_of(kind).items()}
    randomize(tower)
    point, h, random = tf.constant(x0(seed=2)), 1e-6, np.random.default_rng(3)
    sources = [point, *contexts.values(), *tower.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch([point, *contexts.values()])
        total = tf.reduce_sum(tower(point, 0, **contexts))
    for source, gradient in zip(sources, tape.gradient(total, sources), strict=True):
        direction = random.normal(size=source.shape)

        def moved(step, source=source, direction=direction):
            def value(one):
                return float64(one) + (step * direction if one is source else 0)

            values = {name: value(context) for name, context in contexts.items()}
            return expected_logits(tower, value(point), values, value).sum()

        terms = gradient.numpy() * direction
        slope = (moved(h) - moved(-h)) / (2 * h)
        assert terms.sum() == pytest.approx(slope, rel=1e-3, abs=1e-5 * np.abs(terms).sum())


def test_heads_of_one_width_and_one_head_of_blocks_are_the_same():
    many, one = built(heads=2), built(heads=1)
    randomize(many)
    block, (rows, columns) = np.zeros([1, 4, 6]), (2, 3)
    for head in range(2):
        block[0, head * rows : (head + 1) * rows, head * columns : (head + 1) * columns] = many.fusion.kernel[head]
    for target, source in zip(one.variables, many.variables, strict=True):
        target.assign(block if source is many.fusion.kernel else source)
    assert_close(logits_of(one, x0(), {}), logits_of(many, x0(), {}).numpy())


def test_a_learned_vector_gates_all_examples_alike_and_each_mlp_by_its_own():
    tower = built(batch_norm=False)
    first, second = tower.gates
    first.vector.assign([np.log(3.0), *[0.0] * (WIDTH - 1)])
    second.vector.assign([*[0.0] * (WIDTH - 1), -np.log(3.0)])
    plain = built(batch_norm=False, gates=False)
    for target, source in zip(plain.variables, [v for v in tower.variables if "vector" not in v.name], strict=True):
        target.assign(source)
    left, right = x0(), x0()
    left[:, 0] *= 1.5
    right[:, -1] *= 0.5
    pair = [mlp(tf.constant(x), 0) for mlp, x in zip(plain.deep, (left, right), strict=True)]
    linear = sum(head(vectors)[:, 0] for head, vectors in zip(plain.linear, pair, strict=True))
    assert_close(logits_of(tower, x0(), {}), (linear + plain.fusion(pair)).numpy())


@pytest.mark.parametrize("kind", [{}, CONTEXTS], ids=["learned vectors", "contexts"])
def test_gates_start_at_1_on_a_context_of_zero(kind):
    contexts = {name: tf.zeros_like(context) for name, context in contexts_of(kind).items()}
    gated, plain = built(**kind), built(gates=False)
    np.testing.assert_allclose(gated(x0(), 0, **contexts), plain(x0(), 0), rtol=1e-5, atol=1e-7)


# Its tables


def rows_of(size=12, seed=0):
    random = np.random.default_rng(seed)
    ids = np.stack([random.integers(3, rows, size) for rows in (30, 20, 30, 20)], axis=1)
    lengths = random.integers(0, 4, size)
    return {
        "ids": tf.constant(ids, tf.int32),
        "numerics": tf.constant(random.normal(size=[size, 2]), tf.float32),
        "sequences/history": tf.constant(
            random.integers(3, 20, [size, 3]) * (np.arange(3) < lengths[:, None]), tf.int32
        ),
        "lengths/history": tf.constant(lengths, tf.int32),
        "label": tf.constant(random.integers(0, 2, size), tf.float32),
        "weight": tf.ones(size),
    }


def model_of(inputs=INPUTS, stddev=0.5, base_logit=None, grouping=None, **arguments):
    tower = FinalMLP(**{"hidden": (5, 4), "hidden_2": (6,), "heads": 2, "gate_hidden": (3,), **arguments})
    return CTRModel(inputs, tower, stddev, base_logit=base_logit, grouping=grouping)


def table(model, name):
    return np.concatenate(list(model.tables.table_blocks(name)))


def test_extend_adds_a_table_and_a_field_for_each_feature_of_each_context():
    tower = FinalMLP(context_1=("user", "history"), context_2=("user", "item", "price"))
    extended = tower.extend(INPUTS)
    added = {one.name: (one.rows, one.dim, one.stddev) for one in extended.tables[2:]}
    assert added == {
        "context_1/user": (30, 4, None),
        "context_1/item": (20, 3, None),  # of the history, which reads the table of the items
        "context_2/user": (30, 4, None),
        "context_2/item": (20, 3, None),  # of item and price
    }
    fields = extended.fields[len(INPUTS.fields) :]
    assert [(one.name, one.table, one.branch) for one in fields] == [
        ("context_1/user", "context_1/user", "context_1"),
        ("context_1/history", "context_1/item", "context_1"),
        ("context_2/user", "context_2/user", "context_2"),
        ("context_2/item", "context_2/item", "context_2"),
        ("context_2/price", "context_2/item", "context_2"),
    ]
    assert [(one.column, one.sequence, one.pooling, one.scale) for one in fields[1:5:3]] == [
        (None, "history", "mean", None),
        (3, None, None, 1),
    ]
    assert replace(extended, tables=INPUTS.tables, fields=INPUTS.fields) == INPUTS


@pytest.mark.parametrize("arguments", [{}, {**CONTEXTS, "gates": False}], ids=["learned vectors", "no gates"])
def test_without_contexts_there_are_no_further_tables(arguments):
    assert FinalMLP(**arguments).extend(INPUTS) == INPUTS


@pytest.mark.parametrize("grouping", [None, "each"], ids=["by width", "each apart"])
def test_in_a_model_a_context_is_read_from_its_own_tables(grouping):
    names = ("user", "item", "context_1/user", "context_1/item", "context_2/item")
    model, rows = model_of(grouping=grouping and {name: name for name in names}, **CONTEXTS), rows_of()
    randomize(model.tower)
    ids, numerics = rows["ids"].numpy(), rows["numerics"].numpy()

    def histories(items):
        pairs = zip(rows["sequences/history"].numpy(), rows["lengths/history"].numpy(), strict=True)
        return np.array([items[one[:length]].mean(axis=0) if length else np.zeros(3) for one, length in pairs])

    user, item, own_user, own_history, own_item = (table(model, name) for name in names)
    price = item[ids[:, 3]] * numerics[:, 1:]
    x = np.hstack([user[ids[:, 0]], item[ids[:, 1]], user[ids[:, 2]], price, histories(item), numerics[:, :1]])
    contexts = {
        "context_1": np.hstack([own_user[ids[:, 0]], histories(own_history)]),
        "context_2": own_item[ids[:, 1]],
    }
    assert_close(model(rows), expected_logits(model.tower, x, contexts))
    assert (own_item[3:] != item[3:]).all()
    assert (own_history[3:] != own_item[3:]).all()


def test_tables_and_kernels_of_x0_start_the_same_with_and_without_contexts():
    with_contexts, without = model_of(**CONTEXTS), model_of()
    for name in ("user", "item"):
        np.testing.assert_array_equal(table(with_contexts, name), table(without, name))
    for one, other in zip(with_contexts.tower.deep, without.tower.deep, strict=True):
        for left, right in zip(one.variables, other.variables, strict=True):
            np.testing.assert_array_equal(left, right)


@pytest.mark.medium
def test_context_tables_train_with_an_optimizer_of_their_own_and_only_rows_of_the_batch_move():
    names = {"user": "*", "item": "*", "context_1/user": "context_1/*", "context_2/item": "*"}
    arguments = {"context_1": ("user",), "context_2": ("item",), "batch_norm": False}
    model, rows = model_of(grouping=names, **arguments), rows_of(4)
    tables = {"*": Adagrad(0.1), "context_1/*": Adagrad(0.0)}
    model.compile(optimizer=Router(tables, {"*": adam(0.05)}, model.logical_variables))
    before = {name: table(model, name) for name in names}
    for _ in range(3):
        model.train_step(rows)
    moved = {name: set(np.flatnonzero((table(model, name) != before[name]).any(axis=1)).tolist()) for name in names}
    ids = rows["ids"].numpy()
    assert moved["context_2/item"] == set(ids[:, 1].tolist())
    assert moved["user"] == set(ids[:, [0, 2]].ravel().tolist())
    assert moved["context_1/user"] == set()


def test_as_a_stream_it_reads_contexts_from_tables_of_its_stream():
    stream = FinalMLP(hidden=(4,), hidden_2=(4,), context_1=("user",), context_2=("item",))
    tower = TwoStream({"easy": Stream(FinalNet((4,), (4,), seed=1)), "hard": Stream(stream, dim=2)}, tables="separate")
    model = CTRModel(replace(INPUTS, tables=(Table("user", 30, 3), Table("item", 20, 3))), tower, 0.5, base_logit=-1.5)
    tables = {one.name: one.dim for one in model.tables.inputs.tables}
    assert {name: dim for name, dim in tables.items() if "context" in name} == {
        "streams/hard/context_1/user": 2,
        "streams/hard/context_2/item": 2,
    }
    assert list(model.mean_losses) == ["easy", "easy/distillation_1", "easy/distillation_2", "hard"]
    assert model(rows_of()).shape == [12]


@pytest.mark.parametrize("arguments", [{}, CONTEXTS], ids=["learned vectors", "contexts"])
def test_below_can_the_gates_act_on_the_co_actions_too(arguments):
    base = FinalMLP(hidden=(4,), hidden_2=(4,), **arguments)
    model = CTRModel(INPUTS, CAN(base, (("user", "item"),), micro_mlp=(4, 2)), 0.5, base_logit=-1.5)
    width = WIDTH + 2 * 2
    assert {tuple(gate.variables[-1].shape) for gate in base.gates} == {(width,)}
    assert model(rows_of()).shape == [12]


# Weights


@every_kind
def test_blocks_are_named_and_hold_each_variable_once(kind):
    names = ["gate", "deep", "head"] if kind.get("gates", True) else ["deep", "head"]
    tower = built(**kind)
    named = {name: [id(v) for layer in layers for v in layer.variables] for name, layers in tower.blocks.items()}
    assert list(named) == names
    assert sorted(chain(*named.values())) == sorted(id(v) for v in tower.variables)
    assert all(named.values())


@every_kind
def test_an_untrained_model_predicts_the_base_rate_where_x0_is_zero(kind):
    model = model_of(stddev=0.0, base_logit=-2.5, **kind)
    rows = {**rows_of(), "numerics": tf.zeros([12, 2])}
    np.testing.assert_allclose(model(rows), np.full(12, -2.5), rtol=1e-6)


def by_path(tower):
    """Return the initial kernels that depend on the seed."""
    gates = [dense.kernel for gate in tower.gates if gate.hidden is not None for dense in gate.mlp]
    deep = [dense.kernel for mlp in tower.deep for dense, *_ in mlp.blocks]
    return [v.numpy() for v in (*deep, tower.fusion.kernel, *(head.kernel for head in tower.linear), *gates)]


def test_a_seed_gives_the_same_weights_each_time_and_another_seed_others():
    one, again, other = (by_path(built(seed=seed, **CONTEXTS)) for seed in (1, 1, 2))
    for left, right, changed in zip(one, again, other, strict=True):
        np.testing.assert_array_equal(left, right)
        assert (left != changed).all()


def test_mlps_and_gates_of_one_shape_start_unlike():
    contexts = {"context_1": ("item",), "context_2": ("item",)}
    tower = FinalMLP(hidden=(40,), hidden_2=(40,), gate_hidden=(40,), **contexts)
    tower(x0(), 0, context_1=x0(5, 3), context_2=x0(5, 3))
    pairs = [[mlp.blocks[0][0].kernel for mlp in tower.deep], [gate.mlp[0].kernel for gate in tower.gates]]
    for left, right in pairs:
        assert abs(np.corrcoef(left.numpy().ravel(), right.numpy().ravel())[0, 1]) < 0.3


def test_the_matrices_of_the_fusion_start_in_the_range_of_one_column():
    kernel = built(hidden=(40,), hidden_2=(20,), heads=4).fusion.kernel
    assert kernel.shape == [4, 10, 5]
    assert np.abs(kernel).max() == pytest.approx(np.sqrt(6 / (4 * 10 * 5 + 1)), rel=0.05)


def test_only_the_last_head_has_a_bias():
    tower = built()
    assert [head.use_bias for head in tower.linear] == [False, True]
    assert tower.logit_biases == [tower.linear[1].bias]


def test_each_batch_norm_has_the_numbers_of_the_setting():
    tower = built(batch_norm=BatchNorm(epsilon=1e-5, momentum=0.5))
    norms = [norm for mlp in tower.deep for _, norm, *_ in mlp.blocks]
    assert [(norm.epsilon, norm.momentum) for norm in norms] == [(1e-5, 0.5)] * 3


# Dropout and precision


@pytest.mark.parametrize(("arguments", "rates"), [({}, (0.4, 0.4)), ({"dropout_2": 0.0}, (0.4, 0.0))], ids=str)
def test_each_mlp_drops_at_its_own_rate(arguments, rates):
    tower = built(hidden=(60,), hidden_2=(60,), batch_norm=False, dropout=0.4, **arguments)
    x = tf.constant(x0(200))
    for mlp, rate in zip(tower.deep, rates, strict=True):
        kept, dropped = (mlp(x, 0, training=training).numpy() for training in (False, True))
        assert (dropped[kept > 0] == 0).mean() == pytest.approx(rate, abs=0.03)


@pytest.mark.medium
def test_mixed_precision_computes_in_bfloat16_close_to_float32_and_fuses_in_float32(mixed_bfloat16):
    mixed = built(**CONTEXTS)
    tf_keras.mixed_precision.set_global_policy("float32")
    full = built(**CONTEXTS)
    rough, fine = (logits_of(tower, x0(), CONTEXTS) for tower in (mixed, full))
    assert {v.dtype for v in (rough, *mixed.variables)} == {tf.float32}
    np.testing.assert_allclose(rough, fine, atol=0.05 * np.abs(fine).max())
    assert (rough.numpy() != fine.numpy()).any()
    pair = [tf.cast(x0(5, width), tf.bfloat16) for width in (4, 6)]
    assert mixed.fusion(pair).dtype == tf.float32


def test_one_graph_serves_batches_of_every_size():
    tower = built()
    graph = tf.function(lambda x: tower(x, 0), input_signature=[tf.TensorSpec([None, WIDTH])], autograph=False)
    for size in (0, 1, 7):
        np.testing.assert_allclose(graph(x0(size)), tower(tf.constant(x0(size)), 0), rtol=1e-5, atol=1e-6)


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": ()}, r"^hidden must be one or more widths. Received: \[\]"),
        ({"hidden_2": ()}, r"^hidden_2 must be one or more widths. Received: \[\]"),
        ({"hidden": (6, 0)}, r"^hidden must be widths .* Received: \[6, 0\]"),
        ({"hidden_2": (10**6,)}, r"^hidden_2 must be widths .* Received: \[1000000\]"),
        ({"gate_hidden": (0,)}, r"^gate_hidden must be widths .* Received: \[0\]"),
        (
            {"heads": 0},
            "heads must divide the last widths of hidden and hidden_2, 4 and 6. Use a divisor of 2. Received: 0",
        ),
        (
            {"heads": -2},
            "heads must divide the last widths of hidden and hidden_2, 4 and 6. Use a divisor of 2. Received: -2",
        ),
        (
            {"heads": 4},
            "heads must divide the last widths of hidden and hidden_2, 4 and 6. Use a divisor of 2. Received: 4",
        ),
        (
            {"heads": 3},
            "heads must divide the last widths of hidden and hidden_2, 4 and 6. Use a divisor of 2. Received: 3",
        ),
        ({"heads": 10**9}, "heads must be at most 65536. Received: 1000000000"),
        ({"dropout": 1.0}, r"^dropout must be in \[0, 1\). Received: 1.0"),
        ({"dropout_2": 1.5}, r"^dropout_2 must be in \[0, 1\). Received: 1.5"),
        ({"context_1": ("user", "user")}, r"context_1 must name each feature once. Received: \['user', 'user'\]"),
        (
            {"context_2": ("usr",)},
            "context_2: unknown embedded feature 'usr'. Use one of: user, item, friend, price, h",
        ),
        ({"context_1": ("age",)}, "context_1: 'age' has no embedding in x_0. Use one of: user, item"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else "",
)
def test_refused_are(arguments, message):
    with pytest.raises(ValueError, match=message):
        model_of(**arguments)


def test_a_table_that_has_the_name_of_a_context_is_refused():
    taken = replace(INPUTS, tables=(*INPUTS.tables, Table("context_1/user", 9, 4)))
    with pytest.raises(ValueError, match=r"duplicate table 'context_1/user'\. Rename the feature"):
        model_of(taken, context_1=("user",))
