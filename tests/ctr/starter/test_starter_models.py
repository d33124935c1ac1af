"""Models of a first config: by the size of the data, by name, and with the features that there are."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.config.experiment import load_experiment
from ctr.errors import ConfigError
from ctr.starter.build import build_starter
from ctr.starter.config_text import config_text
from ctr.starter.models import PROPOSALS
from ctr.starter.sizes import sizes_for
from tests.conftest import THREADS

ROWS = 600
ITEM, SHOP = (
    {name: [f"x{k}" for k in np.random.default_rng(seed).integers(0, 30, ROWS)]}
    for seed, name in enumerate(("item", "shop"))
)
CATEGORIES = ITEM | SHOP
NUMBERS = {"price": np.random.default_rng(1).normal(size=ROWS)}


@pytest.fixture
def config_of(tmp_path):
    """Return a function that writes columns next to a label, and returns the text of their first config."""

    def write(columns, model=None):
        label = (np.random.default_rng(2).random(ROWS) < 0.3).astype("int8")
        pq.write_table(pa.table({"label": label, **columns}), tmp_path / "clicks.parquet")
        return config_text(build_starter([str(tmp_path / "clicks.parquet")], None, model)[0])

    return write


@pytest.mark.parametrize(
    ("rows", "positive_rate", "model", "batch_size"),
    [
        (29_999, 0.5, "wide_deep", 256),
        (30_000, 0.5, "dcn_v2", 512),
        (30_000, 0.1, "dcn_v2", 512),
        (30_000, 0.04, "wide_deep", 256),  # 1,200 positives
        (30_000, 0.96, "wide_deep", 256),
        (200_000, 0.3, "dcn_v2", 1024),
        (200_000, 0.01, "wide_deep", 256),
        (5_000_000, 0.2, "dcn_v2", 4096),
        (10**9, 0.001, "dcn_v2", 4096),
    ],
)
def test_settings_suit_the_rows_and_the_rarer_label(rows, positive_rate, model, batch_size):
    sizes = sizes_for(rows, positive_rate)
    assert (sizes.model, sizes.batch_size) == (model, batch_size)


@pytest.mark.parametrize("columns", [CATEGORIES | NUMBERS, CATEGORIES], ids=["with a number", "categories only"])
@pytest.mark.parametrize("model", PROPOSALS)
@pytest.mark.medium
def test_each_model_trains_without_an_edit(config_of, tmp_path, model, columns):
    text = config_of(columns, model)
    assert f" --model {model}\n" in text
    values = yaml.safe_load(text)
    assert values["model"]["type"] == model
    assert ("wide/*" in values["optimizers"]["sparse"]) == (model in ("linear", "wide_deep", "deepfm"))
    assert values["training"]["early_stopping"]["metric"] == "auc - log_loss"
    (tmp_path / "config.yaml").write_text(text)
    small = ["training.epochs=1", f"training.threads={THREADS}", "training.device=cpu", "report.worst_rows=0"]
    report = ctr.train(load_experiment(tmp_path / "config.yaml", small), tmp_path / "run")
    assert report["metrics"]["test"]["rows"] > 0


def test_without_categories_there_are_no_wide_weights(config_of):
    assert yaml.safe_load(config_of(NUMBERS))["model"]["type"] == "dcn_v2"


@pytest.mark.parametrize(
    ("columns", "model", "message"),
    [
        (
            CATEGORIES,
            "wide",
            r"^--model: unknown model 'wide'\. Use one of: linear, wide_deep, deepfm, dcn_v2, two_stream\.$",
        ),
        (
            NUMBERS,
            "linear",
            r"^--model: linear needs 1 or more categorical features, but the dataset has 0\. Use dcn_v2\.$",
        ),
        (
            ITEM,
            "deepfm",
            r"^--model: deepfm needs 2 or more categorical features, but the dataset has 1\. Use dcn_v2\.$",
        ),
    ],
)
def test_a_model_that_cannot_be_proposed_is_an_error(config_of, columns, model, message):
    with pytest.raises(ConfigError, match=message):
        config_of(columns, model)


def test_the_help_names_every_model():
    help_text = " ".join(CliRunner().invoke(app, ["init", "--help"], env={"COLUMNS": "300"}).output.split())
    assert all(name in help_text for name in PROPOSALS)
