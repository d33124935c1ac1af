"""PSI over time as strips of colored periods, in which a reader can find a day."""

import pytest

from ctr.metrics.psi import Drift
from ctr.report.heatmap import heat_map

THRESHOLDS = {"moderate_above": 0.1, "unstable_above": 0.2}


def over_time(psi, levels, since=None):
    periods = [f"day {k:04d}" for k in range(len(psi))]
    one = {"psi": psi, "drift": [Drift(level) for level in levels], "since": since}
    return {
        "column": "ts",
        "by": "day",
        "periods": periods,
        "rows": [10] * len(psi),
        "undated": 0,
        "partial": [],
        "score": None,
        "features": {"a": one},
    }


def test_colors_follow_the_drift_level_and_tell_far_from_near():
    psi = [0.01, 0.07, 0.15, 0.3, 0.5, 0.9, None]
    verdicts = ["stable", "stable", "moderate", "major", "major", "too_little_data", "too_little_data"]
    [strip] = heat_map(over_time(psi, verdicts), THRESHOLDS).features
    assert [cells.level for cells in strip.cells] == ["stable", "near", "moderate", "major", "far", "none", "none"]
    assert strip.cells[3].text == "day 0003: PSI 0.3000, major drift"
    assert strip.cells[-1].text == "day 0006: PSI -, too little data"
    assert (strip.worst, strip.worst_period) == (0.5, "day 0004")  # the noise floor is 0.9


def test_many_periods_share_cells_of_one_color():
    psi = [0.01] * 500 + [0.21 + k / 10_000 for k in range(500)]
    verdicts = ["stable"] * 500 + ["major"] * 500
    [strip] = heat_map(over_time(psi, verdicts, "day 0500"), THRESHOLDS).features
    assert [(cells.first, cells.count) for cells in strip.cells] == [(0, 500), (500, 500)]
    assert strip.cells[1].text == "day 0500 to day 0999: PSI 0.2100 to 0.2599, major drift"
    assert (strip.since, strip.worst_period) == ("day 0500", "")  # `since` is enough


@pytest.mark.parametrize("count", [2, 3, 62, 63, 1000])
def test_cells_cover_every_period_once(count):
    psi = [0.01 if k % 3 else 0.3 for k in range(count)]
    verdicts = ["stable" if k % 3 else "major" for k in range(count)]
    [strip] = heat_map(over_time(psi, verdicts), THRESHOLDS).features
    covered = [place for cells in strip.cells for place in range(cells.first, cells.first + cells.count)]
    assert covered == list(range(count))


@pytest.mark.medium
def test_labels_of_2_to_1000_periods_do_not_collide():
    """Labels are at most 16% wide; the first and last are aligned with the strip's ends, the others are centered."""
    for count in range(2, 1001):
        labels = heat_map(over_time([0.0] * count, ["stable"] * count), THRESHOLDS).labels
        assert (labels[0][0], labels[-1][0]) == ("day 0000", f"day {count - 1:04d}")
        starts = [0, *(middle - 8 for _, middle in labels[1:-1]), 84]
        ends = [16, *(middle + 8 for _, middle in labels[1:-1]), 100]
        assert all(end <= start for end, start in zip(ends[:-1], starts[1:], strict=True))


def test_what_began_to_move_comes_first_then_the_largest_psi():
    described = over_time([0.0, 0.05], ["stable", "stable"])
    described["features"] |= {
        "moved and came back": {"psi": [0.9, 0.0], "drift": [Drift.MAJOR, Drift.STABLE], "since": None},
        "moved": {"psi": [0.0, 0.3], "drift": [Drift.STABLE, Drift.MAJOR], "since": "day 0001"},
    }
    assert [strip.name for strip in heat_map(described, THRESHOLDS).features] == ["moved", "moved and came back", "a"]
    assert heat_map(described, THRESHOLDS).score is None
