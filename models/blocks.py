"""Parts that towers are made of."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import tensorflow as tf
import tf_keras

from models.recording import BatchNormalization, Dense, PReLU, Recorded, ReLU
from models.seeds import PathInitializer, seed_of

Activation: TypeAlias = Literal["relu", "prelu", "dice"]
MAX_WIDTH, MAX_LAYERS = 2**16, 100  # more is a slip of the keyboard that would fill memory before anything could tell
BATCH_NORM_MOMENTUM = 0.9  # a small data set has few steps before its first validation; Keras's 0.99 would lag behind


def check_most(most: int, **sizes: int) -> None:
    """Raise ValueError that names an argument that is above `most`."""
    for name, size in sizes.items():
        if size > most:
            raise ValueError(f"{name} must be at most {most}. Received: {size}")


def check_widths(name: str, widths: Sequence[int]) -> None:
    """Raise ValueError that names the argument unless it is widths of layers."""
    if len(widths) > MAX_LAYERS:
        raise ValueError(f"{name} must be at most {MAX_LAYERS} widths. Received: {len(widths)}")
    if not all(1 <= width <= MAX_WIDTH for width in widths):
        raise ValueError(f"{name} must be widths of at least 1 and at most {MAX_WIDTH}. Received: {list(widths)}")


class Dropout(Recorded):
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


class Dice(Recorded):
    """Data-adaptive PReLU (Zhou et al. 2018, arXiv 1706.06978, equation 3), [batch, width] -> [batch, width].

    f(x) = p x + (1 - p) alpha x,  p = sigmoid((x - mean) / sqrt(variance + 1e-8)), with the mean and variance of the
    batch in training and their moving averages in evaluation; alpha is trained, a number for each unit, from 0.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        self.norm = BatchNormalization(
            momentum=BATCH_NORM_MOMENTUM, epsilon=1e-8, center=False, scale=False, name="norm"
        )
        self.alpha = self.add_weight(name="alpha", shape=input_shape[-1:], initializer="zeros")
        super().build(input_shape)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        p = tf.sigmoid(self.norm(x, training=training))
        return x * (p + (1 - p) * self.alpha)


def activation_layer(name: Activation) -> tf_keras.layers.Layer:
    """The layer of an activation; a PReLU starts with a slope of 0.25 below zero (He et al. 2015).

    Raises:
        ValueError: an unknown name.
    """
    if name not in get_args(Activation):
        raise ValueError(f"activation must be one of {', '.join(get_args(Activation))}. Received: {name!r}")
    if name == "dice":
        return Dice(name="dice")
    if name == "prelu":
        return PReLU(tf_keras.initializers.Constant(0.25), name="prelu")
    return ReLU(name="relu")


class MLP(Recorded):
    """Dense, batch norm, activation, dropout; as often as there are widths.

    No bias precedes a batch norm, which has its own.

    Args:
        hidden: width of each layer.
        batch_norm: normalize before the activation.
        dropout: rate after the activation.
        initializer: of the kernels, a Keras name.
        seed: the experiment's seed.
        path: of this block, such as `deep`.
        activation: `relu`, `prelu` or `dice`.

    Call: [batch, width] -> [batch, hidden[-1]].
    """

    def __init__(
        self,
        hidden: Sequence[int],
        batch_norm: bool,
        dropout: float,
        initializer: str,
        seed: int,
        path: str,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(name=path.replace("/", "_"))
        check_widths("hidden", hidden)
        self.blocks = []
        for place, units in enumerate(hidden):
            here = f"{path}/{place}"
            kernel = PathInitializer(initializer, seed, here)
            dense = Dense(units, use_bias=not batch_norm, kernel_initializer=kernel, name=f"dense_{place}")
            norm = BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=f"batch_norm_{place}") if batch_norm else None
            self.blocks.append((dense, norm, activation_layer(activation), Dropout(dropout, seed, here)))

    def call(self, x: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        for dense, norm, activation, dropout in self.blocks:
            x = dense(x)
            if norm is not None:
                x = norm(x, training=training)
            x = dropout(activation(x, training=training), step, training=training)
        return x


def logit_head(initializer: str, seed: int) -> Dense:
    """The last layer of a tower, [batch, width] -> [batch, 1], in float32 whatever the tower computes in."""
    kernel = PathInitializer(initializer, seed, "head")
    return Dense(1, kernel_initializer=kernel, dtype="float32", name="head")
