"""Kill runs at random moments, resume them, and compare the results with those of an undisturbed run.

    python scripts/kill_and_resume.py CONFIG [--runs 30] [--signal KILL|TERM] [--set KEY=VALUE]... [--every-steps 5]
                                      [--seed 1] [--folder FOLDER]

Each run is killed up to three times, at a random moment or while a checkpoint is half-written, and then resumed until
it ends. Its weights, scores and metrics.jsonl must equal those of the undisturbed run, byte for byte. A SIGTERM must
also end it with code 75. Prints a line per run and a summary; exit code 1 if anything differs.
"""

import argparse
import json
import math
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KILLS = 3  # maximum kills of a run
INTERRUPTED = 75


@dataclass
class Kill:
    """State of a process at its end."""

    seconds: float
    """Seconds after the start."""
    step: int
    """Step of the last checkpoint; -1: no checkpoint."""
    while_saving: bool
    """True if a checkpoint was half-written."""
    code: int

    def __str__(self) -> str:
        place = "before a checkpoint" if self.step < 0 else f"after step {self.step}"
        return f"{self.seconds:.1f} s, {place}{', saving' if self.while_saving else ''}"


@dataclass
class Training:
    """An experiment to run repeatedly.

    Args:
        config: YAML file of the experiment.
        settings: overrides for `--set`.
        number: signal that kills a run.
    """

    config: Path
    settings: list[str] = field(default_factory=list)
    number: signal.Signals = signal.SIGKILL

    def start(self, run: Path) -> subprocess.Popen[bytes]:
        """Start `ctr train --resume` in a process."""
        changed = [part for setting in self.settings for part in ("--set", setting)]
        command = [sys.executable, "-m", "ctr.cli", "train", str(self.config), "--run", str(run), "--resume", *changed]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def finish(self, run: Path) -> float:
        """Train to the end and return the duration in seconds."""
        started = time.perf_counter()
        process = self.start(run)
        _, message = process.communicate()
        if process.returncode:
            raise SystemExit(f"{run}: ended with code {process.returncode}: {message.decode()}")
        return time.perf_counter() - started

    def kill(self, run: Path, moment: float, step: float) -> Kill | None:
        """Train until `moment` seconds passed, or a checkpoint at `step` or later is half-written; then kill the run.

        Returns None if the run ends first.
        """
        started = time.perf_counter()
        process = self.start(run)
        while process.poll() is None:
            seconds = time.perf_counter() - started
            saving = max(steps_of(run, "checkpoints/.step-*.partial"), default=-1)
            if seconds >= moment or saving >= step:
                saved = max(steps_of(run, "checkpoints/step-*"), default=-1)
                process.send_signal(self.number)
                process.communicate()
                if process.returncode == 0:
                    return None  # it ended in the meantime
                return Kill(seconds, saved, saving >= 0, process.returncode)
            time.sleep(0.0005)
        process.communicate()
        return None


def steps_of(run: Path, pattern: str) -> list[int]:
    """Return the steps of the checkpoints that match."""
    return [int(re.findall(r"\d+", path.name)[0]) for path in run.glob(pattern)]


def ending(run: Path) -> dict[str, Any]:
    """Return the results that kills must not change."""
    report = json.loads((run / "report.json").read_text())
    files = [run / "metrics.jsonl", *sorted((run / "scores").iterdir())]
    measured = {key: value for key, value in report.items() if key != "seconds"}
    return {**measured, **{path.name: path.read_bytes() for path in files}}


def kill_and_resume(training: Training, runs: int, seed: int, folder: Path) -> int:
    """Kill and resume runs, print a line for each, and return how many differ from the undisturbed run."""
    seconds = training.finish(folder / "undisturbed")
    expected, wrong = ending(folder / "undisturbed"), 0
    kills: list[Kill] = []
    for number in range(1, runs + 1):
        draw = random.Random(f"{seed} {number}")  # noqa: S311 - not for secrets
        run, of_run = folder / f"run-{number}", []
        for _ in range(draw.randint(1, KILLS)):
            if draw.random() < 0.5:
                moment, step = draw.uniform(0, seconds), math.inf
            else:
                begun = max(steps_of(run, "checkpoints/step-*"), default=0)
                moment, step = math.inf, draw.uniform(begun, expected["training"]["steps"])
            killed = training.kill(run, moment, step)
            of_run += [killed] if killed else []
        training.finish(run)
        found = ending(run)
        differing = [name for name in {**expected, **found} if found.get(name) != expected.get(name)]
        # before training starts, the signal ends the process, as there is nothing to save
        codes = {INTERRUPTED, -signal.SIGTERM} if training.number == signal.SIGTERM else {-training.number}
        differing += [f"exit code {killed.code}" for killed in of_run if killed.code not in codes]
        wrong, kills = wrong + bool(differing), kills + of_run
        kills_of_run = "; ".join(map(str, of_run)) or "never: it ended first"
        print(
            f"run {number:3d}: {'DIFFERS in ' + ', '.join(differing) if differing else 'same'}; killed {kills_of_run}",
            flush=True,
        )
        shutil.rmtree(run)
    saving = sum(killed.while_saving for killed in kills)
    print(
        f"{runs} runs, {len(kills)} kills with {training.number.name}, {saving} of them during a save: {wrong} differ"
    )
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--signal", choices=["KILL", "TERM"], default="KILL")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--every-steps", type=int, default=5, help="steps between checkpoints")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="folder for the runs (default: a temporary one)")
    given = parser.parse_args()
    settings = [*given.set, f"training.checkpoint.every={{steps: {given.every_steps}}}"]
    training = Training(given.config, settings, signal.Signals[f"SIG{given.signal}"])
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        sys.exit(1 if kill_and_resume(training, given.runs, given.seed, folder) else 0)


if __name__ == "__main__":
    main()
