"""DNN: an MLP on the embeddings, without feature crossing; the usual baseline."""

import tensorflow as tf
import tf_keras

from models.blocks import MLP, Activation, BatchNorm, logit_head
from models.tower import Tower


class DNN(Tower):
    """Deep neural network: logit = head(deep(x_0)).

    Args:
        hidden: widths of the layers of the MLP `deep`, first to last. More or wider layers fit more and cost more.
        activation: activation of the MLP: `relu`, `prelu` or `dice`.
        batch_norm: True adds batch normalization before each activation of the MLP; a `BatchNorm`, such as
            `{epsilon: 1.0e-5}`, sets its numbers.
        dropout: fraction of the MLP's activations set to zero in training, 0 to below 1. A larger value regularizes
            more; 0 turns it off.
        initializer: Keras name of the initializer of the kernels, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment, from which initial weights and dropout are derived.

    Call: x_0 `[batch, width]`, step (scalar, for dropout) -> logit `[batch]`.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (400, 400, 400),
        activation: Activation = "relu",
        batch_norm: bool | BatchNorm = True,
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
