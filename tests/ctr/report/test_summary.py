"""A report in the terminal."""

import io

from rich.console import Console

from ctr.metrics.psi import Drift
from ctr.report import formats, print_report
from ctr.runs.run import Run
from ctr.schema.levels import Level


def shown(report, width=100):
    out = io.StringIO()
    print_report(report, Console(file=out, width=width))
    return out.getvalue()


def test_every_set_has_a_line_with_the_auc_and_its_interval(evil):
    report = Run(evil / "run").report()
    lines = shown(report).splitlines()
    for line, (name, metrics) in zip(lines[2:], report["metrics"].items(), strict=False):
        low, high = metrics["auc_interval"]
        assert line.split()[:4] == [
            name,
            formats.count(metrics["rows"]),
            f"{formats.metric(metrics['auc'])}±{(high - low) / 2:.1g}",
            formats.metric(metrics["gauc"]),
        ]


def test_checks_that_found_something_are_one_line_each(evil):
    report = Run(evil / "run").report()
    report["checks"].append(
        {"check": "x", "split": "test", "level": Level.NOTE, "sentence": "a [red]note[/red]\n" + "x" * 200}
    )
    lines = shown(report).splitlines()
    said = [f"{one['level']}: {' '.join(one['sentence'].split())}" for one in report["checks"] if one["level"] != "ok"]
    assert lines[-len(said) - 1 : -1] == said
    fine = len(report["checks"]) - len(said)
    assert lines[-1] == f"{fine} check{'s' if fine != 1 else ''} passed"


def test_a_common_report_fits_a_narrow_terminal(evil):
    report = Run(evil / "run").report()
    for metrics in report["metrics"].values():
        metrics |= {"rows": 100_051, "auc_interval": [0.75, 0.76]}
    for psi in report["psi"]["score"].values():
        psi |= {"psi": 0.0005, "drift": Drift.STABLE}
    lines = shown(report, 80).splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["train", "valid", "test"]  # below two lines of names
    assert max(len(line.rstrip()) for line in lines[:5]) <= 80


def test_what_is_missing_has_a_reason(evil):
    text = shown(Run(evil / "evaluation").report())
    assert "labels $0$ <i>: no AUC: the labels are of one class only" in text
    assert "no AUC, log loss, positive rate: the data has no label" in shown(Run(evil / "scored").report())


def test_no_name_and_no_hour_is_cut_in_a_narrow_terminal():
    psi = {"psi": 0.0904, "psi_corrected": 0.0903, "p_value": 0.001, "drift": Drift.STABLE}
    name, since = "item_age_in_days", "2026-01-09 13:00"
    report = {
        "kind": "psi",
        "files": {"reference": [{}], "current": [{}, {}]},
        "rows": {"reference": 1, "current": 2000},
        "psi": {"features": {"current": {name: psi}}, "over_time": {"features": {name: {"since": since}}}},
        "column_types": {name: "categorical"},
        "shared_files": ["a"],
        "not_compared": {},
        "settings": {"time": None},
    }
    text = shown(report, 80)
    assert "reference: 1 row in 1 file\ncurrent: 2,000 rows in 2 files\n" in text
    assert all(part in text for part in (name, since))
    note = "note: the reference and the current data share 1 file. Rows in both make columns of many ids seem to drift"
    assert note in text
    assert "…" not in text
