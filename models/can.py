"""CAN: what a category does to a behavior is a small network whose weights are the category's row of a table."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal, TypeAlias

import tensorflow as tf
import tf_keras

from models.blocks import MAX_LAYERS, check_most, check_widths
from models.inputs import Behaviors, Category, Field, Inputs, SequenceInput, Table
from models.tower import Tower

Activation: TypeAlias = Literal["tanh", "selu", "linear"]
MAX_PARAMETERS = 2**20  # each is a column of a table


def micro_mlp_parameters(widths: Sequence[int], bias: bool) -> int:
    """Numbers that a micro-MLP consists of.

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
    """The co-action unit: a row's micro-MLP on each power 1 to `orders` of each behavior, summed over behaviors.

        h_0 = behavior^order,  h_j = activation(h_{j-1} W_j + b_j), the last without activation

    All h_j from the first layer on are kept, of every order.

    Args:
        parameters: [batch, numbers of a micro-MLP, or so many for each order]: W_1, b_1, W_2, ...; W_j row by row.
        behaviors: vectors [batch, length, widths[0]], mask [batch, length].
        widths: of the micro-MLP, its input first.
        bias: whether there are b_j.
        orders: the highest power.
        independent_orders: whether each order has a micro-MLP of its own.
        activation: between the layers.

    Returns:
        [batch, orders * sum of widths[1:]]
    """
    vectors, mask = behaviors
    activate = tf_keras.activations.get(activation)
    kept, power, start = [], tf.ones_like(vectors), 0
    for _ in range(orders):
        power, start = power * vectors, start if independent_orders else 0
        h = power
        for place, (fan_in, fan_out) in enumerate(pairwise(widths)):
            kernel = parameters[:, start : start + fan_in * fan_out]
            h = tf.matmul(h, tf.reshape(kernel, [-1, fan_in, fan_out]))
            start += fan_in * fan_out
            if bias:
                h += parameters[:, None, start : start + fan_out]
                start += fan_out
            if place < len(widths) - 2:
                h = activate(h)
            kept.append(h)
    return tf.squeeze(tf.matmul(mask[:, None], tf.concat(kept, axis=2)), axis=1)


class CAN(Tower):
    """Co-Action Network (Zhou et al. 2022, arXiv 2011.05625) on top of another tower.

    For each pair of a category (the paper's item) and a history or second category (its user behaviors), the category
    has the parameters of a micro-MLP and each behavior its input; `co_action` of them is put beside x_0, which the base
    takes. The base may be any other tower: the paper's is DIEN, its public code's a plain MLP.

    Args:
        base: the tower on [x_0, co-actions].
        pairs: (category, history or category), one or more.
        micro_mlp: widths of the micro-MLP, its input first; (16, 8, 4) is the public code's, (4,) * 9 the paper's.
        bias: of the micro-MLP.
        orders: powers of the behaviors, from 1.
        activation: between the layers of the micro-MLP: `tanh`, `selu` or `linear`.
        independent_parameters: tables of their own, `can/<pair>/item` and `can/<pair>/user`; else the features' own
            tables serve, whose widths must be those of the micro-MLP's parameters and input, and the next setting and
            `stddev` have no effect.
        independent_combinations: tables for each pair; else one for each feature, `can/<feature>/item` or `.../user`.
        independent_orders: a micro-MLP for each order.
        stddev: of the start of these tables; None: the model's.

    Call: x_0 [batch, width], step (scalar, for dropout), for each pair the branches `can/<pair>/item`
    [batch, parameters] and `can/<pair>/user` (`Behaviors`, or [batch, dim] of a category), and the base's branches
    -> logit [batch].
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
            raise ValueError(f"pairs must be one or more, each of its own name. Received: {names}")
        if len(micro_mlp) < 2 or min(micro_mlp) < 1:
            raise ValueError(
                f"micro_mlp must be the width of the input and of one or more layers, such as [16, 8, 4]. "
                f"Received: {list(micro_mlp)}"
            )
        check_widths("micro_mlp", micro_mlp)
        if orders < 1:
            raise ValueError(f"orders must be at least 1. Received: {orders}")
        check_most(MAX_LAYERS, orders=orders)
        if stddev is not None and stddev < 0:
            raise ValueError(f"stddev must be at least 0. Received: {stddev}")
        self.base, self._pairs, self._micro_mlp, self._stddev = base, tuple(pairs), tuple(micro_mlp), stddev
        self.bias, self.orders, self.activation, self.independent_orders = bias, orders, activation, independent_orders
        self.independent_parameters, self.independent_combinations = independent_parameters, independent_combinations

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Those of the base: all that CAN has of its own is in tables."""
        return self.base.blocks

    def extend(self, inputs: Inputs) -> Inputs:
        """The base's inputs with the tables and fields of the pairs."""
        inputs = self.base.extend(inputs)
        sets = self.orders if self.independent_orders else 1
        parameters = sets * micro_mlp_parameters(self._micro_mlp, self.bias)
        if parameters > MAX_PARAMETERS:
            raise ValueError(f"micro_mlp must have at most {MAX_PARAMETERS} numbers. Received: {parameters}")
        tables: dict[str, Table] = {}
        fields: list[Field] = []
        for item, user in self._pairs:
            sides = {
                "item": (inputs.category(item, "pairs"), parameters),
                "user": (inputs.category_or_history(user, "pairs"), self._micro_mlp[0]),
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
        own = [table for table in tables.values() if table not in inputs.tables]
        return replace(inputs, tables=(*inputs.tables, *own), fields=(*inputs.fields, *fields))

    def connect(self, inputs: Inputs) -> None:
        """Connect the base."""
        self.base.connect(inputs)

    def _table(self, feature: Category | SequenceInput, side: str, branch: str, dim: int, inputs: Inputs) -> Table:
        """The table of one side of a pair."""
        if self.independent_parameters:
            name = branch if self.independent_combinations else f"can/{feature.name}/{side}"
            return Table(name, feature.rows, dim, self._stddev)
        own = None if feature.table is None else inputs.table(feature.table)
        if own is None or own.dim != dim:
            raise ValueError(
                f"pairs: without independent_parameters the vectors of {feature.name!r} must be {dim} wide. "
                f"Received: {None if own is None else own.dim}"
            )
        return own

    def call(
        self, x0: tf.Tensor, step: tf.Tensor, training: bool = False, **branches: tf.Tensor | Behaviors
    ) -> tf.Tensor:
        co_actions = []
        for item, user in self._pairs:
            parameters, behaviors = (branches.pop(f"can/{item}_x_{user}/{side}") for side in ("item", "user"))
            if not isinstance(behaviors, Behaviors):
                behaviors = Behaviors(behaviors[:, None], tf.ones_like(behaviors[:, :1]))
            parameters, *behaviors = (tf.cast(one, x0.dtype) for one in (parameters, *behaviors))
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
