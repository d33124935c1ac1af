"""The result of a check before training: a sentence with its level."""

from collections.abc import Iterable
from typing import NamedTuple

from ctr.errors import ConfigError
from ctr.schema.levels import Level


class Finding(NamedTuple):
    """A result of a check before training."""

    level: Level
    check: str
    sentence: str


def refuse_errors(findings: Iterable[Finding]) -> None:
    """Raise ConfigError if there are errors among the findings, a line for each."""
    if errors := [finding.sentence for finding in findings if finding.level == Level.ERROR]:
        raise ConfigError("\n".join(errors))
