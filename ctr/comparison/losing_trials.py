"""The rule that ends a losing trial: a pure function of the validations of the trial and of earlier trials.

A trial is ended after a validation if its monitor would stay worse than that of the best earlier trial of its variant,

- even if it gained as fast as in the faster of its last two intervals between validations, up to its last epoch,
- even if it gained as much as any earlier trial gained after the same share of its epochs,
- and even if its result were another `MARGIN` standard errors better.

The first condition covers trials that learn slowly, because learning curves flatten. The second covers gains that come
late, such as those of a lower learning rate.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ctr.metrics import MONITORS
from ctr.schema.comparison import TrialEnding

MARGIN = 3.0  # standard errors of the best earlier trial's monitor on the valid split
FEWEST = 3  # validations after which a trial can be ended, all of them after the warm-up of its learning rates


@dataclass(frozen=True)
class TrialCurve:
    """Monitor of a trial at its validations, in order.

    Attributes:
        metric: monitor, a key of `ctr.metrics.MONITORS`.
        epochs: epochs until each validation, increasing, with fractions.
        values: monitor at each validation; None if it is undefined.
        last_epoch: maximum number of epochs.
        validations: number of validations in `last_epoch` epochs.
        warm_up: epochs of the longest warm-up of a learning rate.
        patience: validations in a row without improvement after which training stops.
    """

    metric: str
    epochs: tuple[float, ...]
    values: tuple[float | None, ...]
    last_epoch: float
    validations: int
    warm_up: float = 0.0
    patience: float = math.inf

    def gains(self) -> list[float]:
        """Return the best value up to each validation, times -1 for a metric that is better when lower.

        It is -inf until the first value is known.
        """
        sign, best, bests = MONITORS[self.metric].sign, -math.inf, []
        for value in self.values:
            best = best if value is None or not math.isfinite(value) else max(best, sign * value)
            bests.append(best)
        return bests


@dataclass(frozen=True)
class FinishedTrial:
    """A trial that trained to its end, with which later trials of its variant are compared.

    Attributes:
        trial: number of the trial.
        curve: validations of the trial.
        error: standard error of its monitor on the valid split; None if it is unknown.
    """

    trial: int
    curve: TrialCurve
    error: float | None

    @property
    def best(self) -> float:
        """Best value, times -1 for a metric that is better when lower."""
        return max(self.curve.gains(), default=-math.inf)

    def gain_after(self, share: float) -> float:
        """Return the gain of the best value after a share of the training; inf if no validation came before."""
        early = [
            best
            for epochs, best in zip(self.curve.epochs, self.curve.gains(), strict=True)
            if epochs <= share * self.curve.last_epoch * (1 + 1e-9)
        ]
        return self.best - early[-1] if early and early[-1] > -math.inf else math.inf


@dataclass(frozen=True)
class EndedTrial:
    """A losing trial: where it ended, and the metrics of its best validation until then.

    Attributes:
        ending: validation after which the trial ended, with the numbers that decided it.
        auc: AUC of the best validation; None if it is undefined.
        log_loss: log loss of the best validation; None if it is undefined.
    """

    ending: TrialEnding
    auc: float | None
    log_loss: float | None


def ending_of(curve: TrialCurve, finished: Sequence[FinishedTrial]) -> TrialEnding | None:
    """Return after which validation a trial is ended; None if it is not.

    Args:
        curve: validations of the trial so far, or all of them.
        finished: earlier trials of the variant that trained to their end, in their order.
    """
    known = [trial for trial in finished if trial.best > -math.inf]
    best = max(known, key=lambda trial: trial.best, default=None)  # the first of equal trials
    if best is None or best.error is None:
        return None
    sign, gains = MONITORS[curve.metric].sign, curve.gains()
    for index in _decisive(curve, gains):
        epochs = curve.epochs[index]
        later = max(trial.gain_after(epochs / curve.last_epoch) for trial in known)
        linear = _rate(curve, gains, index) * (curve.last_epoch - epochs)
        bound = gains[index] + max(linear, later) + MARGIN * best.error
        if bound < best.best:
            return {
                "validation": index + 1,
                "validations": curve.validations,
                "epochs": epochs,
                "last_epoch": curve.last_epoch,
                "metric": curve.metric,
                "value": sign * gains[index],
                "bound": sign * bound,
                "best": sign * best.best,
                "best_trial": best.trial,
            }
    return None


def _decisive(curve: TrialCurve, gains: Sequence[float]) -> Iterable[int]:
    """Return the validations after which a trial can be ended: enough after warm-up, and training would continue."""
    misses, after_warm_up = 0, 0
    for index, epochs in enumerate(curve.epochs):
        misses = 0 if index == 0 or gains[index] > gains[index - 1] else misses + 1
        after_warm_up += epochs >= curve.warm_up
        if misses >= curve.patience or epochs >= curve.last_epoch:
            return
        if after_warm_up >= FEWEST and all(gain > -math.inf for gain in gains[index - 2 : index + 1]):
            yield index


def _rate(curve: TrialCurve, gains: Sequence[float], index: int) -> float:
    """Return the gain per epoch in the faster of the last two intervals before a validation."""
    return max(
        (gains[end] - gains[end - 1]) / (curve.epochs[end] - curve.epochs[end - 1]) for end in (index - 1, index)
    )
