"""FCN: two cross networks without an MLP, whose layers mask half of their product, and a loss of three terms."""

import tensorflow as tf
import tf_keras

from models.batch_loss import BatchLoss, batch_mean
from models.blocks import (
    MAX_LAYERS,
    MAX_WIDTH,
    BatchNorm,
    Dropout,
    batch_norm_layer,
    check_dropout,
    check_maximum,
    layer_norm_layer,
    logit_head,
)
from models.fm import split_x0
from models.inputs import Inputs
from models.recording import Dense, Recorded
from models.seeds import PathInitializer
from models.tower import Tower, TowerOutput


class MaskedCross(Recorded):
    """Cross layer with a mask: x_{l+1} = Dropout(anchor * ([c, c * ReLU(LN(c))] + b) + x_l), c = BN(W x_l).

    W halves the width and has no bias. b starts as random numbers between 0 and 1, as in the public code. With small
    embeddings, the first layer then multiplies each column by a factor of its own, between 1 and 2. The heads share all
    weights, except for the batch normalization, which has one mean, variance, scale and offset for each head.

    Args:
        batch_norm: True adds the batch normalization; a `BatchNorm` sets its numbers.
        layer_norm: True adds the layer normalization of the mask.
        dropout: fraction of the output set to zero in training.
        initializer: Keras name of the initializer of W.
        seed: seed of the experiment, from which initial weights and dropout are derived.
        path: path of the layer in the model, such as `linear/0`.

    Call: anchor and x_l, `[batch, heads, width]` each, step -> `[batch, heads, width]`.
    """

    def __init__(
        self, batch_norm: bool | BatchNorm, layer_norm: bool, dropout: float, initializer: str, seed: int, path: str
    ) -> None:
        super().__init__(name=path.replace("/", "_"))
        self.kernel_start = PathInitializer(initializer, seed, path)
        self.bias_start = PathInitializer("random_uniform", seed, f"{path}/bias", minval=0.0, maxval=1.0)
        self.batch_norm = batch_norm_layer(batch_norm, "batch_norm", axis=1)
        self.layer_norm = layer_norm_layer("layer_norm") if layer_norm else None
        self.dropout = Dropout(dropout, seed, path)

    def build(self, input_shape: tf.TensorShape) -> None:
        width = input_shape[-1]
        self.dense = Dense(width // 2, use_bias=False, kernel_initializer=self.kernel_start, name="dense")
        self.bias = self.add_weight(name="bias", shape=[width], initializer=self.bias_start)
        super().build(input_shape)

    def call(self, anchor: tf.Tensor, x: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        c = self.dense(x)
        if self.batch_norm is not None:
            c = self.batch_norm(c, training=training)
        mask = tf.nn.relu(c if self.layer_norm is None else self.layer_norm(c))
        crossed = anchor * (tf.concat([c, c * mask], axis=2) + self.bias) + x
        return self.dropout(crossed, step, training=training)


class NumberVectors(Recorded):
    """Each plain number times a trained vector of its own, which makes it one more field.

    Args:
        width: width of a vector.
        initializer: Keras name of the initializer of the vectors.
        seed: seed of the experiment, from which initial weights are derived.

    Call: `[batch, n]` -> `[batch, n, width]`.
    """

    def __init__(self, width: int, initializer: str, seed: int) -> None:
        super().__init__(name="numbers")
        self.width, self.start = width, PathInitializer(initializer, seed, "numbers")

    def build(self, input_shape: tf.TensorShape) -> None:
        self.vectors = self.add_weight(name="vectors", shape=[input_shape[-1], self.width], initializer=self.start)
        super().build(input_shape)

    def call(self, numbers: tf.Tensor) -> tf.Tensor:
        return numbers[:, :, None] * self.vectors


class FCN(Tower):
    """Fusing Cross Network, formerly DCNv3 (Li et al. 2024, arXiv 2407.13349): two cross networks without an MLP.

        z_l = [c_l, c_l * ReLU(LN(c_l))],    c_l = BN(W_l x_l)
        exponential  x_{l+1} = Dropout(x_l * (z_l + b_l) + x_l),    the degree of the interactions doubles
        linear       x_{l+1} = Dropout(x_0 * (z_l + b_l) + x_l),    the degree of the interactions rises by 1
        logit = (l_exponential + l_linear) / 2,    l = mean over heads of head(x_L)

    x_0 of a head are its columns of every embedding, first halves before second halves, so all embeddings must have one
    `dim`. The heads share W, b and the head of the logit. A plain number becomes an embedding: the number times a
    trained vector.

    With `tri_bce`, each network whose own loss is above that of the model learns from the labels, too. L is the mean
    cross-entropy of the batch, L_n that of the logit of network n:

        loss = L + loss/exponential + loss/linear,    loss/n = L_n max(0, L_n - L)

    The factor max(0, L_n - L) has a gradient, too, as in the public code. With k_n = 1 if L_n is above L, else 0:

        gradient of the loss = (1 - sum of k_n L_n) dL + sum of k_n (2 L_n - L) dL_n

    So for L of about 0.44, the networks learn mostly from their own losses. With a constant factor, they would hardly
    learn from them. Where the L_n of networks above L add up to more than 1, the gradient of L is reversed. In
    evaluation, `loss/n` is the mean of the batches. With `linear_layers: 0` or `exponential_layers: 0`, the other
    network is the model.

    This is the form of the paper and of the published runs. FCNv1 in the public code has [c, LN(c)] instead of a mask.

    Args:
        exponential_layers: number of layers of the exponential network; 0: no such network.
        linear_layers: number of layers of the linear network; 0: no such network.
        heads: number of heads, at least 1. The `dim` of the features must be a multiple of twice that number.
        layer_norm: True adds the layer normalization of each mask, with an epsilon of 1e-5.
        tri_bce: True adds the losses of both networks, if both exist.
        batch_norm: True adds a batch normalization with one scale and offset per head to each layer; a `BatchNorm`,
            such as `{epsilon: 1.0e-5}`, sets its numbers.
        dropout: fraction of the outputs of each exponential layer set to zero in training, 0 to below 1. A larger value
            regularizes more; 0 turns it off.
        dropout_linear: the same for the linear layers; None: the value of `dropout`.
        initializer: Keras name of the initializer of the kernels, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment, from which initial weights and dropout are derived.

    Call: x_0 `[batch, width]`, step (scalar, for dropout) -> logit `[batch]`, with the losses of the networks if there
    are two; after `connect`.
    """

    def __init__(
        self,
        exponential_layers: int = 3,
        linear_layers: int = 3,
        heads: int = 1,
        layer_norm: bool = True,
        tri_bce: bool = True,
        batch_norm: bool | BatchNorm = True,
        dropout: float = 0.0,
        dropout_linear: float | None = None,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(name="fcn")
        if min(exponential_layers, linear_layers) < 0 or exponential_layers + linear_layers == 0:
            raise ValueError(
                f"exponential_layers and linear_layers must be at least 0, and one of them above 0. "
                f"Received: {exponential_layers} and {linear_layers}"
            )
        if heads < 1:
            raise ValueError(f"heads must be at least 1. Received: {heads}")
        check_maximum(MAX_LAYERS, exponential_layers=exponential_layers, linear_layers=linear_layers)
        check_maximum(MAX_WIDTH, heads=heads)
        if dropout_linear is not None:
            check_dropout("dropout_linear", dropout_linear)
        self.n_heads, self.tri_bce, self.initializer, self.seed = heads, tri_bce, initializer, seed
        self.numbers: NumberVectors | None = None

        def network(name: str, layers: int, rate: float) -> list[MaskedCross]:
            return [
                MaskedCross(batch_norm, layer_norm, rate, initializer, seed, f"{name}/{index}")
                for index in range(layers)
            ]

        self.exponential = network("exponential", exponential_layers, dropout)
        self.linear = network("linear", linear_layers, dropout if dropout_linear is None else dropout_linear)
        self.heads = [logit_head(initializer, seed, f"head/{name}") for name in self.networks]

    @property
    def networks(self) -> dict[str, list[MaskedCross]]:
        """Name of each network -> its layers."""
        networks = {"exponential": self.exponential, "linear": self.linear}
        return {name: layers for name, layers in networks.items() if layers}

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers; `numbers` only has weights with plain numbers; a network exists with layers."""
        numbers = [] if self.numbers is None else [self.numbers]
        return {"numbers": numbers, **self.networks, "head": self.heads}

    @property
    def logit_biases(self) -> list[tf.Variable]:
        """Biases of all heads, because the logit is their mean."""
        return [head.bias for head in self.heads if head.built]

    def connect(self, inputs: Inputs) -> None:
        """Find the embeddings at the start of x_0, and create the vectors of plain numbers.

        Raises:
            ValueError: the embeddings differ in width or are fewer than two, or the width is not a multiple of twice
                the number of heads.
        """
        names, self.dim = inputs.fields_of_one_width("fcn")
        self.fields = len(names)
        if self.dim % (2 * self.n_heads):
            raise ValueError(
                f"fcn halves each embedding in each head. Set `dim` to a multiple of 2 * heads = {2 * self.n_heads}. "
                f"Received: {self.dim}"
            )
        self.numbers = NumberVectors(self.dim, self.initializer, self.seed)

    def call(self, x0: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor | TowerOutput:
        first, logits = self._by_head(x0), []
        for (name, layers), head in zip(self.networks.items(), self.heads, strict=True):
            x = first
            for layer in layers:
                x = layer(x if name == "exponential" else first, x, step, training=training)
            logits.append(tf.reduce_mean(tf.squeeze(head(x), axis=2), axis=1))
        logit = tf.add_n(logits) / len(logits)
        if len(logits) == 1 or not self.tri_bce:
            return logit
        return TowerOutput(
            logit, {name: _loss_above(logit, own) for name, own in zip(self.networks, logits, strict=True)}
        )

    def _by_head(self, x0: tf.Tensor) -> tf.Tensor:
        """Return the columns of each head, first halves before second halves, `[batch, heads, width / heads]`."""
        assert self.numbers is not None, "call connect first"
        vectors, numbers = split_x0(x0, self.fields, self.dim)
        if numbers.shape[1] > 0:
            vectors = tf.concat([vectors, self.numbers(numbers)], axis=1)
        count, half = vectors.shape[1], self.dim // self.n_heads // 2
        parts = tf.transpose(tf.reshape(vectors, [-1, count, self.n_heads, 2, half]), [0, 2, 3, 1, 4])
        return tf.reshape(parts, [-1, self.n_heads, count * 2 * half])


def _loss_above(logit: tf.Tensor, own: tf.Tensor) -> BatchLoss:
    """Return the loss L_n max(0, L_n - L) of a network with a logit of its own."""

    def terms(label: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        losses = tf.nn.sigmoid_cross_entropy_with_logits(label, own)
        of_model = tf.nn.sigmoid_cross_entropy_with_logits(label, logit)
        return losses * tf.nn.relu(batch_mean(losses, weight) - batch_mean(of_model, weight))

    return BatchLoss(terms)
