"""Verdicts on differences."""

from dataclasses import asdict

import numpy as np
import pytest

from ctr.comparison.baseline_diff import assign_verdicts
from ctr.metrics import RowDifferences, difference_over_both, mean_over_seeds


def difference(values, row_error, **changes):
    """Return a result of `compare_with_baseline` with differences in AUC by seed and a standard error over examples."""
    deviation = np.array([-1.0, 1.0, -1.0, 1.0]) * np.sqrt(3.0) * row_error
    rows = [RowDifferences(value, deviation, np.ones(4), (np.ones(4, bool),)) for value in values]
    by_seed = [{"seed": seed, **asdict(one.difference())} for seed, one in enumerate(rows)]
    both, over = difference_over_both(rows), mean_over_seeds(values)
    one = {"by_seed": by_seed, "over_seeds": asdict(over), "over_both": asdict(both)}
    made = {"metrics": {"auc": one, "log_loss": one}, "same_rows": True, "same_scores": False, "lacking": []}
    return {**made, "start": {"violations": []}, **changes}


def verdict(*differences, metric="auc"):
    assign_verdicts(differences, metric)
    return differences[0]["metrics"][metric]["verdict"]


STEADY = [0.010, 0.011, 0.009, 0.010, 0.011]


def test_what_holds_for_other_seeds_and_rows_is_better_or_worse():
    assert verdict(difference(STEADY, 0.001)) == "better"
    assert verdict(difference([-value for value in STEADY], 0.001)) == "worse"


def test_less_log_loss_is_better():
    assert verdict(difference(STEADY, 0.001), metric="log_loss") == "worse"


def test_rows_may_be_too_few():
    assert verdict(difference(STEADY, 0.02)) == "inconclusive"


@pytest.mark.parametrize("values", [[0.01, 0.02], [0.01, 0.05, 0.01]])
def test_seeds_that_differ_much_or_are_few_show_themselves_only(values):
    assert verdict(difference(values, 0.001)) == "better_for_tested_seeds"


def test_seeds_that_do_not_agree_show_nothing():
    assert verdict(difference([0.02, -0.01, 0.03], 0.001)) == "inconclusive"


def test_seeds_that_agree_show_nothing_where_rows_are_too_few_for_one_of_them():
    assert verdict(difference([0.001, 0.05, 0.03], 0.005)) == "inconclusive"


def test_one_seed_shows_itself_only():
    assert verdict(difference([0.01], 0.001)) == "better_for_tested_seeds"


def test_many_comparisons_need_more():
    values = [0.0024, 0.0026, 0.0024, 0.0026, 0.0025]  # p is about 0.012
    assert verdict(difference(values, 0.001)) == "better"
    assert verdict(*(difference(values, 0.001) for _ in range(30))) == "inconclusive"


def test_rows_of_random_splits_show_their_seeds_only():
    assert verdict(difference(STEADY, 0.001, same_rows=False)) == "better_for_tested_seeds"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"lacking": ["sgd: no run with seed 2"]}, "incomplete"),
        ({"start": {"violations": ["sgd, seed 1: other than in adam, seed 1: user"]}}, "not_comparable"),
        ({"same_scores": True}, "identical"),
    ],
)
def test_whatever_the_numbers(changes, expected):
    assert verdict(difference(STEADY, 0.001, **changes)) == expected


def test_equal_ranks_of_other_scores_are_not_the_same():
    assert verdict(difference([0.0, 0.0], 0.0)) == "inconclusive"


def test_without_any_seed_there_is_none():
    nothing = {"by_seed": [], "over_both": {"value": None, "p_value": None}}
    assert verdict({**difference([0.1], 0.1), "metrics": {"auc": nothing}}) is None
