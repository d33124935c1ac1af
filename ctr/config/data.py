"""The section `data`: where the data is and what its columns mean."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from features import Cast, Count, Settings, Split


class SkipBadRows(Settings):
    """Leave bad rows out, counted and reported."""

    skip: float = Field(gt=0, lt=1)
    """The share of a set's rows up to which it may be; more are an error."""


def _error_or_skip(value: Any) -> Any:
    if isinstance(value, dict):
        return SkipBadRows.model_validate(value)
    if value != "error" and not isinstance(value, SkipBadRows):
        raise ValueError("needs `error`, or the share of rows that may be left out, such as {skip: 0.001}")
    return value


class Data(Settings):
    """Where the data is and what its columns mean, features apart."""

    root: str | None = None
    """Relative paths are relative to it."""
    path: str | list[str] | None = None
    """One set, divided by `split`; or `train`, `valid` and `test` as sets of their own."""
    train: str | list[str] | None = None
    valid: str | list[str] | None = None
    test: str | list[str] | None = None
    split: Split | None = None
    label: str
    weight: str | None = None
    """Column that weighs loss and metrics."""
    negative_sampling_rate: float | None = Field(None, gt=0, le=1)
    """The share of negatives that the data kept: scores get + ln r, metrics weigh negatives by 1/r."""
    keep: list[str] = []
    """Columns that are read though not features, and copied into the scores."""
    cast: dict[str, Cast] = {}
    """Columns that are read as another type, wherever they are used: as `text`, `hex`, `integer`, `number` or
    `{timestamp: FORMAT}`."""
    shuffle_rows: Count = 1 << 18
    """Training rows are shuffled in windows of at least this many rows and two row groups."""
    bad_rows: Annotated[Literal["error"] | SkipBadRows, BeforeValidator(_error_or_skip)] = "error"
    """What a row with an unusable label, weight, number or id is: an error, or left out of its set and counted."""

    @model_validator(mode="after")
    def _names_one_source(self) -> "Data":
        if (self.path is None) == (self.train is None):
            raise ValueError("needs `path` with `split`, or `train` (and `valid`, `test`)")
        if (self.path is None) != (self.split is None):
            raise ValueError("`path` and `split` go together")
        if self.path is not None and (self.valid or self.test):
            raise ValueError("`valid` and `test` go with `train`; `path` is divided by `split`")
        for key in ("path", "train", "valid", "test"):
            named = getattr(self, key)
            if named is not None and not (named and all(named)):
                raise ValueError(f"`{key}` names no file. Received: {named!r}")
        return self
