"""What a model must know of its batches, as plain values."""

from collections.abc import Mapping
from typing import Any

from features.batch import SPECIAL_ROWS
from features.schema import Categorical, Cross, CrossFeature, Feature, Features, Numeric, Sequence, SequenceCross


def has_ids(feature: Feature) -> bool:
    """Whether a feature has a column in `ids`."""
    return isinstance(feature, Categorical | Cross) or (isinstance(feature, Numeric) and feature.as_ != "plain")


def has_unfitted_ids(feature: Feature) -> bool:
    """Return True if the ids of a feature are not fitted, so that the training data may never use some of them."""
    if isinstance(feature, CrossFeature):
        return True
    return any(getattr(feature, key, None) is not None for key in ("hash", "identity", "part"))


def table_name(feature: Any) -> str:
    """Return the name of the table of a feature with ids."""
    name: str = getattr(feature, "table", feature.name)
    return name


def layout_of(features: Features, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Tables, fields and numerics of an encoder's batches.

    Args:
        features: the declared features.
        sizes: feature with ids -> how many different ids it has, the special ones left out.

    Returns:
        tables: name, rows, dim.
        fields: the vectors of the tower's input in declared order: name, table, and `column` of `ids` or `sequence`
            with its `pooling`; `scale` is the column of `numerics` that multiplies the vector.
        categories: all features that are one category: name, `column` of `ids`, rows, the table of its vector or None.
        histories: all features that are a list: name, rows, the table of its vectors or None, whether it is `crossed`.
        numerics: the name of each column.
        plain: the columns of `numerics` that are inputs of their own.
    """
    tables: dict[str, dict[str, Any]] = {}
    fields: list[dict[str, Any]] = []
    categories: list[dict[str, Any]] = []
    histories: list[dict[str, Any]] = []
    numerics: list[str] = []
    plain: list[int] = []
    columns = {name: place for place, name in enumerate(n for n, f in features.columns.items() if has_ids(f))}

    def add_table(feature: Any) -> str:
        table = table_name(feature)
        tables.setdefault(table, {"name": table, "rows": SPECIAL_ROWS + sizes[feature.name], "dim": feature.dim})
        return table

    def add_field(feature: Any, **described: Any) -> None:
        described["table"] = add_table(feature)
        fields.append({"name": feature.name, "column": columns.get(feature.name), **described})

    for name, feature in features.columns.items():
        if isinstance(feature, Numeric) and feature.as_ == "plain":
            added = [name, f"{name} is null"] if feature.missing_indicator else [name]
            plain += range(len(numerics), len(numerics) + len(added))
            numerics += added
        elif isinstance(feature, Numeric) and feature.as_ == "embedding":
            add_field(feature, scale=len(numerics))
            numerics.append(name)
        else:
            has_vector = not isinstance(feature, CrossFeature) or feature.dim > 1
            described = {"name": name, "rows": SPECIAL_ROWS + sizes[name]}
            described["table"] = add_table(feature) if has_vector else None
            if isinstance(feature, Sequence | SequenceCross):
                if has_vector and feature.pooling != "none":
                    add_field(feature, sequence=name, pooling=feature.pooling)
                histories.append({**described, "crossed": isinstance(feature, SequenceCross)})
            else:
                if has_vector:
                    add_field(feature)
                categories.append({**described, "column": columns[name]})
    return {
        "tables": list(tables.values()),
        "fields": fields,
        "categories": categories,
        "histories": histories,
        "numerics": numerics,
        "plain": plain,
    }
