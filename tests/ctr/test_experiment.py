"""One YAML file is one experiment: what it accepts, and what it says of mistakes."""

import pytest

from ctr.experiment import ConfigError, load_experiment


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


MISTAKES = [
    ("training.batchsize=3", "training: unknown key 'batchsize'; did you mean 'batch_size'?"),
    ("training.batch_size=0", "training.batch_size: Input should be greater than 0. Received: 0"),
    ("training.validate_every={epochs: 1, steps: 5}", "training.validate_every: needs `epochs` or `steps`"),
    ("model.type=dcn", "model: no such type: 'dcn'; did you mean 'dcn_v2'?"),
    ("model.structure=paralel", "model.structure: Input should be 'stacked', 'parallel'"),
    ("model.hiden=[8]", "model: unknown key 'hiden'; did you mean 'hidden'?"),
    ("optimizers.sparse.*.lr=1", "optimizers.sparse.*: unknown key 'lr'"),
    ("optimizers.sparse.*.type=adam", "optimizers.sparse.*: no such type: 'adam'; known: rmsprop_v2"),
    ("features.columns.user.dims=4", "features.columns.user: unknown key 'dims'; did you mean 'dim'?"),
    ("features.columns.user.kind=categoric", "features.columns.user: Input tag 'categoric'"),
    ("features.columns.history.dim=8", "'item' and 'history' share the table 'item' but differ in dim"),
    ("features.defaults.dimm=3", "features: defaults: unknown key 'dimm'"),
    ("data.path=null", "data: needs `path` with `split`, or `train`"),
    ("data.split.fractions=[0.5, 0.1, 0.1]", "fractions must sum to 1"),
    ("name=a/b", "name: a name becomes a folder: no slash"),
    ("seed", "--set needs KEY=VALUE"),
    ("a..b=1", "not understood"),
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
        ("a: [", "not YAML"),
        ("- 1", "a config is a mapping"),
        ("!!python/object:x {}", "not YAML"),
    ],
)
def test_a_file_that_is_no_config(tmp_path, text, message):
    path = tmp_path / "x.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_experiment(path)
