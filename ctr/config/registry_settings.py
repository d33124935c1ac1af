"""Settings that name something and give its arguments: `{type: adam, beta_1: 0.8}`."""

import inspect
import json
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, TypeAdapter, create_model
from pydantic_core import PydanticCustomError

from ctr.config.lengths import EpochsOrSteps
from ctr.config.user_code import import_class, is_user_code
from ctr.errors import ConfigError
from features import Settings, nearest, plain
from optimizers import SCHEDULES

VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class PartSettings(Settings):
    """Settings of a model, optimizer or schedule that a config names, with its constructor."""

    factory: ClassVar[Callable[..., Any]]
    """Class or function that the settings are the arguments of."""


class ScheduleSettings(PartSettings):
    """Settings that every learning rate schedule accepts."""

    per: Literal["epoch", "step"] = "epoch"
    """Unit of t, the time since the start of training: whole epochs, or steps."""
    warm_up: EpochsOrSteps | None = None
    """Length of a linear warm-up, `{steps: N}` or `{epochs: N}`: the rate is multiplied by min(1, step / length)."""


def settings_from_registry(
    registry: Mapping[str, Callable[..., Any]],
    *passed: str,
    key: str = "type",
    base: type[PartSettings] = PartSettings,
    unfit: Mapping[str, str] = MappingProxyType({}),
    arguments: Mapping[Any, Any] = MappingProxyType({}),
    user_base: type | None = None,
    elsewhere: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """Return the type of a setting `{type: NAME, ...}`, whose other keys are the arguments of the class called NAME.

    Args:
        registry: config name -> class or function with typed arguments.
        passed: arguments that the program passes, so that they are not keys.
        key: key of the name.
        base: settings that every name accepts.
        unfit: names that exist but are not allowed here -> reason.
        arguments: annotation of an argument -> type of its setting, if the annotation cannot be a setting.
        user_base: base class of user classes named `MODULE:NAME`; None: only registered names are allowed.
        elsewhere: names that other libraries have, without case, hyphens and underscores -> what to use here.
    """

    @cache  # made on first use: all of them take seconds
    def settings_of(name: str, target: Callable[..., Any]) -> type[PartSettings]:
        return _settings_of(name, target, passed, key, base, arguments)

    def settings_of_user_class(name: str, parent: type) -> type[PartSettings]:
        try:
            settings = settings_of(name, import_class(name, parent))
            _check_defaults(settings)
            return settings
        except ConfigError as error:
            raise PydanticCustomError("user_code", "{message}", {"message": str(error)}) from error
        except Exception as error:  # annotations are user code too
            reason = (str(error).splitlines() or [type(error).__name__])[0].partition(". ")[0]
            why = f"{name!r}: its constructor's arguments cannot be settings: {reason}. Change the constructor."
            raise PydanticCustomError("user_code", "{message}", {"message": why}) from error

    def check(values: Any) -> Any:
        if isinstance(values, Settings):
            return values
        name = values.get(key) if isinstance(values, dict) else values
        if isinstance(name, str) and name in unfit:
            raise PydanticCustomError("unknown_type", "{name} {why}", {"name": repr(name), "why": unfit[name]})
        if name is None:
            known = {"key": key, "known": ", ".join(registry)}
            raise PydanticCustomError("unknown_type", "missing `{key}`; known: {known}", known)
        if user_base is not None and is_user_code(name):
            return settings_of_user_class(name, user_base).model_validate(
                values if isinstance(values, dict) else {key: name}
            )
        if not isinstance(name, str) or name not in registry:
            why = {"key": key, "name": repr(name), "hint": nearest(str(name), list(registry))}
            if advice := elsewhere.get(plain(str(name))):
                why["hint"] = advice
                raise PydanticCustomError("unknown_type", "unknown {key} {name}. {hint}", why)
            raise PydanticCustomError("unknown_type", "unknown {key} {name}; {hint}", why)
        return settings_of(name, registry[name]).model_validate(values if isinstance(values, dict) else {key: name})

    return Annotated[Settings, BeforeValidator(check)]


def _settings_of(
    name: str,
    target: Callable[..., Any],
    passed: tuple[str, ...],
    key: str,
    base: type[PartSettings],
    types: Mapping[Any, Any],
) -> type[PartSettings]:
    """Return the settings class of one name.

    Raises:
        TypeError, NameError: an argument that the program passes is missing, or another argument has no type, an
            unsuitable type, or a reserved name.
    """
    parameters = inspect.signature(target, eval_str=True).parameters.values()
    _check_takes(passed, parameters)
    no_keys = (*base.model_fields, "name")
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise TypeError(f"{parameter.name} is positional only")
        has_default = parameter.default is not parameter.empty
        if parameter.name in no_keys and not has_default and parameter.kind not in VARIADIC:
            raise TypeError(f"{parameter.name} must have a default, because it is not a key")
    fields = {
        parameter.name: _field(parameter, types)
        for parameter in parameters
        if parameter.kind not in VARIADIC and parameter.name not in (*passed, *no_keys)
    }
    if reserved := [name for name in fields if name in (key, "factory") or hasattr(base, name)]:
        raise TypeError(f"no argument can be named {min(reserved)}")
    made = create_model(name, __base__=base, **{key: (Literal[name], name)}, **fields)  # type: ignore[call-overload]
    made.factory = staticmethod(target)
    return made


def _check_defaults(settings: type[PartSettings]) -> None:
    """Raise TypeError if a default is not a value that config.yaml could hold and read again."""
    for name, field in settings.model_fields.items():
        if field.is_required() or name == "type":
            continue
        default = field.get_default(call_default_factory=True)
        try:
            saved = json.loads(
                settings.model_construct(**{name: default}).model_dump_json(include={name}, warnings=False)
            )
            TypeAdapter(field.rebuild_annotation()).validate_python(saved[name])
        except Exception as error:  # user values can raise anything
            raise TypeError(f"the default of {name} cannot be saved in a config: {default!r}") from error


def _check_takes(passed: tuple[str, ...], parameters: Iterable[inspect.Parameter]) -> None:
    """Raise TypeError unless a constructor, or its `base`, takes the arguments that the program passes."""
    names = {parameter.name for parameter in parameters}
    if "base" in names or any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return
    if missing := [name for name in passed if name not in names]:
        raise TypeError(f"it must take {' and '.join(missing)}")


def _field(parameter: inspect.Parameter, types: Mapping[Any, Any]) -> tuple[Any, Any]:
    """Return type and default of the setting of an argument; ... means no default."""
    annotation = parameter.annotation
    if annotation is parameter.empty:
        raise TypeError(f"{parameter.name} has no type annotation")
    type_ = types.get(annotation, annotation) if isinstance(annotation, Hashable) else annotation
    if parameter.name == "learning_rate":
        type_ = LearningRate
    return type_, ... if parameter.default is parameter.empty else parameter.default


def _rate_or_schedule(value: Any) -> Any:
    if isinstance(value, dict | ScheduleSettings):
        return TypeAdapter(Schedule).validate_python(value)
    try:
        if isinstance(value, bool):
            raise ValueError
        return TypeAdapter(float).validate_python(value)  # YAML reads 1e-3 as text
    except ValueError as error:
        raise ValueError("must be a number, or a schedule such as {schedule: cosine, initial: 0.001}") from error


LearningRate = Annotated[Any, BeforeValidator(_rate_or_schedule)]
"""A number, or the settings of a schedule."""
Schedule = settings_from_registry(SCHEDULES, "unit", "total_steps", key="schedule", base=ScheduleSettings)
