"""Encoder: fitted features that turn Arrow tables into batches, saved with a run and loaded to score."""

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.batch import OUT_OF_VOCABULARY, Batch
from features.earlier_versions import translate_features
from features.errors import DataError, first_line
from features.fits.fit import Fit
from features.labels import Columns
from features.layout import Layout
from features.ragged import Ragged
from features.schema import Features
from features.statistics import Statistics, fittings
from features.values import Values

BLOCK_ROWS = 2048
OTHER_KEYS = ("features", "columns", "meanings", "log_odds", "seen")  # of encoder.json


@dataclass(frozen=True)
class Encoder:
    """Converter of Arrow tables to batches; the same input bytes give the same batch in any process.

    Args:
        features: declared features.
        columns: label and weight columns; None for data without a label, whose batches then have neither key.
        statistics: facts about the training data that the features were fitted on; without it, only methods that need
            no fitting work.
        seen: table whose ids are not fitted -> True for each row that the training data uses, bool `[rows]`; ids of
            other rows become out of vocabulary. A table that is absent keeps all its ids.
    """

    features: Features
    columns: Columns | None
    statistics: Statistics = field(default_factory=Statistics)
    seen: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def input_columns(self) -> list[str]:
        """Columns of the files that `values` and `encode` read."""
        targets = self.columns.names if self.columns is not None else []
        return list(dict.fromkeys([*self.features.input_columns, *targets]))

    def check(self, schema: pa.Schema, where: str) -> None:
        """Raise DataError if a feature does not accept the type of its column; `where` names the file in errors."""
        for feature in self.features.columns.values():
            feature.check(schema, where)

    def values(self, table: pa.Table, where: str) -> dict[str, Values]:
        """Return the values of every feature before they become ids and floats, on which distributions are measured."""
        declared = self.features.columns.items()
        values = {name: feature.values(table, [], where) for name, feature in declared if not feature.parts}
        for name, feature in self.features.crosses.items():
            parts = [self.features.columns[part].as_category(values[part], self._fits[part]) for part in feature.parts]
            values[name] = feature.values(table, parts, where)
        return values

    def encode(self, table: pa.Table, values: dict[str, Values], where: str) -> Batch:
        """Return the batch of a table and its `values`; `where` names the file and row group in errors.

        Raises:
            DataError: a label or weight is invalid, an id is outside 0 <= id < identity, or values have another type
                than in the training data.
        """
        ids: list[np.ndarray] = []
        numerics: list[np.ndarray] = []
        batch: Batch = {}
        lengths = self._layout.lengths
        for name, feature in self.features.columns.items():
            of_feature = values[name]
            if isinstance(of_feature, Ragged):
                batch[f"sequences/{name}"] = _pad(self.ids(name, of_feature, where), of_feature.lengths, lengths[name])
                batch[f"lengths/{name}"] = of_feature.lengths.astype(np.int32)
            elif feature.has_table:
                ids.append(self.ids(name, of_feature, where))
            numerics += feature.numerics(of_feature, self._fits[name], where)
        batch = {"ids": _concatenate_columns(ids, table.num_rows, np.int32), **batch}
        batch["numerics"] = _concatenate_columns(numerics, table.num_rows, np.float32)
        if self.columns is not None:
            batch["label"] = self.columns.labels(table, where)
            batch["weight"] = self.columns.weights(table, where)
        return batch

    def ids(self, name: str, values: Values, where: str) -> np.ndarray:
        """Return the id of each of a feature's `values`, local to its table, int32; ids of sequences are concatenated.

        Raises:
            DataError: an id is outside 0 <= id < identity, or values have another type than in the training data.
        """
        feature = self.features.columns[name]
        rows = feature.ids(values, self._fits[name], where)
        seen = self._incomplete.get(feature.table_name)
        return rows if seen is None else np.where(seen[rows], rows, np.int32(OUT_OF_VOCABULARY))

    def fit_of(self, name: str) -> Any:
        """Return the fit of a feature, or None for a feature without a fit."""
        return self._fits[name]

    def can_be_unknown(self, name: str) -> bool:
        """Return True if some ids of a feature share the row of unknown values."""
        feature = self.features.columns[name]
        return feature.unknown_ids == "fitted" or (feature.unknown_ids == "unseen" and feature.table_name in self.seen)

    @property
    def lacks_record(self) -> bool:
        """True if unseen ids keep their own rows although `features.unseen` is `shared`."""
        unfitted = [f.table_name for f in self.features.columns.values() if f.unknown_ids == "unseen"]
        return self.features.unseen == "shared" and not set(unfitted) <= set(self.seen)

    def __call__(self, table: pa.Table, where: str) -> Batch:
        """Encode a table: `values`, then `encode`."""
        return self.encode(table, self.values(table, where), where)

    @cached_property
    def layout(self) -> dict[str, Any]:
        """Layout of the batches as plain values, for a model: see `Layout`."""
        return self._layout.to_dict()

    @property
    def id_features(self) -> list[str]:
        """Names of the features in the columns of a batch's `ids`, in order."""
        return self._layout.ids

    def table_size(self, name: str) -> int:
        """Return the number of rows in the table of a feature with ids, including the special rows."""
        return self._layout.rows[name]

    @cached_property
    def batch_spec(self) -> dict[str, tuple[tuple[int, ...], type]]:
        """Key of a batch -> (shape without the batch dimension, dtype)."""
        spec: dict[str, tuple[tuple[int, ...], type]] = {
            "ids": ((len(self._layout.ids),), np.int32),
            "numerics": ((len(self._layout.numerics),), np.float32),
        }
        for name, length in self._layout.lengths.items():
            spec[f"sequences/{name}"] = ((length,), np.int32)
            spec[f"lengths/{name}"] = ((), np.int32)
        if self.columns is None:
            return spec
        return {**spec, "label": ((), np.float32), "weight": ((), np.float32)}

    def save(self, folder: Path) -> None:
        """Write `encoder.json` and a Parquet file per vocabulary and per record of seen rows into a new folder."""
        folder.mkdir(parents=True)
        contents = {
            "features": self.features.model_dump(mode="json", by_alias=True),
            "columns": self.columns and asdict(self.columns),
            **{
                section: kind.save(self.statistics.fits.get(section, {}), folder)
                for section, kind in _fit_classes(self.features).items()
            },
            "meanings": self.statistics.meanings,
            "log_odds": self.statistics.log_odds,
            "seen": {table: len(rows) for table, rows in self.seen.items()},
        }
        for number, rows in enumerate(self.seen.values()):
            pq.write_table(pa.table({"bits": np.packbits(rows)}), folder / f"seen-{number:03d}.parquet")
        (folder / "encoder.json").write_text(json.dumps(contents, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Encoder":
        """Read an encoder that `save` wrote.

        Raises:
            DataError: the folder is incomplete or corrupt.
        """
        try:
            contents = json.loads((folder / "encoder.json").read_text())
            features = Features.model_validate(translate_features(contents["features"]))
            fits = {section: kind.load(contents[section], folder) for section, kind in _fit_classes(features).items()}
            log_odds = contents.get("log_odds")  # absent in earlier versions, like `seen`
            statistics = Statistics(fits, contents["meanings"], log_odds)
            seen = {
                name: _unpack(folder / f"seen-{number:03d}.parquet", rows)
                for number, (name, rows) in enumerate(contents.get("seen", {}).items())
            }
            columns = contents["columns"] and Columns(**contents["columns"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
            raise DataError(
                f"{folder}: damaged encoder: {first_line(error)}. Restore the folder, or train again."
            ) from error
        for name, feature in features.columns.items():
            if feature.fitting() is not None and statistics.fit_of(feature) is None:
                raise DataError(
                    f"{folder}: damaged encoder: no fit of feature {name!r}. Restore the folder, or train again."
                )
        return cls(features, columns, statistics, seen)

    @cached_property
    def _fits(self) -> dict[str, Any]:
        """Feature -> its fit, or None for a feature without a fit."""
        return {name: self.statistics.fit_of(feature) for name, feature in self.features.columns.items()}

    @cached_property
    def _layout(self) -> Layout:
        layout = Layout()
        for name, feature in self.features.columns.items():
            feature.lay_out(layout, self._fits[name], self.features.columns)
        return layout

    @cached_property
    def _incomplete(self) -> dict[str, np.ndarray]:
        """Records of tables with unseen rows; in other tables no id has to be looked up."""
        return {table: rows for table, rows in self.seen.items() if not rows.all()}


def _fit_classes(features: Features) -> dict[str, type[Fit]]:
    """Return the class of the fits in each section of encoder.json.

    Raises:
        TypeError: two classes share a section, or a section has the name of another key of encoder.json.
    """
    classes: dict[str, type[Fit]] = {}
    for state in fittings(features).values():
        if classes.setdefault(state.fit.section, state.fit) is not state.fit or state.fit.section in OTHER_KEYS:
            raise TypeError(f"{state.fit.__name__}: the section {state.fit.section!r} of encoder.json is taken")
    return classes


def _unpack(file: Path, rows: int) -> np.ndarray:
    """Read a record of seen rows, bool `[rows]`."""
    bits = pq.read_table(file)["bits"].to_numpy()
    if len(bits) != -(-rows // 8):
        raise ValueError(f"{file.name} has {len(bits)} bytes, expected {-(-rows // 8)}")
    return np.unpackbits(bits, count=rows).view(bool)


def _concatenate_columns(columns: list[np.ndarray], rows: int, dtype: type) -> np.ndarray:
    """Return columns as one array `[rows, columns]`."""
    array: np.ndarray = np.empty((rows, len(columns)), dtype)
    for start in range(0, rows, BLOCK_ROWS):  # a block stays in the cache while its columns are copied
        block = slice(start, start + BLOCK_ROWS)
        for index, column in enumerate(columns):
            array[block, index] = column[block]
    return array


def _pad(ids: np.ndarray, lengths: np.ndarray, width: int) -> np.ndarray:
    """Return concatenated lists as int32 `[lists, width]`, padded with 0."""
    padded = np.zeros((len(lengths), width), np.int32)
    padded[np.arange(width) < lengths[:, None]] = ids
    return padded
