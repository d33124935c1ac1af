"""The metrics of a split: facts about its rows, and every metric of the catalog with its companions."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from ctr.metrics.catalog import CATALOG

FACTS: dict[str, tuple[Any, str]] = {
    "rows": (int, "number of scored rows"),
    "interval_unit": (
        NotRequired[Literal["row", "cluster"]],
        "what intervals and errors take as independent: rows, or the values of `cluster_column`",
    ),
    "cluster_column": (NotRequired[str], "the column of `report.group`, if one is declared"),
    "clusters": (NotRequired[int | None], "number of its values; null where they are not held"),
    "effective_clusters": (NotRequired[float | None], "how many clusters of equal weight tell as much"),
    "auc_error": (NotRequired[float], "bound of the error of `auc` where scores are counted on a grid"),
    "reasons": (NotRequired[dict[str, str]], "key -> why its value is null"),
}


def _fields() -> dict[str, Any]:
    """Return key -> type with its meaning, of facts and metrics. A metric may be absent or null."""
    fields: dict[str, Any] = {key: Annotated[kind, Field(description=text)] for key, (kind, text) in FACTS.items()}
    for metric in CATALOG:
        numbers = [(metric.key, float, metric.definition)]
        numbers += [(one.key, one.type, one.definition) for one in metric.companions]
        for key, kind, text in numbers:
            fields[key] = NotRequired[Annotated[kind | None, Field(description=text)]]
    return fields


if TYPE_CHECKING:
    SplitMetrics: TypeAlias = dict[str, Any]  # the keys are those of the catalog, which type checkers do not read
else:
    SplitMetrics = with_config(ConfigDict(extra="allow"))(TypedDict("SplitMetrics", _fields()))
