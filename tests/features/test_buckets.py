"""A numeric `as: buckets`: edges at the quantiles of the training data, then one category for each range."""

import math
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import features.statistics
from features import Columns, DataError, Encoder, Features, fit, open_data
from features.batch import NULL, SPECIAL_ROWS
from features.statistics import FittingState
from tests.features.fits import statistics_of

WHERE = "clicks.parquet, row group 3"
LABEL = Columns("y")
few = settings(max_examples=40, deadline=None, derandomize=True)

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
heavy = st.sampled_from([0.0, 1.0, 2.5])
known = st.lists(finite | heavy, min_size=2, max_size=60)


def declared_x(**settings):
    return Features(columns={"x": {"type": "numeric", "as": "buckets", **settings}})


def fitted(file, *groups, seed=1, **declared):
    """Fit an encoder on training data with one row group for each list of numbers."""
    with pq.ParquetWriter(file, pa.schema({"x": pa.float64(), "y": pa.int64()})) as writer:
        first = 0
        for group in groups:
            labels = np.arange(first, first := first + len(group)) % 2
            writer.write_table(pa.table({"x": pa.array(group, pa.float64()), "y": labels}))
    declared = declared_x(**declared)
    return Encoder(declared, LABEL, fit(declared, LABEL, open_data(str(file)), seed))


def edges_of(encoder):
    return encoder.statistics.fits["edges"]["x"].ends


def with_edges(*edges):
    return Encoder(declared_x(), LABEL, statistics_of(edges={"x": edges}))


def bucket(encoder, numbers):
    """Return the bucket of each number; None for the null row."""
    column = pa.array(numbers, pa.float64())
    ids = encoder(pa.table({"x": column, "y": np.zeros(len(column), np.int8)}), WHERE)["ids"][:, 0].tolist()
    return [None if id_ == NULL else id_ - SPECIAL_ROWS for id_ in ids]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.parquet"


@pytest.fixture(scope="session")
def new_file(tmp_path_factory):
    """Return a function that makes a path no earlier example of a property used."""
    return lambda: tmp_path_factory.mktemp("data") / "a.parquet"


# From a number to its bucket


def test_bucket_k_ends_with_edge_k_inclusive():
    assert bucket(with_edges(1.0, 2.0, 5.0), [0.0, 1.0, 1.5, 2.0, 2.1, 5.0, 5.1]) == [0, 0, 1, 1, 2, 2, 3]


@given(edges=st.lists(finite, max_size=8, unique=True).map(sorted), numbers=st.lists(finite, min_size=1, max_size=8))
@few
def test_a_number_lies_between_the_edges_of_its_bucket(edges, numbers):
    numbers = [*numbers, *edges]
    bounds = [-math.inf, *edges, math.inf]

    for x, k in zip(numbers, bucket(with_edges(*edges), numbers), strict=True):
        assert bounds[k] < x <= bounds[k + 1]


@given(numbers=st.lists(finite, min_size=2, max_size=20), training=known, buckets=st.integers(2, 12))
@few
def test_a_larger_number_is_never_in_a_smaller_bucket(new_file, numbers, training, buckets):
    found = bucket(fitted(new_file(), training, buckets=buckets), sorted(numbers))

    assert found == sorted(found)


def test_a_number_beyond_those_of_the_training_data_is_in_the_first_or_last_bucket(file):
    encoder = fitted(file, np.arange(100.0), buckets=4)

    assert bucket(encoder, [-1e30, 0.0, 99.0, 1e30]) == [0, 0, 3, 3]


def test_null_and_nan_are_the_null_row():
    assert bucket(with_edges(1.0), [None, float("nan"), 0.5]) == [None, None, 0]


def test_neighbouring_doubles_around_an_edge_are_told_apart():
    edge = 0.1

    found = bucket(with_edges(edge), [np.nextafter(edge, 0), edge, np.nextafter(edge, 1)])

    assert found == [0, 0, 1]


@pytest.mark.parametrize(
    "column",
    [pa.array([1, 2, 3], pa.int64()), pa.array([1, 2, 3], pa.uint8()), pa.array([1, 2, 3], pa.float32())],
    ids=lambda column: str(column.type),
)
def test_numbers_of_any_type_have_buckets(column):
    batch = with_edges(1.0, 2.5)(pa.table({"x": column, "y": [0, 0, 0]}), WHERE)

    assert batch["ids"][:, 0].tolist() == [3, 4, 5]


@pytest.mark.parametrize("value", [math.inf, -math.inf, 1e300])
def test_a_number_that_float32_cannot_hold_is_an_error_that_says_where(value):
    with pytest.raises(DataError, match=re.escape(f"{WHERE}: column 'x' holds {value}")):
        bucket(with_edges(1.0), [0.0, value])


def test_a_bucketed_numeric_is_no_column_of_numerics():
    encoder = with_edges(1.0)
    batch = encoder(pa.table({"x": [0.5], "y": [0]}), WHERE)

    assert batch["numerics"].shape == (1, 0)
    assert encoder.layout["numerics"] == encoder.layout["plain"] == []


def test_a_bucketed_numeric_is_a_field_and_a_category_with_a_row_for_each_bucket():
    layout = with_edges(1.0, 2.0).layout

    assert layout["tables"] == [{"name": "x", "rows": SPECIAL_ROWS + 3, "dim": 16}]
    assert layout["fields"] == [{"name": "x", "column": 0, "table": "x"}]
    assert layout["categories"] == [{"name": "x", "column": 0, "rows": SPECIAL_ROWS + 3, "table": "x"}]


def test_its_values_stay_numbers_for_the_measure_of_its_distribution():
    values = with_edges(1.0).values(pa.table({"x": [0.5, None], "y": [0, 0]}), WHERE)["x"]

    assert values.to_pylist() == [0.5, None]


def test_transform_clip_and_indicator_do_not_apply_to_buckets(file):
    numbers = np.random.default_rng(0).lognormal(size=200)
    plain = fitted(file, numbers)
    other = fitted(file, numbers, transform="log1p", clip=0.1, missing_indicator=True)

    assert bucket(other, numbers) == bucket(plain, numbers)
    assert other.layout == plain.layout


# From the training data to the edges


@pytest.mark.parametrize("buckets", [2, 3, 7, 10, 64])
@pytest.mark.parametrize("rows", [64, 997, 1000])
def test_buckets_of_distinct_numbers_hold_as_many_rows_each(file, rows, buckets):
    numbers = np.random.default_rng(rows).normal(size=rows)

    counts = np.bincount(bucket(fitted(file, numbers, buckets=buckets), numbers))

    assert len(counts) == buckets
    assert np.abs(counts - rows / buckets).max() <= 1 + 1e-9


@given(training=known, buckets=st.integers(2, 12))
@few
def test_there_are_at_most_as_many_buckets_as_wanted_and_none_is_empty(new_file, training, buckets):
    encoder = fitted(new_file(), training, buckets=buckets)

    found = bucket(encoder, training)

    assert set(found) == set(range(len(edges_of(encoder)) + 1))
    assert len(set(found)) <= buckets


@given(training=known, buckets=st.integers(2, 12))
@few
def test_edges_ascend_between_numbers_of_the_training_data(new_file, training, buckets):
    edges = edges_of(fitted(new_file(), training, buckets=buckets)).tolist()

    assert edges == sorted(set(edges))
    assert all(min(training) <= edge < max(training) for edge in edges)


@given(training=known, buckets=st.integers(2, 12))
@few
def test_edge_k_lies_midway_after_the_least_number_that_as_many_rows_do_not_exceed(new_file, training, buckets):
    ordered = sorted(training)
    ends = {ordered[-(-k * len(ordered) // buckets) - 1] for k in range(1, buckets)} - {ordered[-1]}
    wanted = [(end + min(x for x in ordered if x > end)) / 2 for end in sorted(ends)]

    assert edges_of(fitted(new_file(), training, buckets=buckets)).tolist() == pytest.approx(wanted, rel=1e-12)


def test_a_frequent_value_takes_the_place_of_several_buckets(file):
    numbers = np.concatenate([np.zeros(700), np.arange(1.0, 301.0)])

    encoder = fitted(file, numbers, buckets=10)

    assert edges_of(encoder).tolist() == [0.5, 100.5, 200.5]
    assert np.bincount(bucket(encoder, numbers)).tolist() == [700, 100, 100, 100]


def test_the_most_frequent_value_may_be_the_largest(file):
    numbers = np.concatenate([np.arange(30.0), np.full(70, 99.0)])

    encoder = fitted(file, numbers, buckets=10)

    assert np.bincount(bucket(encoder, numbers)).tolist() == [10, 10, 10, 70]


def test_two_values_are_two_buckets(file):
    encoder = fitted(file, [0.0, 1.0] * 50, buckets=10)

    assert edges_of(encoder).tolist() == [0.5]
    assert bucket(encoder, [0.0, 1.0]) == [0, 1]


def test_a_number_stays_in_its_bucket_when_it_is_stored_in_less_precision(file):
    prices = np.arange(1, 11) / 10  # 0.1 as float32 is above 0.1
    encoder = fitted(file, np.tile(prices, 10), buckets=10)

    assert bucket(encoder, prices) == bucket(encoder, prices.astype(np.float32)) == list(range(10))


def test_more_buckets_than_values_are_one_for_each(file):
    assert bucket(fitted(file, [3.0, 1.0, 2.0], buckets=100), [1.0, 2.0, 3.0]) == [0, 1, 2]


def test_a_constant_column_is_one_bucket(file):
    encoder = fitted(file, [7.0] * 20)

    assert edges_of(encoder).tolist() == []
    assert bucket(encoder, [7.0, 6.0, 8.0, None]) == [0, 0, 0, None]


@pytest.mark.parametrize("numbers", [[None] * 4, [float("nan")] * 4], ids=["null", "nan"])
def test_a_column_without_a_number_is_one_bucket_that_nothing_has_trained(file, numbers):
    encoder = fitted(file, numbers)

    assert encoder.layout["tables"][0]["rows"] == SPECIAL_ROWS + 1
    assert bucket(encoder, [None, 5.0]) == [None, 0]


def test_nulls_do_not_move_the_edges(file, tmp_path):
    numbers = np.random.default_rng(0).normal(size=100).tolist()
    with_nulls = [x for pair in zip(numbers, [None, float("nan")] * 50, strict=True) for x in pair]

    encoders = fitted(file, numbers), fitted(tmp_path / "b.parquet", with_nulls)

    np.testing.assert_array_equal(*(edges_of(encoder) for encoder in encoders))


@given(training=known, data=st.data())
@few
def test_data_that_is_used_whole_has_the_same_edges_in_any_row_groups_and_with_any_seed(new_file, training, data):
    cut = data.draw(st.integers(1, len(training) - 1))

    one = fitted(new_file(), training)
    other = fitted(new_file(), training[:cut], training[cut:], seed=9)

    np.testing.assert_array_equal(edges_of(one), edges_of(other))


@pytest.fixture
def draws(monkeypatch):
    """Return the rows of each row group that the edges are computed from, in order."""
    monkeypatch.setattr(features.statistics, "EDGE_ROWS", 50)
    monkeypatch.setattr(features.statistics, "THREADS", 1)
    seen = []
    of = FittingState.of

    def watched(fitted, columns, table, drawn, where):
        seen.append(drawn)
        return of(fitted, columns, table, drawn, where)

    monkeypatch.setattr(FittingState, "of", watched)
    return seen


def test_row_groups_and_parts_of_one_draw_other_rows_for_edges(file, draws):
    fitted(file, np.arange(100.0), np.arange(100.0))
    first, second = draws
    assert (first != second).any()

    draws.clear()
    whole = open_data(str(file))[0]
    quarter = np.arange(100) // 2 % 2 == 0  # so that each selection has both classes
    fit(declared_x(), LABEL, [whole.select(quarter), whole.select(~quarter)], seed=1)
    first, second = draws
    assert (first != second).any()


def test_of_large_data_a_sample_drawn_from_the_seed_gives_the_edges(file, monkeypatch):
    monkeypatch.setattr(features.statistics, "EDGE_ROWS", 2000)
    numbers = np.random.default_rng(0).permutation(20_000) / 20_000
    groups = numbers[:12_000], numbers[12_000:]

    one, same, other = (edges_of(fitted(file, *groups, seed=seed)) for seed in (1, 1, 2))

    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    np.testing.assert_allclose(one, np.arange(1, 10) / 10, atol=5 * 0.5 / 2000**0.5)


def test_a_bucketed_numeric_has_no_moments(file):
    assert set(fitted(file, np.arange(10.0)).statistics.fits) == {"edges"}


# Saving


@given(training=st.lists(st.floats(-1e30, 1e30), min_size=2, max_size=40), buckets=st.integers(2, 40))
@few
def test_edges_are_saved_bit_for_bit(new_file, training, buckets):
    path = new_file()
    encoder = fitted(path, training, buckets=buckets)
    encoder.save(path.parent / "encoder")
    loaded = Encoder.load(path.parent / "encoder")

    assert (edges_of(loaded).dtype, edges_of(loaded).tobytes()) == (
        np.float64,
        edges_of(encoder).tobytes(),
    )
    assert bucket(loaded, training) == bucket(encoder, training)
    assert loaded.layout == encoder.layout
