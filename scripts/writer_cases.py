"""A logical table, and cases of how pyarrow, DuckDB, Polars and fastparquet write it."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cache
from hashlib import md5
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import fastparquet
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 4500  # DuckDB's row groups have multiples of 2048
TEXTS = ["", "a", "é ü", "two\nlines", "%41", "a/b=c", " a", "NULL", "x" * 300, "\N{PILE OF POO}"]
CITIES = ["New York", "São Paulo", "a/b", "c=d", "+1", "100%", "%41"]
COARSE_TIMES = ("day", "ms", "us", "tz")  # for fastparquet, which writes dates as timestamps
PLAIN_CITIES = ["Rome", "Oslo"]  # of a writer without encodings
INTEGERS = {"i8": 8, "i16": 16, "i32": 32, "i64": 64, "u8": 8, "u16": 16, "u32": 32, "u64": 64}
FAR = [datetime(1, 1, 1), datetime(1582, 10, 4, 5, 6), datetime(2300, 1, 1, 23, 59, 59), datetime(9999, 12, 31, 23)]


@dataclass(frozen=True)
class Case:
    """A way of writing the table.

    Args:
        writer: name of the program.
        name: options of the program, in words.
        write: function that writes the table to a path: a file, or a folder with `key=value` folders.
        lacks: columns that the program cannot write.
        casts: `data.cast` settings by column that read it as in the logical table.
        error: pattern of the error that reading must raise; None: reading must give the logical table.
        expects: function from the written table to the expected one.
    """

    writer: str
    name: str
    write: Callable[[pa.Table, Path], None]
    lacks: tuple[str, ...] = ()
    casts: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    expects: Callable[[pa.Table], pa.Table] = lambda table: table

    def __str__(self) -> str:
        return f"{self.writer} {self.name}"


@cache
def logical_table() -> pa.Table:
    """Return a table with every type of a click log, edge cases and nulls."""
    rng = np.random.default_rng(1)

    def some(values: list[Any], type_: pa.DataType | None = None, nulls: float = 0.1) -> pa.Array:
        picked = [values[k] for k in rng.integers(0, len(values), ROWS)]
        is_null = rng.random(ROWS) < nulls
        return pa.array([None if null else value for value, null in zip(picked, is_null, strict=True)], type_)

    times = [datetime(2026, 1, 1) + timedelta(minutes=7 * k, milliseconds=k % 1000) for k in range(300)]
    fine = [time + timedelta(microseconds=k % 1000) for k, time in enumerate(times)]
    lists = [[], [1], [2, None, 3], [4] * 7]
    columns: dict[str, Any] = {"key": np.arange(ROWS)}
    for name, bits in INTEGERS.items():
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if name[0] == "i" else (0, 2**bits - 1)
        few = rng.integers(0, 100, 20).tolist()
        type_ = pa.type_for_alias(f"{'int' if name[0] == 'i' else 'uint'}{bits}")
        columns[name] = some([low, low + 1, high, high - 1, *few], type_)
    columns |= {
        "shop": some(list(range(50)), pa.int32()),
        "f32": some([0.0, -0.0, 1.5, 1e-40, 3e38, float("nan")], pa.float32()),
        "f64": some([*rng.normal(size=200).tolist(), float("nan"), 5e-324, 1e-300], pa.float64()),
        "dec": some([Decimal(k) / 100 for k in range(-500, 500, 7)], pa.decimal128(12, 4)),
        "flag": some([True, False]),
        "text": some([*TEXTS, *(f"id {k}" for k in range(400))]),
        "word": some(TEXTS),
        "kind": some(["aa", "bb", "cc"]).dictionary_encode(),
        "day": some([date(1, 1, 1), date(9999, 12, 31), *(date(2026, 1, k) for k in range(1, 32))]),
        "ms": some([*FAR, *times], pa.timestamp("ms")),
        "us": some([*FAR, *fine], pa.timestamp("us")),
        "ns": some(fine, pa.timestamp("ns")),
        "tz": some([time.replace(tzinfo=UTC) for time in [*FAR, *fine]], pa.timestamp("us", "UTC")),
        "ids": some(lists, pa.list_(pa.int64())),
        "words": some([[], ["a"], ["", None, "é"], ["a", "b"] * 4], pa.list_(pa.string())),
        "city": some(CITIES, nulls=0),
        "plain_city": some(PLAIN_CITIES, nulls=0),
        "w": some([0.5, 1.0, 2.0], pa.float32(), nulls=0),
        "y": some([0, 1], pa.int8(), nulls=0),
    }
    return pa.table(columns)


FEATURES: dict[str, dict[str, Any]] = {
    **{name: {"dim": 4} for name in INTEGERS},
    "shop": {"identity": 50, "dim": 4},
    **{name: {"type": "numeric"} for name in ("f32", "f64")},
    "dec": {"type": "numeric", "as": "buckets", "dim": 4},
    "flag": {"dim": 4},
    "text": {"vocabulary": {"min_count": 2}, "dim": 4},
    "word": {"hash": 101, "missing": ["NULL"], "dim": 4},
    "kind": {"dim": 4},
    "city": {"dim": 4},
    "plain_city": {"dim": 4},
    "day": {"part": "weekday", "dim": 4},
    **{name: {"part": "hour", "time_zone": "Asia/Tokyo", "dim": 4} for name in ("ms", "us", "tz")},
    "ns": {"part": "day", "dim": 4},
    "ids": {"type": "sequence", "max_length": 5, "dim": 4},
    "words": {"type": "sequence", "max_length": 5, "dim": 4},
}
"""Features of all columns except `key`, label `y` and weight `w`."""


def pyarrow_cases() -> Iterator[Case]:
    """Return cases of versions, pages, encodings, compressions, row groups, and of Arrow's stored schema."""
    integers = [*INTEGERS, "shop", "y", "key"]
    numbers = {**dict.fromkeys(integers, "DELTA_BINARY_PACKED"), "f32": "BYTE_STREAM_SPLIT", "f64": "BYTE_STREAM_SPLIT"}
    texts = ("text", "word", "kind", "city", "plain_city")
    encodings: dict[str, dict[str, Any]] = {
        "dictionary": {"use_dictionary": True},
        "dictionary that is full": {"use_dictionary": True, "dictionary_pagesize_limit": 64, "data_page_size": 1024},
        "plain": {"use_dictionary": False},
        "delta": {"use_dictionary": False, "column_encoding": {**numbers, **dict.fromkeys(texts, "DELTA_BYTE_ARRAY")}},
        "delta length": {
            "use_dictionary": False,
            "column_encoding": {**numbers, **dict.fromkeys(texts, "DELTA_LENGTH_BYTE_ARRAY")},
        },
    }
    versions, pages, codecs = ("1.0", "2.4", "2.6"), ("1.0", "2.0"), ("none", "snappy", "gzip", "brotli", "lz4", "zstd")
    sizes, notes, int96 = (ROWS, 1000, 97), (True, False), (False, True)
    for version, page, (encoding, options), codec, size, note, old in product(
        versions, pages, encodings.items(), codecs, sizes, notes, int96
    ):
        times = {"use_deprecated_int96_timestamps": old, "coerce_timestamps": None if old or version == "2.6" else "us"}
        name = f"{version}, pages {page}, {encoding}, {codec}, row groups of {size}"
        yield Case(
            "pyarrow",
            name + (", Arrow's schema" if note else "") + (", INT96" if old else ""),
            _pyarrow(
                version=version,
                data_page_version=page,
                compression=codec,
                row_group_size=size,
                store_schema=note,
                **times,
                **options,
            ),
        )
    yield Case("pyarrow", "in folders", _pyarrow_folders)
    yield Case("pyarrow", "text as binary", _pyarrow_binary, error="'text' has type binary.*{text: text}.*{text: hex}")
    yield Case("pyarrow", "text as binary, cast", _pyarrow_binary, casts={"text": "text"})
    yield Case("pyarrow", "ids as floats", _pyarrow_floats, error="column 'i16' has type double.*{i16: integer}")
    yield Case("pyarrow", "ids as floats, cast", _pyarrow_floats, casts={"i16": "integer"})
    yield Case("pyarrow", "a page with a value twice", _pyarrow_twice)
    yield Case("pyarrow", "a page with a value twice, Arrow's schema", _pyarrow_twice_noted)


def duckdb_cases() -> Iterator[Case]:
    """Return cases of versions, compressions, row groups, enumerations and folders."""
    codecs = ("uncompressed", "snappy", "gzip", "zstd", "lz4", "brotli")
    for version, codec, size in product(("V1", "V2"), codecs, (ROWS, 2048)):
        options = f"parquet_version {version}, compression {codec}, row_group_size {size}"
        yield Case("duckdb", options, _duckdb(options))
    for version in ("V1", "V2"):
        options = f"parquet_version {version}"
        enumerations = _duckdb(options, {"kind": "kind::kinds", "word": "word::words"})
        yield Case("duckdb", f"{options}, enumerations", enumerations)
        folders = _duckdb(f"{options}, partition_by (city), write_partition_columns false")
        yield Case("duckdb", f"{options}, in folders", folders)
        uuids = _duckdb(options, {"text": "md5(text)::uuid"})
        yield Case("duckdb", f"{options}, UUID", uuids, error="'text' has type uuid.*{text: text}.*{text: hex}")
        yield Case("duckdb", f"{options}, UUID, cast", uuids, casts={"text": "text"}, expects=_with_uuids)
        huge = _duckdb(options, {"i16": "i16::hugeint"})
        yield Case("duckdb", f"{options}, HUGEINT", huge, error="'i16' has type double.*{i16: integer}")
        yield Case("duckdb", f"{options}, HUGEINT, cast", huge, casts={"i16": "integer"})
        blob = _duckdb(options, {"text": "encode(text)"})
        yield Case("duckdb", f"{options}, BLOB", blob, error="'text' has type binary.*{text: text}.*{text: hex}")
        yield Case("duckdb", f"{options}, BLOB, cast", blob, casts={"text": "text"})


def polars_cases() -> Iterator[Case]:
    """Return cases of compressions, row groups, page sizes, categoricals, enumerations and folders."""
    codecs = ("uncompressed", "snappy", "gzip", "zstd", "lz4", "brotli")
    for codec, size, page in product(codecs, (ROWS, 1000, 97), (None, 512)):
        yield Case("polars", f"{codec}, row groups of {size}, pages of {page}", _polars(codec, size, page))
    yield Case("polars", "categoricals", _polars("zstd", 1000, None, pl.Categorical))
    yield Case("polars", "enumerations", _polars("zstd", 1000, None, pl.Enum))
    yield Case("polars", "in folders", _polars_folders)


def fastparquet_cases() -> Iterator[Case]:
    """Return cases of compressions, times, row groups, categoricals and folders.

    fastparquet does not write lists, and writes decimals as floats. Its INT96 of times that are not in nanoseconds are
    wrong by a factor of a thousand, also when it reads them itself, so they are left out.
    """
    lacks = ("ids", "words")
    codecs = (None, "SNAPPY", "GZIP", "ZSTD", "LZ4", "BROTLI")
    for codec, times, size in product(codecs, ("int64", "int96"), (ROWS, 1000, 97)):
        options = {"compression": codec, "times": times, "row_group_offsets": size}
        without = lacks if times == "int64" else (*lacks, *COARSE_TIMES)
        yield Case("fastparquet", f"{codec}, {times}, row groups of {size}", _fastparquet(**options), without)
    yield Case("fastparquet", "categoricals", _fastparquet(category=True), lacks)
    folders = {"file_scheme": "hive", "partition_on": ["plain_city"]}
    yield Case("fastparquet", "in folders, which it does not encode", _fastparquet(**folders), lacks)
    encodings = dict.fromkeys(("word", "kind", "city", "plain_city"), "utf8")
    as_bytes = _fastparquet(object_encoding={"text": "bytes", **encodings})
    yield Case("fastparquet", "text as binary", as_bytes, lacks, error="column 'text' has type binary.*{text: text}")
    yield Case("fastparquet", "text as binary, cast", as_bytes, lacks, casts={"text": "text"})


def cases() -> list[Case]:
    """Return the cases of all writers."""
    return [*pyarrow_cases(), *duckdb_cases(), *polars_cases(), *fastparquet_cases()]


def few_cases() -> list[Case]:
    """Return the special cases, and about twelve others per writer, which differ in more than one option."""
    chosen = []
    for of_writer in (pyarrow_cases(), duckdb_cases(), polars_cases(), fastparquet_cases()):
        listed = list(of_writer)
        is_special = [not any(word in case.name for word in ("row groups of", "row_group_size")) for case in listed]
        usual = [case for case, special in zip(listed, is_special, strict=True) if not special]
        step = max(1, len(usual) // 12)
        chosen += [case for case, special in zip(listed, is_special, strict=True) if special]
        chosen += usual[:: step if step % 2 else step + 1]  # odd, so that both of two alternating options occur
    return chosen


def _pyarrow(**options: Any) -> Callable[[pa.Table, Path], None]:
    return lambda table, path: pq.write_table(table, path, **options)


def _pyarrow_folders(table: pa.Table, path: Path) -> None:
    pq.write_to_dataset(table, path, partition_cols=["city"])


def _pyarrow_binary(table: pa.Table, path: Path) -> None:
    pq.write_table(_with(table, "text", table["text"].cast(pa.binary())), path)


def _pyarrow_floats(table: pa.Table, path: Path) -> None:
    pq.write_table(_with(table, "i16", table["i16"].cast(pa.float64())), path)


def _pyarrow_twice(table: pa.Table, path: Path, **options: Any) -> None:
    """Write a dictionary page with bb twice, by replacing the bytes of another text of the same length."""
    kinds = table["kind"].cast(pa.string()).to_pylist()
    seen = 0
    for row, kind in enumerate(kinds):
        if kind == "bb":
            seen += 1
            kinds[row] = "Z9" if seen % 2 else "bb"
    form = {"compression": "none", "write_statistics": False, **options}
    column = pa.array(kinds, pa.string())
    noted = _with(table, "kind", column.dictionary_encode() if options.get("store_schema") else column)
    pq.write_table(noted, path, **form)
    content = path.read_bytes()
    assert content.count(b"\x02\0\0\0Z9") == 1, "the page is not where it was"
    path.write_bytes(content.replace(b"\x02\0\0\0Z9", b"\x02\0\0\0bb"))


def _pyarrow_twice_noted(table: pa.Table, path: Path) -> None:
    _pyarrow_twice(table, path, store_schema=True)


def _duckdb(options: str, expressions: dict[str, str] | None = None) -> Callable[[pa.Table, Path], None]:
    """Write by COPY with `options`, some columns replaced by expressions."""

    def write(table: pa.Table, path: Path) -> None:
        with duckdb.connect() as connection:
            connection.execute("set threads = 1; set timezone = 'UTC'")  # one thread keeps rows in order
            words = ", ".join("'" + text.replace("'", "''") + "'" for text in ["unused 1", *TEXTS, "unused 2"])
            connection.execute("create type kinds as enum ('zz', 'yy', 'cc', 'never', 'aa', 'bb', 'last')")
            connection.execute(f"create type words as enum ({words})")
            plain = _with(table, "kind", table["kind"].cast(pa.string()))
            connection.register("logical", plain)
            changes = [f"{expression} as {name}" for name, expression in (expressions or {}).items()]
            replaced = f" replace ({', '.join(changes)})" if changes else ""
            query = f"select *{replaced} from logical"  # noqa: S608 - the SQL is of the cases above
            connection.execute(f"copy ({query}) to '{path}' (format parquet, {options})")

    return write


def _with_uuids(table: pa.Table) -> pa.Table:
    digests = [None if text is None else md5(text.encode()).hexdigest() for text in table["text"].to_pylist()]  # noqa: S324
    return _with(table, "text", pa.array([digest and str(UUID(digest)) for digest in digests]))


def _polars(codec: str, size: int, page: int | None, category: Any = None) -> Callable[[pa.Table, Path], None]:
    def write(table: pa.Table, path: Path) -> None:
        frame = _polars_frame(table)
        if category is pl.Categorical:
            frame = frame.with_columns(pl.col("kind", "word").cast(pl.Categorical))
        elif category is pl.Enum:
            kinds, words = pl.Enum(["zz", "aa", "bb", "cc", "never"]), pl.Enum(["unused", *TEXTS])
            frame = frame.with_columns(pl.col("kind").cast(kinds), pl.col("word").cast(words))
        frame.write_parquet(path, compression=codec, row_group_size=size, data_page_size=page)  # type: ignore[arg-type]

    return write


def _polars_folders(table: pa.Table, path: Path) -> None:
    _polars_frame(table).write_parquet(path, partition_by="city", mkdir=True)


def _polars_frame(table: pa.Table) -> pl.DataFrame:
    frame = pl.from_arrow(_with(table, "kind", table["kind"].cast(pa.string())))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _fastparquet(category: bool = False, **options: Any) -> Callable[[pa.Table, Path], None]:
    def write(table: pa.Table, path: Path) -> None:
        frame = _pandas_frame(table)
        if category:
            frame = frame.astype({"kind": "category", "word": "category"})
        if options.get("times") == "int96":
            frame = frame.drop(columns=list(COARSE_TIMES))
        if "object_encoding" in options:
            frame["text"] = [text.encode() if isinstance(text, str) else None for text in frame["text"]]
        fastparquet.write(str(path), frame, write_index=False, **options)

    return write


def _pandas_frame(table: pa.Table) -> pd.DataFrame:
    """Convert to what fastparquet can write: no lists; dates as timestamps, decimals as floats, null floats as NaN."""
    kept = table.drop_columns(["ids", "words"])
    kept = _with(kept, "kind", kept["kind"].cast(pa.string()))
    decimals = [None if value is None else float(value) for value in kept["dec"].to_pylist()]
    kept = _with(kept, "dec", pa.array(decimals, pa.float64()))
    kept = _with(kept, "day", kept["day"].cast(pa.timestamp("us")))
    types = {pa.type_for_alias(f"{u}int{bits}"): f"{u.upper()}Int{bits}" for u in ("", "u") for bits in (8, 16, 32, 64)}
    nullable = {type_: getattr(pd, f"{name}Dtype")() for type_, name in types.items()} | {pa.bool_(): pd.BooleanDtype()}
    frame = kept.to_pandas(types_mapper=nullable.get)
    texts = [field.name for field in kept.schema if pa.types.is_string(field.type)]
    return frame.astype(dict.fromkeys(texts, object))


def _with(table: pa.Table, name: str, column: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, column)


def remove(path: Path) -> None:
    """Delete a file or folder if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
