"""Whether the trainings of a seed began with equal weights and saw the same rows in the same order."""

from collections.abc import Sequence
from typing import Any

from ctr.comparison.results import Result
from ctr.differences import changed_settings
from ctr.run import read_json

MOVES_NO_START = (  # settings that change neither initial weights nor the order of rows
    "name",
    "optimizers*",
    "report*",
    "training.precision",
    "training.plateau*",
    "training.early_stopping*",
    "training.epochs",
    "training.validate_every*",
    "training.checkpoint*",
)
ORDER = "the order of rows"


def fairness(baseline: Sequence[Result], others: Sequence[Result]) -> dict[str, Any]:
    """What the trainings of one cell have in common with those of the baseline, seed by seed.

    Args:
        baseline: its finished trainings.
        others: those of the cell.

    Returns:
        equal: whether settings differ in optimizers, schedules, precision and the length of training only, so that all
            must be equal; shared: what is equal in every seed, `the order of rows`, tables and weights; differing: what
            is not; violations: what is not equal though it must be, in sentences.
    """
    by_seed = {result.run.seed: result for result in baseline}
    pairs = [(by_seed[result.run.seed], result) for result in others if result.run.seed in by_seed]
    must_be_equal = all(
        not changed_settings(base.run.experiment, other.run.experiment, but=MOVES_NO_START) for base, other in pairs
    )
    names: dict[str, bool] = {}
    violations = []
    for base, other in pairs:
        before, now = _start(base), _start(other)
        if not (_epochs(base) and _epochs(other)):  # one was stopped within the first, whose order this is
            before, now = ({name: one[name] for name in one if name != ORDER} for one in (before, now))
        for name in {**before, **now}:
            names[name] = names.get(name, True) and before.get(name) == now.get(name)
        if must_be_equal and before != now:
            differing = [name for name in {**before, **now} if before.get(name) != now.get(name)]
            violations.append(f"{other.run.label}: other than in {base.run.label}: {', '.join(differing)}")
        if must_be_equal and _data(base) != _data(other):
            violations.append(f"{other.run.label}: was trained on other files than {base.run.label}")
    return {
        "equal": must_be_equal and not violations,
        "shared": [name for name, is_shared in names.items() if is_shared],
        "differing": [name for name, is_shared in names.items() if not is_shared],
        "violations": violations,
    }


def _start(result: Result) -> dict[str, str]:
    """What a training began with: SHA-256 by name."""
    assert result.report is not None
    weights = read_json(result.run.folder / "initial_weights.json")
    return {ORDER: result.report["fingerprints"]["data_order"], **weights}


def _epochs(result: Result) -> int:
    assert result.report is not None
    return result.report["training"]["epochs"]


def _data(result: Result) -> dict[str, Any]:
    return read_json(result.run.folder / "data.json")
