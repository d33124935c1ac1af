"""How training went: what metrics.jsonl and config.yaml of a run say of it."""

import json
from dataclasses import dataclass
from typing import Any

import yaml

from ctr.errors import ConfigError
from ctr.runs.run import Run


@dataclass(frozen=True)
class History:
    """The lines of metrics.jsonl by kind, and what training was asked to do."""

    train: list[dict[str, Any]]
    valid: list[dict[str, Any]]
    epochs_asked: int
    steered_by: str  # auc or log_loss
    is_sampled: bool  # the training data's negatives

    @classmethod
    def load(cls, run: Run) -> "History":
        """Read a run's lines and its config.

        Raises:
            ConfigError: a file is damaged.
        """
        written, config_file = run.file("metrics.jsonl"), run.file("config.yaml")
        try:
            lines = [json.loads(line) for line in written.read_text(encoding="utf-8").splitlines()]
            config = yaml.safe_load(config_file.read_text(encoding="utf-8"))
            training = config["training"]
            return cls(
                [line for line in lines if line["kind"] == "train"],
                [line for line in lines if line["kind"] == "valid"],
                training["epochs"],
                (training["early_stopping"] or {"metric": "auc"})["metric"],
                config["data"]["negative_sampling_rate"] is not None,
            )
        except (ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError) as error:
            raise ConfigError(f"{run.folder}: metrics.jsonl or config.yaml is damaged: {error}") from error

    @property
    def best(self) -> dict[str, Any] | None:
        """The validation whose weights were kept: the first of the best; None without validation."""
        if not self.valid:
            return None
        if self.steered_by == "auc":
            return max(self.valid, key=lambda line: line["auc"])
        return min(self.valid, key=lambda line: line["loss"])

    @property
    def misses(self) -> int:
        """Validations after the best one."""
        return len(self.valid) - 1 - self.valid.index(self.best) if self.best else 0
