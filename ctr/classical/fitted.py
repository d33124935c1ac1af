"""A fitted classical model."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features import Batch


@dataclass(frozen=True)
class Fitted:
    """A fitted classical model.

    Attributes:
        logits: function from a batch to its logits, float64 `[rows]`.
        inputs: number of input columns.
        selected: settings that validation selected, or the fixed values without a valid split.
        warnings: sentences on problems while fitting.
    """

    logits: Callable[[Batch], np.ndarray]
    inputs: int
    selected: dict[str, float]
    warnings: list[str]
