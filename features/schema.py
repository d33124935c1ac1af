"""The declared features: what a config says about the columns of the data."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from features.settings import Count, Settings, TimeZone, nearest, unknown_key

ENCODINGS = ("vocabulary", "hash", "identity", "part")
Size = Annotated[int, Field(gt=0, le=2**31 - 4)]  # ids are int32, and three rows are special
Width = Annotated[int, Field(gt=0, le=2**16)]
PARTS = {"hour": 24, "weekday": 7, "day": 31}


class Vocabulary(Settings):
    """Ids by a vocabulary fitted on the training data, the most frequent value first."""

    min_count: Count = 1
    """Values seen less often than this share the out-of-vocabulary row."""
    max_distinct: Count = 20_000_000
    """More distinct values than this are an error that suggests `hash`."""


class _Embedded(Settings):
    """What a categorical and a sequence have in common: values become ids, ids are rows of a table."""

    name: str = Field(exclude=True)
    column: str
    dim: Width = 16
    """Width of the table."""
    table: str
    """Features that name the same table share its rows."""
    vocabulary: Vocabulary | None = None
    hash: Size | None = None
    """Ids by FarmHash64 of the text, this many buckets."""
    identity: Size | None = None
    """The column already holds ids: 0 <= id < identity."""
    missing: list[str | int] = []
    """Values that stand for null: strings in a string column, integers in an integer column."""

    @model_validator(mode="after")
    def _has_one_encoding(self) -> "_Embedded":
        given = [key for key in ENCODINGS if getattr(self, key, None) is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of {', '.join(ENCODINGS)}. Received: {', '.join(given) or 'none'}")
        return self


class Categorical(_Embedded):
    """An integer, string or boolean column as an id; or a part of a timestamp."""

    type: Literal["categorical"] = "categorical"
    part: Literal["hour", "weekday", "day"] | None = None
    """Of a timestamp: hour 0-23, weekday 0-6 from Monday, day of the month (ids 0-30)."""
    time_zone: TimeZone = "UTC"
    """The zone in which `part` is read; a timestamp without a zone is taken as UTC."""
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    """What an integer column counts since 1970, where `part` is taken from one."""


class Sequence(_Embedded):
    """A list column as ids, of which the last `max_length` are kept; a null list is an empty list."""

    type: Literal["sequence"] = "sequence"
    max_length: int = Field(50, gt=0, le=100_000)
    pooling: Literal["mean", "sum", "none"] = "mean"
    """To one vector of the tower's input; `none` leaves it to a model that reads behaviors one by one: `din`, `can`."""


class Numeric(Settings):
    """A float or integer column: transform, standardize, clip; a null becomes 0 (the mean, where standardized)."""

    name: str = Field(exclude=True)
    column: str
    type: Literal["numeric"] = "numeric"
    transform: Literal["none", "log1p"] = "none"
    """log1p is sign(x) ln(1 + |x|), so that negative values are legal."""
    standardize: bool = True
    """(x - mean) / deviation, both of the transformed training data."""
    clip: PositiveFloat | None = 10.0
    """Bound on the absolute value, after all else."""
    missing_indicator: bool = False
    """One more numeric: 1 where the value is null, else 0. An embedded numeric has a row for null instead."""
    as_: Literal["plain", "embedding", "buckets"] = Field("plain", alias="as")
    """`plain` goes to the tower as a number; `embedding` is a vector scaled by the number; `buckets` makes it a
    category, one for each range between quantiles of the training data: then none of the above applies."""
    dim: Width = 16
    """Width of the vector, where `as: embedding` or `as: buckets`."""
    buckets: int = Field(10, ge=2, le=100_000)
    """How many ranges, each with about as many rows; fewer where a value is so frequent that it fills several."""


class Cross(Settings):
    """Two or more features that are one category each, as one category: the hash of their values in a row.

    Null where one of them is null.
    """

    name: str = Field(exclude=True)
    type: Literal["cross"] = "cross"
    of: tuple[str, ...] = Field(min_length=2)
    """Names of features: categoricals, and numerics `as: buckets`."""
    hash: Size
    """Ids by `tf.sparse.cross_hashed` of the texts, this many buckets."""
    dim: Width = 1
    """Width of the table. 1: only a weight in the wide part of `wide_deep`; above: a vector for the tower too."""


class SequenceCross(Settings):
    """Each value of a sequence together with one or more categories of its row: the list of their hashes.

    A value is null where one of its parts is null.
    """

    name: str = Field(exclude=True)
    type: Literal["sequence_cross"] = "sequence_cross"
    of: tuple[str, ...] = Field(min_length=2)
    """Names of features: one sequence, of which the last `max_length` values count; the others as those of a cross."""
    hash: Size
    """Ids by `tf.sparse.cross_hashed` of the texts, this many buckets."""
    dim: Width = 1
    """Width of the table. 1: only a weight in the wide part of `wide_deep`; above: vectors for the tower too."""
    pooling: Literal["mean", "sum", "none"] = "sum"
    """Of the vectors, as a sequence's; the wide part sums its weights whatever this is."""


ColumnFeature = Categorical | Numeric | Sequence
CrossFeature = Cross | SequenceCross
Feature = Annotated[ColumnFeature | CrossFeature, Field(discriminator="type")]
TYPES: dict[str, type[Settings]] = {
    "categorical": Categorical,
    "numeric": Numeric,
    "sequence": Sequence,
    "cross": Cross,
    "sequence_cross": SequenceCross,
}


class Features(Settings):
    """All features of an experiment, by name: what each is, its `type` says."""

    defaults: dict[str, Any] = {}
    """Settings for every feature whose type has them; a feature's own encoding replaces the default one."""
    columns: dict[str, Feature] = Field(min_length=1)
    unseen: Literal["shared", "own"] = "shared"
    """Row of an id that the training data never has, where ids are by `hash`, `identity`, `part` or crosses.
    `shared`: the row of unknown values, which costs a pass over these columns; `own`: the id's own, untrained row."""

    @property
    def of_columns(self) -> dict[str, ColumnFeature]:
        """The features that read a column."""
        return {name: feature for name, feature in self.columns.items() if not isinstance(feature, CrossFeature)}

    @property
    def number_columns(self) -> set[str]:
        """The columns that only numerics read: a number there may be of any type."""
        numerics = {f.column for f in self.of_columns.values() if isinstance(f, Numeric)}
        return numerics - {f.column for f in self.of_columns.values() if not isinstance(f, Numeric)}

    @property
    def categories(self) -> list[str]:
        """The features that are one category in each row: categoricals, numerics `as: buckets`, crosses."""
        return [
            name
            for name, feature in self.columns.items()
            if isinstance(feature, Categorical | Cross) or getattr(feature, "as_", None) == "buckets"
        ]

    @property
    def crosses(self) -> dict[str, CrossFeature]:
        """The features that are made of others."""
        return {name: feature for name, feature in self.columns.items() if isinstance(feature, CrossFeature)}

    def only(self, names: Iterable[str]) -> "Features":
        """Return these features alone, with the features that crosses among them are made of."""
        needed = set(names)
        needed |= {part for name, cross in self.crosses.items() if name in needed for part in cross.of}
        return self.model_copy(update={"columns": {name: f for name, f in self.columns.items() if name in needed}})

    def max_length(self, feature: Sequence | SequenceCross) -> int:
        """The most values that a row holds of a sequence, or of a cross of one."""
        parts = [feature] if isinstance(feature, Sequence) else [self.columns[part] for part in feature.of]
        return next(part.max_length for part in parts if isinstance(part, Sequence))

    @model_validator(mode="before")
    @classmethod
    def _apply_defaults(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("columns"), dict):
            return values
        defaults = values.get("defaults") or {}
        if not isinstance(defaults, dict):
            raise ValueError(f"defaults are a mapping of settings. Received: {defaults!r}")
        known = {"type"}.union(*(_keys(settings) for settings in TYPES.values()))
        if unknown := [key for key in defaults if key not in known]:
            raise ValueError(f"defaults: {unknown_key(unknown[0], sorted(known))}")
        columns = {str(name): _complete(str(name), own or {}, defaults) for name, own in values["columns"].items()}
        return {**values, "defaults": {}, "columns": columns}

    @model_validator(mode="after")
    def _agree_on_shared_tables(self) -> "Features":
        first: dict[str, _Embedded] = {}
        for feature in self.columns.values():
            if not isinstance(feature, _Embedded):
                continue
            other = first.setdefault(feature.table, feature)
            for key in ("dim", *ENCODINGS):
                if getattr(feature, key, None) != getattr(other, key, None):
                    raise ValueError(
                        f"{other.name!r} and {feature.name!r} share the table {feature.table!r} but differ in {key}: "
                        f"{getattr(other, key, None)!r} and {getattr(feature, key, None)!r}"
                    )
        for feature in self.columns.values():
            has_own = isinstance(feature, CrossFeature) or (isinstance(feature, Numeric) and feature.as_ != "plain")
            if has_own and feature.name in first:
                raise ValueError(
                    f"{first[feature.name].name!r} cannot use the table {feature.name!r}: "
                    f"it is that of the {feature.type} feature"
                )
        return self

    @model_validator(mode="after")
    def _cross_what_can_be_crossed(self) -> "Features":
        sequences = [name for name, feature in self.columns.items() if isinstance(feature, Sequence)]
        categories = [name for name in self.categories if name not in self.crosses]
        for name, feature in self.crosses.items():
            of_sequence = isinstance(feature, SequenceCross)
            for place, part in enumerate(feature.of):
                if part not in self.columns:
                    raise ValueError(f"columns.{name}.of: no feature {part!r}; {nearest(part, list(self.columns))}")
                if part not in categories and not (of_sequence and part in sequences):
                    wanted = "one sequence, of categoricals" if of_sequence else "categoricals"
                    hint = "; with a sequence use `type: sequence_cross`" if part in sequences else ""
                    raise ValueError(
                        f"columns.{name}.of: {part!r} is a {self.columns[part].type}; a {feature.type} is of {wanted} "
                        f"and of numerics `as: buckets`{hint}"
                    )
                if part in feature.of[:place]:
                    raise ValueError(f"columns.{name}.of: {part!r} stands twice")
            found = [part for part in feature.of if part in sequences]
            if of_sequence and len(found) != 1:
                hint = "" if found else "; without one use `type: cross`"
                raise ValueError(
                    f"columns.{name}.of: needs exactly one sequence{hint}. Received: {', '.join(found) or 'none'}"
                )
        return self


def _keys(settings: type[Settings]) -> set[str]:
    return {field.alias or name for name, field in settings.model_fields.items() if not field.exclude}


def _complete(name: str, own: Any, defaults: dict[str, Any]) -> Any:
    """A feature's settings with the defaults that reach it, its name, column and table."""
    if not isinstance(own, dict):
        return own
    if "name" in own:
        raise ValueError(f"columns.{name}: unknown key 'name'; the key itself is the feature's name")
    type_ = own.get("type", defaults.get("type", "categorical"))
    if not isinstance(type_, str) or type_ not in TYPES:
        return {**own, "type": str(type_)}
    reached = {key: value for key, value in defaults.items() if key in _keys(TYPES[type_])}
    if issubclass(TYPES[type_], CrossFeature) or any(own.get(key) is not None for key in ENCODINGS):
        reached = {key: value for key, value in reached.items() if key not in ENCODINGS}
    column = {"column": name} if "column" in _keys(TYPES[type_]) else {}
    complete = {**column, **reached, **own, "type": type_, "name": name}
    if isinstance(complete.get("of"), list):
        complete["of"] = [str(part) for part in complete["of"]]  # as the names in `columns`
    if issubclass(TYPES[type_], _Embedded):
        complete.setdefault("table", name)
        if all(complete.get(key) is None for key in ENCODINGS):
            complete["vocabulary"] = {}
    return complete


class Split(Settings):
    """How one set of files becomes a training, a validation and a test set."""

    by: Literal["rows", "time", "random"]
    """`rows`: in file order. `time`: by the values of `column`. `random`: each row by a draw from the seed."""
    column: str | None = None
    fractions: tuple[NonNegativeFloat, NonNegativeFloat, NonNegativeFloat]
    """Of train, valid and test; they sum to 1."""

    @model_validator(mode="after")
    def _is_complete(self) -> "Split":
        if abs(sum(self.fractions) - 1) > 1e-9 or self.fractions[0] == 0:
            raise ValueError(f"fractions must sum to 1, the first above 0. Received: {list(self.fractions)}")
        if (self.by == "time") != (self.column is not None):
            raise ValueError("column belongs to `by: time`, which needs it")
        return self
