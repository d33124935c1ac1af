"""Summary cards agree with the checks and state nothing that the rows cannot support."""

import numpy as np
import pytest

from ctr.checks.evaluated import check
from ctr.metrics import BinaryMetrics
from ctr.metrics.psi import Drift
from ctr.report.drift import DistributionDrift
from ctr.report.summary_cards import summary_cards


def metrics_of(rows, shift, seed=0):
    """Return metrics of scores that are `shift` too high in log-odds, at a positive rate of about 5%."""
    random = np.random.default_rng(seed)
    logit = random.normal(-3.2, 0.8, rows)
    metrics = BinaryMetrics()
    metrics.add((logit + shift).astype(np.float32), random.random(rows) < 1 / (1 + np.exp(-logit)))
    return metrics.result()


def psi(value, level, noise=0.003):
    return {"psi": value, "psi_corrected": value, "drift": Drift(level), "noise": noise, "bins": 11}


def report_of(metrics, score):
    return {
        "kind": "evaluation",
        "main_split": "test",
        "metrics": {"train": metrics, "test": metrics},
        "deciles": {"test": []},
        "psi": {
            "score": {"test": score},
            "features": {"test": {}},
            "drivers": {"test": []},
            "over_time": None,
            "calendar": {},
            "overfitting": {},
        },
        "slices": {},
        "frequency": {},
        "leakage": {},
        "tables": [],
        "row_sparsity": 0.0,
        "seconds": {"total": 1.0},
    }


def both(metrics, score=None, features=(), **psi_of_report):
    """Return the text of each card by title, and the level of each check by name."""
    score = score or psi(0.001, "stable")
    report = report_of(metrics, score)
    report["psi"] |= psi_of_report
    found = summary_cards(report, DistributionDrift("score", {"test": score}, []), list(features), None)
    levels = {one["check"]: one["level"] for one in check(report, metrics) if one["split"] == "test"}
    return {card.title: f"{card.value}: {' '.join(card.sentences)}" for card in found}, levels


MOVED = [("weekday", 5.1, "major"), ("price", 0.01, "stable")]
CASES = {
    "true scores of many rows": (100_000, 0.0, "The scores are calibrated overall", " lower than ", ("ok", "ok")),
    "scores that are off": (100_000, 1.5, "The scores are miscalibrated", " higher than ", ("warning", "warning")),
    "few rows": (
        400,
        0.3,
        "Too few positives to tell",
        "Inconclusive: the difference is within 4 standard errors.",
        ("note", "note"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_calibration_and_log_loss_say_what_the_checks_say(case):
    rows, shift, calibrated, compared, expected = CASES[case]
    found, levels = both(metrics_of(rows, shift))
    assert calibrated in found["Calibration, test"]
    assert "(95% CI " in found["Calibration, test"]
    assert compared in found["Log loss, test"]
    assert (levels["calibration"], levels["constant"]) == expected


def test_a_score_within_a_wide_noise_is_not_called_stable():
    few = both(metrics_of(400, 0.0), psi(0.09, "too_little_data", 0.2))[0]["PSI of the score, test"]
    assert few.endswith("so no evidence of drift. Too few examples to conclude that it is stable.")
    many = both(metrics_of(400, 0.0), psi(0.001, "stable"))[0]["PSI of the score, test"]
    assert many.endswith("so no evidence of drift.")


def test_features_with_too_little_data_are_not_among_those_that_have_not_moved():
    unknown = [DistributionDrift(name, {"test": psi(0.2, "too_little_data", 0.3)}, []) for name in "ab"]
    stable = DistributionDrift("c", {"test": psi(0.01, "stable")}, [])
    metrics = metrics_of(400, 0.0)
    found = both(metrics, features=unknown)[0]["Features that have drifted"]
    assert found == "-: 2 features with too little data."
    found = both(metrics, features=[*unknown, stable])[0]["Features that have drifted"]
    assert found == (
        "0 of 1: No feature with enough data has moderate or major drift. 2 features with too little data."
    )


def test_a_shift_by_overfitting_is_not_called_drift():
    why = {"explained": 0.0, "positives": [0.9, 0.3], "negatives": [0.0, 0.2], "between": {}}
    unstable = psi(2.6, "major")
    card = both(metrics_of(400, 0.0), unstable, overfitting={"test": why})[0]["PSI of the score, test"]
    assert "Above the noise floor of 0.0030. This is probably overfitting, not drift: scores" in card
    assert "overfitting" not in both(metrics_of(400, 0.0), unstable)[0]["PSI of the score, test"]


def test_a_part_of_the_time_that_a_set_lacks_is_left_out_of_the_features_that_moved():
    weekday, price = (DistributionDrift(name, {"test": psi(value, word)}, []) for name, value, word in MOVED)
    found = both(metrics_of(400, 0.0), features=[weekday, price], calendar={"test": ["weekday"]})[0]
    assert found["Features that have drifted"] == (
        "0 of 1: No feature has moderate or major drift. Left out, because a split does not have all values of these "
        "date parts: weekday."
    )
    alone = both(metrics_of(400, 0.0), features=[weekday], calendar={"test": ["weekday"]})[0]
    assert alone["Features that have drifted"].startswith("-: Left out")
