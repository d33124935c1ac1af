"""Tables of settings, from attribute docstrings and from the signatures and `Args:` of constructors."""

import inspect
import itertools
import re
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from ctr.config.training import available_cpus
from features import ONE_AS_LIST, Settings
from generated_docs.markdown import table

LARGEST_BOUND = 10**5
"""Upper bounds above this are limits of the implementation, which no table mentions."""
NAMES = {str: "string", int: "integer", float: "number", bool: "`true` or `false`"}
FACTORIES = {available_cpus: "all CPUs"}
"""Function that computes a default -> the default in words."""
SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
"""Bound of a setting -> its sign."""
INLINE = ({"epochs", "steps"}, {"steps", "minutes"}, {"days", "hours", "minutes"}, {"skip"})
"""Keys of small mappings, which the description of their setting shows."""
FEATURE = "<feature>"
"""Placeholder for the name of a feature."""
PASSED = ("seed", "initializer", "name")
"""Arguments of constructors that the program passes, so that they are not keys."""


def settings_table(cls: type[Settings], *skipped: str, completed: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Return the table of a class of settings.

    Args:
        cls: class of the settings.
        skipped: names of fields to leave out.
        completed: values that the program fills in for missing keys.
    """
    return _table(settings_rows(cls, "", skipped, completed))


def constructor_section(name: str, make: Callable[..., Any], *skipped: str, heading: str = "") -> str:
    """Return the section of a registered model or optimizer: heading, summary with formula, table of arguments.

    Args:
        name: name in a config.
        make: class or function.
        skipped: arguments to leave out.
        heading: heading, if it is not the name.
    """
    rows = argument_rows(make, (*PASSED, *skipped))
    return f"### {heading or f'`{name}`'}\n\n{summary(documented(make))}\n\n{_table(rows)}"


def settings_rows(
    cls: type[Settings],
    prefix: str = "",
    skipped: Iterable[str] = (),
    completed: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[list[str]]:
    """Yield the rows of a table of settings; those of a nested mapping follow it with dotted keys.

    Args:
        cls: class of the settings.
        prefix: key of the settings, with a dot behind it.
        skipped: names of fields to leave out.
        completed: values that the program fills in for missing keys.

    Raises:
        ValueError: a setting has no description.
    """
    for name, field in cls.model_fields.items():
        if field.exclude or name in skipped:
            continue
        key = prefix + (field.alias or name)
        if not field.description:
            raise ValueError(f"{cls.__name__}.{name}: write a docstring under the setting")
        default = _default(field, completed.get(field.alias or name))
        yield _row(key, type_in_words(field.annotation, field.metadata), default, field.description)
        for nested in _nested(field.annotation):
            yield from settings_rows(nested, f"{key}.")


def argument_rows(make: Callable[..., Any], skipped: Iterable[str] = PASSED) -> Iterator[list[str]]:
    """Yield the rows of a table of a constructor's arguments, from its signature and the `Args:` of its docstring.

    Raises:
        ValueError: an argument has no entry under `Args:`.
    """
    described = described_arguments(documented(make))
    for parameter in inspect.signature(make, eval_str=True).parameters.values():
        if parameter.name in skipped or parameter.kind is parameter.VAR_KEYWORD:
            continue
        if not described.get(parameter.name):
            raise ValueError(f"{documented(make).__name__}: describe {parameter.name} under `Args:`")
        is_required = parameter.default is parameter.empty
        default = "required" if is_required else f"`{as_yaml(parameter.default)}`"
        type_ = _argument_type(parameter)
        yield _row(parameter.name, type_, default, _sentence(described[parameter.name]))


def described_arguments(target: Any) -> dict[str, str]:
    """Return argument -> description, of the `Args:` of a docstring."""
    _, _, after = (inspect.getdoc(target) or "").partition("\nArgs:\n")
    section = re.split(r"\n(?=\S)", after, maxsplit=1)[0]
    entries = re.split(r"\n(?=    \S)", section.rstrip())
    found = (re.match(r"\s*(\w+): (.*)", entry, re.DOTALL) for entry in entries)
    return {match[1]: " ".join(match[2].split()) for match in found if match}


def type_in_words(annotation: Any, bounds: Any = ()) -> str:
    """Return the type of a setting in words.

    >>> type_in_words(int | None), type_in_words(tuple[str, ...])
    ('integer or `null`', 'list of strings')
    >>> type_in_words(Annotated[list[str], ONE_AS_LIST])
    'string or list of strings'
    >>> type_in_words(Literal["keep", "drop"])
    '`keep` or `drop`'
    """
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = [bound for extra in args[1:] for bound in (extra.metadata if isinstance(extra, FieldInfo) else [extra])]
        return type_in_words(args[0], [*bounds, *inner])
    if origin in (Union, types.UnionType):
        members = sorted(args, key=lambda member: member is type(None))
        return _any_of([word for member in members for word in _alternatives(member, bounds)])
    if origin is Literal:
        return _any_of(_alternatives(annotation, bounds))
    if origin in (list, tuple):
        words = f"list of {_plural(args)}"
        return _any_of([*_members(args), words]) if ONE_AS_LIST in bounds else words
    if origin is dict or (isinstance(annotation, type) and issubclass(annotation, Settings)):
        return "mapping"
    return _with_bounds(NAMES.get(annotation, "value"), bounds)


def _alternatives(annotation: Any, bounds: Any) -> list[str]:
    """Return the values of a literal, or else the type in words."""
    if annotation is type(None):
        return ["`null`"]
    if annotation is bool:
        return ["`true`", "`false`"]
    is_literal = get_origin(annotation) is Literal
    return [f"`{value}`" for value in get_args(annotation)] if is_literal else [type_in_words(annotation, bounds)]


def _with_bounds(words: str, bounds: Any) -> str:
    """Return a type with its bounds, such as `integer ≥ 1` or `number > 0, < 1`."""
    limits = {name: getattr(bound, name) for bound in bounds for name in SIGNS if hasattr(bound, name)}
    limits = {name: limit for name, limit in limits.items() if name in ("gt", "ge") or limit <= LARGEST_BOUND}
    if words == "integer" and "gt" in limits:
        limits["ge"] = limits.pop("gt") + 1
    if limits.keys() == {"ge", "le"}:
        return f"{words} from {limits['ge']} to {limits['le']}"
    signs = ", ".join(f"{sign} {limits[name]}" for name, sign in SIGNS.items() if name in limits)
    return f"{words} {signs}".rstrip()


def _plural(args: tuple[Any, ...]) -> str:
    """Return the items of a list in words: the plurals of types, or values such as `a` or `b`."""
    is_fixed = len(args) > 1 and args[1] is not Ellipsis
    items = _members(args)
    plural = _any_of([_plural_of(item) for item in items])
    return f"{len(args)} {plural}" if is_fixed else plural


def _plural_of(item: str) -> str:
    """Return the plural of a type in words; values in backticks stay.

    >>> _plural_of("integer"), _plural_of("list of strings"), _plural_of("`trees`")
    ('integers', 'lists of strings', '`trees`')
    """
    if item.startswith("list"):
        return item.replace("list", "lists", 1)
    return item if item.endswith("`") else f"{item}s"


def _members(args: tuple[Any, ...]) -> list[str]:
    """Return the types that an item of a list can have, in words."""
    members = get_args(args[0]) if get_origin(args[0]) in (Union, types.UnionType) else args[:1]
    return [type_in_words(member).replace(" ≥ 0", "") for member in members]


def _any_of(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _nested(annotation: Any) -> Iterator[type[Settings]]:
    """Yield the classes of settings that a field holds, unless it is one of a registry or inline."""
    if isinstance(annotation, type) and not get_args(annotation) and issubclass(annotation, Settings):
        if annotation is not Settings and {*annotation.model_fields} not in INLINE:
            yield annotation
    elif get_origin(annotation) in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _nested(member)


def _default(field: FieldInfo, completed: Any) -> str:
    if completed is not None:
        return "the feature's name" if completed == FEATURE else f"`{as_yaml(completed)}`"
    if field.default_factory is not None:
        return FACTORIES[field.default_factory]  # type: ignore[index]
    if field.is_required():
        return "required"
    return f"`{as_yaml(field.default)}`"


def as_yaml(value: Any) -> str:
    """Return a value as a config would hold it, on one line."""
    if isinstance(value, Settings):
        value = value.model_dump(mode="json", exclude_none=True, by_alias=True)
    if isinstance(value, tuple):
        value = list(value)
    if isinstance(value, float):
        return f"{value:g}"
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)
    return re.sub(r"\b(\d+)\.0\b", r"\1", text.removesuffix("\n").removesuffix("\n..."))


def documented(make: Callable[..., Any]) -> Any:
    """Return the class or function that has the docstring."""
    return make.func if isinstance(make, partial) else make


def description(target: Any) -> str:
    """Return a docstring without its sections of arguments, calls and examples."""
    text = inspect.getdoc(target) or ""
    if not text:
        raise ValueError(f"{target.__name__}: write a docstring")
    return re.split(r"\n\n?(?=Args:|Call:|Raises:|Returns:|>>>)", text, maxsplit=1)[0].strip()


def summary(target: Any) -> str:
    """Return the first paragraph of a docstring, and the formulas below it; the Python API has the rest."""
    first, *others = description(target).split("\n\n")
    return "\n\n".join([first, *itertools.takewhile(lambda block: block.startswith("    "), others)])


def _argument_type(parameter: inspect.Parameter) -> str:
    if parameter.name == "learning_rate":
        return "number or schedule"
    if parameter.name == "base":
        return "a model"
    if parameter.name == "batch_norm":
        return "`true`, `false` or numbers"
    if parameter.name == "streams":
        return "mapping of `easy` and `hard` to a model"
    return type_in_words(parameter.annotation)


def _sentence(text: str) -> str:
    """Return the description of an argument as a cell: with a capital, a period and the words of YAML."""
    text = re.sub(r"(?<!`)\bNone\b(?!`)", "`null`", text)
    text = re.sub(r"(?<!`)\b(True|False|^true|^false)\b(?!`)", lambda match: f"`{match[1].lower()}`", text)
    text = text.replace("a Keras schedule", "a [schedule](config.md#learning-rate-schedules)")
    is_formula = re.match(r"(?!a )[A-Za-z]\b|\w*_|\w+\(", text)
    if not is_formula:
        text = text[:1].upper() + text[1:]
    return text if text.endswith(".") else f"{text}."


def _row(key: str, type_: str, default: str, meaning: str) -> list[str]:
    return [cell.replace("|", "\\|") for cell in (f"`{key}`", type_, default, " ".join(meaning.split()))]


def _table(rows: Iterable[list[str]]) -> str:
    return table(["key", "type", "default", "meaning"], rows)
