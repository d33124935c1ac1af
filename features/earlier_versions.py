"""Settings of features as earlier versions saved them, translated in memory into those of this version."""

from typing import Any


def translate_features(values: Any) -> Any:
    """Return the saved `features` of a config, with the `type` of each feature that was its `kind` before 0.5.0.

    Args:
        values: the section `features`, resolved; values of another shape are returned as they are.
    """
    if not is_earlier(values):
        return values
    columns = {
        name: {"type" if key == "kind" else key: value for key, value in feature.items()}
        for name, feature in values["columns"].items()
    }
    return {**values, "columns": columns}


def is_earlier(values: Any) -> bool:
    """Return True if a version before 0.5.0 resolved these `features`: each of them has a `kind`."""
    columns = values.get("columns") if isinstance(values, dict) else None
    return isinstance(columns, dict) and all(
        isinstance(feature, dict) and "kind" in feature for feature in columns.values()
    )
