"""A run and evaluations whose names, values and files are hostile."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml

import ctr
from ctr.config.experiment import load_experiment
from tests.conftest import CONFIG, THREADS, click_log
from tests.ctr.report.variants import comparison

EVIL = "<script>alert(1)</script>"
NAME = "it\"em' $x$ & <b>"


@pytest.fixture(scope="session")
def evil(tmp_path_factory):
    """Return a folder with `run`, `evaluation` of data of one class, and `scored`, an evaluation without labels."""
    base = tmp_path_factory.mktemp("report")
    table = click_log()
    item = [EVIL if value == "item 3" or k > 700 else value for k, value in enumerate(table["item"].to_pylist())]
    table = table.set_column(table.schema.get_field_index("item"), NAME, pa.array(item))
    (base / "data").mkdir()
    pq.write_table(table, base / "data" / "cli\"cks' & $x$ <i>.parquet", row_group_size=200)
    negatives = table.filter(pc.equal(table["clicked"], 0)).slice(0, 99)
    pq.write_table(negatives, base / "labels $0$ <i>.parquet")
    pq.write_table(table.drop_columns("clicked").slice(0, 99), base / "fresh.parquet")
    values = yaml.safe_load(CONFIG.format(data=base / "data", threads=THREADS))
    values["name"] = "tiny <b>&$x$"
    values["data"]["keep"] = [NAME]
    columns = values["features"]["columns"]
    values["features"]["columns"] = {
        NAME: {},
        "score": {"column": "user"},
        "history": {"type": "sequence", "max_length": 4},
        "price": columns["price"],
    }
    values["report"] = {"group": "user", "time": {"column": NAME}}
    (base / "config.yaml").write_text(yaml.safe_dump(values))
    ctr.train(load_experiment(base / "config.yaml"), base / "run")
    ctr.evaluate(base / "run", str(base / "labels $0$ <i>.parquet"), base / "evaluation")
    ctr.evaluate(base / "run", str(base / "fresh.parquet"), base / "scored")
    return base


@pytest.fixture
def found():
    """Return the content of comparison.json for two by two options."""
    return comparison()
