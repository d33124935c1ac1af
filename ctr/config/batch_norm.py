"""The setting `batch_norm` of a model: true, false, or the numbers of batch normalization."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from features import Settings
from models import BatchNorm


class BatchNormSettings(Settings):
    """Numbers of batch normalization."""

    epsilon: float = Field(BatchNorm.epsilon, gt=0)
    """Number that is added to the variance. A smaller value amplifies narrow inputs more."""
    momentum: float = Field(BatchNorm.momentum, ge=0, lt=1)
    """Part of the moving mean and variance that each step keeps."""


def _on_off_or_numbers(value: Any) -> bool | BatchNorm:
    """Return the `batch_norm` argument of a tower."""
    if isinstance(value, bool | BatchNorm):
        return value
    if not isinstance(value, dict):
        raise ValueError("must be true, false, or numbers such as {epsilon: 1.0e-5}")
    return BatchNorm(**BatchNormSettings.model_validate(value).model_dump())


BatchNormSetting = Annotated[Any, BeforeValidator(_on_off_or_numbers)]
