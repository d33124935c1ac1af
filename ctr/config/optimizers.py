"""The section `optimizers`: the optimizer of each embedding table and each block of the dense tower."""

from typing import Any, TypeAlias

import tf_keras
from pydantic import Field, PositiveFloat, model_validator

from ctr.config.registry_settings import PartSettings, settings_from_registry
from features import Count, Settings
from optimizers import DENSE, SPARSE, RowOptimizer

DENSE_ONLY = {
    name: f"is for the dense tower: it would change every embedding at each step.\nUse one of {', '.join(SPARSE)}."
    for name in DENSE
    if name not in SPARSE
}


class LookaheadSettings(Settings):
    """Slow weights that follow the optimizer's weights."""

    every: Count = 5
    """Optimizer steps per step of the slow weights."""
    alpha: float = Field(0.5, gt=0, le=1)
    """Fraction of the distance to the optimizer's weights that a step of the slow weights covers."""


class TowerOptimizer(PartSettings):
    """Settings that every optimizer of the dense tower accepts."""

    l1_gradient: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Coefficient λ of an L1 penalty: λ sign(w) is added to the gradient of each matrix."""
    l2_gradient: float = Field(0.0, ge=0, allow_inf_nan=False)
    """Coefficient λ of an L2 penalty: λ w is added to the gradient of each matrix. λ is twice the coefficient of a
    penalty λ w², as in Keras."""
    layerwise_normalization: bool = False
    """If true, each matrix moves in the optimizer's direction by the rate times its own norm, as in LAMB."""
    lookahead: LookaheadSettings | None = None
    """Lookahead around the optimizer, such as `{every: 5, alpha: 0.5}`: slow weights follow the optimizer's weights."""


SparseOptimizer: TypeAlias = settings_from_registry(SPARSE, unfit=DENSE_ONLY, user_base=RowOptimizer)  # type: ignore[valid-type]
DenseOptimizer: TypeAlias = settings_from_registry(DENSE, base=TowerOptimizer, user_base=tf_keras.optimizers.Optimizer)  # type: ignore[valid-type]


class Optimizers(Settings):
    """The optimizer of each embedding table and each block of the dense tower."""

    sparse: dict[str, SparseOptimizer] = Field({"*": {"type": "rmsprop_v2"}}, validate_default=True)
    """Pattern of table names to optimizer. Tables `wide/<feature>` that only `*` matches train with
    `{type: ftrl, learning_rate: 0.1, l1: 0.001}` in `wide_deep`, and with
    `{type: ftrl, learning_rate: 0.1, beta: 0.001, l1: 0.0001}` in `linear`, `fm` and `deepfm`."""
    dense: dict[str, DenseOptimizer] = Field({"*": {"type": "adam"}}, validate_default=True)
    """Pattern of block names to optimizer, or one optimizer for the whole dense tower."""
    clip_norm: PositiveFloat | None = None
    """Maximum global norm of all gradients of a step, computed after duplicate ids are summed. `null`: no limit."""

    @model_validator(mode="before")
    @classmethod
    def _one_for_all_towers(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("dense"), dict) and "type" in values["dense"]:
            return {**values, "dense": {"*": values["dense"]}}
        return values
