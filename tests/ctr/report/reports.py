"""A minimal valid report.json of a run, with only metrics and the PSI of the score."""

from ctr.metrics.psi import Drift


def run_report(metrics, score, negative_sampling_rate):
    """Return the content of report.json of a run.

    Args:
        metrics: metrics by split, the main split last.
        score: PSI of the score by split.
        negative_sampling_rate: rate of kept negatives by split.
    """
    return {
        "version": 1,
        "kind": "run",
        "main_split": list(metrics)[-1],
        "metrics": metrics,
        "negative_sampling_rate": negative_sampling_rate,
        "deciles": {},
        "psi": {
            "score": score,
            "features": {},
            "drivers": {},
            "over_time": None,
            "calendar": {},
            "overfitting": {},
        },
        **{key: {} for key in ("slices", "frequency", "unknown_ids", "leakage", "files", "bad_rows")},
        "checks": [],
        "tables": [],
        "row_sparsity": 0.0,
        "fingerprints": {},
        "seconds": {"train": 1.0, "total": 1.0},
        "training": {"epochs": 1, "steps": 1, "rows": 1, "stopped_early": False},
        "model": {"components": []},
        "warm_start": None,
        "state_bytes": {"tables": 0, "towers": 0},
    }


def psi_of_score(psi=0.01, drift=Drift.STABLE):
    """Return the PSI of a score."""
    return {
        "psi": psi,
        "psi_corrected": psi,
        "p_value": 0.5,
        "drift": drift,
        "noise": 0.001,
        "bins": 10,
        "rows": [9, 9],
    }
