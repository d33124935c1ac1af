"""Mistakes in settings, in plain words: every type of error that pydantic reports for a config."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from ctr.config.messages import EXPECTED, LENGTHS, explain
from features import Features, Settings


class Inner(Settings):
    epochs: int = 1


class Everything(Settings):
    text: str = ""
    whole: int = 0
    rate: Annotated[float, Field(gt=0.1, le=1)] = 1.0
    size: Annotated[int, Field(ge=2, lt=2**31)] = 2
    even: Annotated[int, Field(multiple_of=2)] = 2
    is_on: bool = False
    widths: list[int] = []
    shape: tuple[int, ...] = ()
    rates: tuple[float, ...] = ()
    pair: tuple[str, str] = ("a", "b")
    triple: tuple[float, float, float] = (0.0, 0.0, 0.0)
    few: Annotated[list[int], Field(min_length=1, max_length=2)] = [1]
    code: Annotated[str, Field(min_length=2, max_length=3)] = "ab"
    targets: dict[str, str] = {}
    limits: dict[str, int] = {}
    inner: Inner = Inner()
    by: Literal["rows", "time"] = "rows"
    beta: float | Literal["1 - 1/t"] = 0.9
    words: list[str | int] = []
    either: bool | int = True
    anything: Any = None


MESSAGES = [
    ({"text": 7}, "text: must be text, in quotes. Received: 7"),
    ({"text": False}, "text: must be text, in quotes. Received: False"),
    ({"text": None}, "text: must be text. Received: None"),
    ({"text": ["a"]}, "text: must be text. Received: ['a']"),
    ({"whole": "many"}, "whole: must be an integer. Received: 'many'"),
    ({"whole": 1.5}, "whole: must be an integer. Received: 1.5"),
    ({"whole": [1]}, "whole: must be an integer. Received: [1]"),
    ({"rate": "fast"}, "rate: must be a number. Received: 'fast'"),
    ({"rate": {"a": 1}}, "rate: must be a number. Received: {'a': 1}"),
    ({"rate": float("nan")}, "rate: must be a finite number. Received: nan"),
    ({"rate": 0.1}, "rate: must be above 0.1. Received: 0.1"),
    ({"rate": 1.5}, "rate: must be at most 1. Received: 1.5"),
    ({"size": 1}, "size: must be at least 2. Received: 1"),
    ({"size": 2**31}, "size: must be below 2,147,483,648. Received: 2147483648"),
    ({"even": 3}, "even: must be a multiple of 2. Received: 3"),
    ({"is_on": 3}, "is_on: must be true or false. Received: 3"),
    ({"is_on": None}, "is_on: must be true or false. Received: None"),
    ({"widths": 64}, "widths: must be a list, such as [64]. Received: 64"),
    ({"shape": 64}, "shape: must be a list, such as [64]. Received: 64"),
    ({"widths": "wide"}, "widths: must be a list. Received: 'wide'"),
    ({"widths": None}, "widths: must be a list. Received: None"),
    ({"widths": ["wide"]}, "widths.0: must be an integer. Received: 'wide'"),
    ({"pair": ["a"]}, "pair: must have 2 entries. Received: ['a']"),
    ({"triple": [1]}, "triple: must have 3 entries. Received: [1]"),
    ({"triple": []}, "triple: must have 3 entries. Received: []"),
    ({"triple": [1, 2, 3, 4]}, "triple: must have at most 3 entries. Received: [1, 2, 3, 4]"),
    ({"few": []}, "few: must have at least 1 entry. Received: []"),
    ({"code": "a"}, "code: must have at least 2 characters. Received: 'a'"),
    ({"code": "abcd"}, "code: must have at most 3 characters. Received: 'abcd'"),
    ({"targets": 3}, "targets: must be a mapping. Received: 3"),
    ({"targets": {"str": 3}}, "targets.str: must be text, in quotes. Received: 3"),
    ({"inner": 3}, "inner: must be a mapping of settings. Received: 3"),
    ({"inner": {"epoch": 3}}, "inner: unknown key 'epoch'; did you mean 'epochs'?"),
    ({"by": "day"}, "by: must be 'rows' or 'time'. Received: 'day'"),
    ({"beta": "x"}, "beta: must be a number, or '1 - 1/t'. Received: 'x'"),
    ({"words": ["a", [1]]}, "words.1: must be text, or an integer. Received: [1]"),
]
BOOLEANS = [
    ("rate", True, "a number", "True"),
    ("whole", False, "an integer", "False"),
    ("beta", True, "a number", "True"),
    ("widths", [2, True], "a list of integers", "[2, True]"),
    ("shape", (True,), "a list of integers", "(True,)"),
    ("rates", [False], "a list of numbers", "[False]"),
]


@pytest.mark.parametrize(("values", "message"), MESSAGES, ids=str)
def test_a_mistake_in_plain_words(values, message):
    with pytest.raises(ValidationError) as error:
        Everything(**values)
    assert explain(error.value) == message


def test_no_words_of_pydantic_remain_in_the_translations():
    words = " ".join([*EXPECTED.values(), *LENGTHS.values()])
    assert not [word for word in ("Input", "valid", "dictionary", "instance", "tuple", "parse") if word in words]


@pytest.mark.parametrize(("key", "value", "expected", "received"), BOOLEANS)
def test_true_and_false_are_no_numbers(key, value, expected, received):
    with pytest.raises(ValidationError) as error:
        Everything(**{key: value})
    assert explain(error.value) == f"{key}: must be {expected}, not true or false. Received: {received}"


def test_true_and_false_stay_where_they_are_allowed():
    kept = Everything(either=True, is_on=True, anything=[True, 1])
    assert (kept.either, kept.is_on, kept.anything) == (True, True, [True, 1])
    assert Everything(either=2).either == 2
    with pytest.raises(ValidationError, match="not true or false"):
        Inner(epochs=True)


def test_several_mistakes_have_a_line_each_and_are_counted_beyond_eight():
    with pytest.raises(ValidationError) as error:
        Everything(**dict.fromkeys(list(Everything.model_fields)[:12], object()))
    lines = explain(error.value).splitlines()
    assert [line.partition(":")[0] for line in lines[:8]] == list(Everything.model_fields)[:8]
    assert lines[8:] == ["and 4 more mistakes."]


def columns(**settings):
    return {name: dict(settings) for name in ("user", "item", "price")}


def features_message(features):
    with pytest.raises(ValidationError) as error:
        Both.model_validate({"features": features})
    return explain(error.value)


class Both(Settings):
    features: Features


def test_a_mistake_that_features_share_is_one_line():
    assert features_message({"columns": columns(dim="big")}) == (
        "features.columns.user.dim and 2 others: must be an integer. Received: 'big'"
    )
    two = columns(dmi=3) | {"shop": {"dim": 0}}
    assert features_message({"columns": {"item": two["item"], "user": two["user"], "shop": two["shop"]}}) == (
        "features.columns.item and 1 other: unknown key 'dmi'; did you mean 'dim'?\n"
        "features.columns.shop.dim: must be above 0. Received: 0"
    )


DEFAULTS = {
    "dim": ("big", "features.defaults.dim: must be an integer. Received: 'big'"),
    "hash": (-1, "features.defaults.hash: must be above 0. Received: -1"),
    "as": ("bucket", "features.defaults.as: must be 'plain', 'embedding' or 'buckets'. Received: 'bucket'"),
    "vocabulary": (
        {"min_cuont": 2},
        "features.defaults.vocabulary: unknown key 'min_cuont'; did you mean 'min_count'?",
    ),
    "missing_indicator": (3, "features.defaults.missing_indicator: must be true or false. Received: 3"),
    "type": (
        "categoric",
        "features: defaults: unknown type 'categoric'; did you mean 'categorical'?",
    ),
}


@pytest.mark.parametrize("key", DEFAULTS)
def test_a_wrong_default_is_one_mistake_and_not_one_of_every_feature(key):
    value, message = DEFAULTS[key]
    assert features_message({"defaults": {key: value}, "columns": columns()}) == message


def test_a_default_that_one_type_accepts_is_no_mistake_of_the_defaults():
    defaults = {"dim": 8, "as": "buckets", "buckets": 5, "max_length": 3, "vocabulary": {"min_count": 2}, "clip": None}
    features = Features.model_validate(
        {"defaults": defaults, "columns": {"user": {}, "price": {"type": "numeric"}, "seen": {"type": "sequence"}}}
    )
    assert features.columns["user"].dim == features.columns["price"].dim == 8
    assert (features.columns["price"].buckets, features.columns["seen"].max_length) == (5, 3)
