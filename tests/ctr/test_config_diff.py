"""Settings that differ between two experiments are named, also if one of the two does not have them."""

import pytest

from ctr.config.config_diff import bullet_list, diff_experiments
from ctr.config.experiment import load_experiment

FTRL = "{type: ftrl, l1: 0.5}"


@pytest.fixture
def without(config, edit_config):
    """Return the experiment without the setting at these keys."""

    def lacking(section, *keys):
        def remove(values):
            place = values[section]
            for key in keys[:-1]:
                place = place[key]
            del place[keys[-1]]

        edit_config(remove)
        return load_experiment(config)

    return lacking


def test_equal_experiments_have_no_difference(make_experiment):
    assert diff_experiments(make_experiment(), make_experiment()) == []


def test_a_value_is_named_with_both_sides(make_experiment):
    assert diff_experiments(make_experiment(), make_experiment("training.batch_size=32")) == [
        "training.batch_size: 64 in the run, 32 now"
    ]


def test_a_feature_is_named_whichever_lacks_it(make_experiment, without):
    whole, lacking = make_experiment(), without("features", "columns", "hour")

    [removed], [added] = diff_experiments(whole, lacking), diff_experiments(lacking, whole)

    assert removed == "features.columns, only in the run: hour"
    assert added == "features.columns, only now: hour"


def test_features_of_another_dataset_are_listed_by_name(make_experiment, edit_config, config):
    whole = make_experiment()
    others = {name: {"type": "numeric"} for name in ("ad", "app", "banner", "hour of day", "ip", "site.id")}

    def replace_features(values):
        values["features"]["columns"] = others
        values["training"]["epochs"] = 7

    edit_config(replace_features)
    assert diff_experiments(whole, load_experiment(config)) == [
        "features.columns, only in the run: user, item, history, hour, price",
        "features.columns, only now: ad, app, banner, hour of day, ip and 1 more",
        "training.epochs: 3 in the run, 7 now",
    ]


def test_an_optimizer_of_a_pattern_is_named_whichever_lacks_it(make_experiment):
    plain, chosen = make_experiment(), make_experiment(f"optimizers.sparse.user={FTRL}")

    [removed], [added] = diff_experiments(chosen, plain), diff_experiments(plain, chosen)

    assert removed.startswith("optimizers.sparse.user: {'type': 'ftrl'")
    assert added.startswith("optimizers.sparse.user: absent in the run")


def test_the_order_of_features_is_a_difference(make_experiment, edit_config, config):
    whole = make_experiment()
    edit_config(lambda values: values["features"]["columns"].update(user=values["features"]["columns"].pop("user")))

    [line] = diff_experiments(whole, load_experiment(config))

    assert line.startswith("features.columns: the order user, item, history, hour, price in the run")


def test_patterns_choose_what_counts(make_experiment):
    before, now = make_experiment(), make_experiment("training.batch_size=32", "training.epochs=9", "seed=4")

    assert diff_experiments(before, now, ("training.*",), ("training.epochs",)) == [
        "training.batch_size: 64 in the run, 32 now"
    ]


def test_a_list_of_many_lines_is_cut():
    assert bullet_list("many:", [str(k) for k in range(7)]).splitlines() == [
        "many:",
        *(f"  {k}" for k in range(5)),
        "  and 2 more",
    ]
