"""Small towers with their own losses, for tests."""

import tensorflow as tf

from models import DNN, TowerOutput


class Penalized(DNN):
    """A plain MLP that penalizes large activations and logits.

        loss/activity = coefficient * mean of squares of the last hidden layer,    loss/logit = 0.05 * logit^2

    Args:
        hidden: widths of the MLP.
        coefficient: factor of `loss/activity`.
        initializer: Keras name of the kernels' initializer.
        seed: the experiment's seed.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (8,),
        coefficient: float = 0.5,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(hidden, batch_norm=False, initializer=initializer, seed=seed)
        self.coefficient = coefficient

    def call(self, x0: tf.Tensor, step: tf.Tensor, training: bool = False) -> TowerOutput:
        hidden = self.deep(x0, step, training=training)
        logit = tf.squeeze(self.head(hidden), axis=1)
        activity = self.coefficient * tf.reduce_mean(tf.square(hidden), axis=1)
        return TowerOutput(logit, {"activity": activity, "logit": 0.05 * tf.square(logit)})


class SelfTaught(DNN):
    """A plain MLP that adds the squared error of its score.

    loss/error = (sigmoid(logit) - label)^2
    """

    def call(self, x0: tf.Tensor, step: tf.Tensor, training: bool = False) -> TowerOutput:
        logit = super().call(x0, step, training=training)
        return TowerOutput(logit, {"error": lambda label: tf.square(tf.sigmoid(logit) - label)})


TOYS = {"penalized": Penalized, "self_taught": SelfTaught}
"""Models that tests add to `models.MODELS`."""
