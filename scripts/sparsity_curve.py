"""Share of zero rows against test AUC: sparse optimizers with penalties from none to too strong.

    python scripts/sparsity_curve.py DATA_ROOT [--config configs/frappe/dcn_v2.yaml] [--epochs 15] [--out docs]

Writes sparsity.svg into the folder and prints a table. Runs are kept in runs/sparsity/, and one
that is finished is not trained again.
"""

import argparse
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

import ctr
from ctr.report.tables import zero_share
from ctr.run import Run

COMMON = "learning_rate: 0.05, beta: 0.0, l2_gradient: 0.01"
GROUP_LASSO = f"type: group_lasso_adagrad, {COMMON}"
FOBOS = f"type: fobos_group_lasso, {COMMON}, initial_accumulator: 1.0e-6"
PENALTIES = [0, 0.01, 0.03, 0.1, 0.2, 0.3, 3]
CURVES = {  # its optimizer, the penalty's key, and its values
    "group_lasso_adagrad": (f"{GROUP_LASSO}, preserve_initial: false", "l21", PENALTIES),
    "group_lasso_adagrad, preserve_initial": (f"{GROUP_LASSO}, preserve_initial: true", "l21", PENALTIES),
    "fobos_group_lasso": (FOBOS, "l21", [0, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3]),
    "ftrl": (f"type: ftrl, {COMMON}", "l1", [0, 0.003, 0.01, 0.03, 0.1, 0.3]),
}


def report_of(name: str, optimizer: str, args: argparse.Namespace) -> dict[str, Any]:
    """The report of a run with `optimizer` on all tables."""
    folder = Path("runs/sparsity") / name
    if Run(folder).is_finished:
        return Run(folder).report()
    overrides = [f"data.root={args.data_root}", f"training.epochs={args.epochs}"]
    overrides += ["training.early_stopping.patience=1000", f'optimizers.sparse={{"*": {{{optimizer}}}}}']
    return ctr.train(ctr.load_experiment(args.config, overrides), folder, overwrite=True)


def draw(curves: dict[str, list[tuple[float, float]]], path: Path) -> None:
    """One line an optimizer: share of zero rows against test AUC."""
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "sparsity", "font.size": 9}):
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.subplots()
        for (name, points), marker in zip(curves.items(), "osd^", strict=True):
            axes.plot(*zip(*points, strict=True), marker=marker, label=name)
        axes.set(xlabel="share of rows that are zero", ylabel="test AUC")
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_root")
    parser.add_argument("--config", default="configs/frappe/dcn_v2.yaml")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("docs"))
    args = parser.parse_args()
    curves: dict[str, list[tuple[float, float]]] = {}
    print("| optimizer | penalty | zero rows | valid AUC | test AUC | log loss |\n|---|---|---|---|---|---|")
    for name, (optimizer, key, penalties) in CURVES.items():
        for penalty in penalties:
            report = report_of(f"{name}-{penalty}".replace(", ", "-"), f"{optimizer}, {key}: {penalty}", args)
            metrics, share = report["metrics"], zero_share(report["tables"])
            curves.setdefault(name, []).append((share, metrics["test"]["auc"]))
            cells = f"{metrics['valid']['auc']:.5f} | {metrics['test']['auc']:.5f} | {metrics['test']['log_loss']:.4f}"
            print(f"| {name} | {key} {penalty:g} | {share:.1%} | {cells} |", flush=True)
    draw(curves, args.out / "sparsity.svg")


if __name__ == "__main__":
    main()
