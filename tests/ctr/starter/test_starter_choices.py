"""Features of a first config, columns that it leaves out, and its label, time and group."""

import datetime
import decimal
import uuid
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctr.errors import ConfigError
from ctr.starter.build import build_starter
from ctr.starter.choices import encoding

ROWS = 1000
RANDOM = np.random.default_rng(3)
LABEL = (RANDOM.random(ROWS) < 0.3).astype("int8")
START = datetime.datetime(2026, 1, 1)
HOURS = [START + datetime.timedelta(hours=int(k)) for k in np.sort(RANDOM.integers(0, 24 * 40, ROWS))]
ITEMS = [f"item {k}" for k in RANDOM.integers(0, 30, ROWS)]


def dates(low, high):
    return [(START + datetime.timedelta(days=int(k))).date() for k in RANDOM.integers(low, high, ROWS)]


@pytest.fixture
def starter(tmp_path):
    """Return a function that writes columns next to a label and an item, and returns what `ctr init` decides."""

    def decide(columns, label_name=None, **changes):
        table = {"label": LABEL, "item": ITEMS, **columns, **changes}
        path = tmp_path / "clicks.parquet"
        pq.write_table(pa.table({name: values for name, values in table.items() if values is not None}), path)
        return build_starter([str(path)], label_name)[0]

    return decide


def choice_of(starter, column):
    return next(choice for choice in starter.choices if choice.column == column)


def numbers(low, high, type_="int64"):
    return RANDOM.integers(low, high, ROWS).astype(type_)


USED = {
    "text": ("kind", [f"x{k}" for k in numbers(0, 9)], {}),
    "booleans": ("b", LABEL[::-1] == 1, {}),
    "many texts": ("word", [f"x{k}" for k in numbers(0, 150)], {"vocabulary": {"min_count": 2}}),
    "texts and placeholders": ("kind", ["?" if k == 3 else f"x{k}" for k in numbers(0, 9)], {"missing": ["?"]}),
    "digits in text": ("hour", [f"{k:02d}" for k in numbers(0, 24)], {}),
    "few integers": ("x", numbers(0, 20), {}),
    "numbered things": ("x", numbers(1000, 1150), {"vocabulary": {"min_count": 2}}),
    "hashes in uint64": ("x", numbers(2**62, 2**63 - 1)[numbers(0, 50)].astype("uint64") * 2, {}),
    "many integers by name": ("user_age", numbers(18, 900), {"type": "numeric"}),
    "negative integers": ("x", numbers(-500, 500), {"type": "numeric"}),
    "integers with gaps": (
        "x",
        (np.exp(RANDOM.normal(5, 1.5, ROWS))).astype(int),
        {"type": "numeric", "transform": "log1p"},
    ),
    "two integers": ("cost", numbers(7, 9), {}),
    "floats": ("x", RANDOM.normal(size=ROWS), {"type": "numeric"}),
    "skewed floats with nulls": (
        "x",
        [None if k % 10 == 0 else v for k, v in enumerate(np.exp(RANDOM.normal(3, 2, ROWS)))],
        {"type": "numeric", "transform": "log1p", "missing_indicator": True},
    ),
    "decimals": ("x", [decimal.Decimal(int(k)) / 4 for k in numbers(0, 900)], {"type": "numeric"}),
    "lists": (
        "tags",
        [[f"t{j}" for j in range(k)] for k in numbers(0, 4)],
        {"type": "sequence", "max_length": 3},
    ),
    "long lists": ("tags", [list(range(k, k + 70)) for k in numbers(0, 2)], {"type": "sequence", "max_length": 50}),
}


@pytest.mark.parametrize("case", USED)
def test_a_column_becomes_a_feature_of_its_kind(starter, case):
    name, values, settings = USED[case]
    choice = choice_of(starter({name: values}), name)
    assert choice.is_used
    assert choice.features == {name: settings}
    assert choice.cast is None


def test_a_quantity_with_few_integers_is_also_a_category(starter):
    choice = choice_of(starter({"user_age": numbers(18, 90)}), "user_age")
    value = {"column": "user_age", "vocabulary": {"min_count": 2}}
    assert choice.features == {"user_age": {"type": "numeric"}, "user_age_value": value}


CAST = {
    "ids as floats": ("user_id", numbers(0, 50).astype(float), "integer", {}),
    "long decimals": ("x", [decimal.Decimal(10**19 + int(k)) for k in numbers(0, 50)], "text", {}),
    "numbers in text": ("x", [f"{v:.3f}" for v in RANDOM.random(ROWS)], "number", {"type": "numeric"}),
    "bytes": ("x", [bytes([k, 255]) for k in numbers(0, 50, "uint8").tolist()], "hex", {}),
    "uuids": ("x", pa.array([uuid.UUID(int=int(k)).bytes for k in numbers(0, 9)], pa.uuid()), "hex", {}),
}


@pytest.mark.parametrize("case", CAST)
def test_a_column_is_cast_to_the_type_that_its_feature_needs(starter, case):
    name, values, cast, settings = CAST[case]
    choice = choice_of(starter({name: values}), name)
    assert (choice.is_used, choice.cast, choice.features[name]) == (True, cast, settings)


LEFT_OUT = {
    "one value": ("country", ["NL"] * ROWS, "one value in every row"),
    "nulls": ("x", pa.nulls(ROWS, pa.float64()), "null in every row"),
    "a key": ("impression", [f"i{k}" for k in range(ROWS)], "so it identifies rows"),
    "an integer key": ("x", RANDOM.permutation(ROWS), "so it identifies rows"),
    "a leak": ("revenue", np.where(LABEL, 5.0, 0.0), "probably a leak: alone it has AUC 1.0000"),
    "a leak by its nulls": ("order", [f"o{k}" if y else None for k, y in enumerate(LABEL)], "probably a leak"),
    "a leak of some values": ("status", np.where(LABEL, numbers(0, 3), numbers(3, 6)), "probably a leak"),
    "an outcome": ("conversion", (LABEL == 1) & (numbers(0, 2) == 1), "an outcome"),
    "a prediction": ("p_click", RANDOM.random(ROWS), "a prediction"),
    "infinity": ("x", np.where(RANDOM.random(ROWS) < 0.01, np.inf, 1.5), "infinite values"),
    "a struct": ("x", [{"a": 1}] * ROWS, "struct<a: int64> cannot be a feature"),
    "a list of floats": ("x", [[0.5]] * ROWS, "a list of numbers cannot be a feature"),
}


@pytest.mark.parametrize("case", LEFT_OUT)
def test_a_column_is_left_out_for_a_reason(starter, case):
    name, values, reason = LEFT_OUT[case]
    choice = choice_of(starter({name: values}), name)
    assert not choice.is_used
    assert reason in choice.note
    assert choice.is_key == ("identifies" in reason)


def test_a_good_feature_is_no_leak(starter):
    noisy = np.where(RANDOM.random(ROWS) < 0.1, 1 - LABEL, LABEL)
    choice = choice_of(starter({"signal": noisy + numbers(0, 2) * 2}), "signal")
    assert choice.is_used


def test_a_suspect_is_used_with_a_warning(starter):
    choice = choice_of(starter({"signal": LABEL + np.random.default_rng(0).normal(0, 0.3, ROWS)}), "signal")
    assert choice.is_used
    assert "CHECK: alone it has AUC 0.9" in choice.note


@pytest.mark.parametrize(
    ("columns", "label", "rate"),
    [
        ({"label": None, "clicked": LABEL}, "clicked", LABEL.mean()),
        ({"label": None, "x": LABEL == 1}, "x", LABEL.mean()),
        ({"label": None, "x": LABEL.astype(float)}, "x", LABEL.mean()),
        ({"label": None, "x": [str(k) for k in LABEL]}, "x", LABEL.mean()),
        ({"label": None, "x": LABEL, "is_weekend": 1 - LABEL}, "x", LABEL.mean()),
        ({"x": 1 - LABEL}, "label", LABEL.mean()),
        ({"Is Clicked": LABEL, "label": None, "x": 1 - LABEL}, "Is Clicked", LABEL.mean()),
    ],
)
def test_the_label_is_the_column_of_0_and_1(starter, columns, label, rate):
    found = starter(columns).label
    assert (found.column, found.positive_rate) == (label, pytest.approx(rate))


@pytest.mark.parametrize(
    ("columns", "name", "message"),
    [
        ({}, "labels", "no column 'labels'; did you mean 'label'?"),
        ({}, "item", "holds 30 distinct values, expected 0 and 1"),
        (
            {"rating": numbers(1, 6)},
            "rating",
            "holds numbers from 1 to 5, expected 0 and 1. Write a column of 0 and 1, such as rating > 3",
        ),
        ({"x": [None, *LABEL[1:].tolist()]}, "x", "is null in 1 of 1,000 rows"),
        ({"x": np.ones(ROWS)}, "x", "is 1 in every row"),
        ({"x": np.arange(ROWS) < 9}, "x", "is 1 in 9 of 1,000 rows, too few"),
        ({"label": None, "a": LABEL, "b": 1 - LABEL}, None, "2 columns hold 0 and 1. Choose one of these:\n  a: "),
        ({"label": None, "click": LABEL, "clicked": LABEL}, None, "2 columns hold 0 and 1"),
        ({"label": None, "rating": numbers(1, 6)}, None, "no column holds only 0 and 1"),
        ({"item": None}, None, "no column can be a feature"),
    ],
)
def test_without_one_clear_label_there_is_no_config(starter, columns, name, message):
    with pytest.raises(ConfigError) as caught:
        starter(columns, name)
    assert message in str(caught.value)


TIMES = {
    "timestamps": (HOURS, None, None),
    "seconds": ([int(t.replace(tzinfo=datetime.UTC).timestamp()) for t in HOURS], "s", None),
    "milliseconds": ([int(t.replace(tzinfo=datetime.UTC).timestamp()) * 1000 for t in HOURS], "ms", None),
    "text": ([t.isoformat() for t in HOURS], None, {"timestamp": "ISO8601"}),
}


@pytest.mark.parametrize("case", TIMES)
def test_times_split_the_data_and_give_hour_and_weekday(starter, case):
    values, unit, cast = TIMES[case]
    found = starter({"event_time": values})
    with_unit = {} if unit is None else {"time_unit": unit}
    assert found.split.settings == {"by": "time", "column": "event_time", "fractions": [0.8, 0.1, 0.1]}
    assert choice_of(found, "event_time").features == {
        part: {"column": "event_time", "part": part, **with_unit} for part in ("hour", "weekday")
    }
    assert choice_of(found, "event_time").cast == cast
    assert (found.time.unit, found.time.period) == (unit, "day")


def test_dates_have_weekdays_only_and_integers_can_be_dates(starter):
    days = [t.date() for t in HOURS]
    assert list(choice_of(starter({"day": days}), "day").features) == ["weekday"]
    found = starter({"day": [int(f"{day:%Y%m%d}") for day in days]})
    assert choice_of(found, "day").cast == {"timestamp": "%Y%m%d"}
    assert found.split.settings["by"] == "time"


@pytest.mark.parametrize(
    "columns",
    [
        {"birth_date": dates(-20000, -7000)},
        {"event_time": [None, *HOURS[1:]]},
        {"event_time": [START] * 950 + HOURS[-50:]},
        {"x": numbers(800_000_000, 1_700_000_000)},
    ],
    ids=["of birth", "with nulls", "nearly all at one instant", "integers without a name"],
)
def test_other_times_do_not_split_the_data(starter, columns):
    assert starter(columns).split.settings == {"by": "random", "fractions": [0.8, 0.1, 0.1]}


def test_the_time_in_whose_order_the_rows_are_dates_them(starter):
    shuffled = list(RANDOM.permutation(np.array(HOURS, "datetime64[us]")))
    found = starter({"event_time": shuffled, "created_at": HOURS})
    assert found.time.name == "created_at"
    assert set(choice_of(found, "created_at").features) == {"created_at_hour", "created_at_weekday"}


@pytest.mark.parametrize(
    ("columns", "group"),
    [
        ({"user_id": numbers(0, 50), "session": numbers(0, 100)}, "user_id"),
        ({"session": numbers(0, 100)}, "session"),
        ({"userId": [f"u{k}" for k in numbers(0, 50)]}, "userId"),
        ({"user_age": numbers(0, 50)}, None),
        ({"user": numbers(0, 5)}, None),
        ({"device_id": np.where(RANDOM.random(ROWS) < 0.5, 0, numbers(1, 99))}, None),
    ],
)
def test_users_are_the_group_of_a_report(starter, columns, group):
    assert starter(columns).group == group


def test_a_list_shares_the_table_of_its_ids_and_describes_users_with_few_rows(starter):
    items = numbers(0, 60)
    columns = {
        "user_id": np.repeat(np.arange(200), 5),
        "movie": items,
        "seen": [items[k : k + 3].tolist() for k in range(ROWS)],
    }
    found = starter(columns)
    assert choice_of(found, "seen").features["seen"] == {"type": "sequence", "table": "movie", "max_length": 3}
    assert not choice_of(found, "user_id").is_used
    assert found.group == "user_id"
    columns["user_id"] = np.repeat(np.arange(40), 25)
    assert choice_of(starter(columns), "user_id").is_used


def test_names_with_globs_become_names_of_features_that_differ(starter):
    found = starter({"a*": numbers(0, 5), "a_": numbers(0, 5), "a/": numbers(0, 5)})
    features = {choice.column: choice.features for choice in found.choices}
    assert features["a*"] == {"a__2": {"column": "a*"}}
    assert features["a_"] == {"a_": {}}
    assert features["a/"] == {"a__3": {"column": "a/"}}


@pytest.mark.parametrize(
    ("distinct", "rows", "expected"),
    [
        (100, 10**6, {}),
        (100_000, 150_000, {"vocabulary": {"min_count": 2}}),
        (100_001, 499_000, {"vocabulary": {"min_count": 10}}),
        (100_001, 10**6, {"vocabulary": {"min_count": 5}}),
        (100_001, 10**7, {"vocabulary": {"min_count": 2}}),
        (2_000_001, 10**8, {"hash": 2**21}),
    ],
)
def test_rare_ids_have_embeddings_while_they_cost_little_memory(distinct, rows, expected):
    counts = SimpleNamespace(profile=SimpleNamespace(different=distinct, values=rows))
    assert encoding(SimpleNamespace(counts=counts)) == expected
