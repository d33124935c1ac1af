"""Every sparse optimizer minimizes a convex sum of squares on half of the rows at a time, and Rosenbrock's valley."""

import numpy as np
import pytest
import tensorflow as tf

from optimizers import SPARSE
from tests.optimizers.row_cases import CASES

OBJECTIVES = {name: case for name, case in CASES.items() if case.squares and case.rosenbrock}
every_optimizer = pytest.mark.parametrize("case", OBJECTIVES.values(), ids=OBJECTIVES)
ROWS, DIM = 20, 4


def remaining_fraction(optimizer, objective, start, steps, rows_of_step):
    """Return an objective after training on sparse gradients, as a fraction of its initial value."""
    table = tf.Variable(start)
    optimizer.build([table])
    first = float(tf.reduce_sum(objective(table)))

    @tf.function
    def run():
        for step in tf.range(steps):
            rows = rows_of_step(step)
            with tf.GradientTape() as tape:
                value = tf.reduce_sum(tf.gather(objective(table), rows))
            dense = tf.convert_to_tensor(tape.gradient(value, table))
            gradient = tf.IndexedSlices(tf.gather(dense, rows), rows, tf.constant(start.shape))
            optimizer.apply_gradients([(gradient, table)])

    run()
    return float(tf.reduce_sum(objective(table))) / first


@pytest.mark.parametrize("name", SPARSE)
def test_every_sparse_optimizer_has_objectives(name):
    rows = [case.optimizer for case in OBJECTIVES.values()].count(SPARSE[name])
    assert rows == 1, f"{name}: give one row of CASES in tests/optimizers/row_cases.py the rates of both objectives"


@pytest.mark.medium
@every_optimizer
def test_a_sum_of_squares_falls_below_1_percent(case):
    target = tf.constant(np.random.default_rng(0).normal(size=[ROWS, DIM]), tf.float32)
    curvature = tf.constant([1.0, 2.0, 5.0, 10.0])

    def squares(table):
        return tf.reduce_sum(curvature * tf.square(table - target), axis=1)

    def half(step):
        return tf.range(tf.cast(step % 2, tf.int32), ROWS, 2)

    start = np.zeros([ROWS, DIM], np.float32)
    optimizer = case.make(learning_rate=case.squares, **case.objective_config)
    assert remaining_fraction(optimizer, squares, start, 400, half) < 0.01


@pytest.mark.medium
@every_optimizer
def test_rosenbrock_falls_below_1_percent(case):
    def rosenbrock(table):
        x, y = table[:, 0], table[:, 1]
        return tf.square(1 - x) + 100 * tf.square(y - tf.square(x))

    start = np.array([[-1.2, 1.0]], np.float32)
    optimizer = case.make(learning_rate=case.rosenbrock, **case.objective_config)
    assert remaining_fraction(optimizer, rosenbrock, start, 5000, lambda step: tf.constant([0])) < 0.01
