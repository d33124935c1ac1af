"""Translate reports of version 0.4 to the names of version 1 of the schema."""

from typing import Any, TypeAlias

from ctr.config.earlier_versions import translate_warm_start
from ctr.metrics.frequency_bands import Band
from ctr.metrics.psi import Drift
from ctr.schema.comparison import Verdict
from features import SPECIAL_ROWS

Values: TypeAlias = dict[str, Any]

UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)
"""Exceptions of translating values that are corrupt or from a version before 0.4."""
DRIFT = {
    "unstable": Drift.MAJOR,
    "moderate": Drift.MODERATE,
    "insufficient_data": Drift.TOO_LITTLE_DATA,
    "stable": Drift.STABLE,
}
VERDICTS = {
    "better": Verdict.BETTER,
    "worse": Verdict.WORSE,
    "better each time": Verdict.BETTER_FOR_TESTED_SEEDS,
    "worse each time": Verdict.WORSE_FOR_TESTED_SEEDS,
    "same": Verdict.IDENTICAL,
    "not shown": Verdict.INCONCLUSIVE,
    "incomplete": Verdict.INCOMPLETE,
    "unfair": Verdict.NOT_COMPARABLE,
}
CHECKS = {
    "label_rate": "positive_rate",
    "cold_ids": "long_tail_ids",
    "repeated_rows": "duplicates",
    "score_shift": "score_drift",
    "feature_shifts": "feature_drift",
}
BANDS = {
    "missing": Band.MISSING,
    "new, or too rare for the vocabulary": Band.NOT_IN_VOCABULARY,
    "1 to 9": Band.FROM_1,
    "10 to 99": Band.FROM_10,
    "100 to 999": Band.FROM_100,
    "1,000 or more": Band.FROM_1000,
}
METRICS = {"label_rate": "positive_rate", "label_rate_error": "positive_rate_error"}


def report_of_0_4(values: Values) -> Values:
    """Return the values of a report in this version's names.

    Raises:
        UNREADABLE: the values are corrupt or from a version before 0.4.
    """
    if "kinds" in values:
        column_types = values["kinds"]
        others = {key: value for key, value in values.items() if key != "kinds"}
        return {
            "version": 1,
            "kind": "psi",
            **others,
            "psi": _feature_drift(values["psi"]),
            "column_types": column_types,
        }
    *_, main = values["metrics"]  # train, valid, test was their order
    tables = [_table(table) for table in values["tables"]]
    translated = {
        **values,
        "version": 1,
        "kind": "run" if "training" in values else "evaluation",
        "main_split": main,
        "metrics": {split: metrics_of_0_4(metrics) for split, metrics in values["metrics"].items()},
        "deciles": {split: _deciles(deciles) for split, deciles in values["deciles"].items()},
        "psi": {
            **_feature_drift(values["psi"]),
            "score": {split: _psi(psi) for split, psi in values["psi"]["score"].items()},
        },
        "slices": _translate_groups(values["slices"], lambda group: {"psi": _psi(group["psi"])}),
        "frequency": _translate_groups(values["frequency"], lambda group: {"seen": BANDS[group["seen"]]}),
        "leakage": {
            split: {"duplicates": leaks["rows_in_training"], "single_feature_auc": leaks["single_feature_auc"]}
            for split, leaks in values["leakage"].items()
        },
        "checks": [
            {
                "check": CHECKS.get(check["check"], check["check"]),
                "split": check["set"],
                "level": check["level"],
                "sentence": check["sentence"],
            }
            for check in values["checks"]
        ],
        "tables": tables,
        "row_sparsity": _row_sparsity(tables),
    }
    if values.get("warm_start"):
        translated["warm_start"] = translate_warm_start(values["warm_start"])
    if "model" in values:
        components = values["model"]["parts"]
        translated["model"] = {"components": [_renamed(component, {"part": "name"}) for component in components]}
    return translated


def metrics_of_0_4(metrics: Values) -> Values:
    """Return the metrics of a split in this version's names; metrics that already have them are unchanged."""
    translated = _renamed(metrics, METRICS)
    if "reasons" in translated:
        translated["reasons"] = _renamed(translated["reasons"], METRICS)
    return translated


def comparison_of_0_4(values: Values) -> Values:
    """Return the values of a comparison in this version's names; see `report_of_0_4` for exceptions."""
    return {
        "version": 1,
        "study": values["study"],
        "variants": [_variant(old) for old in values["cells"]],
        "environment": values["environment"],
    }


def _variant(old: Values) -> Values:
    variant = _renamed(old, {"choices": "options", "zero_share": "row_sparsity"})
    if old["difference"] is not None:
        metrics = {
            key: {**result, "verdict": result["verdict"] and VERDICTS[result["verdict"]]}
            for key, result in old["difference"]["metrics"].items()
        }
        variant["difference"] = {**old["difference"], "metrics": metrics}
    return variant


def _renamed(values: Values, names: dict[str, str]) -> Values:
    return {names.get(key, key): value for key, value in values.items()}


def _psi(psi: Values) -> Values:
    """Return a PSI with its drift level."""
    return {
        ("drift" if key == "verdict" else key): DRIFT[value] if key == "verdict" else value
        for key, value in psi.items()
    }


def _feature_drift(psi: Values) -> Values:
    features = {
        split: {name: _psi(drift) for name, drift in drifts.items()} for split, drifts in psi["features"].items()
    }
    return {**psi, "features": features, "over_time": _over_time(psi["over_time"])}


def _over_time(drift: Values | None) -> Values | None:
    if drift is None:
        return None
    empty = {"periods": [], "rows": [], "undated": 0, "partial": []}
    score = drift.get("score")
    return {
        **empty,
        **drift,
        "score": score and _column(score),
        "features": {name: _column(column) for name, column in drift.get("features", {}).items()},
    }


def _column(column: Values) -> Values:
    translated = _renamed(column, {"verdict": "drift"})
    return {**translated, "drift": [DRIFT[level] for level in translated["drift"]]}


def _translate_groups(by_split: Values, changed: Any) -> Values:
    """Return the metrics of the groups of each split and column, with the values that `changed` returns for each."""
    return {
        split: {
            name: [{**metrics_of_0_4(group), **changed(group)} for group in groups] for name, groups in columns.items()
        }
        for split, columns in by_split.items()
    }


def _deciles(deciles: list[Values]) -> list[Values]:
    """Return deciles with the cumulative fraction of positives and the standard error of the rate."""
    positives = [decile["weight"] * decile["label_rate"] for decile in deciles]
    total = sum(positives) or 1.0
    return [
        {
            **metrics_of_0_4(decile),
            "positive_rate_error": _rate_error(decile),
            "captured": sum(positives[: index + 1]) / total,
        }
        for index, decile in enumerate(deciles)
    ]


def _rate_error(decile: Values) -> float:
    """Return the standard error of a decile's positive rate under its scores, from its z; 0 without a z."""
    z = decile["calibration_z"]
    return abs(decile["label_rate"] - decile["mean_score"]) / abs(z) if z else 0.0


def _table(table: Values) -> Values:
    zero = table["zero_rows"]
    others = {key: value for key, value in table.items() if key != "zero_rows"}
    return {**others, "all_zero_embeddings": zero, "row_sparsity": zero / max(table["rows"] - SPECIAL_ROWS, 1)}


def _row_sparsity(tables: list[Values]) -> float:
    rows = sum(table["rows"] - SPECIAL_ROWS for table in tables)
    return sum(table["all_zero_embeddings"] for table in tables) / max(rows, 1)
