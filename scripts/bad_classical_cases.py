"""Mistakes with the classical models of a study, and what each must be answered with."""

from breakable_experiment import study

CLASSICAL_STUDIES = [
    study("an unknown classical model", {"classical_models": ["svm"]}, "classical_models", "'logistic'", "'svm'"),
    study(
        "a duplicate classical model",
        {"classical_models": ["trees", "trees"]},
        "classical_models",
        "duplicate",
        "'trees'",
    ),
    study(
        "an option with the name of a classical model",
        {"axes": {"model": {"logistic": {}, "other": {}}}, "classical_models": ["logistic"]},
        "axes.model.logistic",
        "Rename the option",
    ),
    study(
        "a classical model as an option",
        {"axes": {"model": {"base": {}, "logistic": {"baseline": "logistic"}}}},
        "axes.model.logistic",
        "classical_models: [logistic, trees]",
    ),
    study(
        "a classical model as the baseline",
        {"classical_models": ["logistic"], "baseline": {"sparse": "logistic"}},
        "baseline.sparse",
        "unknown option 'logistic'",
    ),
]
