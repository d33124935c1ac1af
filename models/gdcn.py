"""GDCN: cross layers whose products a gate weights, number by number."""

import tensorflow as tf

from models.blocks import MAX_LAYERS, BatchNorm, check_maximum
from models.deep_cross import DeepCross, Structure
from models.recording import Dense, Recorded
from models.seeds import PathInitializer


class GatedCross(Recorded):
    """Cross layer with a gate: x_{l+1} = x_0 * (W x_l + b) * sigmoid(Wg x_l) + x_l.

    Args:
        initializer: Keras name of the initializer of W and Wg.
        seed: seed of the experiment, from which initial weights are derived.
        path: path of the layer in the model, such as `cross/0`, from which its initial weights are derived.

    Call: x_0 and x_l, `[batch, width]` each -> `[batch, width]`.
    """

    def __init__(self, initializer: str, seed: int, path: str) -> None:
        super().__init__(name=path.replace("/", "_"))
        self.kernel_start = PathInitializer(initializer, seed, path)
        self.gate_start = PathInitializer(initializer, seed, f"{path}/gate")

    def build(self, input_shape: tf.TensorShape) -> None:
        width = input_shape[-1]
        self.dense = Dense(width, kernel_initializer=self.kernel_start, name="dense")
        self.gate = Dense(width, activation="sigmoid", use_bias=False, kernel_initializer=self.gate_start, name="gate")
        super().build(input_shape)

    def call(self, x0: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        return x0 * self.dense(x) * self.gate(x) + x


class GDCN(DeepCross):
    """Gated Deep & Cross Network (Wang et al. 2023, CIKM, arXiv 2311.04635).

    A cross layer is x_{l+1} = x_0 * (W_l x_l + b_l) * sigmoid(Wg_l x_l) + x_l, with * the elementwise product: the gate
    lowers or keeps each number of the product, separately for each example.

    b starts at zero, as in all models with cross layers here. The public code draws b from U(0, 1). With small
    embeddings, its untrained layers multiply each number of x_0 by a random factor, between 1 and 1.5 in the first
    layer: the data give no reason for it.

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
        cross = [GatedCross(initializer, seed, f"cross/{index}") for index in range(cross_layers)]
        super().__init__("gdcn", cross, structure, hidden, batch_norm, dropout, initializer, seed)
