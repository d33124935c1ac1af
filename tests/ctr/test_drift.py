"""`ctr psi`: comparison of every column of two datasets, without a model.

References have fewer than 100,000 rows here, so all rows are in the sample; `counted_rows` are those that set no bins.
"""

import datetime
import decimal
import io
import json
import shutil
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from scipy import stats
from typer.testing import CliRunner

from ctr.cli import app
from ctr.config.report import Time
from ctr.errors import ConfigError
from ctr.evaluation.timeline import FOLLOWS
from ctr.jobs import psi
from ctr.jobs.psi import DriftSettings, compare_data, declared_types
from ctr.metrics.periods import MAX_PERIODS
from features import DataError, sample

NAN, INF = float("nan"), float("inf")
ROW_GROUP = 500


@pytest.fixture
def compare(tmp_path):
    """Return the report of two tables, or dicts of columns, each written as one file."""

    def compare_tables(reference, current, console=None, **settings):
        for name, table in (("reference", reference), ("current", current)):
            pq.write_table(pa.table(table), tmp_path / f"{name}.parquet", row_group_size=ROW_GROUP)
        paths = [str(tmp_path / f"{name}.parquet") for name in ("reference", "current")]
        return compare_data(*paths, DriftSettings(**settings), tmp_path / "out", True, console)

    compare_tables.folder = tmp_path / "out"
    return compare_tables


def found(report, column="x"):
    return report["psi"]["features"]["current"][column]


def psi_of(expected, actual):
    """Return PSI by its definition, from counts in bins."""
    e = [(count + 0.5) / (sum(expected) + len(expected) / 2) for count in expected]
    a = [(count + 0.5) / (sum(actual) + len(actual) / 2) for count in actual]
    return sum((after - before) * np.log(after / before) for before, after in zip(e, a, strict=True))


def bins_of(folder, column="x"):
    return json.loads((folder / "curves.json").read_text())["bins"]["features"][column]


def counted_rows(rows, row_group=ROW_GROUP):
    """Return the counted rows of a reference, bool [rows]; the other random half of each row group sets the bins."""
    groups = range(-(-rows // row_group))
    return np.concatenate([np.random.default_rng([0, 5, k]).random(row_group) >= 0.5 for k in groups])[:rows]


def rows_in_bins(numbers, edges):
    """Count rows up to each edge, above the last, and missing."""
    borders = [-INF, *edges, INF]
    inside = [((low < numbers) & (numbers <= high)).sum() for low, high in pairwise(borders)]
    return [*inside, np.isnan(numbers).sum()]


def deciles(numbers):
    """Return the nine edges between ten bins of equal count."""
    return np.quantile(numbers[~np.isnan(numbers)], np.arange(1, 10) / 10, method="inverted_cdf")


# Counted rows


def test_psi_of_numbers_is_that_of_quantile_bins_and_a_missing_one(compare):
    random = np.random.default_rng(1)
    before, after = random.standard_normal(3000), random.normal(0.3, 1.2, 2000)
    before[::50], after[:300] = NAN, NAN
    counted = counted_rows(3000)
    edges = deciles(before[~counted])
    one = found(compare({"x": before}, {"x": after}))
    expected, actual = rows_in_bins(before[counted], edges), rows_in_bins(after, edges)
    assert one["psi"] == pytest.approx(psi_of(expected, actual), rel=1e-12)
    assert one["rows"] == [counted.sum(), 2000]
    assert one["bins"] == 11


def test_a_null_and_a_nan_are_both_missing(compare):
    values = np.random.default_rng(0).standard_normal(1000).round(1)
    is_missing = np.arange(1000) % 5 == 0
    written = [pa.array(values, mask=is_missing), np.where(is_missing, NAN, values)]
    reports = [found(compare({"x": before}, {"x": after})) for before in written for after in written]
    assert all(one == reports[0] for one in reports)
    assert bins_of(compare.folder)["sets"]["current"][-1] == 0.2


def test_infinities_are_in_the_outer_bins(compare):
    values = np.arange(1000.0)
    beyond = np.where(values == 999, INF, np.where(values == 0, -INF, values))
    assert found(compare({"x": values}, {"x": beyond})) == found(compare({"x": values}, {"x": values}))
    compare({"x": beyond}, {"x": np.full(500, INF)})
    assert bins_of(compare.folder)["sets"]["current"][-2:] == [1, 0]


def test_a_planted_shift_is_found_and_no_other(compare):
    random = np.random.default_rng(3)
    before = {f"x{k}": random.standard_normal(5000).astype(np.float32 if k % 2 else np.float64) for k in range(12)}
    after = {name: random.standard_normal(4000).astype(values.dtype) for name, values in before.items()}
    after["x7"] += 1
    report = compare(before, after)
    verdicts = {name: one["drift"] for name, one in report["psi"]["features"]["current"].items()}
    assert verdicts == dict.fromkeys(before, "stable") | {"x7": "major"}
    moved = np.diff(stats.norm.cdf(stats.norm.ppf(np.arange(11) / 10) - 1))
    three_deviations = 0.15  # PSI itself, with this number of rows
    truth = ((moved - 0.1) * np.log(moved / 0.1)).sum()
    assert found(report, "x7")["psi"] == pytest.approx(truth, abs=three_deviations)
    assert found(report, "x7")["p_value"] < 1e-12


def test_a_new_category_is_counted(compare):
    before, after = np.repeat(["a", "b"], [600, 400]), ["a"] * 500 + ["b"] * 300 + ["c"] * 200
    counted = before[counted_rows(1000)]
    of_a, of_b = (counted == "a").sum(), (counted == "b").sum()
    one = found(compare({"x": before}, {"x": after}))
    assert one["psi"] == pytest.approx(psi_of([of_a, of_b, 0], [500, 300, 200]), rel=1e-12)
    assert one["drift"] == "major"
    assert bins_of(compare.folder) == {
        "labels": ["a", "b", "all others", "new", "missing"],
        "reference": [pytest.approx(of_a / len(counted)), pytest.approx(of_b / len(counted)), 0, 0, 0],
        "sets": {"current": [0.5, 0.3, 0, 0.2, 0]},
    }


def test_ids_that_are_always_new_are_no_shift(compare):
    before, after = [f"visit {k}" for k in range(3000)], [f"visit {k}" for k in range(3000, 5000)]
    one = found(compare({"x": before}, {"x": after}))
    assert one["psi"] == 0
    assert one["drift"] == "too_little_data"  # PSI would be 0 whatever the ids are
    assert one["reason"] == "none of its values have a bin of their own, too few for a verdict"


def test_numbers_as_categories_that_hardly_repeat_are_not_called_stable(compare, capsys):
    """Compared as numbers, the same column has drifted, and a category with frequent values keeps its verdict."""
    random = np.random.default_rng(6)
    before = {"price": random.lognormal(3, 1, 20_000).round(3), "shop": random.integers(0, 9, 20_000)}
    after = {"price": random.lognormal(3.4, 1, 20_000).round(3), "shop": random.integers(0, 9, 20_000)}
    assert found(compare(before, after), "price")["drift"] == "moderate"
    report = compare(before, after, console=Console(width=300), categorical=("price", "shop"))
    one, shown = found(report, "price"), capsys.readouterr().out
    shares = bins_of(compare.folder, "price")
    own = 100 * max(sum(shares["reference"][:-3]), sum(shares["sets"]["current"][:-3]))
    assert 0 < own < 1
    assert one["drift"] == "too_little_data"
    assert one["reason"] == (
        f"only {own:.2g}% of its values have a bin of their own, too few for a verdict. If it holds numbers, remove "
        "'price' from --categorical"
    )
    assert f"too little data: price: {one['reason']}\n" in shown
    assert found(report, "shop")["drift"] == "stable"


@pytest.mark.parametrize(("sampled", "counted"), [(2000, 19_000), (100_000, 10_000)], ids=["sample", "all rows"])
def test_ids_are_as_new_in_the_reference_as_in_later_data(compare, monkeypatch, sampled, counted):
    monkeypatch.setattr(sample, "SAMPLE_ROWS", sampled)
    random = np.random.default_rng(5)

    def users(rows):
        return [f"user {k}" for k in (5000 * random.random(rows) ** 3).astype(int)]

    one = found(compare({"x": users(20_000)}, {"x": users(20_000)}))
    assert one["psi"] < one["noise"]
    assert one["rows"] == [pytest.approx(counted, abs=200), 20_000]
    shares = bins_of(compare.folder)
    assert shares["reference"][-2] == pytest.approx(shares["sets"]["current"][-2], abs=0.01)
    assert shares["reference"][-2] > 0.05


def test_a_reference_of_one_row_is_too_little(compare, capsys):
    report = compare({"x": [1.0]}, {"x": [1.0, 2.0]}, console=Console())
    assert found(report)["drift"] == "too_little_data"
    assert "too little data" in capsys.readouterr().out


def test_columns_without_values_or_with_one_are_stable(compare):
    empty = {
        "null": pa.nulls(500),
        "null number": pa.nulls(500, pa.float32()),
        "null text": pa.nulls(500, pa.string()),
        "nan": np.full(500, NAN),
        "empty lists": pa.array([[]] * 500, pa.list_(pa.int64())),
    }
    full = {"constant": np.full(500, 3.5), "one text": ["x"] * 500, "infinite": np.full(500, INF)}
    report = compare(empty | full, empty | full, time={"column": "one text"})
    assert report["not_compared"] == {
        **dict.fromkeys(empty, "no values in either dataset"),
        "one text": "the time column",
    }
    assert report["column_types"] == {"constant": "numeric", "infinite": "numeric"}
    assert [found(report, name)["psi"] for name in ("constant", "infinite")] == [0, 0]
    assert {result["drift"] for result in report["psi"]["features"]["current"].values()} == {"stable"}
    assert found(compare({"x": ["x"] * 500}, {"x": ["x"] * 500}))["psi"] == 0
    with pytest.raises(ConfigError, match=r"no column to compare with .*\('null': no values in either dataset"):
        compare(empty, empty)


@pytest.mark.parametrize("later", [np.arange(500.0), np.arange(500), ["a text"] * 500, [[1, 2]] * 500], ids=str)
def test_a_column_of_nulls_that_is_filled_later_has_drifted(compare, later):
    report = compare({"x": pa.nulls(500)}, {"x": later})
    assert found(report)["drift"] == "major"


def test_the_values_of_a_list_share_its_row_and_an_empty_list_is_missing(compare):
    before, after = [[1, 2], [1], [2, 2], []] * 100, [[1, 1, 3], [], None, [2]] * 100
    report = compare({"x": pa.array(before)}, {"x": pa.array(after)})
    assert report["column_types"] == {"x": "list"}
    lists = [before[row] for row in np.flatnonzero(counted_rows(400))]
    share = {value: sum(one.count(value) / len(one) for one in lists if one) for value in (1, 2)}
    expected, actual = [share[1], share[2], 0, lists.count([])], [200 / 3, 100, 100 / 3, 200]
    assert found(report)["psi"] == pytest.approx(psi_of(expected, actual), rel=1e-9)
    assert found(report)["rows"] == [len(lists), 400]


def test_numbers_in_lists_have_quantile_bins(compare):
    random = np.random.default_rng(2)
    before, after = random.standard_normal((1000, 3)), random.normal(0.2, 1, (800, 2))
    before[::7, 1] = NAN
    report = compare({"x": list(before)}, {"x": list(after)})
    assert report["column_types"] == {"x": "list of numbers"}
    counted = counted_rows(1000)
    edges = deciles(before[~counted].ravel())
    expected, actual = rows_in_bins(before[counted].ravel(), edges), rows_in_bins(after.ravel(), edges)
    in_rows = [np.array(expected) / 3, np.array(actual) / 2]
    assert found(report)["psi"] == pytest.approx(psi_of(*in_rows), rel=1e-9)
    assert found(report)["rows"] == [counted.sum(), 800]


@pytest.mark.parametrize("values", [["a", "b"], [1, 2], [0.5, 1.5]], ids=str)
def test_lists_of_nulls_alone_agree_with_all_lists(compare, values):
    full, empty = [[values[0]], [values[1]]] * 250, [[], []] * 250
    counted = counted_rows(500)
    of_first, of_second = counted[::2].sum(), counted[1::2].sum()
    later = found(compare({"x": pa.array(full)}, {"x": pa.array(empty)}))
    assert later["psi"] == pytest.approx(psi_of([of_first, of_second, 0], [0, 0, 500]), rel=1e-12)
    earlier = found(compare({"x": pa.array(empty)}, {"x": pa.array(full)}))
    assert earlier["psi"] == pytest.approx(psi_of([counted.sum(), 0], [0, 500]), rel=1e-12)


# Types of columns


def test_kinds_are_those_of_the_types(compare):
    columns = {
        "float": np.arange(100, dtype=np.float32) % 3,
        "decimal": pa.array([decimal.Decimal(k % 7) / 4 for k in range(100)], pa.decimal128(9, 2)),
        "text": ["a", "b"] * 50,
        "dictionary": pa.array(["a", "b"] * 50).dictionary_encode(),
        "flag": [True, False] * 50,
        "few integers": np.arange(100) % 10,
        "many integers": np.arange(100) % 11,
        "large integers": np.arange(100, dtype=np.uint64) % 2 + 2**63,
        "list": [["a"], ["b"]] * 50,
        "list of integers": [[1], [2]] * 50,
        "list of numbers": pa.array([[0.5], [1.5]] * 50, pa.list_(pa.float32())),
        "vector": pa.array([[0.5, 1], [1.5, 0]] * 50, pa.list_(pa.float64(), 2)),
    }
    report = compare(columns, columns)
    assert report["column_types"] == {
        "float": "numeric",
        "decimal": "numeric",
        "text": "categorical",
        "dictionary": "categorical",
        "flag": "categorical",
        "few integers": "categorical",
        "many integers": "numeric",
        "large integers": "categorical",
        "list": "list",
        "list of integers": "list",
        "list of numbers": "list of numbers",
        "vector": "list of numbers",
    }
    assert all(one["psi"] < one["noise"] for one in report["psi"]["features"]["current"].values())


def test_the_user_decides_what_numbers_are(compare):
    few, many = np.arange(100) % 4, np.arange(100)
    columns = {"few": few, "many": many, "flag": many % 2 == 0, "float": few.astype(float)}
    report = compare(columns, columns, numeric=("few", "flag"), categorical=("many", "float"))
    assert report["column_types"] == {
        "few": "numeric",
        "many": "categorical",
        "flag": "numeric",
        "float": "categorical",
    }
    assert bins_of(compare.folder, "flag")["labels"] == ["< 0", "= 0", "0 to 1", "= 1", "> 1", "missing"]
    assert sorted(bins_of(compare.folder, "float")["labels"][:4]) == ["0", "1", "2", "3"]


def test_ids_are_categories_and_quantities_numbers_and_the_report_says_why(compare):
    rng = np.random.default_rng(0)
    ages = rng.poisson(40, 4000)
    codes = rng.integers(2**62, 2**63, 70)  # neighbors are equal as float64
    columns = {
        "age": ages,
        "code": codes[ages % 70],
        "few": ages % 7,
        "flag": ages > 40,
        "id": rng.permutation(70)[ages % 70],
    }
    console = Console(file=io.StringIO(), width=200)
    report = compare(columns, columns, console)
    assert report["column_types"] == {
        "age": "numeric",
        "code": "categorical",
        "few": "categorical",
        "flag": "categorical",
        "id": "categorical",
    }
    assert report["type_reasons"] == {
        "age": "frequencies follow the order of the values",
        "code": "few distinct values for their range",
        "few": "at most 10 distinct values",
        "id": "frequencies are in no order",
    }
    lines = [
        "integers as categories: few: at most 10 distinct values",
        "integers as categories: code: few distinct values for their range",
        "integers as categories: id: frequencies are in no order",
        "integers as numbers: age: frequencies follow the order of the values",
    ]
    assert "\n".join(lines) in console.file.getvalue()
    summary = (compare.folder / "report.md").read_text()
    assert "- Integers as numbers: age: frequencies follow the order of the values." in summary
    page = (compare.folder / "report.html").read_text()
    assert '<td class="text">age</td><td class="text">numbers</td><td class="text">frequencies follow the order' in page
    frequent = np.argsort(np.bincount(ages % 70, minlength=70))[-1]
    assert str(codes[frequent]) in bins_of(compare.folder, "code")["labels"]  # exact, although above 2^53


def test_a_config_decides_for_integers_and_options_go_first(compare):
    few = np.arange(400) % 4
    columns = {"few": few, "two": few, "flag": few == 0, "other": few, "float": few / 2}
    report = compare(
        columns,
        columns,
        declared={"few": "numeric", "two": "numeric", "flag": "numeric", "float": "categorical", "none": "numeric"},
        categorical=("two",),
    )
    assert report["column_types"] == {
        "few": "numeric",
        "two": "categorical",
        "flag": "categorical",
        "other": "categorical",
        "float": "numeric",
    }
    assert report["type_reasons"] == {
        "few": "declared in the config",
        "two": "--categorical",
        "other": "at most 10 distinct values",
    }
    assert len(bins_of(compare.folder, "few")["labels"]) > 5  # of a number: < 0, = 0, ...


def test_a_config_declares_the_columns_of_its_features(small_config, tmp_path):
    expected = {"user": "categorical", "item": "categorical", "history": "categorical", "price": "numeric"}
    assert declared_types(small_config) == expected  # `ts` is read as a time
    (tmp_path / "run").mkdir()
    shutil.copy(small_config, tmp_path / "run" / "config.yaml")
    assert declared_types(tmp_path / "run") == expected


@pytest.mark.medium
def test_the_command_reads_the_types_from_a_config(small_config):
    data = small_config.parent / "clicks" / "part-0.parquet"
    result = ctr("psi", data, small_config.parent / "clicks" / "part-2.parquet", "--config", small_config)
    assert result.exit_code == 0, result.stderr
    assert "integers as categories: user: declared in the config\n" in result.stdout
    missing = ctr("psi", data, data, "--config", data.parent)
    assert missing.exit_code == 2
    assert f"{data.parent / 'config.yaml'}: no such config file." in missing.stderr


def test_the_user_decides_what_numbers_in_lists_are(compare):
    few = np.arange(100) % 2
    columns = {"few": [[one] for one in few], "flag": [[one == 0] for one in few], "float": [[one / 2] for one in few]}
    report = compare(columns, columns, numeric=("few", "flag"), categorical=("float",))
    assert report["column_types"] == {"few": "list of numbers", "flag": "list of numbers", "float": "list"}
    assert bins_of(compare.folder, "flag")["labels"] == ["< 0", "= 0", "0 to 1", "= 1", "> 1", "missing"]
    assert sorted(bins_of(compare.folder, "float")["labels"][:2]) == ["0", "0.5"]


@pytest.mark.parametrize(
    ("before", "after"),
    [(pa.int8(), pa.int64()), (pa.int32(), pa.uint64()), (pa.float32(), pa.float64()), (pa.int64(), pa.float64())],
    ids=str,
)
def test_numbers_of_all_widths_agree(compare, before, after):
    values = np.arange(100) % 5
    one = found(compare({"x": pa.array(values, before)}, {"x": pa.array(values, after)}))
    counted = np.bincount(values[counted_rows(100)], minlength=5)  # each has its own bin, numeric or not
    assert one["psi"] == pytest.approx(psi_of(counted, [20] * 5), rel=1e-12)


def test_numbers_in_lists_of_all_widths_agree(compare):
    values = [[one / 2] for one in range(5)] * 20
    types = [pa.list_(pa.float32()), pa.list_(pa.float64(), 1), pa.large_list(pa.decimal128(5, 2))]
    decimals = [[decimal.Decimal(one[0])] for one in values]
    columns = [pa.array(decimals if type_ is types[2] else values, type_) for type_ in types]
    reports = [found(compare({"x": before}, {"x": after})) for before in columns for after in columns]
    counted = counted_rows(100).reshape(20, 5).sum(0)
    assert reports[0]["psi"] == pytest.approx(psi_of(counted, [20] * 5), rel=1e-12)
    assert all(one == reports[0] for one in reports)


def test_integers_of_all_widths_agree_within_a_set(tmp_path):
    types = (pa.int8(), pa.null(), pa.uint64())  # in the order of file names
    for type_ in types:
        values = [None] * 100 if type_ == pa.null() else np.arange(100) % 5
        pq.write_table(pa.table({"x": pa.array(values, type_)}), tmp_path / f"{type_}.parquet")
    one = found(compare_data(str(tmp_path), str(tmp_path)))
    counted = counted_rows(300, row_group=100)
    expected = [*counted[:100].reshape(20, 5).sum(0) + counted[200:].reshape(20, 5).sum(0), counted[100:200].sum()]
    assert one["psi"] == pytest.approx(psi_of(expected, [40] * 5 + [100]), rel=1e-12)


def test_what_is_not_compared_is_listed(compare):
    day = datetime.date(2026, 1, 1)
    before = {"x": [1, 2], "when": [datetime.datetime(2026, 1, 1)] * 2, "day": [day] * 2, "raw": [b"", b""]}
    before |= {"row": [{"a": 1}] * 2, "old": [1, 2], "matrix": [[[0.5]]] * 2}
    report = compare(before, {**before, "new": [1, 2], "when": pa.nulls(2)} | {"old": [1, 2]})
    assert report["not_compared"] == {
        "new": "only in the current data",
        "when": "timestamp[us]",
        "day": "date32[day]",
        "raw": "binary; use --cast raw=text or raw=hex to compare it",
        "row": "struct<a: int64>",
        "matrix": "list<element: list<element: double>>",
    }
    assert list(report["column_types"]) == ["x", "old"]


def test_only_the_columns_asked_for_are_compared(compare):
    columns = {name: np.arange(100.0) for name in "abc"}
    report = compare(columns, columns, columns=("c", "a"))
    assert list(report["column_types"]) == ["c", "a"]
    assert report["not_compared"] == {}


# Files


def write_files(folder, table, order, row_group_size):
    """Write the table as a file for each ten thousand rows, with names that sort in the given order."""
    folder.mkdir()
    for place, part in enumerate(order):
        rows = table.slice(10_000 * part, 10_000)
        pq.write_table(rows, folder / f"part-{place}.parquet", row_group_size=row_group_size)
    return str(folder)


def click_columns(seed, shift=0.0):
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "price": random.lognormal(shift, 1, 30_000),
            "user": [f"user {k}" for k in (3000 * random.random(30_000) ** 3).astype(int)],
            "age": random.integers(18, 80, 30_000),
            "ts": pa.array(random.integers(0, 5 * 86_400, 30_000), pa.timestamp("s")),
        }
    )


def test_order_and_row_groups_of_the_current_files_do_not_matter(tmp_path):
    before, after = click_columns(1), click_columns(2, shift=0.2)
    reference = write_files(tmp_path / "a", before, (0, 1, 2), 10_000)
    found = []
    for place, (order, size) in enumerate([((0, 1, 2), 10_000), ((2, 0, 1), 10_000), ((1, 2, 0), 777)]):
        current = write_files(tmp_path / f"b-{place}", after, order, size)
        found.append(compare_data(reference, current, DriftSettings(time=Time(column="ts")))["psi"])
    assert found[0] == found[1] == found[2]
    assert found[0]["features"]["current"]["price"]["psi"] > 0.03


def test_order_and_row_groups_of_the_reference_move_its_draw_only(tmp_path):
    before, current = click_columns(1), write_files(tmp_path / "b", click_columns(2), (0, 1, 2), 10_000)
    found = []
    for place, (order, size) in enumerate([((0, 1, 2), 10_000), ((2, 0, 1), 10_000), ((0, 1, 2), 777)]):
        reference = write_files(tmp_path / f"a-{place}", before, order, size)
        found.append(compare_data(reference, current)["psi"]["features"]["current"])
    for name in ("price", "user", "age"):
        assert len({one[name]["psi"] for one in found}) == 3
        assert max(one[name]["psi"] for one in found) < found[0][name]["noise"]


def test_threads_do_not_matter(tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "SAMPLE_ROWS", 3000)
    folders = [write_files(tmp_path / name, click_columns(seed), (0, 1, 2), 900) for seed, name in enumerate("ab")]
    found = []
    for threads in (1, 2, 8):
        monkeypatch.setattr(psi, "THREADS", threads)
        found.append(compare_data(*folders, DriftSettings(time=Time(column="ts")))["psi"])
    assert found[0] == found[1] == found[2]


def test_a_row_group_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    folder = write_files(tmp_path / "a", click_columns(1), (0, 1, 2), 900)
    path = tmp_path / "a" / "part-1.parquet"
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    result = ctr("psi", folder, folder)
    assert result.exit_code == 2
    assert "part-1.parquet, row group 0: cannot read the row group" in result.stderr


# Over time


def days(rows, shifted_from):
    """Return ten days of a number that drifts on one day, and of a stable one."""
    random = np.random.default_rng(7)
    day = np.arange(rows) * 10 // rows
    stamps = np.datetime64("2026-03-01") + day
    return {
        "ts": stamps.astype("datetime64[us]"),
        "x": random.standard_normal(rows) + (day >= shifted_from),
        "y": random.standard_normal(rows),
    }


def test_psi_over_time_tells_since_when_a_column_has_drifted(compare):
    report = compare(days(20_000, 99), days(20_000, 6), time=Time(column="ts"))
    over_time = report["psi"]["over_time"]
    assert (over_time["column"], over_time["by"], over_time["undated"]) == ("ts", "day", 0)
    assert over_time["periods"] == [f"2026-03-{day:02d}" for day in range(1, 11)]
    assert over_time["rows"] == [2000] * 10
    assert over_time["features"]["x"]["drift"] == ["stable"] * 6 + ["major"] * 4
    assert over_time["features"]["x"]["since"] == "2026-03-07"
    assert over_time["features"]["y"]["since"] is None
    assert report["not_compared"] == {"ts": "the time column"}


def test_the_reference_needs_no_time(compare):
    before = days(5000, 99)
    del before["ts"]
    report = compare(before, days(5000, 6), time=Time(column="ts", by="week"))
    assert report["psi"]["over_time"]["periods"] == ["2026-02-23", "2026-03-02", "2026-03-09"]


def test_integers_count_from_1970(compare):
    columns = {"x": np.arange(100.0), "ts": np.arange(100) * 3600}
    report = compare(columns, columns, time=Time(column="ts", time_unit="s", time_zone="Asia/Kolkata"))
    assert report["psi"]["over_time"]["periods"][0] == "1970-01-01"
    assert report["psi"]["over_time"]["rows"] == [19, 24, 24, 24, 9]


def test_one_period_is_no_time(compare):
    columns = {"x": np.arange(100.0), "day": ["monday"] * 100}
    assert compare(columns, columns, time=Time(column="day"))["psi"]["over_time"] is None


def test_too_many_periods_are_none(compare):
    columns = {"x": np.arange(3000.0), "id": np.arange(3000)}
    report = compare(columns, columns, time=Time(column="id"))
    assert report["psi"]["over_time"]["reason"] == f"more than {MAX_PERIODS:,} periods; choose longer ones"


def test_a_column_that_follows_the_calendar_is_not_dated(compare):
    before, after = days(14_000, 99), days(20_000, 6)
    before["weekday"] = np.arange(14_000) % 7
    after["weekday"] = (after["ts"].astype("datetime64[D]").astype(int) + 3) % 7
    console = Console(record=True, width=200)
    over_time = compare(before, after, console, time=Time(column="ts"))["psi"]["over_time"]
    assert over_time["features"]["weekday"]["drift"] == ["major"] * 10
    assert over_time["features"]["weekday"]["since"] is None
    assert over_time["features"]["weekday"]["reason"] == FOLLOWS
    assert over_time["features"]["x"]["since"] == "2026-03-07"
    page = (compare.folder / "report.html").read_text()
    assert "weekday: these columns follow the calendar, so their drift has no start date." in page
    assert f"no evidence of drift: <span>{FOLLOWS}</span>" in page


def test_the_time_column_itself_is_not_dated(compare):
    day = np.arange(5000) * 5 // 5000 + 20260301
    columns = {"day": day, "x": np.random.default_rng(0).standard_normal(5000)}
    over_time = compare(columns, {**columns, "day": day + 5}, columns=("day", "x"), time=Time(column="day"))["psi"]
    found = over_time["over_time"]["features"]["day"]
    assert (found["since"], found["reason"]) == (None, "it is the time column")


def test_a_partial_last_period_is_no_drift(compare):
    seconds = np.arange(20_000) * 9.1 * 86_400 / 20_000
    columns = {
        "ts": (np.datetime64("2026-03-01") + seconds.astype("timedelta64[s]")).astype("datetime64[us]"),
        "hour": (seconds % 86_400 // 3600).astype(int),
    }
    report = compare({"hour": columns["hour"]}, columns, time=Time(column="ts"), categorical=("hour",))
    over_time = report["psi"]["over_time"]
    assert over_time["partial"] == ["2026-03-10"]
    assert over_time["features"]["hour"]["drift"] == ["stable"] * 9 + ["major"]
    assert over_time["features"]["hour"]["since"] is None
    assert (
        "The data does not cover all of 2026-03-10, so no drift is dated by that period."
        in (compare.folder / "report.html").read_text()
    )


# The command


def ctr(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def sets(tmp_path):
    """Write two files, the second with drift in one column."""
    for seed, name in enumerate(("before", "after")):
        random = np.random.default_rng(seed)
        table = {
            "price": random.lognormal(seed, 1, 2000),
            "item": [f"item {k}" for k in random.integers(0, 8, 2000)],
            "hour": random.integers(0, 24, 2000),
            "tags": [["new"], ["sale", "new"]] * 1000,
            "ts": pa.array(np.arange(2000) * 600, pa.timestamp("s")),
            f"only {name}": random.integers(0, 3, 2000),
        }
        pq.write_table(pa.table(table), tmp_path / f"{name}.parquet", row_group_size=300)
    return tmp_path / "before.parquet", tmp_path / "after.parquet"


def test_the_command_reads_names_with_brackets_as_they_are(sets, tmp_path):
    before, after = tmp_path / "clicks[1].parquet", tmp_path / "data [2026]"
    after.mkdir()
    sets[0].rename(before)
    sets[1].rename(after / "a.parquet")
    result = ctr("psi", before, after, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    files = json.loads((tmp_path / "out" / "report.json").read_text())["files"]
    assert [file["path"] for files in files.values() for file in files] == [str(before), str(after / "a.parquet")]


def test_the_command_shows_the_worst_column_first(sets):
    result = ctr("psi", *sets, "--time", "ts")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[:2] == ["reference: 2,000 rows in 1 file", "current: 2,000 rows in 1 file"]
    assert lines[2].split() == ["column", "type", "PSI", "corrected", "p-value", "drift", "major", "drift", "since"]
    price = lines[3].split()
    assert (price[:2], price[-2:]) == (["price", "numeric"], ["major", "1970-01-01"])
    assert sorted(line.split()[0] for line in lines[4:7]) == ["hour", "item", "tags"]
    assert "not compared: only before: only in the reference" in result.stdout
    assert "not compared: only after: only in the current data" in result.stdout


def test_the_report_is_written_whole(sets, tmp_path):
    result = ctr("psi", *sets, "--out", tmp_path / "out", "--bins", 5, "--categorical", "hour, item")
    assert result.exit_code == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "checksums.json",
        "curves.json",
        "environment.json",
        "report.html",
        "report.json",
        "report.md",
    ]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    types = ["column_types", "type_reasons"]
    parts = ["version", "kind", "psi", *types, "not_compared", "shared_files", "files", "rows", "settings"]
    assert list(report) == [*parts, "seconds"]
    assert report["type_reasons"] == {"hour": "--categorical"}
    assert report["column_types"] == {
        "price": "numeric",
        "item": "categorical",
        "hour": "categorical",
        "tags": "list",
    }
    assert report["files"]["current"] == [{"path": str(sets[1]), "rows": 2000}]
    assert report["rows"] == {"reference": 2000, "current": 2000}
    assert report["settings"] == {
        "columns": None,
        "categorical": ["hour", "item"],
        "numeric": [],
        "declared": {},
        "cast": {},
        "psi": {"bins": 5, "major_above": 0.2},
        "time": None,
    }
    assert report["psi"]["over_time"] is None
    curves = json.loads((tmp_path / "out" / "curves.json").read_text())
    assert curves["psi"] == {"moderate_above": 0.1, "unstable_above": 0.2}
    assert len(curves["bins"]["features"]["item"]["labels"]) == 5 + 3


def test_only_an_earlier_report_is_replaced_and_only_if_asked(sets, tmp_path):
    out = tmp_path / "out"
    assert ctr("psi", *sets, "--out", out).exit_code == 0
    before = (out / "report.json").read_bytes()
    again = ctr("psi", *sets, "--out", out)
    assert again.exit_code == 2
    assert "out: already exists. Choose another folder, or add --overwrite (in Python overwrite=True)" in again.stderr
    assert (out / "report.json").read_bytes() == before
    assert ctr("psi", *sets, "--out", out, "--overwrite").exit_code == 0
    (out / "report.json").write_text('{"metrics": {}}')
    other = ctr("psi", *sets, "--out", out, "--overwrite")
    assert other.exit_code == 2
    assert "out: the folder exists and is not a report of `ctr psi`" in other.stderr
    assert (out / "curves.json").is_file()


MISTAKES = {
    "no such file": (["no.parquet", "AFTER"], "no.parquet: no such file or folder"),
    "unknown column": (
        ["BEFORE", "AFTER", "--columns", "prise"],
        "before.parquet: no column 'prise'; did you mean 'price'?",
    ),
    "column of one set": (["BEFORE", "AFTER", "--columns", "only before"], "after.parquet: no column 'only before'"),
    "no columns": (["BEFORE", "AFTER", "--columns", ","], "--columns: must have at least 1 entry"),
    "times alone": (["BEFORE", "AFTER", "--columns", "ts"], "before.parquet ('ts': timestamp["),
    "both kinds": (
        ["BEFORE", "AFTER", "--numeric", "hour", "--categorical", "item,hour"],
        "--numeric: 'hour' is categorical too. Remove it from one of the two. Received: ('hour',)",
    ),
    "kind of an unknown column": (
        ["BEFORE", "AFTER", "--categorical", "hours"],
        "--categorical: no compared column 'hours'; did you mean 'hour'?",
    ),
    "two casts of a column": (
        ["BEFORE", "AFTER", "--cast", "price=number", "--cast", "price=text"],
        "--cast: column 'price' has two casts",
    ),
    "cast to a timestamp without a format": (
        ["BEFORE", "AFTER", "--cast", "ts=timestamp"],
        "--cast 'ts=timestamp': expected COLUMN=timestamp:FORMAT",
    ),
    "cast of an unknown column": (
        ["BEFORE", "AFTER", "--cast", "prise=number"],
        "--cast: no file has a column 'prise'; did you mean 'price'?",
    ),
    "lists as a number": (["BEFORE", "AFTER", "--numeric", "tags"], "column 'tags' holds list of text, not numbers"),
    "text as a number": (["BEFORE", "AFTER", "--numeric", "item"], "--numeric: column 'item' holds text, not numbers"),
    "period without time": (["BEFORE", "AFTER", "--by", "day"], "--by: needs a time column. Add --time COLUMN."),
    "zone without time": (
        ["BEFORE", "AFTER", "--time-zone", "UTC"],
        "--time-zone: needs a time column. Add --time COLUMN.",
    ),
    "unknown period": (
        ["BEFORE", "AFTER", "--time", "ts", "--by", "days"],
        "--by: must be 'hour', 'day', 'week' or 'month'. Received: 'days'",
    ),
    "unknown unit": (
        ["BEFORE", "AFTER", "--time", "ts", "--time-unit", "h"],
        "--time-unit: must be 's', 'ms', 'us' or 'ns'. Received: 'h'",
    ),
    "period of integers": (
        ["BEFORE", "AFTER", "--time", "hour", "--by", "day"],
        "so each value is a period of its own. Add --time-unit if they count from 1970, or leave the option out.",
    ),
    "zone of integers": (["BEFORE", "AFTER", "--time", "hour", "--time-zone", "UTC"], "--time-zone: column 'hour' of "),
    "period of text": (["BEFORE", "AFTER", "--time", "item", "--by", "day"], "Add --cast item=timestamp:FORMAT, or"),
    "unit of timestamps": (
        ["BEFORE", "AFTER", "--time", "ts", "--time-unit", "s"],
        ", and only integers need a unit. Remove the option.",
    ),
    "nothing to overwrite": (
        ["BEFORE", "AFTER", "--overwrite"],
        "--overwrite: needs a folder with a report. Add --out",
    ),
    "unknown zone": (["BEFORE", "AFTER", "--time", "ts", "--time-zone", "Mars"], "--time-zone: unknown time zone"),
    "unknown time": (["BEFORE", "AFTER", "--time", "tss"], "after.parquet: no column 'tss'; did you mean 'ts'?"),
    "no time": (["BEFORE", "AFTER", "--time", "price"], "after.parquet: column 'price' is double. Use a timestamp"),
    "too few bins": (
        ["BEFORE", "AFTER", "--bins", "1"],
        "--bins: must be at least 2. Received: 1",
    ),
    "too many bins": (
        ["BEFORE", "AFTER", "--bins", "101"],
        "--bins: must be at most 100. Received: 101",
    ),
    "too low a bound": (
        ["BEFORE", "AFTER", "--major-above", "0.1"],
        "--major-above: must be above 0.1. Received: 0.1",
    ),
    "no bound": (["BEFORE", "AFTER", "--major-above", "inf"], "--major-above: must be a finite number"),
    "out is not a folder": (["BEFORE", "AFTER", "--out", "AFTER"], "after.parquet"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_named_in_one_line(case, sets):
    arguments, words = MISTAKES[case]
    result = ctr("psi", *(dict(zip(("BEFORE", "AFTER"), sets, strict=True)).get(one, one) for one in arguments))
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (pa.array(["1"]), pa.array([1])),
        (pa.array([True]), pa.array([1])),
        (pa.array(["1"]), pa.array([0], pa.timestamp("s"))),
        (pa.array([[1]]), pa.array([[0.5]])),
        (pa.array([[1]]), pa.array([1])),
    ],
    ids=[
        "text and integer",
        "flag and integer",
        "text and time",
        "lists of integers and of floats",
        "list and integer",
    ],
)
def test_a_column_that_means_something_else_names_both_files(before, after, compare):
    with pytest.raises(DataError, match=r"current.parquet: column 'x' is .*, but .* in .*reference.parquet"):
        compare({"x": before}, {"x": after})


def test_all_columns_of_other_types_are_listed_with_the_options_that_help(compare):
    before = {"uid": [1, 2], "price": ["1.5", "2"], "tags": [[1], [2]], "same": [1, 2], "part": [1.0, 2.0]}
    after = {"uid": ["1", "3"], "price": [1.5, 2.5], "tags": [1, 2], "same": [2, 1], "part": [1, 2]}
    with pytest.raises(DataError) as error:
        compare(before, after, categorical=("part",))
    first, *lines = str(error.value).splitlines()
    assert first == (
        "4 columns: their types differ between files. Add --cast uid=text --cast price=number --cast part=integer. Use "
        "one type in all files for 'tags', or leave it out with --columns."
    )
    assert len(lines) == 4
    for name, line in zip(("uid", "price", "tags", "part"), lines, strict=True):
        assert f"current.parquet: column {name!r} is " in line
    report = compare(
        before, after, cast={"uid": "text", "price": "number", "part": "integer"}, columns=("uid", "price")
    )
    assert report["column_types"] == {"uid": "categorical", "price": "numeric"}


def test_the_usage_line_names_arguments_as_the_documents_do():
    assert "{REFERENCE} {CURRENT}" in CliRunner().invoke(app, ["psi", "--help"]).output


def test_a_config_without_a_feature_of_the_data_is_said_to_have_no_effect(compare, capsys):
    data = {"x": [1, 2, 3] * 50}
    for declared, is_told in (({"y": "numeric"}, True), ({"x": "numeric"}, False), ({}, False)):
        compare(data, data, console=Console(width=200), declared=declared)
        assert ("warning: --config: no compared column belongs to a feature" in capsys.readouterr().out) == is_told


def test_integers_that_are_categories_are_not_compared_with_floats(compare):
    with pytest.raises(DataError, match="Add --cast x=integer"):
        compare({"x": [1, 2]}, {"x": [1.0, 2.0]}, categorical=("x",))


def test_nothing_in_common(compare):
    with pytest.raises(ConfigError, match="'x': only in the reference; 'y': only in the current data"):
        compare({"x": [1]}, {"y": [1]})


@pytest.mark.slow
def test_the_command_does_not_wait_for_tensorflow(sets):
    program = (
        "import sys; from ctr.cli import app; app(sys.argv[1:], standalone_mode=False); "
        "assert not {'tensorflow', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, "psi", *sets], check=True, capture_output=True)


@pytest.mark.parametrize(
    "type_", [pa.list_(pa.uuid()), pa.struct({"a": pa.uuid()}), pa.uuid(), pa.map_(pa.string(), pa.int64())], ids=str
)
def test_a_column_of_a_type_without_values_is_left_out(compare, type_):
    table = pa.table({"x": pa.nulls(50, type_), "y": np.arange(50) % 3})
    report = compare(table, table)
    assert list(report["column_types"]) == ["y"]
    assert list(report["not_compared"]) == ["x"]
