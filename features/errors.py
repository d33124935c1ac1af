"""Error raised for invalid input data."""


class DataError(ValueError):
    """Input data that cannot be used; the message names the file, row group, column and value, and what to do."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its class if the message is empty."""
    return (str(error).splitlines() or [type(error).__name__])[0]
