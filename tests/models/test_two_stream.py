"""Two streams compute two models on tables of their own, fuse their logits, and learn from a loss of each."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from models import (
    CAN,
    DCNV2,
    DIN,
    DNN,
    Category,
    CompressedDot,
    CTRModel,
    Field,
    Inputs,
    SequenceInput,
    Stream,
    Table,
    TowerOutput,
    TwoStream,
    WideDeep,
)
from optimizers import Adagrad, Router
from tests.models.deep_cross import float64
from tests.reference import dcn_v2
from tests.reference import two_stream as reference
from tests.toy_towers import Penalized, SelfTaught

USERS, ITEMS, DIM = 12, 9, 4
INPUTS = Inputs(
    tables=(Table("user", USERS, DIM), Table("item", ITEMS, DIM)),
    fields=(Field("user", "user", column=0), Field("item", "item", column=1)),
    numerics=("age", "unused"),
    plain=(0,),
    categories=(Category("user", 0, USERS, "user"), Category("item", 1, ITEMS, "item")),
    sequences=(SequenceInput("past", ITEMS, "item"),),
)
every_fusion = pytest.mark.parametrize("fusion", ["weighted", "sum", "gate"])
every_tables = pytest.mark.parametrize("tables", ["separate", "shared"])


def a_batch(size=6, seed=1):
    random = np.random.default_rng(seed)
    return {
        "ids": np.stack([random.integers(3, 7, size), random.integers(3, ITEMS, size)], axis=1).astype(np.int32),
        "numerics": random.normal(size=[size, 2]).astype(np.float32),
        "sequences/past": random.integers(3, ITEMS, [size, 3]).astype(np.int32),
        "lengths/past": random.integers(0, 4, size).astype(np.int32),
        "label": random.integers(0, 2, size).astype(np.float32),
        "weight": random.uniform(0.5, 2, size).astype(np.float32),
    }


def tensors(batch):
    return {key: tf.constant(value) for key, value in batch.items()}


def plain_mlp(seed, hidden=(5,)):
    return DNN(hidden, batch_norm=False, seed=seed)


def model_of(easy=None, hard=None, dims=(None, None), base_logit=None, **arguments):
    """Return a model with embeddings and weights that differ visibly."""
    towers = easy or plain_mlp(1), hard or plain_mlp(2, (6, 3))
    streams = {name: Stream(*pair) for name, pair in zip(("easy", "hard"), zip(towers, dims, strict=True), strict=True)}
    model = CTRModel(INPUTS, TwoStream(streams, **arguments), stddev=0.5, base_logit=base_logit)
    random = np.random.default_rng(5)
    if base_logit is None:
        for variable in model.tower.trainable_variables:
            variable.assign(random.normal(0, 0.7, variable.shape))
    return model


def table_of(model, name):
    return np.concatenate(list(model.tables.table_blocks(name))).astype(np.float64)


def x0_of(model, batch, prefix):
    """Return the input of a stream, float64: its embeddings, then the plain number."""
    vectors = [table_of(model, prefix + name)[batch["ids"][:, at]] for at, name in enumerate(("user", "item"))]
    return np.hstack([*vectors, batch["numerics"][:, :1].astype(np.float64)])


def logits_of(model, batch, tables, value=float64):
    """Return stream -> its logits and inputs, by the reference of a plain MLP; `value` reads a variable."""
    found = {}
    for name, stream in model.tower.streams.items():
        tower, x = stream.tower, x0_of(model, batch, f"streams/{name}/" if tables == "separate" else "")
        layers = [{"kernel": value(d.kernel), "bias": value(d.bias), "norm": None} for d, *_ in tower.deep.blocks]
        kernel, bias = (value(variable) for variable in tower.head.variables)
        found[name] = (dcn_v2.mlp(x, layers) @ kernel + bias)[:, 0], x
    return found


def fused(model, streams, value=float64):
    """Return the logit of the model from logits and inputs of its streams."""
    (easy, x_easy), (hard, x_hard) = streams.values()
    combine = model.tower.combine
    if model.tower.fusion == "gate":
        gate = [value(variable) for variable in combine.gate.variables]
        return reference.gated(easy, hard, np.hstack([x_easy, x_hard]), *gate)
    return reference.fused(easy, hard, (1, 1) if model.tower.fusion == "sum" else value(combine.stream_weights))


@every_tables
@every_fusion
def test_logits_follow_the_float64_reference(fusion, tables):
    model, batch = model_of(fusion=fusion, tables=tables), a_batch()

    logits = model(tensors(batch))

    np.testing.assert_allclose(logits, fused(model, logits_of(model, batch, tables)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.5])
def test_losses_follow_the_float64_reference(gamma):
    model, batch = model_of(alpha=0.3, focus=0.6, gamma=gamma, loss_weight=2.0), a_batch()
    (easy, _), (hard, _) = logits_of(model, batch, "separate").values()
    expected = reference.stream_losses(easy, hard, batch["label"], alpha=0.3, focus=0.6, gamma=gamma)

    losses = model.output(tensors(batch)).losses_of(tf.constant(batch["label"]))

    assert list(losses) == ["easy", "hard"]
    for found, values in zip(losses.values(), expected, strict=True):
        np.testing.assert_allclose(found, 2 * values, rtol=1e-4)


@every_fusion
def test_gradients_follow_finite_differences_of_the_reference(fusion):
    model, batch, h, random = model_of(fusion=fusion), a_batch(), 1e-6, np.random.default_rng(3)
    _, gradients = model.loss_and_gradients(tensors(batch))
    of_tower = [
        (variable, gradient)
        for (kind, _), variable, gradient in zip(
            model.logical_variables, model.trainable_variables, gradients, strict=True
        )
        if kind == "tower"
    ]

    for variable, gradient in of_tower:
        direction = random.normal(size=variable.shape)

        def total(step, variable=variable, direction=direction):
            def value(tensor):
                return float64(tensor) + (step * direction if tensor is variable else 0)

            streams = logits_of(model, batch, "separate", value)
            (easy, _), (hard, _), label = *streams.values(), batch["label"]
            logit = fused(model, streams, value)
            own = reference.stream_losses(easy, hard, label, alpha=0.25, focus=0.7, gamma=1.0)
            terms = np.logaddexp(0, logit) - label * logit + sum(own)
            return (terms * batch["weight"]).sum() / batch["weight"].sum()

        terms = gradient.numpy() * direction
        slope = (total(h) - total(-h)) / (2 * h)
        assert terms.sum() == pytest.approx(slope, rel=1e-3, abs=1e-4 * np.abs(terms).sum()), variable.name
    assert len(of_tower) == 4 + 6 + {"weighted": 1, "sum": 0, "gate": 2}[fusion]


def test_a_gamma_of_one_weights_gradients_as_derived():
    """The weight on the gradient of the cross-entropy is c + t + t ln t for `easy`, 2 - c - t - t ln t for `hard`."""
    logits, label = np.linspace(-3, 3, 6), np.array([0, 1, 0, 1, 0, 1])
    score = reference.sigmoid(logits)
    t = np.where(label == 1, score, 1 - score)
    expected = {"easy": 0.25 * (0.7 + t + t * np.log(t)), "hard": 0.75 * (1.3 - t - t * np.log(t))}

    for name, weight in expected.items():
        logit = tf.Variable(logits, dtype=tf.float32)
        with tf.GradientTape() as tape:
            loss = model_of().tower.losses_of(name, TowerOutput(logit, {}))[name](tf.constant(label, tf.float32))
        np.testing.assert_allclose(tape.gradient(loss, logit), weight * (score - label), rtol=1e-4)


@every_tables
def test_the_tables_are_the_features_or_one_for_each_stream(tables):
    model = model_of(
        hard=WideDeep([5], seed=2), dims=(2, None) if tables == "separate" else (None, None), tables=tables
    )

    found = {table.name: (table.rows, table.dim) for table in model.tables.inputs.tables}

    wide = {"streams/hard/wide/user": (USERS, 1), "streams/hard/wide/item": (ITEMS, 1)}
    separate = {
        "streams/easy/user": (USERS, 2),
        "streams/easy/item": (ITEMS, 2),
        "streams/hard/user": (USERS, DIM),
        "streams/hard/item": (ITEMS, DIM),
    }
    assert found == wide | (separate if tables == "separate" else {"user": (USERS, DIM), "item": (ITEMS, DIM)})


def test_separate_tables_start_differently():
    model = model_of()
    easy, hard = table_of(model, "streams/easy/user"), table_of(model, "streams/hard/user")
    assert not easy[:3].any()
    assert not np.isin(easy[3:], hard[3:]).any()


@every_tables
def test_a_step_moves_the_rows_of_the_batch_in_every_table_and_no_other(tables):
    wide_enough = [plain_mlp(seed, (20,)) for seed in (1, 2)]  # for a gradient of every row
    model, batch = model_of(*wide_enough, tables=tables), a_batch()
    names = [table.name for table in model.tables.inputs.tables]
    before = {name: table_of(model, name) for name in names}
    model.compile(optimizer=Router({"*": Adagrad(0.1)}, {"*": tf_keras.optimizers.SGD(0.1)}, model.logical_variables))

    model.train_step(tensors(batch))

    read = dict(zip(("user", "item"), batch["ids"].T.tolist(), strict=True))
    for name in names:
        moved = np.flatnonzero((table_of(model, name) != before[name]).any(axis=1))
        assert set(moved.tolist()) == set(read[name.rpartition("/")[2]]), name


def test_a_stream_alone_is_its_model():
    """Each stream gets the inputs that its model would get outside: any model, on tables of equal values."""
    batch = a_batch()
    makers = [
        lambda: WideDeep([5], seed=3),
        lambda: DIN({"past": "item"}, attention=[3], hidden=[5], seed=3),
        lambda: CAN(DNN([5], seed=3), (("item", "past"),), micro_mlp=[4, 3]),
        lambda: CompressedDot(hidden=[5], seed=3),
        lambda: DCNV2(hidden=[5], seed=3),
    ]
    for make in makers:
        alone, model = CTRModel(INPUTS, make(), stddev=0.5), model_of(hard=make(), fusion="sum", loss_weight=0.0)
        for target, source in zip(model.tower.hard.variables, alone.tower.variables, strict=True):
            target.assign(source)
        for table in alone.tables.inputs.tables:
            assign(model, f"streams/hard/{table.name}", table_of(alone, table.name))
        easy = model.tower.easy(model.tables(tensors(batch))["streams/easy/deep"], 0).logit
        np.testing.assert_allclose(model(tensors(batch)) - easy, alone(tensors(batch)), atol=1e-5)


def assign(model, name, values):
    """Set the embeddings of a table."""
    key = next(key for key, members in model.tables.groups.items() if name in [table.name for table in members])
    fused, start = model.tables.fused[key], model.tables.offsets[name]
    fused.assign(np.concatenate([fused[:start], values, fused[start + len(values) :]]))


def test_losses_of_a_stream_have_the_weight_of_the_stream():
    tower = Penalized(coefficient=0.7, seed=4)
    batch = tensors(a_batch())
    model = model_of(easy=tower, hard=SelfTaught([5], batch_norm=False, seed=2), alpha=0.3, loss_weight=2.0)
    losses = model.output(batch).losses_of(batch["label"])
    assert list(losses) == ["easy", "easy/activity", "easy/logit", "hard", "hard/error"]
    branches = model.tables(batch)
    easy = tower(branches["streams/easy/deep"], 0).losses_of(batch["label"])
    np.testing.assert_allclose(losses["easy/activity"], 0.6 * easy["activity"], rtol=1e-6)
    hard = model.tower.hard.tower(branches["streams/hard/deep"], 0).losses_of(batch["label"])
    np.testing.assert_allclose(losses["hard/error"], 1.4 * hard["error"], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [({"loss_weight": 0.0}, []), ({"alpha": 0.0}, ["hard"]), ({"alpha": 1.0}, ["easy"])],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_loss_without_weight_is_left_out(arguments, names):
    batch = tensors(a_batch())
    assert list(model_of(**arguments).output(batch).losses) == names


@every_fusion
def test_an_untrained_model_starts_at_the_base_rate(fusion):
    quiet = replace(INPUTS, tables=tuple(replace(table, stddev=0.0) for table in INPUTS.tables), plain=())
    streams = {"easy": Stream(plain_mlp(1)), "hard": Stream(plain_mlp(2))}
    model = CTRModel(quiet, TwoStream(streams, fusion=fusion), base_logit=-2.0)
    np.testing.assert_allclose(model(tensors(a_batch())), np.full(6, -2.0), rtol=1e-6)


def test_only_a_gate_keeps_the_biases_of_the_logit():
    for fusion, count in (("gate", 2), ("weighted", 0), ("sum", 0)):
        model, batch = model_of(fusion=fusion), tensors(a_batch())
        assert len(model.tower.logit_biases) == count
        before = model(batch).numpy()
        for bias in model.tower.logit_biases:
            bias.assign_add([0.5])
        np.testing.assert_allclose(model(batch) - before, 0.5 * (count > 0), atol=1e-6)


def test_a_graph_in_mixed_precision_has_logits_in_float32():
    policy = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = model_of(fusion="gate", hard=WideDeep([5], batch_norm=False, seed=2))
    finally:
        tf_keras.mixed_precision.set_global_policy(policy)
    batch = tensors(a_batch())
    branches = model.tables(batch)
    assert branches["streams/easy/deep"].dtype == branches["streams/hard/deep"].dtype == tf.bfloat16
    assert branches["streams/hard/wide"].dtype == tf.float32
    assert tf.function(model)(batch).dtype == tf.float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tables": "own"}, "tables must be one of separate, shared. Received: 'own'"),
        ({"fusion": "mean"}, "fusion must be one of weighted, sum, gate. Received: 'mean'"),
        ({"loss_weight": -1.0}, "loss_weight must be at least 0. Received: -1.0"),
        ({"alpha": 1.5}, r"alpha must be in \[0, 1\]. Received: 1.5"),
        ({"focus": 1.0}, "focus must be above 0 and below 1. Received: 1.0"),
        ({"gamma": -0.5}, "gamma must be at least 0. Received: -0.5"),
        ({"tables": "shared", "dims": (2, None)}, "streams: easy: dim needs `tables: separate`. Received: 2"),
        ({"dims": (None, 0)}, "streams: hard: dim must be at least 1. Received: 0"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_refused_are(arguments, message):
    with pytest.raises(ValueError, match=message):
        model_of(**arguments)


def test_other_streams_are_refused():
    with pytest.raises(ValueError, match=r"streams must be easy and hard\. Received: easy, third"):
        TwoStream({"easy": Stream(plain_mlp(1)), "third": Stream(plain_mlp(2))})
