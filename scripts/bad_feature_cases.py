"""FEATURES: the invalid inputs about patterns of features and dropped features, for `bad_input_cases.py`."""

from collections.abc import Callable
from typing import Any

from breakable_experiment import TRAIN, Case, nothing, set_to

CROSS = {"type": "cross", "of": ["user", "item"], "hash": 9, "dim": 2}
CAN = {"type": "can", "base": "dnn", "pairs": [["item", "history"]]}
HOUR = {"column": "ts", "part": "hour"}


def pattern(what: str, columns: dict[str, Any], *says: str) -> Case:
    """Return a case with these features in the config."""
    return Case("configs", what, lambda: set_to("features.columns", columns), TRAIN, says)


def drop(what: str, name: str, *says: str, damage: Callable[[], Any] = nothing) -> Case:
    """Return a case in which the command line drops a feature."""
    return Case("configs", what, damage, f"{TRAIN} --set 'features.columns.{name}=drop'", says)


def slice_by_hour() -> None:
    """Slice the report by a feature that is made of another column."""
    set_to("features.columns.hour", HOUR)
    set_to("report.slices", ["hour"])


def warm_start() -> None:
    """Declare a pattern, and a warm start from a folder that does not exist."""
    set_to("features.columns.u*", {})
    set_to("training.warm_start", {"run": "runs/old"})


FEATURES = [
    pattern("a pattern that matches no column", {"user": {}, "C*": {}}, "C*", "no column of clicks/part-0.parquet"),
    pattern("a pattern of the label alone", {"user": {}, "click*": {}}, "click*", "clicked (data.label)"),
    pattern("two patterns of one length for a column", {"us*": {}, "*er": {}}, "'user'", "'us*'", "'*er'"),
    pattern("a pattern of numbers that matches text", {"*": {"type": "numeric"}}, "'item'", "string", "numeric"),
    Case("configs", "a pattern, and a warm start from no run", warm_start, TRAIN, ("runs/old", "patterns")),
    drop("a drop of no feature", "usr", "usr", "'user'"),
    drop("a drop of a pattern that matches no feature", '"C*"', "C*", "known: "),
    drop("a drop of all features", '"*"', "all 4 features"),
    drop(
        "a drop of a feature in a cross",
        "item",
        "features.columns.both",
        "'item'",
        damage=lambda: set_to("features.columns.both", CROSS),
    ),
    drop("a drop of a feature of the model", "history", "model.pairs", damage=lambda: set_to("model", CAN)),
    drop("a drop of a feature that the report slices by", "hour", "report.slices", "'hour'", damage=slice_by_hour),
]
