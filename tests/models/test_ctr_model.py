"""A model joins tables and a tower under one loss, is complete once constructed, and trains by `compile` and `fit`."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from models import AUC, CAN, DCNV2, Category, CTRModel, Field, Inputs, Table, Tower
from models.blocks import logit_head
from optimizers import RMSPropV2, Router, adam

USERS, ITEMS, HOURS = 601, 402, 27  # sizes that no other dimension of a batch has
INPUTS = Inputs(
    tables=(Table("user", USERS, 4), Table("item", ITEMS, 4), Table("hour", HOURS, 2)),
    fields=(
        Field("user", "user", column=0),
        Field("hour", "hour", column=1),
        Field("history", "item", sequence="history", pooling="mean"),
    ),
    numerics=(),
    plain=(),
)
NUMERICS = {
    "no numerics": INPUTS,
    "plain numerics": Inputs(INPUTS.tables, INPUTS.fields, ("age", "price"), (1, 0)),
    "scaled numerics": Inputs(
        INPUTS.tables, (*INPUTS.fields, Field("price", "hour", column=1, scale=1)), ("age", "price"), ()
    ),
}
MIXED = dict.fromkeys(("no numerics", "plain numerics"), pytest.mark.slow)  # scaled ones pass through all layers


def model_of(inputs=INPUTS, grouping=None, **tower):
    return CTRModel(inputs, DCNV2(**{"hidden": [8], "cross_layers": 1, **tower}), seed=1, grouping=grouping)


def rows_of(size, inputs=INPUTS, seed=0, users=USERS):
    """Return rows whose label is the parity of the user's id."""
    random = np.random.default_rng(seed)
    ids = np.stack([random.integers(3, users, size), random.integers(3, HOURS, size)], axis=1)
    lengths = random.integers(0, 4, size)
    return {
        "ids": ids.astype(np.int32),
        "numerics": random.normal(size=[size, len(inputs.numerics)]).astype(np.float32),
        "sequences/history": (random.integers(3, ITEMS, [size, 3]) * (np.arange(3) < lengths[:, None])).astype(
            np.int32
        ),
        "lengths/history": lengths.astype(np.int32),
        "label": (ids[:, 0] % 2).astype(np.float32),
        "weight": random.uniform(0, 2, size).astype(np.float32),
    }


def dataset(rows, batch_size):
    return tf.data.Dataset.from_tensor_slices(rows).batch(batch_size)


def tensors(rows):
    return {key: tf.constant(value) for key, value in rows.items()}


def router(model):
    return Router({"*": RMSPropV2(0.05)}, {"*": adam(0.01)}, model.logical_variables)


def compiled(model, optimizer=None):
    model.compile(optimizer=router(model) if optimizer is None else optimizer)
    return model


def weighted_mean_loss(logit, label, weight):
    """Return the weighted mean of binary cross-entropy in nats, in float64."""
    logit, label, weight = (np.asarray(x, np.float64) for x in (logit, label, weight))
    losses = label * np.logaddexp(0, -logit) + (1 - label) * np.logaddexp(0, logit)
    return (losses * weight).sum() / weight.sum()


def assert_same_bits(left, right):
    assert [np.asarray(one).tobytes() for one in left] == [np.asarray(one).tobytes() for one in right]


@pytest.fixture(scope="module")
def shared_model():
    """Return a model that tests share and do not train."""
    return model_of(NUMERICS["plain numerics"])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data(), size=st.integers(1, 6), shift=st.sampled_from([0.0, 30.0, -300.0]))
def test_the_loss_is_the_weighted_mean_of_the_binary_cross_entropy(shared_model, data, size, shift):
    rows = rows_of(size, NUMERICS["plain numerics"])
    rows["label"] = np.array(data.draw(st.lists(st.sampled_from([0, 1]), min_size=size, max_size=size)), np.float32)
    weights = st.lists(st.sampled_from([0, 0.5, 1, 10]), min_size=size, max_size=size).filter(any)
    rows["weight"] = np.array(data.draw(weights), np.float32)
    shared_model.tower.head.bias.assign([shift])
    logit = shared_model(tensors(rows)).numpy()

    loss = float(shared_model.compute_loss(tensors(rows)))

    assert loss == pytest.approx(weighted_mean_loss(logit, rows["label"], rows["weight"]), rel=1e-5, abs=1e-7)


def test_a_batch_without_weight_has_loss_0_and_gradient_0():
    model, rows = model_of(), rows_of(4)
    rows["weight"][:] = 0

    with tf.GradientTape() as tape:
        loss = model.compute_loss(tensors(rows), training=True)
    gradients = tape.gradient(loss, model.trainable_variables)

    assert float(loss) == 0
    for gradient in gradients:
        np.testing.assert_array_equal(tf.convert_to_tensor(gradient), 0)


@pytest.mark.medium
def test_all_variables_exist_after_construction():
    model = model_of(structure="stacked_parallel")
    before = [id(variable) for variable in model.variables]

    compiled(model).fit(dataset(rows_of(8), 4), verbose=0)

    assert [id(variable) for variable in model.variables] == before


@pytest.mark.parametrize("structure", ["stacked", "parallel", "stacked_parallel", "cross_only"])
def test_logical_variables_line_up_with_the_trainable_variables(structure):
    model = model_of(structure=structure)

    described = list(zip(model.logical_variables, model.trainable_variables, strict=True))

    tables = [(names, tuple(variable.shape)) for (kind, names), variable in described if kind == "table"]
    assert tables == [(["user", "item"], (USERS + ITEMS, 4)), (["hour"], (HOURS, 2))]
    for (kind, names), variable in described:
        if kind == "tower":
            [name] = names
            assert f"/{name}" in variable.name


def test_a_grouping_keeps_tables_apart():
    model = model_of(grouping={"user": "a", "item": "b", "hour": "a"})

    tables = [names for kind, names in model.logical_variables if kind == "table"]

    assert tables == [["user"], ["item"], ["hour"]]


def test_a_grouping_changes_no_bit_of_the_logits():
    apart = {"user": "a", "item": "b", "hour": "a"}

    logits = [model_of(grouping=grouping)(tensors(rows_of(20))).numpy() for grouping in (None, apart)]

    np.testing.assert_array_equal(*logits)


def test_a_logit_does_not_depend_on_the_other_rows_of_its_batch():
    model, rows = model_of(), tensors(rows_of(20))

    together = model(rows).numpy()

    alone = [model({key: value[row : row + 1] for key, value in rows.items()}).numpy() for row in range(20)]
    np.testing.assert_allclose(np.concatenate(alone), together, rtol=1e-5, atol=1e-6)


@pytest.mark.medium
def test_a_batch_of_one_row_trains():
    model = compiled(model_of())

    [loss] = model.fit(dataset(rows_of(1), 1), verbose=0).history["loss"]

    assert np.isfinite(loss)
    assert all(np.isfinite(variable).all() for variable in model.variables)
    assert model(tensors(rows_of(1))).shape == [1]


@pytest.mark.medium
def test_fit_decreases_the_loss_below_that_of_a_constant():
    model = compiled(model_of())

    losses = model.fit(dataset(rows_of(512, users=30), 64), epochs=6, verbose=0).history["loss"]

    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.5 < np.log(2)


@pytest.mark.medium
def test_fit_and_evaluate_report_the_weighted_mean_over_all_rows():
    model, rows = model_of(batch_norm=False), rows_of(10)
    model.compile(optimizer=tf_keras.optimizers.SGD(0.0))
    expected = weighted_mean_loss(model(tensors(rows)), rows["label"], rows["weight"])

    [fitted] = model.fit(dataset(rows, 4), verbose=0).history["loss"]
    evaluated = model.evaluate(dataset(rows, 4), verbose=0)

    assert fitted == pytest.approx(expected, rel=1e-6)
    assert evaluated == pytest.approx(expected, rel=1e-6)


def batches_of(sizes):
    """Return a dataset of batches of these sizes, whose length is unknown beforehand."""
    rows = tensors(rows_of(10))
    signature = {key: tf.TensorSpec([None, *value.shape[1:]], value.dtype) for key, value in rows.items()}

    def batches():
        for size in sizes:
            yield {key: value[:size] for key, value in rows.items()}

    return tf.data.Dataset.from_generator(batches, output_signature=signature)


@pytest.mark.medium
def test_the_train_function_is_traced_once_for_batches_of_any_size():
    model = compiled(model_of())
    model.optimizer.build(model.trainable_variables)  # otherwise TensorFlow traces once more to create the state

    model.fit(batches_of([4, 3, 2, 1]), epochs=2, verbose=0)

    assert model.train_tf_function.experimental_get_tracing_count() == 1


@pytest.mark.medium
@pytest.mark.parametrize(
    "batches",
    [
        pytest.param(
            batches_of([4, 3]).apply(tf.data.experimental.assert_cardinality(2)), id="known", marks=pytest.mark.slow
        ),
        pytest.param(batches_of([4, 3]), id="unknown"),
    ],
)
def test_the_step_counts_batches_where_the_length_of_the_data_is(batches):
    model = compiled(model_of())

    model.fit(batches, epochs=3, verbose=0)

    assert int(model.step) == 6


def test_dropout_follows_the_step_of_the_model():
    model, rows = model_of(dropout=0.5, batch_norm=False, hidden=[50]), tensors(rows_of(20))

    def logits(step):
        model.step.assign(step)
        return model(rows, training=True).numpy()

    np.testing.assert_array_equal(logits(3), logits(3))
    assert (logits(3) != logits(4)).any()


def logical_table(model, name):
    return np.concatenate(list(model.tables.table_blocks(name)))


@pytest.mark.medium
def test_training_moves_only_the_rows_of_the_batch():
    model, rows = compiled(model_of()), rows_of(16)
    before = {name: logical_table(model, name) for name in ("user", "item")}

    model.fit(dataset(rows, 16), verbose=0)

    history = rows["sequences/history"][np.arange(3) < rows["lengths/history"][:, None]]
    for name, ids in (("user", rows["ids"][:, 0]), ("item", history)):
        moved = (logical_table(model, name) != before[name]).any(axis=1)
        assert set(np.flatnonzero(moved)) == set(ids.tolist())


def train_graph(model, inputs):
    specs = {key: tf.TensorSpec([None, *v.shape[1:]], v.dtype) for key, v in rows_of(1, inputs).items()}
    return tf.function(model.train_step).get_concrete_function(specs).graph


def assert_no_whole_table(graph, model):
    sizes = {USERS + ITEMS, HOURS}
    handles = [inner for outer, inner in graph.captures if any(outer is v.handle for v in model.tables.variables)]
    assert len(handles) == 2
    for handle in handles:
        taken_by = {op.type for op in handle.consumers()}
        assert taken_by <= {"ResourceGather", "ResourceScatterUpdate", "VariableShape"}
    outputs = [output for op in graph.get_operations() for output in op.outputs]
    assert not [output for output in outputs if output.shape.rank and output.shape[0] in sizes]


@pytest.mark.medium
def test_the_graph_of_a_training_step_reads_no_whole_table():
    model = compiled(model_of(NUMERICS["plain numerics"]))

    assert_no_whole_table(train_graph(model, NUMERICS["plain numerics"]), model)


@pytest.mark.medium
def test_nor_does_it_in_mixed_precision(mixed_bfloat16):
    model = compiled(model_of())

    assert_no_whole_table(train_graph(model, INPUTS), model)


@pytest.mark.medium
@pytest.mark.parametrize(
    "inputs", [pytest.param(inputs, id=name, marks=MIXED.get(name, ())) for name, inputs in NUMERICS.items()]
)
def test_mixed_precision_trains_with_float32_logits_tables_and_weights(mixed_bfloat16, inputs):
    model = compiled(model_of(inputs, dropout=0.1))

    losses = model.fit(dataset(rows_of(256, inputs, users=30), 32), epochs=5, verbose=0).history["loss"]

    assert losses[-1] < losses[0]
    assert model(tensors(rows_of(4, inputs))).dtype == tf.float32
    assert {v.dtype for v in model.trainable_variables} == {tf.float32}
    assert model.tower.cross[0].compute_dtype == "bfloat16"


@pytest.mark.medium
def test_in_mixed_precision_every_product_of_the_towers_but_the_logit_is_in_bfloat16(mixed_bfloat16):
    graph = train_graph(compiled(model_of()), INPUTS)

    products = [op.outputs[0] for op in graph.get_operations() if op.type == "MatMul"]

    in_float32 = [product for product in products if product.dtype == tf.float32]
    assert len(in_float32) == 3  # the head: forward, and backward to its input and to its kernel
    assert {product.dtype for product in products} == {tf.float32, tf.bfloat16}


def test_mixed_precision_starts_with_the_weights_of_float32(mixed_bfloat16):
    mixed = model_of()
    tf_keras.mixed_precision.set_global_policy("float32")

    assert_same_bits(mixed.variables, model_of().variables)


@pytest.mark.slow
def test_the_same_training_twice_gives_the_same_bits():
    models = [compiled(model_of(dropout=0.3)) for _ in range(2)]

    for model in models:
        model.fit(dataset(rows_of(64), 16), verbose=0)

    assert_same_bits(*(model.variables for model in models))


@pytest.mark.medium
@pytest.mark.slow
def test_a_restored_run_continues_bit_for_bit_with_dropout(tmp_path):
    batches = dataset(rows_of(96), 16)
    straight = compiled(model_of(dropout=0.3))
    straight.fit(batches, verbose=0)
    first = compiled(model_of(dropout=0.3))
    first.fit(batches.take(4), verbose=0)
    path = tf.train.Checkpoint(model=first, optimizer=first.optimizer).save(tmp_path / "checkpoint")

    second = compiled(model_of(dropout=0.3))
    for variable in second.variables:
        variable.assign(tf.zeros_like(variable))
    tf.train.Checkpoint(model=second, optimizer=second.optimizer).restore(path)
    second.fit(batches.skip(4), verbose=0)

    assert_same_bits(second.trainable_variables, straight.trainable_variables)


class Headless(Tower):
    """The sum of its inputs."""

    @property
    def blocks(self):
        return {}

    def call(self, x0, step, training=False):
        return tf.reduce_sum(x0, axis=1)


def test_a_tower_without_a_head_starts_at_no_base_rate():
    CTRModel(INPUTS, Headless())
    with pytest.raises(ValueError, match=r"Headless must have a head with a bias to start at a logit of -2\.5"):
        CTRModel(INPUTS, Headless(), base_logit=-2.5)


class TwoHeads(Tower):
    """The mean of two heads on the inputs."""

    def __init__(self, seed=0):
        super().__init__(name="two_heads")
        self.heads = [logit_head("glorot_uniform", seed, path) for path in ("head/0", "head/1")]

    @property
    def blocks(self):
        return {"head": self.heads}

    @property
    def logit_biases(self):
        return [head.bias for head in self.heads]

    def call(self, x0, step, training=False):
        return sum(head(x0)[:, 0] for head in self.heads) / 2


@pytest.mark.parametrize(
    "make", [TwoHeads, lambda: CAN(TwoHeads(), (("user", "hour"),), micro_mlp=(2, 1))], ids=["alone", "below can"]
)
def test_a_tower_with_several_heads_starts_at_the_base_rate(make):
    inputs = replace(INPUTS, categories=(Category("user", 0, USERS, "user"), Category("hour", 1, HOURS, "hour")))
    model = CTRModel(inputs, make(), stddev=0.0, base_logit=-2.5)
    np.testing.assert_allclose(model(tensors(rows_of(5))), np.full(5, -2.5), rtol=1e-6)


def test_heads_of_different_paths_start_differently_and_one_without_a_bias_has_none():
    first, second = TwoHeads().heads
    bare = logit_head("glorot_uniform", 0, "head/0", use_bias=False)
    for head in (first, second, bare):
        head(tf.zeros([1, 3]))
    assert (first.kernel.numpy() != second.kernel.numpy()).all()
    assert_same_bits([first.kernel], bare.weights)


def test_fit_reports_metrics_weighted_by_sample_weights():
    model, rows, valid = model_of(), rows_of(300, users=13), rows_of(200, seed=1, users=13)
    model.compile(optimizer=router(model), metrics=[AUC(), tf_keras.metrics.BinaryAccuracy("accuracy")])
    history = model.fit(dataset(rows, 64), validation_data=dataset(valid, 64), epochs=3, verbose=0).history
    assert list(history) == ["loss", "auc", "accuracy", "val_loss", "val_auc", "val_accuracy"]
    logit = model.predict(dataset(valid, 64), verbose=0)
    expected = roc_auc_score(valid["label"], logit, sample_weight=valid["weight"])
    assert expected > 0.9
    assert history["val_auc"][-1] == pytest.approx(expected, abs=1e-3)
    correct = (logit > 0) == valid["label"]
    assert history["val_accuracy"][-1] == pytest.approx(np.average(correct, weights=valid["weight"]), rel=1e-5)
    assert history["val_loss"][-1] == pytest.approx(
        weighted_mean_loss(logit, valid["label"], valid["weight"]), rel=1e-5
    )
    assert model.evaluate(dataset(valid, 32), verbose=0, return_dict=True) == pytest.approx(
        {name: history[f"val_{name}"][-1] for name in ("loss", "auc", "accuracy")}, rel=1e-5
    )


def test_metrics_do_not_change_the_training():
    weights = []
    for metrics in ([], [AUC()]):
        model = model_of()
        model.compile(optimizer=router(model), metrics=metrics)
        model.fit(dataset(rows_of(300), 64), verbose=0)
        weights.append(model.trainable_variables)
    assert_same_bits(*weights)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metrics": ["AUC"]}, r"compile: metrics must be tf_keras metrics, such as models\.AUC\(\)\. Received: 'AUC'"),
        ({"loss": "mse"}, r"compile: loss has no effect: .* Remove it\."),
        ({"weighted_metrics": [AUC()]}, r"compile: weighted_metrics has no effect"),
    ],
)
def test_arguments_of_compile_without_an_effect_are_errors(shared_model, arguments, message):
    with pytest.raises(ValueError, match=message):
        shared_model.compile(optimizer="sgd", **arguments)


def test_a_batch_without_a_label_has_logits_but_no_loss(shared_model):
    rows = rows_of(4, NUMERICS["plain numerics"])
    unlabelled = {key: value for key, value in rows.items() if key not in ("label", "weight")}
    shared_model.compile(optimizer="sgd")
    np.testing.assert_array_equal(
        shared_model.predict(dataset(unlabelled, 4), verbose=0), shared_model.predict(dataset(rows, 4), verbose=0)
    )
    with pytest.raises(ValueError, match=r"batch: no label, which a loss needs\. Use `predict`"):
        shared_model.evaluate(dataset(unlabelled, 4), verbose=0)
