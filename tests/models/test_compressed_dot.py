"""CompressedDot multiplies fields with compressed vectors of all fields or of groups, fixed or adapted to each row."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import tensorflow as tf

from models import CTRModel, Field, Inputs, PathInitializer, Table
from models.compressed_dot import CompressedDot, FeatureCompression
from optimizers import RMSPropV2, Router, adam
from tests.reference import compressed_dot as reference

USERS, ITEMS, HOURS, WIDTH = 43, 31, 27, 3
INPUTS = Inputs(
    tables=(Table("user", USERS, WIDTH), Table("item", ITEMS, WIDTH), Table("hour", HOURS, WIDTH), Table("one", 9, 1)),
    fields=(
        Field("user", "user", column=0),
        Field("item", "item", column=1),
        Field("bias", "one", column=0, branch="wide"),  # of another branch, so its width does not matter
        Field("history", "item", sequence="history", pooling="mean"),
        Field("hour", "hour", column=2),
        Field("price", "hour", column=3, scale=1),
    ),
    numerics=("age", "price"),
    plain=(0,),
)
FIELDS = ["user", "item", "history", "hour", "price"]
TWO_GROUPS = (("hour", "user"), ("item", "price", "history"))
PLACES = {None: [[0, 1, 2, 3, 4]], TWO_GROUPS: [[0, 3], [1, 2, 4]]}
KINDS = {
    "plain": {},
    "instance-wise": {"compress_hidden": (5,)},
    "grouped": {"groups": TWO_GROUPS},
    "grouped, instance-wise": {"groups": TWO_GROUPS, "compress_hidden": (5, 4)},
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
every_structure = pytest.mark.parametrize("structure", ["stacked", "parallel"])


def random_of(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def x0(size=4, more=0):
    """Return the vectors of the fields, the plain numeric, and `more` columns that another tower appended."""
    return random_of(size, len(FIELDS) * WIDTH + 1 + more)


def built(inputs=INPUTS, more=0, **arguments):
    """Return a built tower."""
    tower = CompressedDot(**{"compressed": 2, "hidden": (6, 5), **arguments})
    tower.connect(inputs)
    tower(tf.constant(x0(more=more)), 0)
    return tower


def compression(groups, compressed=2, hidden=(), seed=0):
    return FeatureCompression(groups, compressed, hidden, "glorot_uniform", seed)


def randomize(layer):
    """Assign random values to every variable, positive ones to variances."""
    random = np.random.default_rng(1)
    for variable in layer.variables:
        values = random.normal(size=variable.shape)
        variable.assign(np.abs(values) + 0.1 if "variance" in variable.name else values)


def variables_of(tower):
    """Return the tower's variables in the form that the reference takes."""
    deep = [
        {
            "kernel": dense.kernel,
            "bias": dense.bias if dense.use_bias else None,
            "norm": None if norm is None else [norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance],
        }
        for dense, norm, *_ in tower.deep.blocks
    ]
    return {
        "matrices": list(tower.compression.matrices),
        "adaptation": [(dense.kernel, dense.bias) for dense in tower.compression.adaptation],
        "deep": deep,
        "head": (tower.head.kernel, tower.head.bias),
    }


def weights_of(tower):
    """Return `variables_of` as float64 arrays."""
    return tf.nest.map_structure(lambda v: None if v is None else v.numpy().astype(np.float64), variables_of(tower))


def expected_logits(tower, x, kind, structure, weights=None):
    places = PLACES[kind.get("groups")]
    weights = weights_of(tower) if weights is None else weights
    return reference.compressed_dot(x.astype(np.float64), (len(FIELDS), WIDTH), places, structure, weights)


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


def assert_same_bits(left, right):
    assert [np.asarray(one).tobytes() for one in left] == [np.asarray(one).tobytes() for one in right]


# The logit


@pytest.mark.parametrize("hidden", [(), (6,), (6, 4)], ids=["plain", "one hidden layer", "two hidden layers"])
@pytest.mark.parametrize(
    "groups", [[[0, 1, 2, 3]], [[0, 2], [1, 3]], [[1], [0, 2, 3]]], ids=["one group", "even groups", "uneven groups"]
)
def test_the_compression_follows_the_float64_reference(groups, hidden):
    layer, x = compression(groups, hidden=hidden), random_of(5, 4, WIDTH)
    layer(x)
    randomize(layer)

    output = layer(x).numpy()

    matrices = [matrix.numpy() for matrix in layer.matrices]
    adaptation = [(dense.kernel.numpy(), dense.bias.numpy()) for dense in layer.adaptation]
    assert output.shape == (5, (4 + WIDTH) * 2 * len(groups))
    assert_close(output, reference.feature_compression(x, groups, matrices, adaptation))


@pytest.mark.parametrize("batch_norm", [True, False], ids=["batch norm", "no batch norm"])
@every_structure
@every_kind
def test_logits_follow_the_float64_reference(kind, structure, batch_norm):
    tower = built(structure=structure, batch_norm=batch_norm, dropout=0.5, **kind)
    randomize(tower)

    logits = tower(tf.constant(x0()), 0).numpy()

    assert_close(logits, expected_logits(tower, x0(), kind, structure))


def test_a_compression_by_hand():
    layer = compression([[0, 1]], compressed=1)
    layer(tf.zeros([1, 2, 2]))
    layer.matrices[0].assign([[10.0], [1.0]])

    output = layer(tf.constant([[[1.0, 2.0], [3.0, 4.0]]]))

    # y = 10 [1, 2] + [3, 4] = [13, 24]; the dots are 13 + 2 * 24 and 3 * 13 + 4 * 24
    assert output.numpy().tolist() == [[61.0, 135.0, 13.0, 24.0]]


def test_an_adaptive_compression_by_hand():
    layer = compression([[0, 1]], compressed=1, hidden=(1,))
    layer(tf.zeros([1, 2, 2]))
    layer.matrices[0].assign([[10.0], [1.0]])
    for dense, kernel, bias in zip(layer.adaptation, ([[1.0], [-1.0]], [[3.0, -2.0]]), ([12.0], [0, 0]), strict=True):
        dense.kernel.assign(kernel)
        dense.bias.assign(bias)

    output = layer(tf.constant([[[1.0, 2.0], [3.0, 4.0]]]))

    # relu(13 - 24 + 12) = 1; the last layer, which has no relu, makes y = [3, -2]; the dots are 3 - 4 and 9 - 8
    assert output.numpy().tolist() == [[-1.0, 1.0, 3.0, -2.0]]


@pytest.mark.medium
@every_structure
@every_kind
def test_gradients_of_all_weights_and_of_the_input_follow_finite_differences_of_the_reference(kind, structure):
    tower, h = built(structure=structure, batch_norm=False, **kind), 1e-6
    randomize(tower)
    weights, point = weights_of(tower), x0(2).astype(np.float64)
    variables = [v for v in tf.nest.flatten(variables_of(tower)) if v is not None]
    arrays = [array for array in tf.nest.flatten(weights) if array is not None]

    x = tf.constant(x0(2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(tower(x, 0) * [1.0, -0.5])
    gradients = tape.gradient(total, [*variables, x])

    assert len(variables) == len(tower.trainable_variables)
    for array, gradient in zip([*arrays, point], gradients, strict=True):
        slopes = np.zeros(array.shape)
        for place in np.ndindex(array.shape):
            ends = []
            for step in (h, -2 * h):
                array[place] += step
                ends.append(expected_logits(tower, point, kind, structure, weights) @ [1.0, -0.5])
            array[place] += h
            slopes[place] = (ends[0] - ends[1]) / (2 * h)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-3, atol=1e-4 * max(1.0, np.abs(slopes).max()))


# Consequences of the formula


def dots_of(layer, x):
    """Return the dots [batch, n, columns]."""
    fields = x.shape[1]
    columns = layer.compressed * len(layer.groups)
    return layer(x).numpy()[:, : fields * columns].reshape(-1, fields, columns)


def test_with_the_identity_as_matrix_the_dots_are_those_of_all_pairs_of_fields():
    layer, x = compression([[0, 1, 2, 3]], compressed=4), random_of(5, 4, WIDTH)
    layer(x)
    layer.matrices[0].assign(np.eye(4))

    dots = dots_of(layer, x)

    np.testing.assert_allclose(dots, x @ x.transpose(0, 2, 1), rtol=1e-5, atol=1e-6)


@every_structure
@pytest.mark.parametrize("hidden", [(), (5,)], ids=["plain", "instance-wise"])
def test_one_group_of_all_fields_is_no_group(structure, hidden):
    arguments = {"structure": structure, "compress_hidden": hidden, "seed": 3}

    one, other = built(groups=(tuple(FIELDS),), **arguments), built(groups=None, **arguments)

    assert_same_bits(one.variables, other.variables)
    assert_same_bits([one(x0(), 0)], [other(x0(), 0)])


def test_the_order_of_names_in_a_group_does_not_matter():
    one, other = (built(groups=groups) for groups in (TWO_GROUPS, tuple(group[::-1] for group in TWO_GROUPS)))

    assert_same_bits(one.variables, other.variables)
    assert_same_bits([one(x0(), 0)], [other(x0(), 0)])


def test_a_group_is_compressed_from_its_own_fields_and_meets_all():
    layer, x = compression([[0, 2], [1, 3]]), random_of(5, 4, WIDTH)
    changed = x.copy()
    changed[:, 3] += 1.0

    moved = dots_of(layer, changed) != dots_of(layer, x)

    # by field; the columns are two of the first group, then two of the second
    np.testing.assert_array_equal(moved[:, :3], np.broadcast_to([False, False, True, True], (5, 3, 4)))
    assert moved[:, 3].all()


@pytest.mark.parametrize("hidden", [(), (6,)], ids=["plain", "instance-wise"])
def test_a_field_whose_vector_is_zero_has_zeros_as_dots(hidden):
    layer, x = compression([[0, 1, 2, 3]], hidden=hidden), random_of(5, 4, WIDTH)
    x[:, 2] = 0

    dots = dots_of(layer, x)

    np.testing.assert_array_equal(dots[:, 2], 0)
    assert (dots[:, [0, 1, 3]] != 0).all()


@pytest.mark.parametrize("hidden", [(), (6,)], ids=["plain", "instance-wise"])
def test_fields_and_rows_of_the_matrix_in_another_order_give_the_dots_in_that_order(hidden):
    layer, x, order = compression([[0, 1, 2, 3]], hidden=hidden), random_of(5, 4, WIDTH), [2, 0, 3, 1]
    dots, compressed = dots_of(layer, x), layer(x).numpy()[:, 4 * 2 :]

    layer.matrices[0].assign(layer.matrices[0].numpy()[order])

    np.testing.assert_allclose(dots_of(layer, x[:, order]), dots[:, order], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(layer(x[:, order]).numpy()[:, 4 * 2 :], compressed, rtol=1e-5, atol=1e-6)


def test_without_adaptation_the_dots_are_quadratic_in_the_vectors():
    layer, x = compression([[0, 2], [1, 3]]), random_of(5, 4, WIDTH)

    np.testing.assert_allclose(dots_of(layer, 2 * x), 4 * dots_of(layer, x), rtol=1e-5)


def test_no_tensor_holds_all_pairs_of_fields():
    layer = compression([range(11)])
    graph = tf.function(layer).get_concrete_function(tf.TensorSpec([None, 11, WIDTH])).graph

    shapes = [tuple(output.shape) for op in graph.get_operations() for output in op.outputs if output.shape.rank]

    assert (None, 11, 2) in shapes
    assert not [shape for shape in shapes if shape.count(11) > 1 or 11 * 11 in shape]


# The part of x_0 that it reads


@every_structure
@every_kind
def test_columns_behind_the_vectors_go_on_to_deep(kind, structure):
    tower = built(structure=structure, more=4, **kind)
    randomize(tower)

    logits = tower(tf.constant(x0(more=4)), 0).numpy()

    assert_close(logits, expected_logits(tower, x0(more=4), kind, structure))


@every_kind
def test_columns_behind_the_vectors_never_reach_the_compression(kind):
    tower = built(structure="parallel", more=4, **kind)
    head = tower.head.kernel.numpy()
    head[-5:] = 0  # the weights of `deep`; the remaining logit is that of the compression
    tower.head.kernel.assign(head)
    changed = x0(more=4)
    changed[:, len(FIELDS) * WIDTH :] += 100

    np.testing.assert_array_equal(tower(changed, 0), tower(x0(more=4), 0))


def rows_of(size=7, seed=0):
    """Return rows whose label depends on whether user and item have the same parity."""
    random = np.random.default_rng(seed)
    ids = np.stack([random.integers(3, rows, size) for rows in (9, ITEMS, HOURS, HOURS)], axis=1)
    lengths = random.integers(0, 4, size)
    history = random.integers(3, ITEMS, [size, 3]) * (np.arange(3) < lengths[:, None])
    return {
        "ids": ids.astype(np.int32),
        "numerics": random.normal(size=[size, 2]).astype(np.float32),
        "sequences/history": history.astype(np.int32),
        "lengths/history": lengths.astype(np.int32),
        "label": ((ids[:, 0] + ids[:, 1]) % 2).astype(np.float32),
        "weight": np.ones(size, np.float32),
    }


def tensors(rows):
    return {key: tf.constant(value) for key, value in rows.items()}


PURE = replace(INPUTS, fields=tuple(one for one in INPUTS.fields if one.branch == "deep"), tables=INPUTS.tables[:3])


def model_of(**arguments):
    return CTRModel(PURE, CompressedDot(**{"compressed": 2, "hidden": (6, 5), "seed": 1, **arguments}), 0.3, 1)


@every_structure
@every_kind
@pytest.mark.medium
def test_in_a_model_the_vectors_are_those_of_the_fields_in_declared_order(kind, structure):
    model, rows = model_of(structure=structure, **kind), rows_of(20)
    randomize(model.tower)
    user, item, hour = (np.concatenate(list(model.tables.table_blocks(name))) for name in ("user", "item", "hour"))
    histories = [
        item[ids[:length]].mean(axis=0) if length else np.zeros(WIDTH)
        for ids, length in zip(rows["sequences/history"], rows["lengths/history"], strict=True)
    ]
    ids, numerics = rows["ids"], rows["numerics"]
    scaled = hour[ids[:, 3]] * numerics[:, 1:]
    x = np.hstack([user[ids[:, 0]], item[ids[:, 1]], histories, hour[ids[:, 2]], scaled, numerics[:, :1]])

    assert_close(model(tensors(rows)).numpy(), expected_logits(model.tower, x, kind, structure))


def test_extend_adds_nothing():
    assert CompressedDot().extend(INPUTS) is INPUTS


def test_what_other_inputs_would_be_extended_to_leaves_no_trace():
    tower = CompressedDot(compressed=2, hidden=(6, 5))
    tower.extend(replace(PURE, fields=PURE.fields[:2]))
    tower.connect(tower.extend(PURE))
    tower(tf.constant(x0()), 0)

    assert_same_bits(tower.variables, built().variables)


# Its weights


@every_structure
@every_kind
def test_towers_are_named_and_hold_each_variable_once(kind, structure):
    tower = built(structure=structure, **kind)

    named = {name: [id(v) for layer in layers for v in layer.variables] for name, layers in tower.blocks.items()}

    assert list(named) == ["compression", "deep", "head"]
    assert sorted(chain(*named.values())) == sorted(id(v) for v in tower.variables)
    assert all(named.values())


@every_structure
@every_kind
@pytest.mark.medium
def test_a_seed_gives_the_same_weights_each_time_and_another_seed_others(kind, structure):
    one, again, other = (built(structure=structure, seed=seed, **kind) for seed in (1, 1, 2))

    assert_same_bits(one.variables, again.variables)
    kernels = [(a, b) for a, b in zip(one.variables, other.variables, strict=True) if "kernel" in a.name]
    matrices = list(zip(one.compression.matrices, other.compression.matrices, strict=True))
    assert all((a.numpy() != b.numpy()).all() for a, b in (*kernels, *matrices))


def test_matrices_start_as_a_function_of_seed_and_path():
    [matrix] = built(seed=7).compression.matrices

    assert_same_bits([matrix], [PathInitializer("glorot_uniform", 7, "compression/0")([len(FIELDS), 2])])


def test_matrices_of_one_shape_start_unlike():
    layer = compression([range(40), range(40, 80)], compressed=40)
    layer(tf.zeros([1, 80, WIDTH]))

    one, other = (matrix.numpy().ravel() for matrix in layer.matrices)

    assert abs(np.corrcoef(one, other)[0, 1]) < 0.1


@pytest.mark.parametrize(
    "other",
    [{"compress_hidden": (5,)}, {"structure": "parallel"}, {"hidden": (9, 9, 9)}, {"dropout": 0.5}],
    ids=lambda other: next(iter(other)),
)
def test_the_matrix_does_not_depend_on_other_parts(other):
    assert_same_bits(built().compression.matrices, built(**other).compression.matrices)


# Training


def fitted(**arguments):
    model = model_of(**arguments)
    model.compile(optimizer=Router({"*": RMSPropV2(0.1)}, {"*": adam(0.02)}, model.logical_variables))
    data = tf.data.Dataset.from_tensor_slices(rows_of(1024)).batch(64)
    return model, model.fit(data, epochs=6, verbose=0).history["loss"]


@pytest.mark.medium
def test_every_weight_of_a_model_moves_in_one_step():
    for kind in KINDS.values():
        model = model_of(**kind)
        model.compile(optimizer=Router({"*": RMSPropV2(0.05)}, {"*": adam(0.01)}, model.logical_variables))
        before = [variable.numpy() for variable in model.trainable_variables]

        model.train_step(tensors(rows_of(64)))

        moved = [(v.numpy() != old).any() for v, old in zip(model.trainable_variables, before, strict=True)]
        assert all(moved)


@pytest.mark.medium
@pytest.mark.slow
def test_fit_decreases_the_loss_below_that_of_a_constant():
    model, losses = fitted(**KINDS["instance-wise"])

    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.5 < np.log(2)
    towers = {names[0] for kind, names in model.logical_variables if kind == "tower"}
    assert towers == {"compression", "deep", "head"}


@pytest.mark.slow
def test_mixed_precision_trains(mixed_bfloat16):
    _, losses = fitted(dropout=0.1, **KINDS["grouped"])

    assert losses[-1] < losses[0]


def test_training_has_dropout_that_changes_with_the_step():
    tower = built(dropout=0.5)

    logits = [tower(tf.constant(x0()), step, training=True).numpy() for step in (0, 0, 1)]

    np.testing.assert_array_equal(logits[0], logits[1])
    assert (logits[0] != logits[2]).any()


# Batches and precision


@every_structure
@every_kind
def test_a_batch_of_one_has_the_logit_that_it_has_among_others(kind, structure):
    tower = built(structure=structure, **kind)

    alone = [tower(x0()[row : row + 1], 0) for row in range(4)]

    assert all(logit.shape == [1] for logit in alone)
    assert_close(np.concatenate(alone), tower(x0(), 0).numpy())


@pytest.mark.medium
@every_structure
@every_kind
def test_a_graph_takes_batches_of_any_size(kind, structure):
    tower = built(structure=structure, **kind)
    graph = tf.function(lambda x: tower(x, 0), input_signature=[tf.TensorSpec([None, x0().shape[1]])])

    assert_close(graph(x0()).numpy(), tower(x0(), 0).numpy())
    assert_close(graph(x0()[:1]).numpy(), tower(x0()[:1], 0).numpy())


@every_structure
@every_kind
def test_mixed_precision_is_close_to_float32(mixed_bfloat16, kind, structure):
    tower = built(structure=structure, batch_norm=False, **kind)

    logits = tower(tf.constant(x0()), 0)

    expected = expected_logits(tower, x0(), kind, structure)
    assert logits.dtype == tf.float32
    assert np.abs(logits - expected).max() < 0.05 * max(1.0, np.abs(expected).max())
    assert {variable.dtype for variable in tower.variables} == {tf.float32}


@every_kind
def test_in_mixed_precision_every_product_of_the_compression_is_in_bfloat16(mixed_bfloat16, kind):
    tower = built(**kind)
    spec = tf.TensorSpec([None, len(FIELDS), WIDTH])
    graph = tf.function(tower.compression).get_concrete_function(spec).graph

    products = [op.outputs[0] for op in graph.get_operations() if "MatMul" in op.type]

    groups, layers = len(tower.compression.matrices), len(tower.compression.adaptation)
    assert [product.dtype for product in products] == [tf.bfloat16] * (groups + layers + 1)


# Rejected arguments


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"structure": "paralel"}, "structure must be one of stacked, parallel. Received: 'paralel'"),
        ({"compressed": 0}, "must be at least 1. Received: compressed=0"),
        ({"compress_hidden": (4, 0)}, r"must be at least 1. Received: .*compress_hidden=\[4, 0\]"),
        ({"hidden": (8, 0)}, r"hidden must be .*Received: \[8, 0\]"),
        ({"dropout": 1.0}, "dropout .*Received: 1.0"),
        ({"groups": (("user",), ())}, r"groups must not contain an empty group. Received: \[\['user'\], \[\]\]"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_refused_are(arguments, message):
    with pytest.raises(ValueError, match=message):
        CompressedDot(**arguments)


KNOWN = "known: user, item, history, hour, price$"


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ((("user", "item"), ("history", "hour")), f"once. missing: price; {KNOWN}"),
        ((), f"once. missing: user, item, history, hour, price; {KNOWN}"),
        ((tuple(FIELDS), ("bias", "age")), f"once. unknown: bias, age; {KNOWN}"),
        ((tuple(FIELDS), ("hour", "user")), f"once. repeated: user, hour; {KNOWN}"),
        ((("item", *FIELDS),), f"once. repeated: item; {KNOWN}"),
        ((("user", "items", "user"),), f"missing: item, history, hour, price; unknown: items; repeated: user; {KNOWN}"),
    ],
    ids=["missing", "none", "unknown", "in two groups", "twice in a group", "all at once"],
)
def test_groups_that_do_not_name_each_field_once_are_refused(groups, message):
    with pytest.raises(ValueError, match=f"groups must name each field.*{message}"):
        CompressedDot(groups=groups).connect(INPUTS)


@pytest.mark.parametrize(
    ("fields", "received"),
    [
        ((*INPUTS.fields[:2], Field("bias", "one", column=0)), "user 3, item 3, bias 1"),
        (INPUTS.fields[:1], "user 3"),
        (INPUTS.fields[2:3], "none"),
    ],
    ids=["two widths", "one field", "no field of x_0"],
)
def test_fields_that_cannot_meet_are_refused(fields, received):
    message = r"compressed_dot needs at least two embeddings, all of one width\. Set their `dim`\. Received: "
    with pytest.raises(ValueError, match=f"{message}{received}$"):
        CompressedDot().connect(replace(INPUTS, fields=fields))
