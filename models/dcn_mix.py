"""DCN-Mix: cross layers in which a gate weights low-rank experts."""

from typing import Any, Literal, TypeAlias, get_args

import tensorflow as tf
import tf_keras

from models.blocks import MAX_LAYERS, MAX_WIDTH, BatchNorm, check_maximum
from models.deep_cross import DeepCross, Structure
from models.recording import Recorded
from models.seeds import PathInitializer

Gate: TypeAlias = Literal["softmax", "sigmoid"]
ExpertActivation: TypeAlias = Literal["tanh", "relu", "linear"]


class MixtureCross(Recorded):
    """Cross layer of DCN-Mix: x_{l+1} = x_0 * sum_k G_k(x_l) (U_k g(C_k g(V_k^T x_l)) + b) + x_l.

    Kernels are [in, out], and those of the experts are concatenated: `v` `[width, experts * rank]` holds each V_k, `c`
    `[experts * rank, rank]` each C_k^T, `u` `[experts * rank, width]` each U_k^T. Initial values of a matrix depend on
    its own shape and on (seed, path, its letter, expert), so more experts do not change those of the first ones.

    Args:
        experts: number of experts.
        rank: rank of each expert; None: a quarter of the width, at least 1.
        gate: gate G, `softmax` over the experts or `sigmoid` of each.
        activation: activation g: `tanh`, `relu` or `linear`.
        initializer: Keras name of the initializer of the kernels, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment, from which initial weights and dropout are derived.
        path: path of the layer in the model, such as `cross/0`, from which its initial weights are derived.

    Call: x_0 and x_l, `[batch, width]` each -> `[batch, width]`.
    """

    def __init__(
        self,
        experts: int,
        rank: int | None,
        gate: Gate,
        activation: ExpertActivation,
        initializer: str,
        seed: int,
        path: str,
    ) -> None:
        super().__init__(name=path.replace("/", "_"))
        self.experts, self.rank = experts, rank
        self.gate, self.activation = tf_keras.activations.get(gate), tf_keras.activations.get(activation)
        self.initializer, self.seed, self.path = initializer, seed, path

    def build(self, input_shape: tf.TensorShape) -> None:
        width = input_shape[-1]
        rank = self.rank or max(1, width // 4)
        self.v = self.add_experts("v", [width, rank], axis=1)
        self.c = self.add_experts("c", [rank, rank], axis=0)
        self.u = self.add_experts("u", [rank, width], axis=0)
        self.bias = self.add_weight(name="bias", shape=[width], initializer="zeros")
        gate_start = PathInitializer(self.initializer, self.seed, f"{self.path}/gate")
        self.gate_kernel = self.add_weight(name="gate", shape=[width, self.experts], initializer=gate_start)
        super().build(input_shape)

    def add_experts(self, name: str, shape: list[int], axis: int) -> tf.Variable:
        """Create a variable with one matrix of `shape` per expert, concatenated along `axis`."""

        def start(_: Any, dtype: Any = None) -> tf.Tensor:
            paths = [f"{self.path}/{name}/{expert}" for expert in range(self.experts)]
            return tf.concat([PathInitializer(self.initializer, self.seed, path)(shape, dtype) for path in paths], axis)

        joined = [size * self.experts if index == axis else size for index, size in enumerate(shape)]
        return self.add_weight(name=name, shape=joined, initializer=start)

    def gates(self, x: tf.Tensor) -> tf.Tensor:
        """Return G(x_l), the weight of each expert for each example: `[batch, width]` -> `[batch, experts]`."""
        return self.gate(tf.matmul(x, self.gate_kernel))

    def call(self, x0: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        rank, gates = self.c.shape[1], self.gates(x)
        codes = tf.reshape(self.activation(tf.matmul(x, self.v)), [-1, self.experts, rank])
        c = tf.reshape(self.c, [self.experts, rank, rank])
        codes = self.activation(tf.matmul(tf.transpose(codes, [1, 0, 2]), c))
        # U is linear, so the gate can weight its inputs (rank) instead of its outputs (width)
        weighted = gates[:, :, None] * tf.transpose(codes, [1, 0, 2])
        mixed = tf.matmul(tf.reshape(weighted, [-1, self.experts * rank]), self.u)
        # the bias is inside the sum, and sigmoid gates do not sum to 1
        return x0 * (mixed + tf.reduce_sum(gates, axis=1, keepdims=True) * self.bias) + x


class DCNMix(DeepCross):
    """DCN-V2 as a mixture of low-rank experts (Wang et al. 2021, arXiv 2008.13535, equations 3 and 4).

    A cross layer is x_{l+1} = x_0 * sum_k G_k(x_l) (U_k g(C_k g(V_k^T x_l)) + b_l) + x_l, with * the elementwise
    product. The experts of a layer share its bias and its gate.

    Args:
        structure: arrangement of the cross layers and the MLP: `stacked` (the MLP on the output of the cross layers),
            `parallel` (both on x_0), `stacked_parallel` (two MLPs, one of each) or `cross_only` (no MLP).
        cross_layers: number of cross layers, at least 1. More layers model interactions of more features.
        experts: number of experts of each cross layer, at least 1. A larger value fits more and costs more.
        rank: rank of each expert, below the width of the input; None: a quarter of that width, at least 1. A larger
            value fits more and costs more.
        gate: gate of the experts: `softmax` over all of them or `sigmoid` of each.
        activation: activation inside an expert: `tanh`, `relu` or `linear`.
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
        experts: int = 4,
        rank: int | None = None,
        gate: Gate = "softmax",
        activation: ExpertActivation = "tanh",
        hidden: tuple[int, ...] = (400, 400, 400),
        batch_norm: bool | BatchNorm = True,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        if experts < 1:
            raise ValueError(f"experts must be at least 1. Received: experts={experts}")
        if gate not in get_args(Gate):
            raise ValueError(f"gate must be one of {', '.join(get_args(Gate))}. Received: {gate!r}")
        if activation not in get_args(ExpertActivation):
            known = ", ".join(get_args(ExpertActivation))
            raise ValueError(f"activation must be one of {known}. Received: {activation!r}")
        check_maximum(MAX_LAYERS, cross_layers=cross_layers, experts=experts)
        check_maximum(MAX_WIDTH, rank=rank or 0)
        cross = [
            MixtureCross(experts, rank, gate, activation, initializer, seed, f"cross/{index}")
            for index in range(cross_layers)
        ]
        super().__init__("dcn_mix", cross, structure, hidden, batch_norm, dropout, initializer, seed, rank)
