"""Whether the trainings of a seed began with equal weights and saw the same rows in the same order."""

from collections.abc import Sequence

from ctr.comparison.results import Result
from ctr.config.config_diff import diff_experiments
from ctr.runs.run_data import have_same_data
from ctr.schema.comparison import Start

MOVES_NO_START = (  # settings that change neither initial weights nor the order of rows
    "name",
    "optimizers*",
    "report*",
    "training.precision",
    "training.reduce_lr_on_plateau*",
    "training.early_stopping*",
    "training.epochs",
    "training.validate_every*",
    "training.checkpoint*",
)
ORDER = "the batches of rows in their order"


def fairness(pairs: Sequence[tuple[Result, Result]]) -> Start:
    """What the trainings of one cell have in common with those of the baseline, seed by seed.

    Args:
        pairs: of each seed the finished training of the cell and that of the baseline.
    """
    must_be_equal = all(not _changed(base, other, but=MOVES_NO_START) for other, base in pairs)
    names: dict[str, bool] = {}
    violations = []
    for other, base in pairs:
        before, now = _starts(base, other)
        for name in {**before, **now}:
            names[name] = names.get(name, True) and before.get(name) == now.get(name)
        differing = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        if must_be_equal and differing:
            violations.append(f"{other.run.label}: other than in {base.run.label}: {', '.join(differing)}")
        if not _changed(base, other, within=("data*",)) and not have_same_data(base.run.saved, other.run.saved):
            violations.append(f"{other.run.label}: was trained on other data than {base.run.label}")
    return {
        "equal": must_be_equal and not violations and names.get(ORDER, False),
        "shared": [name for name, is_shared in names.items() if is_shared],
        "differing": [name for name, is_shared in names.items() if not is_shared],
        "violations": violations,
    }


def _changed(base: Result, other: Result, within: tuple[str, ...] = ("*",), but: tuple[str, ...] = ()) -> list[str]:
    return diff_experiments(base.run.experiment, other.run.experiment, within, but)


def _starts(base: Result, other: Result) -> tuple[dict[str, str], dict[str, str]]:
    """What both trainings began with: SHA-256 by name."""
    assert base.report is not None
    assert other.report is not None
    weights = [result.run.saved.read_json("initial_weights.json") for result in (base, other)]
    trained = [report["training"] for report in (base.report, other.report)]
    orders = [{ORDER: report["fingerprints"]["data_order"]} for report in (base.report, other.report)]
    # the fingerprint is that of the first epoch; of one that was stopped within it, of a part
    if (
        any(one["epochs"] <= 1 and one["stopped_early"] for one in trained)
        and trained[0]["steps"] != trained[1]["steps"]
    ):
        orders = [{}, {}]
    return {**orders[0], **weights[0]}, {**orders[1], **weights[1]}
