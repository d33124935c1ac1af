"""Content of comparison.json for a study that was never run."""

import copy

from ctr.runs.environment import environment
from ctr.schema.comparison import Verdict


def number(value, half=0.001, p=0.5):
    return {"value": value, "low": value - half, "high": value + half, "p_value": p, "reason": None}


def variant(names, auc, difference=None, verdict="inconclusive", seeds=(1, 2), **changes):
    """A variant of comparison.json, with a difference from the baseline unless it is the baseline."""
    curve = {"rows": [1000, 2000], "auc": [auc - 0.01, auc], "log_loss": [0.5, 0.4]}
    made = {
        "name": "+".join(names),
        "options": dict(zip(("sparse", "dense"), names, strict=True)),
        "tuned": {"rate": 0.1},
        "outermost": ["rate"],
        "trials": [
            {"trial": 1, "values": {"rate": 0.1}, "auc": auc, "log_loss": 0.4, "reason": None, "chosen": True},
            {"trial": 2, "values": {"rate": 9.0}, "auc": None, "log_loss": None, "reason": "nan", "chosen": False},
        ],
        "failures": [{"run": f"{'+'.join(names)}, trial 2", "trial": 2, "seed": 0, "code": 3, "reason": "nan"}],
        "lacking": [],
        "seeds": [
            {
                "seed": seed,
                "auc": auc,
                "log_loss": 0.4,
                "calibration": 1.0,
                "gauc": None,
                "valid_auc": auc,
                "epochs": 2,
                "steps": 20,
                "rows": 2000,
                "stopped_early": False,
                "curve": curve,
                "auc_interval": [auc - 0.01, auc + 0.01],
            }
            for seed in seeds
        ],
        "metrics": {name: number(value) for name, value in (("auc", auc), ("log_loss", 0.4), ("calibration", 1.0))},
        "to_target": {"reached": 1, "of": 2, "steps": 10, "rows": 1000},
        "row_sparsity": 0.25 if difference else 0.0,
        "table_bytes": 4e6,
        "nonzero_table_bytes": 3e6,
        "state_bytes": 8e6,
        "difference": None,
        "clock": {
            "seconds": 10.0 + auc,
            "rows_per_second": 200.0,
            "seconds_to_target": 5.0,
            "curves": [[5.0, 10.0] for _ in seeds],
        },
    }
    made["metrics"]["gauc"] = None
    if difference is not None:
        one = {
            "by_seed": [{"seed": seed, **number(difference)} for seed in seeds],
            "over_seeds": number(difference, 0.002),
            "over_both": number(difference, 0.003),
            "p_adjusted": 0.04,
            "verdict": Verdict(verdict),
        }
        start = {"equal": True, "shared": ["user"], "differing": [], "violations": []}
        made["difference"] = {
            "interval_unit": "row",
            "metrics": {"auc": one, "log_loss": copy.deepcopy(one)},
            "psi": 0.01,
            "reasons": [],
            "same_rows": True,
            "same_scores": False,
            "lacking": [],
            "start": start,
        }
    return made | changes


def comparison():
    """Two by two options, three variants with a difference from the baseline."""
    return {
        "version": 1,
        "study": {
            "name": "<b>study</b>",
            "axes": {"sparse": ["ftrl", "sgd"], "dense": ["adam", "lion"]},
            "baseline": "ftrl+adam",
            "seeds": [1, 2],
            "tuning": {"trials": 2, "seed": 0},
            "target_auc": 0.79,
            "evaluated": "test",
        },
        "variants": [
            variant(("ftrl", "adam"), 0.80),
            variant(("ftrl", "lion"), 0.79, -0.01, "worse"),
            variant(("sgd", "adam"), 0.81, 0.01, "better"),
            variant(("sgd", "lion"), 0.805, 0.005, "inconclusive"),
        ],
        "environment": environment(),
    }
