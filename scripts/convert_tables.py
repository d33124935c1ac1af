"""Converters of small datasets, which are read whole: MovieLens and Frappe."""

import zipfile
from importlib.resources.abc import Traversable
from io import BytesIO
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from convert_files import Mistake, new_files, read_blocks, require


def find_files(source: Path, *choices: list[str]) -> dict[str, Traversable]:
    """Return the first of `choices` whose files are all in a folder or a zip file, at the top or one folder down.

    Raises:
        Mistake: the files of every choice are incomplete.
    """
    if source.is_file() and not zipfile.is_zipfile(source):
        raise Mistake(f"{source}: neither a folder nor a complete zip file. Download it again, or use the folder.")
    root: Traversable = source if source.is_dir() else zipfile.Path(source)
    for folder in (root, *(child for child in root.iterdir() if child.is_dir())):
        for names in choices:
            if all((folder / name).is_file() for name in names):
                return {name: folder / name for name in names}
    wanted = " or ".join(f"all of {', '.join(names)}" for names in choices)
    raise Mistake(f"{source}: files not found. Use a folder or zip file with {wanted}.")


def read_small(file: Traversable, delimiter: str, **types: pa.DataType) -> pa.RecordBatch:
    """Return the rows of a small latin-1 file with columns `types`.

    Raises:
        Mistake: a line is invalid, or the file is empty.
    """
    # the parser requires delimiters of one byte, and the text has no unit separators
    data = file.read_bytes().rstrip().replace(delimiter.encode(), b"\x1f")
    blocks = read_blocks(BytesIO(data), str(file), pa.schema(types), "\x1f", encoding="latin1")
    return pa.Table.from_batches(block for _, block in blocks).combine_chunks().to_batches()[0]


def read_people_and_movies(files: dict[str, Traversable]) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """Return users (user_id, age, gender, occupation, zip_code) and movies (movie_id, title, genres, release_year)."""
    integer, text, year = pa.int64(), pa.string(), r"(?P<year>\d{4})"
    if "u.user" in files:
        names = [line.split("|")[0] for line in files["u.genre"].read_text("latin-1").splitlines() if line]
        users = read_small(
            files["u.user"], "|", user_id=integer, age=integer, gender=text, occupation=text, zip_code=text
        )
        about = {"movie_id": integer, "title": text, "released": text, "video_released": text, "url": text}
        flags = {f"is {name}": pa.int8() for name in names}
        movies = read_small(files["u.item"], "|", **about, **flags)
        columns = [movies[name].to_pylist() for name in flags]
        genres = [[name for name, flag in zip(names, row, strict=True) if flag] for row in zip(*columns, strict=True)]
        years = pc.extract_regex(movies["released"], year + "$")
    else:
        users = read_small(
            files["users.dat"], "::", user_id=integer, gender=text, age=integer, occupation=text, zip_code=text
        )
        movies = read_small(files["movies.dat"], "::", movie_id=integer, title=text, genres=text)
        genres = pc.split_pattern(movies["genres"], "|")
        years = pc.extract_regex(movies["title"], rf"\({year}\)$")
    release_year = pc.struct_field(years, "year").cast(pa.int16())
    return users, pa.record_batch(
        {
            "movie_id": movies["movie_id"],
            "title": movies["title"],
            "genres": pa.array(genres, pa.list_(text)),
            "release_year": release_year,
        }
    )


def rated(ratings: Traversable, delimiter: str, users: pa.RecordBatch, movies: pa.RecordBatch) -> pa.RecordBatch:
    """Return a row per rating, with its user and movie, by time; ratings in the same second keep the order of the file.

    Raises:
        Mistake: a line is invalid, or a user or movie is unknown.
    """
    names = ["user_id", "movie_id", "rating", "timestamp"]
    rows = read_small(ratings, delimiter, **dict.fromkeys(names, pa.int64()))
    require(pc.is_in(rows["rating"], pa.array(range(1, 6))), rows["rating"], str(ratings), 1, "a rating must be 1 to 5")
    require(pc.is_valid(rows["timestamp"]), rows["timestamp"], str(ratings), 1, "a time must be seconds since 1970")
    columns = {"label": pc.greater(rows["rating"], 3).cast(pa.int8())} | {name: rows[name] for name in names}
    for key, table in (("user_id", users), ("movie_id", movies)):
        place = pc.index_in(rows[key], table[key])
        require(pc.is_valid(place), rows[key], str(ratings), 1, f"unknown {key}")
        columns |= {name: table[name].take(place) for name in table.schema.names if name != key}
    by_time = np.argsort(rows["timestamp"].to_numpy(), kind="stable")
    ends = ["age", "gender", "occupation", "zip_code", "title", "genres", "release_year"]
    return pa.record_batch({name: columns[name] for name in ["label", *names, *ends]}).take(pa.array(by_time))


FRAPPE = {  # number of values of each field; ids are consecutive over all fields
    "user": 957,
    "item": 4082,
    "daytime": 7,
    "weekday": 7,
    "isweekend": 2,
    "homework": 3,
    "cost": 2,
    "weather": 9,
    "country": 80,
    "city": 233,
}


def read_frappe(file: Traversable) -> pa.RecordBatch:
    """Return the label, 0 or 1, and the ids of the ten fields of each row, from `label id:1 id:1 ...` or CSV.

    Raises:
        Mistake: a line, a label or an id is invalid.
    """
    where, is_csv = str(file), file.name.endswith(".csv")
    text = read_small(file, "," if is_csv else " ", label=pa.string(), **dict.fromkeys(FRAPPE, pa.string()))
    first_line = 1
    if is_csv:
        if text.slice(0, 1).to_pylist() != [{name: name for name in text.schema.names}]:
            raise Mistake(f"{where}, line 1: expected the header {','.join(text.schema.names)}. Check the file.")
        text, first_line = text.slice(1), 2
    known = pa.array(["-1", "0", "1"])
    require(pc.is_in(text["label"], known), text["label"], where, first_line, "a label must be 1, 0 or -1")
    columns = {"label": pc.equal(text["label"], "1").cast(pa.int8())}
    for name, (start, end) in zip(FRAPPE, pairwise(accumulate(FRAPPE.values(), initial=0)), strict=True):
        ids = pa.array([str(number) if is_csv else f"{number}:1" for number in range(start, end)])
        place = pc.index_in(text[name], ids)
        require(pc.is_valid(place), text[name], where, first_line, f"{name} must be {ids[0]} to {ids[-1]}")
        columns[name] = pc.add(place, pa.scalar(start, pa.int32()))
    return pa.record_batch(columns)


def write_sets(blocks: dict[str, pa.RecordBatch], out_dir: Path, overwrite: bool) -> None:
    """Write each block as a file."""
    schema = next(iter(blocks.values())).schema
    with new_files(out_dir, list(blocks), schema, overwrite) as files:
        for file, block in zip(files, blocks.values(), strict=True):
            file.write(block)
