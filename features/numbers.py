"""Conversion of numbers of every type to float64."""

import numpy as np
import pyarrow as pa

EXACT_DIGITS = 15  # decimal digits that float64 always holds exactly
EXACT_POWERS = 22  # float64 holds powers of ten exactly up to this one


def signed_log1p(x: np.ndarray) -> np.ndarray:
    """Return sign(x) ln(1 + |x|), which is also defined for negative numbers; NaN stays NaN.

    >>> signed_log1p(np.array([0.0, np.e - 1, 1 - np.e])).tolist()
    [0.0, 1.0, -1.0]
    """
    return np.sign(x) * np.log1p(np.abs(x))


def as_array(numbers: pa.Array) -> np.ndarray:
    """Return float64 numbers as an array `[rows]`, with NaN for null."""
    return numbers.to_numpy(zero_copy_only=False)


def as_floats(column: pa.Array) -> pa.Array:
    """Return integers, floats, decimals or booleans as the nearest float64; nulls stay null.

    Arrow multiplies a decimal by a rounded power of ten and misses the nearest float in a third of all cases, so 1.16
    would differ from the 1.16 of a file with floats.

    >>> as_floats(pa.array([11600, None]).cast(pa.decimal128(23, 4)).cast(pa.decimal128(12, 4))).to_pylist()
    [11600.0, None]
    """
    type_ = column.type
    if not pa.types.is_decimal(type_):
        return column.cast(pa.float64(), safe=False)
    if pa.types.is_decimal128(type_) and type_.precision <= EXACT_DIGITS and 0 <= type_.scale <= EXACT_POWERS:
        low = np.frombuffer(column.buffers()[1], "<i8")[::2][column.offset : column.offset + len(column)]  # of 16 bytes
        return pa.array(low / 10.0**type_.scale, mask=column.is_null().to_numpy(zero_copy_only=False))
    return column.cast(pa.large_string()).cast(pa.float64())  # text is parsed to the nearest float
