"""Files, folders and globs become row groups; splits divide their rows."""

import os
import re
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from features import DataError, Split, check_columns, count_rows, open_data, split_data, type_name
from features.parquet import TAIL, read_footer

SETS = ("train", "valid", "test")
few = settings(max_examples=30, deadline=None)


def write(path, *groups):
    """Write a Parquet file with one row group for each dict of columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tables = [group if isinstance(group, pa.Table) else pa.table(group) for group in groups]
    with pq.ParquetWriter(path, tables[0].schema) as writer:
        for table in tables:
            writer.write_table(table)
    return str(path)


def write_numbered(path, sizes, **columns):
    """Write rows with x = 0, 1, 2, ... in row groups of these sizes; further columns hold one value a row."""
    table = pa.table({"x": np.arange(sum(sizes)), **columns})
    starts = np.cumsum([0, *sizes])
    return write(path, *(table.slice(start, size) for start, size in zip(starts, sizes, strict=False)))


def column(row_groups, name="x"):
    return [value for group in row_groups for value in group.read([name])[name].to_pylist()]


@pytest.fixture
def clicks(tmp_path):
    """Write a folder whose files hold x = 1, 2, 3 in sorted order, among files that are ignored."""
    for name, x in [("b.parquet", 2), ("a/deep/a.parquet", 1), ("c/c.parquet", 3)]:
        write(tmp_path / "clicks" / name, {"x": [x]})
    for name in ["_a.parquet", ".a.parquet", "_temporary/a.parquet", "c/.hidden/a.parquet"]:
        write(tmp_path / "clicks" / name, {"x": [-1]})
    (tmp_path / "clicks" / "notes.txt").write_text("no data")
    return tmp_path / "clicks"


# Where files are found


def test_a_file_is_its_row_groups(tmp_path):
    row_groups = open_data(write_numbered(tmp_path / "a.parquet", [2, 3]))
    assert [(group.index, group.rows) for group in row_groups] == [(0, 2), (1, 3)]
    assert count_rows(row_groups) == 5
    assert column(row_groups) == [0, 1, 2, 3, 4]


def test_a_row_group_is_named_by_file_and_number(tmp_path):
    path = write_numbered(tmp_path / "a.parquet", [2, 3])
    assert str(open_data(path)[1]) == f"{path}, row group 1"


def test_a_file_may_have_any_name(tmp_path):
    assert column(open_data(write(tmp_path / "_part-0", {"x": [1]}))) == [1]


@pytest.mark.parametrize("ending", ["", "/", "//"], ids=repr)
def test_a_folder_is_all_parquet_files_below_it_in_sorted_order(clicks, ending):
    assert column(open_data(f"{clicks}{ending}")) == [1, 2, 3]


@pytest.mark.parametrize("place", ["_clicks", ".clicks", "_a/clicks"])
def test_a_folder_that_is_asked_for_may_start_with_an_underscore_or_dot(tmp_path, place):
    write(tmp_path / place / "a.parquet", {"x": [1]})
    assert column(open_data(str(tmp_path / place))) == [1]
    assert column(open_data(f"{tmp_path}/{place}/*.parquet")) == [1]


@pytest.mark.parametrize("path", [".", "./", "../clicks", "./a/../", "clicks/.."])
def test_a_relative_folder_is_relative_to_the_working_directory(clicks, monkeypatch, path):
    monkeypatch.chdir(clicks)
    (clicks / "clicks").mkdir()
    assert column(open_data(path)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.parquet", [2]),
        ("b*", [2]),
        ("?.parquet", [2]),
        ("*/c.parquet", [3]),
        ("*/*.parquet", [3]),
        ("**/*.parquet", [1, 2, 3]),
        ("**/a.parquet", [1]),
        ("a/**/*.parquet", [1]),
        ("c/**/c.parquet", [3]),
        ("[ab].parquet", [2]),
        ("[a-c]/[a-c].parquet", [3]),
        ("[!a]/*.parquet", [3]),
    ],
)
def test_a_glob_is_the_files_that_match_it(clicks, pattern, expected):
    assert column(open_data(f"{clicks}/{pattern}")) == expected


@pytest.mark.parametrize("start", ["", "./", "../clicks/", "./../clicks/"])
def test_a_relative_glob_is_relative_to_the_working_directory(clicks, monkeypatch, start):
    monkeypatch.chdir(clicks)
    assert column(open_data(f"{start}*.parquet")) == [2]
    assert column(open_data(f"{start}**/*.parquet")) == [1, 2, 3]


NAMES = [
    "clicks[1].parquet",
    "data [2026]/a.parquet",
    "what?/a.parquet",
    "day-*.parquet",
    "a[.parquet",
    "[!a]/b*/a.parquet",
]


@pytest.fixture(params=["local", "remote"])
def place(request, tmp_path, monkeypatch):
    """Return a folder and the prefix of paths in it: that of the local disk, or the URI of another file system."""
    if request.param == "local":
        return tmp_path, f"{tmp_path}/"
    remote = pa.fs.SubTreeFileSystem(str(tmp_path), pa.fs.LocalFileSystem())
    known = pa.fs.FileSystem.from_uri

    def from_uri(uri):
        return (remote, uri.removeprefix("bucket://")) if uri.startswith("bucket://") else known(uri)

    monkeypatch.setattr(pa.fs, "FileSystem", SimpleNamespace(from_uri=from_uri))
    return tmp_path, "bucket://"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_or_folder_that_exists_is_no_glob(place, name):
    folder, before = place
    write(folder / name, {"x": [1]})
    for plain in ("clicks1.parquet", "data 2/a.parquet", "whats/a.parquet", "day-2.parquet", "b/b2/a.parquet"):
        write(folder / plain, {"x": [2]})
    assert column(open_data(before + name)) == [1]
    assert column(open_data([before + name])) == [1]
    if "/" in name:
        parent = name.rpartition("/")[0]
        for path in (parent, f"{parent}/", f"{parent}/*.parquet", f"{parent}/[ab].parquet", f"{parent}/**/a.parquet"):
            assert column(open_data(before + path)) == [1], path
        for path in ("a.parquet", "*.parquet", ["?.parquet"], "."):
            assert column(open_data(path, root=before + parent)) == [1], path


def test_a_name_with_brackets_is_the_file_of_that_name_and_a_glob_only_without_it(place):
    folder, before = place
    write(folder / "a[1].parquet", {"x": [0]})
    write(folder / "a1.parquet", {"x": [1]})
    assert column(open_data(f"{before}a[1].parquet")) == [0]
    assert column(open_data(f"{before}a1.parquet")) == [1]
    assert column(open_data(f"{before}a*.parquet")) == [1, 0]
    (folder / "a[1].parquet").unlink()
    assert column(open_data(f"{before}a[1].parquet")) == [1]


def test_a_uri_of_a_name_with_brackets_is_percent_encoded(tmp_path):
    write(tmp_path / "data [2026]" / "a[1].parquet", {"x": [1]})
    write(tmp_path / "data 2" / "a1.parquet", {"x": [2]})
    assert column(open_data(f"file://{tmp_path}/data%20%5B2026%5D/a%5B1%5D.parquet")) == [1]


def test_a_relative_name_with_brackets_is_no_glob(tmp_path, monkeypatch):
    write(tmp_path / "data [2026]" / "a.parquet", {"x": [1]})
    monkeypatch.chdir(tmp_path)
    for path in ("data [2026]", "./data [2026]/", "data [2026]/*.parquet", "data [2026]/../data [2026]/a*"):
        assert column(open_data(path)) == [1]


def test_in_a_glob_a_dot_is_a_dot(tmp_path):
    write(tmp_path / "aXparquet", {"x": [0]})
    write(tmp_path / "a.parquet", {"x": [1]})
    assert column(open_data(f"{tmp_path}/*.parquet")) == [1]


def test_a_list_is_the_sum_of_its_paths(clicks):
    assert column(open_data([f"{clicks}/a", f"{clicks}/b.parquet", f"{clicks}/c/*"])) == [1, 2, 3]


@pytest.mark.parametrize("again", ["b.parquet", "./b.parquet", "*.parquet", ""])
def test_a_file_that_is_named_twice_is_an_error(clicks, again):
    with pytest.raises(DataError, match=r"b\.parquet: the dataset lists this file twice"):
        open_data([f"{clicks}/b.parquet", f"{clicks}/{again}"])


@pytest.mark.parametrize("root", ["{}", "{}/"])
def test_paths_are_relative_to_a_root(clicks, root):
    root = root.format(clicks.parent)
    assert column(open_data("clicks", root)) == [1, 2, 3]
    assert column(open_data(["clicks/b.parquet", "clicks/c/*"], root)) == [2, 3]


def test_an_absolute_path_stands_outside_the_root(clicks):
    assert column(open_data(f"{clicks}/b.parquet", root="/nowhere")) == [2]


def test_a_uri_is_a_path(clicks):
    assert column(open_data(f"file://{clicks}", root="/nowhere")) == [1, 2, 3]


def test_lists_of_nulls_are_read_as_they_are(tmp_path):
    rows = [[None, None, None], None, [], [None]]
    pq.write_table(pa.table({"tags": pa.array(rows, pa.list_(pa.null()))}), tmp_path / "a.parquet", row_group_size=2)
    tables = [group.read(["tags"]) for group in open_data(str(tmp_path / "a.parquet"))]
    assert pa.concat_tables(tables)["tags"].to_pylist() == rows


def test_files_and_row_groups_without_rows_are_skipped(tmp_path):
    empty = pa.table({"x": pa.array([], pa.int64())})
    write(tmp_path / "a.parquet", empty)
    write(tmp_path / "b.parquet", {"x": [1]}, empty, {"x": [2]})
    assert column(open_data(str(tmp_path))) == [1, 2]


def test_a_file_that_the_system_does_not_open_is_an_error_with_its_reason(clicks, monkeypatch):
    def refuse(filesystem, path):
        raise PermissionError(13, f"Failed to open local file '{path}'. Detail: [errno 13] Permission denied")

    monkeypatch.setattr("features.row_groups._version", refuse)
    with pytest.raises(DataError, match=r"\.parquet: cannot read the file: Permission denied\. Check that it exists"):
        open_data(str(clicks))


def test_a_relative_path_that_does_not_exist_names_the_working_directory(clicks, monkeypatch):
    monkeypatch.chdir(clicks)
    place = f"in {clicks}, the working directory. Check the p"
    for path, root in (("absent", None), ("b/x-*.parquet", None), ("absent", "b")):
        with pytest.raises(DataError, match=re.escape(place)):
            open_data(path, root)
    with pytest.raises(DataError, match=r"/b/absent: no such file or folder\. Check the path\.$"):
        open_data("absent", str(clicks / "b"))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("clicks.parquet", "no such file or folder"),
        ("clicks/*.csv", "no file matches"),
        ("nowhere/*.parquet", "no file matches"),
        ("empty", "no *.parquet files in this folder"),
        ("clicks/notes.txt", "not a readable Parquet file"),
        ("nothing.parquet", "not a readable Parquet file"),
        ("rowless.parquet", "no rows"),
    ],
)
def test_a_path_without_data_is_an_error_that_names_it(clicks, path, reason):
    root = clicks.parent
    (root / "empty").mkdir()
    (root / "nothing.parquet").touch()
    write(root / "rowless.parquet", pa.table({"x": pa.array([], pa.int64())}))
    with pytest.raises(DataError) as error:
        open_data(path, str(root))
    assert f"{root}/{path}" in str(error.value) or path in str(error.value)
    assert reason in str(error.value)


def test_an_unknown_kind_of_uri_is_an_error():
    with pytest.raises(DataError, match="nosuch://bucket/clicks"):
        open_data("nosuch://bucket/clicks")


# Folders as columns


def write_folders(root, folders):
    for x, folder in enumerate(folders):
        write(root / folder / "a.parquet", {"x": [x, x]})


@pytest.mark.parametrize(
    ("texts", "type_", "expected"),
    [
        (["1", "10", "-3"], pa.int64(), [1, 10, -3]),
        (["2026-01-01", "2026-01-02"], pa.date32(), [date(2026, 1, 1), date(2026, 1, 2)]),
        (["de", "at"], pa.large_string(), ["de", "at"]),
        (["1", "de"], pa.large_string(), ["1", "de"]),
        (["00", "01"], pa.large_string(), ["00", "01"]),
        (["0000-00-00", "2026-01-01"], pa.large_string(), ["0000-00-00", "2026-01-01"]),
        (["a=b"], pa.large_string(), ["a=b"]),
        (["-0", "0"], pa.large_string(), ["-0", "0"]),
        (["0.5", "1.10"], pa.large_string(), ["0.5", "1.10"]),
        (["New%20York", "S%C3%A3o%20Paulo"], pa.large_string(), ["New York", "São Paulo"]),
        (["a%2Fb", "a%3Db", "a%2fb%2"], pa.large_string(), ["a/b", "a=b", "a/b%2"]),
        (["a+b", "%2B", "%", "100%", "%zz"], pa.large_string(), ["a+b", "+", "%", "100%", "%zz"]),
        (["%2541", "%0A"], pa.large_string(), ["%41", "\n"]),
        (["%31", "2"], pa.int64(), [1, 2]),
        (["", "x"], pa.large_string(), ["", "x"]),
        (["7", "__HIVE_DEFAULT_PARTITION__"], pa.int64(), [7, None]),
        (["2026-01-01", "__HIVE_DEFAULT_PARTITION__"], pa.date32(), [date(2026, 1, 1), None]),
        (["de", "__HIVE_DEFAULT_PARTITION__"], pa.large_string(), ["de", None]),
    ],
    ids=str,
)
def test_a_folder_named_key_value_is_a_typed_column(tmp_path, texts, type_, expected):
    write_folders(tmp_path, [f"k={text}" for text in texts])
    row_groups = open_data(str(tmp_path))
    assert {group.file.schema.field("k").type for group in row_groups} == {type_}
    assert {group.read(["k"])["k"].type for group in row_groups} == {type_}
    assert set(column(row_groups, "k")) == set(expected)


def test_folder_columns_are_read_beside_stored_ones_in_the_order_asked_for(tmp_path):
    write_folders(tmp_path, ["dt=2026-01-01/hour=5", "dt=2026-01-02/hour=6"])
    table = open_data(str(tmp_path))[1].read(["hour", "x", "dt"])
    assert table.column_names == ["hour", "x", "dt"]
    assert table.to_pydict() == {"hour": [6, 6], "x": [1, 1], "dt": [date(2026, 1, 2)] * 2}


@pytest.mark.parametrize("names", [["k"], ["x"], ["k", "x"]], ids=str)
def test_folder_columns_of_a_selection_are_as_long_as_it(tmp_path, names):
    write_folders(tmp_path, ["k=5"])
    group = replace(open_data(str(tmp_path))[0], rows=1, selected=np.packbits([False, True]).tobytes())
    assert group.read(names).to_pydict() == {name: [5 if name == "k" else 0] for name in names}


@pytest.mark.parametrize("path", ["", "k=5", "k=5/a.parquet", "*/*.parquet", "k=5/*.parquet"])
def test_folders_are_columns_however_the_files_are_named(tmp_path, path):
    write_folders(tmp_path, ["k=5", "k=6"])
    assert set(column(open_data(f"{tmp_path}/{path}"), "k")) == ({5, 6} if path in ("", "*/*.parquet") else {5})


def test_the_key_of_a_folder_is_decoded_too(tmp_path):
    write_folders(tmp_path, ["a%20b=5"])
    assert column(open_data(str(tmp_path)), "a b") == [5, 5]


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("k=%FF", "'%FF' .* not UTF-8"),
        ("%C3=1", "'%C3' .* not UTF-8"),
        ("k=a%00", "'a%00' .* NUL"),
        ("k=1/k=2", "both k=1"),
    ],
)
def test_a_folder_whose_name_cannot_be_a_column_is_an_error_that_names_it(tmp_path, folder, reason):
    write_folders(tmp_path, [folder])
    with pytest.raises(DataError, match=rf"{re.escape(folder)}/a\.parquet: .*{reason}"):
        open_data(str(tmp_path))


def test_a_folder_that_says_the_same_twice_is_one_column(tmp_path):
    write_folders(tmp_path, ["k=1/k=1"])
    assert column(open_data(str(tmp_path)), "k") == [1, 1]


def test_a_stored_column_wins_over_a_folder(tmp_path):
    write(tmp_path / "x=7" / "a.parquet", {"x": [1, 2]})
    assert column(open_data(str(tmp_path))) == [1, 2]


# Columns


def test_every_file_is_checked_for_its_columns(tmp_path):
    write(tmp_path / "a.parquet", {"user": [1], "item": [2]})
    path = write(tmp_path / "b.parquet", {"usr": [1], "item": [2]})
    with pytest.raises(DataError) as error:
        check_columns(open_data(str(tmp_path)), ["item", "user"], lambda schema, where: None)
    for part in (path, "'user'", "did you mean 'usr'?"):
        assert part in str(error.value)


def test_every_file_is_shown_to_the_check_once(tmp_path):
    paths = [write_numbered(tmp_path / name, [1, 1]) for name in ("a.parquet", "b.parquet")]
    shown = []
    check_columns(open_data(str(tmp_path)), ["x"], lambda schema, where: shown.append((schema.names, where)))
    assert shown == [(["x"], path) for path in paths]


# Reading


@pytest.fixture(scope="module")
def numbered(tmp_path_factory):
    return open_data(write_numbered(tmp_path_factory.mktemp("data") / "a.parquet", [3, 21]))[1]


@given(mask=st.lists(st.booleans(), min_size=21, max_size=21))
@few
def test_a_selection_reads_exactly_its_rows_in_order(numbered, mask):
    group = replace(numbered, rows=sum(mask), selected=np.packbits(mask).tobytes())
    assert column([group]) == [3 + row for row, selected in enumerate(mask) if selected]


def test_without_a_selection_all_rows_are_read(numbered):
    assert column([numbered]) == list(range(3, 24))


def test_only_the_columns_asked_for_are_read_each_once(tmp_path):
    path = write(tmp_path / "a.parquet", {"a": [1], "b": [2], "a.c": [3], "list": [[4, 5]]})
    group = open_data(path)[0]
    assert group.read(["list", "b", "list"]).to_pydict() == {"list": [[4, 5]], "b": [2]}
    assert group.read(["a"]).to_pydict() == {"a": [1]}
    assert group.read(["a.c"]).to_pydict() == {"a.c": [3]}


def test_whoever_noted_arrow_types_beside_them_columns_have_the_types_of_parquet(tmp_path):
    arrow = {
        "text": pa.array(["x", None]).dictionary_encode(),
        "view": pa.array(["x", "y"], pa.string_view()),
        "number": pa.array([5, None], pa.int16()).dictionary_encode(),
        "list": pa.array([["x"], None], pa.list_(pa.string(), 1)),
        "bytes": pa.array([b"x", b"\xff"]),
        "time": pa.array([0, 1], pa.timestamp("us", "Asia/Tokyo")),
        "json": pa.array(["{}", None], pa.json_()),
        "jsons": pa.LargeListArray.from_arrays([0, 1, 1], pa.array(["{}"], pa.json_())),
        "uuid": pa.array([bytes(range(16)), None], pa.uuid()),
    }
    pq.write_table(pa.table(arrow), tmp_path / "noted.parquet")
    pq.write_table(pa.table(arrow), tmp_path / "bare.parquet", store_schema=False)
    noted, bare = (open_data(str(tmp_path / name))[0] for name in ("noted.parquet", "bare.parquet"))
    assert noted.file.schema == bare.file.schema
    types = ["string", "string", "int16", "list<element: string>", "binary", "timestamp[us, tz=UTC]"]
    types += ["string", "list<element: string>", "uuid"]
    assert [type_name(field.type) for field in noted.file.schema] == types
    table = noted.read(arrow)
    assert table.schema == noted.file.schema
    assert table.equals(bare.read(arrow))
    assert table.to_pylist() == pa.table(arrow).to_pylist()


def test_arrow_types_of_a_file_with_a_column_called_as_they_are(tmp_path):
    pq.write_table(pa.table({"ARROW:schema": pa.array(["x"]).dictionary_encode()}), tmp_path / "a.parquet")
    group = open_data(str(tmp_path))[0]
    assert group.read(["ARROW:schema"]).to_pydict() == {"ARROW:schema": ["x"]}


@pytest.mark.parametrize("ending", [b"1234,567\n", b"\xff\xff\xff\xffPAR1"], ids=["another kind", "a length beyond it"])
def test_of_a_large_file_that_is_none_only_the_end_is_read(tmp_path, ending):
    path = tmp_path / "a.parquet"
    with path.open("wb") as file:
        file.seek(2**30)
        file.write(ending)
    before = pa.total_allocated_bytes()
    with path.open("rb") as file, pa.PythonFile(file) as opened, pytest.raises(pa.ArrowInvalid):
        read_footer(opened)
    assert pa.total_allocated_bytes() - before < 2**20
    with pytest.raises(DataError, match=r"a\.parquet: not a readable Parquet file: no Parquet footer"):
        open_data(str(path))


def test_a_footer_larger_than_the_tail_that_is_read_first_is_read(tmp_path):
    names = [f"column {k} with a long name {'x' * 200}" for k in range(400)]
    pq.write_table(pa.table({name: [k] for k, name in enumerate(names)}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size > TAIL
    assert open_data(str(tmp_path))[0].read(names[-1:]).to_pydict() == {names[-1]: [399]}


def test_a_row_group_that_memory_cannot_hold_says_what_helps(tmp_path, monkeypatch):
    group = open_data(write_numbered(tmp_path / "a.parquet", [2]))[0]

    def fail(*arguments, **options):
        raise pa.ArrowMemoryError("malloc of size 64 failed")

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", fail)
    with pytest.raises(
        DataError, match=r"a\.parquet, row group 0: .*malloc.*\n.* smaller row groups, .*row_group_size"
    ):
        group.read(["x"])


REPLACEMENTS = {
    "gone": None,
    "garbage": b"not Parquet",
    "more rows": [{"x": [0, 1]}, {"x": [2, 3, 4]}],
    "fewer rows": [{"x": [0, 1]}, {"x": [2]}],
    "fewer row groups": [{"x": [0, 1, 2, 3]}],
    "other columns": [{"z": [0, 1]}, {"z": [2, 3]}],
    "another type": [{"x": ["0", "1"]}, {"x": ["2", "3"]}],
    "other values": [{"x": [9, 9]}, {"x": [9, 9]}],
}


@pytest.mark.parametrize("selected", [None, np.packbits([True, True]).tobytes()], ids=["all rows", "selection"])
@pytest.mark.parametrize("replacement", REPLACEMENTS.values(), ids=REPLACEMENTS)
def test_a_file_replaced_in_use_is_an_error_that_names_it(tmp_path, replacement, selected):
    path = tmp_path / "a.parquet"
    write_numbered(path, [2, 2])
    os.utime(path, (0, 0))  # clocks of file systems are coarse, so the replacement gets a later time
    group = replace(open_data(str(path))[1], selected=selected)
    path.unlink()
    if isinstance(replacement, bytes):
        path.write_bytes(replacement)
    elif replacement is not None:
        write(path, *replacement)
    with pytest.raises(DataError, match=r"a\.parquet, row group 1"):
        group.read(["x"])


# Splits

fractions = st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.25, 0.25), (0.6, 0.4, 0.0), (0.9, 0.0, 0.1), (1.0, 0.0, 0.0)])


def split(row_groups, by, parts, seed=1, **settings):
    return split_data(row_groups, Split(by=by, fractions=parts, **settings), seed)


def split_or_reject(row_groups, *args, **settings):
    """Return the split, or reject the example if its rows are too few to fill every split."""
    try:
        return split(row_groups, *args, **settings)
    except DataError as error:
        if "leaves no rows" not in str(error):
            raise
        reject()


def union(sets):
    return [x for name in SETS for x in column(sets[name])]


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5), parts=fractions)
@few
def test_a_split_by_rows_cuts_the_files_in_their_order(tmp_path_factory, sizes, parts):
    rows = sum(sizes)
    row_groups = open_data(write_numbered(tmp_path_factory.mktemp("data") / "a.parquet", sizes))
    sets = split_or_reject(row_groups, "rows", parts)
    first, second = (len(column(sets[name])) for name in SETS[:2])
    assert union(sets) == list(range(rows))
    assert abs(first - rows * parts[0]) <= 0.5 + 1e-9
    assert abs(first + second - rows * (parts[0] + parts[1])) <= 0.5 + 1e-9


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5), parts=fractions, seed=st.integers(0, 2**32))
@few
def test_a_split_at_random_gives_every_row_to_one_set_in_file_order(tmp_path_factory, sizes, parts, seed):
    row_groups = open_data(write_numbered(tmp_path_factory.mktemp("data") / "a.parquet", sizes))
    sets = split_or_reject(row_groups, "random", parts, seed)
    found = [column(sets[name]) for name in SETS]
    assert sorted(union(sets)) == list(range(sum(sizes)))
    assert all(rows == sorted(rows) for rows in found)
    assert all(bool(rows) == (part > 0) for rows, part in zip(found, parts, strict=True))


def test_a_split_at_random_has_about_the_sizes_asked_for(tmp_path):
    rows, parts = 20_000, (0.7, 0.2, 0.1)
    sets = split(open_data(write_numbered(tmp_path / "a.parquet", [7000, 13_000])), "random", parts)
    for name, part in zip(SETS, parts, strict=True):
        assert abs(count_rows(sets[name]) - rows * part) < 5 * (rows * part * (1 - part)) ** 0.5


def test_a_split_at_random_is_drawn_from_the_seed(tmp_path):
    row_groups = open_data(write_numbered(tmp_path / "a.parquet", [500]))
    one, same, other = (column(split(row_groups, "random", (0.5, 0.5, 0), seed)["train"]) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_row_groups_of_one_size_are_split_at_random_in_their_own_ways(tmp_path):
    sets = split(open_data(write_numbered(tmp_path / "a.parquet", [100, 100])), "random", (0.5, 0.5, 0))
    first, second = ([x % 100 for x in column([group])] for group in sets["train"])
    assert first != second


def test_files_that_come_after_do_not_change_where_rows_go_at_random(tmp_path):
    write_numbered(tmp_path / "a.parquet", [40, 60])
    before = split(open_data(str(tmp_path)), "random", (0.6, 0.2, 0.2))
    write(tmp_path / "b.parquet", {"x": np.arange(100, 150)})
    after = split(open_data(str(tmp_path)), "random", (0.6, 0.2, 0.2))
    for name in SETS:
        assert [x for x in column(after[name]) if x < 100] == column(before[name])


def nearest_boundaries(times, parts):
    """Return, for each cut, the rows before the nearest boundary between two instants; both if two are equally near."""
    boundaries = [0, *(k for k, (a, b) in enumerate(pairwise(sorted(times)), 1) if a != b), len(times)]
    wanted = [len(times) * parts[0], len(times) * (parts[0] + parts[1])]
    best = [min(abs(b - cut) for b in boundaries) for cut in wanted]
    return [{b for b in boundaries if abs(b - cut) <= least + 1e-9} for cut, least in zip(wanted, best, strict=True)]


@given(times=st.lists(st.integers(-50, 50), min_size=1, max_size=40), parts=fractions, size=st.integers(1, 15))
@few
def test_a_split_by_time_cuts_between_the_instants_nearest_to_the_fractions(tmp_path_factory, times, parts, size):
    path = tmp_path_factory.mktemp("data") / "a.parquet"
    sizes = [min(size, len(times) - start) for start in range(0, len(times), size)]
    sets = split_or_reject(open_data(write_numbered(path, sizes, ts=times)), "time", parts, column="ts")

    found = [column(sets[name], "ts") for name in SETS]
    ends = [len(found[0]), len(found[0]) + len(found[1])]
    allowed = nearest_boundaries(times, parts)

    assert sorted(union(sets)) == list(range(len(times)))
    assert all(max(earlier) < min(later) for earlier, later in pairwise(rows for rows in found if rows))
    assert all(end in boundaries for end, boundaries in zip(ends, allowed, strict=True))


def test_rows_of_one_instant_stay_together(tmp_path):
    times = [1] * 10 + [2] * 70 + [3] * 20
    path = write_numbered(tmp_path / "a.parquet", [50, 50], ts=times)
    sets = split(open_data(path), "time", (0.5, 0.5, 0), column="ts")
    assert [set(column(sets[name], "ts")) for name in SETS] == [{1, 2}, {3}, set()]


def test_a_cut_by_time_is_within_a_step_of_2_to_the_20_of_the_whole_span(tmp_path):
    times = np.random.default_rng(0).permutation(np.arange(10_000) * 86_400_000_000 // 100)
    row_groups = open_data(write_numbered(tmp_path / "a.parquet", [4000, 6000], ts=times))
    sets = split(row_groups, "time", (0.8, 0.1, 0.1), column="ts")
    found = [column(sets[name], "ts") for name in SETS]
    assert [len(rows) for rows in found] == [8000, 1000, 1000]
    assert [time for rows in found for time in sorted(rows)] == sorted(times)


@pytest.mark.parametrize(
    "type_",
    [
        pa.timestamp("s"),
        pa.timestamp("ms"),
        pa.timestamp("us"),
        pa.timestamp("ns"),
        pa.timestamp("ms", tz="Asia/Tokyo"),
        pa.date32(),
        pa.date64(),
    ],
    ids=str,
)
def test_times_of_different_units_are_compared_as_instants(tmp_path, type_):
    days = [datetime(1969, 12, 27) + timedelta(days=k) for k in range(10)]
    early, late = pa.array(days[:5], pa.timestamp("us")), pa.array(days[5:], pa.timestamp("us"))
    naive = type_ if pa.types.is_date(type_) else pa.timestamp(type_.unit)
    write(tmp_path / "a.parquet", {"x": [5, 6, 7, 8, 9], "ts": late.cast(naive).cast(type_)})
    write(tmp_path / "b.parquet", {"x": [0, 1, 2, 3, 4], "ts": early})
    sets = split(open_data(str(tmp_path)), "time", (0.4, 0.3, 0.3), column="ts")
    assert [sorted(column(sets[name])) for name in SETS] == [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]


@pytest.mark.parametrize("type_", [pa.int8(), pa.int32(), pa.uint16(), pa.uint64()], ids=str)
def test_integers_of_every_width_are_times(tmp_path, type_):
    path = write_numbered(tmp_path / "a.parquet", [2, 3], ts=pa.array([3, 1, 0, 4, 2], type_))
    sets = split(open_data(path), "time", (0.4, 0.4, 0.2), column="ts")
    assert [column(sets[name], "ts") for name in SETS] == [[1, 0], [3, 2], [4]]


def test_a_split_by_time_may_use_a_folder(tmp_path):
    write_folders(tmp_path, ["dt=2026-01-03", "dt=2026-01-01", "dt=2026-01-02"])
    sets = split(open_data(str(tmp_path)), "time", (0.4, 0.3, 0.3), column="dt")
    assert [column(sets[name]) for name in SETS] == [[1, 1], [2, 2], [0, 0]]


def test_times_that_are_counts_in_one_file_and_timestamps_in_another_are_an_error(tmp_path):
    write(tmp_path / "a.parquet", {"ts": pa.array([datetime(2026, 1, 1), datetime(2026, 1, 2)])})
    write(tmp_path / "b.parquet", {"ts": [1_767_225_600, 1_767_312_000]})
    with pytest.raises(DataError, match="'ts'"):
        split(open_data(str(tmp_path)), "time", (0.5, 0.5, 0), column="ts")


def test_a_null_time_is_an_error_that_says_where(tmp_path):
    path = write(tmp_path / "a.parquet", {"ts": [1, 2]}, {"ts": [None, 3]})
    with pytest.raises(DataError) as error:
        split(open_data(path), "time", (0.5, 0.5, 0), column="ts")
    for part in (f"{path}, row group 1", "'ts'", "1 null"):
        assert part in str(error.value)


@pytest.mark.parametrize("type_", [pa.string(), pa.float64(), pa.bool_()], ids=str)
def test_a_time_without_an_order_in_time_is_an_error_that_names_its_type(tmp_path, type_):
    path = write(tmp_path / "a.parquet", {"ts": pa.array([0, 1]).cast(type_)})
    with pytest.raises(DataError, match=f"{path}, row group 0.*'ts' of type {type_}.*timestamp, date or integer"):
        split(open_data(path), "time", (0.5, 0.5, 0), column="ts")


@pytest.mark.parametrize("by", ["rows", "random", "time"])
def test_a_set_that_would_be_empty_is_an_error_that_names_it(tmp_path, by):
    path = write_numbered(tmp_path / "a.parquet", [1])
    with pytest.raises(DataError, match=f"the split by {by} leaves no rows for"):
        split(open_data(path), by, (0.5, 0.25, 0.25), **({"column": "x"} if by == "time" else {}))


@pytest.mark.parametrize("by", ["rows", "random", "time"])
def test_a_set_may_be_split_again(tmp_path, by):
    settings = {"column": "x"} if by == "time" else {}
    row_groups = open_data(write_numbered(tmp_path / "a.parquet", [30, 70]))
    train = split(row_groups, "random", (0.5, 0.5, 0))["train"]
    sets = split(train, by, (0.5, 0.3, 0.2), seed=2, **settings)
    assert sorted(union(sets)) == column(train)


@pytest.mark.parametrize("paths", [3, None, [3], ["a", None], {"a": 1}])
def test_paths_of_another_type_are_an_error(paths):
    with pytest.raises(
        DataError, match=r"data: expected a path or a list of paths, got \w+\. Pass a path, a glob or a"
    ):
        open_data(paths)


def test_paths_can_be_path_objects(tmp_path):
    pq.write_table(pa.table({"a": [1, 2]}), tmp_path / "a.parquet")
    expected = open_data(str(tmp_path))
    assert [group.file.path for group in expected] == [str(tmp_path / "a.parquet")]
    for paths in (tmp_path, [tmp_path / "a.parquet"], (tmp_path,)):
        assert [(group.file.path, group.rows) for group in open_data(paths)] == [(expected[0].file.path, 2)]
    with pytest.raises(DataError, match="data: an empty list of paths"):
        open_data([])


def test_a_column_that_another_feature_reads_is_not_meant(tmp_path):
    pq.write_table(pa.table({"user_age": [1], "items": ["a"]}), tmp_path / "a.parquet")
    groups = open_data(tmp_path)
    with pytest.raises(DataError) as error:
        check_columns(groups, ["user", "user_age"], lambda schema, where: None)
    assert str(error.value).endswith("a.parquet: no column 'user'; known: user_age, items")
    with pytest.raises(DataError, match=r"no column 'item'; did you mean 'items'\?"):
        check_columns(groups, ["user_age", "item"], lambda schema, where: None)
