"""A store of variables against NumPy arrays: rows that are gathered, scattered, grown and reset, and all others."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from optimizers import RowStore, VariableRows
from optimizers import row_store as module
from tests.optimizers import mirrored_store as mirrored
from tests.optimizers.row_cases import CASES
from tests.optimizers.streams import start, states, stream

DIM = 3
WIDTHS = {"m": DIM, "touches": 1}
"""States of a store: as wide as its rows, or one number per row."""
SPECIAL = np.array([0.0, -0.0, np.nan, np.inf, 1e-45, 3.4e38], np.float32)  # 1e-45 is denormal


class Held:
    """Arrays [rows, dim] or [rows, 1], the weights first, and a store whose variables start with these values."""

    def __init__(self, rows, seed=0, widths=WIDTHS):
        random = np.random.default_rng(seed)
        shapes = [(rows, width) for width in (DIM, *widths.values())]
        self.arrays = [random.normal(size=shape).astype(np.float32) for shape in shapes]
        for array in self.arrays:
            array.flat[: min(array.size, len(SPECIAL))] = SPECIAL[: array.size]
        weight, *others = (tf.Variable(array) for array in self.arrays)
        self.variables = [weight, *others]
        self.store: RowStore = VariableRows(weight, dict(zip(widths, others, strict=True)))

    def now(self):
        return [variable.numpy() for variable in self.variables]


def assert_same_bits(found, expected):
    for one, other in zip(found, expected, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert one.shape == other.shape
        assert one.tobytes() == other.tobytes()


def rows_to(count, unique=True):
    """Draw some of the rows below `count`, in any order."""
    return st.lists(st.integers(0, count - 1), unique=unique, max_size=count)


@given(st.data(), st.integers(1, 12))
@settings(deadline=None, max_examples=50)
def test_gather_gives_what_indexing_gives(data, count):
    held, rows = Held(count), data.draw(rows_to(count, unique=False))
    found = held.store.gather(tf.constant(rows, tf.int32))
    assert_same_bits(found, [array[np.array(rows, int)] for array in held.arrays])
    assert held.store.row_count == count


@given(st.data(), st.integers(1, 12))
@settings(deadline=None, max_examples=50)
def test_what_is_scattered_is_gathered_and_no_other_row_moves(data, count):
    held, rows = Held(count), np.array(data.draw(rows_to(count)), np.int64)
    number = st.floats(width=32)
    values = [data.draw(arrays(np.float32, (len(rows), array.shape[1]), elements=number)) for array in held.arrays]

    held.store.scatter(tf.constant(rows), *values)

    assert_same_bits(held.store.gather(tf.constant(rows)), values)
    expected = [array.copy() for array in held.arrays]
    for array, value in zip(expected, values, strict=True):
        array[rows] = value
    assert_same_bits(held.now(), expected)


@given(st.data(), st.integers(1, 12))
@settings(deadline=None, max_examples=50)
def test_a_part_is_the_store_s_own_rows(data, count):
    first = data.draw(st.integers(0, count - 1))
    size = data.draw(st.integers(1, count - first))
    held, rows = Held(count), np.array(data.draw(rows_to(size)), np.int32)
    part = held.store.view(first, size)
    assert part.row_count == size
    assert_same_bits(part.gather(tf.constant(rows)), [array[first + rows] for array in held.arrays])

    part.reset(tf.constant(rows), {"touches": 2.0})
    inner = part.view(size - 1, 1)
    inner.scatter(tf.constant([0]), *[np.full((1, array.shape[1]), 7.0, np.float32) for array in held.arrays])

    expected = [array.copy() for array in held.arrays]
    expected[1][first + rows], expected[2][first + rows] = 0.0, 2.0
    for array in expected:
        array[first + size - 1] = 7.0
    assert_same_bits(held.now(), expected)


@pytest.mark.parametrize(("first", "size"), [(-1, 2), (0, 6), (5, 1), (3, -1)])
def test_a_part_beyond_the_store_is_refused(first, size):
    with pytest.raises(ValueError, match=f"cannot take {size} rows from row {first} of a store of 5 rows"):
        Held(5).store.view(first, size)


def test_reset_gives_rows_the_state_of_new_ones_keeps_their_weights_and_touches_no_other_row():
    held = Held(6)
    held.store.reset(tf.constant([4, 1]), {"touches": 9.0})
    weight, m, touches = (array.copy() for array in held.arrays)
    m[[1, 4]], touches[[1, 4]] = 0.0, 9.0
    assert_same_bits(held.now(), [weight, m, touches])


def test_a_state_that_is_not_there_is_refused_before_any_other_is_reset():
    held = Held(4)
    with pytest.raises(ValueError, match=r"unknown state 'steps'\. Use a state of the store: m, touches\."):
        held.store.reset(tf.constant([1]), {"steps": 1.0, "m": 1.0})
    assert_same_bits(held.now(), held.arrays)


@pytest.mark.parametrize("moved", [1, 3, 1 << 20], ids=lambda rows: f"{rows} at a time")
@pytest.mark.parametrize(("few", "many"), [(0, 4), (5, 5), (5, 12)])
def test_a_grown_store_has_the_old_rows_bit_for_bit_and_new_rows_with_their_own_weights(monkeypatch, few, many, moved):
    monkeypatch.setattr(module, "MOVED_ROWS", moved)
    small, large = Held(few, seed=1), Held(many, seed=2)

    large.store.grow(small.store, {"touches": 5.0})

    weight, m, touches = (np.concatenate([old, new[few:]]) for old, new in zip(small.arrays, large.arrays, strict=True))
    m[few:], touches[few:] = 0.0, 5.0
    assert_same_bits(large.now(), [weight, m, touches])
    assert_same_bits(small.now(), small.arrays)


def test_a_table_grows_among_others_and_leaves_them_as_they_are():
    small, large = Held(7, seed=1), Held(12, seed=2)
    large.store.view(4, 5).grow(small.store.view(2, 3), {})
    expected = [array.copy() for array in large.arrays]
    for place, (array, old) in enumerate(zip(expected, small.arrays, strict=True)):
        array[4:7] = old[2:5]
        if place > 0:
            array[7:9] = 0.0
    assert_same_bits(large.now(), expected)


def test_weights_alone_grow_and_have_no_state_to_reset():
    small, large = Held(3, seed=1, widths={}), Held(5, seed=2, widths={})
    large.store.grow(small.store, {})
    assert_same_bits(large.now(), [np.concatenate([small.arrays[0], large.arrays[0][3:]])])


def test_a_store_does_not_shrink():
    with pytest.raises(ValueError, match="a store of 3 rows cannot copy 4 rows"):
        Held(3).store.grow(Held(4).store, {})


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_store_of_an_optimizer_is_its_variable_and_all_of_its_state(case):
    table, optimizer = tf.Variable(start()), case.make()
    optimizer.build([table])
    store = optimizer.store_of(table)
    for rows, gradients in stream(3):
        optimizer.apply_gradients([(tf.IndexedSlices(gradients, rows, tf.constant(table.shape)), table)])
    rows = tf.constant([7, 0, 39])
    assert_same_bits(store.gather(rows), [array[[7, 0, 39]] for array in (table.numpy(), *states(optimizer))])


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_state_is_trainable_and_the_state_of_new_rows_is_of_the_store(case):
    table, optimizer = tf.Variable(start()), case.make()
    optimizer.build([table])
    assert not any(variable.trainable for variable in optimizer.variables)
    before = [array.copy() for array in (table.numpy(), *states(optimizer))]
    optimizer.store_of(table).reset(tf.constant([2]), optimizer.state_of_new_rows(step=8))
    new = {**dict.fromkeys([*optimizer.state_names, *optimizer.row_state_names], 0.0), **optimizer.state_of_new_rows(8)}
    for array, value in zip(before[1:], new.values(), strict=True):
        array[2] = value
    assert_same_bits([table.numpy(), *states(optimizer)], before)


def test_a_graph_reads_and_writes_rows_only():
    held = Held(1000)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
    def double(rows):
        held.store.scatter(rows, *(2 * value for value in held.store.gather(rows)))

    double(tf.constant([3, 999]))
    for array, found in zip(held.arrays, held.now(), strict=True):
        array[[3, 999]] *= 2
        assert_same_bits([found], [array])
    operations = [operation.type for operation in double.get_concrete_function().graph.get_operations()]
    assert operations.count("ResourceGather") == operations.count("ResourceScatterUpdate") == 3
    assert "ReadVariableOp" not in operations
    assert "AddV2" not in operations  # the whole store needs no index shift


@pytest.mark.slow
def test_both_replicas_have_what_is_written_outside_of_them_and_in_their_updates(tmp_path):
    path = tmp_path / "rows.npz"
    subprocess.run([sys.executable, "-m", "tests.optimizers.mirrored_store", path], check=True)

    old, new = mirrored.arrays(mirrored.OLD, seed=1), mirrored.arrays(mirrored.NEW, seed=2)
    weight, touches = (np.concatenate([one, other[mirrored.OLD :]]) for one, other in zip(old, new, strict=True))
    touches[mirrored.OLD :], touches[1] = 3.0, 4.0
    weight[[2, 5]], touches[[2, 5]] = 1.0, 7.0
    weight[[0, 8]], touches[[0, 8]] = 2 * weight[[0, 8]], 2 * touches[[0, 8]]
    found = np.load(path)
    for replica in (0, 1):
        assert_same_bits([found[f"{replica}/w"], found[f"{replica}/s"]], [weight, touches])
