"""PSI over time: periods of every type of column, and the day on which drift began."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from ctr.evaluation.histograms import Binning, Histograms
from ctr.evaluation.timeline import CUT, FOLLOWS, VARIES, Timeline
from ctr.metrics.periods import Dated, periods_of


def chunked(values, type_=None):
    return pa.chunked_array([pa.array(values, type_)])


EVENING = 23 * 3600  # of 1970-01-01 in UTC, the next day in Tokyo

PERIODS = {
    "a timestamp by day": (pa.array([EVENING], pa.timestamp("s", "UTC")), {}, "1970-01-01"),
    "by day elsewhere": (pa.array([EVENING], pa.timestamp("s", "UTC")), {"time_zone": "Asia/Tokyo"}, "1970-01-02"),
    "without a zone it is UTC": (pa.array([EVENING], pa.timestamp("ns")), {}, "1970-01-01"),
    "by hour": (pa.array([EVENING * 1000], pa.timestamp("ms", "UTC")), {"by": "hour"}, "1970-01-01 23:00"),
    "by week, from Monday": (pa.array([EVENING], pa.timestamp("s")), {"by": "week"}, "1969-12-29"),
    "by month": (pa.array([EVENING], pa.timestamp("s")), {"by": "month"}, "1970-01"),
    "a date is the same in every zone": (
        pa.array([datetime.date(2026, 1, 9)]),
        {"time_zone": "America/Los_Angeles"},
        "2026-01-09",
    ),
    "an hour that clocks show twice": (  # 2025-10-26 01:30 UTC is the second 02:30 in Paris
        pa.array([1761442200], pa.timestamp("s", "UTC")),
        {"by": "hour", "time_zone": "Europe/Paris"},
        "2025-10-26 02:00",
    ),
    "a day without a midnight": (  # 2018-11-04 began at 01:00 in Sao Paulo
        pa.array([1541300400], pa.timestamp("s", "UTC")),
        {"time_zone": "America/Sao_Paulo"},
        "2018-11-04",
    ),
    "a day beyond the year 9999": (
        pa.array([253_402_300_799], pa.timestamp("s")),
        {"time_zone": "Asia/Tokyo"},
        "10000-01-01",
    ),
    "a summer after 2037": (  # 20:00 UTC
        pa.array([2_540_318_400], pa.timestamp("s")),
        {"by": "hour", "time_zone": "Europe/Paris"},
        "2050-07-01 22:00",
    ),
    "integers with a unit": (pa.array([EVENING]), {"time_unit": "s"}, "1970-01-01"),
    "integers without one": (pa.array([20260109]), {}, "20260109"),
    "text": (pa.array(["day 3"]), {}, "day 3"),
    "a dictionary of text": (pa.array(["day 3"]).dictionary_encode(), {}, "day 3"),
}


@pytest.mark.parametrize("case", PERIODS)
def test_periods(case):
    column, settings, expected = PERIODS[case]
    nulled = pa.chunked_array([column, pa.nulls(1, column.type)])
    assert periods_of(nulled, **{"by": "day", **settings}).period.to_pylist() == [expected, None]


@pytest.mark.parametrize("by", ["hour", "day", "week", "month"])
def test_rows_without_a_time_have_no_period(by):
    assert periods_of(pa.chunked_array([pa.nulls(2, pa.timestamp("us"))]), by).period.to_pylist() == [None, None]
    assert periods_of(pa.chunked_array([], pa.timestamp("us")), by).period.to_pylist() == []


def timeline_of(days, shift_from, rows=3000):
    """Return a feature's timeline, whose mean goes from 0 to 1 on `shift_from`, and the first day's histograms."""
    random = np.random.default_rng(0)
    parts = [random.normal(float(day >= shift_from), 1, rows) for day in range(days)]
    binning = Binning.fitted({"feature/x": [pa.array(parts[0])]}, 10)
    reference, timeline = Histograms(binning), Timeline(binning)
    for day, part in enumerate(parts):
        codes, weight = binning.assign({"feature/x": pa.array(part)}), np.ones(rows)
        if day == 0:
            reference.add(codes, weight)
        timeline.add(codes, weight, Dated(pa.array([f"day {day}"] * rows).dictionary_encode(), None))
    return timeline, reference


def test_the_day_on_which_a_shift_began_is_named():
    timeline, reference = timeline_of(6, shift_from=4)
    found = timeline.compare(reference, 0.2)
    assert found.names == [f"day {day}" for day in range(6)]
    assert found.rows == [3000] * 6
    assert found.columns["feature/x"]["drift"] == ["stable"] * 4 + ["major"] * 2
    assert found.columns["feature/x"]["since"] == "day 4"


def test_a_shift_that_passed_has_no_beginning():
    timeline, reference = timeline_of(6, shift_from=4)
    del timeline.periods["day 4"], timeline.periods["day 5"]
    assert timeline.compare(reference, 0.2).columns["feature/x"]["since"] is None


def test_rows_of_any_order_and_division_give_the_same_timeline():
    random = np.random.default_rng(0)
    numbers, days = random.normal(size=900), random.integers(0, 3, 900)
    weight = random.integers(1, 4, 900).astype(float)
    binning = Binning.fitted({"feature/x": [pa.array(numbers)]}, 5)

    def counted(rows):
        timeline = Timeline(binning)
        codes = binning.assign({"feature/x": pa.array(numbers[rows])})
        timeline.add(
            codes, weight[rows], Dated(pa.array([f"day {day}" for day in days[rows]]).dictionary_encode(), None)
        )
        return timeline

    whole = counted(np.arange(900))
    merged = counted(np.arange(300, 900)).merge(counted(np.arange(300)))
    for day in range(3):
        rows = days == day
        expected = binning.bins["feature/x"].count(numbers[rows], weight[rows])
        for timeline in (whole, merged):
            there = timeline.periods[f"day {day}"]
            assert there.counts["feature/x"].tolist() == expected.tolist()
            assert there.rows == pytest.approx(weight[rows].sum() ** 2 / (weight[rows] ** 2).sum())


def test_rows_without_a_time_are_counted_and_left_out():
    timeline, _ = timeline_of(2, shift_from=9, rows=10)
    codes = timeline.binning.assign({"feature/x": pa.array([1.0, 2.0])})
    timeline.add(codes, np.ones(2), Dated(pa.array(["day 0", None]).dictionary_encode(), None))
    assert timeline.undated == 1
    assert timeline.periods["day 0"].rows == 11


def test_one_period_is_no_timeline_and_too_many_are_said():
    timeline, reference = timeline_of(1, shift_from=9)
    assert timeline.compare(reference, 0.2) is None
    codes = timeline.binning.assign({"feature/x": pa.array(np.zeros(1001))})
    timeline.add(codes, np.ones(1001), Dated(pa.array([f"second {k}" for k in range(1001)]).dictionary_encode(), None))
    assert "more than 1,000 periods" in timeline.compare(reference, 0.2).reason
    assert timeline.periods == {}


def test_integers_are_in_the_order_of_their_values():
    binning = Binning.fitted({"feature/x": [pa.array([0.0, 1.0])]}, 2)
    reference, timeline = Histograms(binning), Timeline(binning)
    codes = binning.assign({"feature/x": pa.array([0.0, 1.0, 1.0])})
    timeline.add(codes, np.ones(3), periods_of(chunked([10, 9, -2]), "day"))
    assert timeline.compare(reference, 0.2).names == ["-2", "9", "10"]


# differences without drift

START = np.datetime64("2026-01-05")  # a Monday


def clock(days, rows=2000, last_hours=24, seed=0):
    """Return times spread evenly over each day (the last: over its first hours), and their date parts."""
    random = np.random.default_rng(seed)
    hours = [24] * (days - 1) + [last_hours]
    seconds = [86_400 * day + random.integers(0, 3600 * width, rows) for day, width in enumerate(hours)]
    times = START + np.concatenate(seconds).astype("timedelta64[s]")
    of_day = (times - times.astype("datetime64[D]")).astype(np.int64)
    weekday = ((times.astype("datetime64[D]") - START).astype(np.int64)) % 7
    return {"ts": times, "weekday": weekday, "hour": of_day // 3600, "x": random.normal(size=len(times))}


def counted(columns, binning=None, by="day"):
    """Return the timeline and the histograms of a table, by default over bins fitted on it."""
    names = [name for name in columns if name != "ts"]
    values = {f"feature/{name}": pa.array(columns[name]) for name in names}
    binning = binning or Binning.fitted({name: [one] for name, one in values.items()}, 31)
    timeline, histograms = Timeline(binning), Histograms(binning)
    codes, weight = binning.assign(values), np.ones(len(columns["ts"]))
    histograms.add(codes, weight)
    timeline.add(codes, weight, periods_of(chunked(columns["ts"].astype("datetime64[us]")), by))
    return timeline, histograms


def cut(columns, first, last):
    """Return the rows of a range of days."""
    day = (columns["ts"] - START).astype("timedelta64[D]").astype(int)
    return {name: values[(first <= day) & (day < last)] for name, values in columns.items()}


def compared(columns, training_days, calendar=("weekday", "hour"), by="day"):
    """Return PSI over time of each column, and of all, over days the first of which are the training data."""
    own, reference = counted(cut(columns, 0, training_days), by=by)
    later, _ = counted(cut(columns, training_days, 999), reference.binning, by)
    made = {f"feature/{name}": [f"feature/{name}"] for name in calendar}
    found = own.merge(later).compare(reference, 0.2, own.training_periods(reference, 0.2), made)
    return {name.removeprefix("feature/"): one for name, one in found.columns.items()}, found


@pytest.mark.parametrize("training_days", [1, 8])
def test_a_part_of_a_time_of_which_no_period_holds_all_values_is_no_drift(training_days):
    columns, _ = compared(clock(10), training_days)
    assert columns["weekday"]["drift"][-2:] == ["major"] * 2
    assert (columns["weekday"]["since"], columns["weekday"]["reason"]) == (None, CUT)
    assert columns["hour"]["drift"] == ["stable"] * 10
    assert "reason" not in columns["hour"]


def test_a_part_of_which_each_period_holds_all_values_is_judged_as_any_feature():
    even = clock(28)
    assert compared(even, 14, by="week")[0]["weekday"]["since"] is None
    assert "reason" not in compared(even, 14, by="week")[0]["weekday"]
    hours = clock(10)
    night = hours["ts"] >= START + np.timedelta64(8, "D")
    skewed = np.random.default_rng(1).random(night.sum()) < 0.6
    hours["hour"][night] = np.where(skewed, hours["hour"][night] // 4, hours["hour"][night])
    assert compared(hours, 8)[0]["hour"]["since"] == "2026-01-13"


def test_no_drift_begins_within_the_training_data():
    data = clock(10)
    data["x"] += 1.1 * (data["ts"] >= START + np.timedelta64(6, "D"))  # two of eight training days drifted
    columns, found = compared(data, 8)
    assert columns["x"]["drift"][6:] == ["major"] * 4
    assert columns["x"]["since"] == found.names[8] == "2026-01-13"


def test_a_column_that_varies_as_much_within_the_training_data_is_not_dated():
    data = clock(10)
    data["x"] += 3.0 * ((data["ts"] - START).astype("timedelta64[D]").astype(int) % 2)
    columns, _ = compared(data, 8)
    assert columns["x"]["drift"] == ["major"] * 10
    assert (columns["x"]["since"], columns["x"]["reason"]) == (None, VARIES)


def test_a_partial_last_period_begins_no_drift_and_ends_none():
    columns, found = compared(clock(10, last_hours=3), 8)
    assert found.partial == ["2026-01-14"]
    assert columns["hour"]["drift"] == ["stable"] * 9 + ["major"]
    assert columns["hour"]["since"] is None
    moved = clock(10, last_hours=3)
    moved["x"] += 2.0 * (moved["ts"] >= START + np.timedelta64(8, "D"))
    assert compared(moved, 8)[0]["x"]["since"] == "2026-01-13"
    assert compared(clock(10, last_hours=23), 8)[1].partial == []


@pytest.mark.parametrize(
    ("by", "days", "partial"),
    [("week", 21, []), ("week", 17, ["2026-01-19"]), ("month", 85, ["2026-01-01"]), ("month", 60, ["2026-03-01"])],
)
def test_what_is_partial_is_read_from_the_span_of_its_rows(by, days, partial):
    _, found = compared(clock(days, rows=200), days // 2, by=by)
    assert found.partial == [name if by != "month" else name[:7] for name in partial]


def test_dates_and_values_have_no_place_within_a_period():
    assert periods_of(chunked([20260109]), "day").position is None
    timeline, reference = timeline_of(3, shift_from=9)
    assert timeline.compare(reference, 0.2).partial == []
    data = clock(4)
    data["ts"] = data["ts"].astype("datetime64[D]").astype("datetime64[s]")
    assert compared(data, 2)[1].partial == []


def test_without_training_periods_a_column_of_one_value_a_period_follows_the_calendar():
    data = clock(10)
    _, reference = counted(clock(14, seed=1))
    timeline, _ = counted(data, reference.binning)
    columns = timeline.compare(reference, 0.2).columns
    assert (columns["feature/weekday"]["since"], columns["feature/weekday"]["reason"]) == (None, FOLLOWS)
    data["weekday"] = np.where(data["ts"] < START + np.timedelta64(5, "D"), 0, 1)  # one change is not a pattern
    timeline, _ = counted(data, reference.binning)
    assert "reason" not in timeline.compare(reference, 0.2).columns["feature/weekday"]
