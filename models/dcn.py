"""DCN: cross layers with a weight vector, the first and smallest of the Deep & Cross family."""

import tensorflow as tf

from models.blocks import MAX_LAYERS, BatchNorm, check_maximum
from models.deep_cross import DeepCross, Structure
from models.recording import Recorded
from models.seeds import PathInitializer


class VectorCross(Recorded):
    """Cross layer of DCN: x_{l+1} = x_0 (w^T x_l) + b + x_l, where w^T x_l is one number per example.

    Args:
        initializer: Keras name of the initializer of w.
        seed: seed of the experiment, from which initial weights and dropout are derived.
        path: path of the layer in the model, such as `cross/0`, from which its initial weights are derived.

    Call: x_0 and x_l, `[batch, width]` each -> `[batch, width]`.
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

    A cross layer is x_{l+1} = x_0 (w_l^T x_l) + b_l + x_l. Without bias, it equals DCN-V2's layer with W = 1 w^T, whose
    rows all equal w^T. The bias is outside the product: x_0 does not multiply it, as it does in DCN-V2.

    Args:
        structure: arrangement of the cross layers and the MLP: `stacked` (the MLP on the output of the cross layers),
            `parallel` (both on x_0), `stacked_parallel` (two MLPs, one of each) or `cross_only` (no MLP).
        cross_layers: number of cross layers, at least 1. More layers model interactions of more features.
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
        hidden: tuple[int, ...] = (400, 400, 400),
        batch_norm: bool | BatchNorm = True,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        check_maximum(MAX_LAYERS, cross_layers=cross_layers)
        cross = [VectorCross(initializer, seed, f"cross/{index}") for index in range(cross_layers)]
        super().__init__("dcn", cross, structure, hidden, batch_norm, dropout, initializer, seed)
