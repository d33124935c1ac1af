"""Convert public click, rating and review data, as downloaded, to Parquet.

docs/how-to/public-datasets.md names the download pages.

    python scripts/convert_public_data.py criteo train.txt OUT_DIR [--split x4]
    python scripts/convert_public_data.py avazu train.gz OUT_DIR [--split x4]
    python scripts/convert_public_data.py movielens ml-100k.zip OUT_DIR [--split u1]
    python scripts/convert_public_data.py frappe FOLDER OUT_DIR
    python scripts/convert_public_data.py amazon reviews_Beauty_5.json.gz OUT_DIR [--seed 1]

Files appear under their names only when all of them are complete. Exit codes: 0 success, 1 a bug, 2 a user error.
"""

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from convert_files import SETS, Mistake
from convert_logs import LogSplit, avazu_log, convert_log, criteo_log
from convert_reviews import read_sequences
from convert_tables import find_files, rated, read_frappe, read_people_and_movies, write_sets

app = typer.Typer(help=__doc__, add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@contextmanager
def user_mistakes(source: Path) -> Iterator[None]:
    """Turn errors that the user can fix into one line and exit code 2 instead of a traceback."""
    try:
        yield
    except Mistake as error:
        problem = str(error)
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError, zipfile.BadZipFile) as error:
        problem = f"{source}: damaged or incomplete ({error}). Download it again."
    except OSError as error:
        problem = f"{error.filename or source}: {error.strerror or error}"
    else:
        return
    typer.echo(f"error: {' '.join(problem.split())}", err=True)
    raise typer.Exit(2)


OutDir = Annotated[Path, typer.Argument(help="Folder to write to, created if missing.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")]
X4 = Annotated[LogSplit | None, typer.Option(help="Write train, valid and test files by this published split.")]


@app.command()
def criteo(
    source: Annotated[Path, typer.Argument(help="train.txt, train.txt.gz or dac.tar.gz.")],
    out_dir: OutDir,
    split: X4 = None,
    overwrite: Overwrite = False,
) -> None:
    """Criteo Display Advertising Challenge (Kaggle)."""
    with user_mistakes(source):
        convert_log(criteo_log(source), out_dir, split, overwrite)


@app.command()
def avazu(
    source: Annotated[Path, typer.Argument(help="train.gz, or the CSV in it.")],
    out_dir: OutDir,
    split: X4 = None,
    overwrite: Overwrite = False,
) -> None:
    """Avazu Click-Through Rate Prediction (Kaggle)."""
    with user_mistakes(source):
        convert_log(avazu_log(source), out_dir, split, overwrite)


class RatingSplit(StrEnum):
    """Published splits in the archive of MovieLens 100K."""

    U1 = "u1"
    U2 = "u2"
    U3 = "u3"
    U4 = "u4"
    U5 = "u5"
    UA = "ua"
    UB = "ub"


@app.command()
def movielens(
    source: Annotated[Path, typer.Argument(help="ml-100k.zip, ml-1m.zip, or the folder of either.")],
    out_dir: OutDir,
    split: Annotated[RatingSplit | None, typer.Option(help="Of 100K: write train and test by this split.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """MovieLens 100K and 1M (GroupLens)."""
    with user_mistakes(source):
        tables = ["u.user", "u.item", "u.genre"]
        if split is None:
            files = find_files(source, ["u.data", *tables], ["ratings.dat", "users.dat", "movies.dat"])
            ratings = {"data.parquet": files.get("u.data") or files["ratings.dat"]}
        else:
            files = find_files(source, [f"{split}.base", f"{split}.test", *tables])
            ratings = {"train.parquet": files[f"{split}.base"], "test.parquet": files[f"{split}.test"]}
        delimiter = "\t" if "u.user" in files else "::"
        users, movies = read_people_and_movies(files)
        blocks = {name: rated(file, delimiter, users, movies) for name, file in ratings.items()}
        write_sets(blocks, out_dir, overwrite)


@app.command()
def frappe(
    source: Annotated[Path, typer.Argument(help="The folder or zip file of the three published files.")],
    out_dir: OutDir,
    overwrite: Overwrite = False,
) -> None:
    """Frappe, the x1 split: .libfm of NFM and AFM, .libsvm of AFN, or .csv of BARS."""
    with user_mistakes(source):
        files = find_files(
            source,
            ["train.csv", "valid.csv", "test.csv"],
            ["frappe.train.libfm", "frappe.validation.libfm", "frappe.test.libfm"],
            ["train.libsvm", "valid.libsvm", "test.libsvm"],
        )
        write_sets(dict(zip(SETS, map(read_frappe, files.values()), strict=True)), out_dir, overwrite)


@app.command()
def amazon(
    source: Annotated[Path, typer.Argument(help="reviews_Beauty_5.json.gz or of another category, or the JSON in it.")],
    out_dir: OutDir,
    seed: Annotated[int, typer.Option(min=0, help="Of the negative rows, and of the order of rows.")] = 1,
    overwrite: Overwrite = False,
) -> None:
    """Amazon reviews of one category, 5-core (McAuley), into behavior sequences."""
    with user_mistakes(source):
        write_sets(read_sequences(source, seed), out_dir, overwrite)


if __name__ == "__main__":
    app()
