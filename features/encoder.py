"""Arrow columns -> Batch: the fitted features, saved with a run and loaded to score."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.batch import NULL, OUT_OF_VOCABULARY, SPECIAL_ROWS, Batch
from features.earlier_versions import translate_features
from features.errors import DataError
from features.hashing import cross, cross_sequence, fingerprints
from features.labels import FLOAT32_MAX, Columns
from features.layout import has_ids, has_unfitted_ids, layout_of, table_name
from features.ragged import Ragged
from features.schema import PARTS, Categorical, Cross, CrossFeature, Feature, Features, Numeric, Sequence, SequenceCross
from features.statistics import Moments, Statistics, numbers, transform
from features.types import type_name
from features.values import Values, check_type, outside, values_of
from features.vocabulary_index import VocabularyIndex

BLOCK_ROWS = 2048


@dataclass(frozen=True)
class Encoder:
    """Turns Arrow tables into batches; the same bytes in give the same batch out, in any process.

    Args:
        features: the declared features.
        columns: the label and weight columns; None for data without a label, whose batches have neither.
        vocabularies: table -> its distinct values; value k has row k + 3.
        counts: table -> how often the training data has each value of its vocabulary, int64.
        moments: numeric feature -> mean and deviation of its transformed values.
        edges: bucketed numeric -> float64, ascending; bucket k holds edges[k - 1] < x <= edges[k].
        meanings: column -> what the training data holds there: integer, text and so on.
        log_odds: log-odds of the training labels, weighted by the weight column; None if unknown.
        seen: table whose ids are not by vocabulary -> whether the training data uses each of its rows, bool [rows]; ids
            of other rows become out of vocabulary. A table that is absent keeps all its ids.
    """

    features: Features
    columns: Columns | None
    vocabularies: dict[str, pa.Array]
    moments: dict[str, Moments]
    edges: dict[str, np.ndarray] = field(default_factory=dict)
    meanings: dict[str, str] = field(default_factory=dict)
    counts: dict[str, np.ndarray] = field(default_factory=dict)
    log_odds: float | None = None
    seen: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def fitted(cls, features: Features, columns: Columns, statistics: Statistics) -> "Encoder":
        """The encoder of a fitting pass."""
        return cls(
            features,
            columns,
            statistics.vocabularies,
            statistics.moments,
            statistics.edges,
            statistics.meanings,
            statistics.counts,
            statistics.log_odds,
        )

    @property
    def statistics(self) -> Statistics:
        """What it was fitted on."""
        return Statistics(self.vocabularies, self.counts, self.moments, self.edges, self.meanings, self.log_odds)

    @property
    def input_columns(self) -> list[str]:
        """The file columns that `values` and `encode` read."""
        own = self.columns.names if self.columns is not None else []
        return list(dict.fromkeys([f.column for f in self.features.of_columns.values()] + own))

    def check(self, schema: pa.Schema, where: str) -> None:
        """Raise DataError if a column's type cannot feed its feature."""
        for feature in self.features.of_columns.values():
            check_type(feature, schema.field(feature.column).type, where)

    def values(self, table: pa.Table, where: str) -> dict[str, Values]:
        """The values of every feature before they become ids and floats: what a distribution is measured on."""
        found = {name: values_of(feature, table, where) for name, feature in self.features.of_columns.items()}
        categories = {
            name: self._buckets(name, values) if name in self.edges else values for name, values in found.items()
        }
        for name, feature in self.features.crosses.items():
            hashed = cross if isinstance(feature, Cross) else cross_sequence
            found[name] = hashed([categories[part] for part in feature.of], feature.hash)
        return found

    def encode(self, table: pa.Table, values: dict[str, Values], where: str) -> Batch:
        """Make the batch of a table and its `values`; `where` names the file and row group in errors.

        Raises:
            DataError: a bad label or weight, an id outside 0 <= id < identity, values of another type than fitted.
        """
        ids: list[np.ndarray] = []
        numerics: list[np.ndarray] = []
        batch: Batch = {}
        for name, feature in self.features.columns.items():
            found = values[name]
            if isinstance(feature, Sequence | SequenceCross):
                assert isinstance(found, Ragged)
                rows = self.ids(name, found, where)
                batch[f"sequences/{name}"] = _pad(rows, found.lengths, self.features.max_length(feature))
                batch[f"lengths/{name}"] = found.lengths.astype(np.int32)
            elif has_ids(feature):
                ids.append(self.ids(name, found, where))
            if isinstance(feature, Numeric) and feature.as_ != "buckets":
                numerics += self._numerics(feature, found, where)
        batch = {"ids": _side_by_side(ids, table.num_rows, np.int32), **batch}
        batch["numerics"] = _side_by_side(numerics, table.num_rows, np.float32)
        if self.columns is not None:
            batch["label"] = self.columns.labels(table, where)
            batch["weight"] = self.columns.weights(table, where)
        return batch

    def ids(self, name: str, values: Values, where: str) -> np.ndarray:
        """Return the id of each of a feature's `values`, local to its table, int32; those of a sequence end to end.

        Raises:
            DataError: an id outside 0 <= id < identity, values of another type than fitted.
        """
        feature = self.features.columns[name]
        flat = values.flat if isinstance(values, Ragged) else values
        if isinstance(feature, Numeric):
            is_bucket = feature.as_ == "buckets"
            rows = (
                self._buckets(name, flat) if is_bucket else pa.array(np.zeros(len(flat), np.int64), mask=_nulls(flat))
            )
            return _rows(rows)
        rows = _rows(flat) if isinstance(feature, CrossFeature) else self._category_ids(feature, flat, where)
        seen = self._incomplete.get(table_name(feature))
        return rows if seen is None else np.where(seen[rows], rows, np.int32(OUT_OF_VOCABULARY))

    def table_size(self, name: str) -> int:
        """Return how many rows the table of a feature with ids has, the special ones included."""
        return SPECIAL_ROWS + self._sizes[name]

    def can_be_unknown(self, name: str) -> bool:
        """Return True if some ids of a feature share the row of unknown values."""
        feature = self.features.columns[name]
        if isinstance(feature, Numeric):
            return False
        return table_name(feature) in self.seen or getattr(feature, "vocabulary", None) is not None

    @property
    def lacks_record(self) -> bool:
        """True if unseen ids keep their own rows although `features.unseen` is `shared`."""
        unfitted = [table_name(feature) for feature in self.features.columns.values() if has_unfitted_ids(feature)]
        return self.features.unseen == "shared" and not set(unfitted) <= set(self.seen)

    def scaled(self, feature: Numeric, values: Values) -> np.ndarray:
        """A numeric's values transformed, standardized and clipped, float64 [rows], NaN where null."""
        x = transform(feature, values)
        if feature.standardize:
            moments = self.moments[feature.name]
            x = (x - moments.mean) / moments.deviation
        return x if feature.clip is None else np.clip(x, -feature.clip, feature.clip)

    def __call__(self, table: pa.Table, where: str) -> Batch:
        """Encode a table: `values`, then `encode`."""
        return self.encode(table, self.values(table, where), where)

    @cached_property
    def layout(self) -> dict[str, Any]:
        """What a model must know of its batches, as `layout_of` describes it."""
        return layout_of(self.features, self._sizes)

    @cached_property
    def batch_spec(self) -> dict[str, tuple[tuple[int, ...], type]]:
        """Key of a batch -> (shape without the batch dimension, dtype)."""
        spec: dict[str, tuple[tuple[int, ...], type]] = {
            "ids": ((sum(map(has_ids, self.features.columns.values())),), np.int32),
            "numerics": ((len(self.layout["numerics"]),), np.float32),
        }
        for name, feature in self.features.columns.items():
            if isinstance(feature, Sequence | SequenceCross):
                spec[f"sequences/{name}"] = ((self.features.max_length(feature),), np.int32)
                spec[f"lengths/{name}"] = ((), np.int32)
        if self.columns is None:
            return spec
        return {**spec, "label": ((), np.float32), "weight": ((), np.float32)}

    def save(self, folder: Path) -> None:
        """Write `encoder.json` and a Parquet file per vocabulary and per record of seen rows into a new folder."""
        folder.mkdir(parents=True)
        for place, (name, values) in enumerate(self.vocabularies.items()):
            counted = pa.table({"value": values, "count": self.counts[name]})
            pq.write_table(counted, folder / f"vocabulary-{place:03d}.parquet")
        described = {
            "features": self.features.model_dump(mode="json", by_alias=True),
            "columns": self.columns and asdict(self.columns),
            "vocabularies": list(self.vocabularies),
            "moments": {name: asdict(moments) for name, moments in self.moments.items()},
            "edges": {name: edges.tolist() for name, edges in self.edges.items()},
            "meanings": self.meanings,
            "log_odds": self.log_odds,
            "seen": {table: len(rows) for table, rows in self.seen.items()},
        }
        for place, rows in enumerate(self.seen.values()):
            pq.write_table(pa.table({"bits": np.packbits(rows)}), folder / f"seen-{place:03d}.parquet")
        (folder / "encoder.json").write_text(json.dumps(described, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Encoder":
        """Read what `save` wrote.

        Raises:
            DataError: the folder is incomplete or damaged.
        """
        try:
            described = json.loads((folder / "encoder.json").read_text())
            counted = {
                name: pq.read_table(folder / f"vocabulary-{place:03d}.parquet")
                for place, name in enumerate(described["vocabularies"])
            }
            return cls(
                features=Features.model_validate(translate_features(described["features"])),
                columns=described["columns"] and Columns(**described["columns"]),
                vocabularies={name: table["value"].combine_chunks() for name, table in counted.items()},
                moments={name: Moments(**moments) for name, moments in described["moments"].items()},
                edges={name: np.array(edges) for name, edges in described["edges"].items()},
                meanings=described["meanings"],
                log_odds=described.get("log_odds"),  # unknown to an earlier version, as what follows
                seen={
                    name: _unpacked(folder / f"seen-{place:03d}.parquet", rows)
                    for place, (name, rows) in enumerate(described.get("seen", {}).items())
                },
                counts={name: table["count"].to_numpy() for name, table in counted.items()},
            )
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            raise DataError(f"{folder}: not a readable encoder: {error}") from error

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """Feature with ids -> how many different ids it has, the special ones left out."""
        return {
            name: self._size(feature)
            for name, feature in self.features.columns.items()
            if has_ids(feature) or isinstance(feature, Sequence | SequenceCross)
        }

    @cached_property
    def _indexes(self) -> dict[str, VocabularyIndex]:
        """Table -> index of its vocabulary."""
        return {name: VocabularyIndex(values) for name, values in self.vocabularies.items()}

    @cached_property
    def _incomplete(self) -> dict[str, np.ndarray]:
        """The records of tables that have unseen rows; in the others no id needs to be looked up."""
        return {table: rows for table, rows in self.seen.items() if not rows.all()}

    def _size(self, feature: Feature) -> int:
        if isinstance(feature, Numeric):
            return len(self.edges[feature.name]) + 1 if feature.as_ == "buckets" else 1
        if isinstance(feature, CrossFeature):
            return feature.hash
        if feature.vocabulary is not None:
            return len(self.vocabularies[feature.table])
        if isinstance(feature, Categorical) and feature.part is not None:
            return PARTS[feature.part]
        size = feature.hash or feature.identity
        assert size is not None
        return size

    def _buckets(self, name: str, values: Values) -> pa.Array:
        """The bucket of each value of a numeric, int64 from 0; null where it is null."""
        x = numbers(values)
        return pa.array(np.searchsorted(self.edges[name], x, side="left"), mask=np.isnan(x))

    def _category_ids(self, feature: Categorical | Sequence, values: pa.Array, where: str) -> np.ndarray:
        """Rows of the feature's table, int32 [values]."""
        if feature.vocabulary is None and feature.hash is None:
            return self._identity_ids(feature, values, where)
        encoded = values.dictionary_encode()
        distinct = encoded.dictionary
        if feature.hash is not None:
            rows = (fingerprints(distinct) % np.uint64(feature.hash)).astype(np.int64) + SPECIAL_ROWS
        else:
            fitted = self.vocabularies[feature.table].type
            if len(distinct) and distinct.type != fitted and len(self.vocabularies[feature.table]):
                raise DataError(
                    f"{where}: the values of {feature.column!r} are {type_name(distinct.type)}, "
                    f"but {type_name(fitted)} in the training data"
                )
            if distinct.type == fitted:
                places = self._indexes[feature.table].places(distinct)
            else:
                places = np.full(len(distinct), -1)
            rows = np.where(places < 0, OUT_OF_VOCABULARY, places + SPECIAL_ROWS)
        with_null = np.append(rows, NULL).astype(np.int32)
        return with_null[pc.fill_null(encoded.indices, len(distinct)).to_numpy()]

    def _identity_ids(self, feature: Categorical | Sequence, values: pa.Array, where: str) -> np.ndarray:
        size = self._size(feature)
        if not pa.types.is_integer(values.type) and values.null_count < len(values):
            raise DataError(
                f"{where}: column {feature.column!r} with `identity` needs integers. Received: {type_name(values.type)}"
            )
        if values.null_count == len(values):
            return np.full(len(values), NULL, np.int32)
        extremes = pc.min_max(values).as_py()
        if not 0 <= extremes["min"] <= extremes["max"] < size:
            found = outside(values, size)
            value, count = values[pc.index(found, True).as_py()].as_py(), pc.sum(found).as_py()
            raise DataError(
                f"{where}: column {feature.column!r} holds the id {value} ({count} such values); "
                f"`identity: {size}` allows 0 to {size - 1}"
            )
        return _rows(values)

    def _numerics(self, feature: Numeric, values: Values, where: str) -> Iterator[np.ndarray]:
        """The columns of `numerics` that a numeric fills."""
        x = self.scaled(feature, values)
        if feature.standardize and (np.abs(x) > FLOAT32_MAX).any():
            raise DataError(
                f"{where}: column {feature.column!r} holds a value that leaves float32 once standardized; set `clip`"
            )
        assert isinstance(values, pa.Array)
        if values.null_count:  # where the vector of a null is the null row's, its scale is 1
            x = np.where(_nulls(values), 1.0 if feature.as_ == "embedding" else 0.0, x)
        yield x
        if feature.missing_indicator and feature.as_ == "plain":
            yield _nulls(values)


def _unpacked(file: Path, rows: int) -> np.ndarray:
    """Read a record of seen rows, bool [rows]."""
    bits = pq.read_table(file)["bits"].to_numpy()
    if len(bits) != -(-rows // 8):
        raise ValueError(f"{file.name} has {len(bits)} bytes, expected {-(-rows // 8)}")
    return np.unpackbits(bits, count=rows).view(bool)


def _rows(values: pa.Array) -> np.ndarray:
    """Rows of a table from ids that count from 0, int32."""
    ids = pc.fill_null(values.cast(pa.int64()), NULL - SPECIAL_ROWS).to_numpy()
    return np.add(ids, SPECIAL_ROWS, dtype=np.int32, casting="unsafe")


def _nulls(values: Values) -> np.ndarray:
    assert isinstance(values, pa.Array)
    return values.is_null().to_numpy(zero_copy_only=False)


def _side_by_side(columns: list[np.ndarray], rows: int, dtype: type) -> np.ndarray:
    """[rows, columns]"""
    array: np.ndarray = np.empty((rows, len(columns)), dtype)
    for start in range(0, rows, BLOCK_ROWS):  # a block stays in the cache while its columns are laid into it
        block = slice(start, start + BLOCK_ROWS)
        for place, column in enumerate(columns):
            array[block, place] = column[block]
    return array


def _pad(ids: np.ndarray, lengths: np.ndarray, width: int) -> np.ndarray:
    """Lists laid end to end -> int32 [lists, width], padded with 0."""
    padded = np.zeros((len(lengths), width), np.int32)
    padded[np.arange(width) < lengths[:, None]] = ids
    return padded
