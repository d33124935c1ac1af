"""DCN: cross layers with a vector, the first and smallest of the Deep & Cross family."""

import tensorflow as tf

from models.blocks import MAX_LAYERS, check_most
from models.deep_cross import DeepCross, Structure
from models.recording import Recorded
from models.seeds import PathInitializer


class VectorCross(Recorded):
    """One cross layer of DCN: x_{l+1} = x_0 (w^T x_l) + b + x_l, with one number w^T x_l for each row.

    Args:
        initializer: of w, a Keras name.
        seed: the experiment's seed.
        path: of this layer, such as `cross/0`.

    Call: x_0 and x_l, [batch, width] each -> [batch, width].
    """

    def __init__(self, initializer: str, seed: int, path: str) -> None:
        super().__init__(name=path.replace("/", "_"))
        self.initializer = PathInitializer(initializer, seed, path)

    def build(self, input_shape: tf.TensorShape) -> None:
        width = input_shape[-1]
        self.kernel = self.add_weight(name="kernel", shape=[width, 1], initializer=self.initializer)
        self.bias = self.add_weight(name="bias", shape=[width], initializer="zeros")
        super().build(input_shape)

    def call(self, x0: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        return x0 * tf.matmul(x, self.kernel) + self.bias + x


class DCN(DeepCross):
    """Deep & Cross Network (Wang et al. 2017, arXiv 1708.05123, equation 3).

    A cross layer is x_{l+1} = x_0 (w_l^T x_l) + b_l + x_l. Without bias it is DCN-V2's with W = 1 w^T, each row of W
    being w^T; its bias stands outside the product, so x_0 does not multiply it as it does DCN-V2's.

    Args:
        structure: `stacked`, `parallel`, `stacked_parallel` or `cross_only`, as `DeepCross` has them.
        cross_layers: how many cross layers.
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
        hidden: tuple[int, ...] = (400, 400, 400),
        batch_norm: bool = True,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        check_most(MAX_LAYERS, cross_layers=cross_layers)
        cross = [VectorCross(initializer, seed, f"cross/{place}") for place in range(cross_layers)]
        super().__init__("dcn", cross, structure, hidden, batch_norm, dropout, initializer, seed)
