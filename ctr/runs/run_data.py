"""The data of a run: its files, and hashes of what their columns held when the run read them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ctr.errors import ConfigError
from ctr.runs.files import read_json
from ctr.runs.run import Run
from ctr.schema.report import FileOfRun, FileRows
from features import GAP, DataError, DataFile, RowGroup, files_of, read_tables, rows_of_files
from features.errors import first_line

Splits: TypeAlias = Mapping[str, list[RowGroup]]
FILES, CONTENTS = "data.json", "contents.parquet"
RESTORE = "Restore {}, or start a new run with --run or --overwrite."
HASHES = pa.schema(
    [
        ("path", pa.large_string()),
        ("column", pa.large_string()),
        ("row_group", pa.int64()),
        ("row", pa.int64()),
        ("hash", pa.uint64()),
    ]
)


def describe_data(splits: Splits) -> dict[str, Any]:
    """Return the contents of data.json: the files of each split and of the gap between splits, in order.

    Each file has its `path`, the number of its `rows` in the split, its `bytes`, the SHA-256 of its `footer`, and the
    time it was `modified` in nanoseconds since 1970 (null if the file system does not tell).
    """
    return {
        name: [
            {**entry, "bytes": size, "footer": file.footer, "modified": modified}
            for file, entry in zip(files_of(row_groups), rows_of_files(row_groups), strict=True)
            for size, modified in [file.version]
        ]
        for name, row_groups in splits.items()
    }


def contents_of(splits: Splits) -> pa.Table:
    """Return the contents of contents.parquet: the hash of each column of each row group that was read so far.

    A large row group has a hash for each slice, which starts at `row`.
    """
    tables = [HASHES.empty_table()]
    for path, files in _files(splits).items():
        for file in files:
            index, row = (np.array(numbers) for numbers in zip(*file.contents.pieces, strict=True))
            for name, hashes in file.contents.known().items():
                read = np.flatnonzero(hashes)
                columns = ([path] * len(read), [name] * len(read), index[read], row[read], hashes[read])
                tables.append(pa.table(list(columns), schema=HASHES))
    return pa.concat_tables(tables)


def changed_files(splits: Splits, run: Run) -> list[str]:
    """Return a line for each difference between the files of splits and of a run: name, order, rows, size or footer.

    Raises:
        ConfigError: data.json is missing or damaged.
    """
    old_splits, new_splits = _read_record(run), _by_path(describe_data(splits))
    differences = []
    for name in {**old_splits, **new_splits}:
        old, new = old_splits.get(name, {}), new_splits.get(name, {})
        if list(old) != list(new) and old.keys() == new.keys():
            differences.append(f"{name}: different order of files")
        differences += [
            f"{path}: {format_file(old.get(path))} in {name} of the run, {format_file(new.get(path))} now"
            for path in {**old, **new}
            if old.get(path) != new.get(path)
        ]
    return differences


def changed_contents(
    splits: Splits, run: Run, contents: Path, columns: Iterable[str], log: Callable[[str], None]
) -> list[str]:
    """Return a line for each file in which a column differs from what a run read.

    Files with a different modification time are read now. All others are compared when they are read later. Of the rows
    in a gap a run reads only the times, which `open_splits` has compared.

    Args:
        splits: splits without a difference that `changed_files` detects.
        run: the run.
        contents: the run's contents.parquet.
        columns: the columns that the run reads of all rows.
        log: function that gets a sentence if files are read.

    Raises:
        ConfigError: the contents are damaged.
    """
    files = _files(splits)
    modified = {file["path"]: file["modified"] for split in run.read_json(FILES).values() for file in split}
    changed = {path for path, (file, *_) in files.items() if file.version[1] != modified.get(path)}
    differences: dict[str, str] = {}  # the first of each file
    for path, name, index, row, known in _rows(_read_contents(contents)):
        for file in files.get(path, []):
            try:
                file.contents.expect(name, (index, row), known, path)
            except DataError as error:
                differences.setdefault(path, str(error))
    columns = list(columns)
    all_groups = [group for name, groups in splits.items() if name != GAP for group in groups]
    unverified = [
        group
        for group in all_groups
        if group.file.path in changed and group.file.path not in differences and not group.is_read(columns)
    ]
    if unverified:
        names = [file.path for file in files_of(unverified)]
        others = f" and {len(names) - 1:,} more" if names[1:] else ""
        log(f"comparing {names[0]}{others} with the data of the run, because the modification time differs")
    for path, difference in _differences(unverified, columns):
        differences.setdefault(path, difference)
    return list(differences.values())


def file_rows(row_groups: list[RowGroup]) -> list[FileRows]:
    """Return each file of a dataset, in order, with the number of its rows in the dataset."""
    return [{"path": file["path"], "rows": file["rows"]} for file in rows_of_files(row_groups)]


def files_of_run(run: Run, row_groups: list[RowGroup]) -> dict[str, FileOfRun]:
    """Return the files of a dataset that are also data of a run.

    Args:
        run: a finished run.
        row_groups: the dataset, after it was read.

    Returns:
        Path -> `sets`, the splits of the run with rows of the file, which is identified by its footer, and `unchanged`,
        True if the columns read are those that the run read. Other files are left out.

    Raises:
        ConfigError: the run's record of its data is damaged.
    """
    recorded = [(name, file) for name, files in run.read_json(FILES).items() for file in files]
    paths: dict[str, set[str]] = {}
    splits: dict[str, list[str]] = {}
    for name, entry in recorded:
        paths.setdefault(entry["footer"], set()).add(entry["path"])
        splits.setdefault(entry["path"], []).append(name)
    contents = _read_contents(run.file(CONTENTS))
    shared: dict[str, FileOfRun] = {}
    for file in files_of(row_groups):
        if candidates := sorted(paths.get(file.footer, ())):
            same = [
                path for path in candidates if _is_unchanged(file, contents.filter(pc.equal(contents["path"], path)))
            ]
            names = dict.fromkeys(name for path in same or candidates for name in splits[path])
            shared[file.path] = {"sets": list(names), "unchanged": bool(same)}
    return shared


def _is_unchanged(file: DataFile, contents: pa.Table) -> bool:
    """Return True if the columns read of a file match their hashes in `contents`."""
    known = file.contents.known()
    indices = {piece: index for index, piece in enumerate(file.contents.pieces)}
    return all(
        (index, row) in indices and (name not in known or int(known[name][indices[index, row]]) in (0, expected))
        for _, name, index, row, expected in _rows(contents)
    )


def have_same_data(run: Run, other: Run) -> bool:
    """Return True if two runs had the same files in the same splits and order, with the same contents.

    Raises:
        ConfigError: a run's record of its data is damaged.
    """
    files = [[(name, list(split.items())) for name, split in _read_record(pair).items()] for pair in (run, other)]
    if files[0] != files[1]:
        return False
    keys = [name for name in HASHES.names if name != "hash"]
    contents = [_read_contents(pair.file(CONTENTS)) for pair in (run, other)]
    joined = contents[0].join(contents[1], keys, join_type="inner", right_suffix="_of_other")
    return joined["hash"].equals(joined["hash_of_other"])


def _differences(row_groups: list[RowGroup], columns: list[str]) -> Iterator[tuple[str, str]]:
    """Read files; yield path and reason of each whose contents differ or cannot be compared."""
    by_file: dict[str, list[RowGroup]] = {}
    for group in row_groups:
        by_file.setdefault(group.file.path, []).append(group)
    for path, groups in by_file.items():
        try:
            for group in groups:
                if unread := [name for name in columns if not group.is_known(name)]:
                    raise DataError(
                        f"{group}: the modification time differs, and the run had not read column {unread[0]!r} here "
                        f"yet, so it cannot be compared. Restore the modification time (cp -p, rsync -t)."
                    )
            for _ in read_tables(groups, columns):
                pass
        except DataError as error:
            yield path, str(error)


def _files(splits: Splits) -> dict[str, list[DataFile]]:
    """Return path -> its opened files; a file in two splits is opened twice."""
    files: dict[str, dict[int, DataFile]] = {}
    for groups in splits.values():
        for file in files_of(groups):
            files.setdefault(file.path, {})[id(file)] = file
    return {path: list(opened.values()) for path, opened in files.items()}


def _read_contents(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, schema=HASHES)
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(
            f"{path}: damaged, or of an earlier version: {first_line(error)}. {RESTORE.format('it')}"
        ) from error


def _rows(contents: pa.Table) -> Iterator[tuple[str, str, int, int, int]]:
    return zip(*(contents[name].to_pylist() for name in HASHES.names), strict=True)


def _read_record(run: Run) -> dict[str, dict[str, dict[str, Any]]]:
    """Return split -> path -> file, from the data.json of a run."""
    if not (run.folder / FILES).is_file():
        raise ConfigError(
            f"{run.folder}: no {FILES}, so an earlier version made the run. Train it again with --overwrite."
        )
    path = run.file(FILES)
    try:
        return _by_path(read_json(path))
    except ConfigError as error:
        raise ConfigError(f"{path}: damaged. {RESTORE.format('it')}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: damaged, or of an earlier version: no {error}. {RESTORE.format('it')}") from error


def _by_path(metadata: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return split -> path -> the properties of a file that must not change."""
    return {
        name: {file["path"]: {key: file[key] for key in ("rows", "bytes", "footer")} for file in files}
        for name, files in metadata.items()
    }


def format_file(file: dict[str, Any] | None) -> str:
    """Return rows, bytes and footer of a file as text."""
    if file is None:
        return "not a file"
    return f"{file['rows']:,} rows ({file['bytes']:,} bytes, footer {file['footer'][:8]})"
