"""Kill and restart a comparison at random moments, and compare its result with that of an undisturbed one.

    python scripts/kill_and_compare.py STUDY [--kills 5] [--signal KILL|TERM] [--set KEY=VALUE]... [--seed 1]
                                       [--folder FOLDER]

comparison.json without durations, weights, scores and metrics.jsonl of every run, and the scores of every classical
model must be the same, byte for byte.
Prints a line per kill and a summary; exit code 1 if anything differs.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from kill_and_resume import INTERRUPTED, ending

from ctr.runs.checksums import sha256


def start(study: Path, settings: list[str], out: Path) -> subprocess.Popen[bytes]:
    """Start `ctr compare` in a process."""
    changed = [part for setting in settings for part in ("--set", setting)]
    command = [sys.executable, "-m", "ctr.cli", "compare", str(study), "--out", str(out), *changed]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(study: Path, settings: list[str], out: Path) -> float:
    """Run the comparison to the end and return its duration in seconds."""
    started = time.perf_counter()
    process = start(study, settings, out)
    _, message = process.communicate()
    if process.returncode:
        raise SystemExit(f"{out}: ended with code {process.returncode}: {message.decode()}")
    return time.perf_counter() - started


def results(out: Path) -> dict[str, Any]:
    """Return the results that kills must not change. A trial that ended early can have trained on by then."""
    found = json.loads((out / "comparison.json").read_text())
    ended = set()
    for variant in found["variants"]:
        del variant["clock"]
        ended |= {(variant["name"], f"trial-{trial['trial']}") for trial in variant["trials"] if trial["ended"]}
    runs = sorted((out / "runs").glob("*/*/report.json"))
    runs = [path for path in runs if (path.parts[-3], path.parts[-2]) not in ended]
    of_runs = {str(path.parent.relative_to(out)): ending(path.parent) for path in runs}
    scores = sorted(out.glob("classical/*/*/scores/*.parquet"))
    of_fits = {str(path.relative_to(out)): sha256(path) for path in scores}
    return {"comparison.json": found, "trials": trials(out), **of_runs, **of_fits}


def trials(out: Path) -> str | None:
    """Return the sampled settings of the trials."""
    path = out / "trials.json"
    return path.read_text() if path.is_file() else None


def state(out: Path) -> str:
    """Return the progress of a comparison."""
    finished = len(list((out / "runs").glob("*/*/report.json")))
    begun = len(list((out / "runs").glob("*/*/config.yaml"))) - finished
    return f"{finished} runs finished, {begun} started"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--signal", choices=["KILL", "TERM"], default="KILL")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="folder for the comparisons (default: a temporary one)")
    given = parser.parse_args()
    number = signal.Signals[f"SIG{given.signal}"]
    codes = (-number,) if number == signal.SIGKILL else (INTERRUPTED, -number)  # -SIGTERM: too early
    draw, wrong = random.Random(given.seed), []  # noqa: S311 - not for secrets
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        seconds = finish(given.study, given.set, folder / "undisturbed")
        print(f"undisturbed: {seconds:.0f} s, {state(folder / 'undisturbed')}", flush=True)
        for kill in range(1, given.kills + 1):
            moment = draw.uniform(0, 2 * seconds / given.kills)
            process = start(given.study, given.set, folder / "killed")
            time.sleep(moment)
            process.send_signal(number)
            process.communicate()
            print(f"kill {kill}: after {moment:.1f} s, {state(folder / 'killed')}", flush=True)
            if process.returncode not in (*codes, 0):
                wrong.append(f"exit code {process.returncode}")
        finish(given.study, given.set, folder / "killed")
        expected, found = results(folder / "undisturbed"), results(folder / "killed")
        wrong += [name for name in {**expected, **found} if expected.get(name) != found.get(name)]
        differing = ", ".join(wrong) or "nothing"
        print(f"{given.kills} kills with {number.name}, {len(found) - 2} results: {differing} differs")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
