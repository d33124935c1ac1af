"""A single value of a setting that is a list means a list of one."""

import pytest
import yaml
from pydantic import ValidationError

from ctr.config.experiment import check_experiment
from ctr.config.yaml_file import parse, put, split_key
from ctr.errors import ConfigError
from features import Features

SETTINGS = {
    "data.keep": ("ts", ["ts"]),
    "report.slices": ("item", ["item"]),
    "features.columns.item.missing": ('"null"', ["null"]),
    "features.columns.user.missing": ("-1", [-1]),
    "features.columns.history.missing": ('""', [""]),
}
"""Key -> a value as YAML text, and what the resolved config has."""


def checked(config, settings):
    """Return the resolved config of the small experiment with settings of YAML texts."""
    values = yaml.safe_load(config.read_text())
    for key, text in settings.items():
        put(values, split_key(key), parse(text), "test")
    return check_experiment(values, "tiny.yaml").to_yaml()


@pytest.mark.parametrize("key", SETTINGS)
def test_one_value_means_a_list_of_one(key, config):
    text, expected = SETTINGS[key]
    resolved = checked(config, {key: text})
    assert resolved == checked(config, {key: f"[{text}]"})
    value = yaml.safe_load(resolved)
    for part in split_key(key):
        value = value[part]
    assert value == expected


@pytest.mark.parametrize("text", ["null", "no", "off", "true", "[null]", "[no, NA]"])
def test_a_word_that_yaml_converts_is_no_missing_value(text, config):
    with pytest.raises(ConfigError) as error:
        checked(config, {"features.columns.user.missing": text})
    advice = 'YAML converts words such as null and no. Quote them, as in ["null"].'
    assert f"features.columns.user.missing: must be strings or integers, but {advice}" in str(error.value)


@pytest.mark.parametrize("value", [1.5, {"null": 1}])
def test_another_value_is_refused_as_before(value):
    with pytest.raises(ValidationError, match="valid list"):
        Features(columns={"user": {"missing": value}})
