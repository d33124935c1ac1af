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
from features import DataError, DataFile, RowGroup, files_of, read_tables, rows_of_files

Sets: TypeAlias = Mapping[str, list[RowGroup]]
FILES, CONTENTS = "data.json", "contents.parquet"
PUT_BACK = "put {} back, or train anew with --overwrite or another --run"
HASHES = pa.schema(
    [
        ("path", pa.large_string()),
        ("column", pa.large_string()),
        ("row_group", pa.int64()),
        ("row", pa.int64()),
        ("hash", pa.uint64()),
    ]
)


def describe_data(sets: Sets) -> dict[str, Any]:
    """Return data.json: the files of each set, in order.

    Of each file: `path`; how many of its `rows` the set has; `bytes`; SHA-256 of its `footer`; and when it was
    `modified`, in nanoseconds since 1970, or null where the file system does not say.
    """
    return {
        name: [
            {**listed, "bytes": size, "footer": file.footer, "modified": modified}
            for file, listed in zip(files_of(row_groups), rows_of_files(row_groups), strict=True)
            for size, modified in [file.version]
        ]
        for name, row_groups in sets.items()
    }


def contents_of(sets: Sets) -> pa.Table:
    """Return contents.parquet: the hash of each column of each row group that was read so far.

    A large row group has a hash for each slice, which begins with `row`.
    """
    tables = [HASHES.empty_table()]
    for path, files in _files(sets).items():
        for file in files:
            index, row = (np.array(numbers) for numbers in zip(*file.contents.pieces, strict=True))
            for name, hashes in file.contents.known().items():
                read = np.flatnonzero(hashes)
                columns = ([path] * len(read), [name] * len(read), index[read], row[read], hashes[read])
                tables.append(pa.table(list(columns), schema=HASHES))
    return pa.concat_tables(tables)


def changed_files(sets: Sets, run: Run) -> list[str]:
    """Return how the files of the sets differ from those of a run: in name, order, rows, size or footer.

    Raises:
        ConfigError: data.json is missing or damaged.
    """
    before, now = _listed(run), _by_path(describe_data(sets))
    differences = []
    for name in {**before, **now}:
        then, here = before.get(name, {}), now.get(name, {})
        if list(then) != list(here) and then.keys() == here.keys():
            differences.append(f"{name}: its files come in another order")
        differences += [
            f"{path}: {format_file(then.get(path))} of {name} in the run, {format_file(here.get(path))} now"
            for path in {**then, **here}
            if then.get(path) != here.get(path)
        ]
    return differences


def changed_contents(
    sets: Sets, run: Run, contents: Path, columns: Iterable[str], tell: Callable[[str], None]
) -> list[str]:
    """Return in which files a column does not hold what a run read, and see to it that the rest is noticed when read.

    Files with another time of change are read now. All others are compared column by column when they are read.

    Args:
        sets: of files that `changed_files` finds nothing in.
        run: the run.
        contents: its contents.parquet.
        columns: the columns that the run reads of all rows.
        tell: called with a sentence if files are read.

    Raises:
        ConfigError: the contents are damaged.
    """
    files = _files(sets)
    began = {file["path"]: file["modified"] for listed in run.read_json(FILES).values() for file in listed}
    changed = {path for path, (file, *_) in files.items() if file.version[1] != began.get(path)}
    differences: dict[str, str] = {}  # of each file the first
    for path, name, index, row, known in _rows(_read_contents(contents)):
        for file in files.get(path, []):
            try:
                file.contents.expect(name, (index, row), known, path)
            except DataError as error:
                differences.setdefault(path, str(error))
    columns = list(columns)
    everything = [group for groups in sets.values() for group in groups]
    doubtful = [
        group
        for group in everything
        if group.file.path in changed and group.file.path not in differences and not group.is_read(columns)
    ]
    if doubtful:
        names = [file.path for file in files_of(doubtful)]
        others = f" and {len(names) - 1:,} more" if names[1:] else ""
        tell(f"comparing {names[0]}{others} with what the run read, because the time of change differs")
    for path, difference in _differences(doubtful, columns):
        differences.setdefault(path, difference)
    return list(differences.values())


def file_rows(row_groups: list[RowGroup]) -> list[FileRows]:
    """Return each file of a dataset, in order, with the rows that the dataset has of it."""
    return [{"path": one["path"], "rows": one["rows"]} for one in rows_of_files(row_groups)]


def files_of_run(run: Run, row_groups: list[RowGroup]) -> dict[str, FileOfRun]:
    """Return which files of a dataset a run has itself.

    Args:
        run: a finished run.
        row_groups: the dataset, which was read.

    Returns:
        Path -> `sets`: those of the run that have rows of the file, which is known by its footer, wherever it is;
        `unchanged`: whether what was read of it is what the run read. Files that the run does not have are left out.

    Raises:
        ConfigError: what the run noted of its data is damaged.
    """
    listed = [(name, file) for name, files in run.read_json(FILES).items() for file in files]
    paths: dict[str, set[str]] = {}
    sets: dict[str, list[str]] = {}
    for name, one in listed:
        paths.setdefault(one["footer"], set()).add(one["path"])
        sets.setdefault(one["path"], []).append(name)
    contents = _read_contents(run.file(CONTENTS))
    found: dict[str, FileOfRun] = {}
    for file in files_of(row_groups):
        if alike := sorted(paths.get(file.footer, ())):
            same = [path for path in alike if _is_unchanged(file, contents.filter(pc.equal(contents["path"], path)))]
            of_sets = dict.fromkeys(name for path in same or alike for name in sets[path])
            found[file.path] = {"sets": list(of_sets), "unchanged": bool(same)}
    return found


def _is_unchanged(file: DataFile, contents: pa.Table) -> bool:
    """Return True if what was read of a file is what `contents` tells of it."""
    known = file.contents.known()
    places = {piece: place for place, piece in enumerate(file.contents.pieces)}
    return all(
        (index, row) in places and (name not in known or int(known[name][places[index, row]]) in (0, expected))
        for _, name, index, row, expected in _rows(contents)
    )


def have_same_data(one: Run, other: Run) -> bool:
    """Return True if two runs had the same files in the same sets and order, and read the same in them.

    Raises:
        ConfigError: what a run noted of its data is damaged.
    """
    files = [[(name, list(listed.items())) for name, listed in _listed(run).items()] for run in (one, other)]
    if files[0] != files[1]:
        return False
    keys = [name for name in HASHES.names if name != "hash"]
    contents = [_read_contents(run.file(CONTENTS)) for run in (one, other)]
    both = contents[0].join(contents[1], keys, join_type="inner", right_suffix="_of_other")
    return both["hash"].equals(both["hash_of_other"])


def _differences(row_groups: list[RowGroup], columns: list[str]) -> Iterator[tuple[str, str]]:
    """Read files; yield of each that is not known to hold what was expected its path, and why."""
    of_files: dict[str, list[RowGroup]] = {}
    for group in row_groups:
        of_files.setdefault(group.file.path, []).append(group)
    for path, groups in of_files.items():
        try:
            for group in groups:
                if unread := [name for name in columns if not group.is_known(name)]:
                    raise DataError(
                        f"{group}: the time of change differs, and the run had not read column {unread[0]!r} here yet, "
                        f"so it cannot be compared. Restore the time of change (cp -p, rsync -t)."
                    )
            for _ in read_tables(groups, columns):
                pass
        except DataError as error:
            yield path, str(error)


def _files(sets: Sets) -> dict[str, list[DataFile]]:
    """Return path -> the opened files of that path; a file in two sets is opened twice."""
    files: dict[str, dict[int, DataFile]] = {}
    for groups in sets.values():
        for file in files_of(groups):
            files.setdefault(file.path, {})[id(file)] = file
    return {path: list(opened.values()) for path, opened in files.items()}


def _read_contents(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, schema=HASHES)
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"{path}: damaged, or of an earlier version: {error}") from error


def _rows(contents: pa.Table) -> Iterator[tuple[str, str, int, int, int]]:
    return zip(*(contents[name].to_pylist() for name in HASHES.names), strict=True)


def _listed(run: Run) -> dict[str, dict[str, dict[str, Any]]]:
    """Return set -> path -> file, from the data.json of a run."""
    if not (run.folder / FILES).is_file():
        raise ConfigError(f"{run.folder}: has no {FILES}, so an earlier version made the run; train it again")
    path = run.file(FILES)
    try:
        return _by_path(read_json(path))
    except ConfigError as error:
        raise ConfigError(f"{error}; {PUT_BACK.format('it')}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path}: damaged, or of an earlier version: it lacks {error}; {PUT_BACK.format('it')}"
        ) from error


def _by_path(described: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return set -> path -> what must not change of a file."""
    return {
        name: {file["path"]: {key: file[key] for key in ("rows", "bytes", "footer")} for file in files}
        for name, files in described.items()
    }


def format_file(file: dict[str, Any] | None) -> str:
    if file is None:
        return "not a file"
    return f"{file['rows']:,} rows ({file['bytes']:,} bytes, footer {file['footer'][:8]})"
