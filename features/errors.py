"""Error raised for invalid input data."""

from typing import NamedTuple

LONGEST = 100  # characters of an error of a library


class Advice(NamedTuple):
    """Advice on an error: the end of its message."""

    settings: str
    """Advice if settings can change."""
    data: str
    """Advice if they cannot, because they are those of a trained run."""
    frame: str | None = None
    """The same for a pandas DataFrame; None for `data`."""


class DataError(ValueError):
    """Input data that cannot be used; the message names the file, row group, column and value, and what to do.

    Args:
        message: the message, or its beginning if there is advice.
        advice: end of the message, if it depends on whether settings can change.
    """

    def __init__(self, message: str, advice: Advice | None = None) -> None:
        super().__init__(message if advice is None else _joined(message, advice.settings))
        self.message, self.advice = message, advice

    def with_fixed_settings(self, is_frame: bool = False) -> "DataError":
        """Return the error with advice for data of a trained run, whose settings cannot change.

        Args:
            is_frame: True if the data is a pandas DataFrame.
        """
        if self.advice is None:
            return self
        advice = self.advice.frame if is_frame and self.advice.frame else self.advice.data
        return DataError(_joined(self.message, advice))


CORRECT_ROWS = Advice("Correct the rows, or set `data.bad_rows`.", "Correct the rows.")
"""Advice if single rows cannot be used."""


def _joined(message: str, advice: str) -> str:
    return f"{message}{advice}" if message.endswith("\n") else f"{message} {advice}"


def first_line(error: BaseException) -> str:
    """Return the first line of an error of a library, cut to LONGEST characters, or its class if it is empty."""
    line = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return line if len(line) <= LONGEST else f"{line[:LONGEST].rstrip()} ..."
