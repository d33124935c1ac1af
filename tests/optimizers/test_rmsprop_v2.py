"""What every optimizer of tables promises, one row of CASES each; then what only RMSPropV2 promises."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers import RMSPropV2
from tests.reference.rmsprop_v2 import rmsprop_v2

ROWS, DIM = 40, 4
NAN = float("nan")

CASES = [  # the optimizer, its float64 reference, the arguments of both
    pytest.param(
        RMSPropV2,
        rmsprop_v2,
        {"learning_rate": 0.02, "beta": 0.99, "epsilon": 1e-8, "l2_gradient": l2_gradient},
        id=f"rmsprop_v2-l2_gradient={l2_gradient}",
    )
    for l2_gradient in (0.0, 0.05)
]
every_optimizer = pytest.mark.parametrize(("optimizer_class", "reference", "config"), CASES)


def start(seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, [ROWS, DIM]).astype(np.float32)


def stream(steps, seed=1, first=0, last=ROWS):
    """(rows, gradients) of each step: duplicated ids from a window that slides over the rows [first, last)."""
    random = np.random.default_rng(seed)
    width = (last - first) // 2
    for step in range(steps):
        rows = first + (step // 5 + random.integers(0, width, 24)) % (last - first)
        scale = 10 ** random.uniform(-3, 0)
        yield rows.astype(np.int32), random.normal(0, scale, [24, DIM]).astype(np.float32)


def apply(optimizer, table, batches):
    """Train a table on sparse gradients."""
    optimizer.build([table])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, DIM], tf.float32)])
    def step(rows, gradients):
        optimizer.apply_gradients([(tf.IndexedSlices(gradients, rows, tf.constant([ROWS, DIM])), table)])

    for rows, gradients in batches:
        step(rows, gradients)


def trained(optimizer, batches, weight=None):
    table = tf.Variable(start() if weight is None else weight)
    apply(optimizer, table, batches)
    return table.numpy()


def states(optimizer):
    """The optimizer's state of its one table."""
    return [v.numpy() for v in optimizer.variables if v.shape == (ROWS, DIM)]


def everything(optimizer, table):
    return np.stack([table.numpy(), *states(optimizer)])


@every_optimizer
def test_float32_follows_the_float64_reference_over_200_steps(optimizer_class, reference, config):
    expected, state = start(), {}
    for rows, gradients in stream(200):
        expected, state = reference(expected, state, rows, gradients, **config)

    weight = trained(optimizer_class(**config), stream(200))

    assert np.abs(weight - expected).max() <= 1e-5 * np.abs(expected).max()


@every_optimizer
def test_a_dense_gradient_equals_a_sparse_gradient_over_all_rows(optimizer_class, reference, config):
    gradients = np.random.default_rng(2).normal(size=[30, ROWS, DIM]).astype(np.float32)
    rows = np.random.default_rng(3).permutation(ROWS).astype(np.int32)
    sparse = trained(optimizer_class(**config), [(rows, gradient[rows]) for gradient in gradients])

    dense, optimizer = tf.Variable(start()), optimizer_class(**config)
    for gradient in gradients:
        optimizer.apply_gradients([(tf.constant(gradient), dense)])

    np.testing.assert_allclose(dense.numpy(), sparse, rtol=1e-6, atol=1e-7)


@every_optimizer
def test_rows_without_a_gradient_keep_every_bit_of_weight_and_state_for_1000_steps(optimizer_class, reference, config):
    table, optimizer = tf.Variable(start()), optimizer_class(**config)
    all_rows = np.arange(ROWS, dtype=np.int32), np.ones([ROWS, DIM], np.float32)
    apply(optimizer, table, [all_rows])
    before = everything(optimizer, table)

    apply(optimizer, table, stream(1000, first=10, last=30))

    after = everything(optimizer, table)
    untouched = [*range(10), *range(30, ROWS)]
    assert before[:, untouched].tobytes() == after[:, untouched].tobytes()
    assert (before[0, 10:30] != after[0, 10:30]).all()


@every_optimizer
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_duplicates_count_as_their_sum(optimizer_class, reference, config, data):
    rows = np.array(data.draw(st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=12)), np.int32)
    eighths = st.lists(st.integers(-64, 64), min_size=DIM, max_size=DIM)  # their sums are exact in float32
    gradients = np.array([data.draw(eighths) for _ in rows], np.float32) / 8
    summed = np.zeros([ROWS, DIM], np.float32)
    np.add.at(summed, rows, gradients)
    unique = np.array(list(dict.fromkeys(rows.tolist())), np.int32)  # in order of appearance

    weights = []
    for some_rows, some_gradients in [(rows, gradients), (unique, summed[unique])]:
        table = tf.Variable(start())
        optimizer_class(**config).apply_gradients([(tf.IndexedSlices(some_gradients, some_rows, [ROWS, DIM]), table)])
        weights.append(table.numpy())

    np.testing.assert_array_equal(*weights)


@every_optimizer
def test_the_config_restores_the_optimizer(optimizer_class, reference, config):
    optimizer = optimizer_class(**config, name="mine")

    stored = tf_keras.optimizers.serialize(optimizer)
    restored = tf_keras.optimizers.deserialize(stored)

    assert type(restored) is optimizer_class
    assert restored.get_config() == optimizer.get_config()
    assert {key: stored["config"][key] for key in config} == pytest.approx(config)
    assert stored["config"]["name"] == "mine"


@every_optimizer
@pytest.mark.parametrize("built", [True, False], ids=["into a built optimizer", "into a new optimizer"])
def test_a_restored_run_continues_bit_for_bit(optimizer_class, reference, config, built, tmp_path):
    batches = list(stream(40))
    straight = trained(optimizer_class(**config), batches)
    first = tf.train.Checkpoint(table=tf.Variable(start()), optimizer=optimizer_class(**config))
    apply(first.optimizer, first.table, batches[:25])
    path = first.save(tmp_path / "checkpoint")

    second = tf.train.Checkpoint(table=tf.Variable(start(9)), optimizer=optimizer_class(**config))
    if built:
        second.optimizer.build([second.table])
    second.restore(path)
    apply(second.optimizer, second.table, batches[25:])

    assert second.table.numpy().tobytes() == straight.tobytes()
    assert int(second.optimizer.iterations) == 40


@every_optimizer
def test_it_trains_an_embedding_in_plain_compile_and_fit(optimizer_class, reference, config):
    embedding = tf_keras.layers.Embedding(ROWS, DIM, input_length=1)
    head = tf_keras.layers.Dense(1, activation="sigmoid")
    model = tf_keras.Sequential([embedding, tf_keras.layers.Flatten(), head])
    ids = np.random.default_rng(4).integers(0, ROWS // 2, [256, 1])
    model.build([None, 1])
    before = embedding.embeddings.numpy()

    model.compile(optimizer=optimizer_class(**config), loss="binary_crossentropy")
    history = model.fit(ids, (ids % 2).astype(np.float32), batch_size=32, epochs=4, verbose=0).history["loss"]

    after = embedding.embeddings.numpy()
    assert history[-1] < history[0]
    np.testing.assert_array_equal(before[ROWS // 2 :], after[ROWS // 2 :])
    assert (before[: ROWS // 2] != after[: ROWS // 2]).any(axis=1).all()


@every_optimizer
def test_xla_is_off(optimizer_class, reference, config):
    assert not optimizer_class(**config).jit_compile


def test_l2_gradient_is_added_once_a_step_however_often_a_row_occurs():
    table = tf.Variable(start())
    optimizer = RMSPropV2(l2_gradient=0.5)

    apply(optimizer, table, [(np.array([3, 7, 3, 3], np.int32), np.zeros([4, DIM], np.float32))])

    [accumulator] = states(optimizer)
    np.testing.assert_allclose(accumulator[[3, 7]], (0.5 * start()[[3, 7]]) ** 2, rtol=1e-6)


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.99])
def test_it_is_rmsprop_with_another_rate_and_epsilon(beta):
    gradients = np.random.default_rng(5).normal(size=[50, ROWS, DIM]).astype(np.float32)
    ours, theirs = tf.Variable(start()), tf.Variable(start())
    rmsprop_v2_ = RMSPropV2(learning_rate=0.02, beta=beta, epsilon=1e-4)
    rmsprop = tf_keras.optimizers.RMSprop(0.02 * np.sqrt(1 - beta), rho=beta, epsilon=1e-4 * (1 - beta))

    for gradient in gradients:
        rmsprop_v2_.apply_gradients([(tf.constant(gradient), ours)])
        rmsprop.apply_gradients([(tf.constant(gradient), theirs)])

    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=1e-5 * np.abs(theirs.numpy()).max())


def test_beta_1_is_adagrad_with_a_zero_start():
    adagrad = tf_keras.optimizers.Adagrad(0.02, initial_accumulator_value=0.0, epsilon=1e-8)
    expected = trained(adagrad, stream(100))

    weight = trained(RMSPropV2(learning_rate=0.02, beta=1.0, epsilon=1e-8), stream(100))

    np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    gradients=st.lists(st.floats(-(2.0**60), 2.0**60, width=32), min_size=1, max_size=5),
    beta=st.sampled_from([0, 0.9, 1]),
)
def test_no_coordinate_moves_further_than_the_learning_rate(gradients, beta):
    optimizer = RMSPropV2(learning_rate=0.125, beta=beta)
    table = tf.Variable([[0.0]])
    for gradient in gradients:
        table.assign([[0.0]])  # from zero, so that the weight is the move

        optimizer.apply_gradients([(tf.IndexedSlices([[gradient]], [0], [1, 1]), table)])

        assert abs(table.numpy().item()) <= 0.125 * (1 + 1e-6)


def test_a_steady_gradient_moves_by_the_learning_rate_times_the_root_of_one_minus_beta():
    table, optimizer = tf.Variable(np.zeros([ROWS, DIM], np.float32)), RMSPropV2(learning_rate=0.1, beta=0.9)
    batch = np.array([0], np.int32), np.full([1, DIM], 3.0, np.float32)
    apply(optimizer, table, [batch] * 200)
    before = table.numpy()[0]

    apply(optimizer, table, [batch])

    np.testing.assert_allclose(before - table.numpy()[0], 0.1 * np.sqrt(0.1), rtol=1e-4)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        *(("beta", value) for value in (-0.01, 1.01, NAN)),
        *(("learning_rate", value) for value in (-0.1, NAN)),
        *(("epsilon", value) for value in (0.0, -1e-8, NAN)),
        *(("l2_gradient", value) for value in (-0.1, NAN)),
    ],
)
def test_an_argument_out_of_range_is_refused(argument, value):
    with pytest.raises(ValueError, match=f"{argument} .*Received: {value}"):
        RMSPropV2(**{argument: value})
