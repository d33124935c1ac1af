"""Check that a logical table, as written by pyarrow, DuckDB, Polars and fastparquet, is read as the same table.

    python scripts/writers.py [--writers pyarrow duckdb polars fastparquet] [--large]

If the row groups are the same, batches and fits must be the same, bit for bit. Otherwise they must be the same by row,
and moments equal to 1e-12. Some cases must raise a specific error instead. Prints a table row per writer; exit code 1
if a case fails. With --large, also reads row groups of over 2 GiB of text, flat and in lists, with 15 GB of memory.
"""

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter
from writer_cases import FEATURES, ROWS, Case, cases, logical_table, remove

from features import Cast, Columns, DataError, Encoder, Features, Statistics, check_columns, fit_encoder, open_data
from features.batch import Batch, concatenate, take

LABEL = Columns("y", "w")
CASTS = TypeAdapter(dict[str, Cast])


@dataclass(frozen=True)
class Read:
    """Content of a file or folder as read."""

    sizes: tuple[int, ...]  # rows of each row group
    table: pa.Table
    batch: Batch
    statistics: Statistics

    @property
    def keys(self) -> np.ndarray:
        """Key of each row."""
        return self.table["key"].to_numpy()


def read(path: Path, casts: dict[str, Any] | None = None, lacks: Iterable[str] = ()) -> Read:
    """Read, check, fit and encode, as in training."""
    features = Features(columns={name: feature for name, feature in FEATURES.items() if name not in lacks})
    groups = open_data(str(path), casts=CASTS.validate_python(casts or {}))
    unfitted = Encoder(features, LABEL)
    check_columns(groups, ["key", *unfitted.input_columns], unfitted.check)
    encoder = fit_encoder(features, LABEL, groups, seed=1)
    tables = [group.read(["key", *encoder.input_columns]) for group in groups]
    batches = [encoder(table, str(group)) for table, group in zip(tables, groups, strict=True)]
    return Read(
        tuple(group.rows for group in groups), pa.concat_tables(tables), concatenate(batches), encoder.statistics
    )


@cache
def plainly_written(sizes: tuple[int, ...], lacks: tuple[str, ...]) -> Read:
    """Read the logical table as written by pyarrow's defaults, in row groups of these sizes."""
    table = logical_table()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plain.parquet"
        with pq.ParquetWriter(path, table.schema) as writer:
            for start, size in zip(np.cumsum([0, *sizes]), sizes, strict=False):
                writer.write_table(table.slice(start, size))
        return read(path, lacks=lacks)


def check(case: Case, path: Path) -> str:
    """Write a case to `path`, read it, and return `read` or `refused`, whichever the case expects.

    Raises:
        AssertionError: the outcome is not the expected one.
    """
    logical = logical_table()
    remove(path)
    case.write(logical, path)
    if case.error is not None:
        message = _refusal(path, case)
        assert re.search(case.error, message), f"expected the error {case.error!r}, got {message or 'none'}"
        return "refused"
    found = read(path, case.casts, case.lacks)
    _check_values(found.table, case.expects(logical), case.lacks)
    if case.expects(logical) is logical:
        _check_rows(found, plainly_written((ROWS,), case.lacks))
        if (found.keys == np.arange(ROWS)).all():
            _check_bits(found, plainly_written(found.sizes, case.lacks))
    return "read"


def _refusal(path: Path, case: Case) -> str:
    """Return the error that reading raises, or ""."""
    try:
        read(path, case.casts, case.lacks)
    except DataError as error:
        return str(error)
    return ""


def _check_values(found: pa.Table, logical: pa.Table, lacks: Iterable[str]) -> None:
    found = found.sort_by("key")
    for name in [name for name in logical.column_names if name not in lacks]:
        values, expected = _values(found[name]), _values(logical[name])
        wrong = [row for row, (one, other) in enumerate(zip(values, expected, strict=True)) if one != other]
        assert not wrong, f"{name}, row {wrong[0]}: {values[wrong[0]]!r}, not {expected[wrong[0]]!r}"


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return Python values, with times in microseconds, None for NaN, and floats for decimals."""
    types = pa.types
    if types.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    if types.is_timestamp(column.type):
        per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[column.type.unit]
        numbers = column.cast(pa.int64()).to_pylist()
        return [None if number is None else number * 10**6 // per_second for number in numbers]
    if types.is_decimal(column.type):
        return [value if value is None else float(value) for value in column.to_pylist()]
    values = column.to_pylist()
    return [None if value != value else value for value in values] if types.is_floating(column.type) else values


def _check_bits(found: Read, expected: Read) -> None:
    """Check that batches and moments are the same, bit for bit."""
    assert found.batch.keys() == expected.batch.keys()
    for key, array in expected.batch.items():
        assert found.batch[key].dtype == array.dtype
        assert found.batch[key].tobytes() == array.tobytes(), f"batches differ in {key}"
    assert found.statistics.fits["moments"] == expected.statistics.fits["moments"], "moments differ"


def _check_rows(found: Read, expected: Read) -> None:
    """Check that rows and fits are the same for any row groups, and moments to 1e-12."""
    batch = take(found.batch, np.argsort(found.keys))
    for key, array in expected.batch.items():
        if key == "numerics":
            assert np.allclose(batch[key], array, rtol=1e-6, atol=1e-6), "numerics differ"
        else:
            assert np.array_equal(batch[key], array), f"rows differ in {key}"
    one, other = found.statistics.fits, expected.statistics.fits
    for table, vocabulary in other["vocabularies"].items():
        assert one["vocabularies"][table].values.equals(vocabulary.values), f"vocabularies of {table} differ"
        assert np.array_equal(one["vocabularies"][table].counts, vocabulary.counts), f"counts of {table} differ"
    for name, edges in other["edges"].items():
        assert np.array_equal(one["edges"][name].ends, edges.ends), f"edges of {name} differ"
    for name, moments in other["moments"].items():
        fitted = one["moments"][name]
        pairs = [(fitted.mean, moments.mean), (fitted.deviation, moments.deviation)]
        assert all(abs(a - b) <= 1e-12 * max(abs(b), moments.deviation) for a, b in pairs), f"moments of {name} differ"


def check_large(path: Path, in_lists: bool) -> None:
    """Check fitting and encoding of a row group of 2.1 GiB of different texts.

    Raises:
        AssertionError: values differ from those written.
    """
    rows, size = 2200, 2**20
    column = pa.array([f"{k:04d}" + "x" * (size - 4) for k in range(rows)], pa.large_string())
    if in_lists:
        column = pa.LargeListArray.from_arrays(pa.array(range(rows + 1)), column)
    table = pa.table({"x": column, "y": np.arange(rows) % 2})
    pq.write_table(table, path, use_dictionary=False, compression="zstd")
    features = Features(columns={"x": {"type": "sequence" if in_lists else "categorical", "dim": 4}})
    groups = open_data(str(path))
    assert len(groups) == 1
    encoder = fit_encoder(features, Columns("y"), groups, seed=1)
    batch = encoder(groups[0].read(["x", "y"]), str(groups[0]))
    ids = batch["sequences/x"][:, 0] if in_lists else batch["ids"][:, 0]
    assert (ids == np.arange(rows) + 3).all()  # equal counts, so ids are in the order of the texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writers", nargs="+", default=["pyarrow", "duckdb", "polars", "fastparquet"])
    parser.add_argument("--large", action="store_true")
    args = parser.parse_args()
    failures = 0
    print("| writer | cases | read | rejected, as required | failed | s |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for writer in args.writers:
            started, counts = time.perf_counter(), Counter[str]()
            for case in [case for case in cases() if case.writer == writer]:
                try:
                    counts[check(case, Path(folder) / "case")] += 1
                except Exception as error:  # noqa: BLE001 - any exception is a failure of the case
                    counts["failed"] += 1
                    print(f"{case}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            failures += counts["failed"]
            row = (writer, counts.total(), counts["read"], counts["refused"], counts["failed"])
            print(f"| {' | '.join(map(str, row))} | {time.perf_counter() - started:.0f} |", flush=True)
        for in_lists in (False, True) if args.large else ():
            started = time.perf_counter()
            check_large(Path(folder) / "large.parquet", in_lists)
            what = "lists of text" if in_lists else "text"
            print(f"2.1 GiB of {what} in a row group: read, {time.perf_counter() - started:.0f} s", flush=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
