"""PSI over time: the histograms of each day, or hour, beside a fixed reference."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctr.errors import ConfigError
from ctr.evaluation.histograms import Binning, Codes, Histograms

MAX_PERIODS = 1000
Period = Literal["hour", "day", "week", "month"]
FORMATS = {"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m"}


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
    if pa.types.is_integer(times.type) and time_unit is not None:
        times = times.cast(pa.int64(), safe=False).cast(pa.timestamp(time_unit))
    if pa.types.is_date(times.type):  # a day of the calendar, not an instant: the same in every zone
        times = times.cast(pa.timestamp("s" if pa.types.is_date32(times.type) else "ms"))
    elif pa.types.is_timestamp(times.type):
        # what clocks show there: an hour that they show twice is one, a midnight that they skip is no error
        times = times.cast(pa.timestamp(times.type.unit, tz=time_zone))
        times = pc.local_timestamp(times) if time_zone != "UTC" else times.cast(pa.timestamp(times.type.unit))
    if not pa.types.is_timestamp(times.type):
        if pa.types.is_dictionary(times.type):
            times = times.dictionary_decode()
        return times.cast(pa.large_string()).dictionary_encode()
    try:
        floored = pc.floor_temporal(times, unit=by).dictionary_encode()
        texts = pc.strftime(floored.dictionary, FORMATS[by])
    except pa.ArrowException as error:
        raise ConfigError(f"{where}: the time column holds a value that is no time: {error}") from error
    return pa.DictionaryArray.from_arrays(floored.indices, texts.cast(pa.large_string()))


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
    """Integers in order of their value, before texts in order of their letters."""
    return (int(name), "") if name.removeprefix("-").isdecimal() else (math.inf, name)


def _since(names: list[str], verdicts: list[str]) -> str | None:
    """Where the unstable stretch begins that reaches the last period; insufficient data does not break it."""
    since = None
    for name, verdict in reversed(list(zip(names, verdicts, strict=True))):
        if verdict == "unstable":
            since = name
        elif verdict != "insufficient_data":
            break
    return since
