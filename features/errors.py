"""Error raised for invalid input data."""

LONGEST = 100  # characters of an error of a library


class DataError(ValueError):
    """Input data that cannot be used; the message names the file, row group, column and value, and what to do."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error of a library, cut to LONGEST characters, or its class if it is empty."""
    line = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return line if len(line) <= LONGEST else f"{line[:LONGEST].rstrip()} ..."
