"""Settings of features that a config accepts, and those that it rejects."""

import pytest
from pydantic import ValidationError

from features import KINDS, Features, Split
from features.settings import nearest


def declared(columns, **defaults):
    return Features(defaults=defaults, columns=columns).columns


def message(columns, **defaults):
    with pytest.raises(ValidationError) as error:
        declared(columns, **defaults)
    return str(error.value)


# Defaults


def test_a_feature_without_settings_is_a_categorical_with_a_vocabulary_and_a_table_of_its_name():
    feature = declared({"user": {}})["user"]
    assert (feature.type, feature.column, feature.table) == ("categorical", "user", "user")
    assert feature.vocabulary.min_count == 1


def test_a_column_without_a_value_is_a_feature_without_settings():
    assert declared({"user": None}) == declared({"user": {}})


def test_features_keep_their_declared_order():
    assert list(declared({"b": {}, "a": {"type": "numeric"}, "c": {}})) == ["b", "a", "c"]


def test_a_default_reaches_only_the_kinds_that_have_its_key():
    columns = {"user": {}, "price": {"type": "numeric"}, "history": {"type": "sequence"}}
    found = declared(columns, dim=4, max_length=7, transform="log1p", missing=["?"], time_zone="Asia/Tokyo")
    assert [feature.dim for feature in found.values()] == [4, 4, 4]
    assert (found["history"].max_length, found["price"].transform) == (7, "log1p")
    assert found["user"].missing == found["history"].missing == ["?"]
    assert found["user"].time_zone == "Asia/Tokyo"


def test_a_default_as_reaches_numerics_under_its_name_in_the_config():
    assert declared({"user": {}, "price": {"type": "numeric"}}, **{"as": "embedding"})["price"].as_ == "embedding"


def test_a_default_kind_is_the_kind_of_features_without_one():
    found = declared({"price": {}, "user": {"type": "categorical"}}, type="numeric")
    assert [feature.type for feature in found.values()] == ["numeric", "categorical"]


def test_a_feature_overrides_a_default():
    assert declared({"user": {"dim": 2}}, dim=4)["user"].dim == 2


@pytest.mark.parametrize("own", [{"hash": 10}, {"identity": 10}, {"part": "hour"}], ids=str)
def test_an_encoding_of_its_own_replaces_the_default_one(own):
    feature = declared({"user": own}, vocabulary={"min_count": 2})["user"]
    assert feature.vocabulary is None
    assert own.items() <= feature.model_dump().items()


def test_a_vocabulary_of_its_own_replaces_a_default_hash():
    feature = declared({"user": {"vocabulary": {"min_count": 3}}}, hash=10)["user"]
    assert (feature.hash, feature.vocabulary.min_count) == (None, 3)


def test_a_default_encoding_reaches_features_without_one():
    assert declared({"user": {}, "price": {"type": "numeric"}}, hash=10)["user"].hash == 10


def test_features_read_back_from_their_dump_are_the_same():
    features = Features(
        defaults={"dim": 4, "vocabulary": {"min_count": 2}},
        columns={
            "user": {"missing": ["?", -1]},
            "id": {"hash": 10},
            "hour": {"column": "ts", "part": "hour"},
            "price": {"type": "numeric", "as": "embedding", "clip": None},
            "history": {"type": "sequence", "table": "user", "pooling": "sum"},
        },
    )
    assert Features.model_validate(features.model_dump(mode="json", by_alias=True)) == features


# Rejected settings


@pytest.mark.parametrize(
    ("columns", "unknown", "hint"),
    [
        ({"user": {"dimm": 4}}, "unknown key 'dimm'", "did you mean 'dim'?"),
        ({"user": {"vocabulary": {"mincount": 2}}}, "unknown key 'mincount'", "did you mean 'min_count'?"),
        ({"history": {"type": "sequence", "max_lenght": 5}}, "unknown key 'max_lenght'", "did you mean 'max_length'?"),
        ({"price": {"type": "numeric", "tranform": "log1p"}}, "unknown key 'tranform'", "did you mean 'transform'?"),
        (
            {"price": {"type": "numeric", "missing": ["?"]}},
            "'missing' is not a key of type numeric",
            "but of categorical, sequence",
        ),
        ({"user": {"zzz": 4}}, "unknown key 'zzz'", "known: column, "),
    ],
    ids=["categorical", "vocabulary", "sequence", "numeric", "another kind's", "like no other"],
)
def test_an_unknown_key_names_the_nearest(columns, unknown, hint):
    text = message(columns)
    assert unknown in text
    assert hint in text


def test_a_feature_has_no_name_but_its_key():
    assert "unknown key 'name'" in message({"user": {"name": "customer"}})


def test_an_unknown_default_names_the_nearest():
    text = message({"user": {}}, dimm=4)
    assert "'dimm'" in text
    assert "did you mean 'dim'?" in text


def test_an_unknown_key_beside_columns_names_the_nearest():
    with pytest.raises(ValidationError, match=r"unknown key 'default'; did you mean 'defaults'\?"):
        Features(default={}, columns={"user": {}})


@pytest.mark.parametrize(
    ("columns", "defaults", "received"),
    [
        ({"user": {"hash": 10, "identity": 5}}, {}, "hash, identity"),
        ({"user": {"vocabulary": {}, "part": "hour"}}, {}, "vocabulary, part"),
        ({"user": {}}, {"hash": 10, "vocabulary": {}}, "vocabulary, hash"),
        ({"history": {"type": "sequence", "hash": 10, "vocabulary": {}}}, {}, "vocabulary, hash"),
    ],
    ids=str,
)
def test_two_encodings_are_an_error(columns, defaults, received):
    text = message(columns, **defaults)
    assert "exactly one of vocabulary, hash, identity, part" in text
    assert f"Received: {received}" in text


@pytest.mark.parametrize(
    "own",
    [
        {"dim": 0},
        {"hash": 0},
        {"identity": -1},
        {"vocabulary": {"min_count": 0}},
        {"part": "minute"},
        {"part": "hour", "time_zone": "Mars/Olympus"},
        {"type": "numeric", "transform": "sqrt"},
        {"type": "numeric", "clip": -1},
        {"type": "sequence", "max_length": 0},
        {"type": "sequence", "part": "hour"},
        {"type": "numerical"},
        "categorical",
    ],
    ids=str,
)
def test_a_value_that_means_nothing_is_an_error_that_names_the_feature(own):
    assert "columns.user" in message({"user": own})


def test_an_unknown_kind_is_told_the_kinds_there_are():
    assert "unknown type 'numerical'; did you mean 'numeric'?" in message({"user": {"type": "numerical"}})
    assert f"known: {', '.join(KINDS)}" in message({"user": {"type": "text"}})


def test_there_is_at_least_one_feature():
    assert "at least 1 item" in message({})


def test_settings_cannot_be_changed():
    feature = declared({"user": {}})["user"]
    with pytest.raises(ValidationError, match="frozen"):
        feature.dim = 3


# Shared tables


@pytest.mark.parametrize(
    ("item", "history", "key"),
    [
        ({"dim": 8}, {"dim": 4}, "dim"),
        ({"hash": 10}, {"hash": 20}, "hash"),
        ({"hash": 10}, {"identity": 10}, "hash"),
        ({"vocabulary": {"min_count": 1}}, {"vocabulary": {"min_count": 2}}, "vocabulary"),
    ],
    ids=str,
)
def test_features_that_share_a_table_must_agree_on_it(item, history, key):
    text = message({"item": item, "history": {"type": "sequence", "table": "item", **history}})
    for part in ("'item' and 'history'", "table 'item'", f"differ in {key}"):
        assert part in text


def test_features_that_agree_may_share_a_table():
    found = declared({"item": {"dim": 8}, "history": {"type": "sequence", "table": "item"}}, dim=8)
    assert found["item"].table == found["history"].table == "item"


def test_no_feature_shares_the_table_of_an_embedded_numeric():
    text = message({"price": {"type": "numeric", "as": "embedding"}, "item": {"table": "price"}})
    assert "'item' cannot use table 'price', which belongs to a numeric feature" in text


# Crosses and buckets

PARTS = {"user": {}, "item": {}, "price": {"type": "numeric", "as": "buckets"}}


def cross_of(*of, **settings):
    return {"type": "cross", "of": list(of), "hash": 100, **settings}


def test_a_cross_is_of_categoricals_and_bucketed_numerics_and_has_width_1():
    feature = declared({**PARTS, "all": cross_of("item", "price", "user")})["all"]
    assert (feature.of, feature.hash, feature.dim) == (("item", "price", "user"), 100, 1)


def test_a_default_dim_reaches_crosses_and_their_own_overrides_it():
    found = declared({**PARTS, "a": cross_of("user", "item"), "b": cross_of("user", "item", dim=1)}, dim=8)
    assert (found["a"].dim, found["b"].dim) == (8, 1)


def test_a_default_hash_does_not_reach_a_cross():
    assert declared({**PARTS, "own": cross_of("user", "item")}, hash=7)["own"].hash == 100
    without = {"type": "cross", "of": ["user", "item"]}
    assert "Field required" in message({**PARTS, "without": without}, hash=7)


def test_a_cross_names_features_as_columns_does():
    columns = {1: {}, 2: {}, "both": {"type": "cross", "of": [1, 2], "hash": 10}}
    assert Features.model_validate({"columns": columns}).crosses["both"].of == ("1", "2")


def test_other_defaults_do_not_reach_a_cross():
    defaults = {"vocabulary": {"min_count": 2}, "missing": ["?"], "max_length": 3, "transform": "log1p"}
    assert declared({**PARTS, "a": cross_of("user", "item")}, **defaults)["a"].dim == 1


def test_crosses_and_buckets_read_back_from_their_dump_are_the_same():
    features = Features(
        defaults={"dim": 4}, columns={"a": cross_of("price", "user"), **PARTS, "b": cross_of("user", "item", dim=1)}
    )
    assert Features.model_validate(features.model_dump(mode="json", by_alias=True)) == features


def test_crosses_are_told_from_the_features_that_read_a_column():
    features = Features(columns={**PARTS, "a": cross_of("user", "item")})
    assert list(features.of_columns) == ["user", "item", "price"]
    assert list(features.crosses) == ["a"]


def test_an_unknown_feature_in_a_cross_is_told_the_nearest():
    text = message({**PARTS, "a": cross_of("user", "itme")})
    assert "columns.a.of: no feature 'itme'; did you mean 'item'?" in text


@pytest.mark.parametrize(
    ("own", "kind"),
    [
        ({"type": "sequence"}, "sequence"),
        ({"type": "numeric"}, "numeric"),
        ({"type": "numeric", "as": "embedding"}, "numeric"),
        (cross_of("user", "item"), "cross"),
    ],
    ids=["sequence", "plain numeric", "embedded numeric", "cross"],
)
def test_what_is_not_one_category_cannot_be_crossed(own, kind):
    text = message({**PARTS, "other": own, "a": cross_of("user", "other")})
    assert (
        f"columns.a.of: 'other' is a {kind} feature. A cross takes categorical and numeric features `as: buckets`"
        in text
    )


def test_a_cross_is_not_of_itself():
    assert "columns.a.of: 'a' is a cross" in message({**PARTS, "a": cross_of("user", "a")})


@pytest.mark.parametrize("of", [[], ["user"]], ids=str)
def test_a_cross_is_of_at_least_two(of):
    text = message({**PARTS, "a": cross_of(*of)})
    assert "columns.a.of" in text
    assert "at least 2 items" in text


def test_a_feature_stands_once_in_a_cross():
    assert "columns.a.of: duplicate feature 'user'" in message({**PARTS, "a": cross_of("user", "item", "user")})


@pytest.mark.parametrize("missing", ["of", "hash"])
def test_a_cross_needs_its_parts_and_its_buckets(missing):
    own = {key: value for key, value in cross_of("user", "item").items() if key != missing}
    assert f"columns.a.{missing}\n  Field required" in message({**PARTS, "a": own})


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"column": "x"}, "'column' is not a key of type cross, but of categorical, numeric, sequence. Remove it"),
        ({"buckets": 10}, "'buckets' is not a key of type cross, but of numeric. Remove it, or change the `type`."),
        ({"has": 10}, "unknown key 'has'; did you mean 'hash'?"),
    ],
    ids=["column", "buckets", "typing"],
)
def test_an_unknown_key_of_a_cross_names_the_nearest(settings, expected):
    assert expected in message({**PARTS, "a": cross_of("user", "item", **settings)})


@pytest.mark.parametrize("settings", [{"hash": 0}, {"hash": 2**31}, {"dim": 0}, {"of": "user"}, {"of": ["user", 3]}])
def test_a_cross_that_means_nothing_is_an_error_that_names_it(settings):
    assert "columns.a" in message({**PARTS, "a": cross_of("user", "item") | settings})


@pytest.mark.parametrize(
    ("own", "kind"), [(cross_of("user", "item", dim=4), "cross"), (PARTS["price"], "numeric")], ids=["cross", "buckets"]
)
def test_no_feature_shares_the_table_of_a_cross_or_of_buckets(own, kind):
    text = message({"user": {}, "item": {}, "a": own, "friend": {"table": "a"}})
    assert f"'friend' cannot use table 'a', which belongs to a {kind} feature" in text


@pytest.mark.parametrize("buckets", [0, 1, 100_001, 2.5])
def test_there_are_at_least_two_buckets_and_not_too_many(buckets):
    assert "columns.price.buckets" in message({"price": {**PARTS["price"], "buckets": buckets}})


def test_a_default_as_and_buckets_reach_numerics():
    found = declared({"user": {}, "price": {"type": "numeric"}}, **{"as": "buckets", "buckets": 7, "dim": 3})["price"]
    assert (found.as_, found.buckets, found.dim) == ("buckets", 7, 3)


# Splits


@pytest.mark.parametrize(
    "settings",
    [
        {"by": "rows", "fractions": [0.5, 0.2, 0.2]},
        {"by": "rows", "fractions": [0.0, 0.5, 0.5]},
        {"by": "rows", "fractions": [1.2, -0.1, -0.1]},
        {"by": "rows", "fractions": [1.0]},
        {"by": "time", "fractions": [0.8, 0.1, 0.1]},
        {"by": "rows", "column": "ts", "fractions": [0.8, 0.1, 0.1]},
        {"by": "day", "fractions": [0.8, 0.1, 0.1]},
    ],
    ids=["sum", "no training", "negative", "one", "time without column", "column without time", "unknown"],
)
def test_a_split_that_is_none_is_an_error(settings):
    with pytest.raises(ValidationError):
        Split(**settings)


def test_fractions_may_sum_to_1_but_for_rounding():
    assert Split(by="rows", fractions=[0.7, 0.2, 0.1]).fractions == (0.7, 0.2, 0.1)


# Names


def test_nearest_suggests_a_close_name_or_else_lists_all():
    assert nearest("colunm", ["column", "dim"]) == "did you mean 'column'?"
    assert nearest("zzz", ["column", "dim"]) == "known: column, dim"
