"""The counts of `ctr inspect` and `ctr psi` over ranges of a dataset merge to those over all of it."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctr.config.report import Time
from ctr.evaluation.histograms import Binning, Histograms
from ctr.evaluation.input_profile import InputProfile
from ctr.evaluation.timeline import Timeline
from ctr.jobs.psi import DatasetCounts, _count
from ctr.metrics import distinct
from ctr.metrics.distinct import DistinctCount
from ctr.preflight.profile import Chunk, SplitProfile
from features import Columns, Features, Ragged, fit_encoder, open_data
from tests.ctr.merging import Division, check_merges, divisions

FEATURES = {"user": {"vocabulary": {}}, "history": {"type": "sequence", "hash": 9}, "price": {"type": "numeric"}}


def counted(state, *chunk):
    state.add(*chunk)
    return state


@settings(max_examples=60, deadline=None)
@given(divisions())
@pytest.mark.parametrize("kept", [3, 4096])
def test_distinct_counts_merge(kept, division):
    random = np.random.default_rng(division.seed)
    chunks = [pa.array(np.unique(random.integers(0, 12, rows))) for rows in division.rows]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(distinct, "KEPT", kept)
        check_merges(DistinctCount, counted, chunks, division)


def floats(random, rows):
    return pa.array(random.normal(size=rows), mask=random.random(rows) < 0.3)


def texts(random, rows):
    return pa.array(
        [f"text {k}" for k in random.integers(0, 5, rows)], pa.large_string(), mask=random.random(rows) < 0.3
    )


def lists(random, rows):
    lengths = random.integers(0, 4, rows)
    return Ragged(pa.array(random.integers(0, 5, lengths.sum())), lengths)


@settings(max_examples=60, deadline=None)
@given(divisions())
@pytest.mark.parametrize("values", [floats, texts, lists])
def test_profiles_of_inputs_merge(values, division):
    random = np.random.default_rng(division.seed)
    check_merges(InputProfile, counted, [values(random, rows) for rows in division.rows], division)


def table_of(random, rows):
    histories = [random.integers(0, 9, length).tolist() for length in random.integers(0, 4, rows)]
    return pa.table(
        {
            "user": pa.array(random.integers(0, 99, rows), pa.int64(), mask=random.random(rows) < 0.2),
            "history": pa.array(histories, pa.list_(pa.int64())),
            "price": floats(random, rows),
            "day": pa.array(random.integers(1, 4, rows), pa.int64(), mask=random.random(rows) < 0.2),
            "y": random.integers(0, 2, rows),
        }
    )


@pytest.fixture(scope="module")
def row_groups(tmp_path_factory):
    """Return the row groups of two files."""
    folder, random = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for name in ("a", "b"):
        pq.write_table(table_of(random, 90), folder / f"{name}.parquet", row_group_size=30)
    return open_data(str(folder))


@pytest.fixture(scope="module")
def encoder(row_groups):
    return fit_encoder(Features(columns=FEATURES), Columns("y"), row_groups[:2], seed=1)


@settings(max_examples=25, deadline=None)
@given(divisions())
def test_profiles_of_sets_merge(encoder, division):
    random = np.random.default_rng(division.seed)
    chunks = []
    for place, rows in enumerate(division.rows):
        table = table_of(random, rows)
        group = SimpleNamespace(file=SimpleNamespace(path=f"file {place // 2}"), rows=rows)
        values = encoder.values(table, "here")
        batch = encoder.encode(table, values, "here")
        chunks.append(Chunk(group, {**values, "y": pa.array(batch["label"].astype(np.int8))}, batch))
    check_merges(SplitProfile, lambda state, chunk: counted(state, chunk, encoder), chunks, division)


CUTS = st.lists(st.integers(0, 6), max_size=3).map(sorted)


@settings(max_examples=25, deadline=None)
@given(CUTS)
@pytest.mark.slow
def test_counts_of_a_dataset_merge(row_groups, cuts):
    kinds = {"user": "categorical", "history": "list", "price": "numeric"}
    sample = {
        "feature/user": [pa.array([1, 1, 2, 2, 3])],
        "feature/history": [pa.array([4, 4, 5])],
        "feature/price": [pa.array(np.linspace(-2, 2, 9))],
    }
    binning = Binning.fitted(sample, 4)
    division = Division(0, [group.rows for group in row_groups], cuts)
    check_merges(
        lambda: DatasetCounts(Histograms(binning), Timeline(binning)),
        lambda counts, group: counts.merge(_count([group], binning, kinds, Time(column="day"))),
        row_groups,
        division,
    )
    whole = _count(row_groups, binning, kinds, Time(column="day"))
    assert whole.histograms.weight == 180
    dated = [period.weight for period in whole.timeline.periods.values()]
    assert len(dated) == 3
    assert whole.timeline.undated == 180 - sum(dated) > 0
