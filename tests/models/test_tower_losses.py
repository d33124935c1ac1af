"""A tower's own losses are added to the cross-entropy with sample weights, and each is reported separately."""

import numpy as np
import pytest
import tensorflow as tf

from models import DNN, BatchLoss, CTRModel, Field, Inputs, Table, TowerOutput, batch_mean
from optimizers import Adagrad, Router, adam
from tests.reference import penalized as reference
from tests.toy_towers import Penalized

INPUTS = Inputs((Table("user", 12, 4),), (Field("user", "user", column=0),), ("age",), (0,))
TERMS = ["loss", "loss/activity", "loss/logit"]


def rows_of(size, seed=0):
    random = np.random.default_rng(seed)
    return {
        "ids": random.integers(3, 12, [size, 1]).astype(np.int32),
        "numerics": random.normal(size=[size, 1]).astype(np.float32),
        "label": random.integers(0, 2, size).astype(np.float32),
        "weight": random.choice([0, 0.5, 1, 3], size).astype(np.float32),
    }


def tensors(rows):
    return {key: tf.constant(value) for key, value in rows.items()}


def model_of(tower=None):
    return CTRModel(INPUTS, tower or Penalized(coefficient=0.7, seed=4), stddev=0.5, base_logit=-0.4)


def compiled(model):
    router = Router({"*": Adagrad(0.1)}, {"*": adam(0.05)}, model.logical_variables)
    model.compile(optimizer=router)
    return model


def expected_terms(model, rows, weights=None):
    """Return each term of each row by the reference, from given weights or the model's."""
    [(dense, *_)] = model.tower.deep.blocks
    weights = weights or [dense.kernel, dense.bias, model.tower.head.kernel, model.tower.head.bias]
    return reference.terms(model.tables(tensors(rows))["deep"], *weights, rows["label"], model.tower.coefficient)


def weighted_mean(values, rows):
    return (values * rows["weight"]).sum() / rows["weight"].sum()


def test_the_loss_is_the_sum_of_the_weighted_means_of_all_terms():
    model, rows = model_of(), rows_of(40)
    terms = expected_terms(model, rows)
    expected = sum(weighted_mean(terms[name], rows) for name in TERMS)
    assert float(model.compute_loss(tensors(rows))) == pytest.approx(expected, rel=1e-6)


def test_gradients_are_those_of_all_terms_together():
    model, rows, nudge = model_of(), rows_of(40), 1e-5
    _, gradients = model.loss_and_gradients(tensors(rows))
    [(dense, *_)] = model.tower.deep.blocks
    variables = [dense.kernel, dense.bias, model.tower.head.kernel, model.tower.head.bias]
    found = {id(one): gradient for one, gradient in zip(model.trainable_variables, gradients, strict=True)}
    weights = [one.numpy().astype(np.float64) for one in variables]

    def loss(place, at, change):
        changed = [array.copy() for array in weights]
        changed[place][at] += change
        terms = expected_terms(model, rows, changed)
        return sum(weighted_mean(terms[name], rows) for name in TERMS)

    for place, variable in enumerate(variables):
        for at in list(np.ndindex(*variable.shape))[:8]:
            slope = (loss(place, at, nudge) - loss(place, at, -nudge)) / (2 * nudge)
            assert float(found[id(variable)][at]) == pytest.approx(slope, rel=1e-3, abs=1e-6)


@pytest.mark.medium
def test_fit_and_evaluate_report_the_mean_of_each_term_over_all_examples():
    model = compiled(model_of())
    rows = rows_of(60)
    expected = {name: weighted_mean(values, rows) for name, values in expected_terms(model, rows).items()}
    batches = tf.data.Dataset.from_tensor_slices(rows).batch(16)
    found = model.evaluate(batches, return_dict=True, verbose=0)
    assert found.keys() == set(TERMS)
    for name in TERMS:
        assert found[name] == pytest.approx(expected[name], rel=1e-6)
    history = model.fit(batches, epochs=40, verbose=0).history
    assert set(history) == set(TERMS)
    total = np.sum([history[name] for name in TERMS], axis=0)
    assert total[-1] < 0.9 * total[0]


def test_a_call_of_the_model_gives_the_logit_alone():
    model, rows = model_of(), rows_of(5)
    output = model.output(tensors(rows))
    np.testing.assert_array_equal(model(tensors(rows)), output.logit)
    assert [*output.losses] == ["activity", "logit"]


def test_a_model_without_losses_of_its_own_reports_its_loss_only():
    model = compiled(model_of(DNN(hidden=(8,), batch_norm=False)))
    assert [mean.name for mean in model.metrics] == ["loss"]
    assert model.train_step(tensors(rows_of(8))).keys() == {"loss"}


class Streamed(DNN):
    """A tower that adds the cross-entropy of half its logit, like a separate stream."""

    def call(self, x0, step, training=False):
        logit = super().call(x0, step, training=training)
        half = 0.5 * logit
        return TowerOutput(logit, {"half": lambda label: tf.nn.sigmoid_cross_entropy_with_logits(label, half)})


def test_a_loss_may_be_a_function_of_the_labels():
    model, rows = model_of(Streamed(hidden=(8,), batch_norm=False)), rows_of(40)
    logit = model(tensors(rows)).numpy().astype(np.float64)

    def cross_entropy(score):
        return np.logaddexp(0, score) - rows["label"] * score

    expected = weighted_mean(cross_entropy(logit) + cross_entropy(logit / 2), rows)
    assert float(model.compute_loss(tensors(rows))) == pytest.approx(expected, rel=1e-6)
    found = compiled(model).evaluate(tf.data.Dataset.from_tensor_slices(rows).batch(16), return_dict=True, verbose=0)
    assert found["loss/half"] == pytest.approx(weighted_mean(cross_entropy(logit / 2), rows), rel=1e-6)


class Whole(DNN):
    """A tower whose loss is a single number instead of one per example."""

    def call(self, x0, step, training=False):
        return TowerOutput(super().call(x0, step, training=training), {"norm": tf.reduce_sum(x0)})


class Fickle(DNN):
    """A tower with a loss in training only."""

    def call(self, x0, step, training=False):
        logit = super().call(x0, step, training=training)
        return TowerOutput(logit, {"square": logit**2} if training else {})


def test_a_loss_that_is_not_one_of_examples_is_refused():
    with pytest.raises(ValueError, match=r"dnn: the loss 'norm' must be \[batch\].* Received, for 2 examples: \[\]$"):
        model_of(Whole(hidden=(8,)))


class Fixed(DNN):
    """A tower that returns the given losses."""

    losses = None

    def call(self, x0, step, training=False):
        return TowerOutput(super().call(x0, step, training=training), self.losses)


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({"one": tf.constant([0.5])}, r"the loss 'one' must be \[batch\].* Received, for 2 examples: \[1\]$"),
        ({"number": 0.5}, r"the loss 'number' must be \[batch\].* Received, for 2 examples: \[\]$"),
        (None, "losses must be a dictionary. Received: None"),
    ],
    ids=["of one example", "a number", "none"],
)
def test_losses_of_another_shape_are_refused(losses, message, monkeypatch):
    monkeypatch.setattr(Fixed, "losses", losses)
    with pytest.raises(ValueError, match=message):
        model_of(Fixed(hidden=(8,)))


def test_losses_that_come_and_go_are_refused():
    model = compiled(model_of(Fickle(hidden=(8,))))
    with pytest.raises(ValueError, match=r"dnn: the losses must be the same at every call, none\. Received: square$"):
        model.train_step(tensors(rows_of(8)))


class Margined(DNN):
    """A tower with a loss of the mean of squares above a margin, times each square."""

    def call(self, x0, step, training=False):
        logit = super().call(x0, step, training=training)

        def terms(label, weight):
            squares = tf.square(logit - label)
            return squares * tf.nn.relu(batch_mean(squares, weight) - 0.1)

        return TowerOutput(logit, {"margin": BatchLoss(terms)})


def test_a_loss_may_depend_on_weighted_means_over_the_batch():
    model, rows, nudge = model_of(Margined(hidden=(8,), batch_norm=False)), rows_of(40), 1e-3

    def expected():
        logit = model(tensors(rows)).numpy().astype(np.float64)
        cross_entropy = np.logaddexp(0, logit) - rows["label"] * logit
        square = weighted_mean((logit - rows["label"]) ** 2, rows)
        return weighted_mean(cross_entropy, rows), square * (square - 0.1)

    assert float(model.compute_loss(tensors(rows))) == pytest.approx(sum(expected()), rel=1e-6)
    assert float(model.mean_losses["margin"].result()) == pytest.approx(expected()[1], rel=1e-6)
    _, gradients = model.loss_and_gradients(tensors(rows))
    bias = model.tower.head.bias
    found = {id(one): gradient for one, gradient in zip(model.trainable_variables, gradients, strict=True)}[id(bias)]
    start, values = bias.numpy(), []
    for step in (nudge, -nudge):
        bias.assign(start + step)
        values.append(sum(expected()))
    assert float(found[0]) == pytest.approx((values[0] - values[1]) / (2 * nudge), rel=1e-3)


def test_losses_without_given_weights_count_each_example_once():
    model, rows = model_of(Margined(hidden=(8,), batch_norm=False)), tensors(rows_of(40))
    output = model.output(rows)
    alone, ones = (output.losses_of(rows["label"], *weight) for weight in ((), (tf.ones(40),)))
    np.testing.assert_array_equal(alone["margin"], ones["margin"])
    assert (output.losses_of(rows["label"], rows["weight"])["margin"].numpy() != ones["margin"].numpy()).all()


def test_a_batch_without_weight_has_a_mean_of_0():
    assert float(batch_mean(tf.constant([3.0, 4.0]), tf.zeros(2))) == 0
