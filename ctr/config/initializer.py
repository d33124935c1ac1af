"""Initial weights: `model.initializer` of a config."""

from typing import Literal

from pydantic import Field

from features import Settings


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
