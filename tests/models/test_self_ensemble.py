"""Two passes with different dropout masks learn from their mean probability, on one lookup of the tables."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models import AUC, DNN, QNN, CTRModel, Dropout, Field, Inputs, Table, TowerOutput, cost_of, recorded
from models.self_ensemble import STEPS_APART, cross_entropy_of_mean, mean_probability, self_ensemble_loss
from optimizers import Adagrad, Router, adam
from tests.reference import self_ensemble as reference
from tests.toy_towers import Penalized

INPUTS = Inputs((Table("user", 12, 4),), (Field("user", "user", column=0),), ("age",), (0,))
LOSSES = ["loss", "loss/self_ensemble"]
some_logits = arrays(np.float32, (2, 6), elements=st.floats(-15, 15, width=32))
some_labels = arrays(np.float32, 6, elements=st.sampled_from([0.0, 1.0]))


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


def tower_of(dropout=0.3, **arguments):
    return QNN(**{"layers": 1, "rows": 2, "dropout": dropout, "seed": 4, **arguments})


def model_of(tower=None, self_ensemble=True):
    return CTRModel(INPUTS, tower or tower_of(), stddev=0.5, seed=4, base_logit=-0.4, self_ensemble=self_ensemble)


def compiled(model, metrics=()):
    router = Router({"*": Adagrad(0.1)}, {"*": adam(0.05)}, model.logical_variables)
    model.compile(optimizer=router, metrics=metrics)
    return model


def outputs_of(model, rows):
    """Return the total loss and layer -> its outputs, of a step's forward and backward pass."""
    with recorded() as calls:
        loss, _ = model.loss_and_gradients(tensors(rows))
    return float(loss), {call.path: call.outputs[0].numpy() for call in calls}


def weighted_mean(values, rows):
    return (values * rows["weight"]).sum() / rows["weight"].sum()


@pytest.mark.medium
@settings(max_examples=25, deadline=None, derandomize=True)
@given(logits=some_logits, label=some_labels)
def test_both_terms_follow_the_float64_reference(logits, label):
    passes = [tf.constant(logit) for logit in logits]
    expected = reference.terms(logits.astype(np.float64), label)
    found = cross_entropy_of_mean(tf.constant(label), passes), self_ensemble_loss(passes)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mean_probability(passes), reference.sigmoid(logits.astype(float)).mean(axis=0), 1e-5)


@pytest.mark.medium
@settings(max_examples=25, deadline=None, derandomize=True)
@given(logits=some_logits, label=some_labels)
def test_gradients_hold_the_mean_constant_where_passes_learn_from_it(logits, label):
    with tf.GradientTape() as tape:
        passes = [tf.constant(logit) for logit in logits]
        tape.watch(passes)
        total = tf.reduce_sum(cross_entropy_of_mean(tf.constant(label), passes) + self_ensemble_loss(passes))
    found, point, h = tape.gradient(total, passes), logits.astype(np.float64), 1e-6
    target = reference.sigmoid(point).mean(axis=0)
    for number in range(2):
        nudge = np.zeros_like(point)
        nudge[number] = h
        ends = [sum(reference.terms(point + sign * nudge, label, target)) for sign in (1, -1)]
        np.testing.assert_allclose(found[number], (ends[0] - ends[1]) / (2 * h), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("size", [50.0, 200.0, 1e30])
def test_large_logits_have_finite_losses_and_gradients(size):
    logits = [tf.constant([size, size, -size, -size]), tf.constant([size, -size, size, -size])]
    label = tf.constant([0.0, 1.0, 0.0, 0.0])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        cross_entropy, agreement = cross_entropy_of_mean(label, logits), self_ensemble_loss(logits)
        total = tf.reduce_sum(cross_entropy) + tf.reduce_sum(agreement)
    np.testing.assert_allclose(cross_entropy, [size, np.log(2), np.log(2), 0], rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(agreement, [0, size, size, 0], rtol=1e-6, atol=1e-19)
    assert np.isfinite(tape.gradient(total, logits)).all()


def test_equal_passes_have_no_divergence_and_no_gradient_from_it():
    logit = tf.constant(np.linspace(-6, 6, 25), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logit)
        agreement = self_ensemble_loss([logit, logit])
    p = reference.sigmoid(logit.numpy().astype(np.float64))
    np.testing.assert_allclose(agreement, 2 * reference.cross_entropy(p, p), rtol=1e-5)  # twice the entropy: KL is zero
    np.testing.assert_allclose(tape.gradient(agreement, logit), 0, atol=1e-6)


@pytest.mark.medium
def test_the_first_pass_has_the_masks_of_one_pass_and_the_second_has_others():
    rows = rows_of(200)
    loss, both = outputs_of(model_of(), rows)
    plain_loss, one = outputs_of(model_of(self_ensemble=False), rows)
    assert loss != plain_loss
    assert both.keys() == one.keys() | {f"pass 2/{path}" for path in one if path != "tables"}
    for path in one:
        np.testing.assert_array_equal(both[path], one[path])
    for path in ("qnn/quadratic_0/quadratic_0_output", "qnn/quadratic_0/quadratic_0"):
        first, second = both[path] == 0, both[f"pass 2/{path}"] == 0
        assert (first != second).any(axis=1).mean() > 0.5


@pytest.mark.medium
def test_each_step_has_two_masks_of_its_own():
    model, rows, seen = model_of(tower_of(dropout=0.5)), rows_of(200), []
    for step in range(4):
        model.step.assign(step)
        _, outputs = outputs_of(model, rows)
        path = "qnn/quadratic_0/quadratic_0_output"
        seen += [(outputs[name] == 0).ravel() for name in (path, f"pass 2/{path}")]
    related = np.abs(np.corrcoef(seen)) - np.eye(len(seen))
    assert related.max() < 0.1


def test_the_loss_is_that_of_the_reference_weighted_by_the_examples():
    model, rows = model_of(), rows_of(40)
    loss, outputs = outputs_of(model, rows)
    logits = [outputs["qnn"].astype(np.float64), outputs["pass 2/qnn"].astype(np.float64)]
    cross_entropy, agreement = (weighted_mean(values, rows) for values in reference.terms(logits, rows["label"]))
    assert loss == pytest.approx(cross_entropy + agreement, rel=1e-5)
    assert {mean.name: float(mean.result()) for mean in model.metrics} == pytest.approx(
        {"loss": cross_entropy, "loss/self_ensemble": agreement}, rel=1e-5
    )


@pytest.mark.medium
def test_without_dropout_the_gradients_are_those_of_one_pass():
    rows = rows_of(40)
    one, both = (model_of(tower_of(dropout=0.0), self_ensemble=choice) for choice in (False, True))
    assert [v.name for v in one.trainable_variables] == [v.name for v in both.trainable_variables]
    found, expected = (model.loss_and_gradients(tensors(rows))[1] for model in (both, one))
    for left, right in zip(found, expected, strict=True):
        left, right = tf.convert_to_tensor(left).numpy(), tf.convert_to_tensor(right).numpy()
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6)


@pytest.mark.medium
def test_both_passes_update_moving_averages_in_their_order():
    rows, batch = rows_of(40), tensors(rows_of(40))
    eager, traced, by_hand = model_of(), model_of(), model_of(self_ensemble=False)
    eager.loss_and_gradients(batch)
    tf.function(traced.loss_and_gradients, autograph=False)(batch)
    x0 = by_hand.tables(tensors(rows))["deep"]
    for step in (0, STEPS_APART):
        by_hand.tower(x0, step, training=True)
    averages = [variable.numpy() for variable in by_hand.tower.non_trainable_variables]
    assert len(averages) == 2
    for model in (eager, traced):
        for variable, expected in zip(model.tower.non_trainable_variables, averages, strict=True):
            np.testing.assert_allclose(variable, expected, rtol=1e-6)
    only_one = model_of(self_ensemble=False)
    only_one.loss_and_gradients(batch)
    assert (only_one.tower.non_trainable_variables[0].numpy() != averages[0]).any()


def test_evaluation_has_one_pass_and_the_plain_loss():
    one, both, rows = model_of(self_ensemble=False), model_of(), rows_of(30)
    with recorded() as calls:
        loss = both.compute_loss(tensors(rows))
    assert not [call.path for call in calls if call.path.startswith("pass")]
    assert float(loss) == float(one.compute_loss(tensors(rows)))
    np.testing.assert_array_equal(one(tensors(rows)), both(tensors(rows)))


@pytest.mark.medium
def test_fit_reports_both_losses_and_evaluate_one():
    rows = rows_of(60)
    batches = tf.data.Dataset.from_tensor_slices(rows).batch(16)
    history = compiled(model_of(), [AUC()]).fit(batches, validation_data=batches, epochs=15, verbose=0).history
    assert set(history) == {*LOSSES, "auc", "val_loss", "val_auc"}
    assert history["loss"][-1] < 0.95 * history["loss"][0]
    evaluated = compiled(model_of(), [AUC()]).evaluate(batches, return_dict=True, verbose=0)
    plain = compiled(model_of(self_ensemble=False), [AUC()]).evaluate(batches, return_dict=True, verbose=0)
    assert evaluated == plain


def test_metrics_see_the_mean_probability():
    class Seen(tf.keras.metrics.Metric):
        def update_state(self, label, probability, sample_weight=None):
            self.probability = probability

        def result(self):
            return 0.0

    model = compiled(model_of(), [seen := Seen()])
    _, outputs = outputs_of(model, rows_of(20))
    logits = np.stack([outputs["qnn"], outputs["pass 2/qnn"]])
    np.testing.assert_allclose(seen.probability[:, 0], reference.sigmoid(logits).mean(axis=0), rtol=1e-5)


class Twofold(Penalized):
    """A tower with losses of its own and dropout."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.dropout = Dropout(0.5, 4, "input")

    def call(self, x0, step, training=False):
        return super().call(self.dropout(x0, step, training=training), step, training=training)


def test_losses_of_the_tower_are_means_over_the_passes():
    model, rows = model_of(Twofold(coefficient=0.7, seed=4)), rows_of(40)
    loss, outputs = outputs_of(model, rows)
    means = {mean.name: float(mean.result()) for mean in model.metrics}
    assert [*means] == ["loss", "loss/activity", "loss/logit", "loss/self_ensemble"]
    hidden, logits = (
        [outputs[f"{prefix}penalized/{layer}".replace("penalized", "dnn")] for prefix in ("", "pass 2/")]
        for layer in ("deep", "head")
    )
    activity = np.mean([0.7 * (array.astype(np.float64) ** 2).mean(axis=1) for array in hidden], axis=0)
    square = np.mean([0.05 * array[:, 0].astype(np.float64) ** 2 for array in logits], axis=0)
    assert means["loss/activity"] == pytest.approx(weighted_mean(activity, rows), rel=1e-5)
    assert means["loss/logit"] == pytest.approx(weighted_mean(square, rows), rel=1e-5)
    assert loss == pytest.approx(sum(means.values()), rel=1e-5)


class OfInt32(DNN):
    """A tower of a user with dropout from a step that it casts to int32."""

    def call(self, x0, step, training=False):
        if training:
            mask = tf.random.stateless_uniform(tf.shape(x0), tf.stack([7, tf.cast(step, tf.int32)])) > 0.5
            x0 = x0 * tf.cast(mask, x0.dtype)
        return super().call(x0, step, training=training)


def test_a_step_cast_to_int32_gives_different_masks_too():
    _, outputs = outputs_of(model_of(OfInt32(hidden=(8,), batch_norm=False)), rows_of(40))
    assert (outputs["dnn"] != outputs["pass 2/dnn"]).mean() > 0.5


class Namesake(DNN):
    """A tower with a loss that has the name of the self-ensemble loss."""

    def call(self, x0, step, training=False):
        logit = super().call(x0, step, training=training)
        return TowerOutput(logit, {"self_ensemble": logit**2})


def test_a_loss_with_the_same_name_is_refused():
    with pytest.raises(
        ValueError, match=r"dnn: the loss 'self_ensemble' has the name of the self-ensemble loss. Rename"
    ):
        model_of(Namesake(hidden=(8,)))
    assert [*model_of(Namesake(hidden=(8,)), self_ensemble=False).mean_losses] == ["self_ensemble"]


@pytest.mark.medium
def test_the_cost_is_that_of_one_pass_in_evaluation():
    signature = {"ids": tf.TensorSpec([None, 1], tf.int32), "numerics": tf.TensorSpec([None, 1])}
    assert cost_of(model_of(), signature) == cost_of(model_of(self_ensemble=False), signature)
