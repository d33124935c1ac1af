"""Patterns assign an optimizer to each table and tower, which the router updates exactly as that optimizer alone."""

import contextlib
import fnmatch
import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from hypothesis import given, settings
from hypothesis import strategies as st

from optimizers import Adjustable, PatternError, RMSPropV2, Router, adam, resolve
from tests.reference.adam import adam as adam_reference

ROWS, DIM = 20, 4
VARIABLES = [("table", ["user", "item"]), ("table", ["wide/user"]), ("tower", ["deep"]), ("tower", ["head"])]
STEPS = 20


def variables():
    """Return two tables and two towers."""
    random = np.random.default_rng(0)
    shapes = {"fused_0": [ROWS, DIM], "fused_1": [ROWS, 1], "deep/kernel": [DIM, 3], "head/kernel": [3, 1]}
    return [tf.Variable(random.normal(size=s).astype(np.float32), name=name) for name, s in shapes.items()]


def gradients(steps=STEPS):
    """Return, for each step, a gradient of each of `variables`; gradients of tables have duplicates."""
    random = np.random.default_rng(1)

    def sparse(dim):
        rows = random.integers(0, ROWS, 12).astype(np.int32)
        return tf.IndexedSlices(random.normal(size=[12, dim]).astype(np.float32), rows, tf.constant([ROWS, dim]))

    def dense(shape):
        return tf.constant(random.normal(size=shape).astype(np.float32))

    return [(sparse(DIM), sparse(1), dense([DIM, 3]), dense([3, 1])) for _ in range(steps)]


def router(clip_norm=None):
    return Router(
        {"*": RMSPropV2(learning_rate=0.1, beta=0.9, l2_gradient=0.01), "wide/*": RMSPropV2(learning_rate=0.03)},
        {"*": adam(learning_rate=0.02), "head": adam(learning_rate=0.5)},
        VARIABLES,
        clip_norm=clip_norm,
    )


def train(optimizer, variables_, steps):
    for step in steps:
        optimizer.apply_gradients(zip(step, variables_, strict=True))


def trained(optimizer, steps=None):
    """Return the variables after training for some steps."""
    all_variables = variables()
    train(optimizer, all_variables, gradients() if steps is None else steps)
    return [v.numpy() for v in all_variables]


def assert_same_bits(left, right):
    assert [one.tobytes() for one in left] == [one.tobytes() for one in right]


@pytest.mark.parametrize(
    ("patterns", "name", "winner"),
    [
        pytest.param(["*", "user", "use*"], "user", "user", id="an exact name wins over globs"),
        pytest.param(["user", "user*****"], "user", "user", id="an exact name wins over a longer glob"),
        pytest.param(["wide/*", "wide/u*", "*"], "wide/user", "wide/u*", id="the longest wins"),
        pytest.param(["*", "w*"], "wide/user", "w*", id="order does not matter"),
        pytest.param(["*"], "can/a_b/item", "*", id="a star crosses slashes"),
        pytest.param(["*", "?"], "u", "?", id="a star alone comes last"),
    ],
)
def test_a_name_is_ruled_by(patterns, name, winner):
    others = [pattern.replace("*", "x").replace("?", "x") for pattern in patterns]  # each pattern matches a name

    assert resolve(patterns, [name, *others])[name] == winner


@pytest.mark.parametrize(
    ("patterns", "names", "message"),
    [
        pytest.param(["u*", "*r"], ["user"], ["'user'", "'u*'", "'*r'"], id="a tie"),
        pytest.param(["*", "usr"], ["user", "item"], ["'usr'", "user", "item"], id="a pattern that matches nothing"),
        pytest.param(["user"], ["user", "item"], ["'item'", "user"], id="a name that no pattern matches"),
        pytest.param(["User"], ["user"], ["'User'"], id="case counts"),
        pytest.param([], ["user"], ["'user'"], id="no pattern at all"),
    ],
)
def test_patterns_are_refused_for(patterns, names, message):
    with pytest.raises(PatternError) as error:
        resolve(patterns, names)

    assert all(part in str(error.value) for part in message)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data(), names=st.lists(st.text("ab/", min_size=1, max_size=5), min_size=1, max_size=6, unique=True))
def test_the_ruling_pattern_is_the_name_or_the_longest_match(data, names):
    chosen = data.draw(st.lists(st.sampled_from(names), unique=True))
    prefixes = [name[: data.draw(st.integers(1, len(name)))] + "*" for name in chosen]
    exact = data.draw(st.lists(st.sampled_from(names), unique=True))
    patterns = data.draw(st.permutations(["*", *dict.fromkeys([*prefixes, *exact])]))

    ruling = resolve(patterns, names)

    assert list(ruling) == names
    for name, winner in ruling.items():
        matches = [pattern for pattern in patterns if fnmatch.fnmatchcase(name, pattern)]
        assert winner == (name if name in exact else max(matches, key=len))


@pytest.mark.parametrize("stock", ["Adam", "SGD", "RMSprop", "Ftrl", "Adagrad"])
def test_a_stock_optimizer_on_a_table_is_refused_and_a_sparse_one_is_named(stock):
    optimizer = getattr(tf_keras.optimizers, stock)()

    with pytest.raises(PatternError, match=rf"{stock}.*'user'.*RMSPropV2"):
        Router({"user": optimizer}, {}, [("table", ["user"])])


def test_a_fused_variable_with_two_optimizers_is_refused_and_both_tables_are_named():
    sparse = {"*": RMSPropV2(), "item": RMSPropV2(beta=0.5)}

    with pytest.raises(PatternError, match=r"'user' \('\*'\) and 'item' \('item'\)"):
        Router(sparse, {}, [("table", ["user", "item"])])


def test_patterns_of_tables_and_of_towers_are_apart():
    with pytest.raises(PatternError, match="'deep'"):
        Router({"deep": RMSPropV2(), "*": RMSPropV2()}, {"*": adam()}, [("table", ["user"]), ("tower", ["deep"])])


def test_another_number_of_variables_is_refused():
    with pytest.raises(ValueError, match=r"4 variables\. Received: 3"):
        router().build(variables()[:3])


def alone_and_together(dense):
    """Return the variables after training by separate optimizers and by a router of equal ones."""

    def optimizers():
        sparse = RMSPropV2(learning_rate=0.1, l2_gradient=0.01), RMSPropV2(learning_rate=0.03, beta=0.5)
        return [*sparse, dense(), adam()]

    alone, apart = variables(), optimizers()
    for step in gradients():
        for optimizer, gradient, variable in zip(apart, step, alone, strict=True):
            optimizer.apply_gradients([(gradient, variable)])
    user_item, wide, deep, head = optimizers()
    together = Router({"*": user_item, "wide/*": wide}, {"*": deep, "head": head}, VARIABLES)
    return [v.numpy() for v in alone], trained(together)


@pytest.mark.parametrize(
    "dense",
    [
        pytest.param(adam, id="adam"),
        pytest.param(RMSPropV2, id="rmsprop_v2"),
        pytest.param(lambda: tf_keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), id="momentum"),
    ],
)
@pytest.mark.medium
def test_each_variable_gets_what_its_own_optimizer_does_alone(dense):
    assert_same_bits(*alone_and_together(dense))


@pytest.mark.parametrize(
    "dense",
    [
        pytest.param(lambda: tf_keras.optimizers.AdamW(0.01, weight_decay=0.1, jit_compile=False), id="weight_decay"),
        pytest.param(lambda: tf_keras.optimizers.SGD(0.1, clipnorm=0.01), id="clipnorm"),
    ],
)
def test_what_keras_does_outside_an_update_is_done_or_refused_but_not_dropped(dense):
    with contextlib.suppress(ValueError):
        assert_same_bits(*alone_and_together(dense))


def clipped(table_gradients, tower_gradient, clip_norm):
    """Return how far a step moves a table and a tower of one weight each, whose optimizers subtract the gradient."""
    table, tower = tf.Variable([[0.0]], name="table"), tf.Variable([0.0], name="tower")
    sparse = RMSPropV2(learning_rate=1e4, epsilon=1e8)  # where v << epsilon, it subtracts the gradient too
    spec = [("table", ["user"]), ("tower", ["deep"])]
    optimizer = Router({"*": sparse}, {"*": tf_keras.optimizers.SGD(1.0)}, spec, clip_norm)
    rows = [0] * len(table_gradients)
    slices = tf.IndexedSlices([[g] for g in table_gradients], rows, [1, 1])
    optimizer.apply_gradients([(slices, table), (tf.constant([tower_gradient]), tower)])
    return [-table.numpy().item(), -tower.numpy().item()]


@pytest.mark.parametrize(
    ("table_gradients", "tower_gradient", "clip_norm", "moved"),
    [
        pytest.param([2.0, 2.0], 0.0, 1.0, [1.0, 0.0], id="duplicates are summed before"),
        pytest.param([1.0, 1.0, 1.0, 1.0], 3.0, 1.0, [0.8, 0.6], id="the norm is that of all gradients together"),
        pytest.param([5.0, -5.0], 0.5, 1.0, [0.0, 0.5], id="duplicates that cancel count as nothing"),
        pytest.param([0.3, 0.3], 0.0, 1.0, [0.6, 0.0], id="a smaller norm is left alone"),
        pytest.param([0.0], 0.0, 1.0, [0.0, 0.0], id="a zero gradient stays zero"),
        pytest.param([2.0, 2.0], 3.0, None, [4.0, 3.0], id="without a bound"),
    ],
)
def test_clip_norm_bounds_the_global_norm(table_gradients, tower_gradient, clip_norm, moved):
    assert clipped(table_gradients, tower_gradient, clip_norm) == pytest.approx(moved, rel=1e-5)


def test_a_bound_that_is_never_reached_changes_no_bit():
    assert_same_bits(trained(router(clip_norm=1e6)), trained(router()))


def test_learning_rates_are_listed_by_pattern():
    expected = {"table *": 0.1, "table wide/*": 0.03, "tower *": 0.02, "tower head": 0.5}

    assert router().learning_rates == pytest.approx(expected)


def test_scale_learning_rates_multiplies_every_rate_of_a_running_router():
    optimizer, all_variables = router(), variables()
    train(optimizer, all_variables, gradients(3))
    before = [v.numpy() for v in all_variables]

    optimizer.scale_learning_rates(0.1)
    optimizer.scale_learning_rates(0.0)
    train(optimizer, all_variables, gradients(3))

    assert optimizer.learning_rates == dict.fromkeys(["table *", "table wide/*", "tower *", "tower head"], 0.0)
    assert_same_bits(before, [v.numpy() for v in all_variables])


def test_a_scaled_rate_is_the_rate_times_the_factor():
    optimizer = router()

    optimizer.scale_learning_rates(0.1)

    expected = {"table *": 0.01, "table wide/*": 0.003, "tower *": 0.002, "tower head": 0.05}
    assert optimizer.learning_rates == pytest.approx(expected)


def test_restarted_schedules_begin_anew_at_the_step_reached_and_constant_rates_stay():
    halving = Adjustable(tf_keras.optimizers.schedules.ExponentialDecay(0.8, 1, 0.5))
    optimizer = Router({"*": RMSPropV2(learning_rate=halving)}, {"*": adam(learning_rate=0.02)}, VARIABLES)
    some = variables()
    train(optimizer, some, gradients(3))
    assert optimizer.learning_rates == pytest.approx({"table *": 0.2, "tower *": 0.02})  # at the third step

    optimizer.restart_schedules()
    train(optimizer, some, gradients(1))

    assert optimizer.learning_rates == pytest.approx({"table *": 0.8, "tower *": 0.02})
    assert optimizer.iterations.numpy() == 4


def test_a_schedule_that_cannot_begin_anew_is_an_error():
    schedule = tf_keras.optimizers.schedules.ExponentialDecay(0.8, 1, 0.5)
    optimizer = Router({"*": RMSPropV2(learning_rate=schedule)}, {"*": adam()}, VARIABLES)

    with pytest.raises(ValueError, match=r"cannot restart ExponentialDecay\. Wrap it in Adjustable\."):
        optimizer.restart_schedules()


def test_the_state_of_a_variable_has_the_names_that_its_optimizer_gives_it():
    optimizer, all_variables = router(), variables()
    train(optimizer, all_variables, gradients(1))

    assert [list(optimizer.state_of(one)) for one in all_variables] == [["accumulator"]] * 2 + [["m", "v"]] * 2
    table = all_variables[0]
    assert optimizer.state_of(table)["accumulator"].shape == table.shape


def test_a_single_learning_rate_is_refused_and_the_error_says_where_they_are():
    with pytest.raises(AttributeError, match="learning_rates"):
        _ = router().learning_rate


def test_all_optimizers_share_one_step_counter_and_adam_corrects_its_bias_by_it():
    tower = 2
    steps = gradients(7)
    optimizer = router()

    weights = trained(optimizer, steps)

    assert int(optimizer.iterations) == 7
    expected = adam_reference(
        variables()[tower].numpy(),
        [step[tower].numpy() for step in steps],
        learning_rate=0.02,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
    )
    np.testing.assert_allclose(weights[tower], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "variable_names",
    [
        pytest.param(["fused_0", "fused_1", "deep/kernel", "head/kernel"], id="unlike names"),
        pytest.param(["a", "b/a", "kernel", "head/kernel"], id="a name that ends another"),
    ],
)
def test_owned_lists_each_variable_with_its_optimizer_and_bytes_of_state(variable_names):
    some = [tf.Variable(v.numpy(), name=name) for v, name in zip(variables(), variable_names, strict=True)]
    optimizer = Router({"*": RMSPropV2()}, {"*": adam(), "head": RMSPropV2()}, VARIABLES)
    optimizer.build(some)

    listed = [(o.names, o.pattern, o.optimizer, o.shape, o.state_bytes) for o in optimizer.owned(some)]

    assert listed == [  # 4 bytes per float; RMSPropV2 has one state, Adam two
        (("user", "item"), "*", "rmsprop_v2", (ROWS, DIM), 4 * ROWS * DIM),
        (("wide/user",), "*", "rmsprop_v2", (ROWS, 1), 4 * ROWS),
        (("deep",), "*", "Adam", (DIM, 3), 2 * 4 * DIM * 3),
        (("head",), "head", "rmsprop_v2", (3, 1), 4 * 3),
    ]


@pytest.mark.parametrize(
    "restore",
    [
        pytest.param(lambda optimizer: Router.from_config(optimizer.get_config()), id="from_config"),
        pytest.param(lambda o: tf_keras.optimizers.deserialize(tf_keras.optimizers.serialize(o)), id="deserialize"),
        pytest.param(
            lambda o: tf_keras.optimizers.deserialize(json.loads(json.dumps(tf_keras.optimizers.serialize(o)))),
            id="through JSON",
        ),
    ],
)
@pytest.mark.medium
def test_the_config_restores_the_router(restore):
    original = router(clip_norm=2.0)

    restored = restore(original)

    assert json.dumps(restored.get_config()) == json.dumps(original.get_config())
    assert_same_bits(trained(restored), trained(original))


def test_it_trains_a_model_in_plain_compile_and_fit():
    tf_keras.utils.set_random_seed(4)
    embedding = tf_keras.layers.Embedding(ROWS, DIM, input_length=1)
    head = tf_keras.layers.Dense(1, activation="sigmoid")
    model = tf_keras.Sequential([embedding, tf_keras.layers.Flatten(), head])
    ids = np.random.default_rng(4).integers(0, ROWS // 2, [256, 1])
    model.build([None, 1])
    absent = embedding.embeddings.numpy()[ROWS // 2 :]
    spec = [("table", ["user"]), ("tower", ["head"]), ("tower", ["head"])]

    model.compile(optimizer=Router({"*": RMSPropV2(0.05)}, {"*": adam(0.05)}, spec), loss="binary_crossentropy")
    losses = model.fit(ids, (ids % 2).astype(np.float32), batch_size=32, epochs=5, verbose=0).history["loss"]

    assert losses[-1] < 0.8 * losses[0]
    np.testing.assert_array_equal(embedding.embeddings.numpy()[ROWS // 2 :], absent)


@pytest.mark.parametrize("built", [True, False], ids=["into a built router", "into a new router"])
def test_a_restored_run_continues_bit_for_bit(built, tmp_path):
    straight_router = router(clip_norm=2.0)
    straight_router.scale_learning_rates(0.5)
    straight = trained(straight_router)
    first = tf.train.Checkpoint(variables=variables(), optimizer=router(clip_norm=2.0))
    first.optimizer.scale_learning_rates(0.5)
    train(first.optimizer, first.variables, gradients()[:12])
    path = first.save(tmp_path / "checkpoint")

    second = tf.train.Checkpoint(
        variables=[tf.Variable(tf.zeros_like(v)) for v in variables()], optimizer=router(clip_norm=2.0)
    )
    if built:
        second.optimizer.build(second.variables)
    second.restore(path)
    train(second.optimizer, second.variables, gradients()[12:])

    assert int(second.optimizer.iterations) == STEPS
    assert second.optimizer.learning_rates == straight_router.learning_rates
    assert_same_bits([v.numpy() for v in second.variables], straight)
