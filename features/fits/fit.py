"""Base classes of fitting: a mergeable state of the training data, and the fit that it produces."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self


class Fit:
    """Facts about the training data that a feature needs to encode: a frozen dataclass, saved with the encoder."""

    section: ClassVar[str]
    """Key of encoder.json that holds all fits of this class."""

    @classmethod
    def save(cls, fits: Mapping[str, Self], folder: Path) -> Any:
        """Return plain values for encoder.json; write values that are too large for it into files of `folder`."""
        return {key: asdict(fit) for key, fit in fits.items()}  # type: ignore[call-overload]

    @classmethod
    def load(cls, saved: Any, folder: Path) -> dict[str, Self]:
        """Return the fits from the result of `save`.

        Raises:
            OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException: the folder is incomplete or
                corrupt.
        """
        return {key: cls(**values) for key, values in saved.items()}


class Fitting(ABC):
    """State of the training data seen so far, from which one fit is made.

    A pass over the training data makes one state per row group and merges the states in the order of the row groups.
    Processes can therefore share a pass: the same states merged in the same order give the same bits.
    """

    fit: ClassVar[type[Fit]]
    """Class of the fit."""
    key: str
    """Key of the fit within its section. Features with the same key are fitted together."""

    @property
    def full_key(self) -> tuple[str, str]:
        """Section and key of the fit."""
        return self.fit.section, self.key

    @abstractmethod
    def merge(self, other: Self) -> Self:
        """Return the state of both, the data of `self` first. Use only the result: both states can be modified.

        Raises:
            DataError: the data of `other` does not fit the data before it.
        """

    @abstractmethod
    def result(self) -> Fit:
        """Return the fit.

        Raises:
            DataError: the data cannot be fitted.
        """

    def grow(self, known: Fit) -> Self | None:
        """Return an empty state that adds to an earlier fit, or None if the earlier fit does not change.

        In a shared pass, only the first state adds to an earlier fit.
        """
        return None
