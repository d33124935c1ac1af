"""Router: one Keras optimizer that combines several, each for the tables and towers that its pattern matches."""

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import tensorflow as tf
import tf_keras

from optimizers.base import RowOptimizer
from optimizers.checks import is_schedule, refuse_clipping
from optimizers.deduplicate import deduplicate
from optimizers.row_store import RowStore
from optimizers.schedules import Adjustable
from optimizers.states import States, build_and_record_states

Optimizer: TypeAlias = tf_keras.optimizers.Optimizer


class PatternError(ValueError):
    """Error in optimizer patterns: no match for a pattern or a name, an ambiguous name, or an unsuitable optimizer."""


def resolve(patterns: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Map each name to its glob pattern: the name itself, else the longest pattern that matches, else `*`.

    Raises:
        PatternError: two longest patterns match a name, no pattern does, or a pattern other than `*` matches no name.

    >>> resolve(["*", "wide/*", "user"], ["user", "item", "wide/user"])
    {'user': 'user', 'item': '*', 'wide/user': 'wide/*'}
    """
    patterns, names = list(patterns), list(names)
    for pattern in patterns:
        matches = pattern in ("*", *names) or any(fnmatch.fnmatchcase(name, pattern) for name in names)
        if not matches:
            raise PatternError(f"pattern {pattern!r} matches no name. Use one of: {', '.join(names)}")
    return {name: _matching_pattern(patterns, name) for name in names}


def _matching_pattern(patterns: list[str], name: str) -> str:
    if name in patterns:
        return name
    matching = sorted((p for p in patterns if p != "*" and fnmatch.fnmatchcase(name, p)), key=len, reverse=True)
    if not matching and "*" in patterns:
        return "*"
    if not matching:
        raise PatternError(
            f"no pattern matches {name!r}. Add {name!r} or '*'. Received: {', '.join(patterns) or 'no pattern'}"
        )
    if len(matching) > 1 and len(matching[0]) == len(matching[1]):
        raise PatternError(
            f"{name!r} is matched by two patterns of equal length, {matching[0]!r} and {matching[1]!r}. "
            f"Add the pattern {name!r}."
        )
    return matching[0]


@dataclass(frozen=True)
class Owned:
    """Variable of the model and the optimizer that updates it; variables of one optimizer have distinct names."""

    kind: str
    """`table` or `tower`."""
    names: tuple[str, ...]
    """Names of the tables in the variable, or of its tower."""
    pattern: str
    """Pattern that assigns the optimizer."""
    optimizer: str
    """Keras name of the optimizer."""
    shape: tuple[int, ...]
    """Shape of the variable."""
    state_bytes: int
    """Size of the optimizer state of the variable, in bytes."""


@tf_keras.utils.register_keras_serializable("ctr")
class Router(tf_keras.optimizers.Optimizer):
    """Keras optimizer that passes each gradient to the optimizer of its table or tower.

    Sparse gradients are deduplicated once, then all gradients are clipped together, then each optimizer updates its
    variables. All optimizers share one step counter.

    Args:
        sparse: pattern of table names -> `RowOptimizer`.
        dense: pattern of tower names -> Keras optimizer.
        variables: kind and names of each trainable variable of the model, in order: `("table", names of its tables)` or
            `("tower", [name of its tower])`, as `CTRModel.logical_variables` returns them.
        clip_norm: upper bound on the global norm of all gradients; None: no bound. A smaller value clips more.
        name: Keras name of the optimizer.

    Raises:
        PatternError: patterns do not resolve (see `resolve`), a stock optimizer is on a table, or tables that share a
            variable have different optimizers.
        ValueError: an optimizer clips gradients by itself.

    >>> from optimizers import RMSPropV2
    >>> table, kernel = tf.Variable([[1.0], [1.0]]), tf.Variable([[1.0]])
    >>> sparse, dense = {"*": RMSPropV2(0.1)}, {"*": tf_keras.optimizers.SGD(0.5)}
    >>> router = Router(sparse, dense, [("table", ["user"]), ("tower", ["deep"])])
    >>> gradient = tf.IndexedSlices(tf.constant([[0.5]]), tf.constant([1]), tf.constant([2, 1]))
    >>> _ = router.apply_gradients([(gradient, table), (tf.constant([[1.0]]), kernel)])
    >>> print(table.numpy().ravel(), kernel.numpy().ravel())
    [1.  0.9] [0.5]
    >>> {pattern: round(rate, 3) for pattern, rate in router.learning_rates.items()}
    {'table *': 0.1, 'tower *': 0.5}
    """

    def __init__(
        self,
        sparse: Mapping[str, RowOptimizer],
        dense: Mapping[str, Optimizer],
        variables: Sequence[tuple[str, Sequence[str]]],
        clip_norm: float | None = None,
        name: str = "router",
    ) -> None:
        super().__init__(name=name, weight_decay=None, jit_compile=False)
        for pattern, optimizer in sparse.items():
            if not isinstance(optimizer, RowOptimizer):
                raise PatternError(
                    f"{type(optimizer).__name__} would update every row of the tables {pattern!r} at each step. "
                    f"Use a sparse optimizer for tables, such as RMSPropV2."
                )
        if len({id(optimizer) for optimizer in [*sparse.values(), *dense.values()]}) < len(sparse) + len(dense):
            raise PatternError("two patterns share one optimizer object. Create a separate optimizer for each.")
        for optimizer in [*sparse.values(), *dense.values()]:
            refuse_clipping(optimizer, "a router, which clips by `clip_norm`")
        self._learning_rate = None
        self.clip_norm = clip_norm
        self._variables_spec = self._no_dependency([(kind, list(names)) for kind, names in variables])
        self._patterns = self._no_dependency([("table", p) for p in sparse] + [("tower", p) for p in dense])
        self._optimizers = [*sparse.values(), *dense.values()]
        self._own_steps = self._no_dependency([optimizer.iterations for optimizer in self._optimizers])
        for optimizer in self._optimizers:
            optimizer.iterations = self.iterations  # before `build`, because rates are computed earlier
        rates = [optimizer._learning_rate for optimizer in self._optimizers]
        self._adjusted = [(rate.factor, rate.start) for rate in rates if isinstance(rate, Adjustable)]  # in checkpoints
        pattern_of = {
            kind: resolve(patterns, dict.fromkeys(name for k, names in variables if k == kind for name in names))
            for kind, patterns in (("table", sparse), ("tower", dense))
        }
        self._variable_patterns = self._no_dependency(
            [_shared_pattern(names, pattern_of[kind]) for kind, names in variables]
        )

    def exclude_from_weight_decay(self, *args: Any, **kwargs: Any) -> None:
        """Raise AttributeError, because weight decay belongs to each optimizer."""
        raise AttributeError(
            "a router does not decay weights. Call exclude_from_weight_decay of its optimizers before you create it."
        )

    @property
    def learning_rates(self) -> dict[str, float]:
        """`table <pattern>` or `tower <pattern>` -> current learning rate."""
        pairs = zip(self._patterns, self._optimizers, strict=True)
        # shortest decimal of a float32: 0.1, not 0.10000000149
        return {
            f"{kind} {pattern}": float(str(optimizer.learning_rate.numpy())) for (kind, pattern), optimizer in pairs
        }

    @property
    def learning_rate(self) -> float:
        """Raise AttributeError, because each optimizer has its own learning rate; see `learning_rates`."""
        raise AttributeError("a router has one learning rate per optimizer. Use `learning_rates`.")

    def scale_learning_rates(self, factor: float) -> None:
        """Multiply every learning rate by `factor`, those of schedules from the current step on.

        Raises:
            ValueError: a schedule is not `Adjustable`.
        """
        for optimizer in self._optimizers:
            rate = optimizer._learning_rate
            if isinstance(rate, Adjustable):
                rate.factor.assign(rate.factor * factor)
            elif is_schedule(rate):
                raise ValueError(f"{optimizer.name}: cannot scale {type(rate).__name__}. Wrap it in Adjustable.")
            else:
                optimizer.learning_rate = optimizer.learning_rate * factor

    def restart_schedules(self) -> None:
        """Restart learning-rate schedules at the current step.

        Raises:
            ValueError: a schedule is not `Adjustable`.
        """
        for optimizer in self._optimizers:
            rate = optimizer._learning_rate
            if isinstance(rate, Adjustable):
                rate.start.assign(self.iterations)
            elif is_schedule(rate):
                raise ValueError(f"{optimizer.name}: cannot restart {type(rate).__name__}. Wrap it in Adjustable.")

    def optimizer_of(self, variable: tf.Variable) -> Optimizer:
        """Return the optimizer that updates a variable."""
        return self._optimizers[self._owners[self._index_dict[self._var_key(variable)]]]

    def state_of(self, variable: tf.Variable) -> States:
        """Return the optimizer state of a variable, by name, such as `accumulator`."""
        return self._states[self._var_key(variable)]

    def store_of(self, variable: tf.Variable) -> RowStore:
        """Return the row store of a table variable: weights and state."""
        return self.optimizer_of(variable).store_of(variable)

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Build each optimizer with its variables.

        Raises:
            ValueError: the number of variables differs from the constructor's `variables`.
        """
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        if len(var_list) != len(self._variables_spec):
            raise ValueError(
                f"the router was created for {len(self._variables_spec)} variables. Received: {len(var_list)}"
            )
        owners = [
            self._patterns.index((kind, pattern))
            for (kind, _), pattern in zip(self._variables_spec, self._variable_patterns, strict=True)
        ]
        self._owners = self._no_dependency(owners)
        self._on_gpu = any("GPU" in variable.device for variable in var_list)
        states: dict[str, States] = {}
        for index, optimizer in enumerate(self._optimizers):
            variables = [variable for variable, owner in zip(var_list, owners, strict=True) if owner == index]
            states |= build_and_record_states(optimizer, variables)
            self._variables += [v for v in optimizer.variables if v is not self._own_steps[index]]
        self._states = self._no_dependency(states)
        self._built = True

    def combine(self, gradients: Sequence[Any], variables: Sequence[tf.Variable]) -> list[Any]:
        """Sum gradients over replicas, deduplicate their rows and clip them, as `apply_gradients` does first.

        No variable changes.
        """
        summed = self.aggregate_gradients(zip(gradients, variables, strict=True))
        return self._deduplicate_sparse_grad([gradient for gradient, _ in summed])

    def apply_combined(self, gradients: Sequence[Any], variables: Sequence[tf.Variable]) -> None:
        """Update variables with gradients from `combine`; together the two methods equal `apply_gradients`."""
        self._compute_current_learning_rate()
        self._apply_weight_decay(variables)
        self._internal_apply_gradients(list(zip(gradients, variables, strict=True)))

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """Pass a gradient to the optimizer of its variable."""
        self.optimizer_of(variable).update_step(gradient, variable)

    def owned(self, var_list: Sequence[tf.Variable]) -> list[Owned]:
        """Return each variable with its optimizer, shape and state size; `var_list` must equal that of `build`."""
        assignments = []
        for index, variable in enumerate(var_list):
            assignments.append(
                Owned(
                    kind=self._variables_spec[index][0],
                    names=tuple(self._variables_spec[index][1]),
                    pattern=self._variable_patterns[index],
                    optimizer=self.optimizer_of(variable).name,
                    shape=tuple(variable.shape),
                    state_bytes=sum(v.shape.num_elements() * v.dtype.size for v in self.state_of(variable).values()),
                )
            )
        return assignments

    def get_config(self) -> dict[str, Any]:
        """Return patterns, optimizers and variables as plain values."""
        serialized = [tf_keras.optimizers.serialize(optimizer) for optimizer in self._optimizers]
        of_kind = {
            kind: {p: s for (k, p), s in zip(self._patterns, serialized, strict=True) if k == kind}
            for kind in ("table", "tower")
        }
        return {
            "name": self.name,
            "sparse": of_kind["table"],
            "dense": of_kind["tower"],
            "variables": list(self._variables_spec),
            "clip_norm": self.clip_norm,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "Router":
        """Create the router from the result of `get_config`."""
        restored = {
            key: {p: tf_keras.optimizers.deserialize(s, custom_objects) for p, s in config[key].items()}
            for key in ("sparse", "dense")
        }
        return cls(**{**config, **restored})

    def _compute_current_learning_rate(self) -> None:
        for optimizer in self._optimizers:
            optimizer._compute_current_learning_rate()

    def _apply_weight_decay(self, variables: Sequence[tf.Variable]) -> None:
        for index, optimizer in enumerate(self._optimizers):
            owners = [self._owners[self._index_dict[self._var_key(variable)]] for variable in variables]
            optimizer._apply_weight_decay([v for v, owner in zip(variables, owners, strict=True) if owner == index])

    def _deduplicate_sparse_grad(self, grads: Sequence[Any]) -> list[Any]:
        gradients = [
            deduplicate(gradient, self._on_gpu) if isinstance(gradient, tf.IndexedSlices) else gradient
            for gradient in grads
        ]
        if self.clip_norm is None:
            return gradients
        return tf.clip_by_global_norm(gradients, self.clip_norm)[0]


def _shared_pattern(names: Sequence[str], pattern_of: Mapping[str, str]) -> str:
    """Return the pattern of the tables in one variable; raise PatternError if they have different ones."""
    tables = {pattern_of[name]: name for name in names}  # pattern -> a table that it matches
    if len(tables) > 1:
        (pattern_1, table_1), (pattern_2, table_2) = list(tables.items())[:2]
        raise PatternError(
            f"the tables {table_1!r} ({pattern_1!r}) and {table_2!r} ({pattern_2!r}) share a variable but have "
            f"different optimizers. Pass a grouping to the model that separates them."
        )
    return next(iter(tables))
