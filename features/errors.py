"""The one exception that input data raises."""


class DataError(ValueError):
    """Input that cannot be used: the message names the file, row group, column and value, and what to do."""


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]
