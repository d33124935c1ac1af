"""DCN-V2: explicit feature crosses beside or below an MLP."""

from typing import Literal

import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras

from models.blocks import MLP, logit_head
from models.seeds import PathInitializer
from models.tower import Tower

STRUCTURES = ("stacked", "parallel", "stacked_parallel", "cross_only")


class Cross(tfrs.layers.dcn.Cross):
    """Recommenders' cross layer; under mixed precision its matrix products too are in the low one."""

    def build(self, input_shape: tf.TensorShape) -> None:
        super().build(input_shape)  # makes its kernels' layers with the type of variables, float32
        for dense in (self._dense,) if self._projection_dim is None else (self._dense_u, self._dense_v):
            dense._set_dtype_policy(self._dtype_policy)


class DCNV2(Tower):
    """Deep & Cross Network V2 (Wang et al. 2021, arXiv 2008.13535, equations 1 and 2).

    A cross layer is x_{l+1} = x_0 * (W_l x_l + b_l) + x_l, with * the elementwise product; low rank takes W = U V^T.

        stacked           logit = head(deep(cross(x_0)))
        parallel          logit = head([cross(x_0), deep(x_0)])
        stacked_parallel  logit = head([deep_1(cross(x_0)), deep_2(x_0)])
        cross_only        logit = head(cross(x_0))

    Args:
        structure: one of the four above.
        cross_layers: how many cross layers.
        rank: of W; None is full rank.
        hidden: widths of the MLP `deep`.
        batch_norm: in the MLP.
        dropout: in the MLP.
        initializer: of the kernels, a Keras name.
        seed: the experiment's seed.

    Call: x_0 [batch, width], step (scalar, for dropout) -> logit [batch].
    """

    def __init__(
        self,
        structure: Literal["stacked", "parallel", "stacked_parallel", "cross_only"] = "parallel",
        cross_layers: int = 3,
        rank: int | None = None,
        hidden: tuple[int, ...] = (400, 400, 400),
        batch_norm: bool = True,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(name="dcn_v2")
        if structure not in STRUCTURES:
            raise ValueError(f"structure must be one of {', '.join(STRUCTURES)}. Received: {structure!r}")
        if cross_layers < 1 or (rank is not None and rank < 1) or any(width < 1 for width in hidden):
            raise ValueError(
                f"cross_layers, rank and hidden must be at least 1. "
                f"Received: cross_layers={cross_layers}, rank={rank}, hidden={list(hidden)}"
            )
        self.rank = rank

        def mlp(path: str) -> MLP:
            return MLP(hidden, batch_norm, dropout, initializer, seed, path)

        self.cross = [
            Cross(
                projection_dim=rank,
                kernel_initializer=PathInitializer(initializer, seed, f"cross/{place}"),
                name=f"cross_{place}",
            )
            for place in range(cross_layers)
        ]
        self.deep_on_cross = mlp("deep/on_cross") if structure in ("stacked", "stacked_parallel") else None
        self.deep = mlp("deep") if structure in ("parallel", "stacked_parallel") else None
        self.head = logit_head(initializer, seed)

    @property
    def towers(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Tower name -> its layers."""
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
