"""report.html: one self-contained file, rendered from the folder of a run, an evaluation or `ctr psi`."""

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError

from ctr.checks.significance import MIN_ROWS, STANDARD_ERRORS
from ctr.console import strip_control_characters
from ctr.errors import ConfigError
from ctr.evaluation.curves import load_curves
from ctr.report import formats
from ctr.report.drift import feature_drift, integer_columns, score_drift, sort_positions
from ctr.report.heatmap import MAX_VISIBLE, heat_map
from ctr.report.history import History
from ctr.report.interval_notes import CLUSTERED, INDEPENDENT_EXAMPLES, interval_notes
from ctr.report.markdown import drift_markdown, run_markdown
from ctr.report.metric_groups import metric_groups
from ctr.report.slices import auc_scale, sliced_columns
from ctr.report.summary_cards import drift_cards, summary_cards
from ctr.report.unknown_ids import unknown_ids
from ctr.runs.files import write_text
from ctr.runs.run import Run
from ctr.schema.report import ClassicalReport, DriftReport, EvaluationReport, Report, RunReport

FILTERS = (
    formats.metric,
    formats.psi,
    formats.p_value,
    formats.signed,
    formats.count,
    formats.percent,
    formats.megabytes,
    formats.drift,
)


def render_html(folder: str | Path) -> str:
    """Return the page of a finished run, an evaluation or `ctr psi`; the same folder gives the same text.

    Raises:
        ConfigError: the folder has no report or is from an earlier version, or a file is corrupt.
    """
    return _rendered_run(Run(folder))[0]


def write_html(folder: str | Path) -> Path:
    """Write `report.html` and its summary `report.md`, each atomically, and return the path of `report.html`.

    Raises:
        ConfigError: see `render_html`.
    """
    run = Run(folder)
    page, summary = _rendered_run(run)
    write_text(run.folder / "report.md", summary)
    write_text(run.folder / "report.html", page)
    return run.folder / "report.html"


def _rendered_run(run: Run) -> tuple[str, str]:
    """Return the page, and the summary in Markdown."""
    try:
        report, curves = run.report(), load_curves(run)
        if report["kind"] == "psi":
            return rendered("drift.html", _drift(run, report, curves)), drift_markdown(report)
        return rendered("run.html", _run(run, report, curves)), run_markdown(report, curves["run"], run.exists)
    except (KeyError, IndexError, UndefinedError) as error:
        raise ConfigError(
            f"{run.folder}: damaged, or from an earlier version: {error} is missing. Train or evaluate again."
        ) from error


def rendered(name: str, values: dict[str, Any]) -> str:
    """Return a page: a template with its values, which are escaped."""
    return strip_control_characters(_templates().get_template(name).render(values))


@cache
def _templates() -> Environment:
    """Return the environment of the templates, which compiles each template once per process."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {function.__name__: function for function in FILTERS}
    return environment


def _run(run: Run, report: RunReport | EvaluationReport | ClassicalReport, curves: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the page of a run, an evaluation or a classical model."""
    from ctr.report import plots  # importing matplotlib takes a second, which training should not wait for

    history = History.load(run) if run.exists and report["kind"] != "classical" else None
    metrics, main = report["metrics"], report["main_split"]
    score, features = score_drift(report, curves), feature_drift(report, curves)
    splits = list(report["psi"]["score"])
    auc = metrics[main]["auc"]
    orders = {name: histogram["labels"] for name, histogram in curves["bins"]["features"].items()}
    slices = sliced_columns(report["slices"].get(main, {}), lambda metrics: metrics["value"], auc, orders)
    frequency = sliced_columns(report["frequency"].get(main, {}), lambda metrics: formats.band(metrics["seen"]), auc)
    clustered = interval_notes(metrics)
    deciles, unknown = report["deciles"].get(main, []), unknown_ids(report)
    return {
        "report": report,
        "run": curves["run"],
        "main": main,
        "splits": splits,
        "cards": summary_cards(report, score, features, history),
        "interval_notes": [*clustered, CLUSTERED] if clustered else [INDEPENDENT_EXAMPLES],
        "metric_groups": metric_groups(metrics),
        "history": history,
        "learning": plots.learning_plots(history) if history else [],
        "plots": [
            *plots.ranking_plots(curves, metrics, main),
            *plots.score_plots(curves),
            *plots.decile_plots(report["deciles"], main),
        ],
        "deciles": deciles,
        "score": score,
        "features": features,
        "orders": sort_positions(features, splits),
        **_over_time(report, curves),
        "slices": slices,
        "slice_scale": auc_scale(slices),
        "frequency": frequency,
        "frequency_scale": auc_scale(frequency),
        "unknown_ids": {name: fractions for name, fractions in unknown.items() if any(fractions.values())},
        "all_known": sum(not any(fractions.values()) for fractions in unknown.values()),
        "errors": f"{STANDARD_ERRORS:g}",
        "min_rows": MIN_ROWS,
        "worst_rows": curves["worst_rows"].get(main, []),
        "components": report["model"]["components"] if report["kind"] == "run" else [],
        "tables": report["tables"] if report["kind"] != "classical" else [],
        "fingerprints": report["fingerprints"] if report["kind"] != "classical" else {},
        "config": run.read_text("config.yaml") if run.exists else None,
        "environment": run.read_json("environment.json"),
    }


def _drift(run: Run, report: DriftReport, curves: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the page of two datasets."""
    columns = feature_drift(report, curves)
    return {
        "report": report,
        "cards": drift_cards(report, columns),
        "columns": columns,
        "integers": integer_columns(report),
        "orders": sort_positions(columns, ["current"]),
        **_over_time(report, curves),
        "environment": run.read_json("environment.json"),
    }


def _over_time(report: Report, curves: dict[str, Any]) -> dict[str, Any]:
    over_time = report["psi"]["over_time"]
    return {
        "thresholds": curves["psi"],
        "heat": heat_map(over_time, curves["psi"]) if over_time is not None and over_time["periods"] else None,
        "strips": MAX_VISIBLE,
    }
