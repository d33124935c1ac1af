"""PSI against its formula, and its noise floor, p-values and drift levels against simulations.

docs/benchmarks/psi.md has longer simulations.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from ctr.metrics import CategoryBins, QuantileBins, compare, psi

SCRIPT = Path(__file__).parents[3] / "scripts" / "psi_false_alarms.py"
KEYS = ["psi", "psi_corrected", "p_value", "drift", "noise", "bins", "rows"]


@pytest.fixture(scope="module")
def simulations():
    spec = importlib.util.spec_from_file_location("psi_false_alarms", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_psi_of_a_known_shift():
    # (0.4 - 0.5) ln(0.4 / 0.5) + (0.6 - 0.5) ln(0.6 / 0.5), with counts so large that adding 0.5 does not matter
    assert psi(np.array([5e9, 5e9]), np.array([4e9, 6e9])) == pytest.approx(0.1 * np.log(1.2 / 0.8), abs=1e-8)


def test_psi_is_symmetric_and_counts_a_category_that_is_new():
    old, new = np.array([100.0, 0.0]), np.array([50.0, 50.0])
    assert psi(old, new) == pytest.approx(psi(new, old), rel=1e-12)
    assert psi(old, new) > 1


def test_bins_that_are_empty_on_both_sides_do_not_count():
    few = compare(np.array([30.0, 70]), np.array([40.0, 60]), 100, 100, 0.2)
    assert compare(np.array([0, 30.0, 0, 70]), np.array([0, 40.0, 0, 60]), 100, 100, 0.2) == few


def test_noise_p_value_and_corrected_psi_are_those_of_the_chi_square():
    found = compare(np.array([300.0, 400, 300]), np.array([250.0, 500, 250]), 1000, 1000, 0.2)
    assert list(found) == KEYS
    assert found["noise"] == pytest.approx(stats.chi2.ppf(0.999, 2) / 500, rel=1e-12)
    assert found["p_value"] == pytest.approx(stats.chi2.sf(500 * found["psi"], 2), rel=1e-9)
    assert found["psi_corrected"] == pytest.approx(found["psi"] - 2 / 500, rel=1e-12)


def test_a_scale_of_the_weights_changes_nothing():
    expected, actual = np.array([5.0, 0, 95]), np.array([0, 3.0, 17])
    assert compare(expected, actual, 100, 20, 0.2) == compare(100 * expected, actual / 7, 100, 20, 0.2)


@pytest.mark.parametrize(
    ("actual", "rows", "drift"),
    [
        ([50, 50], 100_000, "stable"),
        ([31, 69], 100_000, "moderate"),
        ([20, 80], 100_000, "major"),
        ([35, 65], 10, "too_little_data"),
        ([1, 99], 40, "major"),
    ],
)
def test_drift_levels(actual, rows, drift):
    expected, actual = np.array([0.5, 0.5]) * rows, np.array(actual) / 100 * rows
    assert compare(expected, actual, rows, rows, major_above=0.2)["drift"] == drift


def test_nothing_to_compare_is_said_so():
    found = compare(np.zeros(3), np.ones(3), 0, 3, 0.2)
    assert found["drift"] == "too_little_data"
    assert found["psi"] is found["psi_corrected"] is found["p_value"] is None
    assert found["reason"]


@pytest.mark.parametrize("column", [np.full(500, 3.0), np.full(500, np.nan)], ids=["constant", "missing"])
def test_a_column_without_spread_is_stable_until_it_gets_one(column):
    bins = QuantileBins.fitted(column, 10)
    expected = bins.count(column)
    same = compare(expected, bins.count(column[:300]), 500, 300, 0.2)
    assert (same["psi"], same["p_value"], same["drift"]) == (0, 1, "stable")
    other = compare(expected, bins.count(np.append(column[:200], np.full(100, 4.0))), 500, 300, 0.2)
    assert other["drift"] == "major"


def test_a_category_that_is_new_is_found():
    before, after = pa.array(["a"] * 600 + ["b"] * 400), pa.array(["a"] * 540 + ["b"] * 360 + ["c"] * 100)
    bins = CategoryBins.fitted(before, 10)
    assert bins.count(after)[bins.labels().index("new")] == 100
    assert compare(bins.count(before), bins.count(after), 1000, 1000, 0.2)["drift"] == "major"


@pytest.mark.parametrize(("n", "m"), [(100, 100), (100, 1_000_000), (10_000, 100), (1_000, 1_000)])
@pytest.mark.parametrize("bins", [5, 100])
def test_numbers_without_a_shift_are_not_called_unstable(simulations, n, m, bins):
    found = simulations.run(lambda *of: simulations.numeric(*of, bins), n, m, "short", 300, seed=3)
    assert sum(one["drift"] == "major" for one in found) <= 3
    assert sum(one["psi"] > one["noise"] for one in found) <= 3


@pytest.mark.medium
@pytest.mark.parametrize(("n", "m"), [(100, 100), (100, 10_000), (1_000, 1_000)])
@pytest.mark.parametrize(("values", "exponent", "bins"), [(30, 0, 10), (1_000, 1, 100), (10_000, 0, 10)])
def test_categories_without_a_shift_are_not_called_unstable(simulations, n, m, values, exponent, bins):
    p = simulations.zipf(values, exponent)
    found = simulations.run(lambda *of: simulations.category(*of, bins, p, p), n, m, "short", 200, seed=3)
    assert sum(one["drift"] == "major" for one in found) <= 2


@pytest.mark.medium
@pytest.mark.parametrize("kind", ["number", "ids", "weighted"])
def test_p_values_without_a_shift_are_uniform(simulations, kind):
    p = simulations.zipf(1_000, 0)
    experiment = {
        "number": lambda *of: simulations.numeric(*of, 10),
        "ids": lambda *of: simulations.category(*of, 10, p, p),
        "weighted": lambda *of: simulations.weighted(*of, 10),
    }[kind]
    found = simulations.run(experiment, 20_000, 5_000, kind, 500, seed=3)
    assert stats.kstest([one["p_value"] for one in found], "uniform").pvalue > 0.01


def test_corrected_psi_of_a_planted_shift_is_that_of_the_distributions(simulations):
    tenths = stats.norm.cdf(stats.norm.ppf(np.arange(11) / 10) - 0.5)
    truth = psi(np.full(10, 1e12), np.diff(tenths) * 1e13)
    found = simulations.run(lambda *of: simulations.numeric(*of, 10, 0.5), 4_000, 4_000, "short", 300, seed=3)
    assert np.mean([one["psi_corrected"] for one in found]) == pytest.approx(truth, rel=0.03)
    assert np.mean([one["drift"] == "major" for one in found]) > 0.9


@pytest.mark.slow
def test_the_script_prints_tables_that_the_seed_fixes():
    def tables(seed):
        arguments = [sys.executable, SCRIPT, "--repetitions", "2", "--seed", seed, "--only", "shifts"]
        return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout

    once = tables("1")
    assert once == tables("1") != tables("2")
    assert len({line.count("|") for line in once.splitlines() if line.startswith("|")}) == 1
