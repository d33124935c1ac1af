"""Split of a first config: by the names of the files, by time, or at random."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctr.starter.files import Sources
from ctr.starter.leaks import labels_of
from ctr.starter.reading import Column, TrainingData
from ctr.starter.times import TimeColumn

MIN_INSTANTS = 3
MIN_SHARE = 0.5  # of the nominal rows of a part, which a split by time must reach


@dataclass(frozen=True)
class SplitChoice:
    """`data.split`, and the reason for it."""

    settings: Mapping[str, Any] | None
    """None if the files have the names of all splits."""
    reason: str

    @property
    def name(self) -> str:
        """The rule in two or three words."""
        return "by the names of the files" if self.settings is None else f"by {self.settings['by']}"


def choose_split(sources: Sources, data: TrainingData, label: str, time: TimeColumn | None) -> SplitChoice:
    """Return how the data is split.

    Files named train and valid are kept. Otherwise the data, or the files of train, are split by the time that dates
    the rows if every part gets rows of both classes, and else at random by the seed.
    """
    named = "The names of the files determine the splits."
    if "valid" in sources.splits:
        return SplitChoice(None, named if "test" in sources.splits else f"{named} There is no test split.")
    if sources.are_named:
        fractions, parts = [0.9, 0.1], "the last tenth of train becomes the validation split"
    else:
        fractions, parts = [0.8, 0.1, 0.1], "the first 80% of the rows train, the next 10% validate, the last 10% test"
    opening = f"{named} Without a validation split, a part of train becomes it. " if sources.are_named else ""
    if time is not None and can_split(fractions, data.columns[time.name], data.columns[label]):
        is_sorted = data.columns[time.name].counts.is_sorted
        order = "the rows are in its order" if is_sorted else "its name is that of an event"
        reason = (
            f"{opening}By time: {parts}. Column {time.name!r} has a time in every row, and {order}. A random split "
            f"would let the model learn from the future."
        )
        return SplitChoice({"by": "time", "column": time.name, "fractions": fractions}, reason)
    why = "no column clearly dates the rows" if time is None else f"a split by {time.name!r} has a part with few rows"
    reason = (
        f"{opening}At random by the seed, because {why}. For data that changes over time a random split is too "
        f"optimistic: use {{by: time, column: NAME}} if there is such a column."
    )
    return SplitChoice({"by": "random", "fractions": fractions}, reason)


def can_split(fractions: list[float], times: Column, label: Column) -> bool:
    """Return True if a split of the sampled rows by time gives each part half of its rows or more, and both classes."""
    assert times.sample is not None
    assert label.sample is not None
    instants, position = np.unique(times.sample.to_numpy(zero_copy_only=False), return_inverse=True)
    if len(instants) < MIN_INSTANTS:
        return False
    labels = labels_of(label.sample)
    ends = np.cumsum(np.bincount(position))
    cuts = [int(np.abs(ends - bound * len(position)).argmin()) + 1 for bound in np.cumsum(fractions)[:-1]]
    part = np.searchsorted(cuts, position, side="right")
    for number, fraction in enumerate(fractions):
        of_part = labels[part == number]
        if len(of_part) < MIN_SHARE * fraction * len(position) or of_part.all() or not of_part.any():
            return False
    return True
