"""PSI over time: the histograms of each day, or hour, beside a fixed reference."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctr.errors import ConfigError
from ctr.evaluation.histograms import Binning, Codes, Histograms
from features import wall_clock

MAX_PERIODS = 1000
Period = Literal["hour", "day", "week", "month"]
UNITS = {"hour": "h", "day": "D", "week": "D", "month": "M"}  # NumPy's


def periods_of(
    column: pa.ChunkedArray, by: Period, time_zone: str = "UTC", time_unit: str | None = None, where: str = ""
) -> pa.Array:
    """The period that each row is of, as a dictionary of texts that sort in time; null where the time is.

    Args:
        column: timestamps, dates, or integers that count `time_unit`s since 1970; of any other type, and of integers
            without a unit, each value is a period of its own.
        by: what a period is; a week is named by its Monday.
        time_zone: of the calendar that timestamps are read by.
        time_unit: s, ms, us or ns.
        where: the file and row group, for errors.

    >>> periods_of(pa.chunked_array([[0, 86_399, 86_400]]), "day", time_unit="s").to_pylist()
    ['1970-01-01', '1970-01-01', '1970-01-02']
    """
    times = column.combine_chunks()
    is_time = pa.types.is_timestamp(times.type) or pa.types.is_date(times.type)
    if not is_time and (time_unit is None or not pa.types.is_integer(times.type)):
        return times.cast(pa.large_string()).dictionary_encode()
    try:
        days, seconds = wall_clock(times, time_zone, time_unit)
    except pa.ArrowInvalid as error:
        raise ConfigError(f"{where}: the time column holds a value that is no time: {error}") from error
    if by == "hour":
        starts = days * 24 + seconds // 3600
    elif by == "month":
        starts = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    else:
        starts = days - (days + 3) % 7 if by == "week" else days  # the first of January 1970 was a Thursday
    encoded = pa.array(starts, mask=times.is_null().to_numpy(zero_copy_only=False)).dictionary_encode()
    return pa.DictionaryArray.from_arrays(encoded.indices, _names(encoded.dictionary.to_numpy(), by))


def _names(starts: np.ndarray, by: Period) -> pa.Array:
    """Return the names of periods, from the hours, days or months between 1970 and their start."""
    if not len(starts):  # NumPy has no longest of none
        return pa.array([], pa.large_string())
    names = np.datetime_as_string(starts.astype(f"datetime64[{UNITS[by]}]"))
    if by == "hour":
        names = np.char.add(np.char.replace(names, "T", " "), ":00")
    return pa.array(names.tolist(), pa.large_string())


@dataclass
class Timeline:
    """A histogram of each period, all over the same bins. Two states merge by `merge`; memory is periods x bins.

    Beyond `MAX_PERIODS` there is nothing to see: everything is dropped.
    """

    binning: Binning
    periods: dict[str, Histograms] = field(default_factory=dict)
    undated: int = 0  # rows without a time
    is_too_long: bool = False

    def add(self, codes: Mapping[str, Codes], weight: np.ndarray, period: pa.DictionaryArray) -> None:
        """Count rows, each in its period, float64 [rows] of weights."""
        if self.is_too_long or len(period.dictionary) > MAX_PERIODS:
            self.periods, self.is_too_long = {}, True
            return
        names = period.dictionary.to_pylist()
        places = pc.fill_null(period.indices, len(names)).to_numpy()
        used = np.bincount(places, minlength=len(names) + 1)
        self.undated += int(used[-1])
        found = {name: Histograms(self.binning) for name, rows in zip(names, used, strict=False) if rows}
        sizes = np.bincount(places, weight, len(names) + 1)
        squares = np.bincount(places, weight * weight, len(names) + 1)
        for name, bins in self.binning.bins.items():
            which = places if codes[name].rows is None else places[codes[name].rows]
            cells = which.astype(np.int64) * bins.size + codes[name].bins
            counts = np.bincount(cells, codes[name].weights(weight), (len(names) + 1) * bins.size)
            for place, one in enumerate(names):
                if one in found:
                    found[one].counts[name] = counts[place * bins.size : (place + 1) * bins.size]
        for place, one in enumerate(names):
            if one in found:
                found[one].weight, found[one].square = float(sizes[place]), float(squares[place])
        self._absorb(found)

    def merge(self, other: "Timeline") -> "Timeline":
        """The state of both together."""
        merged = Timeline(
            self.binning, dict(self.periods), self.undated + other.undated, self.is_too_long or other.is_too_long
        )
        merged._absorb(other.periods)
        return merged

    def compare(self, reference: Histograms, unstable_above: float) -> dict[str, Any] | None:
        """PSI of every period against the reference, in order of time; None where there are fewer than two periods.

        Returns:
            periods: their names; rows: of each; undated: rows without a time.
            columns: name -> {"psi": [...], "verdict": [...], "since": ...}; `since` is where the last unbroken stretch
                of unstable periods begins, if it reaches the end, else None.
        """
        if self.is_too_long:
            return {"reason": f"more than {MAX_PERIODS:,} periods; choose longer ones"}
        if len(self.periods) < 2:
            return None
        names = sorted(self.periods, key=_in_time)
        compared = [reference.compare(self.periods[name], unstable_above) for name in names]
        return {
            "periods": names,
            "rows": [round(self.periods[name].rows) for name in names],
            "undated": self.undated,
            "columns": {
                column: {
                    "psi": [one[column]["psi"] for one in compared],
                    "verdict": [one[column]["verdict"] for one in compared],
                    "since": _since(names, [one[column]["verdict"] for one in compared]),
                }
                for column in self.binning.bins
            },
        }

    def _absorb(self, found: Mapping[str, Histograms]) -> None:
        for name, histograms in found.items():
            there = self.periods.get(name)
            self.periods[name] = histograms if there is None else there.merge(histograms)
        if len(self.periods) > MAX_PERIODS or self.is_too_long:
            self.periods, self.is_too_long = {}, True


def _in_time(name: str) -> tuple[float, str]:
    """Dates and integers in order of time, before texts in order of their letters; a year may have five digits."""
    counted = re.fullmatch(r"(-?[0-9]+)(-[0-9]{2}.*)?", name)
    return (int(counted[1]), counted[2] or "") if counted else (math.inf, name)


def _since(names: list[str], verdicts: list[str]) -> str | None:
    """Where the unstable stretch begins that reaches the last period; insufficient data does not break it."""
    since = None
    for name, verdict in reversed(list(zip(names, verdicts, strict=True))):
        if verdict == "unstable":
            since = name
        elif verdict != "insufficient_data":
            break
    return since
