"""Checks of a report: each reports its problem, and reports that it passed otherwise."""

import copy

import numpy as np
import pytest
from scipy import stats

from ctr.checks.evaluated import check
from ctr.checks.significance import largest_psi
from ctr.metrics import BinaryMetrics, compare, sigmoid
from ctr.metrics.frequency_bands import Band
from ctr.metrics.psi import Drift

TRAINING = {
    "rows": 100_000,
    "auc": 0.80,
    "auc_interval": [0.797, 0.803],
    "positives": 20_000,
    "positive_rate": 0.2,
    "positive_rate_error": 0.001,
}


def decile(calibration=1.0, z=0.0):
    return {"calibration": calibration, "calibration_z": z}


def group(rows=1000, auc=0.79, error=0.01, calibration=1.0, z=0.0, **named):
    rates = {"positive_rate": 0.2, "mean_score": 0.2}
    measured = {"auc": auc, "auc_standard_error": error, "calibration": calibration, "calibration_z": z}
    measured["calibration_error"] = (0.8 / (0.2 * rows)) ** 0.5
    return {"rows": rows, **rates, **measured, **named}


def stable(psi=0.01, drift="stable"):
    return {"psi": psi, "psi_corrected": psi, "drift": Drift(drift), "noise": 0.003, "bins": 11}


REPORT = {
    "main_split": "test",
    "metrics": {
        "train": TRAINING,
        "test": {
            "rows": 20_000,
            "auc": 0.79,
            "auc_interval": [0.78, 0.80],
            "positive_rate": 0.2,
            "positive_rate_error": 0.003,
            "positives": 4_000,
            "log_loss": 0.44,
            "log_loss_excess": -0.06,
            "log_loss_excess_error": 0.003,
            "calibration": 1.01,
            "calibration_error": 0.015,
            "calibration_z": -0.7,
        },
    },
    "deciles": {"test": [decile() for _ in range(10)]},
    "psi": {
        "score": {"test": stable()},
        "features": {"test": {"channel": stable(), "price": stable()}},
        "drivers": {"test": []},
        "over_time": {
            "periods": ["1", "2"],
            "partial": [],
            "features": {name: {"since": None, "drift": [Drift.STABLE] * 2} for name in ("channel", "price")},
        },
        "calendar": {},
        "overfitting": {},
    },
    "slices": {"test": {"device": [group(value="phone"), group(value="tv", rows=50, auc=0.4)]}},
    "frequency": {"test": {"user": [group(seen=Band.FROM_1), group(seen=Band.FROM_10)]}},
    "leakage": {
        "test": {
            "single_feature_auc": {"channel": 0.6, "price": None},
            "duplicates": {
                "share": 0.0,
                "error": 0.0005,
                "upper": 0.002,
                "identified_rows": 20_000,
                "is_suspect": False,
            },
        }
    },
}
NAMES = [
    "ranking",
    "overfitting",
    "single_features",
    "duplicates",
    "positive_rate",
    "calibration",
    "constant",
    "score_drift",
    "feature_drift",
    "long_tail_ids",
    "slices",
]


def checked(change=lambda report: None, training=TRAINING):
    """Return (level, sentence) by check, of the report after a change."""
    report = copy.deepcopy(REPORT)
    change(report)
    found = check(report, training)
    return {one["check"]: (one["level"], one["sentence"]) for one in reversed(found)}  # the worst level of each check


def test_a_good_report_has_been_looked_at_from_all_sides():
    found = checked()
    assert sorted(found) == sorted(NAMES)
    assert {level for level, _ in found.values()} == {"ok"}
    assert {one["split"] for one in check(REPORT, TRAINING)} == {"test"}


def changing(*path, **values):
    def change(report):
        for key in path:
            report = report[key]
        report.update(values)

    return change


RANKINGS = {
    "is not significantly different from chance": {"auc": 0.51, "auc_interval": [0.49, 0.53]},
    "negatives rank above positives": {"auc": 0.3, "auc_interval": [0.28, 0.32]},
    "barely better": {"auc": 0.54, "auc_interval": [0.53, 0.55]},
    "suspiciously high": {"auc": 0.995, "auc_interval": [0.99, 0.999]},
}


@pytest.mark.parametrize("words", RANKINGS)
def test_an_auc_too_low_or_too_high_is_said(words):
    level, sentence = checked(changing("metrics", "test", **RANKINGS[words]))["ranking"]
    assert level == "warning"
    assert words in sentence


FINDINGS = {
    "Overfitting: AUC 0.8000 in training, 0.7500": (
        "overfitting",
        changing("metrics", "test", auc=0.75, auc_interval=[0.74, 0.76]),
        "warning",
    ),
    "20,000 examples are more than report.max_exact_rows": (
        "slices",
        changing("metrics", "test", auc_error=1e-6),
        "note",
    ),
    "Too little data to tell whether 1 feature drifted.": (
        "feature_drift",
        changing("psi", "features", "test", price=stable(0.1, "too_little_data")),
        "note",
    ),
    "Possible leak: channel alone": (
        "single_features",
        changing("leakage", "test", "single_feature_auc", channel=0.97),
        "warning",
    ),
    "Possible leak: about 40.0% (SE 1.4%) of the 16,000 identifiable examples of test duplicate training examples": (
        "duplicates",
        changing("leakage", "test", "duplicates", share=0.4, error=0.014, identified_rows=16_000, is_suspect=True),
        "warning",
    ),
    "positive rate changed: 0.2000 in training, 0.2500": (
        "positive_rate",
        changing("metrics", "test", positive_rate=0.25),
        "warning",
    ),
    "Miscalibrated: the scores predict 10.0% more positives than observed (95% CI +7.1% to +13.0%, 4,000 positives)": (
        "calibration",
        changing("metrics", "test", calibration=1.1, calibration_z=-9.0),
        "warning",
    ),
    "off by more than 10% in score decile 3 ": (
        "calibration",
        lambda report: report["deciles"]["test"].__setitem__(2, decile(1.3, -7.0)),
        "note",
    ),
    "score: major drift against the training data": (
        "score_drift",
        changing("psi", "score", test=stable(0.3, "major")),
        "warning",
    ),
    "score: moderate drift against the training data": (
        "score_drift",
        changing("psi", "score", test=stable(0.15, "moderate")),
        "note",
    ),
    "too little data to tell whether it has drifted": (
        "score_drift",
        changing("psi", "score", test=stable(0.1, "too_little_data")),
        "note",
    ),
    "channel: major drift (PSI 0.30 against the training data).": (
        "feature_drift",
        changing("psi", "features", "test", channel=stable(0.3, "major")),
        "warning",
    ),
    "Moderate drift against the training data: price (PSI 0.15).": (
        "feature_drift",
        changing("psi", "features", "test", price=stable(0.15, "moderate")),
        "note",
    ),
    "price: major drift at the end of the data, since 2026-01-09": (
        "feature_drift",
        changing("psi", "over_time", "features", price={"since": "2026-01-09", "drift": [Drift.MAJOR] * 2}),
        "note",
    ),
    "AUC 0.7000 where user is seen 1 to 9 times in training (5.0% of examples), 0.7900 overall": (
        "long_tail_ids",
        lambda report: report["frequency"]["test"]["user"][0].update(auc=0.70),
        "note",
    ),
    "Slices with an AUC far below the overall 0.7900: device = phone (0.6500)": (
        "slices",
        lambda report: report["slices"]["test"]["device"][0].update(auc=0.65),
        "note",
    ),
    "Slices miscalibrated by more than 20%: device = phone (+30%)": (
        "slices",
        lambda report: report["slices"]["test"]["device"][0].update(calibration=1.3, calibration_z=-8.0),
        "note",
    ),
}


@pytest.mark.parametrize("words", FINDINGS)
def test_what_is_wrong_is_said(words):
    name, change, level = FINDINGS[words]
    found = checked(change)
    assert found[name][0] == level
    assert words in found[name][1]
    assert {other: one for other, one in found.items() if other != name and one[0] != "ok"} == {}


def test_a_shifted_feature_is_named_with_its_day_and_what_it_drives():
    def change(report):
        report["psi"]["features"]["test"]["channel"] = stable(0.34, "major")
        report["psi"]["over_time"]["features"]["channel"]["since"] = "2026-01-09"
        report["psi"]["score"]["test"] = stable(0.4, "major")
        report["psi"]["drivers"]["test"] = [
            {"feature": "channel", "explained": 0.93},
            {"feature": "price", "explained": 0.01},
        ]

    found = checked(change)
    assert found["feature_drift"][1] == ("channel: major drift since 2026-01-09 (PSI 0.34 against the training data).")
    assert found["score_drift"][1].endswith("It is explained by drift of channel (93% of it).")


def test_overfitting_is_said_in_place_of_drift():
    why = {
        "explained": 0.018,
        "positives": [0.98374, 0.32027],
        "negatives": [0.00862, 0.23869],
        "between": {"valid": [2.56298, 0.01026]},
    }

    def change(report):
        report["psi"]["score"]["test"] = stable(2.6383, "major")
        report["psi"]["overfitting"] = {"test": why}

    assert checked(change)["score_drift"] == (
        "warning",
        "Probably overfitting, not drift: the score differs from the training data (PSI 2.6383, 2.6383 corrected for "
        "chance), but the drift of no feature explains more than 1.8% of it. The score of valid differs as much "
        "(PSI 2.5630), and test does not differ from valid (PSI 0.0103). The mean score of positives is 0.3203, 0.9837 "
        "in training; of negatives 0.2387, 0.0086 in training.",
    )


def over_time(report, **features):
    report["psi"]["over_time"] |= {"periods": ["2026-01-09", "2026-01-10"], "partial": ["2026-01-10"]}
    for name, one in features.items():
        report["psi"]["over_time"]["features"][name] = {"since": None, "drift": [], **one}


def test_a_part_of_the_time_that_a_set_does_not_cover_is_no_drift():
    def change(report):
        report["psi"]["features"]["test"]["channel"] = stable(5.1, "major")
        report["psi"]["calendar"] = {"test": ["channel"]}
        over_time(report, channel={"drift": [Drift.MAJOR, Drift.MAJOR], "reason": "it is a part of the time"})

    report = copy.deepcopy(REPORT)
    change(report)
    found = [(one["level"], one["sentence"]) for one in check(report, TRAINING) if one["check"] == "feature_drift"]
    assert found == [
        ("note", "Not drift: test does not cover all values of the date parts channel (PSI 5.10)."),
        ("ok", "1 feature is stable against the training data."),
    ]


def test_why_a_feature_is_not_dated_is_said():
    def change(report):
        reason = "it is unstable from period to period within the training data too"
        over_time(report, channel={"drift": [Drift.MAJOR, Drift.STABLE], "reason": reason})

    assert checked(change)["feature_drift"] == (
        "note",
        "PSI over time does not indicate drift of channel: it is unstable from period to period within the training "
        "data too.",
    )

    def moved_too(report):
        change(report)
        report["psi"]["features"]["test"]["channel"] = stable(0.3, "major")

    assert checked(moved_too)["feature_drift"] == (
        "warning",
        "channel: major drift (PSI 0.30 against the training data). But it is unstable from period to period within "
        "the training data too.",
    )


def test_what_is_unstable_in_a_partial_last_period_alone_is_no_drift():
    found = checked(lambda report: over_time(report, price={"drift": [Drift.STABLE, Drift.MAJOR]}))
    assert found["feature_drift"] == (
        "note",
        "2026-01-10 is a partial period, so its high PSI does not indicate drift of price.",
    )


@pytest.mark.parametrize("rows", [200, 99])
def test_what_chance_could_do_is_neither_a_finding_nor_fine(rows):
    def change(report):
        report["slices"]["test"]["device"] = [group(rows, auc=0.65, error=0.04, calibration=1.5, z=-2.0, value="phone")]
        report["frequency"]["test"]["user"] = [group(rows, auc=0.65, error=0.04, seen=Band.FROM_1)]

    found = checked(change)
    assert {level for level, _ in found.values()} == ({"ok", "note"} if rows == 200 else {"ok"})
    if rows == 99:
        assert not {"slices", "long_tail_ids"} & set(found)
    else:
        assert found["slices"][1].startswith("Cannot tell whether a slice has a far lower AUC or is miscalibrated")
        assert found["long_tail_ids"][1].startswith("Too few examples with long-tail ids to tell")


def test_a_set_without_labels_has_only_what_needs_none():
    def change(report):
        report["metrics"]["test"] = {"rows": 10, "auc": None, "positive_rate": None, "mean_score": 0.2}
        for key in ("slices", "frequency", "leakage", "deciles"):
            report[key] = {}

    assert sorted(checked(change)) == ["feature_drift", "score_drift"]


def test_warnings_come_first():
    report = copy.deepcopy(REPORT)
    report["metrics"]["test"]["positive_rate"] = 0.4
    assert [one["level"] for one in check(report, TRAINING)][:2] == ["warning", "ok"]


def test_few_rows_of_a_class_are_not_spoken_of():
    def change(report):
        report["slices"]["test"]["device"] = [group(5000, auc=0.5, calibration=2.0, z=9.0, value="tv")]
        report["slices"]["test"]["device"][0] |= {"positive_rate": 0.001, "mean_score": 0.001}
        report["leakage"]["test"]["single_feature_auc"]["channel"] = 0.99
        report["metrics"]["test"] |= {"rows": 1000, "positive_rate": 0.009, "positive_rate_error": 0.2}

    assert "slices" not in checked(change)
    assert "single_features" not in checked(change)


def test_only_ids_that_are_rare_are_called_cold():
    def change(report):
        buckets = [group(seen=seen, auc=0.7) for seen in (Band.MISSING, Band.FROM_100, Band.FROM_1000)]
        report["frequency"]["test"]["user"] = [buckets[0], group(seen=Band.FROM_1, auc=0.7), *buckets[1:]]

    assert checked(change)["long_tail_ids"][1].startswith("Long-tail ids: AUC 0.7000 where user is seen 1 to 9 times")


def test_the_training_data_evaluated_under_its_own_name_is_compared():
    report = copy.deepcopy(REPORT)
    report = {
        key: {"train": one["test"]} if isinstance(one, dict) and "test" in one else one for key, one in report.items()
    }
    report["psi"] = {
        kind: {"train": one["test"]} if one and "test" in one else one for kind, one in REPORT["psi"].items()
    }
    report["main_split"] = "train"
    assert sorted(one["check"] for one in check(report, TRAINING)) == sorted(NAMES)


def test_what_chance_can_do_to_a_few_rows_is_no_finding():
    def change(report):
        wide = {"rows": 50, "auc": 0.65, "auc_interval": [0.45, 0.82], "positive_rate": 0.0, "positive_rate_error": 0.0}
        report["metrics"]["test"] |= {**wide, "calibration": None, "calibration_z": None}
        report["slices"]["test"], report["frequency"]["test"] = {}, {}

    found = checked(change)
    assert {level for level, _ in found.values()} == {"ok", "note"}
    assert {name for name, (level, _) in found.items() if level == "ok"} == {
        "score_drift",
        "feature_drift",
        "constant",
    }
    assert not {"duplicates", "single_features"} & set(found)


# Three outcomes


def measured(rate, rows, ratio, seed=0):
    """Return metrics of rows with positive rate `rate`, whose scores sum to `ratio` times the positives."""
    random = np.random.default_rng(seed)
    label = (np.arange(rows) < round(rate * rows)).astype(np.int8)
    logit = random.normal(0, 0.7, rows) + 1.2 * label
    low, high = -20.0, 20.0
    for _ in range(60):
        shift = (low + high) / 2
        low, high = (shift, high) if sigmoid(logit + shift).sum() < ratio * label.sum() else (low, shift)
    metrics = BinaryMetrics()
    metrics.add((logit + low).astype(np.float32), label)
    return metrics.result()


def said(name, metrics, training=TRAINING):
    return checked(lambda report: report["metrics"].update(test=metrics), training)[name]


def assert_said(name, metrics, level, words):
    """Check the level and the first words of a check of the test split; return its sentence."""
    found = said(name, metrics)
    assert found[0] == level
    assert found[1].startswith(words)
    return found[1]


CALIBRATIONS = {
    "holds": (measured(0.05, 100_000, 1.01), "ok", "Calibrated overall: the scores predict 1.0% more positives"),
    "is off": (measured(0.05, 100_000, 1.2), "warning", "Miscalibrated: the scores predict 20.0% more positives"),
    "is too low": (measured(0.05, 100_000, 0.8), "warning", "Miscalibrated: the scores predict 20.0% fewer positives"),
    "too few": (
        measured(0.005, 8_600, 1.793),  # z is -3.9
        "note",
        "Too few positives to tell whether the scores are calibrated: the scores predict 79.3% more positives than "
        "observed (95% CI +33.4% to +141.0%, 43 positives). The deviation is 3.9 standard "
        "errors, and the criterion is 4.",
    ),
    "within the margin, but too few": (measured(0.005, 8_600, 1.0), "note", "Too few positives to tell"),
    "an interval that only begins beyond the margin": (
        measured(0.005, 8_600, 0.75),
        "note",
        "Too few positives to tell whether the scores are calibrated: the scores predict 25.0% fewer positives",
    ),
}


@pytest.mark.parametrize("case", CALIBRATIONS)
def test_calibration_holds_is_off_or_cannot_be_told(case):
    assert_said("calibration", *CALIBRATIONS[case])


@pytest.mark.parametrize(("rows", "level"), [(20_000, "warning"), (200, "note")])
def test_scores_without_any_positive_are_off_once_many_were_expected(rows, level):
    metrics = BinaryMetrics()
    metrics.add(np.full(rows, -4.6, np.float32), np.zeros(rows))
    assert metrics.result()["calibration"] is None
    found = said("calibration", metrics.result())
    assert found[0] == level
    assert f"the mean score is 0.0100, and none of {rows:,} examples is positive" in found[1]


RATES = {
    "holds": (
        0.2,
        40_000,
        "ok",
        "The positive rate is within 10% of training: 0.2000 in training, 0.2000 in test (+0.0%, 95% CI -2",
    ),
    "changed": (0.25, 40_000, "warning", "The positive rate changed: 0.2000 in training, 0.2500 in test (+25.0%"),
    "too few": (
        0.2926,
        150,
        "note",
        "Too few positives to tell whether the positive rate changed: 0.2000 in training, 0.2933 in test (+46.7%, 95%",
    ),
}


@pytest.mark.parametrize("case", RATES)
def test_the_positive_rate_holds_changed_or_cannot_be_told(case):
    rate, rows, level, words = RATES[case]
    found = said("positive_rate", measured(rate, rows, 1.0))
    assert found[0] == level
    assert found[1].startswith(words)
    assert f"; 20,000 and {round(rate * rows):,} positives)" in found[1]


def test_a_positive_rate_of_one_in_both_sets_is_no_division_by_zero():
    training = TRAINING | {"positive_rate": 1.0, "positive_rate_error": 0.0}
    metrics = measured(0.5, 400, 1.0) | {"positive_rate": 1.0, "positive_rate_error": 0.0}
    assert said("positive_rate", metrics, training)[0] == "ok"


def test_scores_that_are_off_on_the_training_data_have_a_warning_of_their_own():
    off = measured(0.05, 100_000, 1.8)
    found = check(REPORT, TRAINING | {key: off[key] for key in ("calibration", "calibration_error", "calibration_z")})
    warnings = [one for one in found if one["level"] == "warning"]
    assert [(one["check"], one["split"]) for one in warnings] == [("calibration", "train")]
    assert warnings[0]["sentence"].startswith(
        "Miscalibrated on the training data itself: the scores predict 80.0% more positives than observed (95% CI"
    )
    few = measured(0.005, 8_600, 1.793)
    training = TRAINING | {key: few[key] for key in ("calibration", "calibration_error", "calibration_z")}
    assert "warning" not in {one["level"] for one in check(REPORT, training)}


EXCESSES = {
    "worse": (measured(0.05, 100_000, 3.0), "warning", "Worse than always predicting the positive rate: log loss 0.2"),
    "better": (measured(0.05, 100_000, 1.0), "ok", "Better than always predicting the positive rate: log loss 0.1"),
    "too close": (
        measured(0.005, 8_600, 2.5),
        "note",
        "Inconclusive against always predicting the positive rate: log loss",
    ),
}


@pytest.mark.parametrize("case", EXCESSES)
def test_log_loss_is_compared_with_that_of_a_constant(case):
    metrics, level, words = EXCESSES[case]
    sentence = assert_said("constant", metrics, level, words)
    constant = metrics["log_loss"] / metrics["normalized_entropy"]
    assert f"(SE {metrics['log_loss_excess_error']:.5f})" in sentence
    assert f"{constant:.5f}" in sentence


def test_a_fall_of_the_auc_with_drift_is_not_called_overfitting():
    report = changing("metrics", "test", auc=0.75, auc_interval=[0.74, 0.76])
    drifted = changing("psi", "features", "test", price=stable(1.4, "major"), channel=stable(2.5, "major"))
    level, sentence = checked(lambda found: (report(found), drifted(found)))["overfitting"]
    assert level == "warning"
    assert sentence.startswith("The AUC falls from training: AUC 0.8000 in training, 0.7500 in test (-6.2%, 95% CI -")
    assert sentence.endswith("major drift of channel, price, overfitting, or both. Look at the drift first.")


UNBACKED = {  # passed in earlier versions, although so few rows cannot support it
    "an AUC that could be near chance": (
        "ranking",
        changing("metrics", "test", auc=0.7, auc_interval=[0.52, 0.84], positives=12),
        "AUC 0.7000 (95% CI 0.5200 to 0.8400) could be near chance: 12 positives are too few to tell.",
    ),
    "a fall of the AUC that could be large": (
        "overfitting",
        changing("metrics", "test", auc=0.76, auc_interval=[0.70, 0.82], positives=60),
        "Cannot tell whether the model overfits: AUC 0.8000 in training, 0.7600 in test (-5.0%, 95% CI -12",
    ),
    "a feature that could know the label": (
        "single_features",
        lambda report: (
            report["leakage"]["test"]["single_feature_auc"].update(channel=0.93),
            report["metrics"]["test"].update(positives=25),
        ),
        "Cannot tell whether one feature reveals the label: the best, channel, has AUC 0.9300 (SE 0.0",
    ),
    "a score that could have moved": (
        "score_drift",
        changing("psi", "score", test={**stable(0.08), "noise": 0.09}),
        "score: too little data to tell whether it has drifted (PSI 0.0800, 0.0800 corrected for chance); the 95% CI",
    ),
    "rows that could have been copied": (
        "duplicates",
        changing("leakage", "test", "duplicates", upper=0.031),
        "Too few examples to tell whether test duplicates training examples: at most 3.10% (95% CI)",
    ),
    "rows that cannot be identified": (
        "duplicates",
        changing("leakage", "test", "duplicates", share=None, reason="no row is without a value out of vocabulary"),
        "Cannot tell whether test duplicates training examples: no row is without a value out",
    ),
    "features that could have moved": (
        "feature_drift",
        changing("psi", "features", "test", price={**stable(0.08), "noise": 0.09}),
        "Too little data to tell whether 1 feature drifted.",
    ),
}


@pytest.mark.parametrize("case", UNBACKED)
def test_nothing_is_fine_that_the_rows_could_not_have_shown(case):
    name, change, words = UNBACKED[case]
    level, sentence = checked(change)[name]
    assert level == "note"
    assert sentence.startswith(words)


def test_slices_that_have_too_few_rows_are_counted():
    def change(report):
        report["slices"]["test"]["device"].append(group(value="desk", rows=200, error=0.04))

    level, sentence = checked(change)["slices"]
    assert (level, sentence) == (
        "ok",
        "None of 1 slice has a far lower AUC or is miscalibrated; 1 of 2 slices has too few examples to tell.",
    )


@pytest.mark.parametrize(("rows", "shift"), [(1000, 0.25), (10_000, 0.25), (1000, 0.4)])
def test_the_largest_psi_covers_the_true_one(rows, shift):
    random, edges = np.random.default_rng(0), stats.norm.ppf(np.arange(1, 10) / 10)
    before, after = np.full(10, 0.1), np.diff(np.r_[0, stats.norm.cdf(edges - shift), 1])
    truth = ((after - before) * np.log(after / before)).sum()
    pairs = [(random.multinomial(rows, before), random.multinomial(rows, after)) for _ in range(1000)]
    ends = [largest_psi(compare(e.astype(float), a.astype(float), rows, rows, 0.2)) for e, a in pairs]
    assert np.mean(np.array(ends) >= truth) == pytest.approx(0.975, abs=0.015)


def test_too_few_positives_of_few_users_are_said_to_depend_on_them():
    clustered = measured(0.005, 8_600, 1.0) | {"interval_unit": "cluster", "cluster_column": "user"}
    words = "Too few positives (clustered by user) to tell whether the scores are calibrated"
    assert said("calibration", clustered)[1].startswith(words)
