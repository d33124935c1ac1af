"""Features that explain a drift of the score, and features that leak the label."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from ctr.evaluation.histograms import Binning, Histograms
from ctr.evaluation.score_by_bin import ScoreByBin


def click_rows(random, rows, share=0.5, leak=False):
    """Return rows whose score depends on `channel`, "app" with probability `share`, and not on `color`."""
    channel, color = random.random(rows) < share, random.integers(0, 4, rows)
    logit = np.where(channel, 1.0, -1.0) + random.normal(0, 0.5, rows)
    label = (random.random(rows) < 1 / (1 + np.exp(-logit))).astype(float)
    values = {
        "score": pa.array(logit),
        "feature/channel": pa.array(np.where(channel, "app", "web")),
        "feature/color": pa.array(color),
    }
    if leak:
        values["feature/dwell"] = pa.array(np.where(label == 1, random.exponential(1, rows), 0.0))
    return values, label


def counted(binning, values, label):
    histograms, joint = Histograms(binning), ScoreByBin(binning)
    codes, weight = binning.assign(values), np.ones(len(label))
    histograms.add(codes, weight)
    joint.add(codes, weight, label)
    return histograms, joint


def pair(**changed):
    """Return histograms and scores by bin of 20,000 reference rows, and of 20,000 rows that differ by `changed`."""
    random = np.random.default_rng(0)
    values, label = click_rows(random, 20_000, leak=changed.get("leak", False))
    binning = Binning.fitted({name: [one] for name, one in values.items()}, 10)
    return counted(binning, values, label), counted(binning, *click_rows(random, 20_000, **changed))


def test_the_feature_whose_mix_changed_explains_the_shift():
    (before, joint), (after, other) = pair(share=0.8)
    first, second = joint.drivers(other, before.counts["score"], after.counts["score"])
    assert (first["feature"], second["feature"]) == ("channel", "color")
    assert first["explained"] > 0.95
    assert abs(second["explained"]) < 0.05
    # PSI of the score, and of channel's mix alone, computed from the rows
    assert first["score_psi"] == pytest.approx(before.compare(after, 0.2)["score"]["psi"], rel=0.1)


def test_a_feature_that_did_not_move_explains_nothing_however_few_the_rows():
    random = np.random.default_rng(1)
    values, label = click_rows(random, 300)
    binning = Binning.fitted({name: [one] for name, one in values.items()}, 10)
    before, joint = counted(binning, values, label)
    after, other = counted(binning, *click_rows(random, 20_000, share=0.9))
    found = {
        one["feature"]: one["explained"] for one in joint.drivers(other, before.counts["score"], after.counts["score"])
    }
    assert abs(found["color"]) < 0.05
    assert found["channel"] > 0.8


def test_marginals_of_the_joint_are_the_histograms():
    (before, joint), _ = pair()
    for name, pairs in joint.scores.items():
        assert pairs.sum(axis=1).tolist() == before.counts[name].tolist()
        assert pairs.sum(axis=0).tolist() == before.counts["score"].tolist()


def test_a_feature_that_knows_the_label_is_found():
    (_, joint), (_, other) = pair(leak=True)
    found = joint.single_feature_auc(other)
    assert found["dwell"] > 0.99
    assert found["color"] == pytest.approx(0.5, abs=0.02)


def test_the_auc_of_one_feature_is_that_of_its_positive_rates():
    random = np.random.default_rng(3)
    values, label = click_rows(random, 5000)
    binning = Binning.fitted({name: [one] for name, one in values.items()}, 10)
    (_, joint) = counted(binning, values, label)
    colors = np.asarray(values["feature/color"])
    rates = np.array([label[colors == color].mean() for color in range(4)])
    assert joint.single_feature_auc(joint)["color"] == pytest.approx(roc_auc_score(label, rates[colors]), abs=1e-12)


def test_labels_of_one_class_give_no_auc():
    (_, joint), (_, other) = pair()
    other.positives = {name: np.zeros_like(counts) for name, counts in other.positives.items()}
    assert set(joint.single_feature_auc(other).values()) == {None}


def test_what_is_written_as_json_is_read():
    (before, joint), (after, other) = pair(share=0.7)
    read = ScoreByBin.from_json(joint.binning, joint.to_json())
    scores = before.counts["score"], after.counts["score"]
    assert read.drivers(other, *scores) == joint.drivers(other, *scores)
    assert read.single_feature_auc(other) == joint.single_feature_auc(other)
