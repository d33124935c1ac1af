"""DCN-V2: cross layers with a weight matrix, of full or low rank."""

import tensorflow as tf
import tensorflow_recommenders as tfrs

from models.blocks import MAX_LAYERS, BatchNorm, check_maximum
from models.deep_cross import DeepCross, Structure
from models.recording import Recorded
from models.seeds import PathInitializer


class Cross(Recorded, tfrs.layers.dcn.Cross):
    """Recommenders' cross layer, whose matrix products also use the low precision of mixed precision."""

    def build(self, input_shape: tf.TensorShape) -> None:
        super().build(input_shape)  # creates the layers of its kernels in the variables' dtype, float32
        for dense in (self._dense,) if self._projection_dim is None else (self._dense_u, self._dense_v):
            dense._set_dtype_policy(self._dtype_policy)


class DCNV2(DeepCross):
    """Deep & Cross Network V2 (Wang et al. 2021, arXiv 2008.13535, equations 1 and 2).

    A cross layer is x_{l+1} = x_0 * (W_l x_l + b_l) + x_l, with * the elementwise product. With low rank, W = U V^T.

    Args:
        structure: arrangement of the cross layers and the MLP: `stacked` (the MLP on the output of the cross layers),
            `parallel` (both on x_0), `stacked_parallel` (two MLPs, one of each) or `cross_only` (no MLP).
        cross_layers: number of cross layers, at least 1. More layers model interactions of more features.
        rank: rank of W, at least 1 and below the width of the input; None: full rank. A larger value fits more and
            costs more.
        hidden: widths of the layers of the MLP `deep`, first to last. More or wider layers fit more and cost more.
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
        structure: Structure = "parallel",
        cross_layers: int = 3,
        rank: int | None = None,
        hidden: tuple[int, ...] = (400, 400, 400),
        batch_norm: bool | BatchNorm = True,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        check_maximum(MAX_LAYERS, cross_layers=cross_layers)
        cross = [
            Cross(
                projection_dim=rank,
                kernel_initializer=PathInitializer(initializer, seed, f"cross/{index}"),
                name=f"cross_{index}",
            )
            for index in range(cross_layers)
        ]
        super().__init__("dcn_v2", cross, structure, hidden, batch_norm, dropout, initializer, seed, rank)
