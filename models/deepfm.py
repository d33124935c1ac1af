"""DeepFM: a factorization machine and an MLP on the same embeddings."""

import tensorflow as tf
import tf_keras

from models.blocks import MLP, BatchNorm, logit_head
from models.fm import PairSum, split_x0
from models.inputs import Inputs
from models.tower import Tower
from models.wide import FIRST_ORDER_OPTIMIZERS, FirstOrder, weighted_features, with_wide_weights


class DeepFM(Tower):
    """DeepFM (Guo et al. 2017, arXiv 1703.04247, equations 1 to 4).

        logit = first_order + pairs + head(deep(x_0)),    head with a bias

        first_order = sum of wide weights + sum over plain numbers of weight * number
        pairs = sum over i < j of <v_i, v_j>

    v are the embeddings of the fields of x_0, which must all have one width: the MLP `deep` and the pairs share one
    table per feature. `fm` is the same model without the MLP. Batch normalization and dropout are in the MLP only.

    Args:
        hidden: widths of the layers of the MLP `deep`, first to last. More or wider layers fit more and cost more.
        batch_norm: True adds batch normalization before each activation of the MLP, a `BatchNorm` with its settings.
        dropout: fraction of the MLP's activations set to zero in training, 0 to below 1. A larger value regularizes
            more; 0 turns it off.
        initializer: Keras name of the initializer of the kernels, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment, from which initial weights and dropout are derived.

    Call: x_0 `[batch, width]`, step (scalar, for dropout), wide `[batch, features]` -> logit `[batch]`; after
    `connect`.
    """

    has_wide_weights = True
    has_first_order = True
    default_optimizers = FIRST_ORDER_OPTIMIZERS

    def __init__(
        self,
        hidden: tuple[int, ...] = (400, 400, 400),
        batch_norm: bool | BatchNorm = True,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(name="deepfm")
        if not hidden:
            raise ValueError("hidden must be one or more widths. Received: []")
        self.first_order = FirstOrder("first_order", use_bias=False)
        self.pairs = PairSum()
        self.deep = MLP(hidden, batch_norm, dropout, initializer, seed, "deep")
        self.head = logit_head(initializer, seed)

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers."""
        return {"first_order": [self.first_order], "pairs": [self.pairs], "deep": [self.deep], "head": [self.head]}

    def extend(self, inputs: Inputs) -> Inputs:
        """Return the inputs with wide weights of all features."""
        return with_wide_weights(inputs, weighted_features(inputs))

    def connect(self, inputs: Inputs) -> None:
        """Remember the shape of the embeddings at the start of x_0.

        Raises:
            ValueError: the embeddings differ in width or are fewer than two.
        """
        names, self.width = inputs.fields_of_one_width("deepfm")
        self.fields = len(names)

    def call(self, x0: tf.Tensor, step: tf.Tensor, wide: tf.Tensor, training: bool = False) -> tf.Tensor:
        vectors, numbers = split_x0(x0, self.fields, self.width)
        deep = tf.squeeze(self.head(self.deep(x0, step, training=training)), axis=1)
        return self.first_order(numbers, wide) + self.pairs(vectors) + deep
