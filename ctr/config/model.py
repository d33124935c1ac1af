"""The section `model`: a registered model or a class of the user's own with its arguments, and how weights start."""

from typing import Literal, TypeAlias

from pydantic import Field

from ctr.config.registry_settings import settings_from_registry
from features import Settings
from models import MODELS, Tower


class Initializer(Settings):
    """How weights start."""

    tables: float = Field(0.01, ge=0, le=1e6)
    """Standard deviation of the normal that starts embeddings."""
    towers: Literal["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal"] = (
        "glorot_uniform"
    )
    """Keras initializer of the kernels."""
    head_bias: Literal["log_odds", "zero"] = "log_odds"
    """Bias of the logit before training: the log-odds of the training labels, weighted by `data.weight`, or 0.
    From the log-odds, a model of rare positives does not spend its first epochs on their rate."""


Base: TypeAlias = settings_from_registry(  # type: ignore[valid-type]
    MODELS, "seed", "initializer", unfit={"can": "stands on another model, not on itself"}, own=Tower
)
"""The tower that another stands on."""
Model: TypeAlias = settings_from_registry(  # type: ignore[valid-type]
    MODELS, "seed", "initializer", arguments={"base": Base}, own=Tower
)
