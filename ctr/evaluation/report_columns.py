"""Columns that a report groups, dates and slices examples by."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from ctr.config.experiment import Experiment
from ctr.config.report import Report, Time
from ctr.errors import ConfigError
from ctr.evaluation.duplicates import NeverTrained
from ctr.evaluation.frequency import Frequencies
from ctr.evaluation.histograms import FEATURE, Binning
from ctr.evaluation.unknown_ids import UnknownIds
from ctr.metrics import CategoryBins
from features import (
    DataError,
    Encoder,
    Features,
    RowGroup,
    Values,
    cast_advice,
    date_texts,
    files_of,
    nearest,
    type_name,
    values_of_column,
)

SLICE, GROUP = "slice/", "group"
FEW_VALUES = 20


@dataclass(frozen=True)
class ReportColumns:
    """Columns and settings of the report, for every split of a run.

    Args:
        report: settings of the report.
        time: time column; None without one.
        slice_columns: columns to slice by that are not features.
        categories: features with one category per example.
        frequencies: frequency bands of the ids of features.
        unknown_ids: empty counts of features whose ids can be unknown.
        never_trained: features whose unknown ids cannot be in the training data.
        weighted: True if examples have weights.
        negative_sampling_rate: sampling rate of the negatives of the split; None: 1.
        calendar: date parts, and crosses of them -> the date parts that they are made of.
    """

    report: Report
    time: Time | None
    slice_columns: list[str]
    categories: list[str]
    frequencies: Frequencies
    unknown_ids: UnknownIds
    never_trained: NeverTrained
    weighted: bool
    negative_sampling_rate: float | None
    calendar: Mapping[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, experiment: Experiment, encoder: Encoder, row_groups: list[RowGroup], negative_sampling_rate: float | None
    ) -> "ReportColumns":
        """Return the columns that an experiment needs from these row groups."""
        report = experiment.report
        return cls(
            report,
            report.time or _time_of_split(experiment, row_groups),
            slice_columns(experiment),
            experiment.features.categories,
            Frequencies(encoder),
            UnknownIds.of(encoder),
            NeverTrained.of(encoder),
            experiment.data.weight is not None and encoder.columns is not None,
            negative_sampling_rate,
            calendar_features(experiment.features),
        )

    @property
    def columns(self) -> list[str]:
        """The columns to read in addition to the features."""
        names = [self.report.group, self.time.column if self.time else None, *self.slice_columns]
        return [name for name in dict.fromkeys(names) if name is not None]

    @property
    def date_parts(self) -> list[str]:
        """The features that are date parts, whose values have an order: hour, weekday or day of the month."""
        return [name for name, date_parts in self.calendar.items() if date_parts == [name]]

    @property
    def cluster(self) -> str | None:
        """The name of the grouping that intervals are clustered by; None if examples are independent."""
        return None if self.report.group is None else GROUP

    def slices(self, binning: Binning) -> Mapping[str, str]:
        """Return name -> column of `binning`, for everything to slice by.

        Without `report.slices`, these are the categoricals with 2 to 20 distinct values.
        """
        if self.report.slices is not None:
            return {name: SLICE + name if name in self.slice_columns else FEATURE + name for name in self.report.slices}
        columns = {name: (FEATURE + name, binning.bins[FEATURE + name]) for name in self.categories}
        return {
            name: column
            for name, (column, bins) in columns.items()
            if isinstance(bins, CategoryBins) and 1 < len(bins.values) + len(bins.others) <= FEW_VALUES
        }


def calendar_features(features: Features) -> dict[str, list[str]]:
    """Return each feature that is a date part or a cross of date parts, with the date parts that it is made of."""
    date_parts = [name for name, feature in features.columns.items() if feature.is_date_part]
    calendar = {name: [name] for name in date_parts}
    for name, cross in features.crosses.items():
        if crossed := [part for part in cross.parts if part in date_parts]:
            calendar[name] = crossed
    return calendar


def slice_columns(experiment: Experiment) -> list[str]:
    """Return the columns of `report.slices` that are not features."""
    return [name for name in experiment.report.slices or () if name not in experiment.features.columns]


def report_columns(experiment: Experiment) -> list[str]:
    """Return the columns that the settings of the report name, without features."""
    group, time = experiment.report.group, experiment.report.time
    return [*([group] if group else []), *([time.column] if time else []), *slice_columns(experiment)]


def check_report(experiment: Experiment, schema: pa.Schema, where: str) -> None:
    """Check that the columns named by the settings of the report are suitable.

    Raises:
        ConfigError: a slice is by a sequence or by the label.
        DataError: a column is not in the file `where`, or has an unsuitable type there.
    """
    report = experiment.report
    columns_of = {"slices": report.slices or [], "group": [report.group] if report.group else []}
    columns_of["time"] = [report.time.column] if report.time else []
    for key, names in columns_of.items():
        for name in names:
            if name == experiment.data.label:
                raise ConfigError(f"report.{key}: {name!r} is the label. Use another column.")
            if name not in schema.names and name not in experiment.features.columns:
                raise DataError(f"{where}: report.{key}: no column {name!r}; {nearest(name, schema.names)}")
    for name in report.slices or ():
        feature = experiment.features.columns.get(name)
        if feature is not None and feature.holds == "sequence":
            raise ConfigError(f"report.slices: {name!r} is a sequence. Use a column with one value per example.")
    if report.time is not None:
        report.time.check(schema, where)
    for name in slice_columns(experiment):
        type_ = schema.field(name).type
        if not isinstance(slice_values(pa.chunked_array([pa.nulls(0, type_)])), pa.Array):
            raise DataError(
                f"{where}: report.slices: column {name!r} is {type_name(type_)}; "
                f"a slice needs one number, text, date or flag per example.",
                cast_advice(name, type_, "category"),
            )
    if report.group is not None:
        type_ = schema.field(report.group).type
        values = values_of_column(pa.chunked_array([pa.nulls(0, type_)]))
        if not isinstance(values, pa.Array) or pa.types.is_floating(values.type):
            raise DataError(
                f"{where}: report.group: column {report.group!r} is {type_name(type_)}; "
                f"a group needs integers or text.",
                cast_advice(report.group, type_, "category"),
            )


def slice_values(column: pa.ChunkedArray) -> Values | None:
    """Return the values of a column to slice by, dates as texts; None for an unsuitable type."""
    if pa.types.is_date(column.type):
        return values_of_column(pa.chunked_array([date_texts(column.combine_chunks())]))
    return values_of_column(column)


def _time_of_split(experiment: Experiment, row_groups: list[RowGroup]) -> Time | None:
    """Return the column of a split by time, if every file has it with a time type."""
    split = experiment.data.split
    if split is None or split.by != "time" or split.column is None:
        return None
    for file in files_of(row_groups):
        index = file.schema.get_field_index(split.column)
        if index < 0 or not pa.types.is_temporal(file.schema.field(index).type):
            return None
    return Time(column=split.column)
