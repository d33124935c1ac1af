"""States of ranges of a split merge to the state of the split, so that several processes can evaluate it."""

import json
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings

from ctr.config.report import Report, Time
from ctr.evaluation import timeline
from ctr.evaluation.build_report import build_report
from ctr.evaluation.duplicates import HashSample, NeverTrained, Repeats, TrainingHashes, row_hashes
from ctr.evaluation.frequency import Frequencies
from ctr.evaluation.histograms import Binning, Histograms
from ctr.evaluation.reference import Reference
from ctr.evaluation.report_columns import ReportColumns
from ctr.evaluation.score_by_bin import ScoreByBin
from ctr.evaluation.scoring import Scored, Scorer
from ctr.evaluation.split_metrics import SplitAccumulator, evaluate_split, values_of_chunk
from ctr.evaluation.timeline import Timeline
from ctr.evaluation.tower_losses import MeanLosses
from ctr.evaluation.unknown_ids import UnknownIds
from ctr.evaluation.worst_rows import WorstRows
from ctr.evaluation.writer import ScoreWriter
from ctr.metrics.periods import periods_of
from ctr.runs.run import Run
from ctr.training.checkpoint import load_best
from ctr.training.plan import plan_model
from ctr.training.resume import load_encoder
from features import Columns, Features, fit_encoder, open_data
from tests.ctr.merging import Division, assert_equal, check_merges, divisions, facts

FEATURES = {
    "user": {"vocabulary": {}},
    "item": {"hash": 20},
    "history": {"type": "sequence", "identity": 9},
    "price": {"type": "numeric"},
}
REPORT = Report(group="user", slices=["shop", "user"], worst_rows=3, time=Time(column="at"), max_exact_rows=10_000)


def table_of(random, rows, users):
    """Return random rows of four days, with nulls and empty lists."""
    histories = [random.integers(0, 9, length).tolist() for length in random.integers(0, 4, rows)]
    return pa.table(
        {
            "user": pa.array(random.integers(0, users, rows), pa.int64(), mask=random.random(rows) < 0.1),
            "item": pa.array([f"item {k}" for k in random.integers(0, 30, rows)], pa.string()),
            "history": pa.array(histories, pa.list_(pa.int64())),
            "price": pa.array(random.lognormal(size=rows), mask=random.random(rows) < 0.1),
            "shop": pa.array([f"shop {k}" for k in random.integers(0, 3, rows)], pa.string()),
            "at": pa.array(random.integers(0, 4 * 86_400, rows), pa.timestamp("s"), mask=random.random(rows) < 0.1),
            "w": random.uniform(0.1, 2, rows).astype(np.float32),
            "y": random.integers(0, 2, rows),
        }
    )


class Chunk(NamedTuple):
    """A row group of a split, with every input of the states."""

    place: int
    part: Scored
    codes: dict
    weight: np.ndarray
    hashes: np.ndarray
    repeats: Repeats
    days: object

    @property
    def label(self):
        return self.part.batch["label"]


class World:
    """The reference of the training data, and random splits."""

    def __init__(self, path):
        random = np.random.default_rng(0)
        table = table_of(random, 600, 150)
        pq.write_table(table, path)
        self.encoder = fit_encoder(Features(columns=FEATURES), Columns("y", "w"), open_data(str(path)), seed=1)
        self.observed = ReportColumns(
            REPORT,
            REPORT.time,
            ["shop"],
            ["user", "item"],
            Frequencies(self.encoder),
            UnknownIds.of(self.encoder),
            NeverTrained.of(self.encoder),
            weighted=True,
            negative_sampling_rate=0.3,
        )
        sample = self.scored(random, table)
        self.binning = Binning.fitted({k: [v] for k, v in values_of_chunk(sample, ["shop"]).items()}, 4)
        hashes, half = self.hashes(sample), random.random(600) < 0.5
        self.training_rows = TrainingHashes.of([hashes], [half], 600, 0.3)
        self.table = table

    def hashes(self, part):
        return row_hashes(part.batch, self.observed.never_trained)

    def scored(self, random, table):
        """Return the table with scores, many of which are equal."""
        values = self.encoder.values(table, "here")
        logit = (random.integers(-9, 9, table.num_rows) / 2).astype(np.float32)
        losses = {name: random.random(table.num_rows).astype(np.float32) for name in ("buy", "stay")}
        return Scored(table, values, self.encoder.encode(table, values, "here"), logit, losses)

    def chunks(self, division):
        """Return chunks, each with some rows of the training data and some new ones."""
        random = np.random.default_rng(division.seed)
        found = []
        for place, rows in enumerate(division.rows):
            known = self.table.take(random.integers(0, 600, rows // 2))
            part = self.scored(random, pa.concat_tables([known, table_of(random, rows - rows // 2, 300)]))
            codes = self.binning.assign(values_of_chunk(part, ["shop"]))
            days = periods_of(part.table["at"], "day")
            hashes = self.hashes(part)
            repeats = self.training_rows.find(hashes)
            found.append(Chunk(place, part, codes, random.uniform(0.5, 3, rows), hashes, repeats, days))
        return found


def adding(count):
    """Return a function that calls `count(state, chunk)` and returns the state."""

    def add(state, chunk):
        count(state, chunk)
        return state

    return add


def unlabelled(part):
    """Return the same examples without labels."""
    return replace(part, batch={key: array for key, array in part.batch.items() if key not in ("label", "weight")})


STATES = {
    "histograms": (lambda world: Histograms(world.binning), adding(lambda s, c: s.add(c.codes, c.weight))),
    "score by bin": (lambda world: ScoreByBin(world.binning), adding(lambda s, c: s.add(c.codes, c.weight, c.label))),
    "timeline": (lambda world: Timeline(world.binning), adding(lambda s, c: s.add(c.codes, c.weight, c.days))),
    "unknown ids": (
        lambda world: UnknownIds(world.observed.unknown_ids.columns),
        adding(lambda s, c: s.add(c.part.batch)),
    ),
    "worst rows": (lambda world: WorstRows(5), adding(lambda s, c: s.add(c.part.table, c.part.logit, c.label))),
    "no worst rows": (lambda world: WorstRows(0), adding(lambda s, c: s.add(c.part.table, c.part.logit, c.label))),
    "mean losses": (lambda world: MeanLosses(True, 0.3), adding(lambda s, c: s.add(c.part))),
    "hash sample": (lambda world: HashSample(7, 0.6), adding(lambda s, c: s.add(c.hashes, c.place))),
    "repeats": (
        lambda world: Repeats(0, np.zeros(len(world.training_rows.hashes), np.int64)),
        lambda state, chunk: state.merge(chunk.repeats),
    ),
    "a split": (
        lambda world: SplitAccumulator(world.binning, world.observed, world.training_rows),
        adding(lambda s, c: s.add(c.part, c.codes, np.ones(len(c.label), bool))),
    ),
    "a split without labels": (
        lambda world: SplitAccumulator(world.binning, world.observed, world.training_rows),
        adding(lambda s, c: s.add(unlabelled(c.part), c.codes, np.ones(len(c.label), bool))),
    ),
    "the sample of the training data": (
        lambda world: SplitAccumulator(world.binning, world.observed),
        adding(lambda s, c: s.add(c.part, c.codes, c.weight < 2)),
    ),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("data") / "a.parquet")


@settings(max_examples=25, deadline=None)
@given(divisions())
@pytest.mark.parametrize("state", STATES)
def test_states_of_ranges_merge_to_that_of_the_set(world, state, division):
    empty, add = STATES[state]
    check_merges(lambda: empty(world), add, world.chunks(division), division)


@settings(max_examples=25, deadline=None)
@given(divisions())
def test_more_periods_than_are_kept_drop_all_in_any_division(world, division):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(timeline, "MAX_PERIODS", 2)
        empty, add = STATES["timeline"]
        check_merges(lambda: empty(world), add, world.chunks(division), division)


def test_a_period_spans_the_rows_of_all_ranges(world):
    chunks = world.chunks(Division(1, [8, 8, 8], []))
    empty, add = STATES["timeline"]
    merged = reduce(Timeline.merge, [add(empty(world), chunk) for chunk in chunks])
    places = {}
    for chunk in chunks:
        for day, place in zip(chunk.days.period.to_pylist(), chunk.days.position.tolist(), strict=True):
            places.setdefault(day, []).append(place)
    del places[None]
    assert merged.spans == {day: (min(found), max(found)) for day, found in places.items()}
    assert len(places) == 4


def test_the_worst_of_equal_losses_are_the_first_rows_of_the_set_in_any_division():
    table = pa.table({"id": np.arange(6)})
    logit, label = np.array([2, 1, 2, 2, 1, 2], np.float32), np.zeros(6)
    states = [WorstRows(3) for _ in range(3)]
    for state, rows in zip(states, (slice(0, 1), slice(1, 4), slice(4, 6)), strict=True):
        state.add(table[rows], logit[rows], label[rows])
    first, second, third = states
    for merged in (first.merge(second).merge(third), first.merge(second.merge(third))):
        assert [(one["row"], one["values"]["id"]) for one in merged.result()] == [(0, "0"), (2, "2"), (3, "3")]


def test_a_draw_depends_on_the_place_in_the_whole_training_data():
    hashes = np.arange(1000, dtype=np.uint64)
    at_0, at_7 = HashSample(3, 0.5), HashSample(3, 0.5)
    at_0.add(hashes, 0)
    at_7.add(hashes, 7)
    expected = np.random.default_rng([3, 2, 7]).random(1000) < 0.5
    assert at_7.hashes[0].tolist() == hashes[expected].tolist()
    assert at_0.hashes[0].tolist() != at_7.hashes[0].tolist()


@pytest.fixture(scope="module")
def evaluated(small_run, tmp_path_factory):
    """Return a trained run's reference, and a function that evaluates a range of the row groups of its data."""
    run = Run(small_run)
    experiment = run.experiment(
        ["report.time={column: ts, by: hour}", "report.group=user", "report.slices=[user, item]"]
    )
    encoder, row_groups = load_encoder(run), open_data(experiment.data.path)
    model = plan_model(experiment, encoder).build()
    load_best(run, model)
    scorer, reference = Scorer(model, encoder, experiment.training.batch_size), Reference.load(run)
    observed = ReportColumns.of(experiment, encoder, row_groups, None)
    folder = tmp_path_factory.mktemp("scores")

    def of(places):
        writer = ScoreWriter(folder / "scores.parquet", observed.weighted, pa.schema([]))
        return evaluate_split(scorer, [row_groups[place] for place in places], reference, observed, writer)

    return reference, len(row_groups), of


def report_of(state, reference):
    """Return the values of report.json and curves.json."""
    return json.loads(json.dumps(build_report({"test": state}, "test", reference, 0.2)))


def test_row_groups_evaluated_one_by_one_give_the_report_of_the_set(evaluated):
    reference, count, evaluate = evaluated
    assert count == 6
    whole = report_of(evaluate(range(count)), reference)
    singles = [evaluate([place]) for place in range(count)]
    assert report_of(reduce(SplitAccumulator.merge, singles), reference) == whole
    halves = evaluate(range(2)).merge(evaluate(range(2, count)))
    assert_equal(facts(report_of(halves, reference)), facts(whole), rtol=1e-9)
    assert whole[0]["metrics"]["test"]["gauc_groups"] == 8
    assert len(whole[0]["psi"]["over_time"]["periods"]) == 20
    assert len(whole[1]["worst_rows"]["test"]) == 20
