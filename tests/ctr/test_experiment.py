"""A YAML file is an experiment: accepted settings, and errors of invalid ones."""

from types import MappingProxyType

import pytest

from ctr.config.experiment import ConfigError, load_experiment
from models import DNN, MODELS, BatchNorm


def test_the_resolved_config_loads_to_the_same_experiment(make_experiment, tmp_path):
    experiment = make_experiment("model.initializer={tables: 0.5}", "data.negative_sampling_rate=0.1")
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(experiment.to_yaml())
    assert load_experiment(resolved) == experiment


def test_set_reaches_any_key(make_experiment):
    experiment = make_experiment(
        'optimizers.sparse."*".learning_rate=1e-3',
        "features.columns.user.hash=100",
        "training.early_stopping=null",
        "model.initializer.towers=he_normal",
    )
    assert experiment.optimizers.sparse["*"].learning_rate == 0.001
    assert experiment.features.columns["user"].hash == 100
    assert experiment.features.columns["user"].vocabulary is None
    assert experiment.training.early_stopping is None
    assert experiment.initializer.towers == "he_normal"


def test_one_dense_optimizer_is_short_for_all_towers(make_experiment):
    assert list(make_experiment().optimizers.dense) == ["*"]
    both = make_experiment('optimizers.dense={"*": {type: adam}, head: {type: rmsprop_v2}}')
    assert [settings.type for settings in both.optimizers.dense.values()] == ["adam", "rmsprop_v2"]


def test_a_model_by_its_name_alone_has_its_defaults(make_experiment):
    assert make_experiment("model=dcn_v2").model.structure == "parallel"


def test_batch_norm_is_on_off_or_numbers(make_experiment, tmp_path):
    assert make_experiment("model=dcn_v2").model.batch_norm is True
    assert make_experiment("model={type: dcn_v2, batch_norm: no}").model.batch_norm is False
    experiment = make_experiment("model={type: can, base: {type: dnn, batch_norm: {epsilon: 1e-5}}, pairs: [[a, b]]}")
    assert experiment.model.base.batch_norm == BatchNorm(epsilon=1e-5)
    (tmp_path / "config.yaml").write_text(experiment.to_yaml())
    assert load_experiment(tmp_path / "config.yaml") == experiment


MISTAKES = [
    ("model.batch_norm={eps: 1e-5}", "model.batch_norm: unknown key 'eps'; did you mean 'epsilon'?"),
    ("model.batch_norm={momentum: 1}", "model.batch_norm.momentum: must be below 1. Received: 1"),
    (
        "model.batch_norm=1e-5",
        "model.batch_norm: must be true, false, or numbers such as {epsilon: 1.0e-5}. Received: '1e-5'",
    ),
    ("training.batchsize=3", "training: unknown key 'batchsize'; did you mean 'batch_size'?"),
    ("training.batch_size=0", "training.batch_size: must be above 0. Received: 0"),
    (
        "training.validate_every={epochs: 1, steps: 5}",
        "training.validate_every: needs a length. Set either `epochs` or `steps`",
    ),
    ("training.plateau={factor: 0.5}", "training: unknown key 'plateau': renamed to 'reduce_lr_on_plateau' in 0.5.0"),
    (
        "training.warm_start={run: runs/first, state: carry}",
        "training.warm_start: unknown key 'state': renamed to 'optimizer_state' in 0.5.0",
    ),
    ("training.warm_start={run: runs/first, optimizer_state: carry}", "must be 'keep' or 'reset'"),
    ("report.psi.unstable_above=0.3", "report.psi: unknown key 'unstable_above': renamed to 'major_above' in 0.5.0"),
    ("report.exact_rows=9", "report: unknown key 'exact_rows': renamed to 'max_exact_rows' in 0.5.0"),
    (
        "optimizers.sparse.user={type: ftrl, preserve_initial: true}",
        "optimizers.sparse.user: unknown key 'preserve_initial': renamed to 'keep_initial_weights' in 0.5.0",
    ),
    ("optimizers.dense={type: ftrl, preserve_initial: true}", "renamed to 'keep_initial_weights' in 0.5.0"),
    ("features.columns.w={kind: numeric}", "features.columns.w: unknown key 'kind': renamed to 'type' in 0.5.0"),
    ("features.defaults.kind=numeric", "features: defaults: unknown key 'kind': renamed to 'type' in 0.5.0"),
    ("features.columns.w={unstable_above: 1}", "features.columns.w: unknown key 'unstable_above'; known: column, "),
    ("model.type=dcn_v4", "model: unknown type 'dcn_v4'; did you mean 'dcn_v2'?"),
    ("model={type: can, pairs: [[a, b]], base: can}", "model.base: 'can' cannot be its own base"),
    ("model={type: can, pairs: [[a, b]], base: din}", "model.base.targets: missing setting. Add it."),
    ("model={type: can, pairs: [a, b], base: dnn}", "model.pairs.0: must be a list"),
    ("model.structure=paralel", "model.structure: must be 'stacked', 'parallel'"),
    ("model.hiden=[8]", "model: unknown key 'hiden'; did you mean 'hidden'?"),
    ("optimizers.sparse.*.lr=1", "optimizers.sparse.*: unknown key 'lr'"),
    (
        "optimizers.sparse.*.type=adam",
        "optimizers.sparse.*: 'adam' is for the dense tower: it would change every embedding",
    ),
    ("features.columns.user.dims=4", "features.columns.user: unknown key 'dims'; did you mean 'dim'?"),
    (
        "features.columns.user.type=categoric",
        "features.columns.user: unknown type 'categoric'; did you mean 'categorical'?",
    ),
    ("features.columns.history.dim=8", "'item' and 'history' share table 'item' but differ in dim"),
    ("features.defaults.dimm=3", "features: defaults: unknown key 'dimm'"),
    ("data.path=null", "data: no data. Set `path` with `split`, or `train`"),
    ("data.split.fractions=[0.5, 0.1, 0.1]", "fractions must sum to 1"),
    ("name=a/b", "name: the name must be usable as a folder: without slash"),
    ("seed", "--set: must be KEY=VALUE"),
    ("a..b=1", "'a..b' is not a dotted key"),
    ("name.x=1", "'name' is not a mapping"),
]


@pytest.mark.parametrize(("override", "message"), MISTAKES)
def test_a_mistake_is_named_with_its_key(make_experiment, override, message):
    with pytest.raises(ConfigError) as caught:
        make_experiment(override)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such config file"),
        ("a: [", "invalid YAML"),
        ("- 1", "a config must be a mapping"),
        ("!!python/object:x {}", "invalid YAML"),
    ],
)
def test_a_file_that_is_no_config(tmp_path, text, message):
    path = tmp_path / "x.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_experiment(path)


# The wide weights

WIDE_DEEP = "model={type: wide_deep, hidden: [8]}"
CROSS = "features.columns.user_x_item={type: cross, of: [user, item], hash: 50, dim: 1}"


def sparse_of(experiment):
    return {pattern: settings.type for pattern, settings in experiment.optimizers.sparse.items()}


@pytest.mark.parametrize("model", ["model=wide_deep", WIDE_DEEP], ids=["by its name", "with settings"])
@pytest.mark.parametrize(
    ("optimizers", "rest"),
    [
        ("optimizers={}", "rmsprop_v2"),
        ("optimizers.sparse={}", None),
        ('optimizers.sparse={"*": {type: group_lasso_adagrad}}', "group_lasso_adagrad"),
    ],
    ids=["none", "none for tables", "one for all tables"],
)
def test_the_wide_part_trains_with_ftrl_unless_the_config_names_it(make_experiment, model, optimizers, rest):
    found = sparse_of(make_experiment(model, optimizers))
    assert found == {"wide/*": "ftrl"} | ({"*": rest} if rest else {})


def test_the_wide_part_of_a_config_without_optimizers_trains_with_ftrl(edit_config):
    def change(values):
        del values["optimizers"]
        values["model"] = "wide_deep"

    experiment = load_experiment(edit_config(change))
    assert sparse_of(experiment) == {"wide/*": "ftrl", "*": "rmsprop_v2"}
    assert [settings.type for settings in experiment.optimizers.dense.values()] == ["adam"]


def test_the_config_has_the_last_word_on_the_wide_part(make_experiment):
    experiment = make_experiment(WIDE_DEEP, 'optimizers.sparse."wide/*"={type: rmsprop_v2, learning_rate: 0.7}')
    assert sparse_of(experiment) == {"wide/*": "rmsprop_v2", "*": "rmsprop_v2"}
    assert experiment.optimizers.sparse["wide/*"].learning_rate == 0.7


def test_the_other_optimizers_of_a_config_stand_beside_that_of_the_wide_part(make_experiment):
    experiment = make_experiment(WIDE_DEEP, "optimizers.sparse.user={type: group_lasso_adagrad}")
    assert sparse_of(experiment) == {"wide/*": "ftrl", "*": "rmsprop_v2", "user": "group_lasso_adagrad"}
    assert experiment.optimizers.sparse["*"].learning_rate == 0.3


def test_other_models_have_no_optimizer_of_a_wide_part(make_experiment):
    assert sparse_of(make_experiment()) == {"*": "rmsprop_v2"}


@pytest.mark.parametrize(
    "own", [[], ['optimizers.sparse."wide/*"={type: ftrl, l1: 2}'], ["optimizers={}"]], ids=["default", "own", "none"]
)
def test_the_resolved_config_of_a_wide_model_loads_to_the_same_experiment(make_experiment, tmp_path, own):
    buckets = "features.columns.price={type: numeric, as: buckets, buckets: 5}"
    experiment = make_experiment(WIDE_DEEP, CROSS, buckets, *own)
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(experiment.to_yaml())

    again = load_experiment(resolved)

    assert again == experiment
    assert list(again.optimizers.sparse) == list(experiment.optimizers.sparse)
    assert again.to_yaml() == experiment.to_yaml()


def test_a_tower_on_a_base_has_the_wide_weights_of_its_base(make_experiment):
    on_wide_deep = f"model={{type: can, pairs: [[item, history]], base: {WIDE_DEEP.removeprefix('model=')}}}"
    experiment = make_experiment(on_wide_deep, CROSS)
    assert sparse_of(experiment) == {"*": "rmsprop_v2", "wide/*": "ftrl"}
    assert experiment.features.crosses["user_x_item"].dim == 1


class Remembering(DNN):
    """A tower that declares an optimizer for its own tables."""

    default_optimizers = MappingProxyType({"memory/*": {"type": "adagrad", "learning_rate": 0.25}})


def test_what_a_tower_declares_trains_its_tables_unless_the_config_does(make_experiment, monkeypatch):
    monkeypatch.setitem(MODELS, "remembering", Remembering)
    model = "model={type: remembering, hidden: [8]}"
    experiment = make_experiment(model)
    assert sparse_of(experiment) == {"*": "rmsprop_v2", "memory/*": "adagrad"}
    assert experiment.optimizers.sparse["memory/*"].learning_rate == 0.25
    some = make_experiment(model, 'optimizers.sparse."memory/user"={type: ftrl}')
    assert sparse_of(some) == {
        "*": "rmsprop_v2",
        "memory/user": "ftrl",
        "memory/item": "adagrad",
        "memory/hour": "adagrad",
    }


def test_a_cross_of_dim_1_is_refused_where_there_is_no_wide_part(make_experiment):
    with pytest.raises(ConfigError) as caught:
        make_experiment(CROSS)
    assert "features.columns.user_x_item: a cross with `dim: 1` is a wide weight, but model dcn_v2" in str(caught.value)
    assert make_experiment(CROSS.replace("dim: 1", "dim: 2")).features.crosses["user_x_item"].dim == 2
    assert make_experiment(CROSS, WIDE_DEEP).features.crosses["user_x_item"].dim == 1


@pytest.mark.parametrize(
    ("cross", "message"),
    [
        ("{of: [user, itm], hash: 5}", "columns.user_x_item.of: no feature 'itm'; did you mean 'item'?"),
        ("{of: [user, history], hash: 5}", "columns.user_x_item.of: 'history' is a sequence"),
        ("{of: [user, price], hash: 5}", "columns.user_x_item.of: 'price' is a numeric"),
        ("{of: [user, item]}", "features.columns.user_x_item.hash: missing setting. Add it."),
        ("{of: [user], hash: 5}", "features.columns.user_x_item.of: "),
        ("{of: [user, item], hash: 5, dims: 4}", "columns.user_x_item: unknown key 'dims'; did you mean 'dim'?"),
    ],
)
def test_a_mistake_in_a_cross_is_named_with_its_key(make_experiment, cross, message):
    with pytest.raises(ConfigError) as caught:
        make_experiment(WIDE_DEEP, "features.columns.user_x_item=" + cross.replace("{", "{type: cross, "))
    assert message in str(caught.value)
