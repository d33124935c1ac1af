"""Linear: logistic regression on the values of all features and crosses."""

from dataclasses import replace

import tensorflow as tf
import tf_keras

from models.inputs import Inputs
from models.tower import Tower
from models.wide import FIRST_ORDER_OPTIMIZERS, FirstOrder, weighted_features, with_wide_weights


class Linear(Tower):
    """Logistic regression on all features and crosses.

        logit = bias + sum of wide weights + sum over plain numbers of weight * number

    Each feature has one wide weight per value, in a table `wide/<feature>` of width 1. A number `as: embedding`
    multiplies its weight, and a sequence pools the weights of its values by its own `pooling`. A cross of a sequence
    adds the weights of all its pairs. There are no embeddings. All weights start at zero. With FTRL on the tables, this
    is the model of McMahan et al. 2013 (Ad click prediction: a view from the trenches).

    Args:
        initializer: not used: all weights start at zero.
        seed: not used: all weights start at zero.

    Call: numbers `[batch, n]` with n from 0, step (not used), wide `[batch, features]` or None -> logit `[batch]`.
    """

    has_wide_weights = True
    has_first_order = True
    default_optimizers = FIRST_ORDER_OPTIMIZERS

    def __init__(self, initializer: str = "zeros", seed: int = 0) -> None:
        super().__init__(name="linear")
        self.head = FirstOrder("head")

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers."""
        return {"head": [self.head]}

    def extend(self, inputs: Inputs) -> Inputs:
        """Return the inputs with wide weights in place of the embeddings of x_0."""
        inputs = with_wide_weights(inputs, weighted_features(inputs))
        return replace(inputs, fields=tuple(field for field in inputs.fields if field.branch != "deep"))

    def call(self, x0: tf.Tensor, step: tf.Tensor, training: bool = False, wide: tf.Tensor | None = None) -> tf.Tensor:
        return self.head(x0, wide)
