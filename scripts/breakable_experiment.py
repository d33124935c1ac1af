"""A tiny valid experiment and ways to damage it, for the cases of `bad_inputs.py`.

All paths are relative: a case works in a folder that holds `config.yaml`, `clicks/` (two files of two row groups each)
and `runs/tiny`, a finished run of them.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from ctr.runs.run import Run

CONFIG, PART, RUN = Path("config.yaml"), Path("clicks/part-1.parquet"), Path("runs/tiny")
STUDY, COMPARISON = Path("study.yaml"), Path("comparisons/tiny")
ROWS = 240  # of a file
TRAIN = "train config.yaml --run runs/new"
EVALUATE = "evaluate runs/tiny clicks --out scored"
RESUME = "train config.yaml --resume"
COMPARE = "compare study.yaml"


@dataclass(frozen=True)
class Case:
    """Invalid input, and parts of the message that it must cause."""

    kind: str
    """Kind of input: files, schemas, values, configs, commands or studies."""
    what: str
    damage: Callable[[], Any]
    """Function that damages the experiment in the working directory."""
    command: str
    """Arguments of `ctr` as one line."""
    says: tuple[str, ...]
    """Parts of the message: the culprit first."""
    code: int = 2


# A good experiment


def click_log(part: int) -> pa.Table:
    """Return the rows of a file."""
    rng = np.random.default_rng(part)
    minutes = np.arange(part * ROWS, (part + 1) * ROWS)
    histories = [[f"item {k}" for k in rng.integers(0, 10, 3)] for _ in range(ROWS)]
    return pa.table(
        {
            "ts": pa.array(minutes * 60_000_000, pa.timestamp("us", tz="UTC")),
            "user": pa.array(rng.integers(0, 8, ROWS)),
            "item": pa.array([f"item {k}" for k in rng.integers(0, 10, ROWS)]),
            "history": pa.array(histories),
            "price": pa.array(rng.lognormal(0, 1, ROWS)),
            "w": pa.array(rng.uniform(0.5, 2, ROWS)),
            "clicked": pa.array(rng.integers(0, 2, ROWS).astype(np.int8)),
        }
    )


def good_config() -> dict[str, Any]:
    """Return the values of the config."""
    columns = {
        "user": {"identity": 8},
        "item": {},
        "history": {"type": "sequence", "table": "item", "max_length": 3},
        "price": {"type": "numeric"},
    }
    split = {"by": "time", "column": "ts", "fractions": [0.6, 0.2, 0.2]}
    return {
        "name": "tiny",
        "data": {"path": "clicks", "split": split, "label": "clicked", "weight": "w", "keep": ["ts"]},
        "features": {"defaults": {"dim": 2}, "columns": columns},
        "model": {"type": "dnn", "hidden": [4]},
        "training": {"batch_size": 64, "epochs": 1, "threads": 2, "device": "cpu"},
    }


def make_experiment() -> None:
    """Write the experiment into the working directory."""
    CONFIG.write_text(yaml.safe_dump(good_config()))
    PART.parent.mkdir()
    for part in range(2):
        pq.write_table(click_log(part), PART.with_name(f"part-{part}.parquet"), row_group_size=ROWS // 2)


# Ways to break it


def as_written(damage: Callable[[], Any]) -> Callable[[], None]:
    """Update the checksums of the run after a deliberate change."""

    def change() -> None:
        damage()
        (RUN / "checksums.json").unlink()
        Run(RUN).seal()

    return change


def set_to(key: str, value: Any) -> None:
    """Change a setting of config.yaml, of a dotted key."""
    values = found = yaml.safe_load(CONFIG.read_text())
    *parents, last = key.split(".")
    for parent in parents:
        found = found.setdefault(parent, {})
    found[last] = value
    CONFIG.write_text(yaml.safe_dump(values))


def rewrite(change: Callable[[pa.Table], pa.Table], **form: Any) -> None:
    """Change the second file by a function on its table."""
    pq.write_table(change(pq.read_table(PART)), PART, row_group_size=ROWS // 2, **form)


def rewrite_all(change: Callable[[pa.Table], pa.Table]) -> None:
    """Change both files."""
    for path in PART.parent.iterdir():
        pq.write_table(change(pq.read_table(path)), path, row_group_size=ROWS // 2)


def holds(name: str, values: Any, type_: pa.DataType | None = None) -> Callable[[pa.Table], pa.Table]:
    """Return a change of a table that sets a column to one value, or to these values."""

    def change(table: pa.Table) -> pa.Table:
        column = pa.array(values if isinstance(values, range) else [values] * ROWS, type_)
        return table.set_column(table.schema.get_field_index(name), name, column)

    return change


def has_one(name: str, value: Any, type_: pa.DataType | None = None) -> Callable[[pa.Table], pa.Table]:
    """Return a change of a table that sets one row of a column."""

    def change(table: pa.Table) -> pa.Table:
        place, own = table.schema.get_field_index(name), table.schema.field(name).type
        column = table[name].cast(type_ or own).combine_chunks()
        changed = pa.concat_arrays([column[:5], pa.array([value], type_ or own), column[6:]])
        return table.set_column(place, name, changed)

    return change


def cut(path: Path, start: int = 0, end: int | None = None) -> None:
    """Keep some of a file's bytes."""
    path.write_bytes(path.read_bytes()[start:end])


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def put(path: Path, old: bytes, new: bytes) -> None:
    """Replace bytes of a file."""
    path.write_bytes(path.read_bytes().replace(old, new))


def merge(path: Path, **values: Any) -> None:
    """Change values of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def fresh(path: Path, write: Callable[[Path], Any]) -> None:
    """Replace a file or folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    write(path)


def saved(name: str) -> Path:
    """Return a file of the checkpoint of the run."""
    return next(RUN.glob(f"checkpoints/step-*/{name}"))


def bomb(start: str) -> str:
    """Return a small config whose aliases expand to 10^11 values below the first key."""
    lines = [f"{start} &a0 [x, x, x, x, x, x, x, x, x, x]"]
    return "\n".join(lines + [f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]" for k in range(1, 12)])


def nothing() -> None:
    """Damage nothing, because the command itself is invalid."""


def files(what: str, damage: Callable[[], Any], *says: str) -> Case:
    """Return a case with damaged or missing files."""
    return Case("files", what, damage, TRAIN, says)


def schema(what: str, change: Callable[[pa.Table], pa.Table], *says: str) -> Case:
    """Return a case with a missing column or a different type in the second file."""
    return Case("schemas", what, lambda: rewrite(change), TRAIN, (str(PART), *says))


def value(what: str, change: Callable[[pa.Table], pa.Table], *says: str) -> Case:
    """Return a case with an invalid value in the second file."""
    return Case("values", what, lambda: rewrite(change), TRAIN, (str(PART), *says))


def text(what: str, content: str | bytes, *says: str) -> Case:
    """Return a case with a different config.yaml."""
    as_bytes = content if isinstance(content, bytes) else content.encode()
    return Case("configs", what, lambda: CONFIG.write_bytes(as_bytes), TRAIN, (str(CONFIG), *says))


def setting(what: str, key: str, given: Any, *says: str) -> Case:
    """Return a case with an invalid value of a setting."""
    return Case("configs", what, lambda: set_to(key, given), TRAIN, says or (key,))


def command(what: str, line: str, *says: str, damage: Callable[[], Any] = nothing) -> Case:
    """Return a case with an invalid command or folder."""
    return Case("commands", what, damage, line, says)


def study(what: str, changes: dict[str, Any], *says: str, line: str = COMPARE) -> Case:
    """Return a case of `ctr compare` with a study of two options in which some keys are changed."""
    values = {"name": "tiny", "experiment": str(CONFIG), "axes": {"sparse": {"base": {}, "other": {}}}, **changes}
    return Case("studies", what, lambda: STUDY.write_text(yaml.safe_dump(values, sort_keys=False)), line, says)


def table(columns: dict[str, Any]) -> Callable[[Path], None]:
    """Return a function that writes a Parquet file."""
    return lambda path: pq.write_table(pa.table(columns), path)
