"""What is kept of the training data, so that later data can be compared without it."""

import json
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from ctr.errors import ConfigError
from ctr.evaluation.duplicates import TrainingHashes
from ctr.evaluation.histograms import Histograms
from ctr.evaluation.score_by_bin import ScoreByBin
from ctr.evaluation.timeline import TrainingPeriods
from ctr.runs.checksums import write_checksums
from ctr.runs.files import read_json, write_text
from ctr.runs.run import Run
from ctr.schema.earlier import metrics_of_0_4
from ctr.schema.split_metrics import SplitMetrics


@dataclass(frozen=True)
class Reference:
    """A fixed sample of the training data, reduced."""

    histograms: Histograms
    joint: ScoreByBin
    rows: TrainingHashes
    score_edges: list[float]  # of the plots of scores, in log-odds
    metrics: SplitMetrics  # of the sample
    periods: TrainingPeriods | None = None  # without a time column, or of an earlier version
    class_scores: dict[str, list[float]] | None = None  # of the sample; None of an earlier version

    def save(self, folder: Path) -> None:
        """Write `reference.json` and `rows.npy` into a new folder, and seal it."""
        folder.mkdir(parents=True)
        described = {
            "histograms": self.histograms.to_json(),
            "joint": self.joint.to_json(),
            "rows": self.rows.to_json(),
            "score_edges": self.score_edges,
            "metrics": self.metrics,
            "periods": None if self.periods is None else asdict(self.periods),
            "class_scores": self.class_scores,
        }
        write_text(folder / "reference.json", json.dumps(described, allow_nan=False) + "\n")
        rows = BytesIO()  # of a full disk NumPy says only how many numbers it has written
        np.save(rows, self.rows.hashes, allow_pickle=False)
        (folder / "rows.npy").write_bytes(rows.getbuffer())
        write_checksums(folder)

    @classmethod
    def load(cls, run: Run) -> "Reference":
        """Read what `save` wrote into `reference/` of a run.

        Raises:
            ConfigError: a file is damaged.
        """
        folder = run.part("reference")
        described = read_json(folder / "reference.json")
        try:
            histograms = Histograms.from_json(described["histograms"])
            return cls(
                histograms,
                ScoreByBin.from_json(histograms.binning, described["joint"]),
                TrainingHashes(np.load(folder / "rows.npy", allow_pickle=False), **described["rows"]),
                described["score_edges"],
                metrics_of_0_4(described["metrics"]),
                TrainingPeriods(**periods) if (periods := described.get("periods")) else None,
                described.get("class_scores"),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{folder}: damaged: {error}") from error
