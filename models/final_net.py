"""FinalNet: blocks of factorized layers, which multiply two linear maps of their input, and a gate on the fields."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import tensorflow as tf
import tf_keras

from models.blocks import BatchNorm, Dropout, batch_norm_layer, check_dropout, check_widths, logit_head
from models.inputs import Inputs
from models.recording import Dense, Recorded, ReLU
from models.seeds import PathInitializer
from models.tower import Tower, TowerOutput

Residual: TypeAlias = Literal["concat", "sum"]


class FactorizedLayer(Recorded):
    """Layer of a linear map and its product with another map, `[batch, width]` -> `[batch, units]`.

        [h_2, h_1] = x W + b
        concat   output = [h_2, h_1 * h_2],    each of units / 2 numbers
        sum      output = h_2 + h_1 * h_2,     each of `units` numbers

    Args:
        units: width of the output, even for `concat`.
        residual: place of h_2: `concat` (before the product) or `sum` (added to it).
        initializer: initializer of W.
        name: name of the layer.
    """

    def __init__(
        self, units: int, residual: Residual, initializer: tf_keras.initializers.Initializer, name: str
    ) -> None:
        super().__init__(name=name)
        self.residual = residual
        # with a bias even before a batch normalization, because that of h_1 scales h_2
        self.dense = Dense(units if residual == "concat" else 2 * units, kernel_initializer=initializer, name="dense")

    def call(self, x: tf.Tensor) -> tf.Tensor:
        h2, h1 = tf.split(self.dense(x), 2, axis=1)
        product = h1 * h2
        return tf.concat([h2, product], axis=1) if self.residual == "concat" else h2 + product


class FactorizedBlock(Recorded):
    """A factorized layer, batch normalization, relu and dropout for each width in `hidden`.

    Args:
        hidden: widths of the layers, first to last.
        residual: place of h_2 in each factorized layer, `concat` or `sum`.
        batch_norm: True adds batch normalization after each product; a `BatchNorm` sets its numbers.
        dropout: fraction of activations set to zero in training, 0 to below 1.
        initializer: Keras name of the initializer of the kernels.
        seed: seed of the experiment, from which initial weights and dropout are derived.
        path: path of the block, such as `deep/0`.

    Call: `[batch, width]` -> `[batch, hidden[-1]]`.
    """

    def __init__(
        self,
        hidden: Sequence[int],
        residual: Residual,
        batch_norm: bool | BatchNorm,
        dropout: float,
        initializer: str,
        seed: int,
        path: str,
    ) -> None:
        super().__init__(name=path.replace("/", "_"))
        self.blocks = [
            (
                FactorizedLayer(
                    units, residual, PathInitializer(initializer, seed, f"{path}/{index}"), f"factorized_{index}"
                ),
                batch_norm_layer(batch_norm, f"batch_norm_{index}"),
                ReLU(name="relu"),
                Dropout(dropout, seed, f"{path}/{index}"),
            )
            for index, units in enumerate(hidden)
        ]

    def call(self, x: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        for factorized, norm, activation, dropout in self.blocks:
            x = factorized(x)
            if norm is not None:
                x = norm(x, training=training)
            x = dropout(activation(x), step, training=training)
        return x


class FieldGate(Recorded):
    """Fields multiplied by gates, which are linear in all fields of the same column of the embeddings.

        gate_f = b_f + sum over fields g of w_gf x_g,    output_f = x_f * gate_f

    W starts at zero and b at one, so that all gates start at 1.

    Call: `[batch, fields, dim]` -> `[batch, fields, dim]`.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        fields = input_shape[1]
        self.kernel = self.add_weight(name="kernel", shape=[fields, fields], initializer="zeros")
        self.bias = self.add_weight(name="bias", shape=[fields], initializer="ones")
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        return x * (tf.einsum("bgd,gf->bfd", x, self.kernel) + self.bias[:, None])


class FinalNet(Tower):
    """FINAL (Zhu et al. 2023, SIGIR): two blocks of factorized layers, the first with gated fields.

        logit_1 = head_1(deep_1([x_0, gate(fields)])),    logit_2 = head_2(deep_2(x_0))
        logit = (logit_1 + logit_2) / 2

    A layer of a block computes two linear maps h_1 and h_2 of its input and joins h_2 with h_1 * h_2. Then
    come batch normalization, relu and dropout. With two blocks, the loss adds the cross-entropy of each block's logit
    against the model's score, `loss/distillation_1` and `loss/distillation_2`, in which the score is a constant.

    The field gate multiplies the embeddings at the start of x_0, which must all have one width. The rest of x_0, such
    as plain numeric features, reaches both blocks as it is.

    Args:
        hidden: widths of the layers of the first block, first to last: even numbers with `residual: concat`. More or
            wider layers fit more and cost more.
        hidden_2: widths of the layers of the second block; empty: one block, and no losses besides that of the logit.
        residual: form of a layer: `concat` is [h_2, h_1 * h_2] with half of the width each, `sum` is h_2 + h_1 * h_2.
        field_gate: True adds the gated embeddings to the input of the first block.
        distillation: factor of the losses of the blocks, at least 0. A larger value draws the blocks nearer to their
            mean; 0 turns them off.
        batch_norm: True adds batch normalization before each activation; a `BatchNorm`, such as `{epsilon: 1.0e-5}`,
            sets its numbers.
        dropout: fraction of the first block's activations set to zero in training, 0 to below 1. A larger value
            regularizes more; 0 turns it off.
        dropout_2: the same for the second block; None: the value of `dropout`.
        initializer: Keras name of the initializer of the kernels, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment, from which initial weights and dropout are derived.

    Call: x_0 `[batch, width]`, step (scalar, for dropout) -> logit `[batch]`, with the losses of the blocks if there
    are two; with a field gate after `connect`.
    """

    def __init__(
        self,
        hidden: tuple[int, ...] = (400, 400),
        hidden_2: tuple[int, ...] = (400,),
        residual: Residual = "concat",
        field_gate: bool = True,
        distillation: float = 1.0,
        batch_norm: bool | BatchNorm = True,
        dropout: float = 0.0,
        dropout_2: float | None = None,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(name="final_net")
        if residual not in get_args(Residual):
            raise ValueError(f"residual must be one of {', '.join(get_args(Residual))}. Received: {residual!r}")
        if not hidden:
            raise ValueError("hidden must be one or more widths. Received: []")
        for name, widths in (("hidden", hidden), ("hidden_2", hidden_2)):
            check_widths(name, widths)
            if residual == "concat" and any(width % 2 for width in widths):
                raise ValueError(
                    f"{name} must be even widths for residual concat, whose halves are a map and a product. "
                    f"Received: {list(widths)}"
                )
        if not 0 <= distillation < float("inf"):
            raise ValueError(f"distillation must be a number of at least 0. Received: {distillation}")
        if dropout_2 is not None:
            check_dropout("dropout_2", dropout_2)
        self.distillation = distillation
        self.gate = FieldGate(name="gate") if field_gate else None
        self.fields: tuple[int, int] | None = None
        """Number and width of the embeddings at the start of x_0, from `connect`."""
        rates = (dropout, dropout if dropout_2 is None else dropout_2)
        self.deep = [
            FactorizedBlock(widths, residual, batch_norm, rate, initializer, seed, f"deep/{index}")
            for index, (widths, rate) in enumerate(zip((hidden, hidden_2), rates, strict=True))
            if widths
        ]
        self.heads = [logit_head(initializer, seed, f"head/{index}") for index in range(len(self.deep))]

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers."""
        return {**({} if self.gate is None else {"gate": [self.gate]}), "deep": self.deep, "head": self.heads}

    @property
    def logit_biases(self) -> list[tf.Variable]:
        """Biases of both heads, because the logit is their mean."""
        return [head.bias for head in self.heads if head.built]

    def connect(self, inputs: Inputs) -> None:
        """Find the embeddings at the start of x_0 for the field gate.

        Raises:
            ValueError: the gate has no embedding, or the embeddings differ in width.
        """
        if self.gate is None:
            return
        dims = {field.name: inputs.table(field.table).dim for field in inputs.fields if field.branch == "deep"}
        if not dims:
            raise ValueError("field_gate: no feature has an embedding. Add one, or set `field_gate: false`.")
        (first, dim), *others = dims.items()
        if different := [f"{name} has {other}" for name, other in others if other != dim]:
            raise ValueError(
                f"field_gate needs embeddings of one `dim`, but {first} has {dim} and {different[0]}. "
                f"Set one `dim`, or `field_gate: false`."
            )
        self.fields = len(dims), dim

    def call(self, x0: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor | TowerOutput:
        inputs = [x0, x0]
        if self.gate is not None:
            assert self.fields is not None, "call connect first"
            count, dim = self.fields
            gated = self.gate(tf.reshape(x0[:, : count * dim], [-1, count, dim]))
            inputs[0] = tf.concat([x0, tf.reshape(gated, [-1, count * dim])], axis=1)
        logits = [
            tf.squeeze(head(block(x, step, training=training)), axis=1)
            for block, head, x in zip(self.deep, self.heads, inputs, strict=False)
        ]
        logit = tf.add_n(logits) / len(logits)
        if len(logits) == 1 or self.distillation == 0:
            return logit
        score = tf.stop_gradient(tf.sigmoid(logit))
        losses = {
            f"distillation_{index}": self.distillation * tf.nn.sigmoid_cross_entropy_with_logits(score, one)
            for index, one in enumerate(logits, start=1)
        }
        return TowerOutput(logit, losses)
