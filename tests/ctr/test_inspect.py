"""`ctr inspect` lists every problem before training, and `ctr train` rejects runs that exceed the machine."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from typer.testing import CliRunner

import features.row_groups
from ctr.cli import app
from ctr.errors import ConfigError
from ctr.jobs.inspect import inspect
from ctr.metrics.distinct import KEPT, DistinctCount
from ctr.preflight.resources import estimate_resources
from ctr.runs import machine
from ctr.training.data import empty_encoder, prepare
from ctr.training.plan import ModelPlan, plan_model
from optimizers import SPARSE
from tests.conftest import click_log
from tests.ctr.conftest import PLAIN_MODEL
from tests.ctr.undrawn import undrawn

GIB = 2**30


def ctr(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def rewrite(folder, change, part=1):
    """Replace a file by `change` of it as a data frame; types stay."""
    path = folder / f"part-{part}.parquet"
    table = pq.read_table(path)
    pq.write_table(pa.Table.from_pandas(change(table.to_pandas()), table.schema), path, row_group_size=200)


def said(found, level):
    """Return the sentences of one level."""
    return [finding.sentence for finding in found.findings if finding.level == level]


@pytest.fixture
def look(make_experiment, tmp_path):
    """Inspect the experiment with a plain model, and with settings changed as by `--set`."""
    return lambda *overrides: inspect(make_experiment(f"model={PLAIN_MODEL}", *overrides), tmp_path / "run")


# Summary of the data


def test_what_a_column_holds_is_what_pandas_counts(look, data_folder):
    found = look("features.columns.user={vocabulary: {min_count: 95}}")
    log = click_log().to_pandas()
    train, valid = log[:720], log[720:960]  # by time, in the order of the split
    for name, part in {"train": train, "valid": valid}.items():
        profile = found.profiles[name]
        assert profile.rows == len(part)
        assert profile.positive_rate == pytest.approx(part["clicked"].mean())
        price, user, history = (profile.inputs[one] for one in ("price", "user", "history"))
        assert price.null_share == pytest.approx(part["price"].isna().mean())
        assert (price.low, price.high) == pytest.approx((part["price"].min(), part["price"].max()))
        assert price.different == part["price"].nunique()
        frequent = train["user"].value_counts().loc[lambda times: times >= 95].index
        assert user.unknown_share == pytest.approx(1 - part["user"].isin(frequent).mean())
        kept = part["history"].map(lambda items: list(items)[-4:])
        assert history.null_share == pytest.approx((kept.map(len) == 0).mean())
        assert history.values == kept.map(len).sum()
        assert (history.low, history.high) == ("item 0", "item 9")


def test_terminal_shows_sets_columns_tables_and_findings(config, tmp_path):
    result = ctr("inspect", config, "--run", tmp_path / "run")
    assert result.exit_code == 0, result.output
    for words in ("positive rate", "distinct", "price", "rmsprop_v2", "ok      invalid rows: none", "GiB is free"):
        assert words in result.output
    assert not (tmp_path / "run").exists()


def test_findings_come_first_with_a_summary(config, tmp_path):
    lines = ctr(
        "inspect", config, "--run", tmp_path / "run", "--set", "features.columns.user={hash: 3}"
    ).output.splitlines()
    assert re.fullmatch(r"[1-9] warnings?, \d+ checks passed", lines[0])
    assert re.match("warning +ids: ", lines[1])
    assert lines.index(next(line for line in lines if line.startswith("split "))) > max(
        index for index, line in enumerate(lines) if re.match("(error|warning|ok) ", line)
    )


@pytest.mark.parametrize("options", [(), ("--all",)])
def test_many_tables_and_inputs_are_folded_unless_all_are_asked_for(config, tmp_path, options):
    columns = {f"c{k:02}": f"{{column: user, hash: {1000 - k}}}" for k in range(25)}
    settings = ",".join(f"{name}: {feature}" for name, feature in columns.items())
    result = ctr(
        "inspect", config, "--run", tmp_path / "run", "--set", f"model={PLAIN_MODEL}",
        "--set", f"features.columns={{{settings}}}", *options,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    tables = [line.split()[0] for line in result.output.splitlines() if "rmsprop_v2" in line]
    inputs = [line.split()[0] for line in result.output.splitlines() if "int64" in line]
    if options:
        assert tables == list(columns)
        assert inputs[:25] == list(columns)
    else:
        assert tables == list(columns)[:10]  # the largest
        assert inputs == list(columns)[:20]
        assert re.search(r"^and \d+ more features and columns; --all lists them$", result.output, re.MULTILINE)
        assert re.search(
            r"^and 15 smaller tables with .* of weights and .* of optimizer state; --all", result.output, re.M
        )


@pytest.mark.parametrize("values", [100, KEPT - 1, 50_000])
def test_distinct_values_are_counted_whatever_the_order(values):
    random = np.random.default_rng(values)
    stream = np.concatenate([np.arange(values), random.integers(0, values, 20_000)])
    random.shuffle(stream)
    whole, parts = DistinctCount(), DistinctCount()
    whole.add(pa.array(np.unique(stream)))
    for part in np.array_split(stream, 7):
        parts.add(pa.array(np.unique(part)))
    assert parts.estimate == whole.estimate == pytest.approx(values, rel=4 / KEPT**0.5 if values >= KEPT else 0)
    assert parts.is_exact == (values < KEPT)


# Problems of the data


def test_every_file_that_differs_from_the_first_is_named(look, data_folder):
    pq.write_table(click_log(400).drop(["user"]), data_folder / "part-1.parquet")
    rewrite_types = click_log(400).set_column(2, "item", pa.array(np.arange(400)))
    pq.write_table(rewrite_types, data_folder / "part-2.parquet")
    errors = said(look(), "error")
    assert len(errors) == 2
    assert "part-1.parquet: no column 'user'" in errors[0]
    assert "part-2.parquet: column 'item' is int64, but string in" in errors[1]


def test_other_width_of_integers_is_a_warning(look, data_folder):
    table = click_log(400)
    pq.write_table(table.set_column(1, "user", table["user"].cast(pa.int16())), data_folder / "part-2.parquet")
    [warning] = [sentence for sentence in said(look(), "warning") if sentence.startswith("schema")]
    assert "column 'user' is int16 in 1 of 3 files" in warning
    assert "but int64 in" in warning


def test_all_bad_rows_are_counted_by_reason_and_set(look, data_folder):
    def spoil(frame):
        frame.loc[[3, 4], "clicked"] = 2
        frame.loc[5, "price"] = float("inf")
        return frame

    rewrite(data_folder, spoil, part=0)
    rewrite(data_folder, spoil, part=2)
    sentences = said(look(), "error")
    assert [re.match(r"invalid rows: 3 in (\w+) \(", sentence)[1] for sentence in sentences] == ["train", "valid"]
    assert "'price' is infinite or too large (1)" in sentences[0]
    allowed = look("data.bad_rows={skip: 0.05}")
    assert not said(allowed, "error")
    assert sum(one.startswith("invalid rows") for one in said(allowed, "warning")) == 2


def test_data_that_is_all_bad_is_told_as_train_tells_it(look, config, data_folder, tmp_path):
    for part in range(3):
        rewrite(data_folder, lambda frame: frame.assign(clicked=2), part)
    [error] = said(look(), "error")
    assert error == f"data: {ctr('train', config, '--run', tmp_path / 'run').stderr.strip().removeprefix('error: ')}"


def test_mistakes_of_config_and_data_are_told_at_once(config, data_folder, tmp_path):
    (data_folder / "part-1.parquet").write_text("user,item")
    result = ctr("inspect", config, "--run", tmp_path / "run", "--set", "optimizers.sparse.usr={type: rmsprop_v2}")
    assert result.exit_code == 2
    assert "pattern 'usr' matches no name. Use one of" in result.output
    assert "part-1.parquet: not a readable Parquet file" in result.output
    assert "Traceback" not in result.output


HARMLESS_BUT = {
    "positive rate": (
        lambda frame: frame.assign(clicked=(np.arange(len(frame)) % 10 == 0).astype(np.int8)),
        "labels: the positive rate is 0.1",
    ),
    "test labels of one class": (
        lambda frame: frame.assign(clicked=np.int8(0)),
        "labels: test has labels of one class",
    ),
    "nulls": (lambda frame: frame.assign(price=np.nan), "values: 'price' is null in 100.0% of test, but in "),
    "new ids": (lambda frame: frame.assign(user=frame["user"] + 100), "ids: 100.0% of the values of 'user' in test"),
}


@pytest.mark.parametrize("case", HARMLESS_BUT)
def test_a_test_set_unlike_training_is_a_warning(case, look, data_folder, tmp_path):
    change, words = HARMLESS_BUT[case]
    rewrite(data_folder, change, part=2)
    sets = f"data={{train: [{data_folder}/part-0.parquet, {data_folder}/part-1.parquet], "
    found = look(sets + f"test: {data_folder}/part-2.parquet, label: clicked}}")
    assert not said(found, "error")
    assert any(words in sentence for sentence in said(found, "warning")), said(found, "warning")


def test_rows_copied_from_the_training_data_are_a_warning(make_experiment, tmp_path):
    random = np.random.default_rng(0)

    def log(rows):
        return pd.DataFrame(
            {"user": random.integers(0, 1000, rows), "x": random.normal(size=rows), "y": random.integers(0, 2, rows)}
        )

    train = log(4000)
    train.to_parquet(tmp_path / "train.parquet")
    pd.concat([log(1500), train[:500]]).to_parquet(tmp_path / "test.parquet")
    found = inspect(
        make_experiment(
            f"data={{train: {tmp_path}/train.parquet, test: {tmp_path}/test.parquet, label: y}}",
            "features={columns: {user: {hash: 5000, dim: 4}, x: {type: numeric}}}",
        ),
        tmp_path / "run",
    )
    [warning] = [sentence for sentence in said(found, "warning") if sentence.startswith("duplicates")]
    assert float(warning.split()[2].removesuffix("%")) == pytest.approx(25, abs=5)


@pytest.mark.parametrize(
    ("user", "words"),
    [
        (
            "{column: user, identity: 1000}",
            "'visitor' has `identity: 1000`, but its largest id in the training data is 7. Lower",
        ),
        (
            "{column: user, hash: 5}",
            "of the about 8 values of 'visitor' share an embedding with another value. Raise `hash: 5`",
        ),
        (
            "{column: user, vocabulary: {min_count: 600}}",
            "% of the values of 'visitor' in train are too rare for the vocabulary",
        ),
    ],
)
def test_tables_unlike_their_ids_are_a_warning(user, words, look):
    assert any(words in sentence for sentence in said(look(f"features.columns.visitor={user}"), "warning"))


# Resource estimate


def set_own_memory(monkeypatch, now, peak):
    own = machine.OwnMemory(now, peak, private=now)
    for module in ("ctr.runs.machine", "ctr.jobs.inspect"):
        monkeypatch.setattr(f"{module}.own_memory", lambda: own)


@pytest.fixture
def empty_process(monkeypatch):
    """Count memory as if this process, which runs many tests, used none."""
    set_own_memory(monkeypatch, 0, 0)


@pytest.mark.parametrize("optimizer", SPARSE)
def test_tables_and_state_are_known_before_they_are_made(optimizer, make_experiment):
    experiment = make_experiment(
        f"model={PLAIN_MODEL}",
        f"optimizers.sparse.user={{type: {optimizer}, learning_rate: 0.1}}",
        "optimizers.sparse.*={type: rmsprop_v2, momentum: 0.9}",
        "features.columns.user={hash: 50}",
    )
    plan = plan_model(experiment, prepare(experiment).encoder)
    model = plan.build()
    made = model.optimizer.owned(model.trainable_variables)
    tables = [one for one in made if one.kind == "table"]
    assert sum(table.weights for table in plan.tables) == sum(4 * np.prod(one.shape) for one in tables)
    for names, state in [(one.names, one.state_bytes) for one in tables]:
        assert sum(table.state for table in plan.tables if table.name in names) == state
    of_towers = [one for one in made if one.kind == "tower"]
    assert plan.tower_bytes == sum(4 * np.prod(one.shape) + one.state_bytes for one in of_towers)


def test_before_the_data_is_read_tables_count_as_large_as_the_config_says(make_experiment):
    experiment = make_experiment("features.columns.user={hash: 1000}", "optimizers.sparse.*={type: adagrad}")
    plan, prepared = plan_model(experiment, empty_encoder(experiment)), prepare(experiment)
    before, after = estimate_resources(plan), estimate_resources(plan.completed(prepared.encoder), prepared)
    rows = {table.name: table.rows for table in plan.tables}
    assert rows == {"user": 1003, "item": 3, "hour": 27}
    assert before.at_least
    assert not after.at_least
    assert {table.name: table.rows for table in after.plan.tables} == {**rows, "item": 13}
    assert before.checkpoint == 4 * 4 * 2 * sum(rows.values()) + plan.tower_bytes
    assert empty_encoder(experiment).batch_spec == prepared.encoder.batch_spec


HUGE = "features.columns.user={hash: 1000000000, dim: 16}"


@pytest.mark.usefixtures("empty_process")
def test_memory_that_would_not_fit_is_told_before_anything_is_read(config, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda: 8 * GIB)
    monkeypatch.setattr(machine, "free_disk", lambda folder: 10**15)
    result = ctr("train", config, "--run", tmp_path / "run", "--set", HUGE, "--set", "data.path=no/such/folder")
    assert result.exit_code == 2
    first, use, largest = result.stderr.splitlines()
    assert first == "error: memory: the run needs at least 238.4 GiB, but only 8.0 GiB is free."
    assert "embedding tables 59.6 GiB" in use
    assert "The largest table is 'user' with 119.2 GiB: 1,000,000,003 rows of dim 16, rmsprop_v2. Use " in largest
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("empty_process")
def test_rows_that_would_not_fit_are_told_before_tables_are_made(config, make_experiment, tmp_path, monkeypatch):
    experiment = make_experiment()
    without_rows = estimate_resources(plan_model(experiment, empty_encoder(experiment))).memory
    monkeypatch.setattr(machine, "free_memory", lambda: without_rows)
    monkeypatch.setattr(ModelPlan, "build", None)
    result = ctr("train", config, "--run", tmp_path / "run")
    assert result.exit_code == 2
    assert re.match(r"error: memory: the run needs [\d.]+ MiB, but only [\d.]+ KiB is free", result.stderr)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("empty_process")
def test_memory_that_is_only_just_enough_is_a_warning(look, monkeypatch):
    needed = look().estimate.memory
    for free, level in [(needed - 1, "error"), (needed, "warning"), (2 * needed, "ok")]:
        monkeypatch.setattr(machine, "free_memory", lambda free=free: free)
        assert any(sentence.startswith("memory: the run needs") for sentence in said(look(), level))


def test_what_the_process_has_taken_already_is_needed_and_there(look, monkeypatch):
    set_own_memory(monkeypatch, 0, 0)
    alone = look().estimate
    set_own_memory(monkeypatch, 3 * GIB, 4 * GIB)
    needs = look().estimate
    assert needs.memory == alone.memory + 3 * GIB
    monkeypatch.setattr(machine, "free_memory", lambda: needs.memory - 3 * GIB)
    assert not [sentence for sentence in said(look(), "error") if sentence.startswith("memory")]
    monkeypatch.setattr(machine, "free_memory", lambda: needs.memory - 3 * GIB - 1)
    assert [sentence for sentence in said(look(), "error") if sentence.startswith("memory")]


def test_what_the_process_had_once_is_no_need_of_a_training(config, tmp_path, monkeypatch):
    set_own_memory(monkeypatch, GIB, 5 * GIB)
    monkeypatch.setattr(machine, "free_memory", lambda: 3 * GIB)
    settings = ("--set", "training.epochs=1", "--set", f"model={PLAIN_MODEL}")
    with undrawn():
        assert ctr("train", config, "--run", tmp_path / "run", *settings).exit_code == 0


def test_large_row_groups_need_no_more_memory(look, data_folder, monkeypatch):
    set_own_memory(monkeypatch, 0, 0)
    monkeypatch.setattr(features.row_groups, "WHOLE_ROWS", 20)
    monkeypatch.setattr(features.row_groups, "SLICE_ROWS", 20)
    sliced = look("data.shuffle_rows=100").estimate.rows
    for path in data_folder.glob("*.parquet"):
        pq.write_table(pq.read_table(path), path, row_group_size=20)
    assert look("data.shuffle_rows=100").estimate.rows == pytest.approx(sliced, rel=0.01)


@pytest.mark.usefixtures("empty_process")
def test_inspect_tells_memory_and_disk_together(look, monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda: 8 * GIB)
    monkeypatch.setattr(machine, "free_disk", lambda folder: GIB)
    errors = said(look(HUGE, "training.checkpoint.keep=3"), "error")
    assert [sentence.split(":")[0] for sentence in errors] == ["memory", "disk"]
    assert "5 checkpoints of 119.2 GiB" in errors[1]


def test_disk_for_one_checkpoint_but_not_all_is_a_warning(config, look, tmp_path, monkeypatch):
    enough = look().estimate.checkpoint + look().estimate.scores
    monkeypatch.setattr(machine, "free_disk", lambda folder: enough)
    assert [sentence for sentence in said(look(), "warning") if sentence.startswith("disk")]
    monkeypatch.setattr(machine, "free_disk", lambda folder: enough - 1)
    assert [sentence for sentence in said(look(), "error") if sentence.startswith("disk")]
    result = ctr("train", config, "--run", tmp_path / "run")
    assert result.exit_code == 2
    assert "disk: " in result.stderr


def test_tables_of_more_rows_than_int32_counts_are_told_before_anything_is_read(config, tmp_path):
    both = "features.columns={a: {column: user, hash: 2000000000}, b: {column: item, hash: 2000000000}}"
    result = ctr("train", config, "--run", tmp_path / "run", "--set", both, "--set", "data.path=no/such/folder")
    assert result.exit_code == 2
    assert "'a' the largest, share a variable and have 4,000,000,006 rows together" in result.stderr


@pytest.mark.usefixtures("empty_process")
def test_towers_that_no_memory_holds_are_told_before_anything_is_read(config, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "free_memory", lambda: 8 * GIB)
    monkeypatch.setattr(machine, "free_disk", lambda folder: 10**15)
    settings = ("--set", "model.hidden=[40000, 40000, 40000]", "--set", "data.path=no/such/folder")
    result = ctr("train", config, "--run", tmp_path / "run", *settings)
    assert result.exit_code == 2
    # two matrices of 40,000 x 40,000, each with two states of Adam, and a copy for a checkpoint
    assert "memory: the run needs at least 71.5 GiB, but only 8.0 GiB is free" in result.stderr
    assert "The largest block is 'deep' with 35.8 GiB. Use narrower layers." in result.stderr


def test_a_weight_of_too_many_numbers_is_told_before_anything_is_read(config, tmp_path):
    settings = ("--set", "model.hidden=[60000, 60000]", "--set", "data.path=no/such/folder")
    result = ctr("train", config, "--run", tmp_path / "run", *settings)
    assert result.exit_code == 2
    sentence = "model: deep: a weight must have fewer than 2^31 numbers. Received: [60000, 60000]"
    assert sentence in result.stderr


OOM = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[9,8] and type float")
REFUSALS = {
    "model: not enough memory for weights of shape[9,8]. Use smaller layers.": OOM,
    "model: cross/0: too wide": ValueError(
        "Exception encountered when calling layer 'x'.\n\ncross/0: too wide\n\nCall"
    ),
}


@pytest.mark.parametrize("message", REFUSALS)
def test_what_only_making_a_model_tells_is_told_in_one_line(make_experiment, monkeypatch, message):
    def refuse(*_, **__):
        raise REFUSALS[message]

    monkeypatch.setattr("ctr.training.build.CTRModel", refuse)
    with pytest.raises(ConfigError) as raised:
        plan_model(make_experiment(), empty_encoder(make_experiment()))
    assert str(raised.value) == message


def test_a_run_that_is_there_is_a_warning(look, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").touch()
    assert any("already holds a run" in sentence for sentence in said(look(), "warning"))
    (tmp_path / "run" / "config.yaml").rename(tmp_path / "run" / "diary.txt")
    assert any(": exists and is not a run" in sentence for sentence in said(look(), "error"))


# Resources of the machine


def write_files(root, files):
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


MEMORY = {"proc/meminfo": "MemTotal: 999999 kB\nMemAvailable: 1000 kB\n"}


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, None),
        (MEMORY, 1000 * 1024),
        (
            {
                **MEMORY,
                "proc/self/cgroup": "0::/job/step\n",
                "sys/fs/cgroup/job/memory.max": "700000\n",
                "sys/fs/cgroup/job/memory.current": "300000\n",
                "sys/fs/cgroup/job/memory.stat": "anon 200000\ninactive_file 60000\nactive_file 40000\n",
                "sys/fs/cgroup/job/step/memory.max": "max\n",
                "sys/fs/cgroup/job/step/memory.current": "300000\n",
                "sys/fs/cgroup/job/step/memory.stat": "anon 200000\n",
            },
            500_000,
        ),
        (
            {
                **MEMORY,
                "proc/self/cgroup": "5:cpu:/\n4:memory:/not/seen/from/inside\n",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "400000\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "500000\n",
                "sys/fs/cgroup/memory/memory.stat": "cache 100\ntotal_inactive_file 200000\ntotal_active_file 0\n",
            },
            100_000,
        ),
    ],
    ids=["unknown", "no groups", "v2, bounded above", "v1, seen as the topmost"],
)
def test_free_memory_is_that_of_the_tightest_group(tmp_path, files, free):
    write_files(tmp_path, files)
    assert machine.free_memory(tmp_path) == free


def test_own_memory_is_what_the_system_says(tmp_path):
    status = "Name:\tpython\nVmHWM:\t  3000 kB\nVmRSS:\t  2000 kB\nRssAnon:\t  1500 kB\nThreads:\t3\n"
    write_files(tmp_path, {"proc/self/status": status})
    assert machine.own_memory(tmp_path) == (2000 * 1024, 3000 * 1024, 1500 * 1024)
    assert machine.own_memory(tmp_path / "elsewhere") == (0, 0, 0)


def test_free_disk_is_that_of_the_folder_that_is_there(tmp_path):
    assert machine.free_disk(tmp_path / "not" / "yet") == pytest.approx(machine.free_disk(tmp_path), rel=0.05)


# Device of the model


@pytest.fixture
def gpu(monkeypatch):
    """Make TensorFlow see a GPU of a number of bytes."""

    def show(size):
        device = SimpleNamespace(device_type="GPU", memory_limit=size)
        monkeypatch.setattr("ctr.training.devices.device_lib.list_local_devices", lambda: [device])

    return show


@pytest.mark.usefixtures("empty_process")
def test_a_gpu_that_holds_the_tables_leaves_memory_for_one_copy(look, gpu):
    on_cpu = look("training.device=cpu")
    gpu(GIB)
    on_gpu = look("training.device=auto")
    assert "device: CPU, set by `training.device`" in said(on_cpu, "ok")
    assert any(sentence.startswith("device: GPU with 1.0 GiB") for sentence in said(on_gpu, "ok"))
    assert on_cpu.estimate.memory - on_gpu.estimate.memory == on_cpu.estimate.checkpoint


def test_a_gpu_that_does_not_hold_the_tables_is_a_warning_unless_it_is_asked_for(look, gpu):
    gpu(1000)
    assert any("exceed the GPU's" in sentence for sentence in said(look("training.device=auto"), "warning"))
    assert any(
        "may take 80% of the GPU's 0.0 GiB" in sentence for sentence in said(look("training.device=gpu"), "error")
    )


def test_no_gpu_is_ok_unless_it_is_asked_for(look):
    assert "device: CPU; TensorFlow finds no GPU" in said(look("training.device=auto"), "ok")
    assert "device: training.device: TensorFlow sees no GPU. Use `auto` or `cpu`." in said(
        look("training.device=gpu"), "error"
    )


def test_a_first_file_that_lacks_a_column_is_the_only_mistake(look, data_folder):
    path = data_folder / "part-0.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["item"]), path)
    errors = said(look(), "error")
    assert len(errors) == 1
    assert "part-0.parquet: no column 'item'" in errors[0]


def test_training_data_in_one_large_row_group_is_a_warning(look, data_folder, monkeypatch):
    assert "order: every epoch mixes different row groups, or all rows" in said(look(), "ok")
    files = sorted(data_folder.glob("*.parquet"))
    table = pa.concat_tables(pq.read_table(path) for path in files)
    for path in files:
        path.unlink()
    pq.write_table(table, data_folder / "all.parquet")
    monkeypatch.setattr(features.row_groups, "WHOLE_ROWS", 64)
    monkeypatch.setattr(features.row_groups, "SLICE_ROWS", 64)
    order = [sentence for sentence in said(look("data.shuffle_rows=100"), "warning") if sentence.startswith("order")]
    assert order == [
        "order: the training data is one row group of 720 rows, and `data.shuffle_rows` mixes 100 neighbors at a time. "
        "Write the file again in row groups of 65,536 rows, or raise `data.shuffle_rows`."
    ]
