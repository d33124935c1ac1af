"""QNN: quadratic layers, in which a sum of ReLU rows multiplies the layer's own input."""

import tensorflow as tf
import tf_keras

from models.blocks import MAX_LAYERS, MAX_WIDTH, BatchNorm, Dropout, batch_norm_layer, check_maximum, logit_head
from models.inputs import Inputs
from models.recording import Dense, Recorded, ReLU
from models.seeds import PathInitializer
from models.tower import Tower


class _ReluRows(Recorded):
    """ReLU(BN(W x + b)), `[batch, width]` -> `[batch, rows * width]`; without bias before a batch normalization."""

    def __init__(self, rows: int, batch_norm: bool | BatchNorm, initializer: str, seed: int, path: str) -> None:
        super().__init__(name="relu_rows")
        self.rows, self.kernel_start = rows, PathInitializer(initializer, seed, path)
        self.norm = batch_norm_layer(batch_norm, "batch_norm")
        self.relu = ReLU(name="relu")

    def build(self, input_shape: tf.TensorShape) -> None:
        units, use_bias = self.rows * input_shape[-1], self.norm is None
        self.dense = Dense(units, use_bias=use_bias, kernel_initializer=self.kernel_start, name="dense")
        super().build(input_shape)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = self.dense(x)
        if self.norm is not None:
            x = self.norm(x, training=training)
        return self.relu(x, training=training)


class Quadratic(Recorded):
    """Quadratic layer of QNN-alpha: x_{l+1} = Dropout(sum_m x_l * h_m + x_l), with * the elementwise product.

    The rows h_1, h_2, ... are slices of Dropout(ReLU(BN(W x_l + b))), each as wide as x_l. With several heads, each
    field's embedding in x_l is divided into as many chunks, and head k multiplies the k-th chunks of all fields by rows
    of its own. The products are then in the order of the heads, and the x_l that is added in the order of the fields,
    as in the public code.

    Args:
        rows: number of rows of each head.
        heads: number of heads, which divides the width of the fields.
        batch_norm: True adds batch normalization before the ReLU.
        dropout: fraction of the rows, and of the layer's output, set to zero in training.
        initializer: Keras name of the initializer of W.
        seed: seed of the experiment, from which initial weights and dropout are derived.
        path: path of the layer in the model, such as `quadratic/0`.

    Call: x_l `[batch, width]`, number of fields in x_l (any if there is one head), step -> `[batch, width]`.
    """

    def __init__(
        self,
        rows: int,
        heads: int,
        batch_norm: bool | BatchNorm,
        dropout: float,
        initializer: str,
        seed: int,
        path: str,
    ) -> None:
        super().__init__(name=path.replace("/", "_"))
        self.rows, self.heads = rows, heads
        self.relu_rows = _ReluRows(rows, batch_norm, initializer, seed, path)
        self.dropout, self.output_dropout = Dropout(dropout, seed, path), Dropout(dropout, seed, f"{path}/output")

    def call(self, x: tf.Tensor, fields: int, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        width, heads = x.shape[1], self.heads
        rows = self.dropout(self.relu_rows(x, training=training), step, training=training)
        gate = tf.reduce_sum(tf.reshape(rows, [-1, heads, self.rows, width // heads]), axis=2)
        chunks = tf.reshape(x, [-1, fields, heads, width // fields // heads])
        by_head = x if heads == 1 else tf.reshape(tf.transpose(chunks, [0, 2, 1, 3]), [-1, width])
        return self.output_dropout(by_head * tf.reshape(gate, [-1, width]) + x, step, training=training)


class ReluCross(Recorded):
    """Cross layer with an activation: x_{l+1} = Dropout(x_l + x_0 * ReLU(BN(W x_l + b))).

    Args:
        batch_norm: True adds batch normalization before the ReLU.
        dropout: fraction of the layer's output set to zero in training.
        initializer: Keras name of the initializer of W.
        seed: seed of the experiment, from which initial weights and dropout are derived.
        path: path of the layer in the model, such as `cross/0`.

    Call: x_0 and x_l, `[batch, width]` each, step -> `[batch, width]`.
    """

    def __init__(self, batch_norm: bool | BatchNorm, dropout: float, initializer: str, seed: int, path: str) -> None:
        super().__init__(name=path.replace("/", "_"))
        self.relu_rows = _ReluRows(1, batch_norm, initializer, seed, path)
        self.dropout = Dropout(dropout, seed, path)

    def call(self, x0: tf.Tensor, x: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        return self.dropout(x + x0 * self.relu_rows(x, training=training), step, training=training)


class QNN(Tower):
    """Quadratic neural network, alpha form (Li et al. 2025, arXiv 2505.17999), with an optional cross network.

        x_{l+1} = Dropout(x_l * sum_m h_m + x_l),    h = Dropout(ReLU(BN(W_l x_l + b_l))), one slice h_m per row
        logit = head(x_L), or head([x_L, cross(x_0)]) with cross layers

    A layer doubles the degree of the interactions, because its input multiplies itself. A layer has rows * width^2
    weights. The layers of `cross` are x_{l+1} = Dropout(x_l + x_0 * ReLU(BN(W_l x_l + b_l))).

    Args:
        layers: number of quadratic layers, at least 1. Each layer doubles the degree of the interactions.
        rows: number of rows that are summed in a quadratic layer, at least 1. More rows fit more and cost more.
        heads: number of heads, at least 1. It must divide the `dim` of the features, which must all be embeddings of
            one `dim` if it is above 1: a plain number cannot be divided among heads.
        batch_norm: True adds batch normalization before each ReLU; a `BatchNorm`, such as `{epsilon: 1.0e-5}`, sets its
            numbers.
        dropout: fraction of the rows, and of each layer's output, set to zero in training, 0 to below 1. A larger value
            regularizes more; 0 turns it off.
        cross_layers: number of cross layers, whose output the head reads too; 0 for none.
        initializer: Keras name of the initializer of the kernels, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment, from which initial weights and dropout are derived.

    Call: x_0 `[batch, width]`, step (scalar, for dropout) -> logit `[batch]`; with several heads, after `connect`.
    """

    def __init__(
        self,
        layers: int = 2,
        rows: int = 4,
        heads: int = 1,
        batch_norm: bool | BatchNorm = True,
        dropout: float = 0.0,
        cross_layers: int = 0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(name="qnn")
        for name, count in (("layers", layers), ("rows", rows), ("heads", heads)):
            if count < 1:
                raise ValueError(f"{name} must be at least 1. Received: {count}")
        if cross_layers < 0:
            raise ValueError(f"cross_layers must be at least 0. Received: {cross_layers}")
        check_maximum(MAX_LAYERS, layers=layers, cross_layers=cross_layers)
        check_maximum(MAX_WIDTH, rows=rows, heads=heads)
        self.quadratic = [
            Quadratic(rows, heads, batch_norm, dropout, initializer, seed, f"quadratic/{index}")
            for index in range(layers)
        ]
        self.cross = [
            ReluCross(batch_norm, dropout, initializer, seed, f"cross/{index}") for index in range(cross_layers)
        ]
        self.head = logit_head(initializer, seed)
        self.heads, self.fields, self.embedded = heads, 1, 0

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers; `cross` only with cross layers."""
        return {"quadratic": self.quadratic, **({"cross": self.cross} if self.cross else {}), "head": [self.head]}

    def connect(self, inputs: Inputs) -> None:
        """Find the fields that several heads divide; with one head, nothing depends on them.

        Raises:
            ValueError: there are several heads, and x_0 has plain numbers, the embeddings differ in width, or `heads`
                does not divide their width.
        """
        if self.heads == 1:
            return
        fields = [(field.name, inputs.table(field.table).dim) for field in inputs.fields if field.branch == "deep"]
        if plain := [inputs.numerics[column] for column in inputs.plain]:
            raise ValueError(
                f"heads above 1 divide embeddings, but {plain[0]} is a plain number. Set its `as: embedding`, or use "
                f"`heads: 1`."
            )
        if len({dim for _, dim in fields}) != 1:
            received = ", ".join(f"{name} {dim}" for name, dim in fields) or "none"
            raise ValueError(f"heads above 1 need embeddings of one `dim`. Received: {received}")
        dim = fields[0][1]
        if dim % self.heads:
            raise ValueError(f"heads must divide the `dim` of the embeddings, {dim}. Received: {self.heads}")
        self.fields, self.embedded = len(fields), len(fields) * dim

    def build(self, input_shape: tf.TensorShape) -> None:
        if self.heads > 1 and input_shape[-1] != self.embedded:
            raise ValueError(
                f"heads above 1 divide embeddings, but x_0 has {input_shape[-1] - self.embedded} more numbers than the "
                f"embeddings of features. Use `heads: 1`."
            )
        super().build(input_shape)

    def call(self, x0: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        x = x0
        for layer in self.quadratic:
            x = layer(x, self.fields, step, training=training)
        crossed = x0
        for cross in self.cross:
            crossed = cross(x0, crossed, step, training=training)
        return tf.squeeze(self.head(tf.concat([x, crossed], axis=1) if self.cross else x), axis=1)
