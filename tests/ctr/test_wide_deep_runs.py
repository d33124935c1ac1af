"""Whole runs of Wide & Deep on the small click log, with crosses (also of a sequence) and a bucketed price."""

import numpy as np
import pyarrow.parquet as pq
import pytest

import ctr
from ctr.config.experiment import ConfigError, load_experiment
from ctr.training.data import prepare
from ctr.training.plan import plan_model
from ctr.training.sparsity import sparsity_report
from features import Encoder
from tests.conftest import click_log

pytestmark = pytest.mark.usefixtures("undrawn_plots")

SETTINGS = [
    "model={type: wide_deep, hidden: [8], dropout: 0.1, initializer: {tables: 0.3}}",
    "features.columns.price_range={type: numeric, column: price, as: buckets, buckets: 5, dim: 2}",
    "features.columns.user_x_item={type: cross, of: [user, item], hash: 300, dim: 1}",
    "features.columns.item_x_price={type: cross, of: [item, price_range], hash: 40, dim: 4}",
]
DEEP = {
    "user": (11, 4),
    "item": (13, 4),
    "hour": (27, 4),
    "price_range": (8, 2),
    "item_x_price": (43, 4),
}
WIDE = {
    "wide/user": (11, 1),
    "wide/item": (13, 1),
    "wide/hour": (27, 1),
    "wide/price_range": (8, 1),
    "wide/user_x_item": (303, 1),
    "wide/item_x_price": (43, 1),
}


PAIRS = "features.columns.user_x_history={type: sequence_cross, of: [user, history], hash: 200, dim: 1}"
WIDER_PAIRS = PAIRS.replace("dim: 1", "dim: 3, pooling: mean")


@pytest.fixture
def make_wide_deep(make_experiment):
    return lambda *overrides: make_experiment(*SETTINGS, *overrides)


def zero_rows(report):
    return {table["name"]: table["all_zero_embeddings"] for table in report["tables"]}


def weights(model, name):
    return np.concatenate(list(model.tables.table_blocks(name)))


@pytest.fixture(scope="module")
def wide_deep(small_config, tmp_path_factory):
    """Return folder and report of a run with the base settings."""
    run = tmp_path_factory.mktemp("wide deep") / "run"
    return run, ctr.train(load_experiment(small_config, SETTINGS), run)


@pytest.fixture(scope="module")
def of_one_epoch(small_config, tmp_path_factory):
    """Return the report of a run of one epoch."""
    run = tmp_path_factory.mktemp("one epoch") / "run"
    return ctr.train(load_experiment(small_config, [*SETTINGS, "training.epochs=1"]), run)


def train_and_evaluate(config, folder, *overrides):
    """Return the folder of a run, its report, and the report of `ctr.evaluate` on its test split."""
    test_file = folder / "test.parquet"
    pq.write_table(click_log(300, seed=9), test_file, row_group_size=128)
    train = config.parent / "clicks"
    sets = f"data={{train: {train}, valid: {test_file}, test: {test_file}, label: clicked, keep: [ts]}}"
    report = ctr.train(load_experiment(config, [*SETTINGS, *overrides, sets]), folder / "run")
    return folder / "run", report, ctr.evaluate(folder / "run", str(test_file))


@pytest.fixture(scope="module")
def with_pairs(small_config, tmp_path_factory):
    """Return `train_and_evaluate` of a run with a wide cross of a sequence and wide weights without penalty."""
    wide = 'optimizers.sparse."wide/*"={type: ftrl, l1: 0}'
    return train_and_evaluate(small_config, tmp_path_factory.mktemp("with pairs"), PAIRS, wide)


@pytest.fixture(scope="module")
def with_wider_pairs(small_config, tmp_path_factory):
    """Return a run with a cross of a sequence that is also a deep feature."""
    return train_and_evaluate(small_config, tmp_path_factory.mktemp("with wider pairs"), WIDER_PAIRS)


def test_a_run_learns_and_reports_every_table_with_its_optimizer(wide_deep):
    _, report = wide_deep

    found = {table["name"]: (table["rows"], table["dim"]) for table in report["tables"]}
    assert found == DEEP | WIDE
    optimizers = {table["name"]: table["optimizer"] for table in report["tables"]}
    assert optimizers == dict.fromkeys(DEEP, "rmsprop_v2") | dict.fromkeys(WIDE, "ftrl")
    sizes = {table["name"]: table["bytes"] for table in report["tables"]}
    assert sizes["wide/user_x_item"] == 303 * 4 * 3  # weights and the two states of FTRL
    assert report["metrics"]["test"]["auc"] > 0.7


@pytest.mark.slow
def test_crosses_and_buckets_have_a_psi_that_is_stable_on_stable_data(of_one_epoch):
    verdicts = {name: psi["drift"] for name, psi in of_one_epoch["psi"]["features"]["test"].items()}
    for name in ("price_range", "user_x_item", "item_x_price"):
        assert verdicts[name] in ("stable", "too_little_data", "moderate")
    assert set(verdicts) == {"user", "item", "history", "hour", "price", "price_range", "user_x_item", "item_x_price"}


@pytest.mark.slow
def test_evaluate_gives_the_scores_of_the_run_from_the_saved_encoder(with_pairs):
    run, trained, again = with_pairs

    scores = [run / "scores" / "test.parquet", run / "evaluations" / "test" / "scores" / "test.parquet"]
    assert scores[0].read_bytes() == scores[1].read_bytes()
    assert again["metrics"]["test"] == trained["metrics"]["test"]
    assert again["tables"] == trained["tables"]
    assert again["fingerprints"]["final_weights"] == trained["fingerprints"]["final_weights"]


def test_wide_tables_start_at_zero_and_the_others_do_not(make_wide_deep):
    experiment = make_wide_deep()

    model = plan_model(experiment, prepare(experiment).encoder).build()

    for name in WIDE:
        assert not weights(model, name).any()
    for name in DEEP:
        assert weights(model, name)[3:].all()


def test_deep_tables_start_as_in_another_model(make_experiment, make_wide_deep):
    experiments = make_wide_deep(), make_experiment(SETTINGS[1])

    models = [plan_model(experiment, prepare(experiment).encoder).build() for experiment in experiments]

    for name in ("user", "item", "hour", "price_range"):
        np.testing.assert_array_equal(*(weights(model, name) for model in models))


@pytest.mark.slow
def test_a_strong_l1_leaves_exact_zeros_in_the_wide_tables_only(make_wide_deep, with_pairs, tmp_path):
    found = [zero_rows(with_pairs[1])]
    for l1 in (0.02, 100):
        wide = f'optimizers.sparse."wide/*"={{type: ftrl, l1: {l1}}}'
        found.append(zero_rows(ctr.train(make_wide_deep("training.epochs=1", wide), tmp_path / str(l1))))

    none, some, all_ = ([one["wide/user"], one["wide/item"], one["wide/price_range"]] for one in found)
    assert none == [0, 0, 0]
    assert 0 < sum(some) < 8 + 10 + 5
    assert all_ == [8, 10, 5]
    assert [one["user"] for one in found] == [0, 0, 0]


@pytest.mark.slow
def test_a_run_and_its_resolved_config_give_the_same_bytes(wide_deep, tmp_path):
    run, one = wide_deep
    two = ctr.train(load_experiment(run / "config.yaml"), tmp_path / "two")

    assert one["fingerprints"] == two["fingerprints"]
    for file in ("config.yaml", "metrics.jsonl", "scores/test.parquet", "encoder/encoder.json"):
        assert (run / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.slow
def test_other_optimizers_of_the_wide_part_start_equal_and_see_the_same_order(make_wide_deep, of_one_epoch, tmp_path):
    other = 'optimizers.sparse={"*": {type: rmsprop_v2}, "wide/*_x_*": {type: group_lasso_adagrad}}'

    one = of_one_epoch
    two = ctr.train(make_wide_deep("training.epochs=1", other), tmp_path / "two")

    assert {table["name"]: table["optimizer"] for table in two["tables"]} == {
        **dict.fromkeys(DEEP, "rmsprop_v2"),
        **dict.fromkeys(WIDE, "ftrl"),
        **dict.fromkeys(("wide/user_x_item", "wide/item_x_price"), "group_lasso_adagrad"),
    }
    for same in ("initial_weights", "data_order"):
        assert one["fingerprints"][same] == two["fingerprints"][same]
    assert one["fingerprints"]["final_weights"] != two["fingerprints"]["final_weights"]


@pytest.mark.parametrize("pattern", ["wide*", "*_x_*", "*x_it*"], ids=["shorter", "of crosses", "equally long"])
def test_a_pattern_of_the_config_goes_before_the_default_of_the_wide_part(make_wide_deep, pattern):
    experiment = make_wide_deep(f'optimizers.sparse."{pattern}"={{type: group_lasso_adagrad}}')

    tables = sparsity_report(plan_model(experiment, prepare(experiment).encoder).build())

    optimizers = {table["name"]: table["optimizer"] for table in tables}
    assert optimizers["wide/user_x_item"] == "group_lasso_adagrad"


@pytest.mark.slow
def test_mixed_precision_trains(make_wide_deep, tmp_path):
    report = ctr.train(make_wide_deep("training.precision=mixed_bfloat16"), tmp_path / "run")

    assert report["metrics"]["test"]["auc"] > 0.7


@pytest.mark.slow
def test_a_wide_cross_is_a_deep_feature_of_other_models_too(make_wide_deep, tmp_path):
    dcn = "model={type: dcn_v2, cross_layers: 1, hidden: [8]}"

    report = ctr.train(make_wide_deep(dcn, "features.columns.user_x_item.dim=2", "training.epochs=1"), tmp_path / "run")

    found = {table["name"]: (table["rows"], table["dim"]) for table in report["tables"]}
    assert found == {**DEEP, "user_x_item": (303, 2)}


# A cross of a sequence


@pytest.mark.parametrize(
    ("run", "deep"),
    [
        pytest.param("with_pairs", {}, id="wide only"),
        pytest.param("with_wider_pairs", {"user_x_history": (203, 3)}, id="deep too", marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_a_cross_of_a_sequence_trains_and_is_reported_and_evaluated(request, run, deep):
    _, report, again = request.getfixturevalue(run)

    tables = {table["name"]: table for table in report["tables"]}
    sizes = {name: (table["rows"], table["dim"]) for name, table in tables.items()}
    assert sizes == {**DEEP, **deep, **WIDE, "wide/user_x_history": (203, 1)}
    assert tables["wide/user_x_history"]["optimizer"] == "ftrl"
    assert tables["wide/user_x_history"]["all_zero_embeddings"] < 200  # 8 users x 10 items in 200 buckets
    assert report["metrics"]["test"]["auc"] > 0.7
    assert report["psi"]["features"]["test"]["user_x_history"]["drift"] in ("stable", "moderate", "too_little_data")
    assert again["metrics"]["test"] == report["metrics"]["test"]
    assert again["tables"] == report["tables"]


@pytest.mark.slow
def test_the_rows_of_pairs_that_never_came_stay_zero(with_pairs):
    run, report, _ = with_pairs
    encoder = Encoder.load(run / "encoder")
    pairs = {(user, f"item {item}") for user in range(8) for item in range(10)}
    users, items = zip(*sorted(pairs), strict=True)
    table = click_log(80).set_column(1, "user", [users]).set_column(3, "history", [[[item] for item in items]])
    came = set(encoder(table, "all pairs")["sequences/user_x_history"][:, 0].tolist())
    assert zero_rows(report)["wide/user_x_history"] == 200 - len(came)


@pytest.mark.slow
def test_a_cross_of_a_sequence_is_a_deep_feature_of_other_models_too(make_wide_deep, tmp_path):
    dcn = "model={type: dcn_v2, cross_layers: 1, hidden: [8]}"
    wider = "features.columns.user_x_item.dim=2"

    report = ctr.train(make_wide_deep(dcn, wider, WIDER_PAIRS, "training.epochs=1"), tmp_path / "run")

    found = {table["name"]: (table["rows"], table["dim"]) for table in report["tables"]}
    assert found == {**DEEP, "user_x_item": (303, 2), "user_x_history": (203, 3)}


def test_a_cross_of_a_sequence_of_dim_1_is_refused_where_there_is_no_wide_part(make_experiment):
    with pytest.raises(ConfigError) as caught:
        make_experiment(PAIRS)

    assert (
        "features.columns.user_x_history: a sequence_cross with `dim: 1` is a wide weight, but model dcn_v2 has no "
        "wide weights"
    ) in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "sparse"),
    [("*", {"*", "wide/*"}), ("wide/user_x_history", {"*", "wide/user_x_history", *WIDE})],
    ids=["of no wide table", "of this one"],
)
def test_its_wide_table_is_ftrls_where_no_pattern_names_it(make_wide_deep, pattern, sparse):
    experiment = make_wide_deep(PAIRS, f'optimizers.sparse."{pattern}"={{type: group_lasso_adagrad}}')

    assert set(experiment.optimizers.sparse) == sparse


@pytest.mark.slow
def test_a_model_on_wide_deep_has_its_wide_part(make_experiment, tmp_path):
    can = "model={type: can, base: {type: wide_deep, hidden: [8]}, pairs: [[item, history]], micro_mlp: [4, 2]}"
    crosses = "features.columns.user_x_item={type: cross, of: [user, item], hash: 300, dim: 1}"

    report = ctr.train(make_experiment(can, crosses, PAIRS, "training.epochs=1"), tmp_path / "run")

    optimizers = {table["name"]: table["optimizer"] for table in report["tables"]}
    wide = ("wide/user", "wide/item", "wide/hour", "wide/user_x_item", "wide/user_x_history")
    assert {name: optimizer for name, optimizer in optimizers.items() if optimizer == "ftrl"} == dict.fromkeys(
        wide, "ftrl"
    )


def test_a_mistake_in_a_cross_of_a_sequence_is_named_with_its_key(make_wide_deep):
    with pytest.raises(ConfigError, match=r"features\.columns\.user_x_history\.pooling: .* Received: 'max'"):
        make_wide_deep(PAIRS, "features.columns.user_x_history.pooling=max")


# A sequence that is not pooled


@pytest.mark.parametrize("model", [SETTINGS[0], "model={type: dnn, hidden: [8]}"], ids=["wide_deep", "dnn"])
def test_a_sequence_that_is_not_pooled_is_refused_by_a_model_that_reads_no_behaviors(make_experiment, tmp_path, model):
    experiment = make_experiment(model, "features.columns.history.pooling=none")

    with pytest.raises(ConfigError) as caught:
        plan_model(experiment, prepare(experiment).encoder).build()

    assert str(caught.value) == (
        "features.columns.history: `pooling: none` needs a model that reads single behaviors, but "
        f"{experiment.model.type} does not. Use `mean` or `sum`, or name the feature in "
        "`targets` of din or `pairs` of can."
    )


@pytest.mark.parametrize("model", [SETTINGS[0], "model={type: dnn, hidden: [8]}"], ids=["wide_deep", "dnn"])
def test_a_cross_of_a_sequence_that_is_not_pooled_is_refused_by_them_too(make_experiment, model):
    experiment = make_experiment(model, PAIRS.replace("dim: 1", "dim: 3, pooling: none"))

    with pytest.raises(ConfigError, match=r"columns\.user_x_history: `pooling: none` needs a model"):
        plan_model(experiment, prepare(experiment).encoder).build()


def test_only_numerics_leave_the_wide_part_empty(make_wide_deep, tmp_path):
    with pytest.raises(
        ConfigError, match=r"model: wide_deep needs a categorical feature or a cross for its wide weights\. Add one\."
    ):
        ctr.train(make_wide_deep("features.columns={price: {type: numeric}}"), tmp_path / "run")


def test_a_feature_called_as_a_wide_table_is_refused(make_wide_deep, tmp_path):
    with pytest.raises(ConfigError, match=r"duplicate table 'wide/user'\. Rename the feature\."):
        ctr.train(make_wide_deep('features.columns."wide/user"={column: user}'), tmp_path / "run")
