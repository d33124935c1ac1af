"""report.json and comparison.json match their schemas and are validated when read."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import ctr
from ctr.errors import ConfigError
from ctr.jobs.psi import DriftSettings, compare_data
from ctr.metrics.catalog import CATALOG
from ctr.metrics.psi import Drift
from ctr.runs.files import read_json
from ctr.runs.run import Run
from ctr.schema.codec import adapter_of, kind_of, read_comparison, read_report
from ctr.schema.comparison import Comparison, Verdict
from ctr.schema.levels import Level
from ctr.schema.report import Report
from tests.conftest import click_log
from tests.ctr.report.json_schema import mistakes
from tests.ctr.report.variants import comparison

ROOT = Path(__file__).parents[3]
REPORT_SCHEMA, COMPARISON_SCHEMA = (
    json.loads((ROOT / "docs" / "reference" / f"{name}.schema.json").read_text()) for name in ("report", "comparison")
)
KINDS = {"run": "run", "evaluation": "evaluation", "scored": "evaluation", "psi": "psi"}


@pytest.fixture(scope="module")
def folders(evil, tmp_path_factory):
    """Write a run, two evaluations and a report of `ctr psi`."""
    base = tmp_path_factory.mktemp("psi")
    table = click_log()
    pq.write_table(table.slice(0, 600), base / "reference.parquet")
    pq.write_table(table.slice(600), base / "current.parquet")
    settings = DriftSettings(time={"column": "ts", "by": "hour"})
    compare_data(str(base / "reference.parquet"), str(base / "current.parquet"), settings, base / "psi")
    return {name: (base if name == "psi" else evil) / name for name in KINDS}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.medium
def test_every_report_is_as_the_schema_says(folders, name):
    written = read_json(folders[name] / "report.json")
    assert mistakes(written, REPORT_SCHEMA, REPORT_SCHEMA) == []
    assert (written["version"], written["kind"], kind_of(written)) == (1, KINDS[name], KINDS[name])
    read = Run(folders[name]).report()
    assert json.loads(json.dumps(read)) == written
    for features in read["psi"]["features"].values():
        assert {type(one["drift"]) for one in features.values()} <= {Drift}
    assert {type(one["level"]) for one in read.get("checks", [])} <= {Level}


def test_the_main_split_is_test_or_the_evaluated_data(folders):
    assert Run(folders["run"]).run_report()["main_split"] == "test"
    assert Run(folders["scored"]).scored_report()["main_split"] == "fresh"


def test_a_comparison_is_as_the_schema_says(tmp_path):
    found = json.loads(json.dumps(comparison()))
    assert mistakes(found, COMPARISON_SCHEMA, COMPARISON_SCHEMA) == []
    read = read_comparison(tmp_path, found)
    verdicts = {one["difference"]["metrics"]["auc"]["verdict"] for one in read["variants"][1:]}
    assert verdicts == {Verdict.WORSE, Verdict.BETTER, Verdict.INCONCLUSIVE}
    assert {type(verdict) for verdict in verdicts} == {Verdict}


def change(path, value=None):
    """Set or delete the value at a path of a report."""

    def changed(report):
        report = copy.deepcopy(report)
        *parents, last = path
        place = report
        for key in parents:
            place = place[key]
        if value is None:
            del place[last]
        else:
            place[last] = value
        return report

    return changed


DAMAGED = {
    "run.checks: Field required": change(["checks"]),
    "run.psi.score.test.drift: Input should be 'major'": change(["psi", "score", "test", "drift"], "unstable"),
    "run.metrics.test.auc: Input should be a valid number": change(["metrics", "test", "auc"], "high"),
    "run.told: Extra inputs are not permitted": change(["told"], 1),
    "Input tag 'training' found": change(["kind"], "training"),
}


@pytest.mark.parametrize("message", DAMAGED)
def test_what_the_schema_does_not_allow_is_refused_in_one_line(folders, message):
    found = DAMAGED[message](read_json(folders["run"] / "report.json"))
    assert mistakes(found, REPORT_SCHEMA, REPORT_SCHEMA)
    with pytest.raises(ConfigError) as error:
        read_report(Path("r/report.json"), found)
    assert str(error.value).startswith("r/report.json: damaged: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_later_version_is_refused(folders):
    found = read_json(folders["run"] / "report.json") | {"version": 2}
    with pytest.raises(ConfigError, match=r"^r: unknown version 2, expected 1\. Install a newer version of ctr\.$"):
        read_report(Path("r"), found)


def test_reports_are_read_as_their_kind(folders):
    with pytest.raises(ConfigError, match=r"a report of `ctr psi`\. Use the folder of a run or an evaluation"):
        Run(folders["psi"]).scored_report()
    with pytest.raises(ConfigError, match=r"an evaluation, not a run\. Choose the run that was evaluated"):
        Run(folders["evaluation"]).run_report()
    with pytest.raises(ConfigError, match=r"a report of `ctr psi`, not a run\. Choose the folder of a run"):
        ctr.evaluate(folders["psi"], str(folders["psi"].parent / "current.parquet"))


@pytest.mark.parametrize("schema", [REPORT_SCHEMA, COMPARISON_SCHEMA], ids=["report", "comparison"])
def test_every_field_has_a_meaning(schema):
    described = {**schema["$defs"], **({"": schema} if "properties" in schema else {})}
    for name, one in described.items():
        assert one.get("description") or name in ("SplitMetrics", "SeedResult")
        for key, field in one.get("properties", {}).items():
            assert {"description", "$ref", "const"} & set(field), f"{name}.{key}"


def test_the_metrics_of_a_split_are_those_of_the_catalog():
    fields = REPORT_SCHEMA["$defs"]["SplitMetrics"]["properties"]
    for metric in CATALOG:
        assert fields[metric.key]["description"] == metric.definition
        assert {one.key for one in metric.companions} <= set(fields)


def test_schemas_are_made_once():
    assert adapter_of(Report) is adapter_of(Report)
    assert adapter_of(Comparison) is not adapter_of(Report)


@pytest.mark.slow
def test_reading_needs_no_tensorflow(folders):
    code = (
        "import sys; from pathlib import Path; from rich.console import Console; from ctr.jobs.report import report; "
        "report([Path(sys.argv[1])], None, Console(quiet=True)); print('tensorflow' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code, folders["run"]], cwd=ROOT, capture_output=True, text=True)
    assert ran.stdout == "False\n", ran.stderr
