"""Checks for label leaks: features that reveal the label, and duplicates of training examples."""

from ctr.checks.significance import (
    DUPLICATE_MARGIN,
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
    """Check that no feature alone has an AUC above 0.95."""
    for name, leakage in report["leakage"].items():
        metrics = report["metrics"][name]
        if not has_enough_examples(metrics):
            continue
        known = {feature: auc for feature, auc in leakage["single_feature_auc"].items() if auc is not None}
        suspects = sorted(
            (feature for feature, auc in known.items() if auc > 0.95), key=lambda feature: -known[feature]
        )
        for feature in suspects[:NAMED]:
            yield (
                Level.WARNING,
                name,
                f"Possible leak: {feature} alone has AUC {known[feature]:.4f} in {name}. Check that it is known before "
                f"the label.",
            )
        if name == main and known and not suspects:
            best = max(known, key=lambda feature: known[feature])
            error = auc_error(known[best], metrics)
            numbers = f"the best, {best}, has AUC {known[best]:.4f} (SE {error:.4f})"
            if known[best] + Z95 * error <= 0.95:
                yield Level.OK, name, f"No single feature reveals the label: {numbers}."
            else:
                yield (
                    Level.NOTE,
                    name,
                    f"Cannot tell whether one feature reveals the label: {numbers}; {too_few_of_a_class(metrics)}.",
                )


def duplicates(report: Measured, training: SplitMetrics, main: str) -> Statements:
    """Check that examples do not duplicate training examples beyond the natural duplicate rate."""
    for name, leakage in report["leakage"].items():
        repeated, rows = leakage["duplicates"], report["metrics"][name]["rows"]
        if repeated["is_suspect"]:
            known = repeated["identified_rows"]
            rest = f" The other {rows - known:,} have a value outside the vocabulary." if rows > known else ""
            yield Level.WARNING, name, f"Possible leak: about {duplicate_share(repeated, name)}.{rest}"
        elif name == main and rows >= MIN_ROWS:
            yield _not_suspect(repeated, name)


def duplicate_share(duplicates: Duplicates, name: str) -> str:
    """Return the share of a split that duplicates training examples, as the end of a sentence.

    >>> found = {"share": 0.2, "error": 0.011, "upper": 0.22, "identified_rows": 5000, "is_suspect": True}
    >>> duplicate_share(found, "test")[:54]
    '20.0% (SE 1.1%) of the 5,000 identifiable examples of '
    """
    share, error = 100 * (duplicates["share"] or 0), 100 * (duplicates["error"] or 0)
    return (
        f"{share:.1f}% (SE {error:.1f}%) of the {duplicates['identified_rows']:,} identifiable examples of {name} "
        f"duplicate training examples, label and features included, beyond the natural duplicate rate"
    )


def _not_suspect(repeated: Duplicates, name: str) -> Statement:
    """Return the statement for a split without a significant share of duplicates."""
    if repeated["share"] is None or repeated["upper"] is None:
        return (
            Level.NOTE,
            name,
            f"Cannot tell whether {name} duplicates training examples: {repeated['reason']}.",
        )
    examples = f"of the {repeated['identified_rows']:,} identifiable examples"
    at_most = f"at most {100 * repeated['upper']:.2f}% (95% CI) {examples}"
    if repeated["upper"] <= DUPLICATE_MARGIN:
        return Level.OK, name, f"No sign of duplicates of training examples in {name}: {at_most}."
    if repeated["upper"] >= 1:
        at_most = f"any share {examples} is possible"
    return (
        Level.NOTE,
        name,
        f"Too few examples to tell whether {name} duplicates training examples: {at_most}.",
    )
