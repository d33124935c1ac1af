"""DLRM: dot products of all pairs of fields, with the plain numbers as one more field, below an MLP."""

from typing import Literal, TypeAlias, get_args

import numpy as np
import tensorflow as tf
import tf_keras

from models.blocks import MLP, BatchNorm, check_widths, logit_head
from models.fm import split_x0
from models.inputs import Inputs
from models.recording import Dense, Recorded
from models.seeds import PathInitializer
from models.tower import Tower

Interaction: TypeAlias = Literal["dot", "cat"]


class PairDots(Recorded):
    """Dot products <v_i, v_j> of all pairs i < j of vectors, in the order of i, then of j.

    Args:
        name: name of the layer.

    Call: v `[batch, n, k]` -> `[batch, n (n - 1) / 2]`.
    """

    def __init__(self, name: str = "pairs") -> None:
        super().__init__(name=name)

    def call(self, v: tf.Tensor) -> tf.Tensor:
        count = v.shape[1]
        left, right = np.triu_indices(count, k=1)
        dots = tf.reshape(tf.matmul(v, v, transpose_b=True), [-1, count * count])
        return tf.gather(dots, left * count + right, axis=1)


class DLRM(Tower):
    """Deep Learning Recommendation Model (Naumov et al. 2019, arXiv 1906.00091).

        b = relu(W bottom(numbers)), a vector of the width of the embeddings
        dot  logit = head(deep([b, <v_i, v_j> for all pairs i < j of embeddings and b]))
        cat  logit = head(deep([v_1, ..., v_n, b]))

    v are the embeddings of the fields of x_0, which must all have one width. `bottom` is an MLP, and `numbers` are the
    rest of x_0: the plain numbers, below `can` its co-actions too. Without plain numbers, b is left out, and `cat` is
    the same model as `dnn`. The best DLRM of the public benchmark BARS on Frappe is such a `cat`.

    Args:
        interaction: input of the MLP `deep`: `dot`, the dot products of all pairs, or `cat`, the vectors themselves.
        bottom_hidden: widths of the layers of the MLP `bottom` before b, first to last; without plain numbers, it has
            no effect.
        hidden: widths of the layers of the MLP `deep`, first to last. More or wider layers fit more and cost more.
        batch_norm: True adds batch normalization before each activation of both MLPs, except for b; a `BatchNorm`, such
            as `{epsilon: 1.0e-5}`, sets its numbers.
        dropout: fraction of the activations of the MLP `deep` set to zero in training, 0 to below 1. A larger value
            regularizes more; 0 turns it off.
        initializer: Keras name of the initializer of the kernels, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment, from which initial weights and dropout are derived.

    Call: x_0 `[batch, width]`, step (scalar, for dropout) -> logit `[batch]`; after `connect`.
    """

    def __init__(
        self,
        interaction: Interaction = "dot",
        bottom_hidden: tuple[int, ...] = (64,),
        hidden: tuple[int, ...] = (400, 400, 400),
        batch_norm: bool | BatchNorm = True,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(name="dlrm")
        if interaction not in get_args(Interaction):
            known = ", ".join(get_args(Interaction))
            raise ValueError(f"interaction must be one of {known}. Received: {interaction!r}")
        check_widths("bottom_hidden", bottom_hidden)
        self.pairs = PairDots() if interaction == "dot" else None
        self.bottom = MLP(bottom_hidden, batch_norm, 0.0, initializer, seed, "bottom")
        self.bottom_output: Dense | None = None
        self.deep = MLP(hidden, batch_norm, dropout, initializer, seed, "deep")
        self.head = logit_head(initializer, seed)
        self.initializer, self.seed = initializer, seed

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers; `bottom` does not have weights without plain numbers, and `pairs` never."""
        bottom = [self.bottom, *([] if self.bottom_output is None else [self.bottom_output])]
        pairs = {} if self.pairs is None else {"pairs": [self.pairs]}
        return {"bottom": bottom, **pairs, "deep": [self.deep], "head": [self.head]}

    def connect(self, inputs: Inputs) -> None:
        """Create the layer of b, which is as wide as the embeddings at the start of x_0.

        Raises:
            ValueError: the embeddings differ in width or are fewer than two.
        """
        names, self.width = inputs.fields_of_one_width("dlrm")
        self.fields = len(names)
        kernel = PathInitializer(self.initializer, self.seed, "bottom/output")
        self.bottom_output = Dense(self.width, activation="relu", kernel_initializer=kernel, name="bottom_output")

    def call(self, x0: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        assert self.bottom_output is not None, "call connect first"
        vectors, numbers = split_x0(x0, self.fields, self.width)
        parts: list[tf.Tensor] = []
        if numbers.shape[1] > 0:
            parts = [self.bottom_output(self.bottom(numbers, step, training=training))]
            vectors = tf.concat([vectors, parts[0][:, None]], axis=1)
        if self.pairs is not None:
            x = tf.concat([*parts, self.pairs(vectors)], axis=1)
        else:
            x = tf.reshape(vectors, [-1, vectors.shape[1] * self.width])
        return tf.squeeze(self.head(self.deep(x, step, training=training)), axis=1)
