"""Strict, safe YAML with bounds on its size after aliases are expanded, and dotted keys into it."""

import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from ctr.config.messages import shorten
from ctr.errors import ConfigError
from features.errors import first_line

LONGEST = 120  # characters of what is wrong in YAML
WORDS = {
    "'<stream end>'": "the end",
    "<block end>": "the end of a block",
    "a flow sequence": "a list in brackets",
    "a flow mapping": "a mapping in braces",
    "a block mapping": "a mapping",
    "a block collection": "a list",
}
"""Word of the YAML standard in an error -> plain words."""
PARQUET = b"PAR1"  # first bytes of a file
MAX_CHARACTERS = 2**23  # a resolved config has about 300 per feature
MAX_VALUES = 1_000_000  # with aliases expanded


def read(path: str | Path) -> dict[str, Any]:
    """Return the values of a config file, unchecked.

    Raises:
        ConfigError: the file is missing, is not YAML, or is not a mapping.
    """
    try:
        values = parse(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such config file. Check the path.") from error
    except IsADirectoryError as error:
        config = Path(path) / "config.yaml"
        advice = f"Use {config}." if config.is_file() else f"For a dataset, run `ctr init {path}`, which prints one."
        raise ConfigError(f"{path}: a folder, expected a config, which is a YAML file. {advice}") from error
    except UnicodeDecodeError as error:
        if Path(path).read_bytes()[:4] == PARQUET:
            advice = f"Run `ctr init {path}`, which prints one."
            raise ConfigError(f"{path}: a Parquet file, expected a config, which is a YAML file. {advice}") from error
        raise ConfigError(f"{path}: cannot read the config: {first_line(error)}. Use a YAML file in UTF-8.") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the config: {first_line(error)}. Use a YAML file in UTF-8.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: invalid YAML: {_with_advice(str(error))}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a config must be a mapping of keys. Received: {type(values).__name__}")
    return values


def deep_copy(values: Any) -> Any:
    """Return a copy of the values in which a mapping that two aliases share becomes two mappings.

    >>> inner = {"a": 1}
    >>> copy = deep_copy({"x": inner, "y": inner})
    >>> copy["x"] is copy["y"]
    False
    """
    if isinstance(values, dict):
        return {key: deep_copy(value) for key, value in values.items()}
    return [deep_copy(value) for value in values] if isinstance(values, list) else values


def list_overrides(overrides: str | Sequence[str] | None) -> list[str]:
    """Return the `KEY=VALUE` texts of `--set`, or of an argument `overrides`, where one text is a list of one.

    Raises:
        ConfigError: it is something else, such as a mapping.
    """
    if isinstance(overrides, str):
        return [overrides]
    if not isinstance(overrides, list | tuple | None) or not all(isinstance(text, str) for text in overrides or ()):
        raise ConfigError(
            f'overrides: must be a list of texts, such as ["training.epochs=3"]. Received: {shorten(overrides)}'
        )
    return list(overrides or ())


def parse_override(override: str) -> tuple[list[str], Any]:
    """Return the parts of the key, and the value, of a `KEY=VALUE` of `--set`.

    Raises:
        ConfigError: the text is not of this form.
    """
    key, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"--set: must be KEY=VALUE, such as training.epochs=3. Received: {shorten(override)}")
    try:
        return split_key(key), parse(text)
    except (ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"--set {shorten(override)}: {_with_advice(str(error))}") from error


def put(values: dict[str, Any], key: list[str], value: Any, where: str) -> None:
    """Set the value of a key in place, and add missing parents.

    Args:
        values: values of a config.
        key: parts of the key, as `split_key` returns them.
        value: the new value.
        where: origin of the change, for the message.

    Raises:
        ConfigError: a parent is not a mapping.
    """
    *parents, last = key
    for parent in parents:
        if values.get(parent) is None:
            values[parent] = {}
        values = values[parent]
        if not isinstance(values, dict):
            raise ConfigError(
                f"{where}: {parent!r} is not a mapping. Use a key of the config, such as training.epochs."
            )
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
    """Split a dotted key at the dots outside quotes.

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
        raise ValueError(f"{key!r} is not a dotted key. Use a key such as training.epochs.")
    return parts


def join_key(parts: Sequence[str]) -> str:
    """Return the dotted key of parts, the inverse of `split_key`; parts that contain dots or `*` are quoted.

    >>> join_key(["optimizers", "sparse", "wide/*.x", "l1"])
    'optimizers.sparse."wide/*.x".l1'
    """
    return ".".join(part if re.fullmatch(r"[\w/-]+", part) else f'"{part}"' for part in parts)


def parse(text: str) -> Any:
    """Return the value of a YAML text.

    Raises:
        yaml.YAMLError: the text is not YAML, too long or too deep, or has a duplicate key, an invalid value, or aliases
            that expand to too many values; the message is one line.
    """
    if len(text) > MAX_CHARACTERS:
        raise yaml.YAMLError(f"{len(text):,} characters, expected at most {MAX_CHARACTERS:,}")
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        raise yaml.YAMLError(_with_place(error)) from error
    except yaml.YAMLError as error:
        raise yaml.YAMLError(" ".join(str(error).replace('in "<unicode string>", ', "at ").split())) from error
    except RecursionError as error:
        raise yaml.YAMLError("nested too deeply") from error


def _with_place(error: yaml.MarkedYAMLError) -> str:
    """Return the message of an error in YAML: its place, which is never cut, then what is wrong there."""
    problem = " ".join((error.problem or error.context or "invalid").split())
    problem = problem if len(problem) <= LONGEST else f"{problem[:LONGEST].rstrip()} ..."
    mark, start = error.problem_mark or error.context_mark, error.context_mark
    if problem.startswith("but "):
        problem = f"{error.context}, {problem}"
    elif error.problem and error.context and start:
        problem += f" {error.context}"
        problem += f" that starts at {_place(start)}" if mark and mark.line != start.line else ""
    for word, plain in WORDS.items():
        problem = problem.replace(word, plain)
    return f"{_place(mark)}: {problem}" if mark else problem


def _place(mark: yaml.Mark) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _with_advice(message: str) -> str:
    """Return the message of an error in YAML as one line that ends with what to do."""
    line = " ".join(message.split())
    if line.endswith(("for example.", "epochs.")):
        return line
    line = line if line.endswith("...") else f"{line.rstrip('.')}."
    if "while scanning an alias" in line or "undefined alias" in line:
        return f"{line} Quote text that starts with `*`, or correct this place."
    return f"{line} Correct this place."


class _Loader(yaml.SafeLoader):
    """Safe loader that refuses duplicate keys, of which YAML would silently keep the last."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None and _count(node, {}) > MAX_VALUES:
            raise ConstructorError(None, None, f"aliases expand to more than {MAX_VALUES:,} values", node.start_mark)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int):
                str(value)  # Python refuses to print thousands of digits, so no message could show them
        except (
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ) as error:  # no 2026-99-99, no !!int x
            tag = node.tag.rpartition(":")[2]
            raise ConstructorError(None, None, f"invalid {tag}: {first_line(error)}", node.start_mark) from error
        return value

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen:
                    raise ConstructorError(None, None, f"duplicate key {key!r}", key_node.start_mark)
                seen.add(key)
        return super().construct_mapping(node, deep)


def _count(node: yaml.Node, counts: dict[int, int]) -> int:
    """Return the number of values below a node, with the values of an alias counted at each use."""
    if id(node) not in counts:
        counts[id(node)] = MAX_VALUES  # until it is known, because the node may refer to itself
        children = [] if isinstance(node, yaml.ScalarNode) else node.value
        parts = [part for child in children for part in (child if isinstance(child, tuple) else (child,))]
        counts[id(node)] = 1 + sum(_count(part, counts) for part in parts)
    return counts[id(node)]
