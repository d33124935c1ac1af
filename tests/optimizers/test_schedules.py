"""Learning rate schedules: values by hand, in Keras's fit, under a router, and after a restore."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from optimizers import SCHEDULES, Adjustable, RMSPropV2, Router, adam
from optimizers.schedules import cosine

UNIT, WHOLE = 10, 100  # steps of an epoch, and of all training


def rates(name, steps, unit=UNIT, **arguments):
    schedule = SCHEDULES[name](**arguments, unit=unit, total_steps=WHOLE)
    return [float(schedule(tf.constant(step, tf.int64))) for step in steps]


BY_EPOCH = {
    "constant": ({"initial": 0.1}, lambda epoch: 0.1),
    "hyperbolic": ({"initial": 0.1, "k": 0.5}, lambda epoch: 0.1 / (1 + 0.5 * epoch)),
    "exponential": ({"initial": 0.1, "k": 0.8}, lambda epoch: 0.1 * 0.8**epoch),
    "inverse_sqrt": ({"initial": 0.1}, lambda epoch: 0.1 / math.sqrt(epoch + 1)),
    "piecewise": (
        {"initial": 0.1, "rates": {4: 0.001, 2: 0.01}},
        lambda epoch: 0.1 if epoch < 2 else 0.01 if epoch < 4 else 0.001,
    ),
}


@pytest.mark.parametrize("name", BY_EPOCH)
def test_by_epoch_the_rate_changes_from_epoch_to_epoch_only(name):
    arguments, expected = BY_EPOCH[name]
    steps = range(7 * UNIT)
    assert rates(name, steps, **arguments) == pytest.approx([expected(step // UNIT) for step in steps], rel=1e-6)


@pytest.mark.parametrize("name", BY_EPOCH)
def test_by_step_the_rate_changes_with_every_step(name):
    arguments, expected = BY_EPOCH[name]
    assert rates(name, range(30), unit=1, **arguments) == pytest.approx(
        [expected(step) for step in range(30)], rel=1e-6
    )


@pytest.mark.parametrize("k", [0.9999, 0.99999, 0.999999, 1.00001])
def test_exponential_by_step_is_exact_after_a_million_steps(k):
    steps = [10**5, 10**6, 2**24 + 1]
    steps = [step for step in steps if 1e-30 < k**step < 1e30]
    # the nearest float32
    expected = [0.1 * k**step for step in steps]
    assert rates("exponential", steps, unit=1, initial=0.1, k=k) == pytest.approx(expected, rel=1e-7)


def test_exponential_by_step_with_a_factor_of_zero_is_zero_after_the_first_step():
    assert rates("exponential", [0, 1, 5], unit=1, initial=0.1, k=0.0) == pytest.approx([0.1, 0.0, 0.0])


@pytest.mark.parametrize("steps", [10**6, 10**8])
@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("hyperbolic", {"initial": 1.0, "k": 1e-6}, lambda step, whole: 1 / (1 + 1e-6 * step)),
        ("inverse_sqrt", {"initial": 1.0}, lambda step, whole: 1 / math.sqrt(step + 1)),
        ("cosine", {"initial": 1.0}, lambda step, whole: (1 + math.cos(math.pi * step / whole)) / 2),
        ("polynomial", {"initial": 1.0, "power": 2.0}, lambda step, whole: (1 - step / whole) ** 2),
    ],
)
def test_the_other_schedules_keep_to_float64_at_large_steps(steps, name, arguments, expected):
    schedule = SCHEDULES[name](**arguments, unit=1, total_steps=steps)
    for step in (steps // 10, steps // 2, steps - 10):
        assert float(schedule(tf.constant(step, tf.int64))) == pytest.approx(expected(step, steps), abs=2e-7)


CONTINUOUS = {
    "cosine": lambda t: 0.01 + (0.1 - 0.01) * (1 + math.cos(math.pi * t)) / 2,
    "polynomial": lambda t: 0.01 + (0.1 - 0.01) * (1 - t),
}


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize(("over", "length"), [(None, WHOLE), (3, 3 * UNIT)], ids=["the whole run", "three epochs"])
def test_cosine_and_polynomial_end_at_the_final_rate_and_stay(name, over, length):
    steps = [0, 7, length // 2, length - 1, length, length + 50]
    expected = [CONTINUOUS[name](min(step / length, 1)) for step in steps]
    assert rates(name, steps, initial=0.1, final=0.01, over=over) == pytest.approx(expected, rel=1e-5)


def test_a_warm_up_grows_linearly_from_zero_and_multiplies_the_schedule():
    inner = cosine(0.1, unit=1, total_steps=WHOLE)
    warm = Adjustable(inner, warm_up_steps=20)
    for step in (0, 1, 10, 19, 20, 50):
        assert float(warm(step)) == pytest.approx(min(step / 20, 1) * float(inner(step)), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("hyperbolic", {"initial": -1, "k": 1}, "initial must be finite and at least 0"),
        ("exponential", {"initial": 1, "k": float("nan")}, "k must be finite"),
        ("cosine", {"initial": 1, "over": 0}, "over must be at least 1"),
        ("piecewise", {"initial": 1, "rates": {}}, "rates must map units, from 1, to learning rates"),
        ("piecewise", {"initial": 1, "rates": {2: -1}}, "rates.2 must be finite"),
    ],
)
def test_an_argument_out_of_range_is_refused(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        SCHEDULES[name](**arguments, unit=UNIT, total_steps=WHOLE)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_config_restores_the_schedule(name):
    arguments = BY_EPOCH[name][0] if name in BY_EPOCH else {"initial": 0.1}
    schedule = Adjustable(
        SCHEDULES[name](**arguments, unit=UNIT, total_steps=WHOLE), warm_up_steps=5, factor=0.5, start=2
    )
    restored = tf_keras.optimizers.schedules.deserialize(tf_keras.optimizers.schedules.serialize(schedule))
    for step in (2, 5, 27, 101):
        assert float(restored(step)) == float(schedule(step))


def make_router(table=None, kernel=None):
    schedule = lambda: Adjustable(SCHEDULES["exponential"](0.1, 0.5, unit=2, total_steps=8))  # noqa: E731
    router = Router({"*": RMSPropV2(schedule())}, {"*": adam(schedule())}, [("table", ["t"]), ("tower", ["deep"])])
    if table is not None:
        router.build([table, kernel])
    return router


def apply(router, table, kernel):
    gradient = tf.IndexedSlices(tf.constant([[0.5]]), tf.constant([1]), tf.constant([3, 1]))
    router.apply_gradients([(gradient, table), (tf.constant([[0.5]]), kernel)])


@pytest.mark.parametrize("built", [True, False], ids=["into a built router", "into a new router"])
def test_a_router_logs_scales_and_restores_the_rates_of_schedules(tmp_path, built):
    table, kernel = tf.Variable(np.ones([3, 1], np.float32)), tf.Variable([[1.0]])
    router = make_router(table, kernel)
    for _ in range(3):
        apply(router, table, kernel)
    assert router.learning_rates == {"table *": pytest.approx(0.05), "tower *": pytest.approx(0.05)}

    router.scale_learning_rates(0.1)
    path = tf.train.Checkpoint(router=router, table=table, kernel=kernel).save(tmp_path / "checkpoint")
    apply(router, table, kernel)

    assert router.learning_rates == {"table *": pytest.approx(0.005), "tower *": pytest.approx(0.005)}
    other_table, other_kernel = tf.Variable(np.zeros([3, 1], np.float32)), tf.Variable([[0.0]])
    other = make_router(other_table, other_kernel) if built else make_router()
    tf.train.Checkpoint(router=other, table=other_table, kernel=other_kernel).restore(path)
    apply(other, other_table, other_kernel)
    assert other_table.numpy().tobytes() == table.numpy().tobytes()
    assert other_kernel.numpy().tobytes() == kernel.numpy().tobytes()


def test_a_router_restores_where_schedules_began_anew(tmp_path):
    table, kernel = tf.Variable(np.ones([3, 1], np.float32)), tf.Variable([[1.0]])
    router = make_router(table, kernel)
    for _ in range(3):
        apply(router, table, kernel)
    router.restart_schedules()
    path = tf.train.Checkpoint(router=router).save(tmp_path / "checkpoint")
    other = make_router(table, kernel)
    tf.train.Checkpoint(router=other).restore(path)
    apply(other, table, kernel)
    assert other.learning_rates == {"table *": pytest.approx(0.1), "tower *": pytest.approx(0.1)}  # not 0.05 of step 3


def test_a_schedule_of_keras_alone_cannot_be_scaled():
    schedule = tf_keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    router = Router({"*": RMSPropV2(schedule)}, {"*": adam()}, [("table", ["t"]), ("tower", ["deep"])])
    with pytest.raises(ValueError, match=r"cannot scale ExponentialDecay\. Wrap it in Adjustable\."):
        router.scale_learning_rates(0.1)
