"""Write two studies of the models that `ctr init` proposes for a dataset: as proposed, and after tuning.

    python scripts/starter_study.py DATA FOLDER
    ctr compare FOLDER/proposed.yaml --out FOLDER/proposed
    ctr compare FOLDER/tuned.yaml --out FOLDER/tuned

FOLDER gets config.yaml, which `ctr init DATA` prints. Both studies train each model with five seeds: `proposed` as
`ctr init DATA --model NAME` proposes it, `tuned` with the best of six trials on the validation split. A trial changes
dropout, and the learning rates and penalties of the tables, each up to four times higher or lower. Both also have
logistic regression and gradient-boosted trees on the same features, which need the extra `classical`.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from ctr.errors import ConfigError
from ctr.starter.build import build_starter
from ctr.starter.config_text import config_text
from ctr.starter.models import PROPOSALS
from features import DataError

TUNED_TABLE_SETTINGS = ("learning_rate", "l2_gradient")
AROUND = 4  # times higher or lower than proposed
DROPOUT = {"tune": [0.0, 0.6], "scale": "linear"}
TRIALS, SEEDS = 6, [1, 2, 3, 4, 5]


class AliasFreeDumper(yaml.SafeDumper):
    """YAML dumper that writes equal values in full instead of by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return True."""
        return True


def around(value: float) -> dict[str, Any]:
    """Return the search range around a proposed value."""
    return {"tune": [value / AROUND, value * AROUND]}


def with_ranges(model: dict[str, Any], optimizers: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a model with search ranges."""
    ranges: dict[str, Any] = {"dropout": DROPOUT} if "dropout" in model else {}
    if "streams" in model:
        ranges = {"streams": {name: {**stream, "dropout": DROPOUT} for name, stream in model["streams"].items()}}
    tables = {
        pattern: {name: around(value) if name in TUNED_TABLE_SETTINGS else value for name, value in optimizer.items()}
        for pattern, optimizer in optimizers["sparse"].items()
    }
    return {"model": {**model, **ranges}, "optimizers": {**optimizers, "sparse": tables}}


def main() -> None:
    """Write the config and the studies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    try:
        default = build_starter([arguments.data], None)[0]
    except (ConfigError, DataError) as error:
        sys.exit(f"error: {error}")
    (arguments.folder / "config.yaml").write_text(config_text(default))
    proposed, tuned = {}, {}
    for name in PROPOSALS:
        try:
            starter = build_starter([arguments.data], None, name)[0]
        except ConfigError as error:  # a model that these features cannot have
            print(f"left out: {error}", file=sys.stderr)
            continue
        values = yaml.safe_load(config_text(starter))
        proposed[name] = {"model": values["model"], "optimizers": values["optimizers"]}
        tuned[name] = with_ranges(**proposed[name])
    shared = {
        "experiment": "config.yaml",
        "settings": {"training.threads": 1},
        "baseline": {"model": default.model},
        "classical_models": ["logistic", "trees"],
        "seeds": SEEDS,
    }
    studies = {
        "proposed": {"axes": {"model": proposed}},
        "tuned": {"axes": {"model": tuned}, "tuning": {"trials": TRIALS, "seed": 0}},
    }
    for name, study in studies.items():
        text = yaml.dump({"name": f"{default.name}-{name}", **shared, **study}, Dumper=AliasFreeDumper, sort_keys=False)
        (arguments.folder / f"{name}.yaml").write_text(text)


if __name__ == "__main__":
    main()
