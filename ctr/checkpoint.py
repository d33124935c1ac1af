"""The best checkpoint of a run, and fingerprints of weights."""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import tensorflow as tf

from ctr.experiment import ConfigError
from models import CTRModel


def save_best(folder: Path, model: CTRModel, described: dict[str, Any]) -> None:
    """Save weights and all optimizer state; the one before stays valid until the new one is whole.

    Args:
        folder: `checkpoints/` of a run.
        model: compiled.
        described: what `best.json` says beside the name, such as epoch, step and metric.
    """
    name = f"step-{int(model.step.numpy()):09d}"
    target, partial = folder / name, folder / f".{name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tf.train.Checkpoint(model=model, optimizer=model.optimizer).write(str(partial / "state"))
    shutil.rmtree(target, ignore_errors=True)
    os.replace(partial, target)
    pointer = folder / ".best.json.partial"
    pointer.write_text(json.dumps({"checkpoint": name, **described}) + "\n")
    os.replace(pointer, folder / "best.json")
    for other in folder.glob("step-*"):
        if other.name != name:
            shutil.rmtree(other)


def load_best(folder: Path, model: CTRModel) -> dict[str, Any]:
    """Restore weights and optimizer state; returns `best.json`.

    Raises:
        ConfigError: there is no checkpoint, or it is damaged or of another model.
    """
    try:
        best: dict[str, Any] = json.loads((folder / "best.json").read_text())
        path = folder / best["checkpoint"] / "state"
        tf.train.Checkpoint(model=model, optimizer=model.optimizer).read(str(path)).assert_existing_objects_matched()
    except (OSError, ValueError, KeyError, AssertionError, tf.errors.OpError) as error:
        message = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{folder}: no checkpoint that can be restored: {message}") from error
    return best


def fingerprint(model: CTRModel) -> str:
    """SHA-256 of all weights by their logical names, the same whatever tables are fused."""
    digest = hashlib.sha256()
    for table in sorted(model.tables.inputs.tables, key=lambda table: table.name):
        digest.update(table.name.encode())
        for rows in model.tables.table_blocks(table.name):
            digest.update(rows.tobytes())
    for tower, layers in sorted(model.tower.towers.items()):
        digest.update(tower.encode())
        for layer in layers:
            for variable in layer.variables:
                digest.update(variable.numpy().tobytes())
    return digest.hexdigest()
