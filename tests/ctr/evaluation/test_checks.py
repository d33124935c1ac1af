"""The sentences of a report: each finds what it is for, and says so where it looked and found nothing."""

import copy

import pytest

from ctr.evaluation.checks import check

TRAINING = {"rows": 100_000, "auc": 0.80, "label_rate": 0.2, "label_rate_error": 0.001}


def decile(calibration=1.0, z=0.0):
    return {"calibration": calibration, "calibration_z": z}


def group(rows=1000, auc=0.79, error=0.01, calibration=1.0, z=0.0, **named):
    rates = {"label_rate": 0.2, "mean_score": 0.2}
    measured = {"auc": auc, "auc_standard_error": error, "calibration": calibration, "calibration_z": z}
    return {"rows": rows, **rates, **measured, **named}


def stable(psi=0.01, verdict="stable"):
    return {"psi": psi, "psi_corrected": psi, "verdict": verdict, "noise": 0.001}


REPORT = {
    "metrics": {
        "train": TRAINING,
        "test": {
            "rows": 20_000,
            "auc": 0.79,
            "auc_interval": [0.78, 0.80],
            "label_rate": 0.2,
            "label_rate_error": 0.003,
            "calibration": 1.01,
            "calibration_z": -0.5,
        },
    },
    "deciles": {"test": [decile() for _ in range(10)]},
    "psi": {
        "score": {"test": stable()},
        "features": {"test": {"channel": stable(), "price": stable()}},
        "drivers": {"test": []},
        "over_time": {"periods": ["1", "2"], "features": {"channel": {"since": None}, "price": {"since": None}}},
    },
    "slices": {"test": {"device": [group(value="phone"), group(value="tv", rows=50, auc=0.4)]}},
    "frequency": {"test": {"user": [group(seen="1 to 9"), group(seen="10 to 99")]}},
    "leakage": {
        "test": {
            "single_feature_auc": {"channel": 0.6, "price": None},
            "rows_in_training": {"share": 0.0, "error": 0.0, "is_suspect": False},
        }
    },
}
NAMES = [
    "ranking",
    "overfitting",
    "single_features",
    "repeated_rows",
    "label_rate",
    "calibration",
    "score_shift",
    "feature_shifts",
    "cold_ids",
    "slices",
]


def checked(change=lambda report: None):
    """The checks of the report after a change: name -> (level, sentence)."""
    report = copy.deepcopy(REPORT)
    change(report)
    found = check(report, TRAINING)
    assert {one["set"] for one in found} == {"test"}
    return {one["check"]: (one["level"], one["sentence"]) for one in reversed(found)}  # the worst of each


def test_a_good_report_has_been_looked_at_from_all_sides():
    found = checked()
    assert sorted(found) == sorted(NAMES)
    assert {level for level, _ in found.values()} == {"ok"}


def changing(*path, **values):
    def change(report):
        for key in path:
            report = report[key]
        report.update(values)

    return change


RANKINGS = {
    "cannot be told from chance": {"auc": 0.51, "auc_interval": [0.49, 0.53]},
    "the wrong way round": {"auc": 0.3, "auc_interval": [0.28, 0.32]},
    "hardly better": {"auc": 0.54, "auc_interval": [0.53, 0.55]},
    "suspiciously good": {"auc": 0.995, "auc_interval": [0.99, 0.999]},
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
    "20,000 rows are more than report.exact_rows": ("slices", changing("metrics", "test", auc_error=1e-6), "note"),
    "Too few rows to say whether 1 feature moved.": (
        "feature_shifts",
        changing("psi", "features", "test", price=stable(0.1, "insufficient_data")),
        "note",
    ),
    "Leak? channel alone": (
        "single_features",
        changing("leakage", "test", "single_feature_auc", channel=0.97),
        "warning",
    ),
    "Leak? About 12.0 % of the rows of test": (
        "repeated_rows",
        changing("leakage", "test", "rows_in_training", share=0.12, error=0.01, is_suspect=True),
        "warning",
    ),
    "label rate changed: 0.2000 in training, 0.2500": (
        "label_rate",
        changing("metrics", "test", label_rate=0.25),
        "warning",
    ),
    "expect 10.0 % more": (
        "calibration",
        changing("metrics", "test", calibration=1.1, calibration_z=-9.0),
        "warning",
    ),
    "off by over 10 % in decile 3 ": (
        "calibration",
        lambda report: report["deciles"]["test"].__setitem__(2, decile(1.3, -7.0)),
        "note",
    ),
    "score has moved away": (
        "score_shift",
        changing("psi", "score", test=stable(0.3, "unstable")),
        "warning",
    ),
    "moved somewhat": ("score_shift", changing("psi", "score", test=stable(0.15, "moderate")), "note"),
    "Too few rows": ("score_shift", changing("psi", "score", test=stable(0.1, "insufficient_data")), "note"),
    "channel has moved away from the training data: PSI 0.3000.": (
        "feature_shifts",
        changing("psi", "features", "test", channel=stable(0.3, "unstable")),
        "warning",
    ),
    "Moved somewhat, by PSI: price (0.1500).": (
        "feature_shifts",
        changing("psi", "features", "test", price=stable(0.15, "moderate")),
        "note",
    ),
    "price is unstable at the end of the data, since 2026-01-09": (
        "feature_shifts",
        changing("psi", "over_time", "features", price={"since": "2026-01-09"}),
        "note",
    ),
    "where user is seen 1 to 9 times in training (as in 5.0 % of rows), the AUC is 0.7000": (
        "cold_ids",
        lambda report: report["frequency"]["test"]["user"][0].update(auc=0.70),
        "note",
    ),
    "Ranked far worse than all rows (AUC 0.7900): device = phone (0.6500)": (
        "slices",
        lambda report: report["slices"]["test"]["device"][0].update(auc=0.65),
        "note",
    ),
    "Miscalibrated by over 20 %: device = phone (+30 %)": (
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
        report["psi"]["features"]["test"]["channel"] = stable(0.34, "unstable")
        report["psi"]["over_time"]["features"]["channel"]["since"] = "2026-01-09"
        report["psi"]["score"]["test"] = stable(0.4, "unstable")
        report["psi"]["drivers"]["test"] = [
            {"feature": "channel", "explained": 0.93},
            {"feature": "price", "explained": 0.01},
        ]

    found = checked(change)
    assert found["feature_shifts"][1].endswith("PSI 0.3400, since 2026-01-09.")
    assert found["score_shift"][1].endswith("What drives it: channel (93 % of it).")


@pytest.mark.parametrize("rows", [200, 99])
def test_chance_alone_is_not_spoken_of(rows):
    def change(report):
        report["slices"]["test"]["device"] = [group(rows, auc=0.65, error=0.04, calibration=1.5, z=-2.0, value="phone")]
        report["frequency"]["test"]["user"] = [group(rows, auc=0.65, error=0.04, seen="1 to 9")]

    assert {level for level, _ in checked(change).values()} == {"ok"}


def test_a_set_without_labels_has_only_what_needs_none():
    def change(report):
        report["metrics"]["test"] = {"rows": 10, "auc": None, "label_rate": None, "mean_score": 0.2}
        for key in ("slices", "frequency", "leakage", "deciles"):
            report[key] = {}

    assert sorted(checked(change)) == ["feature_shifts", "score_shift"]


def test_warnings_come_first():
    report = copy.deepcopy(REPORT)
    report["metrics"]["test"]["label_rate"] = 0.4
    assert [one["level"] for one in check(report, TRAINING)][:2] == ["warning", "ok"]


def test_few_rows_of_a_class_are_not_spoken_of():
    def change(report):
        report["slices"]["test"]["device"] = [group(5000, auc=0.5, calibration=2.0, z=9.0, value="tv")]
        report["slices"]["test"]["device"][0] |= {"label_rate": 0.001, "mean_score": 0.001}
        report["leakage"]["test"]["single_feature_auc"]["channel"] = 0.99
        report["metrics"]["test"] |= {"rows": 1000, "label_rate": 0.009, "label_rate_error": 0.2}

    assert "slices" not in checked(change)
    assert "single_features" not in checked(change)


def test_only_ids_that_are_rare_are_called_cold():
    def change(report):
        buckets = [group(seen=seen, auc=0.7) for seen in ("missing", "100 to 999", "1,000 or more")]
        report["frequency"]["test"]["user"] = [buckets[0], group(seen="1 to 9", auc=0.7), *buckets[1:]]

    assert checked(change)["cold_ids"][1].startswith("Cold ids: where user is seen 1 to 9 times")


def test_the_training_data_evaluated_under_its_own_name_is_compared():
    report = copy.deepcopy(REPORT)
    report = {
        key: {"train": one["test"]} if isinstance(one, dict) and "test" in one else one for key, one in report.items()
    }
    report["psi"] = {
        kind: {"train": one["test"]} if one and "test" in one else one for kind, one in REPORT["psi"].items()
    }
    assert sorted(one["check"] for one in check(report, TRAINING)) == sorted(NAMES)


def test_what_chance_can_do_to_a_few_rows_is_no_finding():
    def change(report):
        wide = {"rows": 50, "auc": 0.65, "auc_interval": [0.45, 0.82], "label_rate": 0.0, "label_rate_error": 0.0}
        report["metrics"]["test"] |= {**wide, "calibration": None, "calibration_z": None}
        report["slices"]["test"], report["frequency"]["test"] = {}, {}

    found = checked(change)
    assert {level for level, _ in found.values()} == {"ok", "warning"}
    assert [name for name, (level, _) in found.items() if level == "warning"] == ["ranking"]
    assert not {"label_rate", "overfitting", "repeated_rows", "single_features"} & set(found)
