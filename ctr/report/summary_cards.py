"""Cards at the top of a page: the main numbers of a report, with what they mean in plain sentences."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ctr.checks.significance import STANDARD_ERRORS, judge_calibration, judge_excess, largest_psi, too_few
from ctr.metrics import MONITORS
from ctr.metrics.psi import MODERATE_ABOVE, Drift
from ctr.report import formats
from ctr.report.classical import fit_sentences
from ctr.report.drift import DistributionDrift
from ctr.report.history import History
from ctr.schema.report import ClassicalReport, DriftReport, EvaluationReport, ModelReport, RunReport, ScoredReport
from ctr.schema.split_metrics import SplitMetrics

MAX_NAMES = 8  # features that a card names before it counts the rest
CALIBRATION = {"off": "The scores are miscalibrated", "holds": "The scores are calibrated overall"}
CONSTANT = "the log loss of always predicting the positive rate"


@dataclass(frozen=True)
class Card:
    """A number, and what it means.

    Attributes:
        title: name of the number.
        value: the number as text.
        sentences: explanations.
        drift: drift level, for a PSI.
    """

    title: str
    value: str
    sentences: list[str]
    drift: Drift | None = None


def summary_cards(
    report: RunReport | EvaluationReport | ClassicalReport,
    score: DistributionDrift | None,
    features: list[DistributionDrift],
    history: History | None,
) -> list[Card]:
    """Return the cards of a run, an evaluation or a classical model.

    Metrics are those of the main split: test, or else the last one.
    """
    metrics, main = report["metrics"], report["main_split"]
    others = [name for name in reversed(metrics) if name != main]
    if metrics[main]["positive_rate"] is None and metrics[main]["mean_score"] is not None:
        cards = [_scores_only(metrics[main])]
    else:
        cards = [
            _ranking(metrics, main, others),
            *([_group_ranking(metrics, main, others)] if "gauc" in metrics[main] else []),
            _loss(metrics, main, others),
            _calibration(metrics[main], main),
        ]
    if score is not None:
        cards.append(_score_drift(score, main, main in report["psi"]["overfitting"]))
    if features:
        calendar = {name for names in report["psi"]["calendar"].values() for name in names}
        cards.append(_feature_drift(features, "feature", calendar))
    if report["kind"] == "run" and history is not None:
        cards.append(_training(report, history))
    elif report["kind"] == "classical":
        seconds = formats.duration(report["seconds"]["train"])
        sentences = [*fit_sentences(report["fit"]), f"With reading and evaluation: {_total(report)}."]
        cards.append(Card("Fitting time", seconds, sentences))
    else:
        cards.append(Card("Evaluation time", _total(report), ["For reading, scoring and computing metrics."]))
    if report["kind"] != "classical" and report["row_sparsity"]:
        cards.append(_row_sparsity(report))
    return cards


def _ranking(metrics: dict[str, SplitMetrics], main: str, others: list[str]) -> Card:
    auc, interval = metrics[main]["auc"], metrics[main]["auc_interval"]
    sentences = _other_splits(metrics, others, "auc")
    if auc is None:
        sentences.append(f"Not computed: {metrics[main]['reasons']['auc']}.")
    else:
        if interval is not None:
            sentences.insert(0, f"95% CI {formats.interval(interval)}.")
        sentences.append(
            f"A random positive scores higher than a random negative {formats.percent(auc)} of the time (ties count "
            f"half)."
        )
    return Card(f"AUC, {main}", formats.metric(auc), sentences)


def _group_ranking(metrics: dict[str, SplitMetrics], main: str, others: list[str]) -> Card:
    gauc = metrics[main]["gauc"]
    sentences = _other_splits(metrics, [name for name in others if "gauc" in metrics[name]], "gauc")
    if gauc is None:
        sentences.append(f"Not computed: {metrics[main]['reasons']['gauc']}.")
    else:
        groups, rows = metrics[main]["gauc_groups"], metrics[main]["gauc_rows"]
        sentences.append(
            f"Mean of the AUC within each {metrics[main]['gauc_group']}, weighted by group size. Only the "
            f"{formats.count(groups)} groups with positives and negatives count; they hold {formats.percent(rows)} of "
            f"the examples."
        )
    return Card(f"GAUC, {main}", formats.metric(gauc), sentences)


def _loss(metrics: dict[str, SplitMetrics], main: str, others: list[str]) -> Card:
    loss, excess = metrics[main]["log_loss"], metrics[main]["log_loss_excess"]
    sentences = _other_splits(metrics, others, "log_loss")
    if loss is None:
        sentences.append(f"Not computed: {metrics[main]['reasons']['log_loss']}.")
    elif excess is not None:
        constant = loss - excess
        difference = formats.percent(abs(1 - loss / constant))
        side = "lower" if loss <= constant else "higher"
        sentences.append(f"{difference} {side} than {formats.metric(constant)}, {CONSTANT}.")
        outcome = judge_excess(metrics[main])
        if outcome is None:
            sentences.append("Inconclusive: the standard error of the difference is unknown.")
        elif outcome == "too few":
            sentences.append(f"Inconclusive: the difference is within {STANDARD_ERRORS:g} standard errors.")
    return Card(f"Log loss, {main}", formats.metric(loss), sentences)


def _calibration(metrics: SplitMetrics, main: str) -> Card:
    mean, rate, title = metrics["mean_score"], metrics["positive_rate"], f"Calibration, {main}"
    if mean is None:
        return Card(title, "-", [f"Not computed: {metrics['reasons']['mean_score']}."])
    sentences = [f"Mean score {formats.metric(mean)}, positive rate {formats.metric(rate)}."]
    if not rate:
        return Card(title, "-", [*sentences, "There are no positives."])
    judged = judge_calibration(metrics)
    if judged is not None:
        outcome, (low, high) = judged
        interval = f"95% CI {100 * low:+.1f}% to {100 * high:+.1f}%, {formats.count(metrics['positives'])} positives"
        conclusion = CALIBRATION.get(outcome, f"{too_few(metrics)} to tell whether the scores are calibrated")
        sentences.append(f"{conclusion} ({interval}).")
    return Card(title, f"{mean / rate - 1:+.1%}", sentences)


def _scores_only(metrics: SplitMetrics) -> Card:
    return Card("Mean score", formats.metric(metrics["mean_score"]), [f"No AUC: {metrics['reasons']['auc']}."])


def _score_drift(score: DistributionDrift, main: str, is_overfitting: bool) -> Card:
    psi = score.psi[main]
    sentences = [
        f"{name} {formats.psi(result['psi'])} ({formats.drift_phrase(result['drift'])})."
        for name, result in score.psi.items()
        if name != main
    ]
    if psi["psi"] is None:
        sentences.append(f"Not computed: {psi['reason']}.")
    elif psi["psi"] <= psi["noise"]:
        sentences.append(f"Below the noise floor of {formats.psi(psi['noise'])}, so no evidence of drift.")
        if psi["drift"] == Drift.TOO_LITTLE_DATA or largest_psi(psi) > MODERATE_ABOVE:
            sentences.append("Too few examples to conclude that it is stable.")
    elif is_overfitting:
        sentences.append(
            f"Above the noise floor of {formats.psi(psi['noise'])}. This is probably overfitting, not drift: scores "
            f"of examples that the model has never seen are less extreme, and no feature's drift explains it."
        )
    else:
        sentences.append(
            f"Above the noise floor of {formats.psi(psi['noise'])}, which PSI exceeds about once in 1,000 times "
            f"without drift."
        )
    return Card(f"PSI of the score, {main}", formats.psi(psi["psi"]), sentences, psi["drift"])


def drift_cards(report: DriftReport, columns: list[DistributionDrift]) -> list[Card]:
    """Return the cards of two datasets that `ctr psi` compared."""
    rows = report["rows"]
    cards = [
        _feature_drift(columns, "column", set()),
        Card(
            "Rows compared",
            formats.count(rows["current"]),
            [f"Rows of the current data, compared with {formats.count(rows['reference'])} rows of the reference."],
        ),
    ]
    over_time = {} if report["psi"]["over_time"] is None else report["psi"]["over_time"]["features"]
    dated = sorted((column["since"], name) for name, column in over_time.items() if column["since"] is not None)
    if dated:
        names = _join_texts(f"{name} (since {since})" for since, name in dated)
        cards.append(
            Card("Major drift since", dated[0][0], [f"By period, until the end of the data: {names}."], Drift.MAJOR)
        )
    undated = [name for name, column in over_time.items() if "reason" in column and Drift.MAJOR in column["drift"]]
    if undated:
        sentences = [f"{_join_texts(undated)}: these columns follow the calendar, so their drift has no start date."]
        cards.append(Card("Not dated", formats.count(len(undated)), sentences))
    not_compared = report["not_compared"]
    if not_compared:
        cards.append(Card("Not compared", formats.count(len(not_compared)), [f"{_join_texts(not_compared)}."]))
    return cards


def _feature_drift(drifts: list[DistributionDrift], noun: str, calendar: set[str]) -> Card:
    """Return the card of all features, except date parts of which a split does not have all values."""
    features = [drift for drift in drifts if drift.name not in calendar]
    by_level = {level: [drift for drift in features if drift.level == level] for level in (Drift.MAJOR, Drift.MODERATE)}
    drifted = [drift for of_level in by_level.values() for drift in of_level]
    sentences = []
    for word, of_level in by_level.items():
        if of_level:
            names = _join_texts(f"{drift.name} ({formats.psi(drift.worst)})" for drift in of_level)
            sentences.append(f"{formats.drift_phrase(word).capitalize()}: {names}.")
    unknown = sum(drift.level == Drift.TOO_LITTLE_DATA for drift in features)
    known = len(features) - unknown
    if not drifted and known:
        with_data = " with enough data" if unknown else ""
        sentences.insert(0, f"No {noun}{with_data} has moderate or major drift.")
    if unknown:
        sentences.append(f"{formats.count(unknown)} {noun}{'s' if unknown != 1 else ''} with too little data.")
    left_out = [drift.name for drift in drifts if drift.name in calendar]
    if left_out:
        sentences.append(
            f"Left out, because a split does not have all values of these date parts: {_join_texts(left_out)}."
        )
    level = features[0].level if features and (drifted or not unknown) else None
    title = f"{noun.capitalize()}s that have drifted"
    return Card(title, f"{len(drifted)} of {known}" if known else "-", sentences, level)


def _training(report: RunReport, history: History) -> Card:
    training = report["training"]
    epochs = training["epochs"]
    sentences = [f"{epochs} of at most {history.max_epochs} epochs. With reading and evaluation: {_total(report)}."]
    if "negatives" in training:
        negatives = training["negatives"]
        kept, in_data = formats.count(negatives["kept"]), formats.count(negatives["all"])
        sentences.append(f"Each epoch trained on {kept} of {in_data} negatives.")
    if report["warm_start"] is not None:
        sentences.append(_warm_start(report["warm_start"]))
    best = history.best
    if best is None:
        sentences.append("There is no validation split, so the final weights were kept.")
    else:
        monitor = MONITORS[history.monitor]
        value = monitor.value_of_line(best)
        sentences.append(
            f"The best validation has {monitor.label} {formats.metric(value)}, at step {formats.count(best['step'])} "
            f"after {best['epoch']} full epoch{'s' if best['epoch'] != 1 else ''}. Its weights were kept."
        )
        if training["stopped_early"]:
            sentences.append(f"Training stopped early, {history.misses} validations after the best.")
        elif history.misses == 0:
            sentences.append("Training did not stop early and the last validation is the best: more epochs might help.")
        else:
            sentences.append("Training did not stop early.")
    return Card("Training time", formats.duration(report["seconds"]["train"]), sentences)


def _warm_start(warm_start: dict[str, Any]) -> str:
    tables = warm_start["tables"].values()
    copied, new = (formats.count(sum(rows[kind] for rows in tables)) for kind in ("carried", "new"))
    state = "kept" if warm_start["optimizer_state"] == "keep" else "reset"
    return (
        f"Warm start from {warm_start['run']}, step {formats.count(warm_start['step'])}: {copied} embeddings copied, "
        f"{new} new; optimizer state {state}."
    )


def _row_sparsity(report: ModelReport) -> Card:
    sparse = [table for table in report["tables"] if table["all_zero_embeddings"]]
    sparse.sort(key=lambda table: -table["all_zero_embeddings"])
    names = _join_texts(f"{table['name']} ({formats.percent(table['row_sparsity'])})" for table in sparse)
    return Card("Row sparsity", formats.percent(report["row_sparsity"]), [f"All-zero embeddings are in {names}."])


def _other_splits(metrics: dict[str, SplitMetrics], others: list[str], key: str) -> list[str]:
    values = [f"{name} {formats.metric(metrics[name][key])}" for name in others]
    return [", ".join(values) + "."] if values else []


def _join_texts(texts: Iterable[str]) -> str:
    """Return the first texts joined, with the number of the others."""
    items = list(texts)
    rest = len(items) - MAX_NAMES
    return ", ".join(items[:MAX_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def _total(report: ScoredReport) -> str:
    return formats.duration(report["seconds"]["total"])
