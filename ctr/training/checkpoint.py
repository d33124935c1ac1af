"""The checkpoints of a run: written by a thread while training goes on, found, read; fingerprints of weights."""

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
    """Where training is: with the variables of model and optimizer, all that decides how it goes on."""

    epoch: int = 0  # that have ended
    batch: int = 0  # of the epoch at hand that are done
    step: int = 0
    rows: int = 0
    rows_before: int = 0  # the epoch at hand
    seconds: float = 0.0  # of training
    seconds_before: float = 0.0  # the epoch at hand
    validated_at: int = -1  # step of the last validation
    misses: int = 0  # validations in a row without improvement
    best: dict[str, Any] | None = None  # its checkpoint, epoch, step and metric, as best.json says
    logs: dict[str, float] = field(default_factory=dict)  # the last loss, val_loss and val_auc
    initial_weights: str = ""  # their fingerprint
    data_order: str = ""  # of the labels of the first epoch: a SHA-256 that each batch is chained to
    sizes: dict[str, int] = field(default_factory=dict)  # bytes of metrics.jsonl and timing.jsonl

    @property
    def name(self) -> str:
        """Of its checkpoint."""
        return f"step-{self.step:09d}"


class CheckpointWriter:
    """Writes the folder `checkpoints/` of a run.

    step-000000123/state.*         all variables, see `variables_of`
    step-000000123/position.json   the `Position`
    step-000000123/*.jsonl         the lines of metrics and timing until then
    step-000000123/contents.parquet  hashes of what was read of the data until then
    step-000000123/checksums.json  SHA-256 of the others
    best.json                      the best checkpoint and its metric

    A checkpoint is there whole or not at all, and on the disk before an older one goes. That of a step never changes
    but where a resumed run finds the very step that it was resumed from to be the best.

    The last `keep` checkpoints stay, and every older one that one of them names as the best until then, because a run
    can be resumed from a checkpoint only with its best. There is at most one such older checkpoint: if two of the last
    ones name a best before all of them, it is the same. So at most `keep` + 1 checkpoints stay, and `keep` + 2 are on
    the disk while one is written.

    Args:
        folder: made when the first is saved.
        keep: number of the last checkpoints that stay.
        contents: returns contents.parquet.
    """

    def __init__(self, folder: Path, keep: int, contents: Callable[[], pa.Table]) -> None:
        self.folder, self.keep, self.contents = folder, keep, contents
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._saving: Future[None] | None = None

    @property
    def is_saving(self) -> bool:
        """Whether a checkpoint is being written.

        Raises:
            OSError: the last one could not be.
        """
        if self._saving is not None and self._saving.done():
            self.wait()
        return self._saving is not None

    def save(self, model: CTRModel, position: Position) -> None:
        """Copy all variables, and have a thread write them; returns once they are copied.

        Raises:
            OSError: the checkpoint before this one could not be written.
        """
        self.wait()
        self._saving = self._pool.submit(self._write, copy_variables(model), replace(position), self.contents())

    def wait(self) -> None:
        """Wait until the last checkpoint is written.

        Raises:
            OSError: it could not be.
        """
        if self._saving is not None:
            saving, self._saving = self._saving, None
            saving.result()

    def close(self) -> None:
        """Let the thread end."""
        self._pool.shutdown()

    def _write(self, values: dict[str, tf.Tensor], position: Position, contents: pa.Table) -> None:
        target, partial = self.folder / position.name, self.folder / f".{position.name}.partial"
        replaced = self.folder / f".{position.name}.replaced"
        for left in [*self.folder.glob(".step-*"), *self.folder.glob(f".{BEST}.*")]:  # by a run that was killed
            remove(left)
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
        listed = _listed(self.folder)
        named = [_best_named_by(kept) for kept in listed[-self.keep :]]
        for older in listed[: -self.keep]:
            if older.name not in named:
                shutil.rmtree(older)


def newest(folder: Path, warn: Callable[[str], None]) -> Position | None:
    """The position of the last checkpoint that a run can go on from; None if there is none.

    Args:
        folder: `checkpoints/` of the run.
        warn: told of each later one what is wrong with it.
    """
    for checkpoint in reversed(_listed(folder)):
        try:
            return _checked(checkpoint)
        except (ValueError, TypeError, KeyError) as error:
            warn(f"{checkpoint.name} cannot be used: {error}")
    return None


def restore(folder: Path, position: Position, model: CTRModel) -> None:
    """Set all variables to those of a position's checkpoint, which becomes the last one again.

    Raises:
        ConfigError: it is of another model.
    """
    read_state(folder / position.name / "state", model)
    for checkpoint in _listed(folder):
        if checkpoint.name > position.name:
            shutil.rmtree(checkpoint)
    _point_to_best(folder, position)


def _checked(checkpoint: Path) -> Position:
    """Return the position of a checkpoint.

    Raises:
        ConfigError, TypeError: the checkpoint is damaged, or the one that it names as the best until then.
    """
    verify_checksums(checkpoint)
    position = Position(**read_json(checkpoint / "position.json"))
    if position.name != checkpoint.name:
        raise ConfigError(f"{checkpoint}: damaged: it is the checkpoint of step {position.step}")
    if position.best is not None:
        _check_best(position.best, checkpoint / "position.json")
        if (best := position.best["checkpoint"]) != checkpoint.name:
            try:
                verify_checksums(checkpoint.with_name(best))
            except ConfigError as error:
                raise ConfigError(f"it names {best} as the best until then, and {best} is damaged: {error}") from error
    return position


def _best_named_by(checkpoint: Path) -> Any:
    """Return the name of the best checkpoint until then; None without one, or if position.json is damaged."""
    try:
        return (read_json(checkpoint / "position.json")["best"] or {}).get("checkpoint")
    except (FileNotFoundError, ValueError, KeyError, AttributeError):
        return None  # such a checkpoint is of no use, so it needs no other


def _check_best(best: Any, file: Path) -> None:
    """Raise ConfigError unless what `file` says of the best checkpoint names one, and no path to elsewhere."""
    step = best.get("step") if isinstance(best, dict) else None
    if not isinstance(step, int) or best.get("checkpoint") != Position(step=step).name:
        raise ConfigError(f"{file}: damaged: checkpoint and step do not agree")


def _listed(folder: Path) -> list[Path]:
    """The checkpoints, oldest first."""
    return sorted(folder.glob(f"step-{9 * '[0-9]'}*"))


def _point_to_best(folder: Path, position: Position) -> None:
    if position.best is not None:
        write_json(folder / BEST, position.best)
    else:
        (folder / BEST).unlink(missing_ok=True)


def load_best(run: Run, model: CTRModel) -> dict[str, Any]:
    """Restore weights and optimizer state of a run's best checkpoint; returns `best.json`.

    Args:
        run: the run, which may be unfinished.
        model: compiled, of the run's config and encoder.

    Raises:
        ConfigError: there is no checkpoint, or it is damaged or of another model.
    """
    folder = run.folder / "checkpoints"
    try:
        best = run.read_json(f"checkpoints/{BEST}")
        _check_best(best, folder / BEST)
        read_state(run.part(f"checkpoints/{best['checkpoint']}") / "state", model)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{folder}: no checkpoint that can be restored: {error}") from error
    return best


def fingerprint(model: CTRModel) -> str:
    """SHA-256 of all weights by their logical names, the same whatever tables are fused."""
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
    """SHA-256 of each table by its name, then of each weight as `named_weights` names it.

    They tell which weights two structures share.
    """
    digests = {}
    for table in sorted(model.tables.inputs.tables, key=lambda table: table.name):
        blocks = hashlib.sha256()
        for rows in model.tables.table_blocks(table.name):
            blocks.update(rows.tobytes())
        digests[table.name] = blocks.hexdigest()
    weights = {name: hashlib.sha256(one.numpy().tobytes()).hexdigest() for name, one in named_weights(model).items()}
    return digests | weights


def named_weights(model: CTRModel) -> dict[str, tf.Variable]:
    """Return the weights and moving averages of the tower, by names that no other model of the process changes.

    A name is `<block>/<layer>/<weight>`, the second of a name with `#2` behind it. What Keras puts between counts the
    layers of the whole process.
    """
    counts: Counter[str] = Counter()
    found = {}
    for block, layers in sorted(model.tower.blocks.items()):
        for layer in layers:
            for variable in layer.variables:
                name = f"{block}/{layer.name}/{variable.name.rpartition('/')[2].partition(':')[0]}"
                counts[name] += 1
                found[f"{name}#{counts[name]}" if counts[name] > 1 else name] = variable
    return found
