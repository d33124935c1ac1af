"""Whether a feature or copied rows give the label away."""

from collections.abc import Mapping
from typing import Any

from ctr.checks.significance import (
    COPIED_MARGIN,
    MIN_ROWS,
    Z95,
    auc_error,
    has_enough_examples,
)
from ctr.checks.statements import NAMED, Level, Statements, too_few_of_a_class


def single_features(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Statements:
    for name, leakage in report["leakage"].items():
        metrics = report["metrics"][name]
        if not has_enough_examples(metrics):
            continue
        known = {feature: auc for feature, auc in leakage["single_feature_auc"].items() if auc is not None}
        suspects = sorted((feature for feature, auc in known.items() if auc > 0.95), key=lambda one: -known[one])
        for feature in suspects[:NAMED]:
            yield (
                "warning",
                name,
                f"Leak? {feature} alone has an AUC of {known[feature]:.4f} in {name}. Is it known before the label?",
            )
        if name == main and known and not suspects:
            best = max(known, key=lambda feature: known[feature])
            error = auc_error(known[best], metrics)
            told = f"the best alone, {best}, has an AUC of {known[best]:.4f} (± {error:.4f})"
            if known[best] + Z95 * error <= 0.95:
                yield "ok", name, f"No single feature gives the label away: {told}."
            else:
                yield (
                    "note",
                    name,
                    f"Cannot say whether a feature gives the label away: {told}; {too_few_of_a_class(metrics)}.",
                )


def repeated_rows(report: Mapping[str, Any], training: Mapping[str, Any], main: str) -> Statements:
    for name, leakage in report["leakage"].items():
        repeated, rows = leakage["rows_in_training"], report["metrics"][name]["rows"]
        if repeated["is_suspect"]:
            known = repeated["identified_rows"]
            rest = f" The other {rows - known:,} have a value out of vocabulary." if rows > known else ""
            yield (
                "warning",
                name,
                f"Leak? About {100 * repeated['share']:.1f}% (± {100 * repeated['error']:.1f}%) of the {known:,} rows "
                f"of {name} that can be identified are in the training data too, with label and features, beyond those "
                f"that repeat by themselves.{rest}",
            )
        elif name == main and rows >= MIN_ROWS:
            yield _without_copies(repeated, name)


def _without_copies(repeated: Mapping[str, Any], name: str) -> tuple[Level, str, str]:
    """The sentence on rows that were not found to be copied."""
    if repeated["share"] is None:
        return (
            "note",
            name,
            f"Cannot say whether rows of {name} were copied from the training data: {repeated['reason']}.",
        )
    of_rows = f"of the {repeated['identified_rows']:,} rows that can be identified"
    at_most = f"at most {100 * repeated['upper']:.2f}% (95% CI) {of_rows}"
    if repeated["upper"] <= COPIED_MARGIN:
        return "ok", name, f"No sign that rows of {name} were copied from the training data: {at_most}."
    if repeated["upper"] >= 1:
        at_most = f"any share {of_rows} is possible"
    return "note", name, f"Too few rows to say whether some of {name} were copied from the training data: {at_most}."
