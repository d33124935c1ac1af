"""Whole runs of every model on the small click log, each with different optimizers."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import ctr
from ctr.config.experiment import ConfigError
from ctr.training.data import prepare
from ctr.training.plan import plan_model
from models import MODELS
from tests.conftest import click_log
from tests.ctr.pairings import settings_of

pytestmark = pytest.mark.usefixtures("undrawn_plots")

EVALUATE = """
import sys
import ctr
from tests.ctr.undrawn import undrawn
with undrawn():
    for run in sys.argv[2:]:
        ctr.evaluate(run, sys.argv[1])
"""


@pytest.mark.slow
def test_every_model_saved_and_loaded_in_a_fresh_process_scores_the_same_bytes(make_experiment, tmp_path):
    test_file = tmp_path / "test.parquet"
    pq.write_table(click_log(300, seed=9), test_file, row_group_size=128)
    sets = f"data={{train: {tmp_path / 'clicks'}, valid: {test_file}, test: {test_file}, label: clicked}}"
    runs = {name: tmp_path / name for name in MODELS}
    for name, run in runs.items():
        ctr.train(make_experiment(sets, *settings_of(name)), run)

    command = [sys.executable, "-c", EVALUATE, str(test_file), *map(str, runs.values())]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[2], capture_output=True)

    for run in runs.values():
        fresh = run / "evaluations" / "test" / "scores" / "test.parquet"
        assert fresh.read_bytes() == (run / "scores" / "test.parquet").read_bytes()


@pytest.mark.parametrize("name", MODELS)
def test_a_row_scores_the_same_alone_and_among_others(make_experiment, name):
    experiment = make_experiment(*settings_of(name))
    prepared = prepare(experiment)
    model = plan_model(experiment, prepared.encoder).build()
    batch = prepared.encoder(click_log(20, seed=4), "here")

    together = model(batch).numpy()
    alone = np.concatenate([model({key: array[k : k + 1] for key, array in batch.items()}).numpy() for k in range(20)])

    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        *(("log_odds", name) for name in MODELS),
        ("zero", "dnn"),
        *(pytest.param("zero", name, marks=pytest.mark.slow) for name in MODELS if name != "dnn"),
    ],
)
def test_an_untrained_model_on_zeros_scores_the_base_rate(make_experiment, name, start):
    experiment = make_experiment(*settings_of(name), f"model.initializer={{tables: 0, head_bias: {start}}}")
    prepared = prepare(experiment)
    batch = prepared.encoder(click_log(20, seed=4), "here")
    batch["numerics"][:] = 0

    logits = plan_model(experiment, prepared.encoder).build()(batch).numpy()

    rate = np.mean(np.concatenate([group.read(["clicked"])["clicked"] for group in prepared.splits["train"]]))
    expected = np.log(rate / (1 - rate)) if start == "log_odds" else 0
    np.testing.assert_allclose(logits, expected, rtol=1e-6, atol=1e-7)


def test_a_table_that_no_part_of_a_model_reads_is_not_made(make_experiment):
    experiment = make_experiment(
        "features.columns.seen={type: sequence, column: history, pooling: none}",
        "model={type: can, pairs: [[item, seen]], base: {type: dnn, hidden: [8]}}",
    )
    model = plan_model(experiment, prepare(experiment).encoder).build()

    tables = [name for kind, names in model.logical_variables if kind == "table" for name in names]

    assert set(tables) == {"user", "item", "hour", "can/item_x_seen/item", "can/item_x_seen/user"}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "model={type: din, targets: {histry: item}}",
            r"model: targets: unknown sequence feature 'histry'\. Use one of: history",
        ),
        (
            "model={type: can, pairs: [[item, past]], base: dnn}",
            "model: pairs: unknown categorical or sequence feature 'past'. Use one of: user, item, hour, history",
        ),
        (
            "features.columns.history.pooling=none",
            "features.columns.history: `pooling: none` needs a model that reads single behaviors, but dcn_v2 does not",
        ),
        ("optimizers.sparse.usr={type: ftrl}", "optimizers: .*usr"),
    ],
    ids=["din", "can", "pooling", "pattern"],
)
def test_what_does_not_fit_the_features_is_named_before_any_data_is_read(make_experiment, tmp_path, setting, message):
    experiment = make_experiment(setting, "data.path=/nowhere")

    with pytest.raises(ConfigError, match=message):
        ctr.train(experiment, tmp_path / "run")


@pytest.mark.slow
def test_a_model_with_shapes_that_depend_on_data_scores_the_same_from_its_folder(
    make_experiment, data_folder, tmp_path
):
    report = ctr.train(make_experiment(*settings_of("can")), tmp_path / "run")
    again = ctr.evaluate(tmp_path / "run", str(data_folder / "part-2.parquet"))
    assert again["fingerprints"]["final_weights"] == report["fingerprints"]["final_weights"]
    kept, scores = (
        pq.read_table(folder / "scores" / f"{name}.parquet")
        for folder, name in ((tmp_path / "run", "test"), (tmp_path / "run" / "evaluations" / "part-2", "part-2"))
    )
    # the last row group has the same 200 examples in both: other batches can differ in the last digits
    assert scores.slice(len(scores) - 200).equals(kept.slice(len(kept) - 200))


@pytest.mark.slow
def test_a_model_with_shapes_that_depend_on_data_trains_to_the_same_bytes_twice(make_experiment, tmp_path):
    reports = [ctr.train(make_experiment(*settings_of("can")), tmp_path / run) for run in ("one", "two")]

    assert reports[0]["fingerprints"] == reports[1]["fingerprints"]
