"""Arrow types by the meaning of their values, whatever their width or encoding."""

import pyarrow as pa


def is_text(type_: pa.DataType) -> bool:
    """Return True for strings."""
    return pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_)


def is_bytes(type_: pa.DataType) -> bool:
    """Return True for binary values other than UUIDs."""
    types = pa.types
    is_binary = types.is_binary(type_) or types.is_large_binary(type_) or types.is_binary_view(type_)
    return is_binary or types.is_fixed_size_binary(type_)


def is_uuid(type_: pa.DataType) -> bool:
    """Return True for UUIDs."""
    return isinstance(type_, pa.UuidType)


def is_list(type_: pa.DataType) -> bool:
    """Return True for lists of every kind."""
    return pa.types.is_list(type_) or pa.types.is_large_list(type_) or pa.types.is_fixed_size_list(type_)


def is_number(type_: pa.DataType) -> bool:
    """Return True for integers, floats and decimals."""
    return pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)


def innermost(type_: pa.DataType) -> pa.DataType:
    """Return the type of the values inside lists, or the type itself if it is not a list."""
    return innermost(type_.value_type) if is_list(type_) else type_


def type_name(type_: pa.DataType) -> str:
    """Return the name of a type for messages, without the width of its offsets.

    >>> type_name(pa.large_list(pa.large_string())), type_name(pa.uuid())
    ('list<item: string>', 'uuid')
    """
    return str(type_).replace("large_", "").replace("extension<arrow.uuid>", "uuid")
