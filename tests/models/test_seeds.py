"""Seeds and initial values are functions of their names only."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import PathInitializer, seed_of

SHAPE = [120, 80]


@pytest.mark.parametrize(("parts", "seed"), [((1, "deep/0"), 1085871794), ((0, "user"), 822356501)])
def test_a_seed_is_the_same_in_every_process_and_release(parts, seed):
    assert seed_of(*parts) == seed


parts = st.lists(st.integers() | st.text(max_size=5), min_size=1, max_size=3)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(one=parts, two=parts)
def test_other_parts_give_another_seed_of_31_bits(one, two):
    assert 0 <= seed_of(*one) < 2**31
    assert (seed_of(*one) == seed_of(*two)) == (one == two)


@pytest.mark.parametrize(("one", "two"), [((1, "a"), ("1", "a")), (("ab", "c"), ("a", "bc")), (("a",), ("a", ""))])
def test_parts_that_read_alike_are_told_apart(one, two):
    assert seed_of(*one) != seed_of(*two)


def test_an_initializer_is_a_function_of_seed_path_and_shape():
    def values(seed=1, path="deep/0", shape=SHAPE):
        return PathInitializer("glorot_uniform", seed, path)(shape).numpy()

    np.testing.assert_array_equal(values(), values())
    for other in (values(seed=2), values(path="deep/1"), values(shape=SHAPE[::-1])):
        assert abs(np.corrcoef(values().ravel(), other.ravel())[0, 1]) < 0.05


FAN_IN, FAN_OUT = SHAPE


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot_uniform", 2 / (FAN_IN + FAN_OUT)),
        ("glorot_normal", 2 / (FAN_IN + FAN_OUT)),
        ("he_uniform", 2 / FAN_IN),
        ("he_normal", 2 / FAN_IN),
        ("lecun_normal", 1 / FAN_IN),
    ],
)
def test_values_have_the_mean_and_variance_of_the_named_initializer(name, variance):
    values = PathInitializer(name, seed=1, path="deep/0")(SHAPE).numpy()

    assert values.mean() == pytest.approx(0, abs=4 * np.sqrt(variance / values.size))
    assert values.var() == pytest.approx(variance, rel=0.06)


def test_the_config_restores_the_initializer():
    initializer = PathInitializer("he_normal", seed=3, path="cross/1")

    restored = PathInitializer.from_config(initializer.get_config())

    np.testing.assert_array_equal(restored(SHAPE), initializer(SHAPE))


def test_an_unknown_initializer_is_refused():
    with pytest.raises(ValueError, match="glorot_unifrom"):
        PathInitializer("glorot_unifrom", seed=1, path="deep/0")(SHAPE)
