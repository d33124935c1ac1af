"""Checks for features and copied rows that give the label away."""

from ctr.checks.significance import (
    COPIED_MARGIN,
    MIN_ROWS,
    Z95,
    auc_error,
    has_enough_examples,
)
from ctr.checks.statements import NAMED, Statement, Statements, too_few_of_a_class
from ctr.schema.levels import Level
from ctr.schema.report import Duplicates, Measured
from ctr.schema.split_metrics import SplitMetrics


def single_features(report: Measured, training: SplitMetrics, main: str) -> Statements:
    for name, leakage in report["leakage"].items():
        metrics = report["metrics"][name]
        if not has_enough_examples(metrics):
            continue
        known = {feature: auc for feature, auc in leakage["single_feature_auc"].items() if auc is not None}
        suspects = sorted((feature for feature, auc in known.items() if auc > 0.95), key=lambda one: -known[one])
        for feature in suspects[:NAMED]:
            yield (
                Level.WARNING,
                name,
                f"Leak? {feature} alone has an AUC of {known[feature]:.4f} in {name}. Is it known before the label?",
            )
        if name == main and known and not suspects:
            best = max(known, key=lambda feature: known[feature])
            error = auc_error(known[best], metrics)
            told = f"the best alone, {best}, has an AUC of {known[best]:.4f} (± {error:.4f})"
            if known[best] + Z95 * error <= 0.95:
                yield Level.OK, name, f"No single feature gives the label away: {told}."
            else:
                yield (
                    Level.NOTE,
                    name,
                    f"Cannot say whether a feature gives the label away: {told}; {too_few_of_a_class(metrics)}.",
                )


def duplicates(report: Measured, training: SplitMetrics, main: str) -> Statements:
    for name, leakage in report["leakage"].items():
        repeated, rows = leakage["duplicates"], report["metrics"][name]["rows"]
        if repeated["is_suspect"]:
            known = repeated["identified_rows"]
            rest = f" The other {rows - known:,} have a value out of vocabulary." if rows > known else ""
            yield Level.WARNING, name, f"Leak? About {copied(repeated, name)}.{rest}"
        elif name == main and rows >= MIN_ROWS:
            yield _without_copies(repeated, name)


def copied(duplicates: Duplicates, name: str) -> str:
    """Return how many rows of a split were copied from the training data, the end of a sentence.

    >>> found = {"share": 0.2, "error": 0.011, "upper": 0.22, "identified_rows": 5000, "is_suspect": True}
    >>> copied(found, "test")[:63]
    '20.0% (± 1.1%) of the 5,000 rows of test that can be identified'
    """
    share, error = 100 * (duplicates["share"] or 0), 100 * (duplicates["error"] or 0)
    return (
        f"{share:.1f}% (± {error:.1f}%) of the {duplicates['identified_rows']:,} rows of {name} that can be identified "
        f"are in the training data too, with label and features, beyond those that repeat by themselves"
    )


def _without_copies(repeated: Duplicates, name: str) -> Statement:
    """The sentence on rows that were not found to be copied."""
    if repeated["share"] is None or repeated["upper"] is None:
        return (
            Level.NOTE,
            name,
            f"Cannot say whether rows of {name} were copied from the training data: {repeated['reason']}.",
        )
    of_rows = f"of the {repeated['identified_rows']:,} rows that can be identified"
    at_most = f"at most {100 * repeated['upper']:.2f}% (95% CI) {of_rows}"
    if repeated["upper"] <= COPIED_MARGIN:
        return Level.OK, name, f"No sign that rows of {name} were copied from the training data: {at_most}."
    if repeated["upper"] >= 1:
        at_most = f"any share {of_rows} is possible"
    return (
        Level.NOTE,
        name,
        f"Too few rows to say whether some of {name} were copied from the training data: {at_most}.",
    )
