"""Kills trainings at random moments, resumes them, and compares how they end with a training that was left alone.

    python scripts/kill_and_resume.py CONFIG [--runs 30] [--signal KILL|TERM] [--set KEY=VALUE]... [--every-steps 5]
                                      [--seed 1] [--folder FOLDER]

Each run is killed up to three times, by turns of a coin at a moment or while a checkpoint is half-written, and then
resumed until it ends. Its weights, scores and metrics.jsonl must be, byte for byte, those of the undisturbed one; of a
SIGTERM it must also end with code 75. Prints a line a run and a summary; exit code 1 if anything differs.
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

KILLS = 3  # of a run, at most
INTERRUPTED = 75


@dataclass
class Kill:
    """How one process ended."""

    seconds: float
    """After its start."""
    step: int
    """Of the last checkpoint then; -1 for none."""
    while_saving: bool
    """Whether a checkpoint was half-written."""
    code: int

    def __str__(self) -> str:
        place = "before a checkpoint" if self.step < 0 else f"after step {self.step}"
        return f"{self.seconds:.1f} s, {place}{', saving' if self.while_saving else ''}"


@dataclass
class Training:
    """One experiment, to be run again and again.

    Args:
        config: the YAML file.
        settings: as `--set` takes them.
        number: the signal that kills.
    """

    config: Path
    settings: list[str] = field(default_factory=list)
    number: signal.Signals = signal.SIGKILL

    def start(self, run: Path) -> subprocess.Popen[bytes]:
        """`ctr train --resume` in a process."""
        changed = [part for setting in self.settings for part in ("--set", setting)]
        command = [sys.executable, "-m", "ctr.cli", "train", str(self.config), "--run", str(run), "--resume", *changed]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def finish(self, run: Path) -> float:
        """Train to the end, undisturbed; returns the seconds that it took."""
        started = time.perf_counter()
        process = self.start(run)
        _, message = process.communicate()
        if process.returncode:
            raise SystemExit(f"{run}: ended with code {process.returncode}: {message.decode()}")
        return time.perf_counter() - started

    def kill(self, run: Path, moment: float, step: float) -> Kill | None:
        """Train until so many seconds have passed, or a checkpoint of that step or a later one is half-written.

        Returns None if the training ends before.
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
                    return None  # it ended at this moment
                return Kill(seconds, saved, saving >= 0, process.returncode)
            time.sleep(0.0005)
        process.communicate()
        return None


def steps_of(run: Path, pattern: str) -> list[int]:
    """The steps of the checkpoints that match."""
    return [int(re.findall(r"\d+", path.name)[0]) for path in run.glob(pattern)]


def ending(run: Path) -> dict[str, Any]:
    """What must be the same however often a run was killed."""
    report = json.loads((run / "report.json").read_text())
    files = [run / "metrics.jsonl", *sorted((run / "scores").iterdir())]
    measured = {key: value for key, value in report.items() if key != "seconds"}
    return {**measured, **{path.name: path.read_bytes() for path in files}}


def kill_and_resume(training: Training, runs: int, seed: int, folder: Path) -> int:
    """Kill and resume so many runs, a line each; returns how many did not end as the undisturbed one."""
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
        # a process that has not come to training yet dies of the signal, and has nothing to save
        codes = {INTERRUPTED, -signal.SIGTERM} if training.number == signal.SIGTERM else {-training.number}
        differing += [f"exit code {killed.code}" for killed in of_run if killed.code not in codes]
        wrong, kills = wrong + bool(differing), kills + of_run
        told = "; ".join(map(str, of_run)) or "never: it had ended"
        print(
            f"run {number:3d}: {'DIFFERS in ' + ', '.join(differing) if differing else 'same'}; killed {told}",
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
    parser.add_argument("--every-steps", type=int, default=5, help="steps from checkpoint to checkpoint")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the runs go; default: one that is deleted at the end")
    given = parser.parse_args()
    settings = [*given.set, f"training.checkpoint.every={{steps: {given.every_steps}}}"]
    training = Training(given.config, settings, signal.Signals[f"SIG{given.signal}"])
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        sys.exit(1 if kill_and_resume(training, given.runs, given.seed, folder) else 0)


if __name__ == "__main__":
    main()
