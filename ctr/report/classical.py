"""Sentences on the fit of a classical model."""

from ctr.schema.classical import ClassicalFit

KINDS = {
    "logistic": "Logistic regression on {} one-hot and numeric columns",
    "trees": "Gradient-boosted trees on {} columns, with out-of-fold target means of ids",
}
UNITS = {"C": "C = {:g}", "trees": "{:g} trees"}


def fit_sentences(fit: ClassicalFit) -> list[str]:
    """Return how a model was fitted, on how many examples, and how its setting was selected."""
    kind = KINDS[fit["model"]].format(f"{fit['inputs']:,}")
    return [f"{kind}, by {fit['library']}.", f"Fitted on {examples(fit)}.", f"{selection(fit)}.", *_warnings(fit)]


def examples(fit: ClassicalFit) -> str:
    """Return the number of training examples, as text."""
    if fit["examples"] < fit["total_examples"]:
        return f"a sample of {fit['examples']:,} of {fit['total_examples']:,} training examples"
    return f"all {fit['examples']:,} training examples"


def selection(fit: ClassicalFit) -> str:
    """Return the selected setting and what selected it, as text."""
    selected = ", ".join(UNITS[name].format(value) for name, value in fit["selected"].items())
    if not fit["valid_examples"]:
        return f"{selected}, fixed because there is no validation split"
    return f"{selected}, selected by log loss on {fit['valid_examples']:,} validation examples"


def _warnings(fit: ClassicalFit) -> list[str]:
    return [f"{warning[0].upper()}{warning[1:]}." for warning in fit["warnings"]]
