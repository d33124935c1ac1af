"""The section `data`: files, splits, and the meaning of columns."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from features import Cast, Count, Names, Settings, Split


class SkipBadRows(Settings):
    """Permission to leave invalid rows out of a split, counted and reported."""

    skip: float = Field(gt=0, lt=1)
    """Largest fraction of a split's rows that can be left out. A larger fraction is an error."""


def _error_or_skip(value: Any) -> Any:
    if isinstance(value, dict):
        return SkipBadRows.model_validate(value)
    if value != "error" and not isinstance(value, SkipBadRows):
        raise ValueError("must be `error`, or the largest fraction of rows to skip, such as {skip: 0.001}")
    return value


def _path_or_list(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, list | tuple) or not all(isinstance(path, str) for path in value):
        raise ValueError("must be a path, or a list of paths")
    return value


DataPaths = Annotated[str | list[str] | None, BeforeValidator(_path_or_list)]
"""Paths of a dataset: a file, a glob or a folder, or a list of these."""


class Data(Settings):
    """Files, splits, and the columns that are not features."""

    root: str | None = None
    """Folder that relative paths start from. `null` is the working directory."""
    path: DataPaths = None
    """Paths of one dataset, which `split` divides. Excludes `train`, `valid` and `test`."""
    train: DataPaths = None
    """Paths of the training data, if each split has its own files."""
    valid: DataPaths = None
    """Paths of the validation data, next to `train`. Without it there is no early stopping."""
    test: DataPaths = None
    """Paths of the test data, next to `train`."""
    split: Split | None = None
    """Division of `path` into train, valid and test, required with `path`. Next to `train` without `valid`: division of
    `train` into train and valid, such as `{by: random, fractions: [0.9, 0.1]}`."""
    label: str
    """Column with the label: 0 and 1, or booleans."""
    weight: str | None = None
    """Column with the sample weight, which multiplies an example's loss and its share in metrics."""
    negative_sampling_rate: float | None = Field(None, gt=0, le=1)
    """Fraction r of the negatives that the data kept, if negatives were downsampled. Scoring adds ln r to each logit;
    metrics and PSI count a negative 1/r times."""
    sample_negatives: float | None = Field(None, gt=0, le=1)
    """Fraction r of the negatives of the training data that an epoch trains on. Each epoch draws a different sample;
    `null`: all. Scoring adds ln r to each logit. Features are fitted on all negatives, and metrics count them all."""
    keep: Names = []
    """Pass-through columns, which are copied into the score files."""
    cast: dict[str, Cast] = {}
    """Column to the type that it is read as, wherever it is used: `text`, `hex`, `integer`, `number` or
    `{timestamp: FORMAT}`."""
    shuffle_rows: Count = 1 << 18
    """Minimum number of rows that are shuffled together. A window also spans at least two
    row groups or slices."""
    bad_rows: Annotated[Literal["error"] | SkipBadRows, BeforeValidator(_error_or_skip)] = "error"
    """Treatment of rows with an unusable label, weight, number or id. `error` stops; `{skip: 0.001}` leaves them out,
    up to this fraction of a split."""

    @property
    def trained_negatives(self) -> float | None:
        """Fraction of all negatives that a model learns from, by which scores are corrected; None for all."""
        if self.sample_negatives is None:
            return self.negative_sampling_rate
        return self.sample_negatives * (self.negative_sampling_rate or 1.0)

    @model_validator(mode="after")
    def _names_one_source(self) -> "Data":
        if self.path is None and self.train is None:
            raise ValueError("no data. Set `path` with `split`, or `train` (and `valid`, `test`).")
        if self.path is not None and self.train is not None:
            raise ValueError(
                "`path` excludes `train`. Remove one of the two; the value null does, as in --set data.path=null."
            )
        if self.path is not None and self.split is None:
            raise ValueError("`path` needs `split`. Set `split`, or name the files of each split.")
        if self.train is not None and self.split is not None:
            self._check_split_of_train(self.split)
        if self.path is not None and (self.valid or self.test):
            raise ValueError(
                "`valid` and `test` cannot be combined with `path`. Use them with `train`, or set `split` only."
            )
        for key in ("path", "train", "valid", "test"):
            paths = getattr(self, key)
            if paths is not None and not (paths and all(paths)):
                raise ValueError(f"`{key}` must name at least one file. Received: {paths!r}")
        return self

    def _check_split_of_train(self, split: Split) -> None:
        """Raise ValueError if `split` cannot divide the files of `train`."""
        if self.valid is not None:
            raise ValueError("`split` divides `train` into train and valid, but `valid` has its own files. Remove one.")
        if split.fractions[2]:
            raise ValueError(
                "`split` next to `train` must have the fractions of train and valid only, such as [0.9, 0.1]. "
                f"Received: {list(split.fractions)}"
            )
