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
from ctr.report.comparison_sentences import sentences
from ctr.report.html import rendered
from ctr.report.markdown import escaped
from ctr.report.summary_cards import Card
from ctr.report.text_table import TextTable
from ctr.runs.checksums import FILE as CHECKSUMS
from ctr.runs.checksums import check_file, read_sums
from ctr.runs.files import read_json, remove, write_text
from ctr.schema.codec import read_comparison
from ctr.schema.comparison import Comparison, DifferenceToBaseline, SeedResult, VariantResult, Verdict

FILE = "comparison.json"
TableOf: TypeAlias = Callable[[Comparison], TextTable]
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
    for sentence in sentences(found):
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
    plots = comparison_plots(found)
    first, details = _told(FIRST, found), _told(DETAILS, found)
    page = rendered(
        "comparison.html",
        {
            "study": found["study"],
            "variants": len(found["variants"]),
            "cards": _cards(found),
            "orders": {},
            "sentences": sentences(found),
            "how_to_read": tables.how_to_read(found),
            "plots": list(plots.values()),
            "sections": first,
            "details": details,
            "environment": found["environment"],
        },
    )
    listed = "\n".join(f"- {escaped(sentence)}" for sentence in sentences(found))
    markdown = [
        f"# {escaped(found['study']['name'])}",
        listed,
        *(one.section.markdown() for one in (*first, *details)),
    ]
    written = runs_csv(found)
    remove(folder / "plots")
    (folder / "plots").mkdir()
    for name, plot in plots.items():
        write_text(folder / "plots" / f"{name}.svg", standalone(plot))
    write_text(folder / "runs.csv", written)
    write_text(folder / "report.md", "\n\n".join(markdown) + "\n")
    write_text(folder / "report.html", page)


def _told(tables_of: dict[str, TableOf], found: Comparison) -> list[Named]:
    """Those that have something to say."""
    made = [Named(name, table_of(found)) for name, table_of in tables_of.items()]
    return [one for one in made if one.section.rows or one.section.notes]


def runs_csv(found: Comparison) -> str:
    """Every run a row, with the choices, what was drawn, and its metrics; of trials those of validation only."""
    rows = list(_rows(found))
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _rows(found: Comparison) -> Iterator[dict[str, Any]]:
    tuning = found["study"]["tuning"]
    for cell in found["variants"]:
        for trial in cell["trials"]:
            place = {**cell["options"], "run": f"trial {trial['trial']}", "seed": tuning and tuning["seed"]}
            measured = {"valid_auc": trial["auc"], "valid_log_loss": trial["log_loss"], "reason": trial["reason"]}
            yield {**place, **trial["values"], **measured, "chosen": trial["chosen"]}
        for one, seconds in zip(cell["seeds"], cell["clock"]["curves"], strict=True):
            yield {**_place(cell, one["seed"]), **_measured(cell, one, seconds, found["study"]["evaluated"])}
        for failure in [one for one in cell["failures"] if one["trial"] is None]:
            yield {**_place(cell, failure["seed"]), "reason": failure["reason"]}


def _place(cell: VariantResult, seed: int) -> dict[str, Any]:
    """The columns that say which run a row is of."""
    return {**cell["options"], "run": f"seed {seed}", "seed": seed, **(cell["tuned"] or {})}


def _measured(cell: VariantResult, one: SeedResult, seconds: list[float], evaluated: str | None) -> dict[str, Any]:
    """The columns of a run with a report."""
    return {
        "valid_auc": one["valid_auc"],
        **{f"{evaluated}_{metric.key}": one.get(metric.key) for metric in shown_in(Place.COMPARISON)},
        **{f"trained_{name}": one[name] for name in ("epochs", "steps", "rows")},
        "seconds": max(seconds, default=None),
        "row_sparsity": cell["row_sparsity"],
        "table_bytes": cell["table_bytes"],
        "nonzero_table_bytes": cell["nonzero_table_bytes"],
        "state_bytes": cell["state_bytes"],
    }


def _cards(found: Comparison) -> list[Card]:
    """The verdicts of the page's head."""
    judged = [cell["difference"] for cell in found["variants"] if cell["difference"] is not None]
    alike = [difference for difference in judged if difference["start"]["equal"]]
    failed = sum(len(cell["failures"]) for cell in found["variants"])
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


def _best_card(found: Comparison) -> Card:
    """The cell with the highest AUC, and the log loss that comes with it, so that neither is read alone."""
    best, lowest = tables.best_of(found), tables.lowest_loss(found)
    if best is None:
        return Card("Highest mean AUC", formats.metric(None), [])
    told = [f"{best['name']}."]
    if lowest is best:
        told.append(f"Its mean log loss, {tables.mean(best, 'log_loss')}, is the lowest.")
    elif lowest is not None:
        told.append(
            f"Its mean log loss is {tables.mean(best, 'log_loss')}; the lowest is "
            f"{tables.mean(lowest, 'log_loss')}, of {lowest['name']} (AUC {tables.mean(lowest, 'auc')})."
        )
    return Card("Highest mean AUC", tables.mean(best, "auc"), told)


def _verdict_card(judged: list[DifferenceToBaseline], baseline: str) -> Card:
    """How many cells are better than the baseline by each metric, and what the others are."""
    better, told = [], []
    for key in paired_metrics():
        label = entry(key).label
        verdicts = [difference["metrics"][key]["verdict"] for difference in judged]
        counts = {verdict: verdicts.count(verdict) for verdict in tables.WORDS}
        better.append(f"{counts[Verdict.BETTER]} in {label}")
        listed = ", ".join(f"{count} {tables.WORDS[verdict]}" for verdict, count in counts.items() if count)
        told.append(f"Of {len(judged)} in {label}: {listed}.")
    return Card(f"Better than {baseline}", ", ".join(better), told)


def _read(folder: Path) -> Comparison:
    """Return what comparison.json says; ConfigError if it is damaged or not sealed."""
    again = "The same `ctr compare` command makes it again."
    sums = read_sums(folder, f"Delete it. {again}")
    if sums is None:
        what = f"has no {CHECKSUMS}: an earlier version made the comparison, or the file was deleted."
        raise ConfigError(f"{folder}: {what} {again}")
    check_file(folder, FILE, sums, again)
    return read_comparison(folder / FILE, read_json(folder / FILE))
