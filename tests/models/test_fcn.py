"""FCN computes two cross networks with masks and heads, and the losses of both."""

from dataclasses import replace
from itertools import chain, combinations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from models import DNN, FCN, BatchNorm, CTRModel, Stream, TwoStream
from models.fcn import MaskedCross, _loss_above
from optimizers import Adagrad, Router, adam
from tests.models.deep_cross import check_gradients, float64, x0
from tests.models.fields import DIM, FIELDS, FIELDS_ONLY, INPUTS, NO_FIELDS, NO_NUMBERS, TWO_WIDTHS, randomize
from tests.reference import fcn as reference

WIDTH = FIELDS * DIM
KINDS = {
    "one head": {},
    "two heads": {"heads": 2},
    "numbers": {"inputs": INPUTS, "heads": 2},
    "no layer norm": {"layer_norm": False},
    "no batch norm": {"batch_norm": False},
    "exponential alone": {"linear_layers": 0, "heads": 2},
    "linear alone": {"exponential_layers": 0},
    "without losses": {"tri_bce": False, "linear_layers": 1},
    "plain": {"batch_norm": False, "layer_norm": False, "heads": 2},
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def width_of(kind):
    return WIDTH + len(kind.get("inputs", NO_NUMBERS).plain)


def built(inputs=NO_NUMBERS, width=None, **arguments):
    """Return a built tower."""
    tower = FCN(**{"exponential_layers": 2, "linear_layers": 2, **arguments})
    tower.connect(inputs)
    tower(tf.constant(x0(width=width or width_of({"inputs": inputs}))), 0)
    return tower


def weights_of(tower, value=float64):
    """Return the weights in the form that the reference takes; `value` reads a variable."""

    def layer_weights(layer):
        norm, mask = layer.batch_norm, layer.layer_norm
        return {
            "kernel": value(layer.dense.kernel),
            "bias": value(layer.bias),
            "norm": norm and [value(v) for v in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)],
            "mask": mask and [value(mask.gamma), value(mask.beta)],
        }

    return {
        name: ([layer_weights(layer) for layer in layers], [value(head.kernel), value(head.bias)])
        for (name, layers), head in zip(tower.networks.items(), tower.heads, strict=True)
    }


def expected_logits(tower, x, value=float64):
    """Return the logits of each network by the reference, with numbers as embeddings."""
    numbers, fields = x[:, WIDTH:], FIELDS + x.shape[1] - WIDTH
    if numbers.size:
        vectors = value(tower.numbers.vectors)
        x = np.hstack([x[:, :WIDTH], *(numbers[:, [place]] * vectors[place] for place in range(len(vectors)))])
    return reference.logits_of_networks(x, fields, DIM, tower.n_heads, weights_of(tower, value))


def mean_of(logits):
    return sum(logits.values()) / len(logits)


def logit_of(output):
    return output if isinstance(output, tf.Tensor) else output.logit


@every_kind
def test_logits_follow_the_float64_reference(kind):
    tower = built(dropout=0.5, **kind)
    randomize(tower)
    x = x0(width=width_of(kind))
    expected = mean_of(expected_logits(tower, x.astype(np.float64)))
    logits = logit_of(tower(tf.constant(x), 0))
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.medium
@every_kind
def test_gradients_of_the_logit_follow_finite_differences_of_the_reference(kind):
    tower = built(**{**kind, "batch_norm": False, "tri_bce": False})
    check_gradients(tower, lambda x, value: mean_of(expected_logits(tower, x, value)), width_of(kind))


def test_a_cross_layer_by_hand():
    layer = MaskedCross(False, False, 0.0, "glorot_uniform", 0, "linear/0")
    anchor, x = tf.constant([[[1.0, 2.0, 3.0, 4.0]]]), tf.constant([[[5.0, 6.0, 7.0, 8.0]]])
    layer(anchor, x, 0)
    layer.dense.kernel.assign([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, -1.0]])
    layer.bias.assign([0.5, 0.0, 0.0, 1.0])
    # c = [5, -8], the mask [5, 0], z + b = [5.5, -8, 25, 1]
    assert layer(anchor, x, 0).numpy().tolist() == [[[5.5 + 5, -16.0 + 6, 75.0 + 7, 4.0 + 8]]]


def test_heads_by_hand():
    tower = FCN(1, 0, heads=2)
    tower.connect(NO_NUMBERS)
    columns = tower._by_head(tf.constant(np.arange(WIDTH)[None], tf.float32))
    # three embeddings of four numbers: head 1 has the first two of each, head 2 the others
    assert columns.numpy().tolist() == [[[0, 4, 8, 1, 5, 9], [2, 6, 10, 3, 7, 11]]]


def test_exponential_layers_multiply_their_own_input_and_linear_layers_x0():
    for kind, power in ({"linear_layers": 0}, 4), ({"exponential_layers": 0}, 3):
        tower = built(batch_norm=False, layer_norm=False, tri_bce=False, **kind)
        [layers] = tower.networks.values()
        for layer in layers:
            layer.dense.kernel.assign(np.eye(WIDTH, WIDTH // 2))
            layer.bias.assign(np.full(WIDTH, -1.0))  # so that the input itself is not added
        tower.heads[0].kernel.assign(np.eye(WIDTH, 1))
        # the first number x becomes x^2, then x^2 x^2 or x x^2 - x + x^2; the last terms are of a lower degree
        large = 1e3
        logit = float(tower(tf.constant(np.eye(1, WIDTH) * large, tf.float32), 0)[0])
        assert logit == pytest.approx(large**power, rel=2e-3)


# The losses


def rows_of(size=40, seed=0):
    random = np.random.default_rng(seed)
    return {
        "ids": tf.constant(random.integers(3, 9, [size, 3]), tf.int32),
        "numerics": tf.zeros([size, 2]),
        "label": tf.constant(random.integers(0, 2, size), tf.float32),
        "weight": tf.constant(random.choice([0, 0.5, 1, 3], size), tf.float32),
    }


def model_of(inputs=FIELDS_ONLY, **arguments):
    tower = FCN(**{"exponential_layers": 1, "linear_layers": 2, "batch_norm": False, **arguments})
    model = CTRModel(inputs, tower, stddev=0.5, base_logit=-0.4)
    randomize(tower)
    return model


def expected_losses(model, rows, value=float64, logits=None):
    if logits is None:
        x = model.tables(rows)["deep"].numpy().astype(np.float64)
        logits = expected_logits(model.tower, x, value)
    return reference.tri_bce(logits, rows["label"].numpy(), rows["weight"].numpy())


def test_the_loss_is_the_tri_bce_of_weighted_means():
    model, rows = model_of(heads=2), rows_of()
    expected = expected_losses(model, rows)
    assert sorted(expected.values())[1] > 0
    assert float(model.compute_loss(rows)) == pytest.approx(sum(expected.values()), rel=1e-5)
    found = {mean.name: float(mean.result()) for mean in model.metrics}
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_the_loss_follow_finite_differences_so_the_factors_have_a_gradient(seed):
    model, rows, h = model_of(), rows_of(seed=seed), 1e-6
    random = np.random.default_rng(seed)
    for head in model.tower.heads:  # so that one network, or both, are above the loss of the model
        head.kernel.assign(random.normal(0, 1, head.kernel.shape))
    _, gradients = model.loss_and_gradients(rows)
    by_id = {id(one): gradient for one, gradient in zip(model.trainable_variables, gradients, strict=True)}
    for source in model.tower.trainable_variables:
        direction = random.normal(size=source.shape)

        def total(step, source=source, direction=direction):
            def value(tensor):
                return float64(tensor) + (step * direction if tensor is source else 0)

            return sum(expected_losses(model, rows, value).values())

        slope = (total(h) - total(-h)) / (2 * h)
        terms = by_id[id(source)].numpy() * direction
        assert terms.sum() == pytest.approx(slope, rel=1e-3, abs=1e-5 * np.abs(terms).sum())


def test_the_gradient_has_the_factors_of_the_docstring():
    label, weight = rows_of()["label"], rows_of()["weight"]
    own = [tf.Variable(np.random.default_rng(seed).normal(0, 2, 40), dtype=tf.float32) for seed in (1, 2)]

    def mean_loss(logit):
        losses = tf.nn.sigmoid_cross_entropy_with_logits(label, logit)
        return tf.reduce_sum(losses * weight) / tf.reduce_sum(weight)

    with tf.GradientTape(persistent=True) as tape:
        logit = tf.add_n(own) / 2
        loss, of_networks = mean_loss(logit), [mean_loss(one) for one in own]
        terms = [_loss_above(logit, one).terms(label, weight) for one in own]
        total = loss + sum(tf.reduce_sum(term * weight) / tf.reduce_sum(weight) for term in terms)
    above = [float(one > loss) for one in of_networks]
    assert sum(above) > 0
    factor = 1 - sum(k * one for k, one in zip(above, of_networks, strict=True))
    for logits in own:
        expected = factor * tape.gradient(loss, logits)
        for k, one in zip(above, of_networks, strict=True):
            if (gradient := tape.gradient(one, logits)) is not None:
                expected += k * (2 * one - loss) * gradient
        np.testing.assert_allclose(tape.gradient(total, logits), expected, rtol=1e-4, atol=1e-7)


@pytest.mark.medium
def test_training_lowers_the_loss():
    model, rows = model_of(batch_norm=True), rows_of()
    model.compile(optimizer=Router({"*": Adagrad(0.1)}, {"*": adam(0.01)}, model.logical_variables))
    history = model.fit(tf.data.Dataset.from_tensors(rows), epochs=40, verbose=0).history
    assert set(history) == {"loss", "loss/exponential", "loss/linear"}
    assert history["loss"][-1] < 0.9 * history["loss"][0]


@pytest.mark.medium
def test_as_a_stream_its_losses_have_the_weight_of_the_stream():
    streams = {"easy": Stream(DNN(hidden=(4,))), "hard": Stream(FCN(1, 1, batch_norm=False), dim=4)}
    model = CTRModel(FIELDS_ONLY, TwoStream(streams, alpha=0.25, gamma=0.0), 0.5)
    randomize(model.tower.hard.tower)
    rows = rows_of()
    output = model.output(rows)
    losses = output.losses_of(rows["label"], rows["weight"])
    assert list(losses) == ["easy", "hard", "hard/exponential", "hard/linear"]
    x = model.tables(rows)["streams/hard/deep"]
    own = model.tower.hard.tower(x, 0).losses_of(rows["label"], rows["weight"])
    for name in ("exponential", "linear"):
        np.testing.assert_allclose(losses[f"hard/{name}"], 0.75 * own[name].numpy(), rtol=1e-5)


@every_kind
def test_losses_exist_where_two_networks_do(kind):
    has_losses = len(built(**kind).networks) == 2 and kind.get("tri_bce", True)
    model = CTRModel(
        FIELDS_ONLY,
        FCN(**{"exponential_layers": 1, "linear_layers": 1, **{k: v for k, v in kind.items() if k != "inputs"}}),
    )
    assert list(model.mean_losses) == (["exponential", "linear"] if has_losses else [])


# Weights


@every_kind
def test_blocks_are_named_and_hold_each_variable_once(kind):
    tower = built(**kind)
    named = {name: [id(v) for layer in layers for v in layer.variables] for name, layers in tower.blocks.items()}
    assert list(named) == ["numbers", *tower.networks, "head"]
    assert sorted(chain(*named.values())) == sorted(id(v) for v in tower.variables)
    assert [name for name, variables in named.items() if not variables] == ([] if "inputs" in kind else ["numbers"])
    assert tower.logit_biases == [head.bias for head in tower.heads]


@pytest.mark.parametrize("heads", [1, 2])
def test_a_batch_norm_has_one_number_per_head_and_its_settings(heads):
    tower = built(heads=heads, batch_norm=BatchNorm(epsilon=1e-4, momentum=0.5))
    for layer in (*tower.exponential, *tower.linear):
        assert {tuple(v.shape) for v in layer.batch_norm.variables} == {(heads,)}
        assert (layer.batch_norm.epsilon, layer.batch_norm.momentum) == (1e-4, 0.5)
        assert layer.layer_norm.epsilon == 1e-5
        assert {tuple(v.shape) for v in layer.layer_norm.variables} == {(WIDTH // heads // 2,)}


def test_a_batch_norm_takes_means_over_examples_and_columns_of_a_head():
    tower = built(heads=2, batch_norm=BatchNorm(momentum=0.0))
    [layer, _], x = tower.linear, tf.constant(x0(50, WIDTH))
    c = layer.dense(tower._by_head(x)).numpy()
    tower(x, 0, training=True)
    np.testing.assert_allclose(layer.batch_norm.moving_mean, c.mean(axis=(0, 2)), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(layer.batch_norm.moving_variance, c.var(axis=(0, 2)), rtol=1e-3)


def test_more_columns_of_x0_are_numbers_too():
    assert built(INPUTS, width=WIDTH + 5).numbers.vectors.shape == [5, DIM]


def starts(**arguments):
    tower = built(**arguments)
    return [v.numpy() for layer in (*tower.exponential, *tower.linear) for v in (layer.dense.kernel, layer.bias)]


def test_a_seed_gives_the_same_weights_each_time_and_another_seed_others():
    one, again, other = (starts(seed=seed) for seed in (1, 1, 2))
    for left, right, changed in zip(one, again, other, strict=True):
        np.testing.assert_array_equal(left, right)
        assert (left != changed).all()


@pytest.mark.medium
def test_the_start_of_a_layer_does_not_depend_on_other_arguments():
    for arguments in ({"linear_layers": 5}, {"dropout": 0.5}, {"layer_norm": False}, {"tri_bce": False}):
        for left, right in zip(starts(**arguments)[:4], starts()[:4], strict=True):
            np.testing.assert_array_equal(left, right)


def test_biases_start_between_0_and_1_and_kernels_in_the_range_of_the_initializer():
    wide = replace(FIELDS_ONLY, tables=tuple(replace(one, dim=100) for one in FIELDS_ONLY.tables))
    kernels_and_biases = starts(inputs=wide, width=FIELDS * 100)
    kernels, biases = kernels_and_biases[::2], kernels_and_biases[1::2]
    for kernel, bias in zip(kernels, biases, strict=True):
        assert np.abs(kernel).max() == pytest.approx(np.sqrt(6 / 450), rel=0.01)
        assert (bias.min(), bias.max()) == pytest.approx((0, 1), abs=0.02)
        assert bias.mean() == pytest.approx(0.5, abs=0.05)
    for group in (kernels, biases):
        for left, right in combinations(group, 2):
            assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 0.2


def test_an_untrained_model_and_both_networks_predict_the_base_rate_where_x0_is_zero():
    model = CTRModel(FIELDS_ONLY, FCN(), stddev=0.0, base_logit=-2.5)
    np.testing.assert_allclose(model(rows_of(4)), np.full(4, -2.5), rtol=1e-6)
    assert [float(head.bias[0]) for head in model.tower.heads] == [-2.5, -2.5]


# Dropout and precision


@pytest.mark.parametrize(
    ("arguments", "rates"),
    [({}, [0.5, 0.5]), ({"dropout_linear": 0.1}, [0.5, 0.1]), ({"dropout_linear": 0.0}, [0.5, 0])],
)
def test_each_network_drops_its_outputs_at_its_own_rate(arguments, rates):
    tower = built(exponential_layers=1, linear_layers=1, batch_norm=False, dropout=0.5, **arguments)
    x = tower._by_head(tf.constant(x0(500, WIDTH)))
    for [layer], rate in zip(tower.networks.values(), rates, strict=True):
        one, again, other = (layer(x, x, step, training=True).numpy() for step in (0, 0, 1))
        np.testing.assert_array_equal(one, again)
        assert (one == 0).mean() == pytest.approx(rate, abs=0.03)
        assert (one != other).any() == (rate > 0)
        assert (layer(x, x, 0).numpy() != 0).all()


@pytest.mark.medium
def test_mixed_precision_computes_in_bfloat16_close_to_float32(mixed_bfloat16):
    mixed = built()
    tf_keras.mixed_precision.set_global_policy("float32")
    full = built()
    rough, fine = (logit_of(tower(tf.constant(x0(width=WIDTH)), 0)) for tower in (mixed, full))
    assert {v.dtype for v in (rough, *mixed.variables)} == {tf.float32}
    np.testing.assert_allclose(rough, fine, atol=0.1 * np.abs(fine).max())
    assert (rough.numpy() != fine.numpy()).any()


def test_one_graph_serves_batches_of_every_size():
    tower = built(heads=2)
    graph = tf.function(lambda x: tower(x, 0).logit, input_signature=[tf.TensorSpec([None, WIDTH])], autograph=False)
    for size in (0, 1, 7):
        x = x0(size, WIDTH)
        np.testing.assert_allclose(graph(x), tower(tf.constant(x), 0).logit, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"exponential_layers": 0, "linear_layers": 0},
            "exponential_layers and linear_layers must be at least 0, and one of them above 0. Received: 0 and 0",
        ),
        ({"linear_layers": -1}, "must be at least 0, and one of them above 0. Received: 2 and -1"),
        ({"exponential_layers": 10**6}, "exponential_layers must be at most 100. Received: 1000000"),
        ({"linear_layers": 101}, "linear_layers must be at most 100. Received: 101"),
        ({"heads": 0}, "heads must be at least 1. Received: 0"),
        ({"heads": 10**6}, "heads must be at most 65536. Received: 1000000"),
        ({"heads": 4}, r"halves each embedding in each head. Set `dim` to a multiple of 2 \* heads = 8. Received: 4"),
        ({"dropout": 1.0}, r"^dropout must be .* Received: 1.0"),
        ({"dropout_linear": 1.0}, r"^dropout_linear must be .* Received: 1.0"),
        ({"inputs": replace(TWO_WIDTHS, plain=())}, "fcn needs at least two embeddings.* user 4, item 2, seller 4"),
        ({"inputs": replace(NO_FIELDS, plain=())}, "fcn needs at least two embeddings.* Received: none"),
    ],
    ids=lambda value: str({k: v for k, v in value.items() if k != "inputs"}) if isinstance(value, dict) else "",
)
def test_refused_are(arguments, message):
    with pytest.raises(ValueError, match=message):
        built(**arguments)
