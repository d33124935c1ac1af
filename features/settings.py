"""Base class of all settings in a config file."""

import difflib
import re
import zoneinfo
from collections.abc import Container, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

RENAMED = {
    "exact_rows": "max_exact_rows",
    "kind": "type",
    "plateau": "reduce_lr_on_plateau",
    "preserve_initial": "keep_initial_weights",
    "sampled": "negatives_sampled",
    "state": "optimizer_state",
    "unstable_above": "major_above",
    "whole": "integer",
}
"""Earlier name of a key or an option -> its name since version 0.5.0."""


def nearest(name: str, known: list[str], taken: Container[str] = ()) -> str:
    """Return the end of a message about an unknown name: the name that was probably meant, or the known names.

    Args:
        name: unknown name.
        known: known names.
        taken: known names that have another use, so that they were not meant.

    >>> nearest("epoch", ["epochs", "threads"])
    "did you mean 'epochs'?"
    >>> nearest("DCNv2", ["dcn", "dcn_v2"])
    "did you mean 'dcn_v2'?"
    >>> nearest("xyz", ["epochs", "threads"])
    'known: epochs, threads'
    >>> nearest("user", ["user_age", "price"], taken=["user_age"])
    'known: user_age, price'
    """
    free = [one for one in known if one not in taken]
    same = [one for one in free if plain(one) == plain(name)]
    close = same or difflib.get_close_matches(name, free, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def plain(name: str) -> str:
    """Return a name without case, spaces, hyphens and underscores, by which names of other libraries are recognized.

    >>> plain("Wide_Deep")
    'widedeep'
    """
    return re.sub(r"[\s_-]", "", name).lower()


def unknown_key(key: Any, known: list[str]) -> str:
    """Return the message for an unknown key: its new name, or the key that was probably meant.

    >>> unknown_key("epoch", ["epochs", "threads"])
    "unknown key 'epoch'; did you mean 'epochs'?"
    >>> unknown_key("plateau", ["epochs", "reduce_lr_on_plateau"])
    "unknown key 'plateau': renamed to 'reduce_lr_on_plateau' in 0.5.0. Use the new name."
    """
    if (new := RENAMED.get(key)) in known:
        return f"unknown key {key!r}: renamed to {new!r} in 0.5.0. Use the new name."
    return f"unknown key {key!r}; {nearest(str(key), known)}"


def _known_zone(name: str) -> str:
    if name != "UTC" and name not in _zones():
        raise ValueError("unknown time zone. Use a name such as Europe/Paris.")
    return name


@cache
def _zones() -> set[str]:
    """Return the names of all time zones, cached because listing them takes 16 ms."""
    return zoneinfo.available_timezones()


def _one_as_list(value: Any) -> Any:
    """Return a list of one for a single string or integer, and any other value as it is."""
    return [value] if isinstance(value, str | int) and not isinstance(value, bool) else value


ONE_AS_LIST = BeforeValidator(_one_as_list)
"""Rule of a setting that is a list: a single value means a list of one. It is for lists where one value makes sense and
has no other meaning; `seeds: 5` of a study could mean five seeds."""
Names = Annotated[list[str], ONE_AS_LIST]
"""Names, such as `[user, item]`; `user` means `[user]`."""

TimeZone = Annotated[str, AfterValidator(_known_zone)]
"""Name of a time zone, such as Europe/Paris."""
MAX_COUNT = 10**12
Count = Annotated[int, Field(gt=0, le=MAX_COUNT)]
"""A positive number of things, which stays within int64."""

Size = Annotated[int, Field(gt=0, le=2**31 - 4)]
"""Number of distinct ids of a table. Ids are int32, and three rows of a table are special."""
Width = Annotated[int, Field(gt=0, le=2**16)]
"""Width of an embedding."""


def _alternatives(annotation: Any) -> set[Any]:
    """Return the types that an annotation allows, lists with their arguments.

    >>> _alternatives(Annotated[int, "rows"] | None) == {int, type(None)}
    True
    """
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return set().union(*map(_alternatives, get_args(annotation)))
    return {annotation}


def _number_instead_of(value: Any, annotation: Any) -> str | None:
    """Return what an annotation allows, if that is numbers and the value is a boolean or a list with a boolean."""
    allowed = _alternatives(annotation)
    if isinstance(value, bool) and not allowed & {bool, str, Any}:
        return "a number" if float in allowed else "an integer" if int in allowed else None
    if isinstance(value, list | tuple):
        lists = [get_args(type_) for type_ in allowed if get_origin(type_) in (list, tuple, Sequence)]
        numbers = [_number_instead_of(entry, type_) for types in lists for type_ in types for entry in value]
        return {"a number": "a list of numbers", "an integer": "a list of integers"}.get(
            next(filter(None, numbers), "")
        )
    return None


class Settings(BaseModel):
    """Frozen settings, checked on construction; a key that does not exist is an error that names the nearest one."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, populate_by_name=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _know_every_key(cls, values: Any) -> Any:
        known = [field.alias or name for name, field in cls.model_fields.items() if not field.exclude]
        for key in values if isinstance(values, dict) else ():
            if key not in known and key not in cls.model_fields:
                raise PydanticCustomError("unknown_key", "{message}", {"message": unknown_key(key, known)})
        return values

    @field_validator("*", mode="before")
    @classmethod
    def _keep_booleans_out_of_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false, which pydantic would turn into 1 and 0, as the value of a number or a list of them."""
        expected = _number_instead_of(value, cls.model_fields[str(info.field_name)].annotation)
        if expected is not None:
            raise PydanticCustomError("boolean", "must be {expected}, not true or false", {"expected": expected})
        return value
