"""CAN (Co-Action Network): an embedding is reshaped into the weights of a small MLP, applied to behavior embeddings."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal, TypeAlias

import tensorflow as tf
import tf_keras

from models.blocks import MAX_LAYERS, check_maximum, check_widths
from models.inputs import Behaviors, Category, Field, Inputs, SequenceInput, Table
from models.tower import Tower

Activation: TypeAlias = Literal["tanh", "selu", "linear"]
MAX_PARAMETERS = 2**20  # each parameter is a column of a table


def micro_mlp_parameters(widths: Sequence[int], bias: bool) -> int:
    """Return the number of parameters of a micro-MLP.

    >>> micro_mlp_parameters((16, 8, 4), bias=False), micro_mlp_parameters((4,) * 9, bias=True)
    (160, 160)
    """
    return sum(fan_in * fan_out + bias * fan_out for fan_in, fan_out in pairwise(widths))


def co_action(
    parameters: tf.Tensor,
    behaviors: Behaviors,
    widths: Sequence[int],
    bias: bool,
    orders: int,
    independent_orders: bool,
    activation: Activation,
) -> tf.Tensor:
    """Apply each example's micro-MLP to the powers 1 to `orders` of its behaviors, and sum over the behaviors.

        h_0 = behavior^order,  h_j = activation(h_{j-1} W_j + b_j), the last without activation

    The output holds all h_j from the first layer on, for every order.

    Args:
        parameters: parameters of the micro-MLP, or of one per order, `[batch, parameters]`: W_1, b_1, W_2, ...; each
            W_j row by row.
        behaviors: behavior embeddings `[batch, length, widths[0]]` and their mask `[batch, length]`.
        widths: widths of the micro-MLP, its input first.
        bias: True if the micro-MLP has biases b_j.
        orders: highest power of the behaviors.
        independent_orders: True if each order has its own micro-MLP.
        activation: activation between the layers.

    Returns:
        Summed outputs, `[batch, orders * sum of widths[1:]]`.
    """
    vectors, mask = behaviors
    activate = tf_keras.activations.get(activation)
    outputs, power, start = [], tf.ones_like(vectors), 0
    for _ in range(orders):
        power, start = power * vectors, start if independent_orders else 0
        h = power
        for layer, (fan_in, fan_out) in enumerate(pairwise(widths)):
            kernel = parameters[:, start : start + fan_in * fan_out]
            h = tf.matmul(h, tf.reshape(kernel, [-1, fan_in, fan_out]))
            start += fan_in * fan_out
            if bias:
                h += parameters[:, None, start : start + fan_out]
                start += fan_out
            if layer < len(widths) - 2:
                h = activate(h)
            outputs.append(h)
    return tf.squeeze(tf.matmul(mask[:, None], tf.concat(outputs, axis=2)), axis=1)


class CAN(Tower):
    """Co-Action Network (Zhou et al. 2022, arXiv 2011.05625) on top of another tower.

    Each pair consists of a category (the paper's item) and a behavior sequence or second category (the paper's user
    behaviors). The category's embedding holds the parameters of a micro-MLP, and each behavior's embedding is its
    input. The results of `co_action` are concatenated to x_0, the input of the base tower. Any other tower can be the
    base: the paper uses DIEN, its public code a plain MLP.

    Args:
        base: tower whose input is x_0 with the co-actions appended.
        pairs: pairs of a categorical feature and a sequence or second categorical feature, at least one. Each pair
            widens the input of `base`.
        micro_mlp: widths of the micro-MLP, its input first. [16, 8, 4] is the public code's, nine 4s the
            paper's. Larger widths make the tables of its parameters wider.
        bias: True gives the layers of the micro-MLP biases.
        orders: highest power of the behavior embeddings, at least 1. A larger value adds higher-order terms and output
            width.
        activation: activation between the layers of the micro-MLP: `tanh`, `selu` or `linear`.
        independent_parameters: True creates separate tables, `can/<pair>/item` and `can/<pair>/user`. False uses the
            features' own tables, whose widths must equal the number of parameters and the input width of the micro-MLP;
            `independent_combinations` and `stddev` then have no effect.
        independent_combinations: True creates separate tables for each pair; False one per feature,
            `can/<feature>/item` or `can/<feature>/user`.
        independent_orders: True gives each order its own micro-MLP, which multiplies the width of the `item` tables by
            `orders`.
        stddev: standard deviation of the initial values of the separate tables; None: the model's.

    Call: x_0 `[batch, width]`, step (scalar, for dropout), for each pair the branches `can/<pair>/item` `[batch,
    parameters]` and `can/<pair>/user` (`Behaviors`, or `[batch, dim]` of a category), and the branches of the base ->
    logit `[batch]`.
    """

    def __init__(
        self,
        base: Tower,
        pairs: tuple[tuple[str, str], ...],
        micro_mlp: tuple[int, ...] = (16, 8, 4),
        bias: bool = True,
        orders: int = 2,
        activation: Activation = "tanh",
        independent_parameters: bool = True,
        independent_combinations: bool = True,
        independent_orders: bool = False,
        stddev: float | None = None,
    ) -> None:
        super().__init__(name="can")
        names = [f"{item}_x_{user}" for item, user in pairs]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"pairs must be one or more pairs with distinct names. Received: {names}")
        if len(micro_mlp) < 2 or min(micro_mlp) < 1:
            raise ValueError(
                f"micro_mlp must be the widths of the input and of one or more layers, such as [16, 8, 4]. "
                f"Received: {list(micro_mlp)}"
            )
        check_widths("micro_mlp", micro_mlp)
        if orders < 1:
            raise ValueError(f"orders must be at least 1. Received: {orders}")
        check_maximum(MAX_LAYERS, orders=orders)
        if stddev is not None and stddev < 0:
            raise ValueError(f"stddev must be at least 0. Received: {stddev}")
        self.base, self._pairs, self._micro_mlp, self._stddev = base, tuple(pairs), tuple(micro_mlp), stddev
        self.bias, self.orders, self.activation, self.independent_orders = bias, orders, activation, independent_orders
        self.independent_parameters, self.independent_combinations = independent_parameters, independent_combinations

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Blocks of the base, because CAN's own weights are all in tables."""
        return self.base.blocks

    @property
    def logit_biases(self) -> list[tf.Variable]:
        """Biases of the base's logit."""
        return self.base.logit_biases

    def extend(self, inputs: Inputs) -> Inputs:
        """Return the base's inputs with the tables and fields of the pairs."""
        inputs = self.base.extend(inputs)
        sets = self.orders if self.independent_orders else 1
        parameters = sets * micro_mlp_parameters(self._micro_mlp, self.bias)
        if parameters > MAX_PARAMETERS:
            raise ValueError(f"micro_mlp must have at most {MAX_PARAMETERS} parameters. Received: {parameters}")
        tables: dict[str, Table] = {}
        fields: list[Field] = []
        for item, user in self._pairs:
            sides = {
                "item": (inputs.category(item, "pairs"), parameters),
                "user": (inputs.category_or_sequence(user, "pairs"), self._micro_mlp[0]),
            }
            for side, (feature, dim) in sides.items():
                branch = f"can/{item}_x_{user}/{side}"
                table = self._table(feature, side, branch, dim, inputs)
                tables[table.name] = table
                fields.append(
                    Field(
                        branch,
                        table.name,
                        column=feature.column if isinstance(feature, Category) else None,
                        sequence=feature.name if isinstance(feature, SequenceInput) else None,
                        branch=branch,
                    )
                )
        new_tables = [table for table in tables.values() if table not in inputs.tables]
        return replace(inputs, tables=(*inputs.tables, *new_tables), fields=(*inputs.fields, *fields))

    def connect(self, inputs: Inputs) -> None:
        """Connect the base."""
        self.base.connect(inputs)

    def _table(self, feature: Category | SequenceInput, side: str, branch: str, dim: int, inputs: Inputs) -> Table:
        """Return the table of one side of a pair."""
        if self.independent_parameters:
            name = branch if self.independent_combinations else f"can/{feature.name}/{side}"
            return Table(name, feature.rows, dim, self._stddev)
        table = None if feature.table is None else inputs.table(feature.table)
        if table is None or table.dim != dim:
            raise ValueError(
                f"pairs: without independent_parameters, {feature.name!r} must have dim {dim}. "
                f"Received: {None if table is None else table.dim}"
            )
        return table

    def call(
        self, x0: tf.Tensor, step: tf.Tensor, training: bool = False, **branches: tf.Tensor | Behaviors
    ) -> tf.Tensor:
        co_actions = []
        for item, user in self._pairs:
            parameters, behaviors = (branches.pop(f"can/{item}_x_{user}/{side}") for side in ("item", "user"))
            if not isinstance(behaviors, Behaviors):
                behaviors = Behaviors(behaviors[:, None], tf.ones_like(behaviors[:, :1]))
            parameters, *behaviors = (tf.cast(tensor, x0.dtype) for tensor in (parameters, *behaviors))
            co_actions.append(
                co_action(
                    parameters,
                    Behaviors(*behaviors),
                    self._micro_mlp,
                    self.bias,
                    self.orders,
                    self.independent_orders,
                    self.activation,
                )
            )
        return self.base(tf.concat([x0, *co_actions], axis=1), step, training=training, **branches)
