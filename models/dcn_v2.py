"""DCN-V2: cross layers with a matrix, of full or low rank."""

import tensorflow as tf
import tensorflow_recommenders as tfrs

from models.blocks import MAX_LAYERS, check_most
from models.deep_cross import DeepCross, Structure
from models.recording import Recorded
from models.seeds import PathInitializer


class Cross(Recorded, tfrs.layers.dcn.Cross):
    """Recommenders' cross layer; under mixed precision its matrix products too are in the low one."""

    def build(self, input_shape: tf.TensorShape) -> None:
        super().build(input_shape)  # makes its kernels' layers with the type of variables, float32
        for dense in (self._dense,) if self._projection_dim is None else (self._dense_u, self._dense_v):
            dense._set_dtype_policy(self._dtype_policy)


class DCNV2(DeepCross):
    """Deep & Cross Network V2 (Wang et al. 2021, arXiv 2008.13535, equations 1 and 2).

    A cross layer is x_{l+1} = x_0 * (W_l x_l + b_l) + x_l, with * the elementwise product; low rank takes W = U V^T.

    Args:
        structure: `stacked`, `parallel`, `stacked_parallel` or `cross_only`, as `DeepCross` has them.
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
        structure: Structure = "parallel",
        cross_layers: int = 3,
        rank: int | None = None,
        hidden: tuple[int, ...] = (400, 400, 400),
        batch_norm: bool = True,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        check_most(MAX_LAYERS, cross_layers=cross_layers)
        cross = [
            Cross(
                projection_dim=rank,
                kernel_initializer=PathInitializer(initializer, seed, f"cross/{place}"),
                name=f"cross_{place}",
            )
            for place in range(cross_layers)
        ]
        super().__init__("dcn_v2", cross, structure, hidden, batch_norm, dropout, initializer, seed, rank)
