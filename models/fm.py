"""FM: factorization machine, the first-order terms and the dot products of all pairs of fields."""

import tensorflow as tf
import tf_keras

from models.inputs import Inputs
from models.recording import Recorded
from models.tower import Tower
from models.wide import FIRST_ORDER_OPTIMIZERS, FirstOrder, weighted_features, with_wide_weights


class PairSum(Recorded):
    """Sum of the dot products of all pairs of vectors, in float32 even under mixed precision.

        output = sum over i < j of <v_i, v_j> = 1/2 sum over dimensions of ((sum of v_i)^2 - sum of v_i^2)

    The right side costs O(n k) for n vectors of width k. Its difference of large numbers needs float32.

    Args:
        name: name of the layer.

    Call: v `[batch, n, k]` -> `[batch]`.
    """

    def __init__(self, name: str = "pairs") -> None:
        super().__init__(name=name, dtype="float32")

    def call(self, v: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(tf.square(tf.reduce_sum(v, axis=1)) - tf.reduce_sum(tf.square(v), axis=1), axis=1) / 2


class FM(Tower):
    """Factorization machine (Rendle 2010, Factorization machines, equation 1).

        logit = bias + sum of wide weights + sum over plain numbers of weight * number + sum over i < j of <v_i, v_j>

    v are the embeddings of the fields of x_0, which must all have one width. The first-order terms are those of
    `linear`. Plain numbers have no embeddings, so they are in no pair. A sequence is one field: its pooled embedding.

    Args:
        initializer: not used: the weights outside the tables start at zero.
        seed: not used: the weights outside the tables start at zero.

    Call: x_0 `[batch, width]`, step (not used), wide `[batch, features]` -> logit `[batch]`; after `connect`.
    """

    has_wide_weights = True
    has_first_order = True
    default_optimizers = FIRST_ORDER_OPTIMIZERS

    def __init__(self, initializer: str = "zeros", seed: int = 0) -> None:
        super().__init__(name="fm")
        self.pairs = PairSum()
        self.head = FirstOrder("head")

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers."""
        return {"pairs": [self.pairs], "head": [self.head]}

    def extend(self, inputs: Inputs) -> Inputs:
        """Return the inputs with wide weights of all features."""
        return with_wide_weights(inputs, weighted_features(inputs))

    def connect(self, inputs: Inputs) -> None:
        """Remember the shape of the embeddings at the start of x_0.

        Raises:
            ValueError: the embeddings differ in width or are fewer than two.
        """
        names, self.width = inputs.fields_of_one_width("fm")
        self.fields = len(names)

    def call(self, x0: tf.Tensor, step: tf.Tensor, wide: tf.Tensor, training: bool = False) -> tf.Tensor:
        vectors, numbers = split_x0(x0, self.fields, self.width)
        return self.head(numbers, wide) + self.pairs(vectors)


def split_x0(x0: tf.Tensor, fields: int, width: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the embeddings at the start of x_0, `[batch, fields, width]`, and the numbers behind, `[batch, n]`."""
    return tf.reshape(x0[:, : fields * width], [-1, fields, width]), x0[:, fields * width :]
