"""Fitting and encoding of a table, value by value in plain Python, without Arrow kernels, indexes or blocks."""

import math
from collections import Counter
from datetime import UTC, date, datetime

import numpy as np
import tensorflow as tf

FEATURES = {
    "user": {"vocabulary": {"min_count": 2}, "dim": 4},
    "item": {"table": "item", "missing": [""], "dim": 4},
    "word": {"hash": 11, "dim": 4},
    "shop": {"identity": 5, "dim": 4},
    "hour": {"column": "at", "part": "hour", "dim": 4},
    "history": {"type": "sequence", "table": "item", "max_length": 3, "dim": 4},
    "price": {"type": "numeric", "transform": "log1p", "missing_indicator": True},
    "age": {"type": "numeric", "standardize": False, "clip": None},
}
"""The features that the reference supports, as a config declares them; label `y`, weight `w`."""
NULL, OUT, FIRST = 1, 2, 3  # rows of a table; 0 is padding


class Refused(Exception):
    """The table has a value that is invalid for a feature, label or weight."""


def encoded(columns, trained=None):
    """Return the batch of `columns`, dict of lists of Python values, fitted on `trained` (default: on `columns`)."""
    trained = trained or columns
    labels, weights = [_label(y) for y in columns["y"]], [_weight(w) for w in columns["w"]]
    items = _vocabulary([_item(v) for v in trained["item"]] + [v for row in trained["history"] for v in _last(row)], 1)
    ids = [
        _look_up([_text(v) for v in columns["user"]], _vocabulary([_text(v) for v in trained["user"]], 2)),
        _look_up([_item(v) for v in columns["item"]], items),
        [NULL if v is None else FIRST + _hash(v) for v in columns["word"]],
        [NULL if v is None else FIRST + _id(v) for v in columns["shop"]],
        [NULL if v is None else FIRST + _hour(v) for v in columns["at"]],
    ]
    histories = [_look_up(_last(row), items) for row in columns["history"]]
    price = _standardized(
        [_log1p(_number(v)) for v in columns["price"]], [_log1p(_number(v)) for v in trained["price"]]
    )
    age = [_number(v) or 0.0 for v in columns["age"]]
    rows = len(labels)
    return {
        "ids": np.array(ids, np.int64).reshape(len(ids), rows).T,
        "numerics": np.array([price, [_number(v) is None for v in columns["price"]], age], np.float64).T,
        "sequences/history": np.array([row + [0] * (3 - len(row)) for row in histories], np.int64).reshape(rows, 3),
        "lengths/history": np.array([len(row) for row in histories], np.int64),
        "label": np.array(labels, np.float64),
        "weight": np.array(weights, np.float64),
    }


def _label(value):
    if value is None or value not in (0, 1):
        raise Refused(f"label {value}")
    return float(value)


def _weight(value):
    if value is None or not 0 <= float(value) <= np.finfo(np.float32).max:
        raise Refused(f"weight {value}")
    return float(value)


def _number(value):
    if value is None or math.isnan(value):
        return None
    if abs(value) > np.finfo(np.float32).max:
        raise Refused(f"number {value}")
    return float(value)


def _id(value):
    if not 0 <= value < 5:
        raise Refused(f"id {value}")
    return value


def _text(value):
    return str(value).lower() if isinstance(value, bool) else value


def _item(value):
    return None if value == "" else _text(value)


def _last(values):
    return [_text(value) for value in (values or [])[-3:]]


def _hour(value):
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC)).hour
    assert isinstance(value, date)
    return 0


def _hash(value):
    text = _text(value)
    return int(tf.strings.to_hash_bucket_fast(text if isinstance(text, str) else str(text), 11))


def _vocabulary(values, min_count):
    counts = Counter(value for value in values if value is not None)
    kept = [value for value in counts if counts[value] >= min_count]
    by_text = kept and isinstance(kept[0], str)
    kept.sort(key=lambda value: (-counts[value], value.encode() if by_text else value))
    return {value: place for place, value in enumerate(kept)}


def _look_up(values, vocabulary):
    return [NULL if value is None else FIRST + vocabulary[value] if value in vocabulary else OUT for value in values]


def _log1p(value):
    return None if value is None else math.copysign(math.log1p(abs(value)), value)


def _standardized(values, trained):
    present = np.array([value for value in trained if value is not None])
    mean = present.mean() if len(present) else 0.0
    deviation = present.std() if len(present) else 0.0
    deviation = 1.0 if deviation <= 1e-9 * abs(mean) else deviation
    return [0.0 if value is None else min(max((value - mean) / deviation, -10.0), 10.0) for value in values]
