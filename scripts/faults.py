"""Train while the machine fails, and check for a clear error and an intact last good state.

    python scripts/faults.py [--only WORDS] [--folder FOLDER]

Faults: a full disk, a run folder that turns read-only, training files that change, one flipped bit in every file of
an unfinished run, a table larger than memory, no file descriptors, a file without read permission, no home and no
temporary folder. Each is injected into a `ctr` process on a tiny click log, which is stopped meanwhile. The process
must succeed, or print fewer than ten lines that name the problem. Once the fault is removed, `ctr train --resume` must
end byte for byte like an undisturbed run, and an earlier finished run in the folder must be unchanged. Prints a line
per fault with its message; exit code 1 if any fails. Full and read-only disks are small ones in memory, which only root
can mount.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq
from faulty_machine import (
    Disk,
    Ended,
    Failed,
    Missed,
    Place,
    Skipped,
    check_resumed,
    contents,
    end,
    has_checkpoint,
    prepared,
    start,
    stopped,
)

TRIES = 5  # attempts to inject a fault before the process ends


def full_before_the_start(place: Place) -> str:
    """Start training on a full disk, which must leave nothing there."""
    with Disk(place.folder / "disk") as disk:
        disk.fill()
        run = disk.folder / "run"
        message = end(start("train", place.config, "--run", run)).expect(2, "disk:", str(run), "too little")
        disk.empty()
        if list(disk.folder.iterdir()):
            raise Failed(f"left: {list(disk.folder.iterdir())}")
        check_resumed(place, run)
        return message


def full_during(place: Place, is_time: Callable[[Path], bool], overwrites: bool) -> str:
    """Fill the disk during training, with `overwrites` while the run replaces a finished one."""
    with Disk(place.folder / "disk") as disk:
        run = kept = disk.folder / "run"
        if overwrites:
            shutil.copytree(place.undisturbed, run)
            before, kept = contents(run), run.with_name("run.unfinished")
        process = start("train", place.config, "--run", run, *(["--overwrite"] if overwrites else []))
        with stopped(process, lambda: not (run / "report.json").exists() and is_time(run)):
            disk.fill()
        ended = end(process)
        if ended.code == 0:
            raise Missed
        message = ended.expect(2, "No space left on device", str(run), f"--run {kept} --resume")
        disk.empty()
        if overwrites and contents(run) != before:
            raise Failed("the finished run has changed")
        check_resumed(place, kept)
        return message


def full_while_evaluating(place: Place) -> str:
    """Evaluate onto a full disk, which must leave nothing there."""
    with Disk(place.folder / "disk") as disk:
        disk.fill()
        command = ["evaluate", place.undisturbed, place.data / "test.parquet", "--out", disk.folder / "out"]
        message = end(start(*command)).expect(2, "No space left on device", str(disk.folder / "out"))
        disk.empty()
        if left := list(disk.folder.iterdir()):
            raise Failed(f"left: {left}")
        return message


def read_only_before_the_start(place: Place) -> str:
    """Start training in a read-only folder."""
    with Disk(place.folder / "disk") as disk:
        disk.make_read_only()
        return end(start("train", place.config, "--run", disk.folder / "run")).expect(
            2, str(disk.folder), "cannot write"
        )


def read_only_during(place: Place) -> str:
    """Make the disk read-only after the second checkpoint."""
    with Disk(place.folder / "disk") as disk:
        run = disk.folder / "run"
        process = start("train", place.config, "--run", run)
        with stopped(process, has_checkpoint(run, 2)):
            disk.make_read_only()
        message = end(process).expect(2, "Read-only file system", str(run), "--resume")
        disk.make_writable()
        check_resumed(place, run)
        return message


def of_another_size(path: Path) -> None:
    """Rewrite a Parquet file without its first ten rows."""
    pq.write_table(pq.read_table(path).slice(10), path)


def of_the_same_size(path: Path) -> None:
    """Replace a file by a copy of itself."""
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


def truncated(path: Path) -> None:
    """Cut a file to half its size."""
    os.truncate(path, path.stat().st_size // 2)


def data_that_changes(place: Place, change: Callable[[Path], None]) -> str:
    """Change a training file after the first epoch."""
    run, path = place.folder / "run", place.data / "train" / "part-1.parquet"
    kept = Path(shutil.copy2(path, place.folder / "kept"))
    process = start("train", place.config, "--run", run)
    try:
        with stopped(process, lambda: (run / "metrics.jsonl").exists()):
            change(path)
        ended = end(process)
    finally:
        shutil.copy2(kept, path)
    if ended.code == 0:
        raise Missed
    message = ended.expect(2, str(path), "removed" if change is Path.unlink else "changed", "--resume")
    check_resumed(place, run)
    return message


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def flipped_bit(place: Place, pattern: str) -> str:
    """Flip a bit in a file of an unfinished run, which must resume, or advise and resume once the bit is restored."""
    run = place.folder / "run"
    process = start("train", place.config, "--run", run)
    with stopped(process, lambda: has_checkpoint(run, 3)() and (run / "checkpoints" / "best.json").exists()):
        process.kill()
    end(process)
    path = sorted(run.glob(pattern))[-1]
    flip(path)
    ended = end(start("train", place.config, "--run", run, "--resume"))
    if ended.code:
        message = ended.expect(2, str(run), "--overwrite")
        flip(path)
    else:
        before = ended.shown.partition("resuming from step")[0].splitlines()
        warnings = [line for line in before if line.startswith("warning: ")]
        message = "\n".join(warnings) or "works: other files have the same content"
    check_resumed(place, run)  # prints the report if the run has finished
    return message


def huge_table(place: Place, command: str) -> str:
    """Give a feature a table larger than memory."""
    run = place.folder / "run"
    setting = "features.columns.user={hash: 2000000000, dim: 64}"
    ended = end(start(command, place.config, "--run", run, "--set", setting))
    if run.exists():
        raise Failed(f"{run} was created")
    if command == "train":
        return ended.expect(2, "memory", "'user'", "2,000,000,00")
    lines = ended.shown.splitlines()
    first = next((number for number, line in enumerate(lines) if line.startswith("error")), 0)
    return Ended(ended.code, "", "\n".join(lines[first : first + 3])).expect(2, "memory", "'user'", "2,000,000,00")


def few_descriptors(place: Place, count: int) -> str:
    """Limit the open files; the command must work or name the limit."""

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))

    run = place.folder / "run"
    ended = end(start("train", place.config, "--run", run, preexec_fn=bound))
    message = ended.expect(2, "Too many open files") if ended.code else "works"
    check_resumed(place, run)
    return message


def forbidden_file(place: Place) -> str:
    """Run the command as a user without read permission for a training file."""
    nobody = ["setpriv", "--reuid", "65534", "--clear-groups"]
    if shutil.which("setpriv") is None or subprocess.run([*nobody, sys.executable, "-c", ""]).returncode:
        raise Skipped("no process can run as another user")
    path = place.data / "train" / "part-1.parquet"
    place.folder.chmod(0o777)
    path.chmod(0o600)
    try:
        process = start("train", place.config, "--run", place.folder / "run", prefix=nobody)
        return end(process).expect(2, str(path), "Permission denied")
    finally:
        path.chmod(0o644)


def odd_environment(place: Place, **changes: str | None) -> str:
    """Run with environment variables set, or removed for None."""
    run = place.folder / "run"
    environment = {name: value for name, value in {**os.environ, **changes}.items() if value is not None}
    message = end(start("train", place.config, "--run", run, env=environment)).expect(0)
    check_resumed(place, run)
    return message or "works"


AT_THE_SECOND_CHECKPOINT = {"is_time": lambda run: has_checkpoint(run)()}
WHILE_SCORING = {"is_time": lambda run: (run / "reference" / "rows.npy").exists()}
RUN_FILES = ["best.json", "state.index", "state.data*", "position.json", "metrics.jsonl", "checksums.json"]
FILES = [
    *(f"checkpoints/{'' if name == 'best.json' else 'step-*/'}{name}" for name in RUN_FILES),
    *(f"encoder/{name}" for name in ("encoder.json", "vocabulary-*.parquet", "checksums.json")),
    *("config.yaml", "data.json", "environment.json", "initial_weights.json", "checksums.json"),
    *("metrics.jsonl", "timing.jsonl"),
]
FAULTS: dict[str, Callable[[Place], str]] = {
    "disk full before the start": full_before_the_start,
    "disk full at the second checkpoint": partial(full_during, **AT_THE_SECOND_CHECKPOINT, overwrites=False),
    "disk full while scores are written": partial(full_during, **WHILE_SCORING, overwrites=False),
    "disk full at the second checkpoint, --overwrite": partial(
        full_during, **AT_THE_SECOND_CHECKPOINT, overwrites=True
    ),
    "disk full while scores are written, --overwrite": partial(full_during, **WHILE_SCORING, overwrites=True),
    "disk full, evaluate --out": full_while_evaluating,
    "read-only before the start": read_only_before_the_start,
    "read-only at the third checkpoint": read_only_during,
    "data replaced by a file of another size": partial(data_that_changes, change=of_another_size),
    "data replaced by a file of the same size": partial(data_that_changes, change=of_the_same_size),
    "data truncated": partial(data_that_changes, change=truncated),
    "data removed": partial(data_that_changes, change=Path.unlink),
    **{f"a bit of {pattern}": partial(flipped_bit, pattern=pattern) for pattern in FILES},
    **{f"huge table, {command}": partial(huge_table, command=command) for command in ("train", "inspect")},
    **{f"{count} descriptors": partial(few_descriptors, count=count) for count in (16, 48)},
    "data without read permission": forbidden_file,
    "HOME unset": partial(odd_environment, HOME=None),
    "TMPDIR missing": partial(odd_environment, TMPDIR="/no/such/folder"),
}


def outcome(fault: Callable[[Place], str], place: Place) -> tuple[str, str]:
    """Return `passed`, `skipped` or `FAILED`, and the message or the problem."""
    for _ in range(TRIES):
        place.folder.mkdir()
        try:
            return "passed", fault(place)
        except Skipped as reason:
            return "skipped", str(reason)
        except Failed as reason:
            return "FAILED", str(reason)
        except Missed:
            continue
        finally:
            shutil.rmtree(place.folder)
    return "FAILED", f"{TRIES} processes ended before the fault"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only faults whose names contain this text")
    parser.add_argument("--folder", type=Path, help="folder for the log and the runs (default: a temporary one)")
    given = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.chmod(0o755)
        place = prepared(folder)
        for name, fault in FAULTS.items():
            if given.only in name:
                verdict, message = outcome(fault, place)
                found.append(verdict)
                print(
                    f"{verdict:8}{name}", *message.replace(str(folder), "").splitlines(), sep="\n        ", flush=True
                )
    print(", ".join(f"{found.count(verdict)} {verdict}" for verdict in dict.fromkeys(found)))
    sys.exit(1 if "FAILED" in found else 0)


if __name__ == "__main__":
    main()
