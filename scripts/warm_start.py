"""Compare training on five days and a warm start on two more with training on seven days at once.

    python scripts/warm_start.py DATA [--config configs/quickstart.yaml] [--set KEY=VALUE]... [--folder FOLDER]

DATA is the folder of scripts/make_sample_data.py. Rows of every 20th user are left out of the first five days, so that
the next two days have new ids. Day 8 is the validation split, days 9 and 10 are the test split. Prints a table; exit
code 1 if embeddings of a known id are not copied bit for bit, those of a new id do not change, or the AUC is more than
0.005 below that of seven days at once.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import ctr
from ctr.config.experiment import Experiment, load_experiment
from ctr.runs.run import Run
from ctr.training.checkpoint import load_best
from ctr.training.data import empty_encoder, open_splits, prepare_splits
from ctr.training.plan import plan_model
from ctr.training.resume import load_encoder
from ctr.training.warm_start import copy_weights, open_parent
from models import CTRModel

NEW_USER = 20  # every so many
TOLERANCE = 0.005
COLUMN = TABLE = "user"


def write_days(source: Path, folder: Path) -> dict[str, list[str]]:
    """Write the files of the first days, of the next days, and of both at once."""
    days = sorted(source.glob("*.parquet"))
    users = sorted(
        set().union(*(pq.read_table(day, columns=[COLUMN])[COLUMN].unique().to_pylist() for day in days[:7]))
    )
    new = pa.array(users[::NEW_USER])
    for day in days[:5]:
        table = pq.read_table(day)
        pq.write_table(table.filter(pc.invert(pc.is_in(table[COLUMN], value_set=new))), folder / day.name)
    first, then = [str(folder / day.name) for day in days[:5]], [str(day) for day in days[5:7]]
    return {
        "first": first,
        "then": then,
        "all": first + then,
        "valid": [str(days[7])],
        "test": list(map(str, days[8:10])),
    }


def rows_of(model: CTRModel) -> dict[str, np.ndarray]:
    """Return the weights of every table."""
    return {
        table.name: np.concatenate(list(model.tables.table_blocks(table.name))) for table in model.tables.inputs.tables
    }


def begun(experiment: Experiment, run: Path) -> CTRModel:
    """Return the model of a warm start before its first step."""
    plan = plan_model(experiment, empty_encoder(experiment))
    parent = open_parent(plan, Run(run))
    assert parent is not None
    prepared = prepare_splits(experiment, open_splits(experiment), known=parent.encoder)
    model = plan.completed(prepared.encoder).build()
    copy_weights(parent, model, experiment)
    return model


def best_of(run: Path) -> CTRModel:
    """Return the model of a finished run."""
    saved = Run(run)
    model = plan_model(saved.experiment(), load_encoder(saved)).build()
    load_best(saved, model)
    return model


def mistakes_of(first: Path, warm: Path, experiment: Experiment) -> list[str]:
    """Return what is wrong with the embeddings of known and new ids."""
    before, start, end = (
        rows_of(best_of(first)),
        rows_of(begun(experiment, warm.with_name("none"))),
        rows_of(best_of(warm)),
    )
    found = [name for name in before if not np.array_equal(before[name], start[name][: len(before[name])])]
    mistakes = [f"table {name}: rows of old ids are not as they were" for name in found]
    new = slice(len(before[TABLE]), None)
    moved = (start[TABLE][new] != end[TABLE][new]).any(axis=1)
    print(
        f"table {TABLE}: {len(before[TABLE]):,} rows carried, {len(moved)} new ones, {int(moved.sum())} of them moved"
    )
    if not len(moved) or not moved.all():
        mistakes.append(f"table {TABLE}: rows of new ids did not move")
    return mistakes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--config", type=Path, default=Path("configs/quickstart.yaml"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folder", type=Path, help="folder for the runs (default: a temporary one)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        days = write_days(given.data, folder)

        def experiment(train: str, *more: str) -> Experiment:
            sets = [
                f"data.{name}={days[chosen]}"
                for name, chosen in (("train", train), ("valid", "valid"), ("test", "test"))
            ]
            return load_experiment(given.config, ["data.path=null", "data.split=null", *sets, *given.set, *more])

        first = folder / "first"
        carried, reset = (
            f"training.warm_start={{run: '{first}', optimizer_state: {state}}}" for state in ("keep", "reset")
        )
        runs: dict[str, tuple[str, Experiment]] = {
            "first": ("days 1-5", experiment("first")),
            "warm": ("days 6-7, warm from days 1-5", experiment("then", carried)),
            "reset": ("days 6-7, warm, optimizer state reset", experiment("then", reset)),
            "cold": ("days 6-7 alone", experiment("then")),
            "all": ("days 1-7 together", experiment("all")),
        }
        aucs: dict[str, float] = {}
        print("| trained on | test AUC | log loss | steps | s |\n|---|---|---|---|---|")
        for name, (what, one) in runs.items():
            report: dict[str, Any] = ctr.train(one, folder / name, resume=True)
            test, training = report["metrics"]["test"], report["training"]
            aucs[name] = test["auc"]
            row = (
                what,
                f"{test['auc']:.5f}",
                f"{test['log_loss']:.5f}",
                training["steps"],
                f"{report['seconds']['train']:.0f}",
            )
            print(f"| {' | '.join(map(str, row))} |", flush=True)
        mistakes = mistakes_of(first, folder / "warm", runs["warm"][1])
    if aucs["warm"] < aucs["all"] - TOLERANCE:
        mistakes.append(f"warm is {aucs['all'] - aucs['warm']:.5f} below seven days at once")
    print("\n".join(mistakes) or f"warm - all at once: {aucs['warm'] - aucs['all']:+.5f} AUC")
    sys.exit(1 if mistakes else 0)


if __name__ == "__main__":
    main()
