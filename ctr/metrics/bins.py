"""Bins of a number or a category, fitted on a sample of the reference, for PSI."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

OTHER, NEW, MISSING = "all others", "new", "missing"
LABEL_LENGTH = 80
TYPES = {"int64": pa.int64(), "uint64": pa.uint64(), "large_string": pa.large_string()}


@dataclass(frozen=True)
class QuantileBins:
    """Bins of a number: up to each edge, above the last, and missing. A frequent value has a bin of its own."""

    edges: tuple[float, ...]

    @classmethod
    def fitted(cls, sample: np.ndarray, bins: int) -> "QuantileBins":
        """Return equal-count bins of a sample, ignoring NaN; an edge shared by several quantiles isolates its value."""
        present = np.sort(sample[~np.isnan(sample)])
        if not len(present):
            return cls(())
        bins = min(bins, len(present))  # otherwise several quantiles would share a value that occurs once
        quantiles = present[(np.arange(1, bins) * len(present) - 1) // bins]  # integer arithmetic, for the same reason
        values, times = np.unique(quantiles, return_counts=True)
        frequent = values[times > 1]
        below = np.nextafter(frequent[frequent > np.finfo(np.float64).min], -np.inf)  # nothing is below the lowest
        edges = np.unique(np.concatenate([values[values < present[-1]], frequent, below]))
        return cls(tuple(edges[np.isfinite(edges)].tolist()))  # infinite values are in the outer bins anyway

    @property
    def size(self) -> int:
        """The number of bins, including empty ones."""
        return len(self.edges) + 2

    def assign(self, numbers: np.ndarray) -> np.ndarray:
        """Return the bin of each number, uint16 [rows]; NaN is in the last bin, missing.

        >>> QuantileBins((1.0, 2.5)).assign(np.array([1.0, 2.0, 9.0, np.nan])).tolist()
        [0, 1, 2, 3]
        """
        # NaN sorts after infinity
        return np.searchsorted(np.array([*self.edges, np.inf]), numbers, side="left").astype(np.uint16)

    def count(self, numbers: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """Return the weight in each bin, float64 [size]; without weights the number of rows."""
        return _bin_weights(self.assign(numbers), weight, self.size)

    def labels(self, convert: Callable[[np.ndarray], np.ndarray] = np.asarray) -> list[str]:
        """Return a label for each bin, with the edges converted by `convert`.

        >>> QuantileBins((1.0, 2.5)).labels()
        ['≤ 1', '1 to 2.5', '> 2.5', 'missing']
        """
        if not self.edges:
            return ["any value", MISSING]
        isolates = [math.nextafter(high, -math.inf) == low for low, high in pairwise(self.edges)]
        # the edge just below an isolated value is labelled with the value, unless it is an isolated value itself
        opens = [
            is_isolated and not previous for is_isolated, previous in zip(isolates, [False, *isolates], strict=False)
        ]
        label_edges = [self.edges[k + 1] if k < len(opens) and opens[k] else edge for k, edge in enumerate(self.edges)]
        texts = _distinct_texts(convert(np.array(label_edges)).tolist())
        first = ("< " if isolates and isolates[0] else "≤ ") + texts[0]
        between = [f"= {high}" if isolates[k] else f"{low} to {high}" for k, (low, high) in enumerate(pairwise(texts))]
        return [first, *between, f"> {texts[-1]}", MISSING]

    def to_json(self) -> dict[str, Any]:
        """Return the edges as JSON values."""
        return {"edges": list(self.edges)}


@dataclass(frozen=True)
class CategoryBins:
    """Bins of a category: the most frequent values of a sample, its other values, values new to it, and missing.

    Data with ids always has some values that a sample lacks, even without drift. Rows of the sample itself never have
    new values, so they must not be counted.
    """

    values: pa.Array  # the most frequent, most frequent first: int64, uint64 or large_string
    others: pa.Array  # all further values of the sample, of the same type

    @classmethod
    def fitted(cls, sample: pa.Array, bins: int) -> "CategoryBins":
        """Return bins of the `bins` most frequent values that occur at least twice, ties ordered by value."""
        counted = pc.value_counts(_plain(sample).drop_null())
        table = pa.table({"value": counted.field("values"), "count": counted.field("counts")})
        ordered = table.sort_by([("count", "descending"), ("value", "ascending")])
        values, top = ordered["value"].combine_chunks(), pc.sum(pc.greater(ordered["count"], 1)).as_py() or 0
        return cls(values[: min(bins, top)], values[min(bins, top) :])

    @property
    def size(self) -> int:
        """The number of bins, including empty ones."""
        return len(self.values) + 3

    def assign(self, values: pa.Array) -> np.ndarray:
        """Return the bin of each value, uint16 [rows]: one of `values`, then others, new, missing.

        Args:
            values: column of any type, including dictionaries; a type that differs from the sample compares as text.

        >>> bins = CategoryBins.fitted(pa.array(["a", "a", "b"]), 10)
        >>> bins.assign(pa.array(["a", "b", "c", None])).tolist()
        [0, 1, 2, 3]
        """
        missing = self.size - 1
        if pa.types.is_dictionary(values.type):
            of_dictionary = np.append(self.assign(values.dictionary), np.uint16(missing))
            return of_dictionary[_numpy(values.indices, len(values.dictionary))]
        values, known = _plain(values), pa.concat_arrays([self.values, self.others])
        if values.type != known.type:
            values, known = values.cast(pa.large_string()), known.cast(pa.large_string())
        index = _numpy(pc.index_in(values, value_set=known, skip_nulls=True), len(known))
        others = len(self.values)
        bins = np.where(index < len(known), np.minimum(index, others), others + 1).astype(np.uint16)
        if values.null_count:
            bins[values.is_null().to_numpy(zero_copy_only=False)] = missing
        return bins

    def count(self, values: pa.Array, weight: np.ndarray | None = None) -> np.ndarray:
        """Return the weight in each bin, float64 [size]; without weights the number of rows."""
        return _bin_weights(self.assign(values), weight, self.size)

    def labels(self) -> list[str]:
        """Return a label for each bin; a text that is empty or equals another label is quoted."""
        return [*(_label(value) for value in self.values.to_pylist()), OTHER, NEW, MISSING]

    def ascending(self) -> np.ndarray:
        """Return the bins with the values in ascending order, then others, new and missing; int64 [size].

        >>> CategoryBins(pa.array([16, 9, 15]), pa.array([], pa.int64())).ascending().tolist()
        [1, 2, 0, 3, 4, 5]
        """
        values = pc.array_sort_indices(self.values).to_numpy().astype(np.int64)
        return np.concatenate([values, np.arange(len(self.values), self.size)])

    def to_json(self) -> dict[str, Any]:
        """Return the values, and their type, as JSON values."""
        return {
            "type": str(self.values.type),
            "values": self.values.to_pylist(),
            "others": self.others.to_pylist(),
        }


Bins = QuantileBins | CategoryBins


def bins_from_json(json_values: dict[str, Any]) -> Bins:
    """Return the bins of which `to_json` returned the values."""
    if "edges" in json_values:
        return QuantileBins(tuple(json_values["edges"]))
    of_type = TYPES[json_values["type"]]
    values, others = (pa.array(json_values[key], of_type) for key in ("values", "others"))
    return CategoryBins(values, others)


def _bin_weights(assigned: np.ndarray, weight: np.ndarray | None, size: int) -> np.ndarray:
    return np.bincount(assigned, weight, size).astype(np.float64)


def _plain(values: pa.Array) -> pa.Array:
    """Return values without a dictionary, as int64, uint64 or large_string; a column of the null type as text."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_uint64(values.type) or pa.types.is_large_string(values.type):
        return values
    return values.cast(pa.int64() if pa.types.is_integer(values.type) else pa.large_string())


def _numpy(indices: pa.Array, of_null: int) -> np.ndarray:
    """Return indices as NumPy, with a number for null."""
    return pc.fill_null(indices.cast(pa.int64()), of_null).to_numpy()


def _distinct_texts(numbers: list[float]) -> list[str]:
    """Return numbers as texts with at least four digits, and enough digits to keep distinct numbers distinct."""
    texts: list[str] = []
    for digits in range(4, 18):
        texts = [_digits(number, digits) for number in numbers]
        if len(set(texts)) == len(set(numbers)):
            break
    return texts


def _digits(number: float, digits: int) -> str:
    """Return a number with so many significant digits; below 1e15 without an exponent."""
    text = f"{number + 0.0:.{digits}g}"
    return f"{number:,.0f}" if "e+" in text and abs(number) < 1e15 else text


def _label(value: int | str) -> str:
    if isinstance(value, int):
        return str(value)
    text = value if len(value) <= LABEL_LENGTH else value[:LABEL_LENGTH] + "…"
    is_plain = text == text.strip() and text.isprintable() and text not in ("", OTHER, NEW, MISSING)
    return text if is_plain else json.dumps(text, ensure_ascii=False)
