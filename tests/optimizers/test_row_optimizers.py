"""The contract of every table optimizer; each has one or more cases in row_cases.py."""

import subprocess
import sys
from contextlib import nullcontext
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st
from tf_keras.optimizers.schedules import PiecewiseConstantDecay

from optimizers import Adjustable
from optimizers.schedules import constant
from tests.optimizers.mirrored_rows import batches_of_replicas
from tests.optimizers.row_cases import CASES, every_case, every_kind, every_kind_of_optimizer, every_optimizer
from tests.optimizers.streams import DIM, ROWS, apply, everything, start, states, stream, trained


@pytest.mark.medium
@every_case
def test_float32_follows_the_float64_reference_over_200_steps(case):
    expected, state = start(), {}
    for rows, gradients in stream(200):
        expected, state = case.reference(expected, state, rows, gradients, **case.config)

    weight = trained(case.make(), stream(200))

    assert np.abs(weight - expected).max() <= 1e-5 * np.abs(expected).max()


@every_kind
def test_a_dense_gradient_equals_a_sparse_gradient_over_all_rows(case):
    gradients = np.random.default_rng(2).normal(size=[30, ROWS, DIM]).astype(np.float32)
    rows = np.random.default_rng(3).permutation(ROWS).astype(np.int32)
    sparse = trained(case.make(), [(rows, gradient[rows]) for gradient in gradients])

    dense, optimizer = tf.Variable(start()), case.make()
    for gradient in gradients:
        optimizer.apply_gradients([(tf.constant(gradient), dense)])

    np.testing.assert_allclose(dense.numpy(), sparse, rtol=1e-6, atol=1e-7)


@pytest.mark.medium
@every_optimizer
def test_rows_without_a_gradient_keep_every_bit_of_weight_and_state_for_1000_steps(case):
    table, optimizer = tf.Variable(start()), case.make()
    all_rows = np.arange(ROWS, dtype=np.int32), np.ones([ROWS, DIM], np.float32)
    apply(optimizer, table, [all_rows])
    before = everything(optimizer, table)

    apply(optimizer, table, stream(1000, first=10, last=30))

    after = everything(optimizer, table)
    untouched = [*range(10), *range(30, ROWS)]
    assert before[untouched].tobytes() == after[untouched].tobytes()
    assert (before[10:30] != after[10:30]).any(axis=1).all()  # the weight, or the state if the row stays at zero


@every_kind
@settings(max_examples=10, deadline=None, derandomize=True)
@given(data=st.data())
def test_duplicates_count_as_their_sum(case, data):
    rows = np.array(data.draw(st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=12)), np.int32)
    eighths = st.lists(st.integers(-64, 64), min_size=DIM, max_size=DIM)  # so that sums are exact in float32
    gradients = np.array([data.draw(eighths) for _ in rows], np.float32) / 8
    summed = np.zeros([ROWS, DIM], np.float32)
    np.add.at(summed, rows, gradients)
    unique = np.array(list(dict.fromkeys(rows.tolist())), np.int32)  # in order of appearance

    weights = []
    for some_rows, some_gradients in [(rows, gradients), (unique, summed[unique])]:
        table = tf.Variable(start())
        case.make().apply_gradients([(tf.IndexedSlices(some_gradients, some_rows, [ROWS, DIM]), table)])
        weights.append(table.numpy())

    np.testing.assert_array_equal(*weights)


@every_kind
@settings(max_examples=2, deadline=None, derandomize=True)
@given(seed=st.integers(0, 1000))
def test_the_order_of_rows_within_a_batch_changes_nothing_beyond_rounding(case, seed):
    shuffle, batches = np.random.default_rng(seed), list(stream(20, seed))
    permuted = [(rows[order], gradients[order]) for rows, gradients in batches for order in [shuffle.permutation(24)]]

    one, other = (trained(case.make(), stream) for stream in (batches, permuted))

    np.testing.assert_allclose(other, one, rtol=0, atol=1e-5 * np.abs(one).max())


@every_optimizer
@pytest.mark.medium
def test_a_schedule_gives_what_its_rates_give(case):
    rate, batches = case.config["learning_rate"], list(stream(6))
    number = case.make()
    constant_rate, falling = (
        case.optimizer.from_config({**number.get_config(), "learning_rate": PiecewiseConstantDecay([3], rates)})
        for rates in ([rate, rate], [rate, rate / 10])
    )

    weight, same, other = (trained(optimizer, batches) for optimizer in (number, constant_rate, falling))

    assert same.tobytes() == weight.tobytes()
    assert other.tobytes() != weight.tobytes()


@every_case
@pytest.mark.medium
def test_a_warm_up_may_begin_at_rate_0(case):
    rate, table = case.config["learning_rate"], tf.Variable(start())
    optimizer = case.make(learning_rate=Adjustable(constant(rate, unit=1, total_steps=1), warm_up_steps=2))
    gradient = tf.IndexedSlices(np.full([1, DIM], 0.5, np.float32), [1], [ROWS, DIM])

    seen = []
    for _ in range(4):
        optimizer.apply_gradients([(gradient, table)])
        seen.append(float(optimizer.learning_rate))
        assert np.isfinite(everything(optimizer, table)).all()

    assert seen == pytest.approx([0, rate / 2, rate, rate], rel=1e-6)


@every_case
def test_the_config_restores_the_optimizer(case):
    optimizer = case.make(name="mine")

    stored = tf_keras.optimizers.serialize(optimizer)
    restored = tf_keras.optimizers.deserialize(stored)

    assert type(restored) is case.optimizer
    assert restored.get_config() == optimizer.get_config()
    assert {key: stored["config"][key] for key in case.config} == pytest.approx(case.config)
    assert stored["config"]["name"] == "mine"


@cache
def trained_straight(case):
    """Return the bytes of a table after 12 uninterrupted steps."""
    return trained(case.make(), stream(12)).tobytes()


@pytest.mark.medium
@every_optimizer
@pytest.mark.parametrize("built", [True, False], ids=["into a built optimizer", "into a new optimizer"])
def test_a_restored_run_continues_bit_for_bit(case, built, tmp_path):
    batches = list(stream(12))
    first = tf.train.Checkpoint(table=tf.Variable(start()), optimizer=case.make())
    apply(first.optimizer, first.table, batches[:7])
    path = first.save(tmp_path / "checkpoint")

    second = tf.train.Checkpoint(table=tf.Variable(start(9)), optimizer=case.make())
    if built:
        second.optimizer.build([second.table])
    second.restore(path)
    apply(second.optimizer, second.table, batches[7:])

    assert second.table.numpy().tobytes() == trained_straight(case)
    assert int(second.optimizer.iterations) == 12


@cache
def fitted(case, policy="float32", strategy=None):
    """Return weights of an embedding and a head before and after `fit`, the losses, and Keras's optimizer."""
    gentle = (
        {"keep_initial_weights": True, "l1": case.config["l1"] / 100} if "keep_initial_weights" in case.config else {}
    )
    ids = np.random.default_rng(4).integers(0, ROWS // 2, [256, 1])
    tf_keras.utils.set_random_seed(4)
    tf_keras.mixed_precision.set_global_policy(policy)
    try:
        with strategy.scope() if strategy else nullcontext():
            embedding = tf_keras.layers.Embedding(ROWS, DIM, input_length=1)
            head = tf_keras.layers.Dense(1, activation="sigmoid")
            model = tf_keras.Sequential([embedding, tf_keras.layers.Flatten(), head])
            model.build([None, 1])
            model.compile(optimizer=case.make(**gentle), loss="binary_crossentropy")
        before = model.get_weights()
        labels = (ids % 2).astype(np.float32)
        fit = model.fit(ids, labels, batch_size=32, epochs=4, shuffle=False, verbose=0)
    finally:
        tf_keras.mixed_precision.set_global_policy("float32")
    return before, model.get_weights(), fit.history["loss"], model.optimizer


@pytest.mark.medium
@every_kind
@pytest.mark.slow
def test_it_trains_an_embedding_in_plain_compile_and_fit(case):
    check_fit(case, "float32")


@pytest.mark.medium
@every_kind_of_optimizer
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.slow
def test_it_trains_an_embedding_in_mixed_precision(case, policy):
    check_fit(case, policy)


def check_fit(case, policy):
    (before, *_), (after, *head), losses, optimizer = fitted(case, policy)

    assert losses[-1] < losses[0]
    assert all(np.isfinite(weight).all() for weight in (losses, after, *head))
    assert before[ROWS // 2 :].tobytes() == after[ROWS // 2 :].tobytes()
    assert (before[: ROWS // 2] != after[: ROWS // 2]).any(axis=1).all()
    assert isinstance(optimizer, tf_keras.mixed_precision.LossScaleOptimizer) == (policy == "mixed_float16")


@pytest.mark.medium
@every_kind_of_optimizer
@pytest.mark.slow
def test_a_strategy_of_one_device_changes_no_bit(case):
    _, expected, *_ = fitted(case)
    _, weights, *_ = fitted(case, strategy=tf.distribute.OneDeviceStrategy("/cpu:0"))
    assert [weight.tobytes() for weight in weights] == [weight.tobytes() for weight in expected]


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    """Return each case's weights and states on both replicas, from a process with two CPUs."""
    path = tmp_path_factory.mktemp("mirrored") / "rows.npz"
    subprocess.run([sys.executable, "-m", "tests.optimizers.mirrored_rows", path], check=True)
    return np.load(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_mirrored_replicas_stay_equal_and_do_what_one_does_with_the_sum_of_their_gradients(name, mirrored):
    table, optimizer = tf.Variable(start()), CASES[name].make()
    both = [tuple(map(np.concatenate, zip(*batches, strict=True))) for batches in batches_of_replicas()]
    apply(optimizer, table, both)
    expected = everything(optimizer, table)

    one, other = mirrored[name]

    assert one.tobytes() == other.tobytes()
    np.testing.assert_allclose(one, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@every_case
def test_a_variable_without_rows_is_refused(case):
    with pytest.raises(ValueError, match="Received: the scalar"):
        case.make().build([tf.Variable(1.0)])
    vector, optimizer = tf.Variable([1.0, 2.0]), case.make()
    with pytest.raises(ValueError, match=r"needs a variable of shape \[rows, dim\]"):
        optimizer.apply_gradients([(tf.IndexedSlices([1.0], [0], [2]), vector)])


@every_case
def test_the_floats_of_state_are_counted(case):
    table, optimizer = tf.Variable(start()), case.make()
    optimizer.build([table])
    assert sum(state.shape[1] for state in states(optimizer)) == case.optimizer.state_floats(DIM, **case.config)


@every_case
def test_xla_is_off(case):
    assert not case.make().jit_compile
