"""The contract of every tower optimizer; dense_cases.py has the cases."""

import json
import subprocess
import sys
from contextlib import nullcontext
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from optimizers import RMSPropV2, Router
from tests.optimizers.dense_cases import (
    CASES,
    SHAPES,
    assert_same_bits,
    each,
    each_kind,
    each_name,
    gradients,
    train,
    trained,
    trained_in_a_graph,
    variables,
    weights,
)

schedules = tf_keras.optimizers.schedules


@pytest.fixture
def policy(request):
    """Set the Keras dtype policy of layers made in the test."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(request.param)
    yield
    tf_keras.mixed_precision.set_global_policy(before)


@cache
def trained_as_it_is(case):
    """Return the weights after training by the optimizer of a case; tests share and do not change them."""
    return trained(case.optimizer())


@pytest.fixture(scope="module")
def replicas(tmp_path_factory):
    """Return the weights of both replicas after training, by case and variable."""
    path = tmp_path_factory.mktemp("mirrored") / "weights.npz"
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-m", "tests.optimizers.mirrored", path], cwd=root, check=True)
    return np.load(path)


@pytest.mark.medium
@each
def test_float32_follows_the_float64_reference_over_200_steps(case):
    weights_after = trained_in_a_graph(case.optimizer(), 200)

    for place, start in enumerate(weights().values()):
        expected = case.reference(start, [step[place] for step in gradients(200)], **case.config)
        assert np.abs(weights_after[place] - expected).max() <= 1e-5 * np.abs(expected).max()


@pytest.mark.medium
@pytest.mark.parametrize("case", [c for c in CASES.values() if c.keras], ids=[n for n, c in CASES.items() if c.keras])
def test_what_tf_keras_has_it_equals(case):
    decays = bool(case.config.get("weight_decay"))
    makes = case.optimizer, lambda: case.keras(**case.config)
    for ours, theirs in zip(*(trained_in_a_graph(make(), 100) for make in makes), strict=True):
        if ours.ndim >= 2 or not decays:  # this project's decay skips vectors
            assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()


@pytest.mark.medium
@each_name
@pytest.mark.parametrize("rate", [0.01, schedules.ExponentialDecay(0.01, 10, 0.5)], ids=["number", "schedule"])
def test_the_config_restores_it(case, rate):
    original = case.optimizer(learning_rate=rate)
    serialized = tf_keras.optimizers.serialize(original)

    restored = tf_keras.optimizers.deserialize(json.loads(json.dumps(serialized)))

    assert type(restored) is type(original)
    assert restored.get_config() == original.get_config()
    assert_same_bits(trained(restored, steps=3), trained(original, steps=3))


@each
def test_xla_and_what_keras_would_do_beside_are_off(case):
    optimizer = case.optimizer()

    assert not optimizer.jit_compile
    assert not optimizer.use_ema
    assert optimizer.weight_decay in (None, case.config.get("weight_decay"))
    assert optimizer.weight_decay != 0  # a decay of None is the only one that rewrites no variable


def decaying(case):
    return case.optimizer(learning_rate=schedules.ExponentialDecay(case.config["learning_rate"], 10, 0.9))


@cache
def trained_straight(case):
    """Return the weights after uninterrupted training; tests share and do not change them."""
    return trained(decaying(case))


@pytest.mark.medium
@each_name
@pytest.mark.parametrize("built", [True, False], ids=["into a built one", "into a new one"])
def test_a_restored_run_continues_bit_for_bit(case, built, tmp_path):
    first = tf.train.Checkpoint(variables=variables(), optimizer=decaying(case))
    train(first.optimizer, first.variables, gradients(12)[:8])
    path = first.save(tmp_path / "checkpoint")

    second = tf.train.Checkpoint(
        variables=[tf.Variable(tf.zeros_like(v), name=v.name.partition(":")[0]) for v in variables()],
        optimizer=decaying(case),
    )
    if built:
        second.optimizer.build(second.variables)
    status = second.restore(path)
    train(second.optimizer, second.variables, gradients(12)[8:])

    status.assert_consumed()
    assert_same_bits([v.numpy() for v in second.variables], trained_straight(case))


@pytest.mark.medium
@each_name
def test_a_schedule_is_a_rate(case):
    rate = case.config["learning_rate"]

    constant = trained(case.optimizer(learning_rate=schedules.PiecewiseConstantDecay([3], [rate, rate])))
    falling = trained(case.optimizer(learning_rate=schedules.PiecewiseConstantDecay([3], [rate, rate / 10])))

    assert_same_bits(constant, trained_as_it_is(case))
    assert all((one != other).any() for one, other in zip(constant, falling, strict=True))


@pytest.mark.medium
@each_name
def test_at_a_rate_of_zero_nothing_moves(case):
    assert_same_bits(trained(case.optimizer(learning_rate=0.0)), weights().values())


@pytest.mark.medium
@each
def test_zero_gradients_are_no_harm(case):
    optimizer, some = case.optimizer(), variables()
    train(optimizer, some, [[np.zeros_like(w) for w in weights().values()]] * 3)
    train(optimizer, some, gradients(3))
    train(optimizer, some, [[np.zeros_like(w) for w in weights().values()]] * 3)

    assert all(np.isfinite(v.numpy()).all() for v in some)


def fitted(case, scope=None, epochs=3, **settings):
    """Return losses of a small model's epochs, of 4 steps each, in plain `compile` and `fit`, and its final weights."""
    random = np.random.default_rng(2)
    inputs = random.normal(size=[128, 4]).astype(np.float32)
    labels = (inputs @ [1.0, -2.0, 0.5, 0.0] > 0).astype(np.float32)
    with scope or nullcontext():
        init = tf_keras.initializers.GlorotUniform(seed=3)
        hidden = tf_keras.layers.Dense(8, "relu", kernel_initializer=init)
        head = tf_keras.layers.Dense(1, "sigmoid", kernel_initializer=init, dtype="float32")
        model = tf_keras.Sequential([hidden, head])
        model.compile(case.optimizer(learning_rate=case.quadratic), "binary_crossentropy", **settings)
    history = model.fit(inputs, labels, batch_size=32, epochs=epochs, shuffle=False, verbose=0).history
    return history["loss"], model.get_weights()


@pytest.mark.medium
@each_kind
@pytest.mark.parametrize(
    "policy",
    ["float32", "mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)],  # it scales no loss
    indirect=True,
)
@pytest.mark.slow
def test_it_trains_a_model_in_plain_compile_and_fit(case, policy):
    losses, _ = fitted(case)

    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


@pytest.mark.medium
@each_kind
@pytest.mark.slow
def test_under_a_strategy_of_one_device_nothing_changes(case):
    scope = tf.distribute.OneDeviceStrategy("/cpu:0").scope()

    eagerly = {"epochs": 2, "run_eagerly": True}  # TensorFlow rewrites a graph with devices differently
    losses, weights_after = fitted(case, scope, **eagerly)

    plain_losses, plain_weights = fitted(case, **eagerly)
    assert losses == plain_losses
    assert_same_bits(weights_after, plain_weights)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_replicas_stay_identical_and_do_what_one_does_on_the_sum_of_their_gradients(name, replicas):
    expected = trained_as_it_is(CASES[name])

    for place, alone in enumerate(expected):
        first, second = replicas[f"{name}/{place}"]
        assert first.tobytes() == second.tobytes()
        np.testing.assert_allclose(first, alone, rtol=1e-6, atol=1e-6)


def router_of(dense):
    spec = [("table", ["user"]), *(("tower", [name]) for name in SHAPES)]
    return Router({"*": RMSPropV2(0.1)}, {"*": dense}, spec)


def routed(router):
    """Return a table and the towers after training by a router."""
    random = np.random.default_rng(4)
    table, towers = tf.Variable(random.normal(size=[20, 4]).astype(np.float32), name="fused_0"), variables()

    @tf.function
    def step(rows, *grads):
        sparse = tf.IndexedSlices(tf.ones([3, 4]), rows, [20, 4])
        router.apply_gradients(zip([sparse, *grads], [table, *towers], strict=True))

    router.build([table, *towers])
    for place, grads in enumerate(gradients(12)):
        step(tf.constant([place, place, 12]), *map(tf.constant, grads))
    return table.numpy(), [v.numpy() for v in towers]


@pytest.mark.medium
@each_name
def test_beside_a_table_under_a_router_it_does_what_it_does_alone(case):
    table, towers = routed(router_of(case.optimizer()))

    np.testing.assert_array_equal(table[13:], np.random.default_rng(4).normal(size=[20, 4]).astype(np.float32)[13:])
    for together, alone in zip(towers, trained_as_it_is(case), strict=True):
        np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.medium
@each_kind
def test_a_router_of_it_is_restored_and_scaled(case):
    router = router_of(case.optimizer())
    restored = tf_keras.optimizers.deserialize(json.loads(json.dumps(tf_keras.optimizers.serialize(router))))
    assert restored.get_config() == router.get_config()
    assert_same_bits(routed(restored)[1], routed(router)[1])

    router.scale_learning_rates(0.5)

    assert router.learning_rates["tower *"] == pytest.approx(case.config["learning_rate"] / 2)


def objective_ratio(optimizer, start, objective, steps):
    """Return the objective after some steps, as a fraction of its initial value."""
    variable = tf.Variable(start)
    optimizer.build([variable])

    @tf.function
    def run():
        for _ in tf.range(steps):
            with tf.GradientTape() as tape:
                value = objective(variable)
            optimizer.apply_gradients([(tape.gradient(value, variable), variable)])

    before = float(objective(variable))
    run()
    return float(objective(variable)) / before


def quadratic(w):
    """Return a convex objective with curvatures from 0.1 to 1."""
    curvatures = tf.reshape(tf.cast(np.logspace(-1, 0, 30), tf.float32), [6, 5])
    return tf.reduce_sum(curvatures * tf.square(w - tf.cast(np.linspace(-1, 1, 5), tf.float32))) / 2


def rosenbrock(w):
    x, y = w[0, 0], w[1, 0]
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


@pytest.mark.medium
@each_name
def test_it_solves_a_convex_quadratic(case):
    optimizer = case.optimizer(learning_rate=case.quadratic)

    assert objective_ratio(optimizer, weights()["kernel"], quadratic, 2000) < 0.01


@pytest.mark.medium
@each_kind
def test_it_walks_down_the_valley_of_rosenbrock(case):
    optimizer = case.optimizer(learning_rate=case.rosenbrock)

    assert objective_ratio(optimizer, np.float32([[-1.2], [1.0]]), rosenbrock, 10_000) < 0.01
