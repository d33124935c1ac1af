"""Files of earlier versions, translated in memory into the keys of this version."""

from collections.abc import Sequence
from typing import Any

from ctr.config.yaml_file import deep_copy, join_key, put_default, split_key
from features.earlier_versions import is_earlier, translate_features
from features.settings import RENAMED

DEFAULTS = {("features", "unseen"): "own", ("model", "initializer", "head_bias"): "zero"}
"""Settings that versions up to 0.4.0 did not have -> what those did."""
RENAMED_PATHS: tuple[tuple[str, ...], ...] = (
    ("training", "plateau"),
    ("training", "warm_start", "state"),
    ("report", "psi", "unstable_above"),
    ("report", "exact_rows"),
    ("optimizers", "*", "*", "preserve_initial"),
)
"""Keys whose last part was renamed in 0.5.0, outside `features`; `*` is any part."""


def translate_config(values: dict[str, Any]) -> dict[str, Any]:
    """Return a saved config with the keys of this version, and with what earlier versions did where they had no key.

    Args:
        values: resolved values of config.yaml.
    """
    values = deep_copy(values)
    if is_earlier(values.get("features")):
        values["features"] = translate_features(values["features"])
        for path in RENAMED_PATHS:
            values = _renamed(values, path)
        training = values.get("training")
        _rename_state(training.get("warm_start") if isinstance(training, dict) else None)
    for path, value in DEFAULTS.items():
        put_default(values, path, value)
    return values


def translate_trials(values: dict[str, Any]) -> dict[str, Any]:
    """Return the trials of a comparison, as trials.json has them for each variant, with the keys of this version."""
    return {name: _translate_variant(variant) for name, variant in values.items()}


def translate_warm_start(values: dict[str, Any]) -> dict[str, Any]:
    """Return what warm_start.json says of a run, with the keys of this version."""
    values = {RENAMED[key] if key == "state" else key: value for key, value in values.items()}
    _rename_state(values)
    return values


def _translate_variant(variant: dict[str, Any]) -> dict[str, Any]:
    """Return the trials of a variant; a version before 0.5.0 made them if its search ranges have the key `whole`."""
    ranges = variant["ranges"]
    if not all("whole" in search_range for search_range in ranges.values()):
        return variant
    return {
        **variant,
        "ranges": {
            _renamed_key(key): {
                RENAMED[part] if part == "whole" else part: value for part, value in search_range.items()
            }
            for key, search_range in ranges.items()
        },
        "trials": [{_renamed_key(key): value for key, value in trial.items()} for trial in variant["trials"]],
    }


def _rename_state(warm_start: Any) -> None:
    """Give the optimizer state of a warm start the word of this version."""
    if isinstance(warm_start, dict) and warm_start.get("optimizer_state") == "carry":
        warm_start["optimizer_state"] = "keep"


def _renamed(values: Any, path: Sequence[str]) -> Any:
    """Return values with the last key of a path renamed."""
    if not isinstance(values, dict):
        return values
    first, *rest = path
    if not rest:
        return {RENAMED[key] if key == first else key: value for key, value in values.items()}
    return {key: _renamed(value, rest) if first in (key, "*") else value for key, value in values.items()}


def _renamed_key(key: str) -> str:
    """Return a dotted key with each part that was renamed.

    >>> _renamed_key("training.plateau.factor")
    'training.reduce_lr_on_plateau.factor'
    """
    parts = split_key(key)
    for path in RENAMED_PATHS:
        if len(parts) >= len(path) and all(name in (part, "*") for name, part in zip(path, parts, strict=False)):
            parts[len(path) - 1] = RENAMED[path[-1]]
    return join_key(parts)
