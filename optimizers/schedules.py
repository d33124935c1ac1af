"""Learning-rate schedules: Keras's, an inverse square root, warm-up, and a factor that a plateau callback can lower.

The functions measure time in units of `unit` steps: 1 step, or the steps of an epoch; then the rate changes only
between epochs. `total_steps` is the number of steps of the whole run.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tf_keras

from optimizers.base import Schedule
from optimizers.checks import check_at_least_0

keras = tf_keras.optimizers.schedules
MAX_UNITS = 10**12  # steps stay within int64


@tf_keras.utils.register_keras_serializable("ctr")
class InverseSquareRootDecay(tf_keras.optimizers.schedules.LearningRateSchedule):
    """Schedule initial_learning_rate / sqrt(n) in the n-th unit of `unit` steps, n from 1.

    Args:
        initial_learning_rate: initial learning rate, at least 0. A larger value takes larger steps.
        unit: number of steps per unit of time: 1, or the steps of an epoch.

    >>> rate = InverseSquareRootDecay(0.1, unit=100)
    >>> [round(float(rate(step)), 4) for step in (0, 99, 100, 300)]
    [0.1, 0.1, 0.0707, 0.05]
    """

    def __init__(self, initial_learning_rate: float, unit: int = 1) -> None:
        self.initial_learning_rate, self.unit = initial_learning_rate, unit

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        units = tf.cast(tf.cast(step, tf.int64) // self.unit + 1, tf.float32)
        return self.initial_learning_rate / tf.sqrt(units)

    def get_config(self) -> dict[str, Any]:
        return {"initial_learning_rate": self.initial_learning_rate, "unit": self.unit}


@tf_keras.utils.register_keras_serializable("ctr")
class ExactExponentialDecay(tf_keras.optimizers.schedules.LearningRateSchedule):
    """Schedule initial_learning_rate * k^step, computed in float64 and rounded once.

    Keras's `ExponentialDecay` first rounds k to float32: with k = 0.9999, its result is off by 0.17% after 100,000
    steps.

    Args:
        initial_learning_rate: initial learning rate, at least 0. A larger value takes larger steps.
        k: factor of the learning rate per step. A smaller value decays faster.

    >>> rate = ExactExponentialDecay(0.1, k=0.5)
    >>> [round(float(rate(step)), 4) for step in (0, 1, 3)]
    [0.1, 0.05, 0.0125]
    """

    def __init__(self, initial_learning_rate: float, k: float) -> None:
        self.initial_learning_rate, self.k = initial_learning_rate, k

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        power = tf.pow(tf.constant(self.k, tf.float64), tf.cast(step, tf.float64))
        return tf.cast(self.initial_learning_rate * power, tf.float32)

    def get_config(self) -> dict[str, Any]:
        return {"initial_learning_rate": self.initial_learning_rate, "k": self.k}


@tf_keras.utils.register_keras_serializable("ctr")
class Adjustable(tf_keras.optimizers.schedules.LearningRateSchedule):
    """Schedule after a linear warm-up from zero, times a factor that can be lowered during training.

        rate(step) = factor * min(1, t / warm_up_steps) * schedule(t),    t = step - start

    Args:
        schedule: Keras schedule that gives the rate after the warm-up.
        warm_up_steps: number of steps of the warm-up; 0 for none. A larger value raises the rate more slowly.
        factor: initial factor of the learning rate.
        start: step at which the schedule begins; `Router.restart_schedules` changes it. A `Router` saves factor and
            start in its checkpoints; an optimizer by itself does not.

    >>> rate = Adjustable(constant(0.1, unit=1, total_steps=1), warm_up_steps=4)
    >>> [round(float(rate(step)), 4) for step in (0, 1, 4, 9)]
    [0.0, 0.025, 0.1, 0.1]
    """

    def __init__(self, schedule: Schedule, warm_up_steps: int = 0, factor: float = 1.0, start: int = 0) -> None:
        self.schedule, self.warm_up_steps = schedule, warm_up_steps
        is_piecewise = isinstance(schedule, keras.PiecewiseConstantDecay)
        if is_piecewise or hasattr(schedule, "initial_learning_rate"):  # some schedules lack it
            self.initial_learning_rate = schedule.values[0] if is_piecewise else schedule.initial_learning_rate
        self.factor = tf.Variable(factor, trainable=False, dtype=tf.float32, name="factor")
        self.start = tf.Variable(start, trainable=False, dtype=tf.int64, name="start")

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        step = tf.cast(step, tf.int64) - self.start
        warm_up = tf.minimum(tf.cast(step, tf.float32) / max(self.warm_up_steps, 1), 1) if self.warm_up_steps else 1.0
        return self.factor * warm_up * self.schedule(step)

    def get_config(self) -> dict[str, Any]:
        return {
            "schedule": keras.serialize(self.schedule),
            "warm_up_steps": self.warm_up_steps,
            "factor": float(self.factor.numpy()),
            "start": int(self.start.numpy()),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Adjustable":
        """Create the schedule from the result of `get_config`."""
        return cls(**{**config, "schedule": keras.deserialize(config["schedule"])})


def constant(initial: float, *, unit: int, total_steps: int) -> Schedule:
    """Return a schedule with the constant rate `initial`; use it with a warm-up.

    Args:
        initial: learning rate, at least 0. A larger value takes larger steps.
        unit: number of steps per unit of time: 1, or the steps of an epoch.
        total_steps: number of steps of the whole run.
    """
    return hyperbolic(initial, 0.0, unit=unit, total_steps=total_steps)


def hyperbolic(initial: float, k: float, *, unit: int, total_steps: int) -> Schedule:
    """Return the schedule initial / (1 + k t), with t in units.

    Args:
        initial: initial learning rate, at least 0. A larger value takes larger steps.
        k: decay constant per unit, at least 0. A larger value decays faster.
        unit: number of steps per unit of time: 1, or the steps of an epoch.
        total_steps: number of steps of the whole run.
    """
    check_at_least_0(initial=initial, k=k)
    return keras.InverseTimeDecay(initial, unit, k, staircase=unit > 1)


def exponential(initial: float, k: float, *, unit: int, total_steps: int) -> Schedule:
    """Return the schedule initial * k^t, with t in units.

    Args:
        initial: initial learning rate, at least 0. A larger value takes larger steps.
        k: factor of the learning rate per unit, at least 0. A smaller value decays faster.
        unit: number of steps per unit of time: 1, or the steps of an epoch.
        total_steps: number of steps of the whole run.
    """
    check_at_least_0(initial=initial, k=k)
    if unit == 1:
        return ExactExponentialDecay(initial, k)
    return keras.ExponentialDecay(initial, unit, k, staircase=True)  # relative error 6e-8 per epoch in float32


def inverse_sqrt(initial: float, *, unit: int, total_steps: int) -> Schedule:
    """Return the schedule initial / sqrt(n) in the n-th unit, n from 1.

    Args:
        initial: initial learning rate, at least 0. A larger value takes larger steps.
        unit: number of steps per unit of time: 1, or the steps of an epoch.
        total_steps: number of steps of the whole run.
    """
    check_at_least_0(initial=initial)
    return InverseSquareRootDecay(initial, unit)


def piecewise(initial: float, rates: dict[int, float], *, unit: int, total_steps: int) -> Schedule:
    """Return a schedule of constant rates: `initial`, then `rates[unit]` from each of its units on.

    Args:
        initial: initial learning rate, at least 0. A larger value takes larger steps.
        rates: unit, counted from 0 and at least 1 -> learning rate from that unit on.
        unit: number of steps per unit of time: 1, or the steps of an epoch.
        total_steps: number of steps of the whole run.

    Raises:
        ValueError: a unit or a rate is outside its range, or `rates` is empty.
    """
    check_at_least_0(initial=initial)
    if not rates or min(rates) < 1:
        raise ValueError(f"rates must map units, from 1, to learning rates. Received: {rates}")
    check_at_least_0(**{f"rates.{start}": rate for start, rate in rates.items()})
    if max(rates) > MAX_UNITS:
        raise ValueError(f"rates must have units of at most {MAX_UNITS}. Received: {max(rates)}")
    starts = sorted(rates)
    return keras.PiecewiseConstantDecay([start * unit - 1 for start in starts], [initial, *(rates[s] for s in starts)])


def cosine(initial: float, final: float = 0.0, over: int | None = None, *, unit: int, total_steps: int) -> Schedule:
    """Return a schedule that falls from `initial` to `final` along half a cosine, step by step.

    Args:
        initial: initial learning rate, at least 0. A larger value takes larger steps.
        final: learning rate at the end and after it, at least 0.
        over: length of the decay in units, at least 1. A larger value decays more slowly. None: the whole run.
        unit: number of steps per unit of time: 1, or the steps of an epoch.
        total_steps: number of steps of the whole run.
    """
    check_at_least_0(initial=initial, final=final)
    return keras.CosineDecay(initial, _steps(over, unit, total_steps), alpha=final / initial if initial else 0.0)


def polynomial(
    initial: float, final: float = 0.0, over: int | None = None, power: float = 1.0, *, unit: int, total_steps: int
) -> Schedule:
    """Return the schedule final + (initial - final) (1 - t / over)^power, step by step.

    Args:
        initial: initial learning rate, at least 0. A larger value takes larger steps.
        final: learning rate at the end and after it, at least 0.
        over: length of the decay in units, at least 1. A larger value decays more slowly. None: the whole run.
        power: exponent of the decay, at least 0; 1 is linear. A larger value decays faster at first.
        unit: number of steps per unit of time: 1, or the steps of an epoch.
        total_steps: number of steps of the whole run.
    """
    check_at_least_0(initial=initial, final=final, power=power)
    return keras.PolynomialDecay(initial, _steps(over, unit, total_steps), final, power)


def _steps(over: int | None, unit: int, total_steps: int) -> int:
    if over is not None and not 1 <= over <= MAX_UNITS:
        raise ValueError(f"over must be at least 1 and at most {MAX_UNITS}. Received: {over}")
    return total_steps if over is None else over * unit


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": constant,
    "hyperbolic": hyperbolic,
    "exponential": exponential,
    "inverse_sqrt": inverse_sqrt,
    "piecewise": piecewise,
    "cosine": cosine,
    "polynomial": polynomial,
}
"""Config name -> schedule. The arguments, except `unit` and `total_steps`, are the config's keys."""
