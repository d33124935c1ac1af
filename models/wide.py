"""Wide weights, one per value of a feature, in tables `wide/<feature>` of width 1; the first-order terms of a logit."""

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import tensorflow as tf

from models.inputs import Field, Inputs, Table
from models.recording import Recorded

WIDE_OPTIMIZERS = MappingProxyType({"wide/*": {"type": "ftrl", "learning_rate": 0.1, "l1": 0.001}})
"""Default optimizer of the tables of wide weights that accompany an MLP."""
FIRST_ORDER_OPTIMIZERS = MappingProxyType(
    {"wide/*": {"type": "ftrl", "learning_rate": 0.1, "beta": 0.001, "l1": 0.0001}}
)
"""Default optimizer of the tables of wide weights of all features. The loss is a mean over the batch, so the gradients
of rare values are small: with a beta of 1, they would take many epochs to learn."""


class Weighted(NamedTuple):
    """A field whose ids have wide weights."""

    field: Field
    """Field, whose name is that of its feature."""
    rows: int
    """Number of ids."""


def weighted_categories(inputs: Inputs) -> list[Weighted]:
    """Return each category and each cross of a sequence; the weights of a cross's pairs are summed."""
    categories = [Weighted(Field(c.name, c.name, column=c.column), c.rows) for c in inputs.categories]
    crosses = [
        Weighted(Field(s.name, s.name, sequence=s.name, pooling="sum"), s.rows) for s in inputs.sequences if s.crossed
    ]
    return categories + crosses


def weighted_features(inputs: Inputs) -> list[Weighted]:
    """Return each field of x_0, with its scale or pooling, then each category and cross that has no such field.

    A sequence whose values x_0 does not pool has no weights. The weights of a cross of a sequence are always summed.
    """
    of_crosses = {weighted.field.name: weighted for weighted in weighted_categories(inputs)}
    fields = [Weighted(field, inputs.table(field.table).rows) for field in inputs.fields if field.branch == "deep"]
    of_x0 = {weighted.field.name: weighted for weighted in fields}
    return list({**of_x0, **of_crosses}.values())


def with_wide_weights(inputs: Inputs, weighted: Iterable[Weighted]) -> Inputs:
    """Return the inputs with a table `wide/<name>` and a field of the branch `wide` for each of `weighted`.

    Features that share an embedding table have separate wide weights.

    Raises:
        ValueError: a table has such a name already.
    """
    names = {f"wide/{field.name}": (field, rows) for field, rows in weighted}
    tables = [Table(name, rows, 1, stddev=0.0) for name, (_, rows) in names.items()]
    fields = [replace(field, name=name, table=name, branch="wide") for name, (field, _) in names.items()]
    return replace(inputs, tables=(*inputs.tables, *tables), fields=(*inputs.fields, *fields))


class FirstOrder(Recorded):
    """First-order terms of a logit, in float32 even under mixed precision.

        output = bias + sum of wide weights + sum over numbers of weight * number

    All weights start at zero: the loss is convex in them, so they need no random start.

    Args:
        name: name of the layer.
        use_bias: False leaves the bias out.

    Call: numbers `[batch, n]` with n from 0, wide weights `[batch, features]` or None -> `[batch]`.
    """

    def __init__(self, name: str, use_bias: bool = True) -> None:
        super().__init__(name=name, dtype="float32")
        self.use_bias = use_bias
        self.kernel: tf.Variable | None = None
        self.bias: tf.Variable | None = None

    def build(self, input_shape: tf.TensorShape) -> None:
        if input_shape[-1] > 0:  # an empty kernel would have no norm and no mean for an optimizer
            self.kernel = self.add_weight(name="kernel", shape=[input_shape[-1], 1], initializer="zeros")
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=[1], initializer="zeros")
        super().build(input_shape)

    def call(self, numbers: tf.Tensor, wide: tf.Tensor | None = None) -> tf.Tensor:
        total = tf.zeros(tf.shape(numbers)[:1]) if wide is None else tf.reduce_sum(wide, axis=1)
        if self.kernel is not None:
            total += tf.squeeze(tf.matmul(numbers, self.kernel), axis=1)
        return total if self.bias is None else total + self.bias
