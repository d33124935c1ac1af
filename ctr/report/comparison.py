"""Reports of a comparison: terminal output, report.html, report.md, plots as files, runs.csv."""

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
from ctr.report.ended_trials import ending_text
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
TableFunction: TypeAlias = Callable[[Comparison], TextTable]
MAIN_TABLES: dict[str, TableFunction] = {"Leaderboard": tables.leaderboard, "Cost": tables.costs}
DETAIL_TABLES: dict[str, TableFunction] = {
    "Metrics": tables.metrics,
    "Differences": tables.differences,
    "Results by seed": tables.by_seed,
    "Cost to target": tables.to_target,
    "Trials": tables.trials,
    "Classical models": tables.classical,
    "Failed runs": tables.failures,
    "Fairness": tables.shared,
}


class PageTable(NamedTuple):
    """A table with its heading on the page."""

    name: str
    table: TextTable

    @property
    def id(self) -> str:
        """Anchor on the page."""
        return self.name.lower().replace(" ", "-")


def show_comparison(folder: Path, console: Console) -> None:
    """Print leaderboard, cost, failed runs and conclusions.

    Raises:
        ConfigError: comparison.json is damaged or has no checksum.
    """
    comparison = _read(folder)
    costs = replace(tables.costs(comparison), notes=[])
    for table in (tables.leaderboard(comparison), costs, tables.failures(comparison)):
        if table.rows:
            table.show(console)
    console.print()
    for sentence in sentences(comparison):
        console.print(Text(f"- {sentence}"))


def write_comparison(folder: Path) -> None:
    """Write report.html, report.md, plots/*.svg and runs.csv from comparison.json.

    Raises:
        ConfigError: comparison.json is damaged or has no checksum.
    """
    from ctr.report.comparison_plots import comparison_plots  # matplotlib takes a second to import
    from ctr.report.svg import standalone

    comparison = _read(folder)
    plots = comparison_plots(comparison)
    main, details = _non_empty(MAIN_TABLES, comparison), _non_empty(DETAIL_TABLES, comparison)
    page = rendered(
        "comparison.html",
        {
            "study": comparison["study"],
            "variants": tables.count_variants(comparison),
            "cards": _cards(comparison),
            "orders": {},
            "sentences": sentences(comparison),
            "how_to_read": tables.how_to_read(comparison),
            "plots": list(plots.values()),
            "main": main,
            "details": details,
            "environment": comparison["environment"],
        },
    )
    conclusions = "\n".join(f"- {escaped(sentence)}" for sentence in sentences(comparison))
    markdown = [
        f"# {escaped(comparison['study']['name'])}",
        conclusions,
        *(page_table.table.markdown() for page_table in (*main, *details)),
    ]
    runs = runs_csv(comparison)
    remove(folder / "plots")
    (folder / "plots").mkdir()
    for name, plot in plots.items():
        write_text(folder / "plots" / f"{name}.svg", standalone(plot))
    write_text(folder / "runs.csv", runs)
    write_text(folder / "report.md", "\n\n".join(markdown) + "\n")
    write_text(folder / "report.html", page)


def _non_empty(functions: dict[str, TableFunction], comparison: Comparison) -> list[PageTable]:
    """Return the tables that have rows or notes."""
    named_tables = [PageTable(name, function(comparison)) for name, function in functions.items()]
    return [page_table for page_table in named_tables if page_table.table.rows or page_table.table.notes]


def runs_csv(comparison: Comparison) -> str:
    """Return runs.csv: one line per run with its options, sampled settings and metrics.

    Trials have validation metrics only.
    """
    rows = list(_rows(comparison))
    columns = list(dict.fromkeys(column for row in rows for column in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _rows(comparison: Comparison) -> Iterator[dict[str, Any]]:
    study = comparison["study"]
    tuning = study["tuning"]
    for variant in comparison["variants"]:
        for trial in variant["trials"]:
            run = {**variant["options"], "run": f"trial {trial['trial']}", "seed": tuning and tuning["seed"]}
            reason = ending_text(ending) if (ending := trial.get("ended")) is not None else trial["reason"]
            measured = {"valid_auc": trial["auc"], "valid_log_loss": trial["log_loss"], "reason": reason}
            yield {**run, **trial["values"], **measured, "chosen": trial["chosen"]}
        clock = variant["clock"]
        times = [[seconds] for seconds in clock["fits"]] if "fits" in clock else clock["curves"]
        for result, seconds in zip(variant["seeds"], times, strict=True):
            yield {
                **_run_columns(variant, result["seed"], comparison),
                **_metric_columns(variant, result, seconds, study["evaluated"]),
            }
        for failure in [failure for failure in variant["failures"] if failure["trial"] is None]:
            yield {**_run_columns(variant, failure["seed"], comparison), "reason": failure["reason"]}


def _run_columns(variant: VariantResult, seed: int, comparison: Comparison) -> dict[str, Any]:
    """Return the columns that identify a reported run; a classical model has its name in that of the first axis."""
    first = next(iter(comparison["study"]["axes"]))
    options = {first: variant["name"]} if variant.get("classical_model") else variant["options"]
    return {**options, "run": f"seed {seed}", "seed": seed, **(variant["tuned"] or {})}


def _metric_columns(
    variant: VariantResult, result: SeedResult, seconds: list[float], evaluated: str | None
) -> dict[str, Any]:
    """Return the columns with metrics, duration and sizes of a reported run."""
    return {
        "valid_auc": result["valid_auc"],
        **{f"{evaluated}_{metric.key}": result.get(metric.key) for metric in shown_in(Place.COMPARISON)},
        **{f"trained_{name}": result[name] for name in ("epochs", "steps", "rows")},
        "seconds": max(seconds, default=None),
        "row_sparsity": variant["row_sparsity"],
        "table_bytes": variant["table_bytes"],
        "nonzero_table_bytes": variant["nonzero_table_bytes"],
        "state_bytes": variant["state_bytes"],
    }


def _cards(comparison: Comparison) -> list[Card]:
    """Return the summary cards at the top of the page."""
    variants = comparison["variants"]
    compared = [variant["difference"] for variant in variants if variant["difference"] is not None]
    trained = [
        variant["difference"]
        for variant in variants
        if variant["difference"] is not None and variant.get("classical_model") is None
    ]
    same_start = [difference for difference in trained if difference["start"]["equal"]]
    failed = sum(len(variant["failures"]) for variant in variants)
    return [
        _best_card(comparison),
        _verdict_card(compared, comparison["study"]["baseline"]),
        Card(
            "Same start",
            f"{len(same_start)} of {len(trained)}",
            ["Variants with the baseline's initial weights and data order, for every seed."],
        ),
        Card("Failed runs", str(failed), ["The reasons are listed under Failed runs."] if failed else []),
    ]


def _best_card(comparison: Comparison) -> Card:
    """Return the highest mean AUC together with log loss, so that neither metric is read alone."""
    best, lowest = tables.best_of(comparison), tables.lowest_loss(comparison)
    if best is None:
        return Card("Highest mean AUC", formats.metric(None), [])
    texts = [f"{best['name']}."]
    if lowest is best:
        texts.append(f"Its mean log loss, {tables.mean(best, 'log_loss')}, is the lowest.")
    elif lowest is not None:
        texts.append(
            f"Its mean log loss is {tables.mean(best, 'log_loss')}. {lowest['name']} has the lowest, "
            f"{tables.mean(lowest, 'log_loss')} (AUC {tables.mean(lowest, 'auc')})."
        )
    return Card("Highest mean AUC", tables.mean(best, "auc"), texts)


def _verdict_card(compared: list[DifferenceToBaseline], baseline: str) -> Card:
    """Return the number of variants that are better than the baseline by each metric, and all verdict counts."""
    better, texts = [], []
    for key in paired_metrics():
        label = entry(key).label
        verdicts = [difference["metrics"][key]["verdict"] for difference in compared]
        counts = {verdict: verdicts.count(verdict) for verdict in tables.WORDS}
        better.append(f"{counts[Verdict.BETTER]} in {label}")
        words = ", ".join(f"{count} {tables.WORDS[verdict]}" for verdict, count in counts.items() if count)
        texts.append(f"{label[0].upper()}{label[1:]}: {words or 'no verdict'}.")
    return Card(f"Better than {baseline}", ", ".join(better), texts)


def _read(folder: Path) -> Comparison:
    """Read comparison.json.

    Raises:
        ConfigError: the file is damaged or has no checksum.
    """
    advice = "Run the same `ctr compare` command to write it again."
    sums = read_sums(folder, f"Delete it. {advice}")
    if sums is None:
        cause = f"{CHECKSUMS} not found: an earlier version wrote the comparison, or the file was deleted."
        raise ConfigError(f"{folder}: {cause} {advice}")
    check_file(folder, FILE, sums, advice)
    return read_comparison(folder / FILE, read_json(folder / FILE))
