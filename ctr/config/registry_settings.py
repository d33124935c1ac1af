"""Settings that name something and give its arguments: `{type: adam, beta_1: 0.8}`."""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, TypeAdapter, ValidationError, create_model, model_validator
from pydantic_core import PydanticCustomError

from features import Count, Settings, nearest
from optimizers import SCHEDULES


class EpochsOrSteps(Settings):
    """A stretch of training: so many epochs, or so many steps."""

    epochs: Count | None = None
    steps: Count | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "EpochsOrSteps":
        if (self.epochs is None) == (self.steps is None):
            raise ValueError("needs `epochs` or `steps`, one of them")
        return self

    def in_steps(self, steps_per_epoch: int) -> int:
        """Its length in steps."""
        return self.steps or (self.epochs or 0) * steps_per_epoch


class ScheduleSettings(Settings):
    """What all schedules of learning rates have."""

    per: Literal["epoch", "step"] = "epoch"
    """The unit of time."""
    warm_up: EpochsOrSteps | None = None
    """The rate grows linearly from zero in this stretch."""


def settings_from_registry(
    registry: Mapping[str, Callable[..., Any]],
    *passed: str,
    key: str = "type",
    base: type[Settings] = Settings,
    unfit: Mapping[str, str] = MappingProxyType({}),
    arguments: Mapping[str, Any] = MappingProxyType({}),
) -> Any:
    """The type of a setting `{type: NAME, ...}`: the other keys are the arguments of what NAME stands for.

    Args:
        registry: config name -> class or function with typed arguments.
        passed: arguments that the program passes, so that they are not keys.
        key: that holds the name.
        base: settings that all have.
        unfit: names that exist but cannot stand here -> why.
        arguments: argument -> type of its setting, where its annotation is no type of a setting.
    """

    @cache  # made when first met: all of them take seconds
    def settings_of(name: str) -> type[Settings]:
        return _settings_of(name, registry[name], passed, key, base, {"learning_rate": LearningRate, **arguments})

    def check(values: Any) -> Any:
        if isinstance(values, Settings):
            return values
        name = values.get(key) if isinstance(values, dict) else values
        if isinstance(name, str) and name in unfit:
            raise PydanticCustomError("unknown_type", "{name} {why}", {"name": repr(name), "why": unfit[name]})
        if name is None:
            known = {"key": key, "known": ", ".join(registry)}
            raise PydanticCustomError("unknown_type", "needs `{key}`; known: {known}", known)
        if not isinstance(name, str) or name not in registry:
            hint = {"key": key, "name": repr(name), "hint": nearest(str(name), list(registry))}
            raise PydanticCustomError("unknown_type", "no such {key}: {name}; {hint}", hint)
        return settings_of(name).model_validate(values if isinstance(values, dict) else {key: name})

    return Annotated[Settings, BeforeValidator(check)]


def _settings_of(
    name: str,
    target: Callable[..., Any],
    passed: tuple[str, ...],
    key: str,
    base: type[Settings],
    types: Mapping[str, Any],
) -> type[Settings]:
    arguments = {
        argument: (
            types.get(argument, parameter.annotation),
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for argument, parameter in inspect.signature(target).parameters.items()
        if argument not in (*passed, *base.model_fields, "name")
    }
    return create_model(name, __base__=base, **{key: (Literal[name], name)}, **arguments)  # type: ignore[call-overload]


def _rate_or_schedule(value: Any) -> Any:
    if isinstance(value, dict | ScheduleSettings):
        return TypeAdapter(Schedule).validate_python(value)
    try:
        return TypeAdapter(float).validate_python(value)  # YAML takes 1e-3 for a text
    except ValidationError as error:
        raise ValueError("needs a number, or a schedule such as {schedule: cosine, initial: 0.001}") from error


LearningRate = Annotated[Any, BeforeValidator(_rate_or_schedule)]
"""A number, or the settings of a schedule."""
Schedule = settings_from_registry(SCHEDULES, "unit", "whole", key="schedule", base=ScheduleSettings)
