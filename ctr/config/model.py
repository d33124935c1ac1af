"""The section `model`: a registered model or a class of the user's own with its arguments, and the initial weights."""

from typing import Literal, TypeAlias

from pydantic import Field

from ctr.config.registry_settings import settings_from_registry
from features import Settings
from models import MODELS, Tower


class Initializer(Settings):
    """Initial weights."""

    tables: float = Field(0.01, ge=0, le=1e6)
    """Standard deviation of the normal distribution that initial embeddings are drawn from."""
    towers: Literal["glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal"] = (
        "glorot_uniform"
    )
    """Keras initializer of the kernels of the dense tower."""
    head_bias: Literal["log_odds", "zero"] = "log_odds"
    """Initial bias of the logit. `log_odds` is the log-odds of the training labels, weighted by `data.weight` and after
    negative sampling. `zero` starts near a score of 0.5."""


Base: TypeAlias = settings_from_registry(  # type: ignore[valid-type]
    MODELS, "seed", "initializer", unfit={"can": "cannot be its own base. Choose another model."}, user_base=Tower
)
"""The tower that `can` extends."""
Model: TypeAlias = settings_from_registry(  # type: ignore[valid-type]
    MODELS, "seed", "initializer", arguments={"base": Base}, user_base=Tower
)
