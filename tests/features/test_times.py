"""Clocks and calendars, against Python's own datetime and plain integers."""

import re
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from features import DataError
from features.times import PER_SECOND, as_microseconds, date_texts, wall_clock

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CYCLE_YEARS, CYCLE = 400, timedelta(days=146_097) // timedelta(seconds=1)
YEAR_3000 = (datetime(3000, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(seconds=1)
ZONES = ["UTC", "Europe/Paris", "America/New_York", "Asia/Tokyo", "Asia/Kathmandu", "Australia/Lord_Howe"]


def in_calendar(seconds):
    """Return Python's datetime of an instant and the years taken off, because Python only has the years 2 to 9998."""
    if -62_100_000_000 < seconds < 253_370_000_000:
        return EPOCH + timedelta(seconds=seconds), 0
    cycles = (seconds - YEAR_3000) // CYCLE  # where every zone follows its last rule
    return EPOCH + timedelta(seconds=seconds - cycles * CYCLE), cycles * CYCLE_YEARS


def shown(seconds, zone):
    """Return (days since 1970, seconds since midnight) on a clock of the zone."""
    at, years = in_calendar(seconds)
    local = at.astimezone(ZoneInfo(zone))
    days = (local.date() - date(1970, 1, 1)).days + years // CYCLE_YEARS * 146_097
    return days, local.hour * 3600 + local.minute * 60 + local.second


@pytest.mark.parametrize("zone", ZONES)
@given(
    numbers=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(-(2**44), 2**44), min_size=1),
    unit=st.sampled_from(list(PER_SECOND)),
)
@example(numbers=[2**63 - 1, -(2**63)], unit="ns")
@example(numbers=[2**63 - 1, -(2**63)], unit="us")
@example(numbers=[2**63 - 1, -(2**63) + 1], unit="s")
@example(
    numbers=[int((datetime(2050, 7, 1, tzinfo=UTC) - EPOCH).total_seconds())], unit="s"
)  # Arrow: no daylight saving
@example(numbers=[int((datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - EPOCH).total_seconds())], unit="s")
@example(numbers=[-1], unit="ns")
def test_the_clock_of_a_zone_at_any_instant_that_a_column_holds(zone, numbers, unit):
    seconds = [number // PER_SECOND[unit] for number in numbers]
    if zone != "UTC":  # before the year 2 a zone's local mean time applies, and datetime does not reach back to it
        numbers = [number for number, at in zip(numbers, seconds, strict=True) if at > -62_000_000_000]
        seconds = [number // PER_SECOND[unit] for number in numbers]
    expected = [shown(at, zone) for at in seconds]
    for column in (pa.array(numbers, pa.timestamp(unit)), pa.array(numbers, pa.timestamp(unit, "Asia/Tokyo"))):
        days, of_day = wall_clock(column, zone)
        assert list(zip(days.tolist(), of_day.tolist(), strict=True)) == expected
    days, of_day = wall_clock(pa.array(numbers, pa.int64()), zone, unit)
    assert list(zip(days.tolist(), of_day.tolist(), strict=True)) == expected


@pytest.mark.parametrize("year", [1970, 2024, 2037, 2038, 2050, 2399, 2400, 9998])
@pytest.mark.parametrize("zone", ["Europe/Paris", "Australia/Lord_Howe"])
def test_every_hour_of_a_year_in_a_zone_that_changes_its_clocks(year, zone):
    first = int((datetime(year, 1, 1, tzinfo=UTC) - EPOCH).total_seconds())
    seconds = first + 1800 * np.arange(2 * 24 * 365)
    days, of_day = wall_clock(pa.array(seconds, pa.timestamp("s")), zone)
    assert list(zip(days.tolist(), of_day.tolist(), strict=True)) == [shown(at, zone) for at in seconds.tolist()]


def test_the_hour_in_which_clocks_change_is_asked_second_by_second():
    change = int(
        (datetime(1891, 3, 15, 23, 50, 39, tzinfo=UTC) - EPOCH).total_seconds()
    )  # Paris drops its local mean time
    seconds = [change - 2, change - 1, change, change + 1]
    _, of_day = wall_clock(pa.array(seconds, pa.timestamp("s")), "Europe/Paris")
    assert of_day.tolist() == [shown(at, "Europe/Paris")[1] for at in seconds]


@pytest.mark.parametrize("days", [[0, -1, 2**31 - 1, -(2**31)], []], ids=["dates", "none"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
def test_a_date_is_the_same_in_every_zone(days, zone):
    found, of_day = wall_clock(pa.array(days, pa.int32()).cast(pa.date32()), zone)
    assert found.tolist() == days
    assert of_day.tolist() == [0] * len(days)


def test_a_date_in_milliseconds_is_a_date():
    assert wall_clock(pa.array([date(2026, 1, 31)], pa.date64()))[0].astype("datetime64[D]").tolist() == [
        date(2026, 1, 31)
    ]


@given(numbers=st.lists(st.integers(-(2**63), 2**63 - 1) | st.none()), unit=st.sampled_from(list(PER_SECOND)))
def test_microseconds_are_exact_or_an_error_that_names_the_time(numbers, unit):
    exact = [None if number is None else number * 10**6 // PER_SECOND[unit] for number in numbers]
    column = pa.array(numbers, pa.timestamp(unit, "UTC"))
    try:
        found, message = as_microseconds(column, "a.parquet, row group 0: 'ts'"), None
    except DataError as error:
        found, message = None, str(error)
    if found is None:
        named = int(re.match(r"a\.parquet, row group 0: 'ts' holds (-?[0-9]+) as timestamp", message)[1])
        assert not -(2**63) < named * 10**6 // PER_SECOND[unit] < 2**63 - 2**10
        assert unit in ("s", "ms")
    else:
        assert found.type == pa.timestamp("us", "UTC")
        assert found.cast(pa.int64()).to_pylist() == exact


@pytest.mark.parametrize("days", [[], [0, None, -719_162, 2_932_896, 2_932_897, 2**31 - 1]], ids=["none", "some"])
def test_the_text_of_a_date_has_its_year_however_far(days):
    expected = [None if day is None else str(np.datetime64(day, "D")) for day in days]
    assert date_texts(pa.array(days, pa.int32()).cast(pa.date32())).to_pylist() == expected


def test_no_zone_changes_its_clocks_twice_within_a_day():
    """Offsets are looked up at both ends of a day, so two changes in between would go unnoticed."""
    for name in sorted(zoneinfo.available_timezones()):
        zone = zoneinfo._zoneinfo.ZoneInfo.no_cache(name)  # Python's own, which shows its transitions
        offsets = [*([zone._tti_before.utcoff] if zone._tti_before else []), *(info.utcoff for info in zone._ttinfos)]
        changes = [at for at, one, other in zip(zone._trans_utc, offsets, offsets[1:], strict=False) if one != other]
        assert all(later - earlier > 86_400 for earlier, later in pairwise(changes)), name
