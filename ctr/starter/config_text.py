"""The text of a first config, with comments."""

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from ctr.console import strip_control_characters
from ctr.starter.choices import Choice
from ctr.starter.files import Sources
from ctr.starter.labels import Label
from ctr.starter.models import PROPOSALS, WIDE
from ctr.starter.reading import TrainingData
from ctr.starter.roles import RESERVED
from ctr.starter.sizes import Sizes
from ctr.starter.splits import SplitChoice
from ctr.starter.times import TimeColumn

WIDTH = 118  # of a comment line
MIN_COLUMN, MAX_COLUMN = 30, 70  # where comments of features begin


@dataclass(frozen=True)
class Starter:
    """Everything that a first config says."""

    name: str
    arguments: list[str]
    """Arguments of the command that made it."""
    sources: Sources
    data: TrainingData
    label: Label
    weight: str | None
    split: SplitChoice
    choices: list[Choice]
    time: TimeColumn | None
    """Time of the examples."""
    group: str | None
    model: str
    """Type of the model."""
    sizes: Sizes


def config_text(starter: Starter) -> str:
    """Return the config as YAML text that `ctr.load_experiment` accepts."""
    sections = [_header(starter), _data(starter), _features(starter), _model(starter), _report(starter)]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def scalar(value: Any) -> str:
    """Return a value as YAML in one line, which is read back as the same value.

    >>> scalar("user id"), scalar("no"), scalar({"type": "numeric", "column": "a: b"}), scalar([0.8, 0.1])
    ('user id', '"no"', '{type: numeric, column: "a: b"}', '[0.8, 0.1]')
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(str(key))}: {scalar(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(scalar, value)) + "]"
    if not isinstance(value, str):
        text = str(value).lower()  # true, false and numbers
        return text if "." in text else text.replace("e", ".0e") if isinstance(value, float) else text
    is_plain = re.fullmatch(r"[A-Za-z_./][\w ./-]*(?<! )", value, re.ASCII) is not None
    if is_plain and yaml.safe_load(value) == value:
        return value
    return yaml.safe_dump(value, default_style='"', allow_unicode=True, width=10**9).strip()


def _comment(text: str) -> list[str]:
    """Return the lines of a comment, each after `# `."""
    lines: list[str] = []
    for word in _one_line(text).split():
        if lines and len(lines[-1]) + len(word) < WIDTH - 2:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return [f"# {line}" for line in lines]


def _one_line(text: str) -> str:
    return strip_control_characters(re.sub(r"[\r\n\x85\u2028\u2029]", "?", text))


def _indented(lines: Iterable[str], spaces: int) -> list[str]:
    return [" " * spaces + line for line in lines]


def _header(starter: Starter) -> list[str]:
    data = starter.data
    command = _one_line(shlex.join(["ctr", "init", *starter.arguments]))
    sampled = (
        ""
        if data.sampled_rows >= data.rows
        else (f" Shapes of numbers and the AUC of single columns come from a sample of {data.sampled_rows:,} rows.")
    )
    rows = f"{data.rows:,} {'training rows' if starter.sources.are_named else 'rows'}"
    named = [split for split in starter.sources.splits if split not in ("all", "train")]
    others = f" Only columns and labels of {' and '.join(named)} were read." if named else ""
    dated = "" if starter.time is None else f", {starter.time.span}"
    return [
        f"# Made by: {command}",
        "#",
        *_comment(f"Read {rows} in {data.files:,} file(s), {len(data.columns)} columns{dated}.{others}{sampled}"),
        *_comment(
            "A comment says what each column holds and why it is used so. Check these guesses, above all that every "
            "feature is known before the label. Then:"
        ),
        "#   ctr inspect THIS_FILE    lists what would go wrong",
        "#   ctr train THIS_FILE      trains, and writes a report",
        f"name: {scalar(starter.name)}",
        "seed: 1",
    ]


def _data(starter: Starter) -> list[str]:
    sources, label = starter.sources, starter.label
    lines = ["data:"]
    if sources.root is not None:
        lines.append(f"  root: {scalar(sources.root)}")
    for split, paths in sources.splits.items():
        key = "path" if split == "all" else split
        lines += _paths(key, paths)
    lines += _indented(_comment(starter.split.reason), 2)
    if starter.split.settings is not None:
        lines.append(f"  split: {scalar(starter.split.settings)}")
    lines.append(f"  label: {scalar(label.column)}  # {100 * label.positive_rate:.3g}% positive; {label.reason}")
    if kept := _kept(starter):
        lines.append(f"  keep: {scalar(kept)}  # columns that are copied into the score files")
    if starter.weight is not None:
        lines.append(f"  weight: {scalar(starter.weight)}  # by its name")
    casts = {
        choice.column: choice.cast
        for choice in starter.choices
        if choice.cast is not None and _is_read(starter, choice)
    }
    if label.cast is not None:
        casts[label.column] = label.cast
    if casts:
        lines += [
            "  cast:  # types to read columns as",
            *(f"    {scalar(name)}: {scalar(cast)}" for name, cast in casts.items()),
        ]
    return lines


def _paths(key: str, paths: list[str]) -> list[str]:
    """Return the lines of a setting that names files: one line, or a line for each of many."""
    line = f"  {key}: {scalar(paths[0] if len(paths) == 1 else paths)}"
    return [line] if len(paths) == 1 or len(line) <= WIDTH else [f"  {key}:", *(f"    - {scalar(p)}" for p in paths)]


def _kept(starter: Starter) -> list[str]:
    """Return the time and the ids of rows, for who joins or plots scores."""
    time = [] if starter.time is None else [starter.time.name]
    return [
        name
        for name in [*time, *(choice.column for choice in starter.choices if choice.is_key)]
        if name not in RESERVED
    ]


def _is_read(starter: Starter, choice: Choice) -> bool:
    """Return True if the config reads a column, so that its cast has a use."""
    return choice.is_used or choice.is_key or (starter.time is not None and choice.column == starter.time.name)


def _features(starter: Starter) -> list[str]:
    lines = [
        "features:",
        f"  defaults: {{dim: {starter.sizes.dim}}}  # width of the embeddings",
        "  columns:",
    ]
    used = [
        (f"{scalar(name)}: {scalar(settings)}", choice.note)
        for choice in starter.choices
        if choice.is_used
        for name, settings in choice.features.items()
    ]
    left_out = [choice for choice in starter.choices if not choice.is_used]
    at = min(max((len(text) for text, _ in used), default=0), MAX_COLUMN)
    lines += [f"    {text:<{max(at, MIN_COLUMN)}}  # {_one_line(note)}" for text, note in used]
    if left_out:
        lines += ["    # Left out. To use a column nevertheless, remove the # before its line.", *_left_out(left_out)]
    return lines


def _left_out(choices: list[Choice]) -> list[str]:
    lines = []
    for choice in choices:
        note = _one_line(choice.note)
        lines += [f"    # {scalar(name)}: {scalar(settings)}  # {note}" for name, settings in choice.features.items()]
        if not choice.features:
            lines.append(f"    #   {_one_line(choice.column)}: {note}")
    return lines


def _model(starter: Starter) -> list[str]:
    name, sizes, proposal = starter.model, starter.sizes, PROPOSALS[starter.model]
    rate = f"{100 * starter.label.positive_rate:.3g}% positive"
    others = ", ".join(other for other in PROPOSALS if other != name)
    return [
        *_comment(f"{proposal.title}: {proposal.description}. Settings for {starter.data.rows:,} rows, {rate}."),
        "model:",
        f"  type: {name}  # `ctr init --model NAME` has settings for others: {others}",
        *(f"  {key}: {scalar(value)}" for key, value in proposal.settings(sizes).items()),
        "optimizers:",
        "  sparse:  # for embedding tables, by name",
        *_tables(name, sizes),
        f"  dense: {{type: adam, learning_rate: 0.001}}  # for {proposal.dense}",
        "training:",
        f"  batch_size: {sizes.batch_size}",
        f"  epochs: {sizes.epochs}  # at most; training stops when the monitor no longer improves",
        f"  early_stopping: {{metric: {sizes.metric}, patience: 2}}  # the monitor, on validation",
        f"  reduce_lr_on_plateau: {{factor: {sizes.factor}}}  # after each epoch without improvement",
    ]


def _tables(name: str, sizes: Sizes) -> list[str]:
    """Return the lines of the optimizers of embedding tables."""
    lines = []
    if name != "linear":
        tables = {"type": "rmsprop_v2", "learning_rate": sizes.learning_rate, "l2_gradient": sizes.l2_gradient}
        lines = [
            f'    "*": {scalar(tables)}',
            "    # Fewer embeddings to deploy: FTRL and group-lasso Adagrad set unneeded ones to zero.",
            '    # "*": {type: ftrl, learning_rate: 0.05, l1: 0.001}',
            '    # "*": {type: group_lasso_adagrad, learning_rate: 0.05, l21: 0.001}',
        ]
    if PROPOSALS[name].has_wide_weights:
        lines.append(f'    "wide/*": {scalar(WIDE)}')
    return lines


def _report(starter: Starter) -> list[str]:
    lines = ["report:"]
    if starter.group is not None:
        lines.append(f"  group: {scalar(starter.group)}  # GAUC ranks within each of its values")
    if starter.time is not None:
        time = starter.time
        unit = {} if time.unit is None else {"time_unit": time.unit}
        lines.append(f"  time: {scalar({'column': time.name, 'by': time.period, **unit})}  # for drift over time")
    return lines if len(lines) > 1 else []
