"""The first thing a reader sees: what the numbers of a report mean, in plain sentences."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ctr.checks.significance import judge_calibration, judge_excess, largest_psi, too_few
from ctr.metrics.catalog import entry
from ctr.metrics.psi import MODERATE_ABOVE
from ctr.metrics.psi import Drift as Level
from ctr.report import formats
from ctr.report.drift import Drift
from ctr.report.history import History
from ctr.schema.report import DriftReport, EvaluationReport, RunReport, ScoredReport
from ctr.schema.split_metrics import SplitMetrics

NAMED = 8  # features that a card names before it counts the rest
CALIBRATION = {
    "off": "The scores are off by more than chance",
    "holds": "The scores are calibrated as a whole",
}


@dataclass(frozen=True)
class Card:
    """One verdict: a number, and what it means."""

    title: str
    value: str
    sentences: list[str]
    drift: Level | None = None  # of a PSI


def summary_cards(
    report: RunReport | EvaluationReport, score: Drift | None, features: list[Drift], history: History | None
) -> list[Card]:
    """Everything worth knowing before the tables, of the set that matters most: test, else the last there is."""
    metrics, main = report["metrics"], report["main_split"]
    others = [name for name in reversed(metrics) if name != main]
    if metrics[main]["positive_rate"] is None and metrics[main]["mean_score"] is not None:
        found = [_scores_only(metrics[main])]
    else:
        found = [
            _ranking(metrics, main, others),
            *([_group_ranking(metrics, main, others)] if "gauc" in metrics[main] else []),
            _loss(metrics, main, others),
            _calibration(metrics[main]),
        ]
    if score is not None:
        found.append(_score_stability(score, main, main in report["psi"]["overfitting"]))
    if features:
        by_set = report["psi"]["calendar"].values()
        found.append(_feature_stability(features, "Features that moved", {name for names in by_set for name in names}))
    if report["kind"] == "run" and history is not None:
        found.append(_training(report, history))
    else:
        found.append(Card("Time", _total(report), ["Reading, scoring and measuring."]))
    if report["row_sparsity"]:
        found.append(_row_sparsity(report))
    return found


def _ranking(metrics: dict[str, SplitMetrics], main: str, others: list[str]) -> Card:
    auc, interval = metrics[main]["auc"], metrics[main]["auc_interval"]
    sentences = _beside(metrics, others, "auc")
    if auc is None:
        sentences.append(f"There is none: {metrics[main]['reasons']['auc']}.")
    else:
        if interval is not None:
            sentences.insert(0, f"95 % interval {formats.interval(interval)}.")
        sentences.append(
            f"Of a row with label 1 and one with label 0, the first scores higher {formats.percent(auc)} of the time, "
            f"ties counted half."
        )
    return Card(f"AUC, {main}", formats.metric(auc), sentences)


def _group_ranking(metrics: dict[str, SplitMetrics], main: str, others: list[str]) -> Card:
    gauc = metrics[main]["gauc"]
    sentences = _beside(metrics, [name for name in others if "gauc" in metrics[name]], "gauc")
    if gauc is None:
        sentences.append(f"There is none: {metrics[main]['reasons']['gauc']}.")
    else:
        groups, rows = metrics[main]["gauc_groups"], metrics[main]["gauc_rows"]
        sentences.append(
            f"The AUC within a group: a mean, weighted by rows, over {formats.count(groups)} groups with both classes, "
            f"which hold {formats.percent(rows)} of the rows."
        )
    return Card(f"GAUC, {main}", formats.metric(gauc), sentences)


def _loss(metrics: dict[str, SplitMetrics], main: str, others: list[str]) -> Card:
    loss, excess = metrics[main]["log_loss"], metrics[main]["log_loss_excess"]
    sentences = _beside(metrics, others, "log_loss")
    if loss is None:
        sentences.append(f"There is none: {metrics[main]['reasons']['log_loss']}.")
    elif excess is not None:
        constant = loss - excess
        of_constant = f"{formats.metric(constant)}, which the label rate alone would give"
        gain = formats.percent(abs(1 - loss / constant))
        outcome = judge_excess(metrics[main])
        if outcome is None or outcome == "too few":
            side = "below" if loss <= constant else "above"
            sentences.append(f"Too close to {of_constant}, to say which is better: {gain} {side} it.")
        else:
            sentences.append(f"{gain} {'better' if outcome == 'holds' else 'worse'} than {of_constant}.")
    return Card(f"Log loss, {main}", formats.metric(loss), sentences)


def _calibration(metrics: SplitMetrics) -> Card:
    mean, rate = metrics["mean_score"], metrics["positive_rate"]
    if mean is None:
        return Card("Calibration", "-", [f"There is none: {metrics['reasons']['mean_score']}."])
    sentences = [f"Mean score {formats.metric(mean)}, label rate {formats.metric(rate)}."]
    if not rate:
        return Card("Calibration", "-", [*sentences, "No row has label 1."])
    judged = judge_calibration(metrics)
    if judged is not None:
        outcome, (low, high) = judged
        interval = f"95% CI {100 * low:+.1f}% to {100 * high:+.1f}%, {formats.count(metrics['positives'])} positives"
        found = CALIBRATION.get(outcome, f"{too_few(metrics)} to say whether the scores are calibrated")
        sentences.append(f"{found} ({interval}).")
    return Card("Calibration", f"{mean / rate - 1:+.1%}".replace("%", " %"), sentences)


def _scores_only(metrics: SplitMetrics) -> Card:
    return Card("Mean score", formats.metric(metrics["mean_score"]), [f"There is no AUC: {metrics['reasons']['auc']}."])


def _score_stability(score: Drift, main: str, is_overfitting: bool) -> Card:
    psi = score.psi[main]
    sentences = [
        f"{name} {formats.psi(one['psi'])} {formats.drift(one['drift'])}."
        for name, one in score.psi.items()
        if name != main
    ]
    if psi["psi"] is None:
        sentences.append(f"There is none: {psi['reason']}.")
    elif psi["psi"] <= psi["noise"]:
        sentences.append(f"Within its noise of {formats.psi(psi['noise'])}: no more than chance would do.")
        if psi["drift"] == Level.TOO_LITTLE_DATA or largest_psi(psi) > MODERATE_ABOVE:
            sentences.append("Too few rows to say that it is stable.")
    elif is_overfitting:
        sentences.append(
            f"Above its noise of {formats.psi(psi['noise'])}. This is overfitting, not drift: rows that the model has "
            f"not seen score nearer to the middle, and no feature's shift explains it."
        )
    else:
        noise = formats.psi(psi["noise"])
        sentences.append(f"Above its noise of {noise}: more than chance sets the scores apart from training's.")
    return Card(f"PSI of the score, {main}", formats.psi(psi["psi"]), sentences, psi["drift"])


def drift_cards(report: DriftReport, columns: list[Drift]) -> list[Card]:
    """Everything worth knowing first of two data sets that `ctr psi` compared."""
    rows = report["rows"]
    found = [
        _feature_stability(columns, "Columns that moved", set()),
        Card(
            "Rows compared",
            formats.count(rows["current"]),
            [f"With {formats.count(rows['reference'])} of the reference."],
        ),
    ]
    over_time = {} if report["psi"]["over_time"] is None else report["psi"]["over_time"]["features"]
    since = {name: one["since"] for name, one in over_time.items()}
    unstable = sorted((first, name) for name, first in since.items() if first is not None)
    if unstable:
        listed = _named(f"{name} (since {first})" for first, name in unstable)
        found.append(Card("Unstable since", unstable[0][0], [f"To the end of the data: {listed}."], Level.MAJOR))
    by_nature = [name for name, one in over_time.items() if "reason" in one and Level.MAJOR in one["drift"]]
    if by_nature:
        sentences = [f"{_named(by_nature)}: they follow the time by nature, so no date is given."]
        found.append(Card("Not dated", formats.count(len(by_nature)), sentences))
    left_out = report["not_compared"]
    if left_out:
        found.append(Card("Not compared", formats.count(len(left_out)), [f"{_named(left_out)}."]))
    return found


def _feature_stability(compared: list[Drift], title: str, calendar: set[str]) -> Card:
    """The card of all features but parts of a time of which a set does not hold all values."""
    features = [one for one in compared if one.name not in calendar]
    by_level = {level: [one for one in features if one.level == level] for level in (Level.MAJOR, Level.MODERATE)}
    moved = [one for found in by_level.values() for one in found]
    sentences = [
        f"{formats.drift(level).capitalize()}: {_named(f'{one.name} ({formats.psi(one.worst)})' for one in found)}."
        for level, found in by_level.items()
        if found
    ]
    unknown = sum(one.level == Level.TOO_LITTLE_DATA for one in features)
    known = len(features) - unknown
    if unknown:
        sentences.append(f"{unknown} with too little data to tell.")
    if not moved and known:
        of_known = f"{known} with enough data: none" if unknown else "None"
        sentences.insert(0, f"{of_known} is unstable, none is moderate.")
    left_out = [one.name for one in compared if one.name in calendar]
    if left_out:
        sentences.append(f"Left out, as parts of the time of which a set does not hold all values: {_named(left_out)}.")
    level = features[0].level if features and (moved or not unknown) else None
    return Card(title, f"{len(moved)} of {known}" if known else "-", sentences, level)


def _training(report: RunReport, history: History) -> Card:
    training = report["training"]
    sentences = [
        f"{training['epochs']} of at most {history.epochs_asked} epochs; with reading and measuring {_total(report)}."
    ]
    if report["warm_start"] is not None:
        sentences.append(_warm_start(report["warm_start"]))
    best = history.best
    if best is None:
        sentences.append("No validation set: the last weights were kept.")
    else:
        metric = entry(history.steered_by).label
        value = best["auc"] if history.steered_by == "auc" else best["loss"]
        sentences.append(
            f"Best validation {metric} {formats.metric(value)} at step {formats.count(best['step'])}, after "
            f"{best['epoch']} whole epoch{'s' if best['epoch'] != 1 else ''}; those weights were kept."
        )
        if training["stopped_early"]:
            sentences.append(f"Stopped early, {history.misses} validations after the best.")
        elif history.misses == 0:
            sentences.append("It did not stop early, and the last validation is the best: more epochs may help.")
        else:
            sentences.append("It did not stop early.")
    return Card("Training time", formats.duration(report["seconds"]["train"]), sentences)


def _warm_start(warm_start: dict[str, Any]) -> str:
    tables = warm_start["tables"].values()
    carried, new = (formats.count(sum(rows[kind] for rows in tables)) for kind in ("carried", "new"))
    state = "carried" if warm_start["optimizer_state"] == "keep" else "begun anew"
    return (
        f"Began with the weights of {warm_start['run']} at step {formats.count(warm_start['step'])}: {carried} rows of "
        f"its tables carried, {new} new; optimizer state {state}."
    )


def _row_sparsity(report: ScoredReport) -> Card:
    sparse = [table for table in report["tables"] if table["all_zero_embeddings"]]
    sparse.sort(key=lambda table: -table["all_zero_embeddings"])
    listed = _named(f"{table['name']} ({formats.percent(table['row_sparsity'])})" for table in sparse)
    return Card("All-zero table rows", formats.percent(report["row_sparsity"]), [f"In {listed}."])


def _beside(metrics: dict[str, SplitMetrics], others: list[str], metric: str) -> list[str]:
    listed = [f"{name} {formats.metric(metrics[name][metric])}" for name in others]
    return [", ".join(listed) + "."] if listed else []


def _named(texts: Iterable[str]) -> str:
    listed = list(texts)
    rest = len(listed) - NAMED
    return ", ".join(listed[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _total(report: ScoredReport) -> str:
    return formats.duration(report["seconds"]["total"])
