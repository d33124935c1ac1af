"""The axis `drop`: variants that train without a feature or a group of features."""

import pytest
import yaml

from ctr.comparison.drop_axis import drop_options
from ctr.comparison.study import Study, list_variants, load_study
from ctr.errors import ConfigError
from tests.ctr.comparison.comparisons import compared_anew, variant_named

ALL = ["user", "item", "history", "hour", "price"]


@pytest.fixture
def write(config):
    """Write a study of the small experiment, and load it."""

    def load(drop, *overrides, **values):
        path = config.parent / "study.yaml"
        axes = {"drop": drop, **values.pop("axes", {})}
        path.write_text(
            yaml.safe_dump({"name": "study", "experiment": config.name, "axes": axes, **values}, sort_keys=False)
        )
        return load_study(path, list(overrides))

    return load


def features_of(study):
    return {variant.name: list(variant.experiment({}, 1).features.columns) for variant in list_variants(study)}


def test_each_listed_feature_is_left_out_in_turn_and_the_baseline_has_all(write):
    study = write(["hour", "user"])
    assert features_of(study) == {
        "none": ALL,
        "hour": ["user", "item", "history", "price"],
        "user": ["item", "history", "hour", "price"],
    }
    assert Study.model_validate(study.model_dump(mode="json")) == study  # as study.yaml of the comparison has it


def test_groups_and_patterns(write):
    assert features_of(write({"time": ["hour"], "items": ["i*", "history"], "price": "price"})) == {
        "none": ALL,
        "time": ["user", "item", "history", "price"],
        "items": ["user", "hour", "price"],
        "price": ["user", "item", "history", "hour"],
    }
    assert list(features_of(write(["h*", "*e*"]))) == ["none", "h-", "-e-"]


def test_it_combines_with_other_axes_and_another_baseline(write):
    study = write(["hour"], axes={"batch": {"training.batch_size": [32, 64]}}, baseline={"drop": "hour", "batch": 64})
    variants = list_variants(study)
    assert [variant.name for variant in variants] == ["hour+64", "none+32", "none+64", "hour+32"]
    assert [len(variant.experiment({}, 1).features.columns) for variant in variants] == [4, 5, 5, 4]


def test_an_axis_of_that_name_can_have_options_with_settings(write):
    study = write({"low": {"model.dropout": 0.1}, "high": {"model.dropout": 0.5}})
    assert [variant.experiment({}, 1).model.dropout for variant in list_variants(study)] == [0.1, 0.5]


def test_one_search_range_of_a_pattern_is_one_for_all_its_columns(config, write):
    values = yaml.safe_load(config.read_text())
    values["features"]["columns"] = {"user": {}, "*": {"dim": {"tune": [2, 8], "integer": True}, "hash": 9}}
    values["data"]["split"] = {"by": "rows", "fractions": [0.6, 0.2, 0.2]}
    values["data"]["keep"] = ["history", "price", "w", "ts"]
    config.write_text(yaml.safe_dump(values, sort_keys=False))
    study = write(["user"], tuning={"trials": 2})
    variant = list_variants(study)[0]
    assert list(variant.ranges) == ['features.columns."*".dim']
    columns = variant.experiment({'features.columns."*".dim': 5}, 1).features.columns
    assert {name: feature.dim for name, feature in columns.items()} == {"user": 4, "item": 5}


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ([], "drop: must be a list of features, such as [hour, user], or groups of them"),
        ({}, "drop: must be a list of features"),
        ("hour", "drop: must be a list of features, such as [hour, user], or groups of them"),
        ([1], "Received: [1]"),
        ({"time": []}, "drop.time: must be a list of features, such as [hour, weekday]"),
        ({"model.dropout": [0.1, 0.2]}, "To vary a setting, rename the axis. Received: [0.1, 0.2]"),
        (["hour", "hour"], "two options are called 'hour'"),
        (["h*", "h?"], "two options are called 'h-'. Name groups"),
        (["none"], "the option 'none' drops nothing. Name a group for it"),
        ({"a b": ["hour"]}, "an option's name becomes a folder name"),
    ],
)
def test_an_axis_of_another_form_is_an_error(write, declared, message):
    with pytest.raises(ConfigError) as caught:
        write(declared)
    assert f"study.yaml: axes: {message}" in str(caught.value) or message in str(caught.value)


def test_a_feature_that_does_not_exist_is_an_error_of_its_variant(write):
    with pytest.raises(ConfigError, match=r"variant hours: features.columns.hours: no feature to drop; did you mean"):
        features_of(write(["hours"]))


def test_the_comparison_is_fair_without_a_feature(tmp_path):
    """Both variants read the rows in the same order, and the tables that both have start equal."""
    _, found, output = compared_anew(tmp_path, axes={"drop": drop_options(["hour"])}, seeds=[3])
    start = variant_named(found, "hour")["difference"]["start"]
    assert start["violations"] == []
    assert "data order" in start["shared"]
    assert {"user", "item"} <= set(start["shared"])
    assert {"hour"} <= set(start["differing"])
    assert "none" in output
