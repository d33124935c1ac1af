"""Bins of a number or a category, fixed by a sample of the reference: what PSI counts rows in."""

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
    """Bins of a number: up to each edge, above the last, and missing. A value that is heavy has a bin of its own."""

    edges: tuple[float, ...]

    @classmethod
    def fitted(cls, sample: np.ndarray, bins: int) -> "QuantileBins":
        """Equal-count bins of a sample, NaN left out; an edge that several quantiles share isolates its value."""
        present = np.sort(sample[~np.isnan(sample)])
        if not len(present):
            return cls(())
        bins = min(bins, len(present))  # else quantiles would share a value that stands once
        quantiles = present[(np.arange(1, bins) * len(present) - 1) // bins]  # in integers, for the same reason
        values, times = np.unique(quantiles, return_counts=True)
        heavy = values[times > 1]
        below = np.nextafter(heavy[heavy > np.finfo(np.float64).min], -np.inf)  # nothing is below the lowest
        edges = np.unique(np.concatenate([values[values < present[-1]], heavy, below]))
        return cls(tuple(edges[np.isfinite(edges)].tolist()))  # infinite values are in the outer bins anyway

    @property
    def size(self) -> int:
        """The number of bins, empty ones included."""
        return len(self.edges) + 2

    def assign(self, numbers: np.ndarray) -> np.ndarray:
        """The bin of each number, uint16 [rows]; NaN is missing, the last.

        >>> QuantileBins((1.0, 2.5)).assign(np.array([1.0, 2.0, 9.0, np.nan])).tolist()
        [0, 1, 2, 3]
        """
        # NaN is sorted behind infinity
        return np.searchsorted(np.array([*self.edges, np.inf]), numbers, side="left").astype(np.uint16)

    def count(self, numbers: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """Weight (default: rows) in each bin, float64 [size]."""
        return _counted(self.assign(numbers), weight, self.size)

    def labels(self, shown: Callable[[np.ndarray], np.ndarray] = np.asarray) -> list[str]:
        """What each bin holds, in words, with `shown` of the edges.

        >>> QuantileBins((1.0, 2.5)).labels()
        ['≤ 1', '1 to 2.5', '> 2.5', 'missing']
        """
        if not self.edges:
            return ["any value", MISSING]
        isolates = [math.nextafter(high, -math.inf) == low for low, high in pairwise(self.edges)]
        # the edge just below an isolated value reads as the value, unless it is one itself
        opens = [one and not before for one, before in zip(isolates, [False, *isolates], strict=False)]
        named = [self.edges[k + 1] if k < len(opens) and opens[k] else edge for k, edge in enumerate(self.edges)]
        texts = _distinct_texts(shown(np.array(named)).tolist())
        first = ("< " if isolates and isolates[0] else "≤ ") + texts[0]
        between = [f"= {high}" if isolates[k] else f"{low} to {high}" for k, (low, high) in enumerate(pairwise(texts))]
        return [first, *between, f"> {texts[-1]}", MISSING]

    def to_json(self) -> dict[str, Any]:
        return {"edges": list(self.edges)}


@dataclass(frozen=True)
class CategoryBins:
    """Bins of a category: the most frequent values of a sample, all its others, values new to it, and missing.

    Ids always bring some values that no sample holds, shift or not: so many as the rows of the reference do that are
    not of the sample. Rows of the sample itself have none, so they must not be counted.
    """

    values: pa.Array  # the most frequent, most frequent first: int64, uint64 or large_string
    others: pa.Array  # all further values of the sample, of the same type

    @classmethod
    def fitted(cls, sample: pa.Array, bins: int) -> "CategoryBins":
        """The `bins` most frequent values of those that stand at least twice, equal counts in order of the value."""
        counted = pc.value_counts(_plain(sample).drop_null())
        table = pa.table({"value": counted.field("values"), "count": counted.field("counts")})
        ordered = table.sort_by([("count", "descending"), ("value", "ascending")])
        values, top = ordered["value"].combine_chunks(), pc.sum(pc.greater(ordered["count"], 1)).as_py() or 0
        return cls(values[: min(bins, top)], values[min(bins, top) :])

    @property
    def size(self) -> int:
        """The number of bins, empty ones included."""
        return len(self.values) + 3

    def assign(self, values: pa.Array) -> np.ndarray:
        """The bin of each value, uint16 [rows]: one of `values`, then others, new, missing.

        Args:
            values: of any type, a dictionary included; another type than that of the sample compares as text.

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
        found = _numpy(pc.index_in(values, value_set=known, skip_nulls=True), len(known))
        other = len(self.values)
        bins = np.where(found < len(known), np.minimum(found, other), other + 1).astype(np.uint16)
        if values.null_count:
            bins[values.is_null().to_numpy(zero_copy_only=False)] = missing
        return bins

    def count(self, values: pa.Array, weight: np.ndarray | None = None) -> np.ndarray:
        """Weight (default: rows) in each bin, float64 [size]."""
        return _counted(self.assign(values), weight, self.size)

    def labels(self) -> list[str]:
        """What each bin holds; a text that could be taken for another label, or for nothing, is quoted."""
        return [*(_shown(value) for value in self.values.to_pylist()), OTHER, NEW, MISSING]

    def ascending(self) -> np.ndarray:
        """Return the bins with the values in ascending order, then others, new and missing; int64 [size].

        >>> CategoryBins(pa.array([16, 9, 15]), pa.array([], pa.int64())).ascending().tolist()
        [1, 2, 0, 3, 4, 5]
        """
        values = pc.array_sort_indices(self.values).to_numpy().astype(np.int64)
        return np.concatenate([values, np.arange(len(self.values), self.size)])

    def to_json(self) -> dict[str, Any]:
        return {
            "type": str(self.values.type),
            "values": self.values.to_pylist(),
            "others": self.others.to_pylist(),
        }


Bins = QuantileBins | CategoryBins


def bins_from_json(described: dict[str, Any]) -> Bins:
    """The bins of a `to_json`."""
    if "edges" in described:
        return QuantileBins(tuple(described["edges"]))
    of_type = TYPES[described["type"]]
    values, others = (pa.array(described[key], of_type) for key in ("values", "others"))
    return CategoryBins(values, others)


def _counted(assigned: np.ndarray, weight: np.ndarray | None, size: int) -> np.ndarray:
    return np.bincount(assigned, weight, size).astype(np.float64)


def _plain(values: pa.Array) -> pa.Array:
    """Values out of their dictionary, as int64, uint64 or large_string; nulls without a type of their own as text."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_uint64(values.type) or pa.types.is_large_string(values.type):
        return values
    return values.cast(pa.int64() if pa.types.is_integer(values.type) else pa.large_string())


def _numpy(indices: pa.Array, of_null: int) -> np.ndarray:
    """Indices, with a number for null."""
    return pc.fill_null(indices.cast(pa.int64()), of_null).to_numpy()


def _distinct_texts(numbers: list[float]) -> list[str]:
    """Numbers with four digits, or as many as tell different ones apart."""
    texts: list[str] = []
    for digits in range(4, 18):
        texts = [_digits(number, digits) for number in numbers]
        if len(set(texts)) == len(set(numbers)):
            break
    return texts


def _digits(number: float, digits: int) -> str:
    """`number` with so many digits; a large one is written out."""
    text = f"{number + 0.0:.{digits}g}"
    return f"{number:,.0f}" if "e+" in text and abs(number) < 1e15 else text


def _shown(value: int | str) -> str:
    if isinstance(value, int):
        return str(value)
    text = value if len(value) <= LABEL_LENGTH else value[:LABEL_LENGTH] + "…"
    is_plain = text == text.strip() and text.isprintable() and text not in ("", OTHER, NEW, MISSING)
    return text if is_plain else json.dumps(text, ensure_ascii=False)
