"""Study files, and errors of invalid ones."""

import pytest
import yaml

from ctr.comparison.study import list_variants, load_study
from ctr.errors import ConfigError

FTRL = {'optimizers.sparse."*"': {"type": "ftrl", "learning_rate": 0.1}}
TUNED = {'optimizers.sparse."*"': {"type": "sgd", "learning_rate": {"tune": [0.1, 10]}}}


@pytest.fixture
def write(config):
    """Write a study of the small experiment, and load it."""

    def load(values, *overrides):
        path = config.parent / "study.yaml"
        path.write_text(yaml.safe_dump({"name": "study", "experiment": config.name, **values}, sort_keys=False))
        return load_study(path, list(overrides))

    return load


def axes(**options):
    return {"axes": {"sparse": options}}


def test_every_combination_is_a_cell_and_the_baseline_comes_first(write):
    study = write(
        {
            "axes": {"sparse": {"base": {}, "ftrl": FTRL}, "batch": {"training.batch_size": [32, 64]}},
            "baseline": {"sparse": "ftrl", "batch": 64},
        }
    )
    variants = list_variants(study)
    assert [variant.name for variant in variants] == ["ftrl+64", "base+32", "base+64", "ftrl+32"]
    experiment = variants[0].experiment({}, seed=5)
    assert (experiment.training.batch_size, experiment.optimizers.sparse["*"].type) == (64, "ftrl")
    assert (experiment.seed, experiment.name) == (5, "ftrl+64, seed 5")


def test_the_experiment_may_stand_in_the_study_or_beside_it(write, config):
    inside = write({**axes(a={}, b=FTRL), "experiment": yaml.safe_load(config.read_text())})
    assert inside == write(axes(a={}, b=FTRL))


def test_settings_are_of_every_run_and_an_option_overrules_them(write):
    values = {"settings": {"training.epochs": 7, "training.batch_size": 16}, **axes(a={}, b={"training.batch_size": 8})}
    a, b = (variant.experiment({}, 1) for variant in list_variants(write(values)))
    assert (a.training.epochs, a.training.batch_size) == (7, 16)
    assert (b.training.epochs, b.training.batch_size) == (7, 8)


def test_set_changes_the_study_by_its_own_keys_and_else_every_run(write):
    study = write(axes(a={}, b=FTRL), "seeds=[4, 5]", "training.epochs=9", "data.label=w")
    assert study.seeds == [4, 5]
    experiments = [variant.experiment({}, 1) for variant in list_variants(study)]
    assert {(one.training.epochs, one.data.label) for one in experiments} == {(9, "w")}


def test_runs_have_one_thread_unless_told_otherwise(write, edit_config):
    edit_config(lambda values: values["training"].pop("threads"))
    assert {variant.experiment({}, 1).training.threads for variant in list_variants(write(axes(a={}, b=FTRL)))} == {1}
    study = write(axes(a={}, b=FTRL), "training.threads=2")
    assert {variant.experiment({}, 1).training.threads for variant in list_variants(study)} == {2}


def test_cells_do_not_share_what_they_change(write):
    study = write({"settings": {"optimizers.sparse": {"*": {"type": "adagrad"}}}, **axes(a={}, b=FTRL)})
    assert [variant.experiment({}, 1).optimizers.sparse["*"].type for variant in list_variants(study)] == [
        "adagrad",
        "ftrl",
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"axes": {}}, "axes"),
        (axes(), "sparse: expected options with their settings"),
        (axes(a={}), "axes: a comparison needs at least two variants, found 1. Add an option to an axis."),
        (axes(**{"a/b": {}, "c": {}}), "an option's name becomes a folder name"),
        (axes(**{"..": {}, "c": {}}), "an option's name becomes a folder name"),
        (
            {"axes": {"correction": {True: {}, False: FTRL}}},
            "quote names that YAML would convert, such as true. Received: True",
        ),
        (axes(a=[1, 2], b=[3]), "expected one key with a list of plain values"),
        (axes(**{"training.batch_size": [32, 32]}), "duplicate value 32. Values must be distinct. Received: [32, 32]"),
        (axes(**{"training.batch_size": [[32], [64]]}), "a list of plain values"),
        (axes(a=3, b={}), "sparse.a: expected settings, dotted keys with values. Received: 3"),
        (axes(a={}, b={"training..epochs": 3}), "axes.sparse.b: 'training..epochs' is not a dotted key"),
        (axes(a={}, b={"data.label.x": 3}), "'label' is not a mapping"),
        ({**axes(a={}, b={}), "baseline": {"spare": "a"}}, "unknown axis 'spare'; did you mean 'sparse'?"),
        ({**axes(aa={}, b={}), "baseline": {"sparse": "aaa"}}, "unknown option 'aaa'; did you mean 'aa'?"),
        ({**axes(a={}, b={}), "seeds": []}, "seeds"),
        ({**axes(a={}, b={}), "seeds": [1, 1]}, "duplicate seed 1. Seeds must be distinct. Received: [1, 1]"),
        ({**axes(a={}, b={}), "seed": 1}, "unknown key 'seed'; did you mean 'seeds'?"),
        (axes(a={}, b=TUNED), "is a search range, but the study has no tuning budget. Add `tuning: {trials: 3}`."),
        ({**axes(a={}, b=TUNED), "tuning": {"trials": 3}}, "variant a has no search range"),
        ({**axes(a={}, b={}), "tuning": {"trials": 3}}, ", or remove `tuning`."),
        (
            {**axes(a=TUNED, b=TUNED), "tuning": {"trials": 2, "seed": 1}, "seeds": [1]},
            "1 is also one of `seeds`. Use a separate seed for trials.",
        ),
        (
            {"axes": {"seed": {"training.batch_size": [8, 9]}}},
            "axis 'seed' has the name of a column of runs.csv. Rename the axis.",
        ),
        ({"axes": {"s": {"seed": [1, 2]}}}, "the comparison sets 'seed'. Use `seeds` of the study instead."),
        (
            {**axes(a={}, b={}), "settings": {"name": "x"}},
            "the comparison sets 'name'. Use `name` of the study instead.",
        ),
        ({**axes(a={}, b={}), "experiment": "nowhere.yaml"}, "nowhere.yaml: no such config file"),
        ({**axes(a={}, b={}), "experiment": 3}, "experiment"),
    ],
)
def test_a_mistake_is_one_message(write, values, message):
    with pytest.raises(ConfigError) as error:
        write(values)
    assert message in str(error.value)


def test_a_wrong_setting_of_an_option_names_the_variant(write):
    study = write(axes(a={}, b={"training.epoch": 3}))
    with pytest.raises(ConfigError, match=r"variant b: training: unknown key 'epoch'; did you mean 'epochs'\?"):
        list_variants(study)[1].experiment({}, 1)
