"""Base tower of the Deep & Cross family: cross layers and an MLP in four arrangements."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import tensorflow as tf
import tf_keras

from models.blocks import MLP, BatchNorm, logit_head
from models.tower import Tower

Structure: TypeAlias = Literal["stacked", "parallel", "stacked_parallel", "cross_only"]


class DeepCross(Tower):
    """Cross layers, called with x_0 and x_l, `[batch, width]` each, below or parallel to the MLP `deep`.

        stacked           logit = head(deep(cross(x_0)))
        parallel          logit = head([cross(x_0), deep(x_0)])
        stacked_parallel  logit = head([deep_1(cross(x_0)), deep_2(x_0)])
        cross_only        logit = head(cross(x_0))

    Args:
        name: name of the tower.
        cross: cross layers, first to last, at least one.
        structure: arrangement of the layers, `stacked`, `parallel`, `stacked_parallel` or `cross_only`.
        hidden: widths of the layers of the MLP `deep`, first to last. More or wider layers fit more and cost more.
        batch_norm: True adds batch normalization before each activation of the MLP; a `BatchNorm`, such as
            `{epsilon: 1.0e-5}`, sets its numbers.
        dropout: fraction of the MLP's activations set to zero in training, 0 to below 1. A larger value regularizes
            more; 0 turns it off.
        initializer: Keras name of the initializer of the kernels of the MLP and the head.
        seed: seed of the experiment, from which initial weights and dropout are derived.
        rank: rank of the matrices of the cross layers, below the width of x_0; None: not set.

    Raises:
        ValueError: the structure is unknown, there is no cross layer, or the rank is outside its range.

    Call: x_0 `[batch, width]`, step (scalar, for dropout) -> logit `[batch]`.
    """

    def __init__(
        self,
        name: str,
        cross: Sequence[tf_keras.layers.Layer],
        structure: Structure,
        hidden: Sequence[int],
        batch_norm: bool | BatchNorm,
        dropout: float,
        initializer: str,
        seed: int,
        rank: int | None = None,
    ) -> None:
        super().__init__(name=name)
        if structure not in get_args(Structure):
            raise ValueError(f"structure must be one of {', '.join(get_args(Structure))}. Received: {structure!r}")
        if not cross:
            raise ValueError("cross_layers must be at least 1. Received: 0")
        if rank is not None and rank < 1:
            raise ValueError(f"rank must be at least 1. Received: rank={rank}")
        self.rank = rank

        def mlp(path: str) -> MLP:
            return MLP(hidden, batch_norm, dropout, initializer, seed, path)

        self.cross = list(cross)
        self.deep_on_cross = mlp("deep/on_cross") if structure in ("stacked", "stacked_parallel") else None
        self.deep = mlp("deep") if structure in ("parallel", "stacked_parallel") else None
        self.head = logit_head(initializer, seed)

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers."""
        deep = [layer for layer in (self.deep_on_cross, self.deep) if layer is not None]
        return {"cross": self.cross, **({"deep": deep} if deep else {}), "head": [self.head]}

    def build(self, input_shape: tf.TensorShape) -> None:
        width = input_shape[-1]
        if self.rank is not None and self.rank >= width:
            raise ValueError(f"rank must be below the width of the input, {width}. Received: {self.rank}")
        super().build(input_shape)

    def call(self, x0: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = x0
        for cross in self.cross:
            x = cross(x0, x)
        if self.deep_on_cross is not None:
            x = self.deep_on_cross(x, step, training=training)
        if self.deep is not None:
            x = tf.concat([x, self.deep(x0, step, training=training)], axis=1)
        return tf.squeeze(self.head(x), axis=1)
