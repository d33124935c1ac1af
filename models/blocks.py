"""Parts that towers are made of."""

from collections.abc import Sequence

import tensorflow as tf
import tf_keras

from models.seeds import PathInitializer, seed_of

BATCH_NORM_MOMENTUM = 0.9  # a small data set has few steps before its first validation; Keras's 0.99 would lag behind


class Dropout(tf_keras.layers.Layer):
    """Inverted dropout as a function of (seed, path, step), and of the replica where several share a batch.

    tf_keras's own layer keeps a counter that no checkpoint holds, so a resumed run would draw other masks.

    Args:
        rate: share of values set to zero, 0 <= rate < 1; the others are divided by 1 - rate.
        seed: the experiment's seed.
        path: of this layer, unlike any other's in the model.
    """

    def __init__(self, rate: float, seed: int, path: str) -> None:
        super().__init__(name=path.replace("/", "_"))
        if not 0 <= rate < 1:
            raise ValueError(f"dropout must be in [0, 1). Received: {rate}")
        self.rate, self.layer_seed = rate, seed_of(seed, path)

    def call(self, x: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or self.rate == 0:
            return x
        replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int64)
        seed = tf.stack([self.layer_seed + replica * 2**31, tf.cast(step, tf.int64)])
        kept = tf.random.stateless_uniform(tf.shape(x), seed) >= self.rate
        return x * (tf.cast(kept, x.dtype) / (1 - self.rate))


class MLP(tf_keras.layers.Layer):
    """Dense, batch norm, relu, dropout; as often as there are widths. No bias precedes a batch norm, which has its own.

    Args:
        hidden: width of each layer.
        batch_norm: normalize before the activation.
        dropout: rate after the activation.
        initializer: of the kernels, a Keras name.
        seed: the experiment's seed.
        path: of this block, such as `deep`.

    Call: [batch, width] -> [batch, hidden[-1]].
    """

    def __init__(
        self, hidden: Sequence[int], batch_norm: bool, dropout: float, initializer: str, seed: int, path: str
    ) -> None:
        super().__init__(name=path.replace("/", "_"))
        self.blocks = []
        for place, units in enumerate(hidden):
            here = f"{path}/{place}"
            kernel = PathInitializer(initializer, seed, here)
            dense = tf_keras.layers.Dense(
                units, use_bias=not batch_norm, kernel_initializer=kernel, name=f"dense_{place}"
            )
            norm = (
                tf_keras.layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"batch_norm_{place}")
                if batch_norm
                else None
            )
            self.blocks.append((dense, norm, Dropout(dropout, seed, here)))

    def call(self, x: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        for dense, norm, dropout in self.blocks:
            x = dense(x)
            if norm is not None:
                x = norm(x, training=training)
            x = dropout(tf.nn.relu(x), step, training=training)
        return x


def logit_head(initializer: str, seed: int) -> tf_keras.layers.Dense:
    """The last layer of a tower, [batch, width] -> [batch, 1], in float32 whatever the tower computes in."""
    kernel = PathInitializer(initializer, seed, "head")
    return tf_keras.layers.Dense(1, kernel_initializer=kernel, dtype="float32", name="head")
