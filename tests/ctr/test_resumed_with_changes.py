"""Changes between a run and its resumption: those that are allowed, refused, or only a warning."""

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.config.experiment import load_experiment
from ctr.errors import ConfigError
from ctr.runs.checksums import write_checksums
from ctr.runs.run import Run
from ctr.training.resume import resumed
from features import DataError
from tests.conftest import THREADS, click_log, swap_two_labels, write_clicks
from tests.ctr.conftest import (
    BY_STEPS,
    EVERY,
    After,
    Killed,
    ending,
    kill,
    resealed,
    resume,
    resume_up_to_training,
    write_plain_config,
)

pytestmark = pytest.mark.usefixtures("every_checkpoint_is_saved", "undrawn_plots")


def command(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def changed(*settings):
    return [part for setting in [EVERY, *BY_STEPS, *settings] for part in ("--set", setting)]


def test_settings_that_decide_the_training_may_not_change(place, unfinished):
    settings = changed("training.batch_size=128", "optimizers.sparse.user={type: adagrad}", "report.threshold=0.4")
    result = command("train", place / "tiny.yaml", "--run", unfinished, "--resume", *settings)
    assert result.exit_code == 2
    assert "training.batch_size: 64 in the run, 128 now" in result.stderr
    assert "optimizers.sparse.user: absent in the run, {'type': 'adagrad'," in result.stderr
    assert "report" not in result.stderr
    assert len(result.stderr.splitlines()) < 10


@pytest.fixture
def without_threads(place, tmp_path):
    """Return the path of a config with the default of `training.threads`."""
    path = tmp_path / "without_threads.yaml"
    path.write_text((place / "tiny.yaml").read_text().replace(f"threads: {THREADS}, ", ""))
    return path


def cpus(monkeypatch, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(count)), raising=False)


def test_a_run_keeps_its_threads_on_a_machine_with_other_cpus(without_threads, undisturbed, unfinished, monkeypatch):
    cpus(monkeypatch, THREADS)
    assert load_experiment(without_threads).training.threads == THREADS  # as in the run's config
    cpus(monkeypatch, THREADS + 5)
    experiment = load_experiment(without_threads, [EVERY, *BY_STEPS])
    assert experiment.training.threads == THREADS + 5
    assert f"{THREADS} threads" in resume(experiment, unfinished)
    assert load_experiment(unfinished / "config.yaml").training.threads == THREADS
    assert ending(unfinished) == undisturbed(*BY_STEPS)
    resume(experiment, unfinished)  # to print its report


@pytest.mark.parametrize("set_by", ["config", "--set"])
def test_another_number_of_threads_that_is_asked_for_is_an_error(without_threads, unfinished, set_by):
    config, settings = without_threads, changed()
    if set_by == "config":
        config = without_threads.with_name("seven.yaml")
        config.write_text(without_threads.read_text().replace("epochs: 3", "epochs: 3, threads: 7"))
    else:
        settings = changed("training.threads=7")
    result = command("train", config, "--run", unfinished, "--resume", *settings)
    assert result.exit_code == 2
    assert f"training.threads: {THREADS} in the run, 7 now" in result.stderr


def test_features_and_patterns_in_another_order_are_other_ones(place, unfinished, tmp_path):
    """Weights would end up in the positions of others."""
    lines = (place / "tiny.yaml").read_text().splitlines()
    user = lines.index("    user: {}")
    lines[user : user + 2] = reversed(lines[user : user + 2])
    (tmp_path / "reordered.yaml").write_text("\n".join(lines))
    result = command("train", tmp_path / "reordered.yaml", "--run", unfinished, "--resume", *changed())
    assert result.exit_code == 2
    assert "features.columns: the order user, item, price in the run, item, user, price now" in result.stderr


def test_epochs_patience_checkpoints_and_reports_may_change(experiment_of, unfinished):
    settings = ["training.epochs=1", "training.early_stopping.patience=8", "report.threshold=0.4", "name=other"]
    experiment = experiment_of(*BY_STEPS, *settings, "training.checkpoint={every: {minutes: 1}, keep: 1}")
    report = ctr.train(experiment, unfinished, resume=True)
    assert report["training"]["epochs"] == 1
    assert load_experiment(unfinished / "config.yaml") == experiment


def other_rows(folder):
    path = folder / "part-1.parquet"
    pq.write_table(pq.read_table(path).slice(0, 390), path, row_group_size=200)


def other_bytes(folder):
    path = folder / "part-1.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=200, compression="none")


def other_values(folder):
    path = folder / "part-1.parquet"
    size, table = path.stat().st_size, pq.read_table(path)
    weights = table["w"].to_numpy().copy()
    weights[weights.argmax()] += 1e-3
    place = table.column_names.index("w")
    pq.write_table(table.set_column(place, "w", pa.array(weights)), path, row_group_size=200)
    assert path.stat().st_size == size


def new_file(folder):
    pq.write_table(click_log(10), folder / "part-9.parquet")


DATA = {
    "rows": (other_rows, "part-1.parquet: 320 rows"),
    "bytes": (other_bytes, "part-1.parquet: 320 rows"),
    "values": (other_values, "part-1.parquet: 320 rows"),
    "a file is new": (new_file, "part-9.parquet: not a file in test of the run, 10 rows"),
    "a file is gone": (lambda folder: (folder / "part-2.parquet").unlink(), "part-2.parquet: 240 rows"),
}


@pytest.fixture(scope="module")
def killed_by_rows(tmp_path_factory):
    """Return an experiment split by rows, its data, and a run of it that was killed after 4 steps."""
    folder = tmp_path_factory.mktemp("by rows")
    config = write_plain_config(folder / "tiny.yaml", write_clicks(folder / "clicks"))
    experiment = load_experiment(config, [EVERY, "data.split={by: rows, fractions: [0.6, 0.2, 0.2]}"])
    with pytest.raises(Killed):
        ctr.train(experiment, folder / "run", callbacks=[After(4, kill)])
    return experiment, folder / "clicks", folder / "run"


@pytest.fixture
def begun(killed_by_rows, tmp_path):
    """Return the same and restore its data after the test."""
    _, data, _ = killed_by_rows
    shutil.copytree(data, tmp_path / "clicks")
    yield killed_by_rows
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "clicks", data)


@pytest.mark.parametrize("case", DATA)
def test_data_that_has_changed_is_named(begun, case):
    (change, message), (experiment, data, run) = DATA[case], begun
    change(data)
    with pytest.raises(DataError, match="cannot resume with different data") as raised:
        ctr.train(experiment, run, resume=True)
    assert message in str(raised.value)
    assert (run / "checkpoints" / "step-000000003").exists()


@pytest.mark.parametrize("keeps_time", [False, True], ids=["of another time", "of the same time"])
def test_one_other_label_is_noticed_where_size_and_footer_are_as_before(begun, keeps_time):
    experiment, data, run = begun
    path = data / "part-1.parquet"
    before = path.stat()
    swap_two_labels(path)
    if keeps_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DataError, match=rf"{path}, row group 0: column 'clicked' has different values than when"):
        ctr.train(experiment, run, resume=True)
    assert (run / "checkpoints" / "step-000000003").exists()


def test_files_of_another_time_are_read_again_and_the_run_goes_on_if_they_are_the_same(begun, tmp_path):
    experiment, data, run = begun
    for path in data.iterdir():
        os.utime(path)
    shown = resume_up_to_training(experiment, Path(shutil.copytree(run, tmp_path / "copy")))
    assert f"warning: comparing {data / 'part-0.parquet'} and 2 more with the data of the run, because the mod" in shown
    assert "resuming from step 3" in shown


def test_a_checkpoint_of_an_earlier_version_is_used_with_a_warning(experiment_of, undisturbed, unfinished):
    for checkpoint in unfinished.glob("checkpoints/step-*"):
        (checkpoint / "contents.parquet").unlink()
        write_checksums(checkpoint)
    shown = resume(experiment_of(*BY_STEPS), unfinished)
    assert (
        "warning: an earlier version wrote step-000000006, so data files are compared by size and footer only" in shown
    )
    assert ending(unfinished) == undisturbed(*BY_STEPS)


def test_a_column_that_was_not_read_yet_of_a_file_of_another_time_is_refused(experiment_of, tmp_path):
    """With `unseen: own`, the first epoch reads `slot` for the first time, a few row groups ahead of the step."""
    data, run = tmp_path / "clicks", tmp_path / "run"
    data.mkdir()
    pq.write_table(click_log(), data / "all.parquet", row_group_size=20)
    slot = "features={unseen: own, columns: {slot: {column: user, identity: 8}, price: {type: numeric}}}"
    experiment = experiment_of(f"data.path={data}", slot, "data.shuffle_rows=1", "training.batch_size=8")
    with pytest.raises(Killed):
        ctr.train(experiment, run, callbacks=[After(4, kill)])
    os.utime(data / "all.parquet")
    with pytest.raises(
        DataError, match="the modification time differs, and the run had not read column 'user' here yet"
    ):
        ctr.train(experiment, run, resume=True)


def make_earlier(run):
    """Change a run into one of a version without `unseen` and `head_bias`."""
    values = yaml.safe_load((run / "config.yaml").read_text())
    del values["features"]["unseen"], values["model"]["initializer"]["head_bias"]
    (run / "config.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    resealed(run)


def test_a_run_of_an_earlier_version_keeps_what_that_version_did(unfinished):
    make_earlier(unfinished)
    begun = Run(unfinished).experiment()
    assert (begun.features.unseen, begun.initializer.head_bias) == ("own", "zero")


def test_settings_that_are_newer_than_a_run_stay_its_own_unless_the_config_sets_them(experiment_of, unfinished):
    make_earlier(unfinished)
    experiment = resumed(experiment_of(*BY_STEPS), Run(unfinished))
    assert (experiment.features.unseen, experiment.initializer.head_bias) == ("own", "zero")
    with pytest.raises(ConfigError, match=r"model\.initializer\.head_bias: zero in the run, log_odds"):
        resumed(experiment_of(*BY_STEPS, "model.initializer.head_bias=log_odds"), Run(unfinished))


def test_other_versions_are_a_warning(experiment_of, unfinished):
    environment = json.loads((unfinished / "environment.json").read_text())
    environment["packages"]["numpy"] = "1.0"
    (unfinished / "environment.json").write_text(json.dumps(environment))
    resealed(unfinished)
    shown = resume_up_to_training(experiment_of(*BY_STEPS), unfinished)
    assert "warning: versions have changed since the run started, so its result might differ: " in shown


def test_another_device_is_a_warning(experiment_of, unfinished):
    environment = json.loads((unfinished / "environment.json").read_text())
    assert environment["device"] == "CPU"
    (unfinished / "environment.json").write_text(json.dumps({**environment, "device": "GPU"}))
    resealed(unfinished)
    shown = resume_up_to_training(experiment_of(*BY_STEPS), unfinished)
    assert "warning: the run started on the GPU and continues on the CPU" in shown


def test_resuming_what_is_finished_shows_its_report(small_config, trained):
    (trained / "report.html").unlink()  # as by a kill after report.json
    weights = next(trained.glob("checkpoints/*/state.index")).stat().st_mtime_ns
    result = command("train", small_config, "--run", trained, "--resume")
    assert result.exit_code == 0
    assert "is already finished:" in result.stdout
    assert (trained / "report.html").exists()
    assert next(trained.glob("checkpoints/*/state.index")).stat().st_mtime_ns == weights


def test_resuming_and_overwriting_exclude_each_other(place, tmp_path):
    result = command("train", place / "tiny.yaml", "--run", tmp_path / "run", "--resume", "--overwrite")
    assert result.exit_code == 2
    assert "Use `resume` to continue the run, or `overwrite` to start over." in result.stderr


def test_an_unfinished_run_says_how_to_go_on(place, unfinished):
    for arguments in (["report", unfinished], ["train", place / "tiny.yaml", "--run", unfinished]):
        result = command(*arguments)
        assert result.exit_code == 2
        assert "--resume" in result.stderr
