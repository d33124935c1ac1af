"""Search ranges in a config, and the values that trials sample from them."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from pydantic import ValidationError, model_validator
from scipy.stats import qmc

from ctr.config.messages import explain
from ctr.config.yaml_file import deep_copy, join_key, put
from ctr.errors import ConfigError
from features import Settings

TUNE = "tune"
DIGITS = 4  # significant digits of a sampled value

Sampled = dict[str, float]
"""Dotted key -> sampled value."""


class SearchRange(Settings):
    """Search range of a setting, written in place of its value: `{tune: [0.001, 0.1]}`."""

    tune: tuple[float, float]
    """Minimum and maximum, in this order. On a log scale both are above 0."""
    scale: Literal["log", "linear"] = "log"
    """Scale on which samples are evenly spread."""
    integer: bool = False
    """True to round samples to integers."""

    @model_validator(mode="after")
    def _check_bounds(self) -> "SearchRange":
        low, high = self.tune
        if not low < high:
            raise ValueError(f"`tune` must be [minimum, maximum]. Received: [{low:g}, {high:g}]")
        if self.scale == "log" and low <= 0:
            raise ValueError(
                f"`tune` must be above 0 on a log scale. Use `scale: linear`. Received: [{low:g}, {high:g}]"
            )
        return self

    def at(self, fraction: float) -> float:
        """Return the value at a fraction of the way from minimum to maximum.

        >>> SearchRange(tune=(0.001, 0.1)).at(0.5), SearchRange(tune=(32, 512), integer=True).at(0.5)
        (0.01, 128)
        """
        low, high = self.tune
        value = low * (high / low) ** fraction if self.scale == "log" else low + fraction * (high - low)
        return round(value) if self.integer else float(f"{value:.{DIGITS}g}")


def find_ranges(values: Mapping[str, Any]) -> dict[str, SearchRange]:
    """Return dotted key -> search range of a config, in the config's order.

    Raises:
        ConfigError: a search range is invalid.
    """
    ranges = {}
    for key, value in _ranges(values):
        try:
            ranges[join_key(key)] = SearchRange.model_validate(value)
        except ValidationError as error:
            raise ConfigError(f"{join_key(key)}: {explain(error)}") from error
    return ranges


def fill_ranges(values: Mapping[str, Any], sampled: Sampled) -> dict[str, Any]:
    """Return a copy of a config in which sampled values replace the search ranges."""
    copy = deep_copy(values)
    for key, _ in _ranges(values):
        put(copy, list(key), sampled[join_key(key)], join_key(key))
    return copy


def sample(ranges: Mapping[str, SearchRange], trials: int, seed: int) -> list[Sampled]:
    """Sample the values of each trial, evenly spread over all ranges together, from a scrambled Halton sequence.

    A larger number of trials starts with the same samples. The sequence depends only on the seed and the number of
    ranges, so variants with equally many ranges get samples at the same relative positions. Source: Owen 2017, A
    Randomized Halton Algorithm in R.

    Args:
        ranges: dotted key -> search range, at least one.
        trials: number of trials.
        seed: seed of the scrambling.
    """
    points = qmc.Halton(len(ranges), scramble=True, rng=np.random.default_rng(seed)).random(trials)
    return [
        {key: search_range.at(fraction) for (key, search_range), fraction in zip(ranges.items(), point, strict=True)}
        for point in points
    ]


def is_extreme(value: float, sampled: list[float]) -> bool:
    """Return True if a value is the minimum or maximum of several samples, so that better values may lie outside."""
    return len(sampled) > 1 and (math.isclose(value, min(sampled)) or math.isclose(value, max(sampled)))


def _ranges(values: Mapping[str, Any], parents: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            path = (*parents, str(key))
            if isinstance(value.get(TUNE), list):
                yield path, value
            else:
                yield from _ranges(value, path)
