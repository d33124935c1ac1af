"""Errors in YAML: the place is never lost, the words are plain, and the end says what to do."""

import pytest

from ctr.config.yaml_file import parse_override, read
from ctr.errors import ConfigError

ERRORS = {
    "[1,2": "line 1, column 5: expected ',' or ']', but got the end while parsing a list in brackets. Correct",
    "name: tiny\nab: [1,2": "line 2, column 9: expected ',' or ']', but got the end while parsing a list in brackets.",
    "a: [1, 2\nname: x": "line 2, column 5: expected ',' or ']', but got ':' while parsing a list in brackets that "
    "starts at line 1, column 4. Correct this place.",
    "a: {b: 1": "line 1, column 9: expected ',' or '}', but got the end while parsing a mapping in braces.",
    "a: b\n\tc: d": "line 2, column 1: found character '\\t' that cannot start any token. Correct this place.",
    "a: 1\nb: 2\n\na: 3": "line 4, column 1: duplicate key 'a'. Correct this place.",
    "x:\n  when: 2026-02-31": "line 2, column 9: invalid timestamp: day is out of range for month. Correct this place.",
    "sparse: {*: 3}": "line 1, column 11: expected alphabetic or numeric character, but found ':' while scanning an "
    "alias. Quote text that starts with `*`, or correct this place.",
    "keep: *b": "line 1, column 7: found undefined alias 'b'. Quote text that starts with `*`, or correct this place.",
    "- a\nb: c": "line 2, column 1: expected the end of a block, but found '?' while parsing a list that starts",
    "---\na: 1\n---\nb: 2": "line 3, column 1: expected a single document in the stream, but found another document",
}


@pytest.mark.parametrize("text", ERRORS)
def test_a_mistake_in_yaml_has_its_place(text, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: invalid YAML: {ERRORS[text]}")


def test_a_long_mistake_keeps_its_place(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(f"seed: 1\nb: !!{'x' * 500} 1\n")
    with pytest.raises(ConfigError) as error:
        read(path)
    message = str(error.value).removeprefix(f"{path}: invalid YAML: ")
    assert message.startswith("line 2, column 4: could not determine a constructor for the tag 'tag:yaml.org,2002:xxx")
    assert message.endswith("xxx ... Correct this place.")
    assert len(message) < 200


def test_set_names_the_place_in_its_value():
    with pytest.raises(ConfigError) as error:
        parse_override("seed=[1")
    assert str(error.value) == (
        "--set 'seed=[1': line 1, column 3: expected ',' or ']', but got the end while parsing a list in brackets. "
        "Correct this place."
    )
