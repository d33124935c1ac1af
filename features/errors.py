"""The one exception that input data raises."""


class DataError(ValueError):
    """Input that cannot be used: the message names the file, row group, column and value, and what to do."""
