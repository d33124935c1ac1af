"""Invalid splits and samples, and data that cannot be divided so, for the cases of `bad_inputs.py`."""

from collections.abc import Callable
from typing import Any

from breakable_experiment import PART, TRAIN, Case, has_one, rewrite, rewrite_all, set_to, setting

FRACTIONS = [0.6, 0.2, 0.2]
BY_USER = {"by": "hash", "column": "user", "fractions": FRACTIONS}


def by_time(gap: Any, column: str = "ts") -> dict[str, Any]:
    """Return a split by time with a gap."""
    return {"by": "time", "column": column, "fractions": FRACTIONS, "gap": gap}


def unsplittable(what: str, split: dict[str, Any], damage: Callable[[], Any], *says: str) -> Case:
    """Return a case with data that a split cannot divide."""

    def change() -> None:
        set_to("data.split", split)
        damage()

    return Case("values", what, change, TRAIN, says)


def unsplit(what: str, split: dict[str, Any], *says: str) -> Case:
    """Return a case with an invalid split."""
    return setting(what, "data.split", split, *says)


SPLIT_CONFIGS = [
    unsplit("a split by hash without a column", {"by": "hash", "fractions": FRACTIONS}, "data.split", "`column`"),
    unsplit("a column of a split by rows", {**BY_USER, "by": "rows"}, "data.split", "does not have a `column`"),
    unsplit("a gap of a split by hash", {**BY_USER, "gap": {"days": 1}}, "data.split", "does not have a `gap`"),
    unsplit("a split by an unknown column", {**BY_USER, "column": "usr"}, "clicks/part-0.parquet", "'usr'", "'user'"),
    unsplit("a split by hash of lists", {**BY_USER, "column": "history"}, "clicks/part-0.parquet", "'history'"),
    unsplit("a split by hash of numbers", {**BY_USER, "column": "price"}, "clicks/part-0.parquet", "data.cast"),
    unsplit("a gap without a unit", by_time(24), "data.split.gap", "no unit", "{hours: 24}"),
    unsplit("a gap of two units", by_time({"days": 1, "hours": 2}), "data.split.gap", "one unit"),
    unsplit("a gap in weeks", by_time({"weeks": 1}), "data.split.gap", "'weeks'"),
    unsplit("a gap in words", by_time("1 day"), "data.split.gap", "{hours: 24}"),
    unsplit("a negative gap", by_time({"hours": -1}), "data.split.gap.hours"),
    unsplit("a gap in hours of a column of integers", by_time({"hours": 1}, "user"), "data.split.gap", "integers"),
    unsplit(
        "a gap longer than the validation data", by_time({"hours": 3}), "data.split.gap", "valid", "276 of 480 rows"
    ),
    unsplit("a gap longer than the data", by_time({"days": 365}), "data.split.gap", "train", "384 of 480 rows"),
    setting("a sample without negatives", "data.sample_negatives", 0),
    setting("a sample of more than all negatives", "data.sample_negatives", 1.5),
    setting("less than one negative", "data.sample_negatives", 1e-9, "data.sample_negatives", "less than one"),
]
SPLIT_VALUES = [
    unsplittable(
        "a null user of a split by hash", BY_USER, lambda: rewrite(has_one("user", None)), str(PART), "1 null", "'user'"
    ),
    unsplittable(
        "one user of a split by hash",
        BY_USER,
        lambda: rewrite_all(lambda table: table.set_column(1, "user", [[7] * len(table)])),
        "data.split",
        "leaves no rows",
    ),
]
