"""FinalMLP: two MLPs on gated copies of one input, whose outputs a bilinear form combines."""

from collections.abc import Sequence
from dataclasses import replace
from math import gcd, prod
from typing import Any

import tensorflow as tf
import tf_keras

from models.blocks import MAX_WIDTH, MLP, BatchNorm, check_dropout, check_maximum, check_widths, logit_head
from models.inputs import Inputs, Table
from models.recording import Dense, Recorded
from models.seeds import PathInitializer
from models.tower import Tower


class FeatureGate(Recorded):
    """Input multiplied by gates between 0 and 2: output = x * 2 sigmoid(g).

    g is the output of an MLP on a context, with relu between the layers and a linear last one, or one learned vector
    that starts at zero. In the published code, the latter is an MLP on a learned vector that starts at zero. There relu
    passes no gradient, so only the bias of the last layer ever moves: it is the vector here.

    Args:
        hidden: widths of the hidden layers of the MLP; None: one learned vector.
        initializer: Keras name of the initializer of the kernels.
        seed: seed of the experiment, from which initial weights are derived.
        path: path of the gate, such as `gate/0`.

    Call: x `[batch, width]`, context `[batch, context width]` or None -> `[batch, width]`.
    """

    def __init__(self, hidden: Sequence[int] | None, initializer: str, seed: int, path: str) -> None:
        super().__init__(name=path.replace("/", "_"))
        self.hidden = None if hidden is None else tuple(hidden)
        self.initializer, self.seed, self.path = initializer, seed, path

    def build(self, input_shape: tf.TensorShape) -> None:
        width = input_shape[-1]
        if self.hidden is None:
            self.vector = self.add_weight(name="vector", shape=[width], initializer="zeros")
        else:
            self.mlp = [
                Dense(
                    units,
                    activation="relu" if index < len(self.hidden) else None,
                    kernel_initializer=PathInitializer(self.initializer, self.seed, f"{self.path}/{index}"),
                    name=f"dense_{index}",
                )
                for index, units in enumerate((*self.hidden, width))
            ]
        super().build(input_shape)

    def call(self, x: tf.Tensor, context: tf.Tensor | None = None) -> tf.Tensor:
        if self.hidden is None:
            return x * (2 * tf.sigmoid(self.vector))
        for dense in self.mlp:
            context = dense(context)
        return x * (2 * tf.sigmoid(context))


class BilinearFusion(Recorded):
    """Bilinear form of two vectors in heads: sum over heads h of x_h^T W_h y_h, float32 even under mixed precision.

    x and y are cut into `heads` pieces of equal width. More heads have smaller matrices: W has
    width of x * width of y / heads numbers.

    Args:
        heads: number of heads, which divides the widths of x and y.
        initializer: Keras name of the initializer of W.
        seed: seed of the experiment, from which initial weights are derived.

    Call: x `[batch, width of x]` and y `[batch, width of y]` as a pair -> `[batch]`.
    """

    def __init__(self, heads: int, initializer: str, seed: int) -> None:
        super().__init__(name="fusion", dtype="float32")
        self.heads, self.initializer = heads, PathInitializer(initializer, seed, "head/fusion")

    def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
        matrices = [self.heads, *(shape[-1] // self.heads for shape in input_shape)]

        def start(_: Any, dtype: Any = None) -> tf.Tensor:
            """Start all matrices as one column, as published: many inputs make the values small."""
            return tf.reshape(self.initializer([prod(matrices), 1], dtype), matrices)

        self.kernel = self.add_weight(name="kernel", shape=matrices, initializer=start)
        super().build(input_shape)

    def call(self, pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        x, y = (tf.reshape(vectors, [-1, self.heads, vectors.shape[1] // self.heads]) for vectors in pair)
        return tf.reduce_sum(tf.einsum("bhi,hij->bhj", x, self.kernel) * y, axis=[1, 2])


class FinalMLP(Tower):
    """FinalMLP (Mao et al. 2023, AAAI, arXiv 2304.00902): two MLPs on one x_0, with gates and a bilinear fusion.

        o_i = deep_i(x_0 * gate_i),    gate_i = 2 sigmoid(MLP(context_i)),    i = 1, 2
        logit = w_1 . o_1 + w_2 . o_2 + b + sum over heads h of o_1h^T W_h o_2h

    A context is the embeddings of some features, from tables of their own, `context_1/<table>` and
    `context_2/<table>`. Without features, the gate is the same for all examples: 2 sigmoid(v), where v starts at zero
    and is learned. All gates act on the whole x_0, and start at about 1.

    Args:
        hidden: widths of the layers of the first MLP, first to last. More or wider layers fit more and cost more.
        hidden_2: widths of the layers of the second MLP.
        heads: number of heads of the fusion, which divides the last widths of `hidden` and `hidden_2`. A larger value
            fits less and costs less.
        gates: True multiplies the input of each MLP by its gate. False: `context_1`, `context_2` and `gate_hidden` have
            no effect.
        context_1: features with an embedding that the first gate depends on; empty: a learned vector.
        context_2: the same for the second gate.
        gate_hidden: widths of the hidden layers of the gate's MLP. More or wider layers fit more and cost more.
        batch_norm: True adds batch normalization before each activation of the MLPs; a `BatchNorm`, such as
            `{epsilon: 1.0e-5}`, sets its numbers.
        dropout: fraction of the first MLP's activations set to zero in training, 0 to below 1. A larger value
            regularizes more; 0 turns it off.
        dropout_2: the same for the second MLP; None: the value of `dropout`.
        initializer: Keras name of the initializer of the kernels, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment, from which initial weights and dropout are derived.

    Call: x_0 `[batch, width]`, step (scalar, for dropout), the branches `context_1` and `context_2` if they have
    features, `[batch, width]` each -> logit `[batch]`.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (400, 400, 400),
        hidden_2: tuple[int, ...] = (400,),
        heads: int = 1,
        gates: bool = True,
        context_1: tuple[str, ...] = (),
        context_2: tuple[str, ...] = (),
        gate_hidden: tuple[int, ...] = (64,),
        batch_norm: bool | BatchNorm = True,
        dropout: float = 0.0,
        dropout_2: float | None = None,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(name="final_mlp")
        for name, widths in (("hidden", hidden), ("hidden_2", hidden_2)):
            if not widths:
                raise ValueError(f"{name} must be one or more widths. Received: []")
            check_widths(name, widths)
        check_widths("gate_hidden", gate_hidden)
        check_maximum(MAX_WIDTH, heads=heads)
        if heads < 1 or hidden[-1] % heads or hidden_2[-1] % heads:
            raise ValueError(
                f"heads must divide the last widths of hidden and hidden_2, {hidden[-1]} and {hidden_2[-1]}. "
                f"Use a divisor of {gcd(hidden[-1], hidden_2[-1])}. Received: {heads}"
            )
        for name, features in (("context_1", context_1), ("context_2", context_2)):
            if len(set(features)) < len(features):
                raise ValueError(f"{name} must name each feature once. Received: {list(features)}")
        if dropout_2 is not None:
            check_dropout("dropout_2", dropout_2)
        self._contexts = (("context_1", tuple(context_1)), ("context_2", tuple(context_2))) if gates else ()
        self.gates = [
            FeatureGate(gate_hidden if features else None, initializer, seed, f"gate/{index}")
            for index, (_, features) in enumerate(self._contexts)
        ]
        rates = (dropout, dropout if dropout_2 is None else dropout_2)
        self.deep = [
            MLP(widths, batch_norm, rate, initializer, seed, f"deep/{index}")
            for index, (widths, rate) in enumerate(zip((hidden, hidden_2), rates, strict=True))
        ]
        self.fusion = BilinearFusion(heads, initializer, seed)
        self.linear = [logit_head(initializer, seed, f"head/{index}", use_bias=index == 1) for index in range(2)]

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers."""
        gate = {"gate": self.gates} if self.gates else {}
        return {**gate, "deep": self.deep, "head": [self.fusion, *self.linear]}

    def extend(self, inputs: Inputs) -> Inputs:
        """Return the inputs with tables and fields for the contexts of the gates.

        Raises:
            ValueError: a context names a feature that does not exist or does not have an embedding.
        """
        tables: dict[str, Table] = {}
        fields = []
        for branch, features in self._contexts:
            for feature in features:
                field = inputs.field(feature, branch)
                name = f"{branch}/{field.table}"
                tables[name] = replace(inputs.table(field.table), name=name)
                fields.append(replace(field, name=f"{branch}/{feature}", table=name, branch=branch))
        return replace(inputs, tables=(*inputs.tables, *tables.values()), fields=(*inputs.fields, *fields))

    def call(self, x0: tf.Tensor, step: tf.Tensor, training: bool = False, **branches: tf.Tensor) -> tf.Tensor:
        inputs = [x0, x0]
        for index, (gate, (branch, features)) in enumerate(zip(self.gates, self._contexts, strict=True)):
            inputs[index] = gate(x0, tf.cast(branches[branch], x0.dtype) if features else None)
        pair = [mlp(x, step, training=training) for mlp, x in zip(self.deep, inputs, strict=True)]
        linear = [tf.squeeze(head(vectors), axis=1) for head, vectors in zip(self.linear, pair, strict=True)]
        return tf.add_n([self.fusion(pair), *linear])
