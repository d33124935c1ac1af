"""YAML as configs are written: safe, strict, and bounded in what a few bytes may become; dotted keys into it."""

import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from ctr.config.messages import shown
from ctr.errors import ConfigError

MAX_CHARACTERS = 2**23  # a resolved config has some 300 for each feature
MAX_VALUES = 1_000_000  # aliases written out


def read(path: str | Path) -> dict[str, Any]:
    """The values of a config file, unchecked.

    Raises:
        ConfigError: the file is missing or not YAML, or is no mapping of keys.
    """
    try:
        values = parse(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such config file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a config is a mapping of keys. Received: {type(values).__name__}")
    return values


def copied(values: Any) -> Any:
    """The values anew; what is one mapping in two places by an alias, which a deep copy keeps, becomes two.

    >>> inner = {"a": 1}
    >>> copy = copied({"x": inner, "y": inner})
    >>> copy["x"] is copy["y"]
    False
    """
    if isinstance(values, dict):
        return {key: copied(value) for key, value in values.items()}
    return [copied(value) for value in values] if isinstance(values, list) else values


def parse_override(override: str) -> tuple[list[str], Any]:
    """The parts of the key, and the value, of a `KEY=VALUE` as `--set` takes it.

    Raises:
        ConfigError: it is none.
    """
    key, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"--set needs KEY=VALUE. Received: {override!r}")
    try:
        return split_key(key), parse(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"--set {shown(override)}: not understood: {' '.join(str(error).split())}") from error


def put(values: dict[str, Any], key: list[str], value: Any, told: str) -> None:
    """Set what stands at a key, whose parents are made where they are missing.

    Args:
        values: of a config; they are changed.
        key: its parts, as `split_key` gives them.
        value: to set.
        told: what asks for it, for the message.

    Raises:
        ConfigError: a parent is no mapping.
    """
    *parents, last = key
    for parent in parents:
        if values.get(parent) is None:
            values[parent] = {}
        values = values[parent]
        if not isinstance(values, dict):
            raise ConfigError(f"{told}: {parent!r} is not a mapping")
    values[last] = value


def put_default(values: dict[str, Any], key: Sequence[str], value: Any) -> None:
    """Set the value of a key that is absent, unless a parent is not a mapping."""
    *parents, last = key
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            return
    values.setdefault(last, value)


def split_key(key: str) -> list[str]:
    """Split at dots outside quotes.

    >>> split_key('optimizers.sparse."wide/*.x".l1')
    ['optimizers', 'sparse', 'wide/*.x', 'l1']

    Raises:
        ValueError: a part is empty, or a quote is not closed.
    """
    parts, quote = [""], ""
    for character in key:
        if quote:
            if character == quote:
                quote = ""
            else:
                parts[-1] += character
        elif character in "\"'":
            quote = character
        elif character == ".":
            parts.append("")
        else:
            parts[-1] += character
    if quote or not all(parts):
        raise ValueError(f"{key!r} is not a dotted key")
    return parts


def join_key(parts: Sequence[str]) -> str:
    """What `split_key` splits; parts that hold dots or `*` are quoted.

    >>> join_key(["optimizers", "sparse", "wide/*.x", "l1"])
    'optimizers.sparse."wide/*.x".l1'
    """
    return ".".join(part if re.fullmatch(r"[\w/-]+", part) else f'"{part}"' for part in parts)


def parse(text: str) -> Any:
    """What a YAML text says.

    Raises:
        yaml.YAMLError: it is not YAML, is too long or too deep, has a key twice, a value that is no value of its type,
            or aliases that become too many values; one line.
    """
    if len(text) > MAX_CHARACTERS:
        raise yaml.YAMLError(f"a config has at most {MAX_CHARACTERS:,} characters, this has {len(text):,}")
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise yaml.YAMLError(" ".join(str(error).replace('in "<unicode string>", ', "at ").split())) from error
    except RecursionError as error:
        raise yaml.YAMLError("nested too deep") from error


class _Loader(yaml.SafeLoader):
    """Safe, and strict: a key that is written twice is an error, where YAML would keep the last silently."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None and _count(node, {}) > MAX_VALUES:
            raise ConstructorError(None, None, f"more than {MAX_VALUES:,} values, aliases written out", node.start_mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int):
                str(value)  # Python refuses to write more than some thousand digits: no message could show them
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:  # no 2026-99-99, no !!int x
            tag = node.tag.rpartition(":")[2]
            raise ConstructorError(None, None, f"a value that is no {tag}: {error}", node.start_mark) from error
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
                seen.add(key)
        return super().construct_mapping(node, deep)


def _count(node: yaml.Node, counts: dict[int, int]) -> int:
    """Values below a node, those of an alias as often as it stands."""
    if id(node) not in counts:
        counts[id(node)] = MAX_VALUES  # what it is as long as it is not known: it may refer to itself
        children = [] if isinstance(node, yaml.ScalarNode) else node.value
        parts = [part for child in children for part in (child if isinstance(child, tuple) else (child,))]
        counts[id(node)] = 1 + sum(_count(part, counts) for part in parts)
    return counts[id(node)]
