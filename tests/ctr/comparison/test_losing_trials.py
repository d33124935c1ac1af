"""The rule that ends losing trials: a pure function of curves, which holds for every order of trials."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctr.comparison.losing_trials import FEWEST, MARGIN, FinishedTrial, TrialCurve, ending_of

CURVE = TrialCurve("auc", (1, 2, 3, 4, 5), (0.70, 0.73, 0.74, 0.745, 0.744), last_epoch=10, validations=10)
ERROR = 0.001


def finished(values, trial=1, error=ERROR, **changes):
    epochs = tuple(range(1, len(values) + 1))
    return FinishedTrial(trial, replace(CURVE, epochs=epochs, values=tuple(values), **changes), error)


def curve(values, **changes):
    return replace(CURVE, epochs=tuple(range(1, len(values) + 1)), values=tuple(values), **changes)


BEST = finished((0.80, 0.81, 0.815, 0.8155, 0.815))


def test_a_trial_that_cannot_reach_the_best_one_is_ended_with_the_numbers_that_show_it():
    found = ending_of(curve((0.60, 0.61, 0.612, 0.613)), [BEST])
    assert found == {
        "validation": 3,
        "validations": 10,
        "epochs": 3,
        "last_epoch": 10,
        "metric": "auc",
        "value": 0.612,
        "bound": pytest.approx(0.612 + 7 * 0.01 + MARGIN * ERROR),  # the faster interval gained 0.01 an epoch
        "best": 0.8155,
        "best_trial": 1,
    }


def test_a_trial_that_could_reach_it_at_its_last_rate_goes_on():
    assert ending_of(curve((0.60, 0.63, 0.66)), [BEST]) is None  # 0.66 + 7 * 0.03


def test_a_trial_could_gain_what_an_earlier_one_gained_late():
    late = finished((0.60, 0.60, 0.60, 0.60, 0.60, 0.60, 0.78), trial=2)
    losing = curve((0.64, 0.64, 0.64))
    assert ending_of(losing, [BEST]) is not None
    assert ending_of(losing, [BEST, late]) is None  # 0.64 + 0.18


def test_the_later_gain_counts_from_the_same_share_of_the_epochs():
    half = finished((0.60, 0.60, 0.78), trial=2, last_epoch=5)  # the third of five epochs is the sixth of ten
    losing = curve((0.64,) * 9)
    assert ending_of(losing, [BEST, half])["validation"] == 6


@pytest.mark.parametrize(("shift", "ends"), [(1e-6, True), (-1e-6, False)])
def test_the_margin_is_in_standard_errors_of_the_best_trial(shift, ends):
    value = 0.8155 - 0.0005 - MARGIN * ERROR - shift  # the best trial gained 0.0005 after three epochs
    assert (ending_of(curve((value,) * 3), [BEST]) is not None) == ends


def test_without_a_finished_trial_or_its_error_nothing_is_ended():
    losing = curve((0.5, 0.5, 0.5, 0.5))
    assert ending_of(losing, []) is None
    assert ending_of(losing, [replace(BEST, error=None)]) is None
    assert ending_of(losing, [finished((None, None, None))]) is None


def test_a_warm_up_and_a_few_validations_after_it_are_waited_for():
    losing = curve((0.5,) * 9)
    assert ending_of(losing, [BEST])["validation"] == FEWEST
    assert ending_of(replace(losing, warm_up=2.5), [BEST])["validation"] == 2 + FEWEST


def test_a_trial_that_stops_by_itself_is_not_ended():
    assert ending_of(curve((0.5, 0.5, 0.5), patience=2), [BEST]) is None
    assert ending_of(curve((0.5, 0.5, 0.5), patience=3), [BEST]) is not None
    assert ending_of(curve((0.5, 0.5, 0.5), last_epoch=3), [finished((0.8, 0.8, 0.8), last_epoch=3)]) is None


def test_an_undefined_value_is_no_reason_to_end():
    assert ending_of(curve((None, None, 0.5)), [BEST]) is None
    assert ending_of(curve((math.nan, 0.5, 0.5)), [BEST]) is None
    assert ending_of(curve((0.5, 0.5, None, 0.5)), [BEST])["value"] == 0.5


def test_log_loss_is_better_when_lower():
    best = finished((0.40, 0.39, 0.385), metric="log_loss")
    found = ending_of(curve((0.69, 0.68, 0.678), metric="log_loss"), [best])
    assert (found["value"], found["best"]) == (0.678, 0.385)
    assert found["bound"] == pytest.approx(0.678 - 0.07 - MARGIN * ERROR)
    assert ending_of(curve((0.69, 0.62, 0.55), metric="log_loss"), [best]) is None


def test_the_first_of_equal_trials_is_named():
    assert ending_of(curve((0.5,) * 3), [BEST, replace(BEST, trial=2)])["best_trial"] == 1


VALUES = st.lists(st.floats(0.5, 1), min_size=1, max_size=9)


@given(VALUES, st.lists(VALUES, max_size=3))
def test_an_ending_depends_only_on_the_validations_until_it(values, earlier):
    trials = [finished(one, trial=number) for number, one in enumerate(earlier, start=1)]
    found = ending_of(curve(values), trials)
    for count in range(len(values) + 1):
        expected = found if found is not None and count >= found["validation"] else None
        assert ending_of(curve(values[:count]), trials) == expected


@given(VALUES, st.lists(VALUES, min_size=1, max_size=3))
def test_what_ended_was_below_the_best_trial(values, earlier):
    trials = [finished(one, trial=number) for number, one in enumerate(earlier, start=1)]
    found = ending_of(curve(values), trials)
    if found is not None:
        assert found["value"] < found["bound"] < found["best"] == max(map(max, earlier))
