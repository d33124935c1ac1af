"""Classical models of the small experiment, and their examples."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from ctr.classical import logistic
from ctr.classical.examples import read_examples
from ctr.classical.fit import fit_classical
from ctr.classical.one_hot import OneHot
from ctr.config.experiment import load_experiment
from ctr.errors import ConfigError
from ctr.training.data import prepare
from features import count_rows
from tests.conftest import write_clicks, write_config

pytestmark = pytest.mark.medium


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classical")
    return write_config(folder / "tiny.yaml", write_clicks(folder / "clicks"))


@pytest.fixture(scope="module")
def prepared(config):
    experiment = load_experiment(config)
    return experiment, prepare(experiment)


def scores_of(scorer, row_groups):
    return np.concatenate([chunk.logit for chunk in scorer.score(row_groups)])


def test_all_examples_are_read_in_file_order(prepared):
    _, data = prepared
    examples = read_examples(data.splits["train"], data.encoder, seed=1)
    expected = [data.encoder(group.read(data.encoder.input_columns), "here") for group in data.splits["train"]]
    assert examples.rows == examples.total == count_rows(data.splits["train"])
    for key, array in examples.batch.items():
        np.testing.assert_array_equal(array, np.concatenate([batch[key] for batch in expected]))


def test_a_large_split_is_sampled(prepared):
    _, data = prepared
    samples = [read_examples(data.splits["train"], data.encoder, seed, maximum=200) for seed in (1, 1, 2)]
    for sample in samples:
        assert 140 < sample.rows < 260 < sample.total
    np.testing.assert_array_equal(samples[0].batch["ids"], samples[1].batch["ids"])
    assert samples[0].rows != samples[2].rows or (samples[0].batch["ids"] != samples[2].batch["ids"]).any()


def test_logistic_regression_has_the_strength_of_the_lowest_validation_loss(prepared):
    experiment, data = prepared
    scorer, fit = fit_classical("logistic", experiment, data)
    train, valid, test = (read_examples(data.splits[name], data.encoder, 1) for name in ("train", "valid", "test"))
    one_hot = OneHot.fitted(train.batch)
    losses = {}
    for strength in logistic.STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=1000).fit(one_hot.matrix(train.batch), train.batch["label"])
        scores = model.predict_proba(one_hot.matrix(valid.batch))
        losses[strength] = log_loss(valid.batch["label"], scores), model
    best = min(losses, key=lambda strength: losses[strength][0])
    assert fit["selected"] == {"C": best}
    expected = losses[best][1].decision_function(one_hot.matrix(test.batch))
    np.testing.assert_allclose(scores_of(scorer, data.splits["test"]), expected, atol=0.02)
    assert (fit["examples"], fit["valid_examples"]) == (train.rows, valid.rows)
    assert fit["inputs"] == one_hot.columns


@pytest.mark.parametrize("model", ["logistic", "trees"])
def test_a_fit_is_repeatable_and_better_than_a_constant(prepared, model):
    experiment, data = prepared
    (scorer, fit), (again, fit_again) = (fit_classical(model, experiment, data) for _ in range(2))
    logits = scores_of(scorer, data.splits["test"])
    np.testing.assert_array_equal(logits, scores_of(again, data.splits["test"]))
    assert fit == fit_again
    label = read_examples(data.splits["test"], data.encoder, 1).batch["label"]
    train_mean = read_examples(data.splits["train"], data.encoder, 1).batch["label"].mean()
    assert log_loss(label, 1 / (1 + np.exp(-logits))) < log_loss(label, np.full(len(label), train_mean))


@pytest.mark.parametrize("model", ["logistic", "trees"])
def test_the_correction_of_sampled_negatives_is_added(config, prepared, model):
    experiment, data = prepared
    sampled = load_experiment(config, ["data.negative_sampling_rate=0.25"])
    plain, corrected = (
        scores_of(fit_classical(model, settings, data)[0], data.splits["test"]) for settings in (experiment, sampled)
    )
    np.testing.assert_allclose(corrected, plain + np.log(0.25), atol=1e-6)


@pytest.mark.parametrize("model", ["logistic", "trees"])
def test_without_validation_the_settings_are_fixed(prepared, model):
    experiment, data = prepared
    splits = {name: groups for name, groups in data.splits.items() if name != "valid"}
    _, fit = fit_classical(model, experiment, data.__class__(**{**vars(data), "splits": splits}))
    assert (fit["selected"], fit["valid_examples"]) == ({"C": 0.1} if model == "logistic" else {"trees": 100}, 0)


def test_a_fit_that_does_not_converge_says_so(prepared, monkeypatch):
    monkeypatch.setattr(logistic, "MAX_ITERATIONS", 2)
    _, fit = fit_classical("logistic", *prepared)
    assert fit["warnings"] == ["the fit did not converge within 2 iterations"]


def test_a_sample_of_one_label_is_an_error(prepared, monkeypatch):
    experiment, data = prepared

    def only_negatives(*arguments):
        examples = read_examples(*arguments)
        return examples.__class__({**examples.batch, "label": np.zeros_like(examples.batch["label"])}, examples.total)

    monkeypatch.setattr("ctr.classical.fit.read_examples", only_negatives)
    with pytest.raises(ConfigError, match=r"logistic needs both labels, but all .* have the label 0"):
        fit_classical("logistic", experiment, data)
