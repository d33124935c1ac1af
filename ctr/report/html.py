"""report.html: one file that needs nothing else, made from what a run's or an evaluation's folder holds."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError

from ctr.curves import load_curves
from ctr.errors import ConfigError
from ctr.report import formats
from ctr.report.history import History
from ctr.report.shifts import feature_shifts, score_shift
from ctr.report.tables import zero_share
from ctr.report.verdicts import cards
from ctr.run import Run, read_json, write_text


def render_html(folder: str | Path) -> str:
    """The page of a finished run or evaluation; the same folder gives the same text.

    Raises:
        ConfigError: no report there, an earlier version made the folder, or a file is damaged.
    """
    run = Run(folder)
    try:
        return _page(run)
    except (KeyError, IndexError, UndefinedError) as error:
        raise ConfigError(
            f"{run.folder}: a file lacks {error}, so it is damaged or of an earlier version; train or evaluate again"
        ) from error


def _page(run: Run) -> str:
    from ctr.report import plots  # matplotlib takes a second to import, which a training should not wait for

    report, curves = run.report(), load_curves(run.folder)
    history = History.load(run.folder) if run.exists else None
    score, features = score_shift(report, curves), feature_shifts(report, curves)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        function.__name__: function
        for function in (
            formats.metric,
            formats.psi,
            formats.count,
            formats.percent,
            formats.megabytes,
            formats.verdict,
            zero_share,
        )
    }
    return environment.get_template("template.html").render(
        report=report,
        run=curves["run"],
        thresholds=curves["psi"],
        cards=cards(report, score, features, history),
        score=score,
        features=features,
        history=history,
        learning=plots.learning_plots(history) if history else [],
        roc=plots.roc_plot(curves, report["metrics"]),
        scores=plots.score_plots(curves),
        config=(run.folder / "config.yaml").read_text(encoding="utf-8") if run.exists else None,
        environment=read_json(run.folder / "environment.json"),
    )


def write_html(folder: str | Path) -> Path:
    """Write `report.html` of a finished run or evaluation anew, whole or not at all; returns its path.

    Raises:
        ConfigError: as `render_html`.
    """
    path = Run(folder).folder / "report.html"
    write_text(path, render_html(folder))
    return path
