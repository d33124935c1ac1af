"""Ranges that a config has in place of values, and the values that trials draw from them."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError, model_validator
from scipy.stats import qmc

from ctr.config.messages import explain
from ctr.config.yaml_file import copied, join_key, put
from ctr.errors import ConfigError
from features import Settings

TUNE = "tune"
DIGITS = 4  # significant, of what is drawn

Sampled = dict[str, float]
"""Dotted key -> value."""


class SearchRange(Settings):
    """Search range of a setting, written in place of its value: `{tune: [0.001, 0.1]}`."""

    tune: tuple[float, float]
    """Minimum and maximum, in this order. On a log scale both are above 0."""
    scale: Literal["log", "linear"] = "log"
    """Scale on which samples are evenly spread."""
    integer: bool = False
    """True to round samples to integers."""

    @model_validator(mode="after")
    def _ascends(self) -> "SearchRange":
        low, high = self.tune
        if not low < high:
            raise ValueError(f"`tune` needs the least and the most. Received: [{low:g}, {high:g}]")
        if self.scale == "log" and low <= 0:
            raise ValueError(f"a range on a log scale is above 0; take `scale: linear`. Received: [{low:g}, {high:g}]")
        return self

    def at(self, share: float) -> float:
        """The value at a share of the way from the least to the most.

        >>> SearchRange(tune=(0.001, 0.1)).at(0.5), SearchRange(tune=(32, 512), integer=True).at(0.5)
        (0.01, 128)
        """
        low, high = self.tune
        value = low * (high / low) ** share if self.scale == "log" else low + share * (high - low)
        return round(value) if self.integer else float(f"{value:.{DIGITS}g}")


def ranges_in(values: Mapping[str, Any]) -> dict[str, SearchRange]:
    """Every range of a config by its dotted key, in the config's order.

    Raises:
        ConfigError: one is not understood.
    """
    found = {}
    for key, value in _ranges(values):
        try:
            found[join_key(key)] = SearchRange.model_validate(value)
        except ValidationError as error:
            raise ConfigError(f"{join_key(key)}: {explain(error)}") from error
    return found


def filled(values: Mapping[str, Any], drawn: Sampled) -> dict[str, Any]:
    """A copy of a config with a value in the place of each range."""
    copy = copied(values)
    for key, _ in _ranges(values):
        put(copy, list(key), drawn[join_key(key)], join_key(key))
    return copy


def draw(ranges: Mapping[str, SearchRange], trials: int, seed: int) -> list[Sampled]:
    """The values of each trial, evenly spread over all ranges at once: points of a scrambled Halton sequence.

    More trials begin with the same ones. Every number of ranges has its own sequence, the same for all choices, so that
    the trials of two choices lie at the same places of their ranges. Source: Owen 2017, A Randomized Halton Algorithm
    in R.

    Args:
        ranges: dotted key -> range, at least one.
        trials: how many.
        seed: of the scrambling.
    """
    points = qmc.Halton(len(ranges), scramble=True, rng=np.random.default_rng(seed)).random(trials)
    return [{key: one.at(share) for (key, one), share in zip(ranges.items(), point, strict=True)} for point in points]


def is_outermost(value: float, tried: list[float]) -> bool:
    """Whether a value is the least or the most of those tried, so that better ones may lie beyond."""
    return len(tried) > 1 and (math.isclose(value, min(tried)) or math.isclose(value, max(tried)))


def _ranges(values: Mapping[str, Any], parents: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            here = (*parents, str(key))
            if isinstance(value.get(TUNE), list):
                yield here, value
            else:
                yield from _ranges(value, here)
