"""The one scale of what checks find, before training and in a report."""

from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is, the worst first."""

    ERROR = "error"
    """Training could not succeed."""
    WARNING = "warning"
    """Something to act on."""
    NOTE = "note"
    """Something to know."""
    OK = "ok"
    """Checked, and nothing found."""

    @property
    def rank(self) -> int:
        """0 for the worst level, and so on."""
        return list(Level).index(self)
