"""A plain MLP on the vectors: the tower without any crossing, and the base that others are compared with."""

import tensorflow as tf
import tf_keras

from models.blocks import MLP, Activation, logit_head
from models.tower import Tower


class DNN(Tower):
    """Deep neural network: logit = head(deep(x_0)).

    Args:
        hidden: widths of the MLP `deep`.
        activation: of the MLP: `relu`, `prelu` or `dice`.
        batch_norm: in the MLP.
        dropout: in the MLP.
        initializer: of the kernels, a Keras name.
        seed: the experiment's seed.

    Call: x_0 [batch, width], step (scalar, for dropout) -> logit [batch].
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (400, 400, 400),
        activation: Activation = "relu",
        batch_norm: bool = True,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(name="dnn")
        self.deep = MLP(hidden, batch_norm, dropout, initializer, seed, "deep", activation)
        self.head = logit_head(initializer, seed)

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers."""
        return {"deep": [self.deep], "head": [self.head]}

    def call(self, x0: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        return tf.squeeze(self.head(self.deep(x0, step, training=training)), axis=1)
