"""The contract of registered feature kinds. A new kind is complete when it has examples here and these tests pass."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features import (
    KINDS,
    NULL,
    SPECIAL_ROWS,
    Columns,
    DataError,
    Encoder,
    Features,
    Ragged,
    Statistics,
    decoded_batch,
    describe_row,
    fit_encoder,
    open_data,
)
from features.statistics import FittingState
from tests.toy_kind import Rounded

LABEL = Columns("y")
BASE = {
    "user": {},
    "tags": {"type": "sequence", "max_length": 3},
    "range": {"type": "numeric", "column": "price", "as": "buckets"},
}
EXAMPLES = {
    "categorical": [
        {"column": "user", "vocabulary": {"min_count": 2}, "dim": 3, "missing": [5]},
        {"column": "site", "hash": 7, "table": "sites"},
        {"column": "id", "identity": 9},
        {"column": "ts", "part": "day", "time_zone": "Asia/Tokyo"},
        {"column": "id", "part": "hour", "time_unit": "s"},
    ],
    "numeric": [
        {"column": "price"},
        {"column": "price", "missing_indicator": True, "transform": "log1p", "standardize": False, "clip": 1.0},
        {"column": "price", "as": "embedding", "dim": 3},
        {"column": "price", "as": "buckets", "buckets": 3},
    ],
    "sequence": [
        {"column": "tags", "vocabulary": {"min_count": 2}, "dim": 3, "missing": ["a"]},
        {"column": "tags", "hash": 5, "max_length": 2, "pooling": "none", "table": "words"},
        {"column": "ids", "identity": 9},
    ],
    "cross": [{"of": ["user", "range"], "hash": 11}, {"of": ["user", "range"], "hash": 11, "dim": 2}],
    "sequence_cross": [
        {"of": ["user", "tags"], "hash": 11},
        {"of": ["tags", "range"], "hash": 11, "dim": 2, "pooling": "mean"},
    ],
    "rounded": [{"column": "price", "step": 0.5, "dim": 2}],
}
"""`type` of a config -> settings that together cover every option of the kind."""
CASES = [(kind, settings) for kind, examples in EXAMPLES.items() for settings in examples]
every_case = pytest.mark.parametrize(
    ("kind", "settings"), CASES, ids=[f"{kind} {k}" for k, (kind, _) in enumerate(CASES)]
)


@pytest.fixture(scope="module", autouse=True)
def toy():
    """Register the toy kind of `tests/toy_kind.py`."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(KINDS, "rounded", Rounded)
        yield


def rows(count, seed=0):
    """Return columns for every kind, with nulls and empty lists."""
    random = np.random.default_rng(seed)
    absent = random.random(count) < 0.2
    tags = [
        None if random.random() < 0.1 else random.choice(list("abcd"), random.integers(0, 5)).tolist()
        for _ in range(count)
    ]
    return pa.table(
        {
            "user": pa.array(random.integers(0, 6, count), mask=absent),
            "site": pa.array(random.choice(["x", "y", "z"], count), pa.string(), mask=random.random(count) < 0.2),
            "id": pa.array(random.integers(0, 9, count)),
            "ts": pa.array(random.integers(0, 10**9, count), pa.timestamp("s"), mask=absent),
            "tags": pa.array(tags, pa.list_(pa.string())),
            "ids": pa.array([None if one is None else [ord(tag) % 9 for tag in one] for one in tags]),
            "price": pa.array(random.uniform(0, 10, count), mask=random.random(count) < 0.2),
            "y": pa.array(np.arange(count) % 2),
        }
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return row groups of the training data."""
    file = tmp_path_factory.mktemp("kinds") / "train.parquet"
    pq.write_table(rows(60), file, row_group_size=20)
    return open_data(str(file))


def declared(kind, settings):
    return Features(columns={**BASE, "one": {"type": kind, **settings}})


def test_every_registered_kind_has_examples():
    assert EXAMPLES.keys() == KINDS.keys(), "add examples to EXAMPLES of tests/features/test_every_kind.py"


@pytest.mark.parametrize("kind", EXAMPLES)
def test_the_examples_of_a_kind_reach_all_its_settings(kind):
    reached = {"type", *(key for settings in EXAMPLES[kind] for key in settings)}
    assert not KINDS[kind].config_keys() - reached, "add these settings to examples of the kind"


@every_case
def test_a_column_of_a_type_that_it_cannot_take_is_refused(kind, settings):
    encoder = Encoder(declared(kind, settings), LABEL)
    structs = pa.array([{"a": 1}] * 5)
    for column in encoder.features.columns["one"].columns:
        table = rows(5)
        table = table.set_column(table.column_names.index(column), column, structs)
        with pytest.raises(DataError, match=f"column '{column}' has type struct"):
            encoder.check(table.schema, "here")
        with pytest.raises(DataError, match=f"column '{column}' has type struct"):
            encoder.values(table, "here")


@every_case
def test_settings_are_saved_and_read_again(kind, settings):
    features = declared(kind, settings)

    assert type(features.columns["one"]) is KINDS[kind]
    assert features.columns["one"].type == kind
    assert Features.model_validate(features.model_dump(mode="json", by_alias=True)) == features


@every_case
def test_a_batch_is_what_its_spec_says(data, kind, settings):
    encoder = fit_encoder(declared(kind, settings), LABEL, data, seed=1)
    batch = encoder(rows(7, seed=3), "here")

    assert {key: (array.shape[1:], array.dtype) for key, array in batch.items()} == {
        key: (shape, np.dtype(dtype)) for key, (shape, dtype) in encoder.batch_spec.items()
    }
    sizes = {one["name"]: one["rows"] for one in [*encoder.layout["categories"], *encoder.layout["sequences"]]}
    for name, size in sizes.items():
        found = (
            batch[f"sequences/{name}"]
            if f"sequences/{name}" in batch
            else batch["ids"][:, encoder.id_features.index(name)]
        )
        assert 0 <= found.min() <= found.max() < size
    assert np.isfinite(batch["numerics"]).all()
    columns = [field["column"] for field in encoder.layout["fields"] if field["column"] is not None]
    assert set(columns) <= set(range(len(encoder.id_features)))


@every_case
def test_an_example_alone_is_encoded_as_among_others(data, kind, settings):
    encoder = fit_encoder(declared(kind, settings), LABEL, data, seed=1)
    table = rows(9, seed=4)
    together = encoder(table, "here")

    for row in range(9):
        for key, array in encoder(table.slice(row, 1), "here").items():
            np.testing.assert_array_equal(array[0], together[key][row])


@every_case
def test_an_encoder_that_was_saved_and_loaded_makes_the_same_bytes(data, kind, settings, tmp_path):
    encoder = fit_encoder(declared(kind, settings), LABEL, data, seed=1)
    encoder.save(tmp_path / "encoder")
    loaded = Encoder.load(tmp_path / "encoder")

    before, after = encoder(rows(50, seed=5), "here"), loaded(rows(50, seed=5), "here")

    assert loaded.layout == encoder.layout
    for name in encoder.id_features:
        assert loaded.table_size(name) == encoder.table_size(name)
    assert {key: array.tobytes() for key, array in after.items()} == {
        key: array.tobytes() for key, array in before.items()
    }


@every_case
def test_states_of_row_groups_merge_whatever_their_ranges(kind, settings):
    features = declared(kind, settings)
    fitted = [feature for feature in features.columns.values() if feature.fitting() is not None]
    tables = [rows(12, seed=k) for k in range(5)]

    def encoded(*cuts):
        states = None
        for first, end in pairwise([0, *cuts, 5]):
            parts = [FittingState.of(fitted, LABEL, table, np.ones(12, bool), "here") for table in tables[first:end]]
            state = parts[0]
            for part in parts[1:]:
                state = state.merge(part)
            states = state if states is None else states.merge(state)
        fits = {}
        for (section, key), state in states.fittings.items():
            fits.setdefault(section, {})[key] = state.result()
        return Encoder(features, LABEL, Statistics(fits))(rows(40, seed=9), "here")

    whole, divided = encoded(1, 2, 3, 4), encoded(2, 3)

    for key, array in whole.items():
        np.testing.assert_allclose(divided[key], array, rtol=1e-6, atol=1e-6)
        if array.dtype == np.int32:
            np.testing.assert_array_equal(divided[key], array)


@every_case
def test_rows_of_its_table_are_traced_back_to_values(data, kind, settings):
    encoder = fit_encoder(declared(kind, settings), LABEL, data, seed=1)
    batch = encoder(rows(30, seed=6), "here")

    values = decoded_batch(encoder, batch)["one"]

    assert len(values) == 30
    if not encoder.features.columns["one"].has_table:
        assert "one" in encoder.layout["numerics"]
        return
    place = encoder.id_features.index("one") if "one" in encoder.id_features else None
    used = batch["sequences/one"] if place is None else batch["ids"][:, place]
    for row in np.unique(used):
        described = describe_row(encoder, "one", int(row))
        assert (described in ("padding", "null", "out of vocabulary")) == (row < SPECIAL_ROWS)


@every_case
def test_a_column_of_nulls_is_encoded(data, kind, settings):
    encoder = fit_encoder(declared(kind, settings), LABEL, data, seed=1)
    read = set(encoder.features.columns_of("one"))
    table = rows(5)
    nulls = pa.table({name: pa.nulls(5) if name in read else table[name] for name in table.column_names})

    found, values = encoder(nulls, "here"), encoder.values(nulls, "here")["one"]

    assert np.isfinite(found["numerics"]).all()
    if isinstance(values, Ragged):
        assert values.lengths.tolist() == [0] * 5
        assert not found["sequences/one"].any()
    else:
        assert values.null_count == 5
    if "one" in encoder.id_features:
        assert found["ids"][:, encoder.id_features.index("one")].tolist() == [NULL] * 5
