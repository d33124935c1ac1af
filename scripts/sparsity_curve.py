"""Measure row sparsity and test AUC of sparse optimizers, with penalties from none to too strong.

For comparison, the shortest embeddings of a model without a penalty are set to zero after training.

    python scripts/sparsity_curve.py DATA_ROOT [--config configs/frappe/dcn_v2.yaml] [--epochs 15] [--out docs/images]

Writes row-sparsity.svg into the folder and prints a table. Runs are kept in runs/sparsity/. Finished runs are not
trained again.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

import ctr
from ctr.evaluation.scoring import Scorer
from ctr.evaluation.split_metrics import metrics_of
from ctr.runs.run import Run
from ctr.training.checkpoint import load_best
from ctr.training.data import prepare
from ctr.training.plan import plan_model
from ctr.training.sparsity import row_sparsity

LOWEST_AUC = 0.94  # of the plot
RUNS = Path("runs/sparsity")
COMMON = "learning_rate: 0.05, l2_gradient: 0.01"
GROUP_LASSO = f"type: group_lasso_adagrad, {COMMON}, beta: 0.001"  # with beta 0, penalties remove initial weights
FOBOS = f"type: fobos_group_lasso, {COMMON}, initial_accumulator: 1.0e-6"
PENALTIES = [0, 0.01, 0.03, 0.1, 0.15, 0.2, 0.3, 3]
CURVES = {  # its optimizer, the penalty's key, and its values
    "group_lasso_adagrad": (f"{GROUP_LASSO}, keep_initial_weights: false", "l21", PENALTIES),
    "group_lasso_adagrad, keep_initial_weights": (f"{GROUP_LASSO}, keep_initial_weights: true", "l21", PENALTIES),
    "fobos_group_lasso": (FOBOS, "l21", [0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2]),
    "ftrl": (f"type: ftrl, {COMMON}, beta: 0.001", "l1", [0, 0.003, 0.01, 0.03, 0.1, 0.3, 1]),
}
UNPENALIZED = "group_lasso_adagrad-0"
PRUNED = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75]


def report_of(name: str, optimizer: str, args: argparse.Namespace) -> dict[str, Any]:
    """Return the report of a run with `optimizer` on all tables."""
    folder = RUNS / name
    if Run(folder).is_finished:
        return Run(folder).report()
    overrides = [f"data.root={args.data_root}", f"training.epochs={args.epochs}"]
    overrides += ["training.early_stopping.patience=1000", f'optimizers.sparse={{"*": {{{optimizer}}}}}']
    return ctr.train(ctr.load_experiment(args.config, overrides), folder, overwrite=True)


def pruned(folder: Path) -> Iterator[tuple[float, dict[str, Any], dict[str, Any]]]:
    """Yield row sparsity, valid and test metrics of a run, with growing fractions of its shortest embeddings zeroed."""
    experiment = Run(folder).experiment()
    data = prepare(experiment)
    model = plan_model(experiment, data.encoder).build()
    load_best(Run(folder), model)
    scorer = Scorer(model, data.encoder, experiment.training.batch_size, None)
    tables = [v for v in model.trainable_variables if v.name.startswith("fused")]
    weights = [table.numpy() for table in tables]
    norms = [np.linalg.norm(weight, axis=1) for weight in weights]
    for share in PRUNED:
        shortest = np.quantile(np.concatenate(norms), share)
        for table, weight, norm in zip(tables, weights, norms, strict=True):
            table.assign(np.where((norm < shortest)[:, None], 0, weight))
        valid, test = (metrics_of(scorer.score(data.splits[name]), False, None).result() for name in ("valid", "test"))
        yield row_sparsity(ctr.sparsity_report(model)), valid, test


def draw(curves: dict[str, list[tuple[float, float]]], path: Path) -> None:
    """Plot test AUC by row sparsity, one line per optimizer."""
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "sparsity", "font.size": 9}):
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.subplots()
        for (name, points), marker in zip(curves.items(), "osd^x", strict=True):
            axes.plot(*zip(*points, strict=True), marker=marker, label=name)
        axes.set(xlabel="row sparsity", ylabel="test AUC", ylim=(LOWEST_AUC, None))
        axes.grid(alpha=0.3)
        axes.legend()
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_root")
    parser.add_argument("--config", default="configs/frappe/dcn_v2.yaml")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    curves: dict[str, list[tuple[float, float]]] = {}
    print("| optimizer | penalty | row sparsity | valid AUC | test AUC | log loss |\n|---|---|---|---|---|---|")

    def add(name: str, penalty: str, share: float, valid: dict[str, Any], test: dict[str, Any]) -> None:
        curves.setdefault(name, []).append((share, test["auc"]))
        cells = f"{valid['auc']:.5f} | {test['auc']:.5f} | {test['log_loss']:.4f}"
        print(f"| {name} | {penalty} | {share:.1%} | {cells} |", flush=True)

    for name, (optimizer, key, penalties) in CURVES.items():
        for penalty in penalties:
            report = report_of(f"{name}-{penalty}".replace(", ", "-"), f"{optimizer}, {key}: {penalty}", args)
            metrics = report["metrics"]
            add(name, f"{key} {penalty:g}", report["row_sparsity"], metrics["valid"], metrics["test"])
    for share, valid, test in pruned(RUNS / UNPENALIZED):
        add("pruned after training", "-", share, valid, test)
    draw(curves, args.out / "row-sparsity.svg")


if __name__ == "__main__":
    main()
