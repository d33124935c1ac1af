"""Metrics of a split: facts about its examples, and every metric of the catalog with its companions."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict

from ctr.metrics.catalog import CATALOG

FACTS: dict[str, tuple[Any, str]] = {
    "rows": (int, "number of scored examples"),
    "interval_unit": (
        NotRequired[Literal["row", "cluster"]],
        "unit that CIs and errors treat as independent: examples (`row`), or the values of `cluster_column`",
    ),
    "cluster_column": (NotRequired[str], "column of `report.group`, if it is set"),
    "clusters": (NotRequired[int | None], "number of clusters; null if the groups are not held"),
    "effective_clusters": (
        NotRequired[float | None],
        "number of clusters of equal weight that carry as much information",
    ),
    "auc_error": (NotRequired[float], "bound on the error of `auc`, for binned scores"),
    "reasons": (NotRequired[dict[str, str]], "key -> reason why its value is null"),
}


def _fields() -> dict[str, Any]:
    """Return key -> type with its meaning, of facts and metrics. A metric can be absent or null."""
    fields: dict[str, Any] = {key: Annotated[kind, Field(description=text)] for key, (kind, text) in FACTS.items()}
    for metric in CATALOG:
        numbers = [(metric.key, float, metric.definition)]
        numbers += [(companion.key, companion.type, companion.definition) for companion in metric.companions]
        for key, kind, text in numbers:
            fields[key] = NotRequired[Annotated[kind | None, Field(description=text)]]
    return fields


if TYPE_CHECKING:
    SplitMetrics: TypeAlias = dict[str, Any]  # the keys are those of the catalog, which type checkers do not read
else:
    SplitMetrics = with_config(ConfigDict(extra="allow"))(TypedDict("SplitMetrics", _fields()))
