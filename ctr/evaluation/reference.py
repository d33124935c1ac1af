"""Reference distributions of the training data, for comparing later data without it."""

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
    """Distributions of a fixed sample of the training data.

    Attributes:
        histograms: histograms of the score and of features.
        score_by_bin: score and label by bin of each feature.
        rows: hashes of the sample, to find duplicates.
        score_edges: bin edges of the score plots, in log-odds.
        metrics: metrics of the sample.
        periods: periods of the sample; None without a time column, or from an earlier version.
        class_scores: mean scores by class; None from an earlier version.
    """

    histograms: Histograms
    score_by_bin: ScoreByBin
    rows: TrainingHashes
    score_edges: list[float]
    metrics: SplitMetrics
    periods: TrainingPeriods | None = None
    class_scores: dict[str, list[float]] | None = None

    def save(self, folder: Path) -> None:
        """Write `reference.json` and `rows.npy` with checksums into a new folder."""
        folder.mkdir(parents=True)
        values = {
            "histograms": self.histograms.to_json(),
            "joint": self.score_by_bin.to_json(),
            "rows": self.rows.to_json(),
            "score_edges": self.score_edges,
            "metrics": self.metrics,
            "periods": None if self.periods is None else asdict(self.periods),
            "class_scores": self.class_scores,
        }
        write_text(folder / "reference.json", json.dumps(values, allow_nan=False) + "\n")
        rows = BytesIO()  # on a full disk, np.save to a file reports only how many values it has written
        np.save(rows, self.rows.hashes, allow_pickle=False)
        (folder / "rows.npy").write_bytes(rows.getbuffer())
        write_checksums(folder)

    @classmethod
    def load(cls, run: Run) -> "Reference":
        """Read the reference from `reference/` of a run.

        Raises:
            ConfigError: a file is corrupt.
        """
        folder = run.part("reference")
        values = read_json(folder / "reference.json")
        try:
            histograms = Histograms.from_json(values["histograms"])
            return cls(
                histograms,
                ScoreByBin.from_json(histograms.binning, values["joint"]),
                TrainingHashes(np.load(folder / "rows.npy", allow_pickle=False), **values["rows"]),
                values["score_edges"],
                metrics_of_0_4(values["metrics"]),
                TrainingPeriods(**periods) if (periods := values.get("periods")) else None,
                values.get("class_scores"),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{folder}: damaged: {error}") from error
