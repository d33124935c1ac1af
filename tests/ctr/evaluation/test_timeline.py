"""PSI over time: periods of every kind of column, and the day on which a shift began."""

import datetime

import numpy as np
import pyarrow as pa
import pytest

from ctr.evaluation.histograms import Binning, Histograms
from ctr.evaluation.timeline import Timeline, periods_of


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
    assert periods_of(nulled, **{"by": "day", **settings}).to_pylist() == [expected, None]


@pytest.mark.parametrize("by", ["hour", "day", "week", "month"])
def test_rows_without_a_time_have_no_period(by):
    assert periods_of(pa.chunked_array([pa.nulls(2, pa.timestamp("us"))]), by).to_pylist() == [None, None]
    assert periods_of(pa.chunked_array([], pa.timestamp("us")), by).to_pylist() == []


def timeline_of(days, shift_from, rows=3000):
    """The timeline of a feature whose mean goes from 0 to 1 on `shift_from`, and the histograms of the first day."""
    random = np.random.default_rng(0)
    parts = [random.normal(float(day >= shift_from), 1, rows) for day in range(days)]
    binning = Binning.fitted({"feature/x": [pa.array(parts[0])]}, 10)
    reference, timeline = Histograms(binning), Timeline(binning)
    for day, part in enumerate(parts):
        codes, weight = binning.assign({"feature/x": pa.array(part)}), np.ones(rows)
        if day == 0:
            reference.add(codes, weight)
        timeline.add(codes, weight, pa.array([f"day {day}"] * rows).dictionary_encode())
    return timeline, reference


def test_the_day_on_which_a_shift_began_is_named():
    timeline, reference = timeline_of(6, shift_from=4)
    found = timeline.compare(reference, 0.2)
    assert found["periods"] == [f"day {day}" for day in range(6)]
    assert found["rows"] == [3000] * 6
    assert found["columns"]["feature/x"]["verdict"] == ["stable"] * 4 + ["unstable"] * 2
    assert found["columns"]["feature/x"]["since"] == "day 4"


def test_a_shift_that_passed_has_no_beginning():
    timeline, reference = timeline_of(6, shift_from=4)
    del timeline.periods["day 4"], timeline.periods["day 5"]
    assert timeline.compare(reference, 0.2)["columns"]["feature/x"]["since"] is None


def test_rows_of_any_order_and_division_give_the_same_timeline():
    random = np.random.default_rng(0)
    numbers, days = random.normal(size=900), random.integers(0, 3, 900)
    weight = random.integers(1, 4, 900).astype(float)
    binning = Binning.fitted({"feature/x": [pa.array(numbers)]}, 5)

    def counted(rows):
        timeline = Timeline(binning)
        codes = binning.assign({"feature/x": pa.array(numbers[rows])})
        timeline.add(codes, weight[rows], pa.array([f"day {day}" for day in days[rows]]).dictionary_encode())
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
    timeline.add(codes, np.ones(2), pa.array(["day 0", None]).dictionary_encode())
    assert timeline.undated == 1
    assert timeline.periods["day 0"].rows == 11


def test_one_period_is_no_timeline_and_too_many_are_said():
    timeline, reference = timeline_of(1, shift_from=9)
    assert timeline.compare(reference, 0.2) is None
    codes = timeline.binning.assign({"feature/x": pa.array(np.zeros(1001))})
    timeline.add(codes, np.ones(1001), pa.array([f"second {k}" for k in range(1001)]).dictionary_encode())
    assert "more than 1,000 periods" in timeline.compare(reference, 0.2)["reason"]
    assert timeline.periods == {}


def test_integers_are_in_the_order_of_their_values():
    binning = Binning.fitted({"feature/x": [pa.array([0.0, 1.0])]}, 2)
    reference, timeline = Histograms(binning), Timeline(binning)
    codes = binning.assign({"feature/x": pa.array([0.0, 1.0, 1.0])})
    timeline.add(codes, np.ones(3), periods_of(chunked([10, 9, -2]), "day"))
    assert timeline.compare(reference, 0.2)["periods"] == ["-2", "9", "10"]
