"""A step with non-finite numbers is not applied, is explained, and can be replayed."""

import io
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tf_keras
from rich.console import Console
from typer.testing import CliRunner

from ctr import Diverged, train
from ctr.cli import app
from ctr.errors import ConfigError
from ctr.jobs.replay import replay
from ctr.training.data import prepare
from ctr.training.divergence import LossWatch
from ctr.training.plan import plan_model
from ctr.training.step import compiled_step
from ctr.training.step_snapshot import RAW, load_batch
from features import Encoder
from tests.conftest import click_log, write_clicks, write_config
from tests.ctr.conftest import PLAIN_MODEL, resealed

pytestmark = pytest.mark.usefixtures("undrawn_plots")

UNBOUNDED = "features.columns.price={type: numeric, standardize: false, clip: null}"
DENSE = "model={type: dnn, hidden: [8], batch_norm: false}"
WIDE_DEEP = "model={type: wide_deep, hidden: [8]}"
PLAIN = [
    f"model={PLAIN_MODEL}",
    "features.columns={user: {}, item: {}, price: {type: numeric, transform: log1p, missing_indicator: true}}",
]
ADAMW = "optimizers.dense={type: adamw, learning_rate: {schedule: cosine, initial: 0.01}}"
LOOKAHEAD = "optimizers.dense={type: adam, learning_rate: 0.01, lookahead: {every: 2, alpha: 0.5}}"


def ctr(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def plant_price(data_folder, price):
    """Set the price in the first row of the first file."""
    path = data_folder / "part-0.parquet"
    table = pq.read_table(path)
    prices = [price, *table["price"].to_pylist()[1:]]
    place = table.schema.get_field_index("price")
    pq.write_table(table.set_column(place, "price", pa.array(prices)), path, row_group_size=200)


@pytest.fixture(scope="module")
def overflowed(tmp_path_factory):
    """Return a folder with `clicks`, whose first row has a price of 1e30, and the `run` it ended; and the output."""
    folder = tmp_path_factory.mktemp("overflowed")
    plant_price(write_clicks(folder / "clicks"), 1e30)
    config = write_config(folder / "tiny.yaml", folder / "clicks")
    return folder, ctr("train", config, "--run", folder / "run", "--set", UNBOUNDED)


@pytest.fixture
def saved(overflowed, tmp_path):
    """Return the step saved by a copy of that run."""
    [path] = Path(shutil.copytree(overflowed[0] / "run", tmp_path / "run")).glob("diverged/*.parquet")
    return path


class At(tf_keras.callbacks.Callback):
    """Callback that changes the model before a step, counted from 1."""

    def __init__(self, step, act):
        super().__init__()
        self.step, self.act = step, act

    def on_train_batch_begin(self, batch, logs=None):
        if batch + 1 == self.step:
            self.act(self.model)


class OneStep:
    """An experiment's model, its compiled step, and batches for it."""

    def __init__(self, experiment):
        self.encoder = prepare(experiment).encoder
        self.model = plan_model(experiment, self.encoder).build()
        self.step = compiled_step(self.model, self.encoder)

    def batch(self, rows=64, seed=5, **changes):
        batch = self.encoder(click_log(rows, seed=seed), "here")
        return {key: tf.constant(changes.get(key, array)) for key, array in batch.items()}

    def with_price(self, price):
        numerics = self.batch()["numerics"].numpy()
        numerics[7, 0] = price
        return self.batch(numerics=numerics)

    def variables(self):
        """Return weights, moving averages, mean loss, step number and optimizer state."""
        return [one.numpy() for one in (*self.model.variables, *self.model.optimizer.variables)]


@pytest.mark.parametrize(
    ("overrides", "price"),
    [
        pytest.param([], 1e30, id="overflow", marks=pytest.mark.slow),
        pytest.param([], np.nan, id="nan", marks=pytest.mark.slow),
        pytest.param(["optimizers.clip_norm=1"], np.nan, id="clipped", marks=pytest.mark.slow),
        pytest.param(["training.precision=mixed_bfloat16"], 1e30, id="mixed precision", marks=pytest.mark.slow),
        pytest.param([WIDE_DEEP, ADAMW], np.inf, id="wide and deep"),
        pytest.param([*PLAIN, LOOKAHEAD], 1e30, id="lookahead"),
    ],
)
def test_a_step_that_is_not_finite_leaves_no_trace(make_experiment, overrides, price):
    tried = OneStep(make_experiment(*overrides))
    spared = OneStep(make_experiment(*overrides))
    for one in (tried, spared):
        assert one.step(one.batch(seed=1)).is_finite
    before = tried.variables()

    assert not tried.step(tried.with_price(price)).is_finite

    assert all(np.array_equal(*pair) for pair in zip(tried.variables(), before, strict=True))
    for one in (tried, spared):
        assert one.step(one.batch(seed=2)).is_finite
    assert all(np.array_equal(*pair) for pair in zip(tried.variables(), spared.variables(), strict=True))


def test_a_step_is_traced_once_whatever_comes(make_experiment, monkeypatch):
    one = OneStep(make_experiment(*PLAIN))
    traced = []
    compute = one.model.loss_and_gradients
    monkeypatch.setattr(one.model, "loss_and_gradients", lambda batch: traced.append(1) or compute(batch))
    for batch in (one.batch(64), one.batch(7), one.with_price(np.nan), one.batch(1)):
        one.step(batch)
    assert len(traced) == 1


def test_a_moving_average_that_overflows_is_found_though_loss_and_gradients_are_finite(make_experiment):
    one = OneStep(make_experiment(WIDE_DEEP))
    found = one.step(one.with_price(1e30))
    assert np.isfinite(found.loss)
    assert not found.is_finite


def test_a_row_whose_gradients_overflow_when_they_are_summed_counts(make_experiment, monkeypatch):
    one = OneStep(make_experiment(DENSE))
    compute = one.model.loss_and_gradients

    def with_twice_a_huge_gradient(batch):
        loss, gradients = compute(batch)
        [table] = [place for place, one in enumerate(gradients) if isinstance(one, tf.IndexedSlices)]
        gradients[table] = tf.IndexedSlices(tf.fill([2, 4], 3e38), tf.constant([5, 5]), gradients[table].dense_shape)
        return loss, gradients

    monkeypatch.setattr(one.model, "loss_and_gradients", with_twice_a_huge_gradient)
    assert not one.step(one.batch()).is_finite


def planted(one, place, size):
    """Plant one number of this size in the gradients of a model: in `row` 5 of the table, or in the tower's `head`."""
    compute = one.model.loss_and_gradients

    def with_a_planted_gradient(batch):
        loss, gradients = compute(batch)
        names = [(kind, *names) for kind, names in one.model.logical_variables]
        if place == "row":
            [at] = [k for k, name in enumerate(names) if name[0] == "table"]
            row = tf.constant([one.model.tables.offsets["user"] + 5])
            values = tf.concat([gradients[at].values, [[0.0, size, 0.0, 0.0]]], axis=0)
            indices = tf.concat([gradients[at].indices, tf.cast(row, gradients[at].indices.dtype)], axis=0)
            gradients[at] = tf.IndexedSlices(values, indices, gradients[at].dense_shape)
        else:
            at = names.index(("tower", place))
            first = tf.one_hot(0, gradients[at].shape.num_elements()) * size
            gradients[at] = tf.reshape(first, gradients[at].shape)
        return loss, gradients

    return with_a_planted_gradient


@pytest.mark.parametrize(
    ("place", "size", "is_finite"),
    [
        ("row", 1e18, True),
        ("row", 1e20, False),
        ("head", 1e20, False),
        pytest.param("head", 1e18, True, marks=pytest.mark.slow),
    ],
)
def test_a_gradient_whose_square_overflows_leaves_no_trace(make_experiment, monkeypatch, place, size, is_finite):
    one = OneStep(make_experiment(*PLAIN))
    assert one.step(one.batch(seed=1)).is_finite
    before = one.variables()
    monkeypatch.setattr(one.model, "loss_and_gradients", planted(one, place, size))
    step = compiled_step(one.model, one.encoder)

    found = step(one.batch())

    assert found.is_finite is is_finite
    assert np.isfinite(found.loss)
    after = one.variables()
    assert all(np.array_equal(*pair) for pair in zip(after, before, strict=True)) is not is_finite
    assert all(np.isfinite(array).all() for array in after)


@pytest.mark.parametrize(("clip_norm", "is_finite"), [("null", True), ("1", False)])
def test_a_norm_that_overflows_counts_where_gradients_are_clipped_by_it(
    make_experiment, monkeypatch, clip_norm, is_finite
):
    one = OneStep(make_experiment(*PLAIN, f"optimizers.clip_norm={clip_norm}"))
    for place in ("row", "head"):
        # 1.5e19 squared is 2.3e38, which fits in float32; twice as much does not
        monkeypatch.setattr(one.model, "loss_and_gradients", planted(one, place, 1.5e19))
    found = compiled_step(one.model, one.encoder)(one.batch())
    assert np.isfinite(found.loss)
    assert found.is_finite is is_finite


def test_a_number_whose_square_overflows_is_named_with_its_row(overflowed):
    folder, result = overflowed
    [row] = pq.read_table(folder / "clicks" / "part-0.parquet").slice(0, 1).to_pylist()

    assert result.exit_code == 3
    assert "step 5: the loss is inf; the update was skipped" in result.stderr
    assert "price (column price) is 1e+30 in row" in result.stderr
    assert f"user {row['user']}, item {row['item']!r}" in result.stderr
    assert len(result.stderr.splitlines()) < 10
    [saved] = (folder / "run" / "diverged").glob("*.parquet")
    assert f"ctr replay {shlex.quote(str(saved))}" in result.stderr
    planted = [one for one in pq.read_table(saved).to_pylist() if one["price"] > 1e29]
    assert [(one["user"], one["item"], one["history"]) for one in planted] == [
        (row["user"], row["item"], row["history"][-4:])
    ]

    again = ctr("replay", saved)

    assert again.exit_code == 0
    assert "loss inf, first not finite: dcn_v2/cross_0" in again.stdout


def test_a_gradient_whose_square_overflows_is_replayed(config, data_folder, tmp_path):
    plant_price(data_folder, 1e24)

    result = ctr("train", config, "--run", tmp_path / "run", "--set", UNBOUNDED, "--set", DENSE)

    assert result.exit_code == 3
    assert "but the sum of a gradient's squares is not finite; the update was skipped" in result.stderr
    assert "blocks with an extreme gradient norm: deep" in result.stderr
    [saved] = (tmp_path / "run" / "diverged").glob("*.parquet")
    again = ctr("replay", saved)
    assert again.exit_code == 0
    assert "all norms are finite" in again.stdout
    assert "overflow in the sum of the squares of the gradient of dnn/" in again.stdout


def test_a_table_row_that_holds_nan_is_named_by_its_value_and_columns(make_experiment, tmp_path):
    def damage(model):
        tables = model.tables
        encoder = Encoder.load(tmp_path / "run" / "encoder")
        row = encoder.statistics.fits["vocabularies"]["item"].values.to_pylist().index("item 5") + 3
        [fused] = tables.fused.values()
        fused.scatter_nd_update([[tables.offsets["item"] + row, 2]], [np.nan])
        damaged.append(row)

    damaged = []
    settings = ["training.validate_every={steps: 4}", "training.batch_size=128"]
    with pytest.raises(Diverged) as raised:
        train(make_experiment(*settings), tmp_path / "run", callbacks=[At(6, damage)])

    assert "step 6: the loss is nan" in str(raised.value)
    assert f"table 'item' (columns: item, history) has weight nan in row {damaged[0]} ('item 5')" in str(raised.value)
    run = tmp_path / "run"
    assert json.loads((run / "checkpoints" / "best.json").read_text())["step"] == 4
    assert not (run / "report.json").exists()
    stepped, from_checkpoint = replay(run / "diverged" / "step-000000006.parquet")
    assert stepped.first == "table item"
    assert np.isnan(stepped.loss)
    assert from_checkpoint.weights == "checkpoint step-000000004"
    assert from_checkpoint.first is None
    assert from_checkpoint.loss < 2


class Planting(tf_keras.callbacks.Callback):
    """Model that trains on gradients with a number of 1e20."""

    def __init__(self, place):
        super().__init__()
        self.place = place

    def on_train_begin(self, logs=None):
        self.model.loss_and_gradients = planted(self, self.place, 1e20)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("row", "table 'user' (columns: user) has a gradient of norm 1e+20 in row 5 ("),
        pytest.param("head", "blocks with an extreme gradient norm: head (1e+20)", marks=pytest.mark.slow),
    ],
)
def test_a_gradient_whose_square_overflows_is_named(make_experiment, tmp_path, place, expected):
    with pytest.raises(Diverged) as raised:
        train(make_experiment(*PLAIN), tmp_path / "run", callbacks=[Planting(place)])

    lines = str(raised.value).splitlines()
    assert re.fullmatch(r"step 1: the loss is 0\.\d+, but the sum of a gradient's squares is not finite; .*", lines[0])
    assert [line.strip().startswith(expected) for line in lines[1:]].count(True) == 1
    assert "not finite" not in "".join(lines[1:])


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        pytest.param(
            "optimizers.sparse={'*': {type: sgd, learning_rate: 1.0e+30}}",
            "table 'user' (columns: user) has weight ",
            id="of tables",
        ),
        pytest.param(
            "optimizers.dense={type: adam, learning_rate: 1.0e+30}",
            "blocks with extreme weights: cross",
            id="of towers",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_learning_rate_of_1e30_shows_in_the_weights(config, tmp_path, optimizer, expected):
    result = ctr("train", config, "--run", tmp_path / "run", "--set", optimizer)
    assert result.exit_code == 3
    assert "step 2: the loss is nan" in result.stderr
    assert expected in result.stderr
    assert "e+2" in result.stderr or "e+30" in result.stderr
    [saved] = (tmp_path / "run" / "diverged").glob("*.parquet")
    again = ctr("replay", saved)
    assert again.exit_code == 0
    assert "loss nan, first not finite: dcn_v2/" in again.stdout


def test_a_saved_batch_is_the_batch_to_the_bit(overflowed, saved):
    folder, _ = overflowed
    encoder = Encoder.load(folder / "run" / "encoder")

    batch = load_batch(saved, encoder)

    everything = pa.concat_tables([pq.read_table(path) for path in sorted((folder / "clicks").iterdir())])
    read = encoder(everything, "here")

    def row(arrays, k):
        return b"".join(arrays[key][k].tobytes() for key in sorted(arrays))

    assert sorted(batch) == sorted(read)
    assert {row(batch, k) for k in range(64)} < {row(read, k) for k in range(1200)}
    names = pq.read_schema(saved).names
    assert sorted(names) == sorted(["user", "item", "history", "hour", "price", *(f"{RAW}{key}" for key in batch)])


def test_where_an_overwriting_run_diverges_the_old_run_is_put_back_and_the_step_kept_beside_it(config, trained):
    before = (trained / "report.json").read_bytes()

    rate = "optimizers.dense.learning_rate=1e30"
    result = ctr("train", config, "--run", trained, "--overwrite", "--set", rate, "--set", f"model={PLAIN_MODEL}")

    assert result.exit_code == 3
    assert (trained / "report.json").read_bytes() == before
    saved = trained.with_name("run.diverged") / "diverged" / "step-000000002.parquet"
    assert f"ctr replay {shlex.quote(str(saved))}" in result.stderr
    assert ctr("replay", saved).exit_code == 0


@pytest.mark.slow
def test_a_run_that_diverged_before_any_checkpoint_is_replaced_when_asked(config, tmp_path):
    arguments = ["train", config, "--run", tmp_path / "run", "--overwrite", "--set", f"model={PLAIN_MODEL}", "--set"]
    for _ in range(2):
        assert ctr(*arguments, "optimizers.dense.learning_rate=1e30").exit_code == 3
    assert [path.name for path in tmp_path.iterdir() if "run" in path.name] == ["run"]


@pytest.mark.slow
def test_replicas_that_diverge_say_so_too(config, data_folder, tmp_path):
    plant_price(data_folder, 1e30)
    command = [
        sys.executable,
        "-m",
        "tests.ctr.replicas",
        config,
        tmp_path / "run",
        "0",
        UNBOUNDED,
        "training.replicas=2",
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Diverged: step 5: the loss is inf; the update was skipped" in found.stderr
    assert "price (column price) is 1e+30" in found.stderr
    stepped = replay(tmp_path / "run" / "diverged" / "step-000000005.parquet")[0]
    assert stepped.first == "dcn_v2/cross_0"


def test_what_cannot_be_replayed_is_named(saved, data_folder, tmp_path):
    def message_of(path):
        result = ctr("replay", path)
        assert result.exit_code == 2
        return result.stderr

    assert "no such file" in message_of(tmp_path / "nothing.parquet")
    for folder in (saved.parent, saved.parent.parent):
        assert f"{folder}: a folder, expected a saved step. Use {saved}" in message_of(folder)
    assert "`ctr train` saves RUN/diverged/step-N.parquet only when training diverges" in message_of(data_folder)
    assert "not in the folder `diverged` of a run" in message_of(data_folder / "part-0.parquet")
    kept = pq.read_table(saved)
    ids = kept[f"{RAW}ids"].combine_chunks()
    beyond = pa.FixedSizeListArray.from_arrays(pa.array(ids.values.to_numpy() + 1000), 3)
    pq.write_table(kept.set_column(kept.column_names.index(f"{RAW}ids"), f"{RAW}ids", beyond), saved)
    assert "has ids that are not in the tables of this run" in message_of(saved)
    pq.write_table(kept.drop_columns([f"{RAW}numerics"]), saved)
    assert "not the saved step of a run with these features" in message_of(saved)
    pq.write_table(kept, saved)
    saved.with_suffix(".npz").write_bytes(b"damaged")
    assert "not the weights of this run" in message_of(saved)


def test_a_batch_that_cannot_be_saved_does_not_hide_the_divergence(config, data_folder, tmp_path, monkeypatch):
    def fail(*arguments):
        raise OSError("no space left on device")

    plant_price(data_folder, 1e30)
    monkeypatch.setattr("ctr.training.divergence.save_snapshot", fail)
    result = ctr("train", config, "--run", tmp_path / "run", "--set", UNBOUNDED)
    assert result.exit_code == 3
    assert "the loss is inf" in result.stderr
    assert "could not be saved: no space left on device" in result.stderr


def test_a_run_whose_loss_soars_warns_once_and_goes_on(make_experiment, tmp_path):
    shown = io.StringIO()
    lift = [At(step, lambda model: model.tower.head.bias.assign([40.0])) for step in (15, 25)]
    report = train(make_experiment(*PLAIN), tmp_path / "run", callbacks=lift, console=Console(file=shown, width=200))
    assert report["training"]["steps"] == 36
    assert shown.getvalue().count(" is far above ") == 1
    assert "warning: step 15: loss " in shown.getvalue()


def test_a_loss_is_far_above_its_past_at_ten_times_the_median():
    for factor, expected in [(9.9, 0), (10.1, 1)]:
        said = []
        watch = LossWatch(said.append)
        past = np.random.default_rng(0).uniform(0.4, 0.6, 200)
        for step, loss in enumerate([*past, factor * np.median(past[-100:])], start=1):
            watch.see(step, float(loss))
        assert len(said) == expected


def test_the_first_losses_are_no_past():
    said = []
    watch = LossWatch(said.append)
    for step, loss in enumerate([0.01, 5.0, 0.01, 5.0], start=1):
        watch.see(step, loss)
    assert said == []


def test_a_step_that_was_saved_needs_the_weights_of_its_model(saved, tmp_path):
    narrower = (tmp_path / "run" / "config.yaml").read_text().replace("- 8\n", "- 7\n", 1)
    (tmp_path / "run" / "config.yaml").write_text(narrower)
    resealed(tmp_path / "run")
    with pytest.raises(ConfigError, match="not the weights of this run"):
        replay(saved)
