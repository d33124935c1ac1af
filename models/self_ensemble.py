"""Self-ensemble loss: passes of one tower with different dropout masks learn from their mean probability.

    p_k = sigmoid(l_k),    p = mean_k p_k
    loss = BCE(p, y) + sum_k BCE(p_k, p),    p without a gradient in the sum

l_k is the logit of pass k. BCE(p_k, p) is the entropy of p, which has no gradient, plus KL(p || p_k): the sum pulls
every pass toward the mean, so that the tower depends less on its masks. Source: QNN (arXiv 2505.17999).
"""

import math
from collections.abc import Mapping, Sequence

import tensorflow as tf

from models.tower import TowerOutput

NAME = "self_ensemble"
"""Name of the sum over the passes among the losses."""
PASSES = 2
STEPS_APART = 2**30
"""Distance between the steps of two passes.

Dropout is a function of the step, so a pass with a step of its own has masks of its own, in any layer of any tower.
The number is above the steps of a run, and the steps of all passes fit in int32, to which a tower can cast its step.
"""


def step_of_pass(step: tf.Tensor | tf.Variable, number: int) -> tf.Tensor | tf.Variable:
    """Return the step that a tower is called with in a pass: the step itself in pass 0.

    Args:
        step: step of training.
        number: number of the pass, from 0.
    """
    return step + number * STEPS_APART if number else step


def mean_probability(logits: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the mean over the passes of the probability, `[batch]`.

    Args:
        logits: logits of each pass, `[batch]`.
    """
    return tf.add_n([tf.sigmoid(logit) for logit in logits]) / len(logits)


def cross_entropy_of_mean(label: tf.Tensor, logits: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the cross-entropy of the mean probability and the label, `[batch]`, in nats.

    The logarithms of p and of 1 - p are computed from those of the passes. They stay finite where p rounds to 0 or 1.

    Args:
        label: labels, 0 or 1, `[batch]`.
        logits: logits of each pass, `[batch]`.

    >>> float(cross_entropy_of_mean(tf.constant([1.0]), [tf.constant([-200.0]), tf.constant([-200.0])])[0])
    200.0
    """

    def log_mean(signed: Sequence[tf.Tensor]) -> tf.Tensor:
        return tf.reduce_logsumexp(tf.stack([tf.math.log_sigmoid(x) for x in signed]), axis=0) - math.log(len(signed))

    return -label * log_mean(logits) - (1 - label) * log_mean([-logit for logit in logits])


def self_ensemble_loss(logits: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the sum of the cross-entropies of each pass and the mean probability, `[batch]`, in nats.

    The mean probability is a constant here: gradients reach each pass by its own probability only.

    Args:
        logits: logits of each pass, `[batch]`.
    """
    opposite = [-logit for logit in logits]
    p, q = (tf.stop_gradient(mean_probability(signed)) for signed in (logits, opposite))  # q = 1 - p, without rounding
    pairs = zip(logits, opposite, strict=True)
    return -tf.add_n([p * tf.math.log_sigmoid(logit) + q * tf.math.log_sigmoid(other) for logit, other in pairs])


def mean_losses(outputs: Sequence[TowerOutput], label: tf.Tensor, weight: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return the mean over the passes of each loss that the tower names, `[batch]`.

    Args:
        outputs: output of each pass.
        label: labels, 0 or 1, `[batch]`.
        weight: sample weights, `[batch]`.
    """
    losses: Sequence[Mapping[str, tf.Tensor]] = [output.losses_of(label, weight) for output in outputs]
    return {name: tf.add_n([tf.cast(loss[name], tf.float32) for loss in losses]) / len(losses) for name in losses[0]}
