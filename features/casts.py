"""Casts of columns to another type, as set by `data.cast`."""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, field_validator

from features.errors import Advice, DataError
from features.numbers import as_floats
from features.ragged import list_lengths
from features.settings import Settings
from features.times import as_microseconds, date_texts
from features.types import innermost, is_bytes, is_list, is_number, is_text, is_uuid, type_name

LONGEST = 60  # characters of a value in an error
EXACT = 2**53  # float64 holds every integer up to here
HEX_DIGITS = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), "<u2")
UUID_PARTS = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))  # hexadecimal digits
DASH = pa.scalar("-", pa.large_string())
EXAMPLE = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)  # time on which formats are tried


class TimestampFormat(Settings):
    """Cast of text, or of integers such as 20260131, to timestamps."""

    timestamp: str
    """Format of Python's strptime, such as `%Y-%m-%d %H:%M:%S`, or `ISO8601`. With `%z` or `ISO8601` the timestamps are
    UTC; otherwise they have no time zone."""

    @field_validator("timestamp")
    @classmethod
    def _parses(cls, value: str) -> str:
        if "%Z" in value:
            raise ValueError(f"{value!r} has %Z, the name of a time zone. Use %z, its offset.")
        try:
            time = None if value == "mixed" else _parse(pa.array([_example_text(value)]), value)[0].as_py()
        except (ValueError, re.error) as error:
            raise ValueError(f"{value!r} is not a strptime format: {error}. Use a format such as %Y-%m-%d.") from error
        if time is None or time.year != EXAMPLE.year:
            raise ValueError(f"{value!r} has no year. Use a format such as %Y-%m-%d, or ISO8601.")
        return value

    def __str__(self) -> str:
        return f"timestamp {self.timestamp}"


def _known_cast(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"timestamp"}:
        return TimestampFormat.model_validate(value)
    if value not in ("text", "hex", "integer", "number") and not isinstance(value, TimestampFormat):
        raise ValueError("must be text, hex, integer, number or {timestamp: FORMAT}")
    return value


Cast = Annotated[Literal["text", "hex", "integer", "number"] | TimestampFormat, BeforeValidator(_known_cast)]
"""`text`: UTF-8 bytes, UUIDs, integers, booleans, dates. `hex`: bytes and UUIDs as lower-case digits. `integer`: floats
and decimals without a fraction, text. `number`: text, decimals, as float64. A timestamp: text, integers. What is in
lists is cast value by value."""

ACCEPTED = {
    "text": "text, binary, UUID, integers, decimals without a scale, booleans or dates",
    "hex": "binary or UUID",
    "integer": "integers, floats, decimals, booleans or text",
    "number": "integers, floats, decimals, booleans or text",
    "timestamp": "text, integers, timestamps or dates",
}


def cast_type(type_: pa.DataType, cast: Cast, where: str) -> pa.DataType:
    """Return the type of a column of `type_` after the cast; `where` names file and column in errors.

    Raises:
        DataError: the cast does not accept values of this type.
    """
    inner = innermost(type_)
    if not (pa.types.is_null(inner) or _accepts(cast, inner)):
        name = "timestamp" if isinstance(cast, TimestampFormat) else cast
        raise DataError(
            f"{where} has type {type_name(type_)}, but `cast: {name}` needs {ACCEPTED[name]}.",
            Advice("Use a different cast.", "Convert the column in the data."),
        )
    return _within_lists(type_, _target(cast))


def cast_column(column: pa.ChunkedArray, cast: Cast, where: str) -> pa.ChunkedArray:
    """Cast a column of a type that `cast_type` accepts; `where` names file, row group and column in errors.

    Nulls stay null. A number is rounded to the nearest float64, and a time to its microsecond.

    Raises:
        DataError: a value cannot be cast; the message names the first such value and counts them.
    """
    target = cast_type(column.type, cast, where)
    if column.type == target:
        return column
    return pa.chunked_array([_cast_array(column.combine_chunks(), cast, where)], target)


def cast_advice(column: str, type_: pa.DataType, use: Literal["category", "key", "number", "time"]) -> Advice:
    """Return the end of an error message: the cast that reads a column of `type_` as wanted, or other advice."""
    inner = innermost(type_)
    is_fraction = pa.types.is_floating(inner) or pa.types.is_decimal(inner)
    if use in ("category", "key") and (is_bytes(inner) or is_uuid(inner)):
        cast = f"To read it as text, set `data.cast: {{{column}: text}}` or `{{{column}: hex}}`."
        return Advice(cast, "Convert it to text in the data.")
    if use in ("category", "key") and is_fraction:
        number = "; for a number, use `type: numeric`" if use == "category" else ""
        return Advice(
            f"For ids, set `data.cast: {{{column}: integer}}`{number}.",
            "Convert it to integers in the data.",
            f'Pass `frame.astype({{"{column}": "Int64"}})`.' if inner is type_ else None,
        )
    if use == "number" and is_text(inner):
        return Advice(
            f"If the text holds numbers, set `data.cast: {{{column}: number}}`; otherwise convert the column first.",
            "Convert it to numbers in the data.",
            f'Pass `frame.astype({{"{column}": "float64"}})`.' if inner is type_ else None,
        )
    if use == "time" and (is_text(inner) or pa.types.is_integer(inner)):
        cast = f"To read text or integers, set `data.cast: {{{column}: {{timestamp: FORMAT}}}}`."
        frame = f'Pass `frame.astype({{"{column}": "datetime64[us]"}})`.' if is_text(type_) else None
        return Advice(cast, "Convert it to timestamps in the data.", frame)
    return Advice("Use another column.", "Convert it to its type in the training data.")


def common_cast(types: Iterable[pa.DataType]) -> Literal["text", "integer", "number"] | None:
    """Return the cast by which columns of all these types hold the same; None without such a cast.

    >>> common_cast([pa.int64(), pa.string()]), common_cast([pa.float64(), pa.string()])
    ('text', 'number')
    >>> common_cast([pa.int64(), pa.float64()]), common_cast([pa.int64(), pa.list_(pa.int64())])
    ('integer', None)
    """
    distinct = [type_ for type_ in dict.fromkeys(types) if not pa.types.is_null(innermost(type_))]
    if len({is_list(type_) for type_ in distinct}) != 1:
        return None
    inner = [innermost(type_) for type_ in distinct]
    has_text = any(map(is_text, inner))
    casts: tuple[Literal["text", "integer", "number"], ...] = ("text", "number") if has_text else ("integer", "text")
    return next((cast for cast in casts if all(_accepts(cast, type_) for type_ in inner)), None)


def to_hex(values: pa.Array) -> pa.LargeStringArray:
    r"""Return binary values or UUIDs as text, two lower-case hexadecimal digits per byte.

    >>> to_hex(pa.array([b"\x00\xff", None, b""])).to_pylist()
    ['00ff', None, '']
    """
    values = values.storage if is_uuid(values.type) else values
    values = pa.concat_arrays([values.cast(pa.large_binary())])  # copy, so that it starts at the start of its buffers
    validity, offsets, data = values.buffers()
    digits = HEX_DIGITS[np.frombuffer(data, np.uint8)] if data else np.empty(0, np.uint16)
    doubled = 2 * np.frombuffer(offsets, np.int64)[: len(values) + 1]
    buffers = [validity, pa.py_buffer(doubled), pa.py_buffer(digits)]
    return pa.Array.from_buffers(pa.large_string(), len(values), buffers)


def _accepts(cast: Cast, type_: pa.DataType) -> bool:
    types = pa.types
    if cast == "hex":
        return is_bytes(type_) or is_uuid(type_)
    if is_text(type_) or types.is_integer(type_):
        return True
    if cast == "text":
        is_whole = types.is_decimal(type_) and type_.scale == 0
        return is_whole or is_bytes(type_) or is_uuid(type_) or types.is_boolean(type_) or types.is_date(type_)
    if isinstance(cast, TimestampFormat):
        return types.is_timestamp(type_) or types.is_date(type_)
    return is_number(type_) or types.is_boolean(type_)


def _within_lists(type_: pa.DataType, target: pa.DataType) -> pa.DataType:
    """Return the target type, nested in as many lists as `type_`."""
    return pa.large_list(pa.field("element", _within_lists(type_.value_type, target))) if is_list(type_) else target


def _target(cast: Cast) -> pa.DataType:
    if isinstance(cast, TimestampFormat):
        return pa.timestamp("us", "UTC" if _has_zone(cast.timestamp) else None)
    return {"integer": pa.int64(), "number": pa.float64()}.get(cast, pa.large_string())


def _cast_array(values: pa.Array, cast: Cast, where: str) -> pa.Array:
    if pa.types.is_null(values.type):
        return values.cast(_target(cast))
    if is_list(values.type):
        offsets = pa.array(np.concatenate([[0], np.cumsum(list_lengths(values))]).astype(np.int64))
        flat = _cast_array(pc.list_flatten(values), cast, where)
        type_ = pa.large_list(pa.field("element", flat.type))
        return pa.LargeListArray.from_arrays(offsets, flat, type=type_, mask=values.is_null())
    if isinstance(cast, TimestampFormat):
        if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
            return as_microseconds(values, where).cast(pa.int64()).cast(_target(cast))
        return _timestamps(values, cast.timestamp, where)
    if cast == "hex":
        return to_hex(values)
    return {"text": _text, "integer": _integers, "number": _numbers}[cast](values, where)


def _text(values: pa.Array, where: str) -> pa.Array:
    if is_uuid(values.type):
        digits = to_hex(values)
        return pc.binary_join_element_wise(*(pc.utf8_slice_codeunits(digits, *part) for part in UUID_PARTS), DASH)
    if pa.types.is_date(values.type):
        return date_texts(values)
    if pa.types.is_fixed_size_binary(values.type):
        values = values.cast(pa.large_binary())
    return _convert(
        values, lambda subset: subset.cast(pa.large_string()), where, "is not UTF-8 (`hex` reads any bytes)"
    )


def _integers(values: pa.Array, where: str) -> pa.Array:
    rule = "is not a 64-bit integer"
    if pa.types.is_decimal(values.type):
        _check(values, pc.equal(values, pc.trunc(values)), where, "has a fraction")
    if pa.types.is_floating(values.type):
        values = values.cast(pa.float64())
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, pa.float64()), values)
        _check(values, pc.is_finite(values), where, rule)
        _check(
            values,
            pc.less_equal(pc.abs(values), float(EXACT)),
            where,
            "is above 2^53, where not every integer is a float",
        )
        _check(values, pc.equal(values, pc.trunc(values)), where, "has a fraction")
    if is_text(values.type):  # because Arrow also reads hexadecimal digits
        _check(values, pc.match_substring_regex(values, "^-?[0-9]+$"), where, rule)
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    return _convert(values, lambda subset: subset.cast(pa.int64()), where, rule)


def _numbers(values: pa.Array, where: str) -> pa.Array:
    return _convert(values, as_floats, where, "is not a number")


def _timestamps(values: pa.Array, format_: str, where: str) -> pa.Array:
    encoded = values.cast(pa.large_string()).dictionary_encode()
    texts = encoded.dictionary
    if pa.types.is_integer(values.type):  # integers lack leading zeros
        texts = pc.utf8_lpad(texts, len(_example_text(format_)), "0")
    times = _parse(texts, format_).take(encoded.indices)
    _check(values, pc.or_(times.is_valid(), values.is_null()), where, f"is not a time in the format {format_}")
    return times


def _parse(texts: pa.Array, format_: str) -> pa.Array:
    """Return texts as timestamps in microseconds; null where a text does not fit the format."""
    candidates = pc.if_else(pc.match_substring_regex(texts, "[0-9]"), texts, "")  # pandas accepts `now`
    times = _by_pandas(candidates, format_)
    if 0 < times.null_count < len(times):  # other texts with nanoseconds limit the range to 2262
        separate = _by_pandas(candidates.filter(times.is_null()), format_)
        times = pc.replace_with_mask(times, times.is_null(), separate)
    return times


def _by_pandas(texts: pa.Array, format_: str) -> pa.Array:
    times = pd.to_datetime(texts.to_pylist(), format=format_, errors="coerce", utc=_has_zone(format_))
    return pa.array(times.as_unit("us"), pa.timestamp("us", "UTC" if _has_zone(format_) else None))


def _example_text(format_: str) -> str:
    return EXAMPLE.isoformat() if format_ == "ISO8601" else EXAMPLE.strftime(format_)


def _has_zone(format_: str) -> bool:
    return format_ == "ISO8601" or "%z" in format_


def _convert(values: pa.Array, convert: Callable[[pa.Array], pa.Array], where: str, rule: str) -> pa.Array:
    """Convert all values; if that fails, raise DataError for the values that fail by themselves."""
    try:
        return convert(values)
    except pa.ArrowException:
        encoded = values.dictionary_encode()
        is_good = np.ones(len(encoded.dictionary), bool)
        _find_bad(encoded.dictionary, convert, is_good)
        _check(values, pa.array(is_good).take(encoded.indices), where, rule)
        raise


def _find_bad(values: pa.Array, convert: Callable[[pa.Array], pa.Array], is_good: np.ndarray) -> None:
    """Set `is_good` to False for each value that cannot be converted, halving the values until one is left."""
    try:
        convert(values)
    except pa.ArrowException:
        half = len(values) // 2
        if half:
            _find_bad(values[:half], convert, is_good[:half])
            _find_bad(values[half:], convert, is_good[half:])
        else:
            is_good[0] = False


def _check(values: pa.Array, is_good: pa.Array, where: str, rule: str) -> None:
    """Raise DataError unless all values are good; nulls are good."""
    is_bad = pc.invert(pc.fill_null(is_good, True))
    if pc.any(is_bad).as_py():
        value, count = values[pc.index(is_bad, True).as_py()].as_py(), pc.sum(is_bad).as_py()
        text = repr(value) if isinstance(value, str | bytes) else str(value)
        text = text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
        message = f"{where} holds {text} ({count:,} such values), which {rule}."
        raise DataError(message, Advice("Correct the data or the cast.", "Correct the data."))
