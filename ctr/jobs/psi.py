"""PSI of every column of two data sets, without a model: how far `current` has moved from `reference`."""

import time
from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, ValidationInfo, field_validator
from rich.console import Console

from ctr.config.report import PSI, Time
from ctr.errors import ConfigError
from ctr.evaluation.column_types import ColumnType, infer_column_types, shared_columns, values_of_type
from ctr.evaluation.curves import save_curves
from ctr.evaluation.histograms import FEATURE, Binning, Histograms, by_feature
from ctr.evaluation.timeline import Timeline
from ctr.metrics.periods import periods_of
from ctr.metrics.psi import MODERATE_ABOVE
from ctr.report import show_report, write_html
from ctr.runs.environment import environment
from ctr.runs.files import write_json
from ctr.runs.folders import check_replaceable, new_folder
from ctr.runs.run_data import file_rows
from ctr.schema.codec import kind_of
from ctr.schema.drift import OverTime
from ctr.schema.report import VERSION, DriftReport
from features import (
    Cast,
    RowGroup,
    Settings,
    Values,
    as_floats,
    check_columns,
    check_known,
    count_rows,
    draw_sample,
    files_of,
    map_tables,
    nearest,
    open_data,
)

THREADS = 2  # each holds a row group
SEED = 0  # of the sample that bins are fitted on


class DriftSettings(Settings):
    """What is compared, and how."""

    columns: tuple[str, ...] | None = Field(None, min_length=1)
    """None: those that both sets have."""
    categorical: tuple[str, ...] = ()
    """Those of them whose numbers are categories."""
    numeric: tuple[str, ...] = ()
    """Those of them whose integers or flags are numbers; other integers are if the rows that fix the bins have more
    than `psi.bins` different ones, and integers in lists are not."""
    cast: dict[str, Cast] = {}
    """Columns of both sets that are read as another type, as `data.cast` of a config."""
    psi: PSI = PSI()
    time: Time | None = None
    """Of the current data, for PSI over time; None: none."""

    @field_validator("numeric")
    @classmethod
    def _are_not_categorical(cls, names: tuple[str, ...], others: ValidationInfo) -> tuple[str, ...]:
        if both := [name for name in names if name in others.data.get("categorical", ())]:
            raise ValueError(f"{both[0]!r} is categorical too")
        return names


def compare_data(
    reference: str | list[str],
    current: str | list[str],
    settings: DriftSettings | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    console: Console | None = None,
) -> DriftReport:
    """PSI of the columns of two data sets; memory is that of two row groups and of the sample.

    Numbers get bins of equal count, all else its most frequent values. Half of a sample of the reference fixes them:
    some 50,000 random rows, or half of all if it has less than 100,000. Counted are all rows but those, of both sets.

    Args:
        reference: a path, glob or folder, or a list of these.
        current: what is compared with it.
        settings: None: the defaults.
        out: the folder for report.json, curves.json, report.html and report.md; None: they are not written.
        overwrite: replace an earlier report of this kind in `out`.
        console: where the summary goes; None: nowhere.

    Returns:
        What report.json holds.

    Raises:
        ConfigError, DataError: the user's mistakes.
    """
    started = time.perf_counter()
    settings, console = settings or DriftSettings(), console or Console(quiet=True)
    target = None if out is None else Path(out).resolve()
    if target is not None:
        check_replaceable(target, overwrite, "a report of `ctr psi`", _is_psi)
    before, after = (open_data(path, casts=settings.cast) for path in (reference, current))
    check_known(before + after, settings.cast, "--cast")
    if settings.time is not None:
        check_columns(after, [settings.time.column], settings.time.check)
    names, not_compared = _columns(before, after, settings)
    by_type, without_kind = infer_column_types(before, after, names, settings.categorical, settings.numeric)
    not_compared |= without_kind
    if not by_type:
        reasons = "; ".join(f"{name!r}: {reason}" for name, reason in not_compared.items())
        raise ConfigError(f"{reference} and {current} have no column in common to compare ({reasons})")
    kinds, fixing, fixed = _drawn(before, by_type, settings.psi.bins)
    binning = Binning.fitted({name: [part[name] for part in fixing] for name in fixing[0]}, settings.psi.bins)
    sampled = time.perf_counter()
    histograms = _count(before, binning, kinds).histograms
    _take_out(fixing, fixed, histograms)
    found, timeline = _count(after, binning, kinds, settings.time)
    ended = time.perf_counter()
    report: DriftReport = {
        "version": VERSION,
        "kind": "psi",
        "psi": {
            "features": {"current": by_feature(histograms.compare(found, settings.psi.major_above))},
            "over_time": _over_time(timeline, histograms, settings),
        },
        "column_types": {name: str(kind) for name, kind in kinds.items()},
        "not_compared": not_compared,
        "shared_files": sorted({file.path for file in files_of(before)} & {file.path for file in files_of(after)}),
        "files": {"reference": file_rows(before), "current": file_rows(after)},
        "rows": {"reference": count_rows(before), "current": count_rows(after)},
        "settings": settings.model_dump(mode="json"),
        "seconds": {
            "sample": round(sampled - started, 3),
            "count": round(ended - sampled, 3),
            "total": round(ended - started, 3),
        },
    }
    if target is not None:
        bins = by_feature(histograms.describe({"current": found}))
        _write(target, report, bins, settings.psi.major_above)
    show_report(report, console)
    if target is not None:
        console.print(f"report: {write_html(target)}", highlight=False, markup=False, soft_wrap=True)
    return report


def _write(target: Path, report: DriftReport, bins: dict[str, Any], major_above: float) -> None:
    """report.json, and what report.html is drawn from beside it."""
    psi = {"moderate_above": MODERATE_ABOVE, "unstable_above": major_above}
    with new_folder(target) as partial:
        write_json(partial / "environment.json", environment())
        write_json(partial / "report.json", report)
        save_curves(partial, {"psi": psi, "bins": {"features": bins}})


def _columns(
    before: list[RowGroup], after: list[RowGroup], settings: DriftSettings
) -> tuple[list[str], dict[str, str]]:
    """The columns to compare, and those that cannot be, with the reason."""
    reasons: dict[str, str] = {}
    if settings.columns is not None:
        names = list(dict.fromkeys(settings.columns))
    else:
        names, reasons = shared_columns(before, after)
        if settings.time is not None and settings.time.column in names:
            names.remove(settings.time.column)
            reasons[settings.time.column] = "the time column"
    for option, named in (("--categorical", settings.categorical), ("--numeric", settings.numeric)):
        for name in named:
            if name not in names:
                raise ConfigError(f"{option}: no column {name!r} is compared; {nearest(name, names)}")
    return names, reasons


def _drawn(
    row_groups: list[RowGroup], by_type: Mapping[str, ColumnType | None], bins: int
) -> tuple[dict[str, ColumnType], list[dict[str, Values]], int]:
    """The rows that fix the bins, a random half of the sample; their number, and the kind of every column by them."""
    fixing: list[dict[str, Values]] = []
    rows = 0
    for place, table in enumerate(draw_sample(row_groups, list(by_type), SEED)):
        half = table.filter(pa.array(np.random.default_rng([SEED, 5, place]).random(table.num_rows) < 0.5))
        rows += half.num_rows
        fixing.append(_values(half, by_type))
    kinds: dict[str, ColumnType] = {name: kind or "categorical" for name, kind in by_type.items()}
    for name in [name for name, kind in by_type.items() if kind is None]:
        numbers = [as_floats(part[FEATURE + name]) for part in fixing]
        if len(pc.unique(pa.chunked_array(numbers)).drop_null()) > bins:
            kinds[name] = "numeric"
            for part, values in zip(fixing, numbers, strict=True):
                part[FEATURE + name] = values
    return kinds, fixing, rows


def _take_out(fixing: list[dict[str, Values]], rows: int, histograms: Histograms) -> None:
    """Count no more the rows that fixed the bins: they would look more like them than other rows do."""
    for name, counts in histograms.counts.items():
        for part in fixing:
            counts -= histograms.binning.count(name, part[name])
        counts[counts < 1e-9] = 0  # what rounding leaves where all rows of a bin are taken out
    histograms.weight, histograms.square = histograms.weight - rows, histograms.square - rows


def _values(table: pa.Table, kinds: Mapping[str, ColumnType | None]) -> dict[str, Values]:
    """What has bins, by the name of its bins."""
    return {FEATURE + name: values_of_type(table.column(name), kind) for name, kind in kinds.items()}


class DatasetCounts(NamedTuple):
    """Rows of a dataset, or of a range of its row groups, over the same bins. Two states merge by `merge`."""

    histograms: Histograms
    timeline: Timeline
    """Empty without a time column."""

    def merge(self, other: "DatasetCounts") -> "DatasetCounts":
        """Return the counts of both together."""
        return DatasetCounts(self.histograms.merge(other.histograms), self.timeline.merge(other.timeline))


def _count(
    row_groups: list[RowGroup], binning: Binning, kinds: Mapping[str, ColumnType], clock: Time | None = None
) -> DatasetCounts:
    """Count all rows in their bins, and in those of their periods; row groups are merged in order."""
    columns = [*kinds, *([] if clock is None else [clock.column])]

    def of_row_group(group: RowGroup, table: pa.Table) -> DatasetCounts:
        codes = binning.assign(_values(table, kinds))
        histograms, timeline, weight = Histograms(binning), Timeline(binning), np.ones(table.num_rows)
        histograms.add(codes, weight)
        if clock is not None:
            times = table.column(clock.column)
            timeline.add(codes, weight, periods_of(times, clock.by, clock.time_zone, clock.time_unit, str(group)))
        return DatasetCounts(histograms, timeline)

    counted = map_tables(of_row_group, row_groups, columns, THREADS)
    return reduce(DatasetCounts.merge, counted, DatasetCounts(Histograms(binning), Timeline(binning)))


def _over_time(timeline: Timeline, reference: Histograms, settings: DriftSettings) -> OverTime | None:
    """PSI of every period of the current data; None without a time, or within one period."""
    if settings.time is None:
        return None
    itself = {FEATURE + settings.time.column: "it is the time column"}
    found = timeline.compare(reference, settings.psi.major_above, by_nature=itself)
    return None if found is None else found.over_time(settings.time.column, settings.time.by)


def _is_psi(report: dict[str, Any]) -> bool:
    return kind_of(report) == "psi"
