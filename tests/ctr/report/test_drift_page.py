"""report.html and report.md of `ctr psi`."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ctr.cli import app
from ctr.report import formats, write_html
from ctr.runs.files import read_json
from tests.ctr.report.conftest import EVIL, NAME
from tests.ctr.report.pages import assert_self_contained, assert_sortable, page_of


def clicks(rows, price, seed):
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            NAME: pa.array(rng.choice(["a", "b", EVIL], rows)),
            "price": rng.normal(price, 1, rows),
            "day": pa.array(np.arange(rows) * 4 // rows + 1),
            "binary": pa.array([b"x"] * rows),
        }
    )


@pytest.fixture(scope="module")
def drift(tmp_path_factory):
    base = tmp_path_factory.mktemp("drift")
    pq.write_table(clicks(2000, 0, 0), base / "before <i>.parquet")
    pq.write_table(pa.concat_tables([clicks(2000, 0, 1), clicks(2000, 2, 2)]), base / "after.parquet")
    paths = [str(base / "before <i>.parquet"), str(base / "after.parquet")]
    done = CliRunner().invoke(app, ["psi", *paths, "--time", "day", "--out", str(base / "out")])
    assert done.exit_code == 0, done.stderr
    return base / "out"


def test_the_page_has_verdicts_columns_periods_and_files(drift):
    report, page = read_json(drift / "report.json"), page_of(drift)
    assert_self_contained(page)
    assert page.sections == ["verdicts", "drift", "over-time", "not-compared", "origin"]
    assert_sortable(page, ["drift", "name", "split0"])
    columns = report["psi"]["features"]["current"]
    assert {*columns, NAME, EVIL} <= set(page.texts)
    assert {formats.psi(one["psi"]) for one in columns.values()} <= set(page.texts)
    assert {*report["not_compared"], *report["not_compared"].values()} <= set(page.texts)
    assert any(text.endswith("before <i>.parquet") for text in page.texts)
    assert len(page.of_class("strip")) == len(columns)


def test_the_summary_names_the_columns_that_moved(drift):
    columns = read_json(drift / "report.json")["psi"]["features"]["current"]
    lines = (drift / "report.md").read_text().splitlines()
    assert lines[0] == "# PSI of two datasets"
    assert any(line.startswith(f"| price | {formats.psi(columns['price']['psi'])} major") for line in lines)


def test_the_same_folder_gives_the_same_bytes(drift):
    before = (drift / "report.html").read_bytes()
    assert write_html(drift).read_bytes() == before
