"""A file of another format is named by its first bytes, whatever its name says."""

import gzip
import sqlite3
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from features import DataError, open_data
from features.other_formats import HEAD, describe_format

TABLE = pa.table({"user": ["ä"] * 500, "item": list(range(500)), "clicked": [0, 1] * 250})


def write_stream(path):
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, TABLE.schema) as writer:
        writer.write_table(TABLE)


def write_gzip(path):
    with gzip.open(path, "wt") as file:
        TABLE.to_pandas().to_csv(file)


def write_zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("clicks.csv", "user,item\n")


def write_database(path):
    with sqlite3.connect(path) as connection:
        TABLE.to_pandas().to_sql("clicks", connection)


WRITERS = {
    "CSV": lambda path: pa.csv.write_csv(TABLE, path),
    "tab-separated text": lambda path: TABLE.to_pandas().to_csv(path, sep="\t"),
    "CSV with semicolons": lambda path: TABLE.to_pandas().to_csv(path, sep=";", encoding="utf-8-sig"),
    "JSON": lambda path: TABLE.to_pandas().to_json(path),
    "an ORC file": lambda path: pa.orc.write_table(TABLE, path),
    "an Arrow file (Feather)": lambda path: pa.feather.write_feather(TABLE, str(path)),
    "a Feather file": lambda path: path.write_bytes(b"FEA1" + bytes(90) + b"FEA1"),
    "an Arrow stream": write_stream,
    "an Avro file": lambda path: path.write_bytes(b'Obj\x01\x04\x16avro.schema{"type":"record"}' + bytes(90)),
    "an HDF5 file": lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(90)),
    "an SQLite database": write_database,
    "a gzip file": write_gzip,
    "a ZIP file": write_zip,
    "a bzip2 file": lambda path: TABLE.to_pandas().to_csv(path, compression="bz2"),
    "a Zstandard file": lambda path: path.write_bytes(pa.Codec("zstd").compress(b"user,item\n" * 50, asbytes=True)),
    "a Git LFS pointer": lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
    "a web page": lambda path: path.write_text("<!DOCTYPE html><html><title>404</title></html>"),
    "text": lambda path: path.write_text("clicks of March\n"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_of_another_format_is_named(name, tmp_path):
    path = tmp_path / "clicks.parquet"
    WRITERS[name](path)
    with pytest.raises(DataError) as error:
        open_data(str(path))
    message = str(error.value)
    assert message.startswith(f"{path}: not a readable Parquet file: it looks like {name}")
    assert message.endswith(("DuckDB or pandas.", "to Parquet if necessary.", "Run `git lfs pull`.", "file again."))


def test_json_lines_are_json(tmp_path):
    pd.DataFrame({"user": [1, 2]}).to_json(tmp_path / "a.parquet", orient="records", lines=True)
    with pytest.raises(DataError, match="it looks like JSON"):
        open_data(str(tmp_path))


def test_a_truncated_file_is_called_so(tmp_path):
    pq.write_table(TABLE, tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"no Parquet footer at its end, so it is truncated\. Write or download"):
        open_data(str(tmp_path))


@pytest.mark.parametrize("head", [b"", b"\n \n", bytes(100), b"\xe9t\xe9 2026", b"user\x00item", b"\xff\xfe"])
def test_other_bytes_are_not_guessed(head):
    assert describe_format(head) is None


@pytest.mark.parametrize("cut", range(1, 4))
def test_a_character_at_the_end_of_the_head_can_be_cut(cut):
    head = ("x," + "\U0001f600" * HEAD).encode()[: 2 + 4 * 100 + cut]
    assert describe_format(head) == describe_format(b"a,b")
