"""Reports of version 0.4 are read under the names of this version."""

from pathlib import Path

import pytest

from ctr.errors import ConfigError
from ctr.metrics.frequency_bands import Band
from ctr.metrics.psi import Drift
from ctr.runs.files import read_json
from ctr.schema.codec import kind_of, read_comparison, read_report
from ctr.schema.comparison import Verdict
from ctr.schema.earlier import metrics_of_0_4, report_of_0_4

SAVED = Path(__file__).parent / "version_0_4"
LEVELS = {"stable": "stable", "moderate": "moderate", "unstable": "major", "insufficient_data": "too_little_data"}


def both(name):
    """Return a report as version 0.4 wrote it, and as this version reads it."""
    saved = read_json(SAVED / f"{name}.json")
    return saved, read_report(SAVED / f"{name}.json", saved)


@pytest.mark.parametrize("name", ["run", "evaluation", "psi"])
def test_a_report_is_read_as_its_kind(name):
    saved, read = both(name)
    assert (read["version"], read["kind"], kind_of(saved)) == (1, name, name)


@pytest.mark.parametrize("name", ["run", "evaluation"])
def test_numbers_stay_under_new_names(name):
    saved, read = both(name)
    main = list(saved["metrics"])[-1]
    assert read["main_split"] == main
    for split, metrics in saved["metrics"].items():
        renamed = {"label_rate": "positive_rate", "label_rate_error": "positive_rate_error"}
        assert read["metrics"][split] == {renamed.get(key, key): value for key, value in metrics.items()}
    for split, one in saved["psi"]["score"].items():
        assert read["psi"]["score"][split]["psi"] == one["psi"]
        assert read["psi"]["score"][split]["drift"] == LEVELS[one["verdict"]]
    for found, old in zip(read["checks"], saved["checks"], strict=True):
        assert (found["split"], found["level"], found["sentence"]) == (old["set"], old["level"], old["sentence"])
    checks = {one["check"] for one in read["checks"]}
    assert {"positive_rate", "duplicates", "score_drift", "feature_drift"} <= checks
    assert not {"label_rate", "repeated_rows", "score_shift", "feature_shifts"} & checks
    assert read["leakage"][main]["duplicates"] == saved["leakage"][main]["rows_in_training"]
    for found, old in zip(read["slices"][main]["hour"], saved["slices"][main]["hour"], strict=True):
        assert (found["positive_rate"], found["psi"]["psi"]) == (old["label_rate"], old["psi"]["psi"])


def test_deciles_have_the_positives_so_far_and_the_error_of_their_rate():
    saved, read = both("run")
    positives = sum(one["weight"] * one["label_rate"] for one in saved["deciles"]["test"])
    so_far = 0.0
    for found, old in zip(read["deciles"]["test"], saved["deciles"]["test"], strict=True):
        so_far += old["weight"] * old["label_rate"]
        assert found["captured"] == pytest.approx(so_far / positives)
        distance = found["positive_rate"] - found["mean_score"]
        assert distance == pytest.approx(old["calibration_z"] * found["positive_rate_error"])


def test_periods_have_levels_and_a_report_without_a_score_has_none():
    saved, read = both("psi")
    for name, old in saved["psi"]["over_time"]["features"].items():
        found = read["psi"]["over_time"]["features"][name]
        assert found["drift"] == [LEVELS[verdict] for verdict in old["verdict"]]
        assert {type(level) for level in found["drift"]} == {Drift}
    assert read["psi"]["over_time"]["score"] is None
    assert read["column_types"] == saved["kinds"]


def test_tables_have_their_row_sparsity():
    saved, read = both("run")
    saved["tables"][0] |= {"rows": 103, "zero_rows": 25}
    translated = report_of_0_4(saved)
    assert translated["tables"][0]["all_zero_embeddings"] == 25
    assert translated["tables"][0]["row_sparsity"] == 0.25
    assert [one["name"] for one in read["model"]["components"]] == [one["part"] for one in saved["model"]["parts"]]


def test_bands_of_ids_have_keys():
    saved, _ = both("run")
    group = {**saved["slices"]["test"]["hour"][0], "seen": "new, or too rare for the vocabulary"}
    saved["frequency"]["test"] = {"hour": [{key: value for key, value in group.items() if key not in ("value", "psi")}]}
    [found] = read_report(SAVED, saved)["frequency"]["test"]["hour"]
    assert found["seen"] == Band.NOT_IN_VOCABULARY


def test_metrics_of_this_version_stay_as_they_are():
    metrics = {"rows": 3, "positive_rate": None, "reasons": {"positive_rate": "no rows"}}
    assert metrics_of_0_4(metrics) == metrics
    assert metrics_of_0_4({"label_rate": None, "reasons": {"label_rate": "no rows"}}) == {
        "positive_rate": None,
        "reasons": {"positive_rate": "no rows"},
    }


def test_a_comparison_is_read():
    saved = read_json(SAVED / "comparison.json")
    read = read_comparison(SAVED / "comparison.json", saved)
    assert [one["name"] for one in read["variants"]] == [one["name"] for one in saved["cells"]]
    assert [one["options"] for one in read["variants"]] == [one["choices"] for one in saved["cells"]]
    assert saved["cells"][1]["difference"]["metrics"]["auc"]["verdict"] == "worse each time"
    assert read["variants"][1]["difference"]["metrics"]["auc"]["verdict"] is Verdict.WORSE_FOR_TESTED_SEEDS


def test_what_is_older_or_no_report_is_refused_in_one_line():
    saved, _ = both("run")
    del saved["checks"]
    message = r"^report\.json: damaged, or older than version 0\.4: it lacks 'checks'\. Train or evaluate again\.$"
    with pytest.raises(ConfigError, match=message):
        read_report(Path("report.json"), saved)
    with pytest.raises(ConfigError, match=r"older than version 0\.4"):
        read_report(Path("report.json"), {})
    with pytest.raises(
        ConfigError, match=r"^report\.json: damaged, or older than version 0\.4\. Train or evaluate again\.$"
    ):
        read_report(Path("report.json"), {**saved, "metrics": 3})
    assert kind_of({}) is None


@pytest.mark.parametrize(
    ("version", "what_to_do"),
    [(2, "Install a newer version of ctr."), ("1", "Train or evaluate again."), (True, "Train or evaluate again.")],
)
def test_another_version_is_named_with_what_to_do(version, what_to_do):
    with pytest.raises(ConfigError) as error:
        read_report(Path("report.json"), {"version": version})
    assert str(error.value) == f"report.json: unknown version {version!r}, expected 1. {what_to_do}"
