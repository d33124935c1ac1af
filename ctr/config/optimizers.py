"""The section `optimizers`: the optimizer of each table and tower."""

from typing import Any, TypeAlias

import tf_keras
from pydantic import Field, PositiveFloat, model_validator

from ctr.config.registry_settings import PartSettings, settings_from_registry
from features import Count, Settings
from optimizers import DENSE, SPARSE, RowOptimizer

DENSE_ONLY = {
    name: f"is for towers: on a table it would move every row at each step; tables have {', '.join(SPARSE)}"
    for name in DENSE
    if name not in SPARSE
}


class LookaheadSettings(Settings):
    """Slow weights that follow those of the optimizer."""

    every: Count = 5
    """Steps of the optimizer to one of the slow weights."""
    alpha: float = Field(0.5, gt=0, le=1)
    """Share of the way that the slow weights go."""


class TowerOptimizer(PartSettings):
    """What every optimizer of towers may have around it."""

    l1_gradient: float = Field(0.0, ge=0, allow_inf_nan=False)
    """lambda; lambda sign(w) is added to a matrix's gradient."""
    l2_gradient: float = Field(0.0, ge=0, allow_inf_nan=False)
    """lambda; lambda w is added to a matrix's gradient."""
    layerwise_normalization: bool = False
    """Each matrix moves by a share of its own norm: LAMB's rule around any optimizer."""
    lookahead: LookaheadSettings | None = None


SparseOptimizer: TypeAlias = settings_from_registry(SPARSE, unfit=DENSE_ONLY, own=RowOptimizer)  # type: ignore[valid-type]
DenseOptimizer: TypeAlias = settings_from_registry(DENSE, base=TowerOptimizer, own=tf_keras.optimizers.Optimizer)  # type: ignore[valid-type]


class Optimizers(Settings):
    """The optimizer of each table and tower."""

    sparse: dict[str, SparseOptimizer] = Field({"*": {"type": "rmsprop_v2"}}, validate_default=True)
    """Pattern of table names -> optimizer; a wide table that only `*` matches is FTRL's."""
    dense: dict[str, DenseOptimizer] = Field({"*": {"type": "adam"}}, validate_default=True)
    """Pattern of tower names -> optimizer; or one optimizer for all towers."""
    clip_norm: PositiveFloat | None = None
    """Bound on the global norm of all gradients, after duplicates are summed."""

    @model_validator(mode="before")
    @classmethod
    def _one_for_all_towers(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("dense"), dict) and "type" in values["dense"]:
            return {**values, "dense": {"*": values["dense"]}}
        return values
