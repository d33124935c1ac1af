"""A first config from a dataset: reads it once and decides."""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from ctr.console import strip_control_characters
from ctr.errors import ConfigError
from ctr.starter.choices import Choice, choose
from ctr.starter.config_text import Starter
from ctr.starter.files import Sources, find_sources, shorten_paths
from ctr.starter.labels import Label, choose_label
from ctr.starter.leaks import labels_of, single_column_auc
from ctr.starter.models import propose
from ctr.starter.reading import TrainingData, read_training_data
from ctr.starter.roles import choose_group, choose_weight, leave_out_sparse_user, share_tables
from ctr.starter.sizes import sizes_for
from ctr.starter.splits import choose_split
from ctr.starter.times import as_time, dating
from features import RowGroup, files_of, list_files, open_data, read_tables

MAX_IGNORED = 3  # files that one note names
SHARED_COLUMNS = 0.5  # of a file's columns that it must have in common with the main files to belong to the dataset


def build_starter(paths: Sequence[str], label_name: str | None, model: str | None = None) -> tuple[Starter, list[str]]:
    """Read a dataset and decide what its first config says.

    Args:
        paths: files, globs and folders of one dataset.
        label_name: column with the label; None: the only column that can be it.
        model: type of the model; None: one that suits the size of the data.

    Returns:
        The content of the config, and notes for the user: paths that are ignored.

    Raises:
        ConfigError: there is no clear label, no column can be a feature, or the model is unknown or
            needs more categorical features.
        DataError: the data cannot be read.
    """
    sources = find_sources(paths)
    splits = {name: open_data(found, sources.root) for name, found in sources.splits.items()}
    notes = [f"ignored, not named after a split: {path}" for path in sources.ignored]
    if not sources.are_named:
        sources, splits, ignored = _one_schema(sources, splits)
        notes += ignored
    (first, train), *rest = splits.items()
    others = dict(rest)
    if others:  # a split without the label must not make it a column that files lack
        label = choose_label(read_training_data(train, {}), label_name)
        for name in [name for name, groups in others.items() if not _has_labels(groups, label.column)]:
            notes.append(f"ignored, no labels of both classes in {label.column!r}: {', '.join(sources.splits[name])}")
            del others[name]
        found = {name: paths for name, paths in sources.splits.items() if name in (first, *others)}
        sources = replace(sources, splits=found)
    data = read_training_data(train, others)
    label = choose_label(data, label_name)
    return _decide(paths, label_name, model, sources, data, label), notes


def _decide(
    paths: Sequence[str],
    label_name: str | None,
    model: str | None,
    sources: Sources,
    data: TrainingData,
    label: Label,
) -> Starter:
    columns = data.columns
    weight = choose_weight({name: column for name, column in columns.items() if name != label.column})
    inputs = {name: column for name, column in columns.items() if name not in (label.column, weight)}
    times = {name: time for name, column in inputs.items() if (time := as_time(column)) is not None}
    time = dating(times.values(), inputs)
    split = choose_split(sources, data, label.column, time)
    sample = columns[label.column].sample
    assert sample is not None
    labels = labels_of(sample)
    choices: list[Choice] = []
    for name, column in inputs.items():
        is_usable = column.problem is None and column.sample is not None
        auc = single_column_auc(column.sample, labels) if is_usable and column.sample is not None else None
        taken = {*columns, *(feature for choice in choices for feature in choice.features)}
        choices.append(choose(column, times.get(name), auc, taken))
    group = choose_group(inputs)
    choices = leave_out_sparse_user(share_tables(_unique_names(choices), columns), columns, group)
    if not any(choice.is_used for choice in choices):
        reasons = "; ".join(f"{choice.column}: {choice.note}" for choice in choices[:2]) or "there is no other column"
        raise ConfigError(f"{paths[0]}: no column can be a feature. {reasons}. Add columns that describe the examples.")
    sizes = sizes_for(data.rows, label.positive_rate)
    model_name = propose(model, sizes, _count_categories(choices))
    options = {"--label": label_name, "--model": model}
    arguments = [*paths, *(word for name, value in options.items() if value is not None for word in (name, value))]
    return Starter(
        _name(paths), arguments, sources, data, label, weight, split, choices, time, group, model_name, sizes
    )


def _count_categories(choices: list[Choice]) -> int:
    features = [settings for choice in choices if choice.is_used for settings in choice.features.values()]
    return sum(settings.get("type", "categorical") == "categorical" for settings in features)


def _unique_names(choices: list[Choice]) -> list[Choice]:
    """Return the choices with distinct feature names: a name that is not its column's gets a number if it is taken."""
    taken = {choice.column for choice in choices if choice.column in choice.features}
    unique = []
    for choice in choices:
        features = {}
        for name, settings in choice.features.items():
            candidate, number = name, 2
            while candidate in taken and candidate != choice.column:
                candidate, number = f"{name}_{number}", number + 1
            taken.add(candidate)
            features[candidate] = settings
        unique.append(replace(choice, features=features))
    return unique


def _has_labels(groups: list[RowGroup], label: str) -> bool:
    """Return True if every row of a split has a label of 0 or 1, and both occur."""
    if any(label not in file.schema.names for file in files_of(groups)):
        return False
    values: set[Any] = set()
    for _, table in read_tables(groups, [label]):
        values.update(table.column(label).unique().to_pylist())
        if len(values) > 2:
            return False
    return {str(int(value)) if isinstance(value, bool) else f"{value}".removesuffix(".0") for value in values} == {
        "0",
        "1",
    }


def _one_schema(
    sources: Sources, splits: dict[str, list[RowGroup]]
) -> tuple[Sources, dict[str, list[RowGroup]], list[str]]:
    """Return the dataset without files that have other columns, such as a table of items next to a log.

    The columns of most rows are those of the dataset. Files that share at least half of their columns belong to it.

    Raises:
        ConfigError: a path that the user named holds only files with other columns.
    """
    rows: dict[frozenset[str], int] = defaultdict(int)
    for group in splits["all"]:
        rows[frozenset(group.file.schema.names)] += group.rows
    main = max(rows, key=lambda names: (rows[names], len(names)))
    groups = [
        group
        for group in splits["all"]
        if len(main.intersection(group.file.schema.names)) >= SHARED_COLUMNS * len(main.union(group.file.schema.names))
    ]
    kept = [file.path for file in files_of(groups)]
    ignored = [file.path for file in files_of(splits["all"]) if file.path not in kept]
    if not ignored:
        return sources, splits, []
    paths = []
    for path in sources.splits["all"]:
        files = [os.path.normpath(name) for _, name in list_files(path)]
        kept_below = [name for name in files if name in kept]
        if files and not kept_below and len(sources.splits["all"]) > 1:
            raise ConfigError(
                f"{path}: has other columns than {kept[0]}, so both cannot be one dataset. Leave one of the two out."
            )
        paths += [path] if kept_below == files else shorten_paths(kept_below, files)
    more = f" and {len(ignored) - MAX_IGNORED} more" if len(ignored) > MAX_IGNORED else ""
    note = f"ignored, with other columns than {kept[0]}: {', '.join(ignored[:MAX_IGNORED])}{more}"
    return replace(sources, splits={"all": paths}), {"all": groups}, [note]


def _name(paths: Sequence[str]) -> str:
    """Return a name for the experiment: that of the folder or file, without what a folder's name cannot have."""
    parts = [part for part in PurePosixPath(paths[0].rpartition("://")[2]).parts if part not in ("/", ".", "..")]
    names = [part.partition(".")[0] if part.endswith(".parquet") else part for part in parts]
    telling = (
        [name for name in names if name not in ("data", "train") and not set(name) & set("*?[")]
        or names
        or ["experiment"]
    )
    name = strip_control_characters(telling[-1]).replace("\\", "_").replace("?", "_").lstrip(".")[:100]
    return name.strip() or "experiment"
