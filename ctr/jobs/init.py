"""`ctr init`: print a first config for a dataset."""

import sys
from collections.abc import Sequence

from ctr.console import strip_control_characters
from ctr.starter.build import build_starter
from ctr.starter.config_text import Starter, config_text


def init(paths: Sequence[str], label: str | None = None, model: str | None = None) -> None:
    """Print a config for the files of a dataset to stdout, and what it leaves out to stderr. Nothing is written.

    Args:
        paths: files, globs and folders of one dataset.
        label: column with the label; None: the only column that can be it.
        model: type of the model; None: one that suits the size of the data.

    Raises:
        ConfigError: there is no clear label, no column can be a feature, or the model is unknown or
            needs more categorical features.
        DataError: the data cannot be read.
    """
    starter, notes = build_starter(paths, label, model)
    sys.stdout.write(config_text(starter))
    sys.stdout.flush()
    for line in [*notes, *_summary(starter)]:
        print(strip_control_characters(line), file=sys.stderr)


def _summary(starter: Starter) -> list[str]:
    """Return the lines that tell a user what to check first."""
    rows = "training rows" if starter.sources.are_named else "rows"
    label, used = starter.label, sum(choice.is_used for choice in starter.choices)
    return [
        f"{starter.data.rows:,} {rows}, label {label.column!r} ({100 * label.positive_rate:.3g}% positive), splits "
        f"{starter.split.name}, {used} of {len(starter.choices)} other columns used",
        *(f"left out {choice.column!r}: {choice.note}" for choice in starter.choices if not choice.is_used),
    ]
