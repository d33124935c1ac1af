"""Warm starts: runs that begin with the weights of another run."""

import io
import json
import re
import shutil
import signal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import tf_keras
from rich.console import Console
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.config.experiment import load_experiment
from ctr.errors import ConfigError, Interrupted
from ctr.jobs.inspect import inspect
from ctr.runs.run import Run
from ctr.training.checkpoint import load_best
from ctr.training.data import empty_encoder
from ctr.training.embedding_lookups import embedding_lookups
from ctr.training.plan import plan_model
from ctr.training.resume import load_encoder
from ctr.training.warm_start import copy_weights, open_parent
from features import DataError
from tests.conftest import CONFIG, THREADS, click_log
from tests.ctr.conftest import Killed, kill, resealed

pytestmark = pytest.mark.usefixtures("undrawn_plots")
NEW_USER, NEW_ITEM = 8, "item 10"
ROWWISE = [
    "optimizers.sparse={'*': {type: lazy_adam}, item: {type: ftrl, l1: 0.01}, hour: {type: group_adam}}",
    "optimizers.dense={type: adam, learning_rate: {schedule: cosine, initial: 0.01}, lookahead: {every: 4}}",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Write two files of clicks for the run `first`, and a third with new ids."""
    folder = tmp_path_factory.mktemp("warm")
    (folder / "old").mkdir()
    (folder / "new").mkdir()
    table = click_log()
    user, item = (table[name].combine_chunks() for name in ("user", "item"))
    ours = np.arange(len(table)) % 7 == 0
    with_new = table.set_column(1, "user", pc.if_else(ours, NEW_USER, user)).set_column(
        2, "item", pc.if_else(ours, NEW_ITEM, item)
    )
    pq.write_table(table.slice(0, 600), folder / "old" / "part-0.parquet", row_group_size=200)
    pq.write_table(with_new.slice(600), folder / "new" / "part-1.parquet", row_group_size=200)
    (folder / "tiny.yaml").write_text(CONFIG.format(data=folder / "old", threads=THREADS))
    return folder


@pytest.fixture(scope="module")
def first(place, undrawn_plots):
    """Train the run that others start from."""
    ctr.train(load_experiment(place / "tiny.yaml"), place / "first")
    return place / "first"


@pytest.fixture(scope="module")
def rowwise(place, undrawn_plots):
    """Train a run whose optimizers count steps, compute weights from state, or keep slow weights."""
    ctr.train(load_experiment(place / "tiny.yaml", ROWWISE), place / "rowwise")
    return place / "rowwise"


@pytest.fixture
def next_of(place):
    """Return a function that makes an experiment with a warm start from a run, on the new data."""

    def experiment(run, *settings):
        new = [f"data.path={place / 'new'}", f"training.warm_start.run={run}"]
        return load_experiment(place / "tiny.yaml", [*new, *settings])

    return experiment


def best_of(run):
    """Return the model of a run with its best weights."""
    experiment = Run(run).experiment()
    model = plan_model(experiment, load_encoder(Run(run))).build()
    load_best(Run(run), model)
    return model


def parent_of(experiment, run):
    return open_parent(plan_model(experiment, empty_encoder(experiment)), run)


def begun(experiment, tmp_path):
    """Return a model before its first step, one without a warm start, and the summary of the copy."""
    parent = parent_of(experiment, Run(tmp_path / "run"))
    encoder = ctr.training.data.prepare_splits(
        experiment, ctr.training.data.open_splits(experiment), known=parent.encoder
    ).encoder
    model, fresh = plan_model(experiment, encoder).build(), plan_model(experiment, encoder).build()
    return model, fresh, copy_weights(parent, model, experiment)


AT_ONCE = tf_keras.callbacks.LambdaCallback(on_train_begin=lambda logs: kill())
"""Callback that ends a run just before its first step."""


def rows_of(lookup, variable):
    """Return the rows of a table in a variable of weights or of their state."""
    return variable.numpy()[lookup.offset : lookup.offset + lookup.table.rows]


def state(model, lookup):
    return {name: rows_of(lookup, one) for name, one in model.optimizer.state_of(lookup.fused).items()}


def tower_weights(model):
    return [one.numpy() for layers in model.tower.blocks.values() for layer in layers for one in layer.variables]


def tower_state(model):
    trainable = [one for layers in model.tower.blocks.values() for layer in layers for one in layer.trainable_variables]
    return [part.numpy() for one in trainable for part in model.optimizer.state_of(one).values()]


@pytest.mark.parametrize(("parent", "settings"), [("first", []), ("rowwise", ROWWISE)])
def test_old_ids_keep_rows_and_state_and_new_ids_get_fresh_ones(next_of, tmp_path, request, parent, settings):
    run = request.getfixturevalue(parent)
    old = best_of(run)
    model, fresh, told = begun(next_of(run, *settings), tmp_path)
    for before, now, unwarmed in zip(
        embedding_lookups(old), embedding_lookups(model), embedding_lookups(fresh), strict=True
    ):
        carried = before.table.rows
        assert told["tables"][now.table.name] == {"carried": carried, "new": now.table.rows - carried}
        np.testing.assert_array_equal(rows_of(now, now.fused)[:carried], rows_of(before, before.fused))
        np.testing.assert_array_equal(rows_of(now, now.fused)[carried:], rows_of(unwarmed, unwarmed.fused)[carried:])
        states = state(old, before), state(model, now)
        assert states[0].keys() == states[1].keys()
        for name in states[0]:
            assert states[0][name].any()
            np.testing.assert_array_equal(states[1][name][:carried], states[0][name])
            assert not states[1][name][carried:].any()
    assert told["tables"]["user"] == {"carried": 3 + 8, "new": 1}
    for before, now in zip(
        tower_weights(old) + tower_state(old), tower_weights(model) + tower_state(model), strict=True
    ):
        np.testing.assert_array_equal(now, before)
    assert model.optimizer.iterations.numpy() == old.optimizer.iterations.numpy() == told["step"] > 0
    assert model.optimizer.learning_rates == fresh.optimizer.learning_rates
    assert model.step.numpy() == 0


def test_state_begins_anew_where_that_is_asked_for(next_of, first, tmp_path):
    model, fresh, _ = begun(next_of(first, "training.warm_start.optimizer_state=reset"), tmp_path)
    old = best_of(first)
    for before, now in zip(embedding_lookups(old), embedding_lookups(model), strict=True):
        np.testing.assert_array_equal(rows_of(now, now.fused)[: before.table.rows], rows_of(before, before.fused))
        assert not any(part.any() for part in state(model, now).values())
    for now, unwarmed in zip(tower_state(model), tower_state(fresh), strict=True):
        np.testing.assert_array_equal(now, unwarmed)
    assert model.optimizer.iterations.numpy() == 0


def test_optimizers_may_be_others_where_state_begins_anew(next_of, first, tmp_path):
    others = ["optimizers.sparse={'*': {type: adagrad}, user: {type: sgd}}", "optimizers.dense.type=lamb"]
    model, _, _ = begun(next_of(first, "training.warm_start.optimizer_state=reset", *others), tmp_path)
    earlier = {lookup.table.name: lookup for lookup in embedding_lookups(best_of(first))}
    for now in embedding_lookups(model):
        before = earlier[now.table.name]
        np.testing.assert_array_equal(rows_of(now, now.fused)[: before.table.rows], rows_of(before, before.fused))


def test_a_vocabulary_keeps_its_places_and_counts_go_on(next_of, first, tmp_path):
    experiment = next_of(first)
    parent = parent_of(experiment, Run(tmp_path / "run"))
    opened = ctr.training.data.open_splits(experiment)
    known = parent.encoder.statistics
    grown = ctr.training.data.prepare_splits(experiment, opened, known=parent.encoder).encoder.statistics
    alone = ctr.training.data.prepare(experiment).encoder.statistics
    for table in ("user", "item"):
        old, new, only = (statistics.fits["vocabularies"][table] for statistics in (known, grown, alone))
        size = len(old.values)
        assert new.values[:size].equals(old.values)
        assert new.values[size:].to_pylist() == [{"user": NEW_USER, "item": NEW_ITEM}[table]]
        counted = dict(zip(only.values.to_pylist(), only.counts, strict=True))
        assert new.counts.tolist() == [
            before + counted[value] for before, value in zip([*old.counts, 0], new.values.to_pylist(), strict=True)
        ]
    assert grown.fits["moments"] == known.fits["moments"] != alone.fits["moments"]


class Saved:
    """Final files of a run, which interruptions must not change."""

    def __init__(self, run):
        report = json.loads((run / "report.json").read_text())
        self.parts = [report["fingerprints"], report["metrics"], report["warm_start"]]
        self.lines = (run / "metrics.jsonl").read_text()


@pytest.mark.slow
def test_a_run_that_is_interrupted_needs_no_more_of_the_one_that_it_began_with(next_of, first, place, tmp_path):
    parent = shutil.copytree(first, tmp_path / "first")
    experiment = next_of(parent, "training.epochs=1")
    ctr.train(experiment, tmp_path / "straight")
    after = tf_keras.callbacks.LambdaCallback(
        on_batch_end=lambda batch, logs: signal.raise_signal(signal.SIGTERM) if batch == 4 else None
    )
    with pytest.raises(Interrupted):
        ctr.train(experiment, tmp_path / "run", callbacks=[after])
    shutil.rmtree(parent)
    ctr.train(experiment, tmp_path / "run", resume=True)
    assert vars(Saved(tmp_path / "run")) == vars(Saved(tmp_path / "straight"))


def test_the_command_begins_with_a_run_and_says_so(place, first, tmp_path):
    new = ["--set", f"data.path={place / 'new'}", "--set", "training.epochs=1", "--run", str(tmp_path / "run")]
    result = CliRunner().invoke(app, ["train", str(place / "tiny.yaml"), "--warm-start", str(first), *new])
    assert result.exit_code == 0, result.stderr
    step = json.loads((first / "checkpoints" / "best.json").read_text())["step"]
    said = f"warm start from {first}, step {step}: 51 embeddings copied, 2 new; optimizer state kept"
    assert said in result.stdout
    first_loss = [
        json.loads((run / "metrics.jsonl").read_text().splitlines()[0])["loss"] for run in (tmp_path / "run", first)
    ]
    assert first_loss[0] < first_loss[1]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "51 embeddings copied, 2 new" in page


OTHERS = {
    "a feature's width": (["features.columns.user.dim=8"], "features.columns.user.dim: 4 in the run, 8 now"),
    "a new feature": (["features.columns.w={type: numeric}"], "features.columns, only now: w\nRestore"),
    "the model": (["model.cross_layers=2"], "model.cross_layers: 1 in the run, 2 now"),
    "a table's optimizer": (
        ["optimizers.sparse.user.type=adagrad"],
        "table user: optimizer rmsprop_v2 (accumulator) in the run, adagrad",
    ),
    "a tower's optimizer": (["optimizers.dense.type=sgd"], "tower deep: optimizer Adam (m, v) in the run, SGD (m) now"),
    "a tower's state": (
        ["optimizers.dense={type: adam, lookahead: {every: 5}}"],
        "tower head: optimizer Adam (m, v) in the run, lookahead-Adam (m, v, slow) now",
    ),
    "the end of what holds a weight": (
        [
            "training.warm_start.optimizer_state=reset",
            "optimizers.sparse.user={type: group_lasso_adagrad, l21: 0.1, beta: 0, keep_initial_weights: true}",
        ],
        "`reset` would discard the weights of table user",
    ),
    "weights made from state": (
        ["training.warm_start.optimizer_state=reset", "optimizers.sparse.user={type: ftrl, l1: 0.1}"],
        "`reset` would discard the weights of table user",
    ),
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_does_not_fit_is_named_before_the_data_is_read(next_of, first, tmp_path, case):
    settings, message = OTHERS[case]
    with pytest.raises(ConfigError) as raised:
        parent_of(next_of(first, *settings), Run(tmp_path / "run"))
    assert message in str(raised.value)
    assert len(str(raised.value).splitlines()) < 9


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("item.beta=0.5", "table item: beta 1.0 in the run, 0.5 now"),
        ("item.l1=0.1", "table item: l1 0.01 in the run, 0.1 now"),
        ("item.learning_rate=0.01", "table item: penalty_rate 0.1 in the run, 0.01 now"),
        ("hour.beta_2=0.9", "table hour: beta_2 0.999 in the run, 0.9 now"),
    ],
)
def test_what_turns_state_into_weights_must_be_as_it_was(next_of, rowwise, tmp_path, setting, message):
    experiment = next_of(rowwise, *ROWWISE, f"optimizers.sparse.{setting}")
    with pytest.raises(ConfigError, match=re.escape(message)):
        parent_of(experiment, Run(tmp_path / "run"))


def test_rates_and_dropout_may_be_others(next_of, rowwise, tmp_path):
    rates = ["optimizers.sparse.item={type: ftrl, l1: 0.01, learning_rate: 0.01, penalty_rate: 0.1}"]
    rates += ["optimizers.sparse.hour={type: group_adam, learning_rate: 0.1}", "model.dropout=0.3"]
    assert parent_of(next_of(rowwise, *ROWWISE, *rates), Run(tmp_path / "run")) is not None


@pytest.mark.slow
def test_new_rows_were_not_passed_by_by_steps_before_them(place, next_of, tmp_path):
    """A row that catches up is shrunk for the steps since its last touch, not for steps before it existed."""
    catching_up = [
        "optimizers.sparse={'*': {type: fobos_group_lasso, l21: 0.001, catch_up: true}}",
        "training.epochs=1",
    ]
    ctr.train(load_experiment(place / "tiny.yaml", catching_up), tmp_path / "first")
    model, _, told = begun(next_of(tmp_path / "first", *catching_up), tmp_path)
    for lookup in embedding_lookups(model):
        new = told["tables"][lookup.table.name]["new"]
        steps = state(model, lookup)["steps"].ravel()
        assert steps[len(steps) - new :].tolist() == [told["step"]] * new
        assert 0 < steps[: len(steps) - new].max() <= told["step"]


@pytest.mark.slow
def test_a_damaged_encoder_is_not_fitted_again_on_a_run_that_has_changed(next_of, first, place, tmp_path):
    shutil.copytree(first, tmp_path / "first")
    after = tf_keras.callbacks.LambdaCallback(on_train_begin=lambda logs: signal.raise_signal(signal.SIGTERM))
    experiment = next_of(tmp_path / "first")
    with pytest.raises(Interrupted):
        ctr.train(experiment, tmp_path / "run", callbacks=[after])
    damage(tmp_path / "run" / "encoder" / "encoder.json")
    other_data = ["training.epochs=1", f"data.path={place / 'new'}"]
    ctr.train(load_experiment(place / "tiny.yaml", other_data), tmp_path / "first", overwrite=True)
    with pytest.raises(ConfigError, match=r"was trained again after .*run started from it\. Restore it"):
        ctr.train(experiment, tmp_path / "run", resume=True)
    with pytest.raises(Interrupted):
        ctr.train(experiment, tmp_path / "run", overwrite=True, callbacks=[after])
    assert Run(tmp_path / "run").warm_start()["run"] == str(tmp_path / "first")


def test_features_in_another_order_do_not_fit(place, next_of, first, tmp_path):
    lines = CONFIG.format(data=place / "new", threads=THREADS).splitlines()
    user = lines.index("    user: {}")
    lines[user : user + 2] = reversed(lines[user : user + 2])
    (tmp_path / "other.yaml").write_text("\n".join(lines))
    experiment = load_experiment(tmp_path / "other.yaml", [f"training.warm_start.run={first}"])
    with pytest.raises(ConfigError, match=r"features.columns: the order user, item, .* in the run, item, user,"):
        parent_of(experiment, Run(tmp_path / "run"))


def damage(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damaged", ["encoder/vocabulary-000.parquet", "checkpoints/*/state.data-00000-of-00001"])
def test_a_damaged_run_is_named_and_nothing_written(next_of, first, tmp_path, damaged):
    parent = shutil.copytree(first, tmp_path / "first")
    for path in parent.glob(damaged):
        damage(path)
    with pytest.raises(ConfigError, match="damaged"):
        ctr.train(next_of(parent), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_not_there_or_is_the_run_itself_is_an_error(next_of, first, tmp_path):
    with pytest.raises(ConfigError, match=r"training.warm_start.run: .*nowhere: no run in this folder"):
        parent_of(next_of(tmp_path / "nowhere"), Run(tmp_path / "run"))
    with pytest.raises(ConfigError, match="is the new run's own folder"):
        parent_of(next_of(first), Run(first))


def test_a_column_that_was_cast_otherwise_is_an_error(next_of, first, tmp_path):
    parent = shutil.copytree(first, tmp_path / "first")
    config = parent / "config.yaml"
    config.write_text(config.read_text().replace("  cast: {}", "  cast: {item: hex}"))
    resealed(parent)
    assert parent_of(next_of(parent, "data.cast={item: hex, user: integer}"), Run(tmp_path / "run")) is not None
    with pytest.raises(
        ConfigError, match=r"casts column 'item' to hex, but the new run casts it to text.* the same `data.cast`"
    ):
        parent_of(next_of(parent, "data.cast={item: text}"), Run(tmp_path / "run"))


def test_new_data_of_another_type_is_an_error(next_of, first, place, tmp_path):
    table = pq.read_table(place / "new")
    text = table.set_column(1, "user", table["user"].cast(pa.string()))
    pq.write_table(text, tmp_path / "text.parquet", row_group_size=200)
    with pytest.raises(DataError, match="column 'user' is string, but integer in training"):
        ctr.train(next_of(first, f"data.path={tmp_path / 'text.parquet'}"), tmp_path / "run")


def test_inspect_counts_the_rows_that_a_warm_start_carries(next_of, first, tmp_path):
    shown = io.StringIO()
    found = inspect(next_of(first), tmp_path / "run", Console(file=shown, width=200))
    assert {table.name: table.rows for table in found.estimate.plan.tables}["user"] == 3 + 8 + 1
    assert found.worst != "error", shown.getvalue()
    assert inspect(next_of(first, "model.cross_layers=2"), tmp_path / "run").worst == "error"


def test_a_run_that_is_trained_again_while_it_is_read_is_an_error(next_of, first, tmp_path):
    parent = shutil.copytree(first, tmp_path / "first")
    experiment = next_of(parent)
    opened = parent_of(experiment, Run(tmp_path / "run"))
    model = plan_model(experiment, opened.encoder).build()
    (parent / "encoder" / "checksums.json").write_text("{}")
    with pytest.raises(ConfigError, match="was trained again while it was read"):
        copy_weights(opened, model, experiment)


@pytest.mark.slow
def test_a_parent_without_a_record_of_its_ids_is_a_warning(place, tmp_path):
    own = load_experiment(place / "tiny.yaml", ["features.unseen=own", "training.epochs=1"])
    ctr.train(own, tmp_path / "parent")
    console = Console(file=io.StringIO(), width=200)

    warm = f"training.warm_start={{run: {tmp_path / 'parent'}}}"
    with pytest.raises(Killed):
        ctr.train(load_experiment(place / "tiny.yaml", [warm]), tmp_path / "next", console=console, callbacks=[AT_ONCE])

    assert "parent: no record of its training ids, so unseen ids keep their own embeddings" in console.file.getvalue()
