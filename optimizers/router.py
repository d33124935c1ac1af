"""One Keras optimizer made of several: each table and tower by the pattern that names it."""

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
from optimizers.states import States, build_and_note_states

Optimizer: TypeAlias = tf_keras.optimizers.Optimizer


class PatternError(ValueError):
    """A pattern that matches nothing, a name that no pattern or no single pattern matches, an unfit optimizer."""


def resolve(patterns: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """Map each name to the glob pattern that rules it: itself, else the longest that matches it.

    Raises:
        PatternError: two longest patterns match a name, none does, or a pattern other than `*` matches no name.

    >>> resolve(["*", "wide/*", "user"], ["user", "item", "wide/user"])
    {'user': 'user', 'item': '*', 'wide/user': 'wide/*'}
    """
    patterns, names = list(patterns), list(names)
    for pattern in patterns:
        matches = pattern in ("*", *names) or any(fnmatch.fnmatchcase(name, pattern) for name in names)
        if not matches:
            raise PatternError(f"the pattern {pattern!r} matches none of: {', '.join(names)}")
    return {name: _ruling(patterns, name) for name in names}


def _ruling(patterns: list[str], name: str) -> str:
    if name in patterns:
        return name
    matching = sorted((p for p in patterns if p != "*" and fnmatch.fnmatchcase(name, p)), key=len, reverse=True)
    if not matching and "*" in patterns:
        return "*"
    if not matching:
        raise PatternError(f"no pattern matches {name!r}; the patterns are: {', '.join(patterns)}")
    if len(matching) > 1 and len(matching[0]) == len(matching[1]):
        raise PatternError(f"{name!r} is matched by {matching[0]!r} and {matching[1]!r}, which are equally long")
    return matching[0]


@dataclass(frozen=True)
class Owned:
    """A variable and the optimizer that updates it; variables of one optimizer have distinct names."""

    kind: str
    """`table` or `tower`."""
    names: tuple[str, ...]
    """The logical tables in it, or its tower."""
    pattern: str
    optimizer: str
    shape: tuple[int, ...]
    state_bytes: int


@tf_keras.utils.register_keras_serializable("ctr")
class Router(tf_keras.optimizers.Optimizer):
    """Hands each gradient to the optimizer of its table or tower.

    Sparse gradients are deduplicated once, then all gradients together are clipped, then each optimizer updates its
    variables. All share one step counter.

    Args:
        sparse: pattern of table names -> its `RowOptimizer`.
        dense: pattern of tower names -> its optimizer.
        variables: for each trainable variable of the model, in order: `("table", logical tables in it)` or
            `("tower", [its tower])`; `CTRModel.logical_variables` gives it.
        clip_norm: bound on the global norm of all gradients; None: no bound.
        name: of the optimizer.

    Raises:
        PatternError: as `resolve`; a stock optimizer on a table; a fused variable whose tables have different ones.
        ValueError: an optimizer that clips by itself.
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
                    f"{type(optimizer).__name__} on the tables {pattern!r} would update every row at each step; "
                    f"a table needs a sparse optimizer such as RMSPropV2"
                )
        if len({id(optimizer) for optimizer in [*sparse.values(), *dense.values()]}) < len(sparse) + len(dense):
            raise PatternError("one optimizer object stands under two patterns; make one for each")
        for optimizer in [*sparse.values(), *dense.values()]:
            refuse_clipping(optimizer, "a router, which clips by `clip_norm`")
        self._learning_rate = None
        self.clip_norm = clip_norm
        self._variables_spec = self._no_dependency([(kind, list(names)) for kind, names in variables])
        self._patterns = self._no_dependency([("table", p) for p in sparse] + [("tower", p) for p in dense])
        self._optimizers = [*sparse.values(), *dense.values()]
        self._own_steps = self._no_dependency([optimizer.iterations for optimizer in self._optimizers])
        for optimizer in self._optimizers:
            optimizer.iterations = self.iterations  # rates are computed before `build`
        rates = [optimizer._learning_rate for optimizer in self._optimizers]
        self._adjusted = [(rate.factor, rate.start) for rate in rates if isinstance(rate, Adjustable)]  # in checkpoints
        ruling = {
            kind: resolve(patterns, dict.fromkeys(name for k, names in variables if k == kind for name in names))
            for kind, patterns in (("table", sparse), ("tower", dense))
        }
        self._rulers = self._no_dependency([_one_ruler(names, ruling[kind]) for kind, names in variables])

    def exclude_from_weight_decay(self, *args: Any, **kwargs: Any) -> None:
        """An error: decay is a matter of each optimizer."""
        raise AttributeError("a router has no weight decay of its own: exclude from that of an optimizer, before")

    @property
    def learning_rates(self) -> dict[str, float]:
        """`table <pattern>` and `tower <pattern>` -> the rate now in use."""
        pairs = zip(self._patterns, self._optimizers, strict=True)
        # a float32 by its shortest decimal: 0.1, not 0.10000000149
        return {
            f"{kind} {pattern}": float(str(optimizer.learning_rate.numpy())) for (kind, pattern), optimizer in pairs
        }

    @property
    def learning_rate(self) -> float:
        raise AttributeError("a router has a rate for each of its optimizers: see `learning_rates`")

    def scale_learning_rates(self, factor: float) -> None:
        """Multiply every rate, those of schedules from now on.

        Raises:
            ValueError: a schedule that is not `Adjustable`.
        """
        for optimizer in self._optimizers:
            rate = optimizer._learning_rate
            if isinstance(rate, Adjustable):
                rate.factor.assign(rate.factor * factor)
            elif is_schedule(rate):
                raise ValueError(f"{optimizer.name}: {type(rate).__name__} cannot be scaled: wrap it in Adjustable")
            else:
                optimizer.learning_rate = optimizer.learning_rate * factor

    def restart_schedules(self) -> None:
        """Let schedules of rates begin anew at the step now reached.

        Raises:
            ValueError: a schedule that is not `Adjustable`.
        """
        for optimizer in self._optimizers:
            rate = optimizer._learning_rate
            if isinstance(rate, Adjustable):
                rate.start.assign(self.iterations)
            elif is_schedule(rate):
                raise ValueError(f"{optimizer.name}: {type(rate).__name__} cannot begin anew: wrap it in Adjustable")

    def optimizer_of(self, variable: tf.Variable) -> Optimizer:
        """The optimizer that updates a variable."""
        return self._optimizers[self._owners[self._index_dict[self._var_key(variable)]]]

    def state_of(self, variable: tf.Variable) -> States:
        """What its optimizer remembers of a variable, by name, such as `accumulator`."""
        return self._states[self._var_key(variable)]

    def store_of(self, variable: tf.Variable) -> RowStore:
        """Return the store of the rows of a variable that holds tables: weights and state."""
        return self.optimizer_of(variable).store_of(variable)

    def build(self, var_list: Sequence[tf.Variable]) -> None:
        """Build each optimizer with its variables."""
        super().build(var_list)
        if getattr(self, "_built", False):
            return
        if len(var_list) != len(self._variables_spec):
            raise ValueError(
                f"the router was made for {len(self._variables_spec)} variables. Received: {len(var_list)}"
            )
        owners = [
            self._patterns.index((kind, ruler))
            for (kind, _), ruler in zip(self._variables_spec, self._rulers, strict=True)
        ]
        self._owners = self._no_dependency(owners)
        self._on_gpu = any("GPU" in variable.device for variable in var_list)
        states: dict[str, States] = {}
        for place, optimizer in enumerate(self._optimizers):
            own = [variable for variable, owner in zip(var_list, owners, strict=True) if owner == place]
            states |= build_and_note_states(optimizer, own)
            self._variables += [v for v in optimizer.variables if v is not self._own_steps[place]]
        self._states = self._no_dependency(states)
        self._built = True

    def combine(self, gradients: Sequence[Any], variables: Sequence[tf.Variable]) -> list[Any]:
        """What `apply_gradients` makes of gradients first: summed over replicas, each row once, clipped; none moves."""
        summed = self.aggregate_gradients(zip(gradients, variables, strict=True))
        return self._deduplicate_sparse_grad([gradient for gradient, _ in summed])

    def apply_combined(self, gradients: Sequence[Any], variables: Sequence[tf.Variable]) -> None:
        """Update variables with what `combine` gave; both together are `apply_gradients`."""
        self._compute_current_learning_rate()
        self._apply_weight_decay(variables)
        self._internal_apply_gradients(list(zip(gradients, variables, strict=True)))

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """Hand a gradient to the optimizer of its variable."""
        self.optimizer_of(variable).update_step(gradient, variable)

    def owned(self, var_list: Sequence[tf.Variable]) -> list[Owned]:
        """Each variable with its optimizer, shape and bytes of state; `var_list` as it was given to `build`."""
        listed = []
        for place, variable in enumerate(var_list):
            listed.append(
                Owned(
                    kind=self._variables_spec[place][0],
                    names=tuple(self._variables_spec[place][1]),
                    pattern=self._rulers[place],
                    optimizer=self.optimizer_of(variable).name,
                    shape=tuple(variable.shape),
                    state_bytes=sum(v.shape.num_elements() * v.dtype.size for v in self.state_of(variable).values()),
                )
            )
        return listed

    def get_config(self) -> dict[str, Any]:
        """Patterns, optimizers and variables, as plain values."""
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
        """The router of a `get_config`."""
        restored = {
            key: {p: tf_keras.optimizers.deserialize(s, custom_objects) for p, s in config[key].items()}
            for key in ("sparse", "dense")
        }
        return cls(**{**config, **restored})

    def _compute_current_learning_rate(self) -> None:
        for optimizer in self._optimizers:
            optimizer._compute_current_learning_rate()

    def _apply_weight_decay(self, variables: Sequence[tf.Variable]) -> None:
        for place, optimizer in enumerate(self._optimizers):
            own = [v for v in variables if self._owners[self._index_dict[self._var_key(v)]] == place]
            optimizer._apply_weight_decay(own)

    def _deduplicate_sparse_grad(self, grads: Sequence[Any]) -> list[Any]:
        gradients = [
            deduplicate(gradient, self._on_gpu) if isinstance(gradient, tf.IndexedSlices) else gradient
            for gradient in grads
        ]
        if self.clip_norm is None:
            return gradients
        return tf.clip_by_global_norm(gradients, self.clip_norm)[0]


def _one_ruler(names: Sequence[str], ruling: Mapping[str, str]) -> str:
    rulers = {ruling[name]: name for name in names}
    if len(rulers) > 1:
        (first, one), (second, other) = list(rulers.items())[:2]
        raise PatternError(
            f"the tables {one!r} ({first!r}) and {other!r} ({second!r}) share a variable but not an optimizer: "
            f"pass a grouping to the model that keeps them apart"
        )
    return next(iter(rulers))
