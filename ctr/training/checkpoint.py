"""Checkpoints of a run: written by a thread during training, found and restored; fingerprints of weights."""

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from ctr.config.training import Training
from ctr.errors import ConfigError
from ctr.runs.checksums import verify_checksums, write_checksums
from ctr.runs.files import read_json, remove, sync, write_json
from ctr.runs.run import LINES, Run
from ctr.runs.run_data import CONTENTS
from ctr.training.model_state import copy_variables, read_state, write_state
from models import CTRModel

BEST = "best.json"


@dataclass
class Position:
    """Position in training. Together with all variables it determines how training continues."""

    epoch: int = 0  # finished epochs
    batch: int = 0  # finished batches of the current epoch
    step: int = 0
    rows: int = 0  # training examples so far
    rows_before: int = 0  # examples before the current epoch
    seconds: float = 0.0  # training time
    seconds_before: float = 0.0  # training time before the current epoch
    validated_at: int = -1  # step of the last validation
    misses: int = 0  # consecutive validations without improvement
    best: dict[str, Any] | None = None  # content of best.json: checkpoint, epoch, step and metric
    logs: dict[str, float] = field(default_factory=dict)  # last loss, val_loss and val_auc
    initial_weights: str = ""  # fingerprint
    data_order: str = ""  # SHA-256 of the labels of the first epoch, chained over batches
    sizes: dict[str, int] = field(default_factory=dict)  # bytes of metrics.jsonl and timing.jsonl

    @property
    def name(self) -> str:
        """Name of the checkpoint at this position."""
        return f"step-{self.step:09d}"

    def is_out_of_patience(self, settings: Training) -> bool:
        """Return True if early stopping ends training here."""
        return self.misses >= settings.patience


class CheckpointWriter:
    """Writes the folder `checkpoints/` of a run.

    step-000000123/state.*         all variables, see `variables_of`
    step-000000123/position.json   `Position`
    step-000000123/*.jsonl         lines of metrics and timing so far
    step-000000123/contents.parquet  hashes of the data that was read so far
    step-000000123/checksums.json  SHA-256 of the other files
    best.json                      best checkpoint and its metric

    A checkpoint appears atomically, and is on disk before an older one is deleted. A checkpoint never changes, with
    one exception: a resumed run finds that the step it was resumed from is the best.

    The last `keep` checkpoints are kept. An older checkpoint is kept if one of them names it as the best so far,
    because a run cannot resume from a checkpoint without its best. At most one older checkpoint is kept: if two of
    the last ones name an older best, it is the same. So at most `keep` + 1 checkpoints remain, and `keep` + 2 are on
    disk while one is written.

    Args:
        folder: folder of the checkpoints, created when the first is saved.
        keep: number of the last checkpoints to keep.
        contents: function that returns the table for contents.parquet.
    """

    def __init__(self, folder: Path, keep: int, contents: Callable[[], pa.Table]) -> None:
        self.folder, self.keep, self.contents = folder, keep, contents
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._saving: Future[None] | None = None

    @property
    def is_saving(self) -> bool:
        """True while a checkpoint is being written.

        Raises:
            OSError: the last checkpoint could not be written.
        """
        if self._saving is not None and self._saving.done():
            self.wait()
        return self._saving is not None

    def save(self, model: CTRModel, position: Position) -> None:
        """Copy all variables, then write them in a thread; return when they are copied.

        Raises:
            OSError: the previous checkpoint could not be written.
        """
        self.wait()
        self._saving = self._pool.submit(self._write, copy_variables(model), replace(position), self.contents())

    def wait(self) -> None:
        """Wait until the last checkpoint is written.

        Raises:
            OSError: the checkpoint could not be written.
        """
        if self._saving is not None:
            saving, self._saving = self._saving, None
            saving.result()

    def close(self) -> None:
        """Stop the thread."""
        self._pool.shutdown()

    def _write(self, values: dict[str, tf.Tensor], position: Position, contents: pa.Table) -> None:
        target, partial = self.folder / position.name, self.folder / f".{position.name}.partial"
        replaced = self.folder / f".{position.name}.replaced"
        for leftover in [*self.folder.glob(".step-*"), *self.folder.glob(f".{BEST}.*")]:  # of a run that was killed
            remove(leftover)
        partial.mkdir(parents=True)
        write_state(partial / "state", values)
        write_json(partial / "position.json", asdict(position))
        for file in LINES:
            lines = self.folder.parent / file
            (partial / file).write_bytes(lines.read_bytes()[: position.sizes.get(file, 0)] if lines.exists() else b"")
        pq.write_table(contents, partial / CONTENTS)
        write_checksums(partial)
        if target.exists():
            os.replace(target, replaced)
        os.replace(partial, target)
        sync(self.folder)
        _point_to_best(self.folder, position)
        remove(replaced)
        checkpoints = _list_checkpoints(self.folder)
        needed = [_best_named_by(checkpoint) for checkpoint in checkpoints[-self.keep :]]
        for checkpoint in checkpoints[: -self.keep]:
            if checkpoint.name not in needed:
                shutil.rmtree(checkpoint)


def newest(folder: Path, warn: Callable[[str], None]) -> Position | None:
    """Return the position of the last usable checkpoint of a run; None without a usable checkpoint.

    Args:
        folder: folder `checkpoints/` of the run.
        warn: function that is called with a message for each checkpoint that cannot be used.
    """
    for checkpoint in reversed(_list_checkpoints(folder)):
        try:
            return _load_position(checkpoint)
        except (ValueError, TypeError, KeyError) as error:
            warn(f"{checkpoint.name} cannot be used: {error}")
    return None


def restore(folder: Path, position: Position, model: CTRModel) -> None:
    """Restore all variables from the checkpoint of a position.

    Raises:
        ConfigError: the checkpoint belongs to a different model.
    """
    read_state(folder / position.name / "state", model)


def delete_later(folder: Path, position: Position) -> None:
    """Delete the checkpoints later than a position, and let `best.json` name its best one."""
    for checkpoint in _list_checkpoints(folder):
        if checkpoint.name > position.name:
            shutil.rmtree(checkpoint)
    _point_to_best(folder, position)


def _load_position(checkpoint: Path) -> Position:
    """Return the position of a checkpoint after checking its files and those of its best checkpoint.

    Raises:
        ConfigError, TypeError: this checkpoint or its best checkpoint is damaged.
    """
    verify_checksums(checkpoint)
    position = Position(**read_json(checkpoint / "position.json"))
    if position.name != checkpoint.name:
        raise ConfigError(f"{checkpoint}: damaged: position.json is of step {position.step}")
    if position.best is not None:
        _check_best(position.best, checkpoint / "position.json")
        if (best := position.best["checkpoint"]) != checkpoint.name:
            try:
                verify_checksums(checkpoint.with_name(best))
            except ConfigError as error:
                raise ConfigError(f"its best checkpoint, {best}, cannot be used: {error}") from error
    return position


def _best_named_by(checkpoint: Path) -> Any:
    """Return the name of the best checkpoint so far; None without one, or if position.json is damaged."""
    try:
        return (read_json(checkpoint / "position.json")["best"] or {}).get("checkpoint")
    except (FileNotFoundError, ValueError, KeyError, AttributeError):
        return None  # a damaged checkpoint is useless, so its best is not needed


def _check_best(best: Any, file: Path) -> None:
    """Raise ConfigError unless the best checkpoint has the name of its step, and so is not a path to elsewhere."""
    step = best.get("step") if isinstance(best, dict) else None
    if not isinstance(step, int) or best.get("checkpoint") != Position(step=step).name:
        raise ConfigError(
            f"{file}: damaged: checkpoint and step do not agree. Restore the checkpoints, or start a new run."
        )


def _list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints, oldest first."""
    return sorted(folder.glob(f"step-{9 * '[0-9]'}*"))


def _point_to_best(folder: Path, position: Position) -> None:
    if position.best is not None:
        write_json(folder / BEST, position.best)
    else:
        (folder / BEST).unlink(missing_ok=True)


def load_best(run: Run, model: CTRModel) -> dict[str, Any]:
    """Restore weights and optimizer state from the best checkpoint of a run; return the content of `best.json`.

    Args:
        run: run, finished or not.
        model: compiled model of the run's config and encoder.

    Raises:
        ConfigError: the checkpoint is missing, damaged, or belongs to a different model.
    """
    folder = run.folder / "checkpoints"
    try:
        best = run.read_json(f"checkpoints/{BEST}")
        _check_best(best, folder / BEST)
        read_state(run.part(f"checkpoints/{best['checkpoint']}") / "state", model)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{folder}: no usable checkpoint.\n{error}") from error
    return best


def fingerprint(model: CTRModel) -> str:
    """Return the SHA-256 of all weights by logical name, independent of how tables are fused."""
    digest = hashlib.sha256()
    for table in sorted(model.tables.inputs.tables, key=lambda table: table.name):
        digest.update(table.name.encode())
        for rows in model.tables.table_blocks(table.name):
            digest.update(rows.tobytes())
    for block, layers in sorted(model.tower.blocks.items()):
        digest.update(block.encode())
        for layer in layers:
            for variable in layer.variables:
                digest.update(variable.numpy().tobytes())
    return digest.hexdigest()


def part_fingerprints(model: CTRModel) -> dict[str, str]:
    """Return name -> SHA-256 of each table and each weight of the tower, named as by `named_weights`.

    They show which weights two models share.
    """
    digests = {}
    for table in sorted(model.tables.inputs.tables, key=lambda table: table.name):
        blocks = hashlib.sha256()
        for rows in model.tables.table_blocks(table.name):
            blocks.update(rows.tobytes())
        digests[table.name] = blocks.hexdigest()
    weights = named_weights(model).items()
    return digests | {name: hashlib.sha256(weight.numpy().tobytes()).hexdigest() for name, weight in weights}


def named_weights(model: CTRModel) -> dict[str, tf.Variable]:
    """Return the weights and moving averages of the tower by stable names.

    A name is `<block>/<layer>/<weight>`; the second weight with a name gets the suffix `#2`. Keras's own names are not
    stable, because they count the layers of the whole process.
    """
    counts: Counter[str] = Counter()
    weights = {}
    for block, layers in sorted(model.tower.blocks.items()):
        for layer in layers:
            for variable in layer.variables:
                name = f"{block}/{layer.name}/{variable.name.rpartition('/')[2].partition(':')[0]}"
                counts[name] += 1
                weights[f"{name}#{counts[name]}" if counts[name] > 1 else name] = variable
    return weights
