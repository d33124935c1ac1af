"""Severity of findings, before training and in a report."""

from enum import StrEnum


class Level(StrEnum):
    """Severity of a finding, the most severe first."""

    ERROR = "error"
    """Training would fail."""
    WARNING = "warning"
    """A problem to act on."""
    NOTE = "note"
    """A fact to know, or a check that has too few examples to decide."""
    OK = "ok"
    """The check passed."""

    @property
    def rank(self) -> int:
        """Position on the scale, 0 for the most severe level."""
        return list(Level).index(self)
