"""Several runs side by side: metrics, differences with intervals, and settings that the user set differently."""

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from ctr.config.earlier_versions import translate_config
from ctr.config.explicit_settings import ABSENT, differences, explicit_part, is_explicit
from ctr.config.yaml_file import join_key
from ctr.errors import ConfigError
from ctr.evaluation.run_differences import RunDifferences, run_differences
from ctr.metrics import Difference
from ctr.metrics.catalog import entry, shown_in
from ctr.metrics.metric import Metric, Place
from ctr.report import formats
from ctr.report.interval_notes import cluster_note
from ctr.report.text_table import TextTable
from ctr.runs.files import check_writable
from ctr.runs.run import Run
from ctr.schema.report import ScoredReport
from ctr.schema.split_metrics import SplitMetrics

MAX_KEYS = 20
MAX_NAMES = 5  # of features in one row
FEATURES = "features.columns."
TEXT_LENGTH = 40
NONE = "-"
DIFFERENCES = ["run", "metric", "difference", "95% CI", "p"]
HOW_TO_READ = (
    "A positive difference is better for AUC, a negative one for log loss; * marks a CI that excludes 0. Differences "
    "are paired on the same examples, which count as independent unless a note says that the CIs are clustered; "
    "examples of one user are not independent, and without clustering their CIs are too narrow. A CI is about these "
    "trained models, not about runs with different seeds."
)


@dataclass(frozen=True)
class _Named:
    """A run or an evaluation with its name in tables."""

    name: str
    run: Run
    report: ScoredReport


def side_by_side(runs: Sequence[Run]) -> list[TextTable]:
    """Return tables that compare runs or evaluations, which have their reports.

    Compares every split that at least two of them have under one name: test, valid, then others. Reads their scores,
    one split of two runs at a time: 120 bytes per example while a difference is computed.

    Args:
        runs: runs to compare; differences are to the first run that has a split.
    """
    named_runs = list(zip(short_names(runs), runs, strict=True))
    by_split: dict[str, list[_Named]] = {"test": [], "valid": []}
    for run in _scored(named_runs):
        for name in run.report["psi"]["score"]:
            by_split.setdefault(name, []).append(run)
    sections = [
        section
        for name, having in by_split.items()
        if len(having) > 1
        for section in (_metrics(name, having), _differences(name, having))
    ]
    if not sections:
        sections = [TextTable("no two of them have a split in common", [], [])]
    elif any(section.header == DIFFERENCES and section.rows for section in sections):
        sections.append(TextTable("how to read a difference", [], [], [HOW_TO_READ]))
    return [*sections, *_settings(named_runs)]


def _scored(named_runs: Sequence[tuple[str, Run]]) -> Iterator[_Named]:
    """Yield the runs and evaluations; reports of `ctr psi` have no scores and are left out."""
    for name, run in named_runs:
        report = run.report()
        if report["kind"] != "psi":
            yield _Named(name, run, report)


def print_side_by_side(sections: Sequence[TextTable], console: Console) -> None:
    """Print the tables."""
    console.print("\nside by side", style="bold")
    for section in sections:
        section.show(console)


def to_markdown(sections: Sequence[TextTable]) -> str:
    """Return the tables as Markdown, for a pull request."""
    return "\n\n".join(["### Side by side", *(section.markdown() for section in sections)]) + "\n"


def check_markdown(path: Path, overwrite: bool) -> None:
    """Raise ConfigError unless `path` can be a Markdown file to write; only with `overwrite` it can exist."""
    if path.is_dir() or path.suffix != ".md":
        raise ConfigError(f"--out: {path} is not a Markdown file. Use a file name that ends in .md.")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"--out: {path.parent} is not a folder. Use a path in an existing folder.")
    if not overwrite and (path.exists() or path.is_symlink()):
        raise ConfigError(f"--out: {path} already exists. Choose another file, or add --overwrite.")
    check_writable(path.absolute().parent)


def short_names(runs: Sequence[Run]) -> list[str]:
    """Return the folders without the common start of their paths.

    >>> short_names([Run("runs/a"), Run("runs/b/evaluations/day-10")])
    ['a', 'b/evaluations/day-10']
    """
    folders = [run.folder.absolute() for run in runs]
    common = os.path.commonpath([folder.parent for folder in folders])
    return [str(folder.relative_to(common)) for folder in folders]


def _metrics(name: str, runs: list[_Named]) -> TextTable:
    """Return the metrics of one split, with a row for each run."""
    by_run = [run.report["metrics"][name] for run in runs]
    visible = [metric for metric in shown_in(Place.SIDE_BY_SIDE) if all(metric.key in metrics for metrics in by_run)]
    rows = []
    for run, metrics in zip(runs, by_run, strict=True):
        psi = run.report["psi"]["score"][name]
        cells = [text for metric in visible for text in _value(metric, metrics)]
        drift = f"{formats.psi(psi['psi'])} {formats.drift(psi['drift'])}"
        rows.append([run.name, formats.count(metrics["rows"]), *cells, drift])
    header = [text for metric in visible for text in (metric.label, *(["95% CI"] if metric.interval else []))]
    return TextTable(name, ["run", "examples", *header, "score PSI"], rows)


def _value(metric: Metric, metrics: SplitMetrics) -> list[str]:
    """Return a metric's value, and its interval if the metric has one."""
    if metric.interval is None:
        return [metric.text(metrics[metric.key])]
    bounds = metrics.get(metric.interval)
    return [metric.text(metrics[metric.key]), formats.interval(bounds) if bounds else NONE]


def _differences(name: str, runs: list[_Named]) -> TextTable:
    """Return the differences from the first run on one split, with a row for each run and metric."""
    baseline, *others = runs
    rows: list[list[str]] = []
    notes: list[str] = []
    of_runs = run_differences(name, [(run.run, run.report) for run in runs])
    for run, of_run in zip(others, of_runs, strict=True):
        notes += [f"{run.name}: {note}" for note in _notes(of_run)]
        by_metric = of_run.by_metric
        rows += [[run.name, entry(key).label, *_cells(difference)] for key, difference in by_metric.items()]
    return TextTable(f"{name}, differences from {baseline.name}", DIFFERENCES, rows, notes, texts=2)


def _notes(of_run: RunDifferences) -> list[str]:
    """Return notes on the differences of a run."""
    if of_run.not_paired is not None:
        return [f"no difference: {of_run.not_paired}"]
    notes = []
    if of_run.not_clustered is not None:
        notes.append(f"CIs assume independent examples: {of_run.not_clustered}")
    if of_run.clusters is not None:
        column, clusters = str(of_run.cluster_column), of_run.clusters
        notes.append(f"CIs are {cluster_note(column, clusters.count, clusters.effective_count)}")
    if not of_run.has_common_columns:
        notes.append("the examples count as the same because their labels are equal; there is no pass-through column")
    return notes + [
        f"no CI of the {entry(key).label}: {difference.reason}"
        for key, difference in of_run.by_metric.items()
        if difference.reason is not None
    ]


def _settings(runs: Sequence[tuple[str, Run]]) -> list[TextTable]:
    """Return the settings that the user set differently; nothing if fewer than two runs have a config.yaml.

    A difference counts if a run has neither the default nor a value that follows from its other settings.
    """
    classical = [name for name, run in runs if run.report()["kind"] == "classical"]
    saved = [(name, config_of(run)) for name, run in runs if name not in classical]
    configs = [(name, config) for name, config in saved if config is not None]
    if len(configs) < 2:
        return []
    differing = list(differences([config for _, config in configs]))
    explicit = [
        (path, values)
        for path, values in differing
        if any(
            value is not ABSENT and is_explicit(config, path)
            for value, (_, config) in zip(values, configs, strict=True)
        )
    ]
    rows = _joined_features(
        [
            [
                join_key(path),
                *(_setting(config, path, value) for value, (_, config) in zip(values, configs, strict=True)),
            ]
            for path, values in explicit
        ]
    )
    notes = [f"and {len(rows) - MAX_KEYS} more"] if len(rows) > MAX_KEYS else []
    if hidden := len(differing) - len(explicit):
        follow = "differ" if hidden > 1 else "differs"
        notes.append(f"not listed: {hidden} more that {follow} only because of defaults or other settings")
    notes += [f"{name}: no config.yaml to compare" for name, config in saved if config is None]
    notes += [f"{name}: a classical model, without settings of model and optimizers" for name in classical]
    title = (
        "settings that differ"
        if rows
        else "no setting was set differently"
        if differing
        else "the settings are the same"
    )
    return [TextTable(title, ["key", *(name for name, _ in configs)], rows[:MAX_KEYS], notes, texts=len(configs) + 1)]


def _setting(config: dict[str, Any], path: tuple[str, ...], value: Any) -> str:
    """Return the value of a setting as a table shows it; of a mapping only what the user set."""
    if value is ABSENT:
        return NONE
    if not isinstance(value, dict):
        return _cut(_text(value))
    part = explicit_part(config, path)
    if value and not part:
        return "(default)"
    return _cut(f"{{{', '.join(f'{key}: {_text(below)}' for key, below in part.items())}}}")


def _joined_features(rows: list[list[str]]) -> list[list[str]]:
    """Return rows of which those that change several features in the same way are one row."""
    joined: dict[tuple[str, ...], list[str]] = {}
    for key, *cells in rows:
        match = re.fullmatch(r'features\.columns\.(?:"[^"]*"|[^."]+)(\..+)?', key)
        of_all = f"{FEATURES}*{match[1] or ''}" if match else key
        joined.setdefault((of_all, *cells), []).append(key)
    return [[_joined_key(of_all, keys), *cells] for (of_all, *cells), keys in joined.items()]


def _joined_key(of_all: str, keys: Sequence[str]) -> str:
    """Return the key of a row for these keys; features that a run lacks are named."""
    if len(keys) == 1:
        return keys[0]
    if of_all != f"{FEATURES}*":
        return f"{of_all} ({len(keys)} features)"
    names = [key.removeprefix(FEATURES) for key in keys]
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return f"{FEATURES}*: {', '.join(names[:MAX_NAMES])}{more}"


def config_of(run: Run) -> dict[str, Any] | None:
    """Return config.yaml of a run, or of the run that was evaluated, in the keys of this version; None without one.

    Raises:
        Damaged: the file has changed since it was written.
    """
    folder = run.folder.absolute()
    candidates = [run, *([Run(folder.parents[1])] if folder.parent.name == "evaluations" else [])]
    trained = next((candidate for candidate in candidates if candidate.exists), None)
    if trained is None:
        return None
    path = trained.file("config.yaml")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError):
        return None
    return translate_config(values) if isinstance(values, dict) else None


def _text(value: Any) -> str:
    is_plain = isinstance(value, str) and value.isprintable() and value == value.strip() and value not in ("", NONE)
    return value if is_plain else json.dumps(value, ensure_ascii=False, default=str)


def _cut(text: str) -> str:
    """Return a long text without its middle, because paths differ at the end."""
    return text if len(text) <= TEXT_LENGTH else f"{text[: TEXT_LENGTH // 2]}…{text[-TEXT_LENGTH // 2 :]}"


def _cells(difference: Difference) -> list[str]:
    """Return the difference, its CI with a star if it excludes 0, and p."""
    value, low, high = difference.value, difference.low, difference.high
    text = f"{value:+.5f}" if value else formats.metric(value)
    if low is None or high is None:
        return [text, "-", "-"]
    star = " *" if low > 0 or high < 0 else "  "  # of equal width, so that numbers are aligned
    return [text, f"{low:+.5f} to {high:+.5f}{star}", formats.p_value(difference.p_value)]
