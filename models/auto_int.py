"""AutoInt: layers of self-attention between the fields, in addition to an MLP."""

import tensorflow as tf
import tf_keras

from models.blocks import MAX_LAYERS, MAX_WIDTH, MLP, BatchNorm, Dropout, check_maximum, layer_norm_layer, logit_head
from models.fm import split_x0
from models.inputs import Inputs
from models.recording import Dense, Recorded
from models.seeds import PathInitializer
from models.tower import Tower


class FieldAttention(Recorded):
    """Self-attention between fields: each field reads all fields, with weights that depend on both.

        A_h = Dropout(softmax(Q_h K_h^T scale)),    Q = X Wq, K = X Wk, V = X Wv
        output = ReLU(LN([A_1 V_1, ..., A_H V_H] + residual))

    Head h has the h-th part of the columns of Q, K and V. The residual is X, or X Wr if X does not have `width`
    columns. No matrix has a bias.

    Args:
        width: width of a field's output, which `heads` divides.
        heads: number of heads.
        scale: True scales the products by 1 / sqrt(width of a head).
        residual: True adds the residual.
        layer_norm: True normalizes each field's output, with a trained scale and offset for each column.
        dropout: fraction of the attention weights set to zero in training.
        initializer: Keras name of the initializer of the matrices.
        seed: seed of the experiment, from which initial weights and dropout are derived.
        path: path of the layer in the model, such as `attention/0`.

    Call: X `[batch, fields, k]`, step -> `[batch, fields, width]`.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        scale: bool,
        residual: bool,
        layer_norm: bool,
        dropout: float,
        initializer: str,
        seed: int,
        path: str,
    ) -> None:
        super().__init__(name=path.replace("/", "_"))
        self.width, self.heads, self.residual = width, heads, residual
        self.scale = (width // heads) ** -0.5 if scale else 1.0
        self.initializer, self.seed, self.path = initializer, seed, path
        self.norm = layer_norm_layer("layer_norm") if layer_norm else None
        self.dropout = Dropout(dropout, seed, path)

    def build(self, input_shape: tf.TensorShape) -> None:
        def dense(name: str) -> Dense:
            kernel = PathInitializer(self.initializer, self.seed, f"{self.path}/{name}")
            return Dense(self.width, use_bias=False, kernel_initializer=kernel, name=name)

        self.query, self.key, self.value = (dense(name) for name in ("query", "key", "value"))
        is_projected = self.residual and input_shape[-1] != self.width
        self.projection = dense("residual") if is_projected else None
        super().build(input_shape)

    def attention(self, x: tf.Tensor) -> tf.Tensor:
        """Return the weights A before dropout, `[batch, heads, fields that read, fields that are read]`."""
        q, k = self._by_head(self.query(x)), self._by_head(self.key(x))
        return tf.nn.softmax(tf.einsum("bihd,bjhd->bhij", q, k) * self.scale)

    def call(self, x: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        weights = self.dropout(self.attention(x), step, training=training)
        read = tf.einsum("bhij,bjhd->bihd", weights, self._by_head(self.value(x)))
        output = tf.reshape(read, [-1, x.shape[1], self.width])
        if self.residual:
            output += x if self.projection is None else self.projection(x)
        return tf.nn.relu(output if self.norm is None else self.norm(output))

    def _by_head(self, x: tf.Tensor) -> tf.Tensor:
        return tf.reshape(x, [-1, x.shape[1], self.heads, self.width // self.heads])


class AutoInt(Tower):
    """AutoInt (Song et al. 2019, CIKM, arXiv 1810.11921), with an MLP the paper's AutoInt+.

        logit = head_1(flatten(X_L)) + head_2(deep(x_0)),    X_0: embeddings, X_{l+1} = attention_l(X_l)

    Every field reads all fields in each attention layer:

        A_h = Dropout(softmax(Q_h K_h^T scale)),    Q = X_l Wq, K = X_l Wk, V = X_l Wv
        X_{l+1} = ReLU(LN([A_1 V_1, ..., A_H V_H] + X_l))

    In the first layer, X_l Wr replaces the added X_l if `attention_width` is not the width of the embeddings. These are
    at the start of x_0 and must all have one width. The rest of x_0, such as plain numbers, reaches only `deep`. The
    normalization before the ReLU is that of the public library FuxiCTR, with its epsilon of 1e-5.

    Args:
        attention_layers: number of attention layers, at least 1. Each layer combines what more fields have read.
        attention_width: width of a field between the layers. A larger value fits more and costs more.
        heads: number of heads of each layer, which divides `attention_width`. With more heads, a field reads several
            groups of fields separately.
        scale: True scales the products of the attention by 1 / sqrt(width of a head).
        residual: True adds the input of a layer to its output.
        layer_norm: True normalizes the output of each layer before the ReLU.
        hidden: widths of the layers of the MLP `deep`, first to last. More or wider layers fit more and cost more;
            empty: no MLP.
        batch_norm: True adds batch normalization before each activation of the MLP; a `BatchNorm`, such as
            `{epsilon: 1.0e-5}`, sets its numbers.
        dropout: fraction of the attention weights, and of the MLP's activations, set to zero in training, 0 to below
            1. A larger value regularizes more; 0 turns it off.
        initializer: Keras name of the initializer of the kernels, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment, from which initial weights and dropout are derived.

    Call: x_0 `[batch, width]`, step (scalar, for dropout) -> logit `[batch]`; after `connect`.
    """

    def __init__(
        self,
        attention_layers: int = 3,
        attention_width: int = 64,
        heads: int = 2,
        scale: bool = True,
        residual: bool = True,
        layer_norm: bool = True,
        hidden: tuple[int, ...] = (400, 400, 400),
        batch_norm: bool | BatchNorm = True,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(name="auto_int")
        sizes = {"attention_layers": attention_layers, "attention_width": attention_width, "heads": heads}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1. Received: {size}")
        check_maximum(MAX_LAYERS, attention_layers=attention_layers)
        check_maximum(MAX_WIDTH, attention_width=attention_width)
        if attention_width % heads:
            raise ValueError(
                f"heads must divide attention_width. Use a divisor of {attention_width}. Received: {heads}"
            )
        self.attention = [
            FieldAttention(
                attention_width, heads, scale, residual, layer_norm, dropout, initializer, seed, f"attention/{index}"
            )
            for index in range(attention_layers)
        ]
        self.deep = MLP(hidden, batch_norm, dropout, initializer, seed, "deep") if hidden else None
        self.heads = [logit_head(initializer, seed, "head/attention", use_bias=self.deep is None)]
        if self.deep is not None:
            self.heads.append(logit_head(initializer, seed, "head/deep"))

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers; `deep` only with an MLP."""
        deep = {} if self.deep is None else {"deep": [self.deep]}
        return {"attention": self.attention, **deep, "head": self.heads}

    def connect(self, inputs: Inputs) -> None:
        """Find the embeddings at the start of x_0.

        Raises:
            ValueError: the embeddings differ in width or are fewer than two, or there are plain numbers and no MLP that
                reads them.
        """
        names, self.width = inputs.fields_of_one_width("auto_int")
        self.fields = len(names)
        if self.deep is None and inputs.plain:
            name = inputs.numerics[inputs.plain[0]]
            raise ValueError(
                f"hidden: without an MLP, nothing reads the plain number {name}. Add widths, or set its "
                f"`as: embedding`. Received: []"
            )

    def build(self, input_shape: tf.TensorShape) -> None:
        more = input_shape[-1] - self.fields * self.width
        if self.deep is None and more > 0:
            raise ValueError(
                f"hidden: without an MLP, nothing reads {more} numbers of x_0 that follow the embeddings of features. "
                f"Add widths. Received: []"
            )
        super().build(input_shape)

    def call(self, x0: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        x, _ = split_x0(x0, self.fields, self.width)
        for layer in self.attention:
            x = layer(x, step, training=training)
        logit = self.heads[0](tf.reshape(x, [-1, self.fields * x.shape[2]]))
        if self.deep is not None:
            logit += self.heads[1](self.deep(x0, step, training=training))
        return tf.squeeze(logit, axis=1)
