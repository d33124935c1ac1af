"""Several runs side by side: their metrics, the differences with intervals, and the settings that differ."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from ctr.config.earlier_versions import translate_config
from ctr.config.yaml_file import join_key
from ctr.errors import ConfigError
from ctr.evaluation.run_differences import RunDifferences, run_differences
from ctr.metrics import Difference
from ctr.metrics.catalog import entry, shown_in
from ctr.metrics.metric import Metric, Place
from ctr.report import formats
from ctr.report.interval_notes import described
from ctr.report.text_table import TextTable
from ctr.runs.run import Run
from ctr.schema.report import EvaluationReport, RunReport
from ctr.schema.split_metrics import SplitMetrics

MOST_KEYS = 20
TEXT_LENGTH = 40
ABSENT = "-"
DIFFERENCES = ["run", "metric", "difference", "95 % interval", "p"]
HOW_TO_READ = (
    "Above 0 is better in AUC, below 0 in log loss; * marks an interval that leaves 0 out. Differences are of the same "
    "rows, taken as independent unless a note says that intervals are clustered: those of one user are not, and then "
    "intervals are too narrow. They speak of these trained models, not of training again with other seeds."
)


@dataclass(frozen=True)
class _Named:
    """A run or an evaluation under the name that tables have for it."""

    name: str
    run: Run
    report: RunReport | EvaluationReport


def side_by_side(runs: Sequence[Run]) -> list[TextTable]:
    """What there is to compare between runs or evaluations that have their reports.

    Every set that at least two of them have under one name: test, valid, then others. Reads their scores: at a time
    one set of two runs, 120 bytes a row while a difference is computed.

    Args:
        runs: differences are to the first of those that have a set.
    """
    named = list(zip(short_names(runs), runs, strict=True))
    having: dict[str, list[_Named]] = {"test": [], "valid": []}
    for run in _scored(named):
        for name in run.report["psi"]["score"]:
            having.setdefault(name, []).append(run)
    sections = [
        section
        for name, found in having.items()
        if len(found) > 1
        for section in (_metrics(name, found), _differences(name, found))
    ]
    if not sections:
        sections = [TextTable("no set is in two of them", [], [])]
    elif any(section.header == DIFFERENCES and section.rows for section in sections):
        sections.append(TextTable("how to read a difference", [], [], [HOW_TO_READ]))
    return [*sections, *_settings(named)]


def _scored(named: Sequence[tuple[str, Run]]) -> Iterator[_Named]:
    """Yield the runs and evaluations, without what `ctr psi` wrote, which has no scores."""
    for name, run in named:
        report = run.report()
        if report["kind"] != "psi":
            yield _Named(name, run, report)


def show_side_by_side(sections: Sequence[TextTable], console: Console) -> None:
    """Print all of it."""
    console.print("\nside by side", style="bold")
    for section in sections:
        section.show(console)


def to_markdown(sections: Sequence[TextTable]) -> str:
    """All of it, for a pull request."""
    return "\n\n".join(["### Side by side", *(section.markdown() for section in sections)]) + "\n"


def check_markdown(path: Path) -> None:
    """Raise ConfigError unless Markdown may be written there."""
    if path.is_dir() or path.suffix != ".md":
        raise ConfigError(f"--out: {path} is no Markdown file: choose one that ends in .md")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"--out: {path.parent} is not a folder")


def short_names(runs: Sequence[Run]) -> list[str]:
    """Folders without what all of their paths begin with.

    >>> short_names([Run("runs/a"), Run("runs/b/evaluations/day-10")])
    ['a', 'b/evaluations/day-10']
    """
    folders = [run.folder.absolute() for run in runs]
    common = os.path.commonpath([folder.parent for folder in folders])
    return [str(folder.relative_to(common)) for folder in folders]


def _metrics(name: str, runs: list[_Named]) -> TextTable:
    """The metrics of one set, a run a row."""
    of_runs = [run.report["metrics"][name] for run in runs]
    shown = [metric for metric in shown_in(Place.SIDE_BY_SIDE) if all(metric.key in found for found in of_runs)]
    rows = []
    for run, found in zip(runs, of_runs, strict=True):
        psi = run.report["psi"]["score"][name]
        cells = [text for metric in shown for text in _value(metric, found)]
        drift = f"{formats.psi(psi['psi'])} {formats.drift(psi['drift'])}"
        rows.append([run.name, formats.count(found["rows"]), *cells, drift])
    header = [text for metric in shown for text in (metric.label, *(["95 % interval"] if metric.interval else []))]
    return TextTable(name, ["run", "rows", *header, "score PSI"], rows)


def _value(metric: Metric, found: SplitMetrics) -> list[str]:
    """Return a metric's value, and its interval if it is one that has any."""
    if metric.interval is None:
        return [metric.text(found[metric.key])]
    bounds = found.get(metric.interval)
    return [metric.text(found[metric.key]), formats.interval(bounds) if bounds else ABSENT]


def _differences(name: str, runs: list[_Named]) -> TextTable:
    """The differences of one set to its first run, a run and metric a row."""
    base, *others = runs
    rows: list[list[str]] = []
    notes: list[str] = []
    for run, found in zip(others, run_differences(name, [(one.run, one.report) for one in runs]), strict=True):
        notes += [f"{run.name}: {told}" for told in _notes(found)]
        rows += [[run.name, entry(key).label, *_cells(one)] for key, one in found.by_metric.items()]
    return TextTable(f"{name}, differences to {base.name}", DIFFERENCES, rows, notes, texts=2)


def _notes(found: RunDifferences) -> list[str]:
    """What is to be known of the differences of a run."""
    if found.not_paired is not None:
        return [f"no difference: {found.not_paired}"]
    notes = []
    if found.not_clustered is not None:
        notes.append(f"intervals take rows as independent: {found.not_clustered}")
    if found.clusters is not None:
        clusters = found.clusters
        notes.append(f"intervals are {described(str(found.cluster_column), clusters.count, clusters.effective_count)}")
    if not found.has_common_columns:
        notes.append("taken as the same rows because the labels are equal: no kept column tells more")
    return notes + [
        f"no interval of the {entry(key).label}: {one.reason}"
        for key, one in found.by_metric.items()
        if one.reason is not None
    ]


def _settings(runs: Sequence[tuple[str, Run]]) -> list[TextTable]:
    """The keys of config.yaml whose values differ; nothing where fewer than two runs have one."""
    found = [(name, settings_of(run)) for name, run in runs]
    configs = [(name, settings) for name, settings in found if settings is not None]
    if len(configs) < 2:
        return []
    keys = [
        key
        for key in dict.fromkeys(key for _, settings in configs for key in settings)
        if len({settings.get(key, ABSENT) for _, settings in configs}) > 1
    ]
    rows = [[key, *(_cut(settings.get(key, ABSENT)) for _, settings in configs)] for key in keys[:MOST_KEYS]]
    notes = [f"and {len(keys) - MOST_KEYS} more"] if len(keys) > MOST_KEYS else []
    notes += [f"{name}: no config.yaml to compare" for name, settings in found if settings is None]
    title = "settings that differ" if rows else "the settings are the same"
    return [TextTable(title, ["key", *(name for name, _ in configs)], rows, notes, texts=len(configs) + 1)]


def settings_of(run: Run) -> dict[str, str] | None:
    """Return dotted key -> value of config.yaml, as texts, of the run that was evaluated; None without one.

    Raises:
        Damaged: it is not what was written.
    """
    folder = run.folder.absolute()
    homes = [run, *([Run(folder.parents[1])] if folder.parent.name == "evaluations" else [])]
    home = next((home for home in homes if home.exists), None)
    if home is None:
        return None
    path = home.file("config.yaml")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError):
        return None
    translated = translate_config(values) if isinstance(values, dict) else values
    return {join_key(key): _text(value) for key, value in _leaves(translated)}


def _leaves(values: Any, parents: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each value below mappings with its path."""
    if not isinstance(values, dict) or (parents and not values):
        yield parents, values
        return
    for key, value in values.items():
        yield from _leaves(value, (*parents, str(key)))


def _text(value: Any) -> str:
    is_plain = isinstance(value, str) and value.isprintable() and value == value.strip() and value not in ("", ABSENT)
    return value if is_plain else json.dumps(value, ensure_ascii=False, default=str)


def _cut(text: str) -> str:
    """A long text without its middle: paths differ at the end."""
    return text if len(text) <= TEXT_LENGTH else f"{text[: TEXT_LENGTH // 2]}…{text[-TEXT_LENGTH // 2 :]}"


def _cells(difference: Difference) -> list[str]:
    """The difference, its interval with a star where it leaves out 0, and p."""
    value, low, high = difference.value, difference.low, difference.high
    shown = f"{value:+.5f}" if value else formats.metric(value)
    if low is None or high is None:
        return [shown, "-", "-"]
    star = " *" if low > 0 or high < 0 else "  "  # as wide, so that numbers stand below one another
    return [shown, f"{low:+.5f} to {high:+.5f}{star}", formats.p_value(difference.p_value)]
