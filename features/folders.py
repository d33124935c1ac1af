"""`key=value` folders -> columns."""

import datetime
import re

import pyarrow as pa


def folder_values(below: list[str], text: set[str]) -> list[dict[str, pa.Scalar]]:
    """The `key=value` folders of each path, as scalars: integers or dates where all values of a key are such."""
    pairs = [dict(part.split("=", 1) for part in path.split("/")[:-1] if "=" in part) for path in below]
    keys = dict.fromkeys(key for row in pairs for key in row)
    types = {key: _type_of([row[key] for row in pairs if key in row]) for key in keys}
    types |= {key: pa.large_string() for key in keys if key in text}
    return [{key: _scalar(text, types[key]) for key, text in row.items()} for row in pairs]


def _type_of(texts: list[str]) -> pa.DataType:
    texts = [text for text in texts if text != "__HIVE_DEFAULT_PARTITION__"]
    if not texts:
        return pa.null()
    if all(re.fullmatch(r"-?(0|[1-9]\d{0,17})", text) for text in texts):
        return pa.int64()
    return pa.date32() if all(map(_is_date, texts)) else pa.large_string()


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return re.fullmatch(r"\d{4}-\d\d-\d\d", text) is not None


def _scalar(text: str, type_: pa.DataType) -> pa.Scalar:
    if text == "__HIVE_DEFAULT_PARTITION__":
        return pa.scalar(None, type_)
    if pa.types.is_date(type_):
        return pa.scalar(datetime.date.fromisoformat(text), type_)
    return pa.scalar(int(text) if pa.types.is_integer(type_) else text, type_)
