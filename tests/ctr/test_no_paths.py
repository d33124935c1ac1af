"""Files of a run do not reveal the machine: no folder that the config does not name, no host, no user."""

import os
import socket
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ctr.cli import app
from tests.conftest import CONFIG, THREADS, click_log
from tests.ctr.conftest import PLAIN_MODEL
from tests.ctr.undrawn import undrawn

USER = "somebody-7c1f"
NUMBERS = {".npz", ".npy", ".index", ".data-00000-of-00001"}
BY_CHANCE = 6  # shorter words, such as the name of a host, can occur in the bytes of numbers by chance


def command(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output


def content_of(path):
    """Return a file's bytes; for Parquet, metadata and decoded columns, as compressed bytes hold words by chance."""
    if path.suffix != ".parquet":
        return path.read_bytes()
    file = pq.ParquetFile(path)
    return f"{file.metadata.metadata} {file.metadata.created_by} {file.schema_arrow} {file.read().to_pydict()}".encode()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Run every command that writes in a working folder, with relative paths, and return the folder."""
    with pytest.MonkeyPatch.context() as patched:
        folder = tmp_path_factory.mktemp("working-folder-7c1f")
        patched.chdir(folder)
        for name in ("USER", "LOGNAME", "USERNAME"):
            patched.setenv(name, USER)
        patched.setenv("HOME", f"/home/{USER}")
        Path("clicks").mkdir()
        for k in range(3):
            pq.write_table(click_log().slice(400 * k, 400), f"clicks/part-{k}.parquet", row_group_size=200)
        Path("tiny.yaml").write_text(CONFIG.format(data="clicks", threads=THREADS))
        one_epoch = ("--set", "training.epochs=1", "--set", f"model={PLAIN_MODEL}")
        command("train", "tiny.yaml", *one_epoch)
        command("evaluate", "runs/tiny", "clicks/part-2.parquet")
        with undrawn():
            command("evaluate", "runs/tiny", "clicks", "--out", "elsewhere")
            command("report", "runs/tiny", "runs/tiny/evaluations/part-2", "--out", "both.md")
        diverging = ("--set", "optimizers.dense.learning_rate=1e38")
        command("train", "tiny.yaml", "--run", "runs/diverged", *diverging, code=3)
        command("psi", "clicks/part-0.parquet", "clicks/part-2.parquet", "--out", "psi")
        yield folder


def test_no_file_names_the_machine(written):
    # not the name of the superuser, which is a word of the config
    told = [
        str(written),
        USER,
        socket.gethostname(),
        str(Path(__file__).parents[2]),
        sys.prefix,
        os.path.expanduser("~"),
    ]
    files = [path for path in written.rglob("*") if path.is_file() and path.name != "tiny.yaml"]
    kinds = {path.suffix for path in files}
    assert kinds >= {".yaml", ".json", ".jsonl", ".parquet", ".npz", ".npy", ".index", ".html", ".md"}
    found = [
        (str(path.relative_to(written)), word)
        for path in files
        for content in [content_of(path)]
        for word in told
        if word.encode() in content and (path.suffix not in NUMBERS or len(word) >= BY_CHANCE)
    ]
    assert found == []


def test_paths_stay_as_the_config_gave_them(written):
    assert '"path": "clicks/part-0.parquet"' in (written / "runs" / "tiny" / "report.json").read_text()
    assert "clicks/part-2.parquet" in (written / "runs" / "tiny" / "evaluations" / "part-2" / "report.html").read_text()
