"""Words for losing trials, which `tuning.stop_losers` ends early."""

from ctr.metrics import MONITORS
from ctr.report import formats
from ctr.schema.comparison import Comparison, Trial, TrialEnding


def ending_text(ending: TrialEnding) -> str:
    """Return how a trial ended, with the numbers that decided it.

    >>> ending_text({"validation": 3, "validations": 10, "epochs": 3.0, "last_epoch": 10.0, "metric": "auc",
    ...     "value": 0.7012, "bound": 0.719, "best": 0.7411, "best_trial": 1})
    'ended after validation 3 of 10: AUC 0.70120, at most 0.71900 by extrapolation, trial 1 has 0.74110'
    """
    metric = MONITORS[ending["metric"]]
    limit = "at most" if metric.sign > 0 else "at least"
    return (
        f"ended after validation {ending['validation']} of {ending['validations']}: {metric.label} "
        f"{metric.text(ending['value'])}, {limit} {metric.text(ending['bound'])} by extrapolation, "
        f"trial {ending['best_trial']} has {metric.text(ending['best'])}"
    )


def trial_outcome(trial: Trial) -> str:
    """Return the validation AUC of a trial, or why it ended early or failed."""
    ending = trial.get("ended")
    return ending_text(ending) if ending is not None else trial["reason"] or formats.metric(trial["auc"])


def ended_sentence(comparison: Comparison) -> str | None:
    """Return how many trials ended early and what that saved at most; None if no trial did."""
    trials = [trial for variant in comparison["variants"] for trial in variant["trials"]]
    endings = [ending for trial in trials if (ending := trial.get("ended")) is not None]
    if not endings:
        return None
    trained, possible = (sum(ending[key] for ending in endings) for key in ("epochs", "last_epoch"))
    seconds = sum(variant["clock"].get("trial_seconds_saved", 0.0) for variant in comparison["variants"])
    saved = f", which saved at most {formats.duration(seconds)}" if seconds else ""  # nothing if they trained on
    return (
        f"{len(endings)} of {len(trials)} trials ended early, because an earlier trial of the same variant was out of "
        f"reach. They count as trials. They needed {trained:g} of at most {possible:g} epochs{saved}."
    )
