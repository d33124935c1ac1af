"""Metrics of scores as probabilities: log loss, Brier score, calibration and its z. Pure functions of ScoreCounts.

In all formulas, p = sigmoid(score), y is the label, w the weight of a row, and sums are over rows. Standard errors
assume independent rows.
"""

import math

import numpy as np

from ctr.metrics.counts import ScoreCounts, Undefined, sum_of_products
from ctr.metrics.ranking import variance_of_mean
from ctr.metrics.thresholds import deciles

INFINITE_LOSS = "the log loss is infinite: an infinite logit has the opposite label"


def log_losses(logit: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """Return the weighted sum of the log loss in nats of the rows at each logit, float64 [k].

    A positive has -w ln p and a negative -w ln(1 - p), computed from the logit so that neither overflows. At an
    infinite logit the loss is 0 for the predicted label and infinite for the opposite one.

    >>> log_losses(np.array([0.0, 1000.0, np.inf]), np.array([1, 0, 1]), np.array([1, 2, 0])).round(4).tolist()
    [1.3863, 2000.0, 0.0]
    """
    exact = np.asarray(logit, np.float64)
    # ln(1 + exp(x)) = max(x, 0) + ln(1 + exp(-|x|)), for x = -logit of a positive and logit of a negative
    tail = np.log1p(np.exp(-np.abs(exact)))
    return _times(positives, np.maximum(-exact, 0) + tail) + _times(negatives, np.maximum(exact, 0) + tail)


def _times(weight: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """Return the product, which is 0 for a weight of 0 even if the loss is infinite."""
    return np.multiply(weight, loss, out=np.zeros_like(loss), where=np.asarray(weight) != 0)


def log_loss(counts: ScoreCounts) -> float:
    """Return the mean log loss in nats; infinite if a row with a weight has an infinite logit of the opposite label.

    Raises:
        Undefined: no row has a weight.
    """
    return float(log_losses(counts.score, counts.positives, counts.negatives).sum()) / sum(counts.classes())


def log_loss_error(counts: ScoreCounts) -> float:
    """Return the standard error of `log_loss` for independent rows, by `ranking.variance_of_mean`.

    Raises:
        Undefined: there are fewer than two rows, or the log loss is infinite.
    """
    value, (of_positive, of_negative) = log_loss(counts), _losses_of_classes(counts)
    return math.sqrt(
        variance_of_mean(
            np.concatenate([of_positive, of_negative]) - value,
            np.concatenate([counts.positives, counts.negatives]),
            np.concatenate([counts.positive_squares, counts.negative_squares]),
        )[0]
    )


def log_loss_excess(counts: ScoreCounts) -> float:
    """Log loss in nats minus that of the constant r = sum w y / sum w of the same rows.

    Above 0 the constant predicts better than the scores.

    Raises:
        Undefined: a class is absent.

    >>> counts = ScoreCounts.of(np.array([0, 0], np.float32), np.array([0, 1]))
    >>> log_loss_excess(counts)
    0.0
    """
    positives, negatives = counts.both_classes()
    of_positive, of_negative = _constant_losses(positives, negatives)
    total = positives + negatives
    return log_loss(counts) - (positives * of_positive + negatives * of_negative) / total


def log_loss_excess_error(counts: ScoreCounts) -> float:
    """Paired standard error of `log_loss_excess`, sqrt(sum w^2 (d - mean d)^2) / sum w.

    d is the log loss of a row minus the row's log loss under the constant r. Estimating r from the same rows adds
    nothing at first order: r minimizes the mean loss of a constant, so the derivative of the mean by r is 0. A bias
    remains: the constant of these rows is better than the true rate by about 1 / (2 rows) nats.

    Source: linearization of a function of means, Cochran 1977, Sampling Techniques, section 6.

    Raises:
        Undefined: a class is absent, or the log loss is infinite.
    """
    positives, negatives = counts.both_classes()
    constants, losses, mean = (
        _constant_losses(positives, negatives),
        _losses_of_classes(counts),
        log_loss_excess(counts),
    )
    above, below = (loss - constant - mean for loss, constant in zip(losses, constants, strict=True))
    squares = sum_of_products(counts.positive_squares, above**2) + sum_of_products(counts.negative_squares, below**2)
    return math.sqrt(squares) / (positives + negatives)


def normalized_entropy(counts: ScoreCounts) -> float:
    """Return the log loss divided by that of a constant score, -(r ln r + (1 - r) ln(1 - r)).

    The constant is r = sum w y / sum w of the same rows. Below 1 the scores are better than the constant.

    Source: He et al. 2014, Practical Lessons from Predicting Clicks on Ads at Facebook.

    Raises:
        Undefined: a class is absent.
    """
    positives, negatives = counts.both_classes()
    total = positives + negatives
    return log_loss(counts) / -sum(rate * math.log(rate) for rate in (positives / total, negatives / total))


def brier(counts: ScoreCounts) -> float:
    """Return the mean squared error of the probability, sum w (p - y)^2 / sum w.

    Raises:
        Undefined: no row has a weight.
    """
    total = sum(counts.classes())
    p = counts.probability
    return (sum_of_products(counts.positives, (1 - p) ** 2) + sum_of_products(counts.negatives, p**2)) / total


def positive_rate(counts: ScoreCounts) -> float:
    """Return the mean label, sum w y / sum w.

    Raises:
        Undefined: no row has a weight.
    """
    positives, negatives = counts.classes()
    return positives / (positives + negatives)


def positive_rate_error(counts: ScoreCounts) -> float:
    """Return the standard error of `positive_rate` for independent rows, sqrt(sum w^2 (y - rate)^2) / sum w.

    Raises:
        Undefined: no row has a weight.
    """
    rate = positive_rate(counts)
    squares = float(counts.positive_squares.sum()) * (1 - rate) ** 2 + float(counts.negative_squares.sum()) * rate**2
    return math.sqrt(squares) / sum(counts.classes())


def mean_score(counts: ScoreCounts) -> float:
    """Return the mean probability, sum w p / sum w.

    Raises:
        Undefined: no row has a weight.
    """
    return _total_score(counts) / sum(counts.classes())


def calibration(counts: ScoreCounts) -> float:
    """Return sum w p / sum w y; above 1 the scores predict more positives than observed.

    Raises:
        Undefined: no row has a weight, or there are no positives.
    """
    positives = counts.some_positives()
    return _total_score(counts) / positives


def calibration_error(counts: ScoreCounts) -> float:
    """Return the standard error of `calibration`, sqrt(sum w^2 (p - R y)^2) / sum w y, with R the calibration.

    It is the linearized error of a ratio of two means, so both the scores and the labels vary from sample to sample.

    Source: Cochran 1977, Sampling Techniques, equation 6.13.

    Raises:
        Undefined: no row has a weight, there are no positives, or the weights of the classes are too far apart.
    """
    if all(counts.classes()):
        counts.both_classes()  # the square of a ratio beyond 1e154 overflows
    ratio, p = calibration(counts), counts.probability
    squares = sum_of_products(counts.positive_squares, (p - ratio) ** 2)
    squares += sum_of_products(counts.negative_squares, p**2)
    return math.sqrt(squares) / counts.some_positives()


def positives(counts: ScoreCounts) -> float:
    """Return the effective number of positives, (sum w y)^2 / sum w^2 y; their count if all weights are equal.

    Source: Kish 1965, Survey Sampling.

    Raises:
        Undefined: no row has a weight, or the squares of the positives' weights vanish.
    """
    total, _ = counts.classes()
    square = float(counts.positive_squares.sum())
    if total and not square:
        raise Undefined("the squares of the weights are beyond float64")
    return total * total / square if total else 0.0


def calibration_z(counts: ScoreCounts) -> float:
    """Return (sum w y - sum w p) / sqrt(sum w^2 p (1 - p)), about standard normal for true p.

    Raises:
        Undefined: no row has a weight, or every p is 0 or 1.
    """
    positives, _ = counts.classes()
    p = counts.probability
    variance = sum_of_products(counts.positive_squares + counts.negative_squares, p * (1 - p))
    if variance == 0:
        raise Undefined("every score is 0 or 1")
    return (positives - _total_score(counts)) / math.sqrt(variance)


def expected_calibration_error(counts: ScoreCounts) -> float:
    """Return the mean of |mean score - positive rate| over the ten groups of equal weight of `deciles`.

    Raises:
        Undefined: no row has a weight.
    """
    return float(np.mean([abs(group["mean_score"] - group["positive_rate"]) for group in deciles(counts)]))


def _losses_of_classes(counts: ScoreCounts) -> tuple[np.ndarray, np.ndarray]:
    """Return the log loss in nats of a positive and of a negative at each score, with 0 for infinite losses.

    Raises:
        Undefined: a row with a weight has an infinite loss.
    """
    if math.isinf(log_loss(counts)):
        raise Undefined(INFINITE_LOSS)
    ones, zeros = np.ones(len(counts.score)), np.zeros(len(counts.score))
    losses = (log_losses(counts.score, ones, zeros), log_losses(counts.score, zeros, ones))
    of_positive, of_negative = (np.where(np.isinf(loss), 0.0, loss) for loss in losses)
    return of_positive, of_negative


def _constant_losses(positives: float, negatives: float) -> tuple[float, float]:
    """Return the log loss in nats of a positive and of a negative for a constant score, the positive rate."""
    total = positives + negatives
    return -math.log(positives / total), -math.log(negatives / total)


def _total_score(counts: ScoreCounts) -> float:
    return sum_of_products(counts.positives + counts.negatives, counts.probability)
