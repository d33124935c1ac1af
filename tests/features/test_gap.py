"""The rows within the gap before the first row of valid and of test are in no split."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from features import DataError, Split, open_data, split_data

few = settings(max_examples=60, deadline=None)
PARTS = ("train", "valid", "test", "gap")
DAY = 24 * 3600 * 10**6
fractions = st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (0.6, 0.4, 0.0), (0.7, 0.0, 0.3), (1.0, 0.0, 0.0)])


def write(path, times, size=5):
    """Write times as a column `ts`, next to the numbers of the rows, in row groups of `size` rows."""
    pq.write_table(pa.table({"ts": times, "x": np.arange(len(times))}), path, row_group_size=size)
    return str(path)


def split(path, parts, gap):
    """Return the numbers of the rows of each split and of the gap."""
    sets = split_data(open_data(path), Split(by="time", column="ts", fractions=parts, gap=gap), seed=1)
    return {name: [x for group in sets[name] for x in group.read(["x"])["x"].to_pylist()] for name in sets}


@given(
    times=st.lists(st.integers(-60, 60), min_size=3, max_size=50),
    parts=fractions,
    gap=st.integers(1, 40),
    size=st.integers(1, 12),
    scale=st.sampled_from([1, 10**6, 3 * 10**9]),
)
@few
def test_a_gap_takes_the_rows_before_each_first_row_and_no_others(tmp_path_factory, times, parts, gap, size, scale):
    path = write(tmp_path_factory.mktemp("data") / "a.parquet", np.array(times) * scale, size)
    try:
        whole = split(path, parts, None)
    except DataError:
        reject()
    time_of = dict(enumerate(times))
    wanted = {name: list(rows) for name, rows in whole.items()} | {"gap": []}
    for earlier, later in (("train", ("valid", "test")), ("valid", ("test",))):
        starts = [time_of[row] for name in later for row in whole[name]]
        near = [row for row in whole[earlier] if starts and time_of[row] >= min(starts) - gap]
        wanted[earlier] = [row for row in wanted[earlier] if row not in near]
        wanted["gap"] = sorted([*wanted["gap"], *near])
    empty = [name for name, part in zip(PARTS[:3], parts, strict=True) if part and not wanted[name]]
    if empty:
        with pytest.raises(DataError, match=f"data.split.gap: a gap of {gap * scale} takes .* no rows for {empty[0]}"):
            split(path, parts, gap * scale)
    else:
        assert split(path, parts, gap * scale) == wanted


@pytest.mark.parametrize("gap", [{"days": 1}, {"hours": 24}, {"minutes": 1440}], ids=str)
@pytest.mark.parametrize(
    "type_",
    [*(pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")), pa.timestamp("ms", "Asia/Tokyo"), pa.date32()],
    ids=str,
)
def test_a_gap_of_a_day_is_a_day_in_every_type_of_time(tmp_path, gap, type_):
    days = [datetime(2026, 1, 1) + timedelta(days=k // 2) for k in range(20)]  # two rows a day
    naive = type_ if pa.types.is_date(type_) else pa.timestamp(type_.unit)
    path = write(tmp_path / "a.parquet", pa.array(days, pa.timestamp("us")).cast(naive).cast(type_))
    found = split(path, (0.6, 0.2, 0.2), gap)
    assert found == {"train": [*range(10)], "valid": [12, 13], "test": [16, 17, 18, 19], "gap": [10, 11, 14, 15]}


@pytest.mark.parametrize(
    ("gap", "microseconds"), [({"days": 0.5}, DAY // 2), ({"hours": 1.5}, DAY // 16), ({"minutes": 1e-9}, 1)], ids=str
)
def test_lengths_may_have_fractions(gap, microseconds):
    length = Split(by="time", column="ts", fractions=(0.8, 0.1, 0.1), gap=gap).gap.microseconds
    assert length == microseconds


def test_a_gap_reaches_back_from_the_first_row_of_the_next_split_not_from_the_cut(tmp_path):
    times = [*range(60), *range(1000, 1020), *range(2000, 2020)]  # breaks longer than the gap
    found = split(write(tmp_path / "a.parquet", times), (0.6, 0.2, 0.2), 30)
    assert found["gap"] == []


def test_the_extremes_of_int64_have_gaps_too(tmp_path):
    low, high = 2**63 - 100, 2**63 - 1
    found = split(write(tmp_path / "a.parquet", pa.array(range(low, high + 1))), (0.8, 0.1, 0.1), 5)
    assert {name: len(rows) for name, rows in found.items()} == {"train": 75, "valid": 5, "test": 10, "gap": 10}


@pytest.mark.parametrize(
    ("times", "gap", "message"),
    [
        (pa.array(range(100)), {"hours": 24}, r"{hours: 24} of column 'ts', which holds integers.*data.cast"),
        (pa.array([datetime(2026, 1, 1, 0, k % 60) for k in range(100)]), 24, "24 has no unit.*{hours: 24}"),
        (pa.array(range(100)), 90, r"a gap of 90 takes 90 of 100 rows and leaves no rows for train \(fraction 0.8\)"),
        (pa.array(range(100)), 10, r"a gap of 10 takes 20 of 100 rows and leaves no rows for valid \(fraction 0.1\)"),
    ],
    ids=["unit of integers", "no unit of times", "no training data", "no validation data"],
)
def test_a_gap_that_does_not_fit_the_data_is_an_error_with_the_numbers(tmp_path, times, gap, message):
    with pytest.raises(DataError, match=f"^data.split.gap: {message}"):
        split(write(tmp_path / "a.parquet", times), (0.8, 0.1, 0.1), gap)


@pytest.mark.parametrize(
    "gap", [0, -1, True, 1.5, "1 day", {}, {"days": 1, "hours": 2}, {"weeks": 1}, {"hours": 0}, {"hours": -1}, [1]]
)
def test_a_gap_that_is_no_length_is_an_error(gap):
    with pytest.raises(ValidationError):
        Split(by="time", column="ts", fractions=(0.8, 0.1, 0.1), gap=gap)


@pytest.mark.parametrize("settings", [{"by": "rows"}, {"by": "random"}, {"by": "hash", "column": "user"}])
def test_only_a_split_by_time_has_a_gap(settings):
    with pytest.raises(ValidationError, match="does not have a `gap`"):
        Split(**settings, fractions=(0.8, 0.1, 0.1), gap={"hours": 1})
