"""Patterns of features: which columns they match, and in which order."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctr.config.dropped_features import dropped_names
from ctr.config.feature_patterns import expand_patterns, is_pattern
from ctr.errors import ConfigError

WHERE = "clicks/part-0.parquet"
names = st.text("abC*?1", min_size=1, max_size=3)
settings = st.fixed_dictionaries({}, optional={"dim": st.integers(1, 9), "column": st.text("abC1", min_size=1)})
columns = st.lists(names, unique=True, max_size=12)
declarations = st.dictionaries(names, settings, min_size=1, max_size=6)


def attempt(declared, columns, used):
    """Return the expanded features; None where a pattern has no column or two of one length match a column."""
    patterns = [key for key in declared if is_pattern(key, declared[key]) and key not in columns]
    named = {key: declared[key] for key in declared if key not in patterns}
    taken = {*named, *used, *(values.get("column") for values in named.values())}
    matching = [[key for key in patterns if fnmatchcase(column, key)] for column in columns if column not in taken]
    lengths = [sorted(len(key) for key in keys if key != "*") for keys in matching]
    is_ambiguous = any(len(of_one) > 1 and of_one[-1] == of_one[-2] for of_one in lengths)
    if is_ambiguous or set(patterns) - {key for keys in matching for key in keys}:
        with pytest.raises(ConfigError, match=r"equal length|matches no column|matches only columns with another use"):
            expand_patterns(declared, columns, used, WHERE)
        return None
    return expand_patterns(declared, columns, used, WHERE)


def owner(column, declared, columns):
    """Return the key that declares a column: its name, else the longest pattern, `*` last; None if nothing does."""
    patterns = [key for key in declared if is_pattern(key, declared[key]) and key not in columns]
    read = {declared[key].get("column") for key in declared if key not in patterns}
    if column in declared and column not in patterns:
        return column
    lengths = {key: 0 if key == "*" else len(key) for key in patterns if fnmatchcase(column, key)}
    return None if column in read or not lengths else max(lengths, key=lengths.get)


@given(declarations, columns, st.sets(names))
def test_each_column_belongs_to_its_name_or_else_to_its_longest_pattern(declared, columns, used):
    expanded = attempt(declared, columns, dict.fromkeys(used, "data.keep"))
    if expanded is None:
        return
    owners = {column: owner(column, declared, columns) for column in columns}
    for column, key in owners.items():
        is_free = key == column or column not in used
        assert (column in expanded) == (key is not None and is_free)
        if column in expanded:
            assert expanded[column] == declared[key]
    not_columns = {name for name in declared if name not in columns and not is_pattern(name, declared[name])}
    assert set(expanded) == {name for name in owners if name in expanded} | not_columns


@given(declarations, columns)
def test_columns_come_in_file_order_where_their_pattern_stands(declared, columns):
    expanded = attempt(declared, columns, {})
    if expanded is None:
        return
    keys = [owner(name, declared, columns) if name in columns else name for name in expanded]
    assert keys == sorted(keys, key=list(declared).index)
    for key in declared:
        members = [name for name, its_key in zip(expanded, keys, strict=True) if its_key == key]
        assert members == [name for name in columns if name in members] or members == [key]


@given(declarations, columns, st.sets(names))
def test_an_expanded_config_stays_as_it_is(declared, columns, used):
    used = dict.fromkeys(used, "data.keep")
    expanded = attempt(declared, columns, used)
    if expanded is not None:
        assert list(expand_patterns(expanded, columns, used, WHERE).items()) == list(expanded.items())
        resolved = {name: {"column": name, **values} for name, values in expanded.items()}
        assert expand_patterns(resolved, [], {}, WHERE) == resolved  # without a look at the data


@given(st.lists(names, unique=True), st.lists(names))
def test_a_drop_names_a_feature_or_matches_some(names, dropped):
    expected = {key: {key} if key in names else {n for n in names if fnmatchcase(n, key)} for key in dropped}
    if all(expected.values()):
        assert dropped_names(names, dropped) == set().union(*expected.values())
    else:
        with pytest.raises(ConfigError, match="no feature to drop"):
            dropped_names(names, dropped)


def test_features_of_a_pattern_do_not_share_settings():
    expanded = expand_patterns({"C*": {"vocabulary": {"min_count": 2}}}, ["C1", "C2"], {}, WHERE)
    assert expanded["C1"] == expanded["C2"]
    assert expanded["C1"] is not expanded["C2"]
    assert expanded["C1"]["vocabulary"] is not expanded["C2"]["vocabulary"]


def test_a_column_that_is_called_like_a_pattern_is_a_name():
    assert expand_patterns({"C*": {"dim": 2}}, ["C*", "C1"], {}, WHERE) == {"C*": {"dim": 2}}
    assert expand_patterns({"x[0]": None, "x*": {}}, ["x[0]", "x[1]"], {}, WHERE) == {"x[0]": None, "x[1]": {}}


def test_a_pattern_leaves_the_columns_that_named_features_read():
    declared = {
        "*": {},
        "hour": {"column": "ts", "part": "hour"},
        "user": {},
        "a_x_b": {"type": "cross", "of": ["a", "b"]},
    }
    expanded = expand_patterns(declared, ["ts", "a", "user", "b", "label"], {"label": "data.label"}, WHERE)
    assert list(expanded) == ["a", "b", "hour", "user", "a_x_b"]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (
            {"c*": {}},
            "features.columns.c*: matches no column of clicks/part-0.parquet. Correct the pattern; the nearest columns "
            "are: C1, C2, label.",
        ),
        (
            {"l*": {}},
            "features.columns.l*: matches only columns with another use: label (data.label). Declare them by name, or "
            "remove the pattern.",
        ),
        (
            {"C?": {}, "?1": {}},
            "features.columns: 'C1' is matched by two patterns of equal length, 'C?' and '?1'. Declare 'C1' by name.",
        ),
    ],
)
def test_a_pattern_that_stands_for_nothing_certain_is_an_error(declared, message):
    with pytest.raises(ConfigError) as caught:
        expand_patterns(declared, ["label", "C1", "C2"], {"label": "data.label"}, WHERE)
    assert str(caught.value) == message
