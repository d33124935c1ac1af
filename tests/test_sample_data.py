"""The sample data: deterministic, ten days, a known best AUC, crosses that a linear model misses, one drift."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder

from ctr.metrics import CategoryBins, psi

pytestmark = pytest.mark.medium

SCRIPT = Path(__file__).parents[1] / "scripts" / "make_sample_data.py"
CATEGORIES = ["item", "category", "segment", "device", "channel", "slot"]


def make(folder, *arguments):
    return subprocess.run([sys.executable, SCRIPT, folder, *arguments], capture_output=True, text=True)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    assert make(folder).returncode == 0
    return pq.read_table(folder)


@pytest.mark.slow
def test_the_same_arguments_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        make(tmp_path / name, "--rows", "2000", "--seed", "5")
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_ten_whole_days_of_equal_size_in_order_of_time(log):
    times = log["ts"].to_numpy()
    days = times.astype("datetime64[D]")
    assert (np.diff(times) >= np.timedelta64(0)).all()
    assert np.unique(days, return_counts=True)[1].tolist() == [20_000] * 10


def test_popularity_is_heavy_tailed_and_some_values_are_missing(log):
    counts = np.sort(log["user"].value_counts().field("counts").to_numpy())[::-1]
    assert counts[: len(counts) // 100].sum() > 0.15 * log.num_rows
    assert all(0 < log[name].null_count < 0.2 * log.num_rows for name in ("price", "user_age", "history"))


def test_the_label_is_drawn_from_p_true(log):
    p, clicked = log["p_true"].to_numpy(), log["clicked"].to_numpy()
    error = np.sqrt((p * (1 - p)).sum())
    assert abs(clicked.sum() - p.sum()) < 4 * error
    assert 0.75 < roc_auc_score(clicked, p) < 0.85


@pytest.mark.slow
def test_a_linear_model_stays_far_below_the_ceiling(log):
    table = log.select([*CATEGORIES, "clicked", "p_true"]).to_pandas()
    train, test = table[:160_000], table[180_000:]
    encoder = OneHotEncoder(handle_unknown="ignore").fit(train[CATEGORIES])
    model = LogisticRegression(max_iter=200).fit(encoder.transform(train[CATEGORIES]), train["clicked"])
    linear = roc_auc_score(test["clicked"], model.decision_function(encoder.transform(test[CATEGORIES])))
    assert linear < roc_auc_score(test["clicked"], test["p_true"]) - 0.04


def test_only_the_channel_shifts_and_only_in_the_last_two_days(log):
    def shift(name, first, last):
        values = log[name].combine_chunks()
        bins = CategoryBins.fitted(values[: 8 * 20_000], 10)
        days = values[20_000 * first : 20_000 * last]
        return psi(bins.count(values[: 8 * 20_000], np.ones(160_000)), bins.count(days, np.ones(len(days))))

    assert shift("channel", 8, 9) > 0.2
    assert shift("channel", 9, 10) > 0.2
    assert shift("channel", 7, 8) < 0.02
    assert max(shift(name, 8, 10) for name in CATEGORIES if name != "channel") < 0.02


def test_rows_must_fill_ten_days(tmp_path):
    result = make(tmp_path / "out", "--rows", "15")
    assert result.returncode == 2
    assert "multiple of 10" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_rate_is_the_mean_of_the_planted_probabilities(tmp_path):
    make(tmp_path, "--rows", "2000", "--rate", "0.005")
    assert pq.read_table(tmp_path)["p_true"].to_numpy().mean() == pytest.approx(0.005, rel=1e-9)


def test_a_rate_that_is_no_probability_is_refused(tmp_path):
    done = make(tmp_path, "--rows", "2000", "--rate", "1.5")
    assert done.returncode == 2
    assert "--rate must lie between 0 and 1, not 1.5" in done.stderr
