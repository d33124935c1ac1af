"""Building blocks of towers: MLP, activations, dropout and the logit head."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import tensorflow as tf
import tf_keras

from models.dropout_mask import dropout_mask
from models.recording import BatchNormalization, Dense, LayerNormalization, PReLU, Recorded, ReLU
from models.seeds import PathInitializer, seed_of

Activation: TypeAlias = Literal["relu", "prelu", "dice"]
MAX_WIDTH, MAX_LAYERS = 2**16, 100  # larger sizes are typing errors that would fill the memory before any check


@dataclass(frozen=True)
class BatchNorm:
    """Settings of batch normalization.

    Raises:
        ValueError: epsilon is not above 0, or momentum is not in [0, 1).

    >>> BatchNorm(epsilon=1e-5)
    BatchNorm(epsilon=1e-05, momentum=0.9)
    """

    epsilon: float = 1e-3
    """Number that is added to the variance, above 0. A smaller value amplifies narrow inputs, such as embeddings with
    small initial values, more. Keras has 1e-3, PyTorch 1e-5."""
    momentum: float = 0.9
    """Part of the moving mean and variance that each step keeps, 0 to below 1. On small data, Keras's 0.99 would lag
    behind at the first validation. PyTorch's 0.1 is 0.9 here."""

    def __post_init__(self) -> None:
        if not self.epsilon > 0:
            raise ValueError(f"batch_norm: epsilon must be above 0. Received: {self.epsilon}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"batch_norm: momentum must be in [0, 1). Received: {self.momentum}")


def batch_norm_layer(batch_norm: bool | BatchNorm, name: str, axis: int = -1) -> BatchNormalization | None:
    """Return a layer of batch normalization.

    Args:
        batch_norm: settings; True: the defaults; False: no layer.
        name: name of the layer.
        axis: axis with one mean and variance per position, by default the last.
    """
    if batch_norm is False:
        return None
    settings = BatchNorm() if batch_norm is True else batch_norm
    return BatchNormalization(axis, momentum=settings.momentum, epsilon=settings.epsilon, name=name)


def layer_norm_layer(name: str) -> LayerNormalization:
    """Return a normalization of the last axis, with PyTorch's epsilon of 1e-5, on which published settings rely.

    Args:
        name: name of the layer.
    """
    return LayerNormalization(epsilon=1e-5, name=name)


def check_maximum(maximum: int, **sizes: int) -> None:
    """Raise ValueError, naming the argument, if a size is above `maximum`."""
    for name, size in sizes.items():
        if size > maximum:
            raise ValueError(f"{name} must be at most {maximum}. Received: {size}")


def check_widths(name: str, widths: Sequence[int]) -> None:
    """Raise ValueError, naming the argument, unless it is a valid list of layer widths."""
    if len(widths) > MAX_LAYERS:
        raise ValueError(f"{name} must be at most {MAX_LAYERS} widths. Received: {len(widths)}")
    if not all(1 <= width <= MAX_WIDTH for width in widths):
        raise ValueError(f"{name} must be widths of at least 1 and at most {MAX_WIDTH}. Received: {list(widths)}")


def check_dropout(name: str, rate: float) -> None:
    """Raise ValueError, naming the argument, unless it is a valid rate of dropout."""
    if not 0 <= rate < 1:
        raise ValueError(f"{name} must be in [0, 1). Received: {rate}")


class Dropout(Recorded):
    """Inverted dropout as a pure function of seed, path, step and, if several replicas share a batch, the replica.

    tf_keras's layer keeps a counter outside checkpoints, so a resumed run would draw other masks.

    Args:
        rate: fraction of values set to zero, 0 <= rate < 1; the remaining values are divided by 1 - rate. A larger
            value regularizes more.
        seed: seed of the experiment, from which initial weights and dropout are derived.
        path: path of the layer, unique in the model.
    """

    def __init__(self, rate: float, seed: int, path: str) -> None:
        super().__init__(name=path.replace("/", "_"))
        check_dropout("dropout", rate)
        self.rate, self.layer_seed = rate, seed_of(seed, path)

    def call(self, x: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        if not training or self.rate == 0:
            return x
        replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int64)
        seed = tf.stack([self.layer_seed + replica * 2**31, tf.cast(step, tf.int64)])
        mask = tf.ensure_shape(dropout_mask(tf.shape(x), seed, self.rate), x.shape)
        return x * (tf.cast(mask, x.dtype) / (1 - self.rate))


class Dice(Recorded):
    """Data-adaptive PReLU (Zhou et al. 2018, arXiv 1706.06978, equation 3), `[batch, width]` -> `[batch, width]`.

    f(x) = p x + (1 - p) alpha x, p = sigmoid((x - mean) / sqrt(variance + 1e-8)). Mean and variance are those of the
    batch in training and their moving averages in evaluation. alpha is trained, one number per unit, from 0.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        self.norm = BatchNormalization(
            momentum=BatchNorm.momentum, epsilon=1e-8, center=False, scale=False, name="norm"
        )
        self.alpha = self.add_weight(name="alpha", shape=input_shape[-1:], initializer="zeros")
        super().build(input_shape)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        p = tf.sigmoid(self.norm(x, training=training))
        return x * (p + (1 - p) * self.alpha)


def activation_layer(name: Activation) -> tf_keras.layers.Layer:
    """Return the layer of an activation; a PReLU starts with a slope of 0.25 below zero (He et al. 2015).

    Raises:
        ValueError: the name is unknown.
    """
    if name not in get_args(Activation):
        raise ValueError(f"activation must be one of {', '.join(get_args(Activation))}. Received: {name!r}")
    if name == "dice":
        return Dice(name="dice")
    if name == "prelu":
        return PReLU(tf_keras.initializers.Constant(0.25), name="prelu")
    return ReLU(name="relu")


class MLP(Recorded):
    """Multilayer perceptron: a dense layer, batch normalization, activation and dropout for each width in `hidden`.

    Dense layers before a batch normalization do not have a bias, because the normalization adds one.

    Args:
        hidden: widths of the layers, first to last. More or wider layers fit more and cost more.
        batch_norm: True adds batch normalization before each activation; a `BatchNorm`, such as
            `{epsilon: 1.0e-5}`, sets its numbers.
        dropout: fraction of activations set to zero in training, 0 to below 1. A larger value regularizes more; 0 turns
            it off.
        initializer: Keras name of the initializer of the kernels, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment, from which initial weights and dropout are derived.
        path: path of the block, such as `deep`.
        activation: activation: `relu`, `prelu` or `dice`.

    Call: `[batch, width]` -> `[batch, hidden[-1]]`.
    """

    def __init__(
        self,
        hidden: Sequence[int],
        batch_norm: bool | BatchNorm,
        dropout: float,
        initializer: str,
        seed: int,
        path: str,
        activation: Activation = "relu",
    ) -> None:
        super().__init__(name=path.replace("/", "_"))
        check_widths("hidden", hidden)
        self.blocks = []
        for index, units in enumerate(hidden):
            layer_path = f"{path}/{index}"
            kernel = PathInitializer(initializer, seed, layer_path)
            dense = Dense(units, use_bias=not batch_norm, kernel_initializer=kernel, name=f"dense_{index}")
            norm = batch_norm_layer(batch_norm, f"batch_norm_{index}")
            self.blocks.append((dense, norm, activation_layer(activation), Dropout(dropout, seed, layer_path)))

    def call(self, x: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        for dense, norm, activation, dropout in self.blocks:
            x = dense(x)
            if norm is not None:
                x = norm(x, training=training)
            x = dropout(activation(x, training=training), step, training=training)
        return x


def logit_head(initializer: str, seed: int, path: str = "head", use_bias: bool = True) -> Dense:
    """Return the last layer of a tower, `[batch, width]` -> `[batch, 1]`, in float32 even under mixed precision.

    Args:
        initializer: Keras name of the initializer of the kernel.
        seed: seed of the experiment, from which initial weights are derived.
        path: path of the layer, unique in the tower.
        use_bias: True gives it a bias. A tower that adds several heads needs only one.
    """
    kernel = PathInitializer(initializer, seed, path)
    return Dense(1, use_bias=use_bias, kernel_initializer=kernel, dtype="float32", name=path.replace("/", "_"))
