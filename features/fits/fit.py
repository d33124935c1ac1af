"""The two sides of fitting: a mergeable state of the training data, and the fit that it ends in."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self


class Fit:
    """Knowledge of the training data that a feature encodes with: a frozen dataclass, saved with the encoder."""

    section: ClassVar[str]
    """Key of encoder.json that holds all fits of this class."""

    @classmethod
    def save(cls, fits: Mapping[str, Self], folder: Path) -> Any:
        """Return plain values for encoder.json; what is too large for it goes into files of `folder`."""
        return {key: asdict(fit) for key, fit in fits.items()}  # type: ignore[call-overload]

    @classmethod
    def load(cls, described: Any, folder: Path) -> dict[str, Self]:
        """Return the fits that `save` described.

        Raises:
            OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException: the folder is incomplete or
                damaged.
        """
        return {key: cls(**values) for key, values in described.items()}


class Fitting(ABC):
    """State of the training data seen so far, from which one fit is made.

    A pass over the training data makes one state for each row group and merges them in the order of the row groups.
    So processes can share the pass: the same states merged in the same order give the same bits.
    """

    fit: ClassVar[type[Fit]]
    """Class of the fit."""
    key: str
    """Key of the fit within its section. Features of one key are fitted together."""

    @property
    def place(self) -> tuple[str, str]:
        """Section and key of the fit."""
        return self.fit.section, self.key

    @abstractmethod
    def merge(self, other: Self) -> Self:
        """Return the state of both, the data of `self` first. Both are used up: use the returned state only.

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
        """Return an empty state that adds to an earlier fit; None if an earlier fit stays as it is.

        In a pass that is divided, only the first state adds to an earlier fit.
        """
        return None
