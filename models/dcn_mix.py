"""DCN-Mix: cross layers in which a gate weighs experts of low rank."""

from typing import Any, Literal, TypeAlias, get_args

import tensorflow as tf
import tf_keras

from models.blocks import MAX_LAYERS, MAX_WIDTH, check_most
from models.deep_cross import DeepCross, Structure
from models.recording import Recorded
from models.seeds import PathInitializer

Gate: TypeAlias = Literal["softmax", "sigmoid"]
ExpertActivation: TypeAlias = Literal["tanh", "relu", "linear"]


class MixtureCross(Recorded):
    """One cross layer of DCN-Mix: x_{l+1} = x_0 * sum_k G_k(x_l) (U_k g(C_k g(V_k^T x_l)) + b) + x_l.

    Kernels are [in, out] and those of the experts lie side by side: `v` [width, experts * rank] holds each V_k, `c`
    [experts * rank, rank] each C_k^T, `u` [experts * rank, width] each U_k^T. A matrix starts on its own shape from
    (seed, path, its letter, expert), so more experts leave the start of the first ones as it is.

    Args:
        experts: how many.
        rank: of each expert; None is a quarter of the width, at least 1.
        gate: G, `softmax` over the experts or `sigmoid` of each.
        activation: g, `tanh`, `relu` or `linear`.
        initializer: of the kernels, a Keras name.
        seed: the experiment's seed.
        path: of this layer, such as `cross/0`.

    Call: x_0 and x_l, [batch, width] each -> [batch, width].
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
        """A variable of one matrix of this shape for each expert, side by side along the axis."""

        def start(_: Any, dtype: Any = None) -> tf.Tensor:
            paths = [f"{self.path}/{name}/{expert}" for expert in range(self.experts)]
            return tf.concat([PathInitializer(self.initializer, self.seed, path)(shape, dtype) for path in paths], axis)

        joined = [size * self.experts if place == axis else size for place, size in enumerate(shape)]
        return self.add_weight(name=name, shape=joined, initializer=start)

    def gates(self, x: tf.Tensor) -> tf.Tensor:
        """G(x_l), the weight of each expert in each row: [batch, width] -> [batch, experts]."""
        return self.gate(tf.matmul(x, self.gate_kernel))

    def call(self, x0: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        rank, gates = self.c.shape[1], self.gates(x)
        codes = tf.reshape(self.activation(tf.matmul(x, self.v)), [-1, self.experts, rank])
        c = tf.reshape(self.c, [self.experts, rank, rank])
        codes = self.activation(tf.matmul(tf.transpose(codes, [1, 0, 2]), c))
        # U is linear, so the gate may weigh the rank numbers that it takes instead of the width numbers that it gives
        weighted = gates[:, :, None] * tf.transpose(codes, [1, 0, 2])
        mixed = tf.matmul(tf.reshape(weighted, [-1, self.experts * rank]), self.u)
        # the bias is inside the sum, and sigmoid gates do not sum to 1
        return x0 * (mixed + tf.reduce_sum(gates, axis=1, keepdims=True) * self.bias) + x


class DCNMix(DeepCross):
    """DCN-V2 as a mixture of low-rank experts (Wang et al. 2021, arXiv 2008.13535, equations 3 and 4).

    A cross layer is x_{l+1} = x_0 * sum_k G_k(x_l) (U_k g(C_k g(V_k^T x_l)) + b_l) + x_l, with * the elementwise
    product; the experts of a layer share its bias and have a gate of that layer.

    Args:
        structure: `stacked`, `parallel`, `stacked_parallel` or `cross_only`, as `DeepCross` has them.
        cross_layers: how many cross layers.
        experts: of each cross layer.
        rank: of each expert; None is a quarter of the width of the input, at least 1.
        gate: G, `softmax` over the experts or `sigmoid` of each.
        activation: g, `tanh`, `relu` or `linear`.
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
        experts: int = 4,
        rank: int | None = None,
        gate: Gate = "softmax",
        activation: ExpertActivation = "tanh",
        hidden: tuple[int, ...] = (400, 400, 400),
        batch_norm: bool = True,
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
        check_most(MAX_LAYERS, cross_layers=cross_layers, experts=experts)
        check_most(MAX_WIDTH, rank=rank or 0)
        cross = [
            MixtureCross(experts, rank, gate, activation, initializer, seed, f"cross/{place}")
            for place in range(cross_layers)
        ]
        super().__init__("dcn_mix", cross, structure, hidden, batch_norm, dropout, initializer, seed, rank)
