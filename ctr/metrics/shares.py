"""Each bin's part of the whole."""

import numpy as np


def shares(weight: np.ndarray) -> list[float]:
    """Each bin's part of the whole, to 6 digits; 0 where there is nothing."""
    return np.round(weight / (weight.sum() or 1.0), 6).tolist()
