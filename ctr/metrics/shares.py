"""Fractions of bins."""

import numpy as np


def shares(weight: np.ndarray) -> list[float]:
    """Return the fraction of the total weight in each bin, to 6 digits; 0 if the total is 0."""
    return np.round(weight / (weight.sum() or 1.0), 6).tolist()
