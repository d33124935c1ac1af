"""Search ranges in a config, and samples from them."""

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ctr.comparison.search_ranges import SearchRange, fill_ranges, find_ranges, is_extreme, sample
from ctr.errors import ConfigError

VALUES = {
    "optimizers": {"sparse": {"wide/*": {"type": "ftrl", "learning_rate": {"tune": [0.01, 1]}}}},
    "model": {"hidden": [64], "dropout": {"tune": [0, 0.5], "scale": "linear"}},
    "training": {"batch_size": {"tune": [256, 4096], "integer": True}},
}
KEYS = ['optimizers.sparse."wide/*".learning_rate', "model.dropout", "training.batch_size"]


def test_ranges_are_found_by_their_dotted_keys():
    assert list(find_ranges(VALUES)) == KEYS


def test_each_range_gets_its_value_and_nothing_else_changes():
    before = copy.deepcopy(VALUES)
    values = fill_ranges(VALUES, dict(zip(KEYS, [0.1, 0.2, 512], strict=True)))
    assert values["optimizers"]["sparse"]["wide/*"] == {"type": "ftrl", "learning_rate": 0.1}
    assert values["model"] == {"hidden": [64], "dropout": 0.2}
    assert values["training"] == {"batch_size": 512}
    assert before == VALUES


def test_one_range_in_two_places_is_two():
    once = {"type": "sgd", "learning_rate": {"tune": [1, 10]}}
    values = fill_ranges({"a": once, "b": once}, {"a.learning_rate": 2, "b.learning_rate": 3})
    assert (values["a"]["learning_rate"], values["b"]["learning_rate"]) == (2, 3)


def test_a_key_called_tune_is_no_range():
    assert find_ranges({"features": {"columns": {"tune": {"dim": 4}}}}) == {}


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"tune": [1, 1]}, "`tune` must be [minimum, maximum]. Received: [1, 1]"),
        ({"tune": [2, 1]}, "must be [minimum, maximum]. Received: [2, 1]"),
        ({"tune": [0, 1]}, "`tune` must be above 0 on a log scale. Use `scale: linear`. Received: [0, 1]"),
        ({"tune": [0.1]}, "tune"),
        ({"tune": [0.1, 1], "scal": "log"}, "did you mean 'scale'?"),
        ({"tune": [0.1, float("inf")]}, "finite"),
    ],
)
def test_a_range_that_is_invalid_is_named(described, message):
    with pytest.raises(ConfigError) as error:
        find_ranges({"model": {"dropout": described}})
    assert "model.dropout" in str(error.value)
    assert message in str(error.value)


@given(
    low=st.floats(1e-6, 1e3),
    ratio=st.floats(1.5, 1e6),
    scale=st.sampled_from(["log", "linear"]),
    seed=st.integers(0, 2**31 - 1),
    trials=st.integers(1, 12),
    dimensions=st.integers(1, 4),
)
def test_draws_lie_within_their_range(low, ratio, scale, seed, trials, dimensions):
    ranges = {f"key{k}": SearchRange(tune=(low, low * ratio), scale=scale) for k in range(dimensions)}
    samples = sample(ranges, trials, seed)
    assert len(samples) == trials
    values = np.array([list(one.values()) for one in samples])
    assert values.shape == (trials, dimensions)
    assert (values >= low * (1 - 1e-3)).all()  # four digits
    assert (values <= low * ratio * (1 + 1e-3)).all()


def test_the_same_seed_draws_the_same_and_more_trials_begin_with_them():
    ranges = {"rate": SearchRange(tune=(0.001, 1)), "l2": SearchRange(tune=(0.01, 0.1))}
    assert sample(ranges, 3, 7) == sample(ranges, 8, 7)[:3]
    assert sample(ranges, 3, 7) != sample(ranges, 3, 8)


def test_trials_spread_evenly_over_a_logarithmic_range():
    rates = [one["rate"] for one in sample({"rate": SearchRange(tune=(1e-4, 1))}, 64, 0)]
    assert np.histogram(np.log10(rates), bins=4, range=(-4, 0))[0] == pytest.approx([16] * 4, abs=1)


def test_two_variants_are_sampled_at_the_same_positions_of_their_ranges():
    ftrl, sgd = ({"rate": SearchRange(tune=bounds)} for bounds in ((0.01, 1), (1, 100)))
    places = [np.log10([one["rate"] for one in sample(ranges, 5, 3)]) for ranges in (ftrl, sgd)]
    np.testing.assert_allclose(places[0] + 2, places[1], atol=1e-3)


def test_a_whole_range_draws_whole_numbers():
    sizes = [one["size"] for one in sample({"size": SearchRange(tune=(16, 64), integer=True)}, 20, 1)]
    assert all(isinstance(size, int) and 16 <= size <= 64 for size in sizes)


def test_the_outermost_are_the_least_and_the_most_of_several():
    assert [is_extreme(value, [1, 2, 3]) for value in (1, 2, 3)] == [True, False, True]
    assert not is_extreme(1, [1])


def test_a_range_is_frozen():
    with pytest.raises(ValidationError):
        SearchRange(tune=(1, 2)).scale = "linear"
