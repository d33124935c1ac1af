"""One sentence of a pre-flight, and how bad it is."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from ctr.errors import ConfigError

Level = Literal["error", "warning", "fine"]
LEVELS: tuple[Level, ...] = ("error", "warning", "fine")


class Finding(NamedTuple):
    """An `error`: a training could not succeed; a `warning` to think about; or `fine`: looked at, nothing found."""

    level: Level
    check: str
    sentence: str


def refuse_errors(findings: Iterable[Finding]) -> None:
    """Raise ConfigError if there are errors among the findings, a line for each."""
    if errors := [finding.sentence for finding in findings if finding.level == "error"]:
        raise ConfigError("\n".join(errors))
