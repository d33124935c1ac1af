"""Mean and standard deviation of a number."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from features.fits.fit import Fit, Fitting


@dataclass(frozen=True)
class Moments(Fit):
    """Mean and standard deviation of a transformed numeric; a constant has deviation 1."""

    section = "moments"

    mean: float
    """Mean of the transformed training values."""
    deviation: float
    """Standard deviation of the transformed training values."""

    def standardized(self, x: np.ndarray) -> np.ndarray:
        """Return (x - mean) / deviation; NaN stays NaN."""
        return (x - self.mean) / self.deviation


@dataclass(frozen=True)
class Sums(Fitting):
    """Count, mean and sum of squared deviations, merged block by block (Chan, Golub and LeVeque 1983)."""

    fit = Moments

    key: str
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, key: str, numbers: np.ndarray) -> Self:
        """Return the sums of a block of numbers, float64 `[rows]`; NaN is skipped."""
        present = numbers[~np.isnan(numbers)]
        if not len(present):
            return cls(key)
        mean = float(present.mean())
        return cls(key, len(present), mean, float(((present - mean) ** 2).sum()))

    def merge(self, other: Self) -> Self:
        if not other.count:
            return self
        delta, total = other.mean - self.mean, self.count + other.count
        squares = self.squares + (other.squares + delta**2 * self.count * other.count / total)
        return type(self)(self.key, total, self.mean + delta * other.count / total, squares)

    def result(self) -> Moments:
        deviation = (self.squares / self.count) ** 0.5 if self.count else 0.0
        is_constant = deviation <= 1e-9 * abs(self.mean)  # rounding error of a constant
        return Moments(self.mean, 1.0 if is_constant else deviation)
