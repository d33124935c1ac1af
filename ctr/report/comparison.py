"""What a comparison's folder shows: the terminal, report.html, report.md, plots as files, runs.csv."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from rich.console import Console
from rich.text import Text

from ctr.errors import ConfigError
from ctr.metrics.catalog import entry, paired_metrics, shown_in
from ctr.metrics.metric import Place
from ctr.report import comparison_tables as tables
from ctr.report import formats
from ctr.report.html import rendered
from ctr.report.markdown import escaped
from ctr.report.summary_cards import Card
from ctr.report.text_table import TextTable
from ctr.runs.checksums import FILE as CHECKSUMS
from ctr.runs.checksums import check_file, read_sums
from ctr.runs.files import read_json, remove, write_text

FILE = "comparison.json"
TableOf: TypeAlias = Callable[[tables.Found], TextTable]
FIRST: dict[str, TableOf] = {"Leaderboard": tables.leaderboard, "Cost": tables.costs}
DETAILS: dict[str, TableOf] = {
    "Metrics": tables.metrics,
    "Differences": tables.differences,
    "Seed by seed": tables.by_seed,
    "To a target": tables.to_target,
    "Trials": tables.trials,
    "Failed runs": tables.failures,
    "Fairness": tables.shared,
}


class Named(NamedTuple):
    """A table under the name that it has on the page."""

    name: str
    section: TextTable

    @property
    def id(self) -> str:
        """Of its place on the page."""
        return self.name.lower().replace(" ", "-")


def show_comparison(folder: Path, console: Console) -> None:
    """Print the leaderboard, what it costs, and what is to be concluded."""
    found = _read(folder)
    for section in (tables.leaderboard(found), replace(tables.costs(found), notes=[]), tables.failures(found)):
        if section.rows:
            section.show(console)
    console.print()
    for sentence in tables.sentences(found):
        console.print(Text(f"- {sentence}"))
    console.print(f"report: {folder / 'report.html'}", highlight=False, markup=False, soft_wrap=True)


def write_comparison(folder: Path) -> None:
    """Write report.html, report.md, plots/*.svg and runs.csv anew, of comparison.json alone.

    Raises:
        ConfigError: it is damaged.
    """
    from ctr.report.comparison_plots import comparison_plots  # matplotlib takes a second to import
    from ctr.report.svg import standalone

    found = _read(folder)
    try:
        plots = comparison_plots(found)
        first, details = _told(FIRST, found), _told(DETAILS, found)
        page = rendered(
            "comparison.html",
            {
                "study": found["study"],
                "cells": len(found["cells"]),
                "cards": _cards(found),
                "orders": {},
                "sentences": tables.sentences(found),
                "how_to_read": tables.how_to_read(found),
                "plots": list(plots.values()),
                "sections": first,
                "details": details,
                "environment": found["environment"],
            },
        )
        listed = "\n".join(f"- {escaped(sentence)}" for sentence in tables.sentences(found))
        markdown = [
            f"# {escaped(found['study']['name'])}",
            listed,
            *(one.section.markdown() for one in (*first, *details)),
        ]
        written = runs_csv(found)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ConfigError(f"{folder / FILE}: damaged, or of an earlier version: {error}") from error
    remove(folder / "plots")
    (folder / "plots").mkdir()
    for name, plot in plots.items():
        write_text(folder / "plots" / f"{name}.svg", standalone(plot))
    write_text(folder / "runs.csv", written)
    write_text(folder / "report.md", "\n\n".join(markdown) + "\n")
    write_text(folder / "report.html", page)


def _told(tables_of: dict[str, TableOf], found: tables.Found) -> list[Named]:
    """Those that have something to say."""
    made = [Named(name, table_of(found)) for name, table_of in tables_of.items()]
    return [one for one in made if one.section.rows or one.section.notes]


def runs_csv(found: tables.Found) -> str:
    """Every run a row, with the choices, what was drawn, and its metrics; of trials those of validation only."""
    rows = list(_rows(found))
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _rows(found: tables.Found) -> Iterator[dict[str, Any]]:
    for cell in found["cells"]:
        for one in cell["trials"]:
            place = {**cell["choices"], "run": f"trial {one['trial']}", "seed": found["study"]["tuning"]["seed"]}
            measured = {"valid_auc": one["auc"], "valid_log_loss": one["log_loss"], "reason": one["reason"]}
            yield {**place, **one["values"], **measured, "chosen": one["chosen"]}
        for one, seconds in zip(cell["seeds"], cell["clock"]["curves"], strict=True):
            place = {**cell["choices"], "run": f"seed {one['seed']}", "seed": one["seed"], **(cell["tuned"] or {})}
            evaluated = found["study"]["evaluated"]
            measured = {f"{evaluated}_{metric.key}": one.get(metric.key) for metric in shown_in(Place.COMPARISON)}
            size = {name: cell[name] for name in ("zero_share", "table_bytes", "nonzero_table_bytes", "state_bytes")}
            length = {f"trained_{name}": one[name] for name in ("epochs", "steps", "rows")}
            yield {
                **place,
                "valid_auc": one["valid_auc"],
                **measured,
                **length,
                "seconds": max(seconds, default=None),
                **size,
            }
        for one in [one for one in cell["failures"] if one["trial"] is None]:
            place = {**cell["choices"], "run": f"seed {one['seed']}", "seed": one["seed"]}
            yield {**place, **(cell["tuned"] or {}), "reason": one["reason"]}


def _cards(found: tables.Found) -> list[Card]:
    """The verdicts of the page's head."""
    judged = [cell for cell in found["cells"] if cell["difference"] is not None]
    alike = [cell for cell in judged if cell["difference"]["start"]["equal"]]
    failed = sum(len(cell["failures"]) for cell in found["cells"])
    return [
        _best_card(found),
        _verdict_card(judged, found["study"]["baseline"]),
        Card(
            "Same start",
            f"{len(alike)} of {len(judged)}",
            ["began with the baseline's weights and saw its batches in its order, seed by seed."],
        ),
        Card("Failed runs", str(failed), ["Each has a row with its reason."] if failed else []),
    ]


def _best_card(found: tables.Found) -> Card:
    """The cell with the highest AUC, and the log loss that comes with it, so that neither is read alone."""
    best, lowest = tables.best_of(found), tables.lowest_loss(found)
    if best is None:
        return Card("Highest mean AUC", formats.metric(None), [])
    told = [f"{best['name']}."]
    if lowest is best:
        told.append(f"Its mean log loss, {_mean(best, 'log_loss')}, is the lowest.")
    elif lowest is not None:
        told.append(
            f"Its mean log loss is {_mean(best, 'log_loss')}; the lowest is {_mean(lowest, 'log_loss')}, of "
            f"{lowest['name']} (AUC {_mean(lowest, 'auc')})."
        )
    return Card("Highest mean AUC", _mean(best, "auc"), told)


def _verdict_card(judged: list[dict[str, Any]], baseline: str) -> Card:
    """How many cells are better than the baseline by each metric, and what the others are."""
    better, told = [], []
    for key in paired_metrics():
        label = entry(key).label
        verdicts = [cell["difference"]["metrics"][key]["verdict"] for cell in judged]
        counts = {word: verdicts.count(verdict) for verdict, word in tables.WORDS.items()}
        better.append(f"{counts['better']} in {label}")
        listed = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
        told.append(f"Of {len(judged)} in {label}: {listed}.")
    return Card(f"Better than {baseline}", ", ".join(better), told)


def _mean(cell: dict[str, Any], metric: str) -> str:
    one = cell["metrics"][metric]
    return entry(metric).text(None if one is None else one["value"])


def _read(folder: Path) -> tables.Found:
    """Return what comparison.json says; ConfigError if it is damaged or not sealed."""
    again = "The same `ctr compare` command makes it again."
    sums = read_sums(folder, f"Delete it. {again}")
    if sums is None:
        what = f"has no {CHECKSUMS}: an earlier version made the comparison, or the file was deleted."
        raise ConfigError(f"{folder}: {what} {again}")
    check_file(folder, FILE, sums, again)
    return read_json(folder / FILE)
