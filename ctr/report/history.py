"""History of a run, read from metrics.jsonl and config.yaml."""

import json
import math
from dataclasses import dataclass
from typing import Any

import yaml

from ctr.errors import ConfigError
from ctr.metrics import MONITORS
from ctr.runs.run import Run


@dataclass(frozen=True)
class History:
    """Lines of metrics.jsonl by kind, and the settings of training that the report names.

    Attributes:
        train: lines of training, one per epoch.
        valid: lines of validations.
        max_epochs: `training.epochs`.
        monitor: metric of early stopping, a key of `ctr.metrics.MONITORS`.
        is_sampled: True if the negatives of the training data are sampled.
    """

    train: list[dict[str, Any]]
    valid: list[dict[str, Any]]
    max_epochs: int
    monitor: str
    is_sampled: bool

    @classmethod
    def load(cls, run: Run) -> "History":
        """Read the metrics and the config of a run.

        Raises:
            ConfigError: a file is corrupt.
        """
        metrics_file, config_file = run.file("metrics.jsonl"), run.file("config.yaml")
        try:
            lines = [json.loads(line) for line in metrics_file.read_text(encoding="utf-8").splitlines()]
            config = yaml.safe_load(config_file.read_text(encoding="utf-8"))
            training = config["training"]
            return cls(
                [line for line in lines if line["kind"] == "train"],
                [line for line in lines if line["kind"] == "valid"],
                training["epochs"],
                (training["early_stopping"] or {"metric": "auc"})["metric"],
                any(config["data"].get(key) is not None for key in ("negative_sampling_rate", "sample_negatives")),
            )
        except (ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError) as error:
            raise ConfigError(f"{run.folder}: metrics.jsonl or config.yaml is damaged: {error}") from error

    @property
    def best(self) -> dict[str, Any] | None:
        """The validation whose weights were kept, the first among equals; None without validation."""
        if not self.valid:
            return None
        monitor = MONITORS[self.monitor]

        def goodness(line: dict[str, Any]) -> float:
            value = monitor.value_of_line(line)
            return -math.inf if value is None else monitor.sign * value

        return max(self.valid, key=goodness)

    @property
    def misses(self) -> int:
        """Number of validations after the best one."""
        return len(self.valid) - 1 - self.valid.index(self.best) if self.best else 0
