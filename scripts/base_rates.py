"""Compare the first epochs of a config with and without a start at the base rate, paired by seed.

    python scripts/base_rates.py CONFIG [--set KEY=VALUE]... [--seeds 3] [--epochs 3]

Each seed is trained twice with the same data order and initial weights, except for `model.initializer.head_bias`. The
constant is the positive rate of the training labels, and its log loss is computed on the same labels.
"""

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import ctr
from features import Encoder

STARTS = ("zero", "log_odds")


def trained(arguments: argparse.Namespace, seed: int, start: str) -> tuple[list[float], dict[str, Any]]:
    """Train once; return the mean loss of each epoch divided by the constant's, and the report."""
    settings = [*arguments.set, f"seed={seed}", f"model.initializer.head_bias={start}"]
    if arguments.epochs is not None:
        settings += [f"training.epochs={arguments.epochs}", "training.early_stopping=null"]
    with tempfile.TemporaryDirectory() as folder:
        report = ctr.train(ctr.load_experiment(arguments.config, settings), Path(folder) / "run")
        lines = [json.loads(line) for line in (Path(folder) / "run/metrics.jsonl").read_text().splitlines()]
        log_odds = Encoder.load(Path(folder) / "run/encoder").log_odds
    assert log_odds is not None
    constant = constant_loss(1 / (1 + math.exp(-log_odds)))
    return [line["loss"] / constant for line in lines if line["kind"] == "train"], report


def constant_loss(rate: float) -> float:
    """Return the log loss of the positive rate as a constant score, in nats."""
    return -rate * math.log(rate) - (1 - rate) * math.log(1 - rate)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override of a setting")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="epochs, without early stopping (default: as in the config)")
    arguments = parser.parse_args()
    changes = []
    for seed in range(1, arguments.seeds + 1):
        auc = {}
        for start in STARTS:
            losses, report = trained(arguments, seed, start)
            metrics = report["metrics"][report["main_split"]]
            auc[start] = metrics["auc"]
            ratios = ", ".join(f"{loss:.4f}" for loss in losses[:3])
            print(
                f"seed {seed}, {start:8}: training loss / constant's {ratios}; epochs {report['training']['epochs']}; "
                f"{report['main_split']} AUC {metrics['auc']:.5f}, log loss {metrics['log_loss']:.5f}, "
                f"calibration {metrics['calibration']:.3f}",
                flush=True,
            )
        changes.append(auc["log_odds"] - auc["zero"])
    print(f"mean change of AUC: {sum(changes) / len(changes):+.5f}")


if __name__ == "__main__":
    main()
