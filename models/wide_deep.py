"""Wide & Deep: a linear model that memorizes, combined with an MLP that generalizes."""

import tensorflow as tf
import tf_keras

from models.blocks import MLP, BatchNorm, logit_head
from models.inputs import Inputs
from models.tower import Tower
from models.wide import WIDE_OPTIMIZERS, weighted_categories, with_wide_weights


class WideDeep(Tower):
    """Wide & Deep (Cheng et al. 2016, arXiv 1606.07792, equation 3).

        logit = sum of wide weights + head(deep(x_0)),    head with a bias

    Each categorical feature and each cross has one wide weight per value, in a table `wide/<feature>` of width 1 that
    starts at zero. Wide weights and embeddings can therefore have different optimizers. A cross of a sequence adds the
    weights of all its pairs.

    Args:
        hidden: widths of the layers of the MLP `deep`, first to last. More or wider layers fit more and cost more.
        batch_norm: True adds batch normalization before each activation of the MLP; a `BatchNorm`, such as
            `{epsilon: 1.0e-5}`, sets its numbers.
        dropout: fraction of the MLP's activations set to zero in training, 0 to below 1. A larger value regularizes
            more; 0 turns it off.
        initializer: Keras name of the initializer of the kernels, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment, from which initial weights and dropout are derived.

    Call: x_0 `[batch, width]`, step (scalar, for dropout), wide `[batch, categories and crosses]` -> logit `[batch]`.
    """

    has_wide_weights = True
    default_optimizers = WIDE_OPTIMIZERS

    def __init__(
        self,
        hidden: tuple[int, ...] = (400, 400, 400),
        batch_norm: bool | BatchNorm = True,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(name="wide_deep")
        if not hidden:
            raise ValueError("hidden must be one or more widths. Received: []")
        self.deep = MLP(hidden, batch_norm, dropout, initializer, seed, "deep")
        self.head = logit_head(initializer, seed)

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers."""
        return {"deep": [self.deep], "head": [self.head]}

    def extend(self, inputs: Inputs) -> Inputs:
        """Return the inputs with a table `wide/<name>` for each category and each cross of a sequence."""
        weighted = weighted_categories(inputs)
        if not weighted:
            raise ValueError("wide_deep needs a categorical feature or a cross for its wide weights. Add one.")
        return with_wide_weights(inputs, weighted)

    def call(self, x0: tf.Tensor, step: tf.Tensor, wide: tf.Tensor, training: bool = False) -> tf.Tensor:
        deep = self.head(self.deep(x0, step, training=training))
        return tf.squeeze(deep, axis=1) + tf.reduce_sum(wide, axis=1)
