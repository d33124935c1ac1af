"""Checks that runs of one seed had equal initial weights and saw the same examples in the same order."""

from collections.abc import Sequence

from ctr.comparison.results import Result
from ctr.config.config_diff import diff_experiments
from ctr.runs.run_data import have_same_data
from ctr.schema.comparison import Start

START_NEUTRAL = (  # settings that change neither initial weights nor the order of examples
    "name",
    "optimizers*",
    "report*",
    "training.precision",
    "training.self_ensemble",
    "training.reduce_lr_on_plateau*",
    "training.early_stopping*",
    "training.epochs",
    "training.validate_every*",
    "training.checkpoint*",
)
ORDER = "data order"


def fairness(pairs: Sequence[tuple[Result, Result]]) -> Start:
    """Compare what the runs of a variant and of the baseline started from, seed by seed.

    Args:
        pairs: finished run of the variant and finished run of the baseline, for each seed.
    """
    if any(candidate.run.variant.classical_model for candidate, _ in pairs):
        return {"equal": False, "shared": [], "differing": [], "violations": _different_data(pairs)}
    must_be_equal = all(not _changed_settings(base, candidate, exclude=START_NEUTRAL) for candidate, base in pairs)
    is_shared: dict[str, bool] = {}
    violations = []
    for candidate, base in pairs:
        base_start, start = _starts(base, candidate)
        names = list({**base_start, **start})
        for name in names:
            is_shared[name] = is_shared.get(name, True) and base_start.get(name) == start.get(name)
        differing = [name for name in names if base_start.get(name) != start.get(name)]
        if must_be_equal and differing:
            violations.append(f"{candidate.run.label}: differs from {base.run.label} in {', '.join(differing)}")
    violations += _different_data(pairs)
    return {
        "equal": must_be_equal and not violations and is_shared.get(ORDER, False),
        "shared": [name for name, shared in is_shared.items() if shared],
        "differing": [name for name, shared in is_shared.items() if not shared],
        "violations": violations,
    }


def _different_data(pairs: Sequence[tuple[Result, Result]]) -> list[str]:
    """Return a sentence for each pair whose data differs although it has the same `data` settings."""
    return [
        f"{candidate.run.label}: trained on different data than {base.run.label}"
        for candidate, base in pairs
        if not _changed_settings(base, candidate, include=("data*",))
        and not have_same_data(base.run.saved, candidate.run.saved)
    ]


def _changed_settings(
    base: Result, candidate: Result, include: tuple[str, ...] = ("*",), exclude: tuple[str, ...] = ()
) -> list[str]:
    return diff_experiments(base.run.experiment, candidate.run.experiment, include, exclude)


def _starts(base: Result, candidate: Result) -> tuple[dict[str, str], dict[str, str]]:
    """Return the SHA-256 of initial weights and data order, by name, of both runs."""
    weights = [result.run.saved.read_json("initial_weights.json") for result in (base, candidate)]
    trained = [result.run_report["training"] for result in (base, candidate)]
    orders = [{ORDER: result.run_report["fingerprints"]["data_order"]} for result in (base, candidate)]
    # the fingerprint covers the first epoch, or a part of it if the run stopped within it
    if (
        any(training["epochs"] <= 1 and training["stopped_early"] for training in trained)
        and trained[0]["steps"] != trained[1]["steps"]
    ):
        orders = [{}, {}]
    return {**orders[0], **weights[0]}, {**orders[1], **weights[1]}
