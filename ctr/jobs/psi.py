"""`ctr psi`: drift of every column of a current dataset against a reference, without a model."""

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow.types import is_integer
from pydantic import Field, ValidationInfo, field_validator
from rich.console import Console

from ctr.config.report import PSI, Time
from ctr.console import warn
from ctr.errors import ConfigError
from ctr.evaluation.column_types import ColumnType, infer_column_types, shared_columns, values_of_type
from ctr.evaluation.curves import save_curves
from ctr.evaluation.histograms import FEATURE, Binning, Histograms, by_feature
from ctr.evaluation.integer_columns import classify_integers
from ctr.evaluation.timeline import Timeline
from ctr.jobs.psi_checks import check_time, columns_without_values, with_doubts
from ctr.metrics.periods import periods_of
from ctr.metrics.psi import MODERATE_ABOVE, PSIResult
from ctr.report import print_report, write_html
from ctr.runs.environment import environment
from ctr.runs.files import write_json
from ctr.runs.folders import check_replaceable, new_folder, target_folder
from ctr.runs.run import Run
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
MAX_REASONS = 2  # in an error
SEED = 0  # of the sample that sets the bin edges


class DriftSettings(Settings):
    """Settings of a comparison of two datasets."""

    columns: tuple[str, ...] | None = Field(None, min_length=1)
    """Columns to compare. None: all that both datasets have."""
    categorical: tuple[str, ...] = ()
    """Columns whose numbers are categories."""
    numeric: tuple[str, ...] = ()
    """Columns whose integers or booleans are numbers. Integers in lists are categories."""
    declared: dict[str, Literal["numeric", "categorical"]] = {}
    """Types of integer columns that a config declares. `classify_integers` decides for all others, on the rows that set
    the bin edges."""
    cast: dict[str, Cast] = {}
    """Columns of both datasets to read as another type, as in `data.cast` of a config."""
    psi: PSI = PSI()
    time: Time | None = None
    """Time column of the current data, for PSI over time. None: no PSI over time."""

    @field_validator("numeric")
    @classmethod
    def _are_not_categorical(cls, names: tuple[str, ...], others: ValidationInfo) -> tuple[str, ...]:
        if both := [name for name in names if name in others.data.get("categorical", ())]:
            raise ValueError(f"{both[0]!r} is categorical too. Remove it from one of the two.")
        return names


def declared_types(config: Path) -> dict[str, Literal["numeric", "categorical"]]:
    """Return the types of the columns that the features of a config, or of a run, read.

    Raises:
        ConfigError: there is no config, it is invalid, or it names code that is not trusted.
    """
    from ctr.config.experiment import load_experiment  # imports TensorFlow

    features = (Run(config).experiment() if config.is_dir() else load_experiment(config)).features
    numbers = features.number_columns
    times = {name for feature in features.columns.values() if feature.is_date_part for name in feature.columns}
    return {
        name: "numeric" if name in numbers else "categorical" for name in features.input_columns if name not in times
    }


def parse_casts(options: Sequence[str]) -> dict[str, Any]:
    """Return column -> cast of the options --cast.

    Raises:
        ConfigError: an option is malformed, or a column has two casts.
    """
    casts = [_parse_cast(option) for option in options]
    if repeated := [name for name, times in Counter(name for name, _ in casts).items() if times > 1]:
        raise ConfigError(f"--cast: column {repeated[0]!r} has two casts. Give it one.")
    return dict(casts)


def _parse_cast(option: str) -> tuple[str, Any]:
    """Return the column of a --cast, and its type as in `data.cast`.

    >>> _parse_cast("user=hex"), _parse_cast("at=timestamp:%Y-%m-%d")
    (('user', 'hex'), ('at', {'timestamp': '%Y-%m-%d'}))
    """
    column, equals, type_ = option.partition("=")
    if not (column and equals):
        raise ConfigError(f"--cast {option!r}: expected COLUMN=TYPE. Write, for example, user=hex.")
    kind, colon, format_ = type_.partition(":")
    if "timestamp" in kind and not (kind == "timestamp" and format_):
        raise ConfigError(
            f"--cast {option!r}: expected COLUMN=timestamp:FORMAT. Write, for example, ts=timestamp:%Y-%m-%d."
        )
    return column, {kind: format_} if colon else type_


def compare_data(
    reference: str | list[str],
    current: str | list[str],
    settings: DriftSettings | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    console: Console | None = None,
) -> DriftReport:
    """Compute the PSI of the columns of two datasets, in the memory of two row groups and a sample.

    Numeric columns get bins of equal count, other columns a bin for each of their most frequent values. One random half
    of a sample of the reference sets the bins: about 50,000 rows, or half of a reference below 100,000 rows. PSI is
    computed on all current rows and on the reference rows that did not set the bins.

    Args:
        reference: the reference dataset, a Parquet file, glob or folder, or a list of these.
        current: the current dataset.
        settings: the settings; None: the defaults.
        out: folder for report.json, curves.json, report.html and report.md; None writes no files.
        overwrite: replace an earlier report of this kind in `out`.
        console: the console that prints the summary; None prints nothing.

    Returns:
        The contents of report.json.

    Raises:
        ConfigError, DataError: the input is invalid.
    """
    started = time.perf_counter()
    settings, console = settings or DriftSettings(), console or Console(quiet=True)
    target = None if out is None else target_folder(out)
    if target is not None:
        check_replaceable(target, overwrite, "a report of `ctr psi`", _is_psi)
    old, new = _open(reference, current, settings)
    names, not_compared = _columns(old, new, settings)
    by_type, without_type = infer_column_types(old, new, names, settings.categorical, settings.numeric)
    not_compared |= without_type
    if not by_type:
        raise _nothing_to_compare(reference, current, not_compared)
    _warn_about_config(settings, by_type, console)
    given_reasons = _given_reasons(by_type, old, settings)
    by_type |= {name: type_ for name, type_ in settings.declared.items() if by_type.get(name, "") is None}
    types, chosen_reasons, edge_rows, edge_row_count = _sample_edges(old, by_type, settings.psi.bins)
    binning = Binning.fitted({name: [chunk[name] for chunk in edge_rows] for name in edge_rows[0]}, settings.psi.bins)
    sampled = time.perf_counter()
    histograms = _count(old, binning, types).histograms
    _subtract(edge_rows, edge_row_count, histograms)
    current_histograms, timeline = _count(new, binning, types, settings.time)
    ended = time.perf_counter()
    not_compared |= (empty := columns_without_values(histograms, current_histograms))
    types = {name: type_ for name, type_ in types.items() if name not in empty}
    if not types:
        raise _nothing_to_compare(reference, current, not_compared)
    report: DriftReport = {
        "version": VERSION,
        "kind": "psi",
        "psi": {
            "features": {"current": _compared(histograms, current_histograms, settings, types)},
            "over_time": _over_time(timeline, histograms, settings, types),
        },
        "column_types": {name: str(type_) for name, type_ in types.items()},
        "type_reasons": {name: why for name, why in (chosen_reasons | given_reasons).items() if name in types},
        "not_compared": not_compared,
        "shared_files": sorted({file.path for file in files_of(old)} & {file.path for file in files_of(new)}),
        "files": {"reference": file_rows(old), "current": file_rows(new)},
        "rows": {"reference": count_rows(old), "current": count_rows(new)},
        "settings": settings.model_dump(mode="json"),
        "seconds": {
            "sample": round(sampled - started, 3),
            "count": round(ended - sampled, 3),
            "total": round(ended - started, 3),
        },
    }
    if target is not None:
        bins = by_feature(histograms.describe({"current": current_histograms}))
        _write(target, report, {name: bins[name] for name in types}, settings.psi.major_above)
    print_report(report, console)
    if target is not None:
        console.print(f"report: {write_html(target)}", highlight=False, markup=False, soft_wrap=True)
    return report


def _open(reference: Any, current: Any, settings: DriftSettings) -> tuple[list[RowGroup], list[RowGroup]]:
    """List the row groups of both datasets, and check that casts and the time column suit them."""
    old, new = (open_data(path, casts=settings.cast) for path in (reference, current))
    check_known(old + new, settings.cast, "--cast")
    if settings.time is not None:
        check_columns(new, [settings.time.column], settings.time.check)
        check_time(new, settings.time)
    return old, new


def _warn_about_config(settings: DriftSettings, columns: Collection[str], console: Console) -> None:
    """Warn if the config declares no column that is compared."""
    if settings.declared and not settings.declared.keys() & set(columns):
        warn(console, "--config: no compared column belongs to a feature of the config, so it has no effect")


def _compared(
    reference: Histograms, current: Histograms, settings: DriftSettings, names: Collection[str]
) -> dict[str, PSIResult]:
    """Return the PSI of each of these columns."""
    results = by_feature(reference.compare(current, settings.psi.major_above))
    results = {name: results[name] for name in names}
    return with_doubts(results, reference, current, settings.categorical)


def _nothing_to_compare(reference: Any, current: Any, not_compared: Mapping[str, str]) -> ConfigError:
    """Return the error for datasets without a common column, with the reasons for the first columns."""
    reasons = "; ".join(f"{name!r}: {reason}" for name, reason in list(not_compared.items())[:MAX_REASONS])
    reasons += f"; and {len(not_compared) - MAX_REASONS} more" if len(not_compared) > MAX_REASONS else ""
    return ConfigError(
        f"{current}: no column to compare with {reference} ({reasons}). Use datasets with a common column."
    )


def _write(target: Path, report: DriftReport, bins: dict[str, Any], major_above: float) -> None:
    """Write report.json and the data of the plots of report.html."""
    psi = {"moderate_above": MODERATE_ABOVE, "unstable_above": major_above}
    with new_folder(target) as partial:
        write_json(partial / "environment.json", environment())
        write_json(partial / "report.json", report)
        save_curves(partial, {"psi": psi, "bins": {"features": bins}})


def _columns(old: list[RowGroup], new: list[RowGroup], settings: DriftSettings) -> tuple[list[str], dict[str, str]]:
    """Return the columns to compare, and name -> reason of the columns that cannot be compared."""
    reasons: dict[str, str] = {}
    if settings.columns is not None:
        names = list(dict.fromkeys(settings.columns))
    else:
        names, reasons = shared_columns(old, new)
        if settings.time is not None and settings.time.column in names:
            names.remove(settings.time.column)
            reasons[settings.time.column] = "the time column"
    for option, option_names in (("--categorical", settings.categorical), ("--numeric", settings.numeric)):
        for name in option_names:
            if name not in names:
                raise ConfigError(f"{option}: no compared column {name!r}; {nearest(name, names)}")
    return names, reasons


def _sample_edges(
    row_groups: list[RowGroup], by_type: Mapping[str, ColumnType | None], bins: int
) -> tuple[dict[str, ColumnType], dict[str, str], list[dict[str, Values]], int]:
    """Choose the type of each integer column without a type, on the rows that set the bins.

    Returns:
        The type of every column, the reasons for the chosen ones, the chunks of these rows, and their number.
    """
    edge_rows: list[dict[str, Values]] = []
    rows = 0
    for index, table in enumerate(draw_sample(row_groups, list(by_type), SEED)):
        half = table.filter(pa.array(np.random.default_rng([SEED, 5, index]).random(table.num_rows) < 0.5))
        rows += half.num_rows
        edge_rows.append(_values(half, by_type))
    types: dict[str, ColumnType] = {name: type_ or "categorical" for name, type_ in by_type.items()}
    reasons: dict[str, str] = {}
    for name in [name for name, type_ in by_type.items() if type_ is None]:
        chosen = classify_integers((chunk[FEATURE + name] for chunk in edge_rows), bins)
        types[name], reasons[name] = chosen.column_type, chosen.reason
        if chosen.column_type == "numeric":
            for chunk in edge_rows:
                chunk[FEATURE + name] = as_floats(chunk[FEATURE + name])
    return types, reasons, edge_rows, rows


def _given_reasons(
    by_type: Mapping[str, ColumnType | None], row_groups: list[RowGroup], settings: DriftSettings
) -> dict[str, str]:
    """Return why an integer column has its type, for the columns that an option or the config decides."""
    schemas = [file.schema for file in files_of(row_groups)]
    given = {
        **{name: "declared in the config" for name in settings.declared if by_type.get(name, "") is None},
        **dict.fromkeys(settings.categorical, "--categorical"),
        **dict.fromkeys(settings.numeric, "--numeric"),
    }
    return {
        name: reason for name, reason in given.items() if any(is_integer(schema.field(name).type) for schema in schemas)
    }


def _subtract(edge_rows: list[dict[str, Values]], rows: int, histograms: Histograms) -> None:
    """Subtract the rows that set the bins from the counts: they match the bins better than other rows do."""
    for name, counts in histograms.counts.items():
        for chunk in edge_rows:
            counts -= histograms.binning.count(name, chunk[name])
        counts[counts < 1e-9] = 0  # rounding errors of bins without rows
    histograms.weight, histograms.square = histograms.weight - rows, histograms.square - rows


def _values(table: pa.Table, kinds: Mapping[str, ColumnType | None]) -> dict[str, Values]:
    """Return the name of bins -> the values to count in them."""
    return {FEATURE + name: values_of_type(table.column(name), kind) for name, kind in kinds.items()}


class DatasetCounts(NamedTuple):
    """Counts of a dataset, or of a range of its row groups, in shared bins. `merge` merges two states."""

    histograms: Histograms
    timeline: Timeline
    """Empty without a time column."""

    def merge(self, other: "DatasetCounts") -> "DatasetCounts":
        """Return the counts of both together."""
        return DatasetCounts(self.histograms.merge(other.histograms), self.timeline.merge(other.timeline))


def _count(
    row_groups: list[RowGroup], binning: Binning, kinds: Mapping[str, ColumnType], clock: Time | None = None
) -> DatasetCounts:
    """Count all rows by bin, and by bin and period; row groups are merged in order."""
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


def _over_time(
    timeline: Timeline, reference: Histograms, settings: DriftSettings, names: Collection[str]
) -> OverTime | None:
    """Return the PSI of these columns in every period of the current data; None without a time column or periods."""
    if settings.time is None:
        return None
    time_column = {FEATURE + settings.time.column: "it is the time column"}
    periods = timeline.compare(reference, settings.psi.major_above, by_nature=time_column)
    if periods is None:
        return None
    over_time = periods.over_time(settings.time.column, settings.time.by)
    return {**over_time, "features": {name: column for name, column in over_time["features"].items() if name in names}}


def _is_psi(report: dict[str, Any]) -> bool:
    return kind_of(report) == "psi"
