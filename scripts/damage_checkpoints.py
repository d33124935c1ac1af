"""Damage checkpoints of an interrupted run, resume it, and compare the result with that of an undisturbed run.

    python scripts/damage_checkpoints.py CONFIG [--damages 60] [--seed 0] [--set KEY=VALUE]... [--every-steps 30]
                                         [--folder FOLDER]

One run is killed after a new best, when the last checkpoints name two bests. Another is killed when all last
checkpoints name the same old best. Each damage changes one file of one checkpoint in a copy of such a run: it flips a
random bit, truncates the file at a random position, or deletes it. The files of all checkpoints take turns. A resumed
copy must continue from the newest intact checkpoint whose best is intact, or start over without one. The result must
equal the undisturbed run byte for byte: weights, scores, metrics.jsonl, and report.json without durations. Prints a
Markdown table of checkpoints and files; exit code 1 if any result differs. Runs are killed as processes of `ctr train`,
and resumed in this process to save time.
"""

import argparse
import io
import itertools
import json
import os
import random
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from faulty_machine import Missed, end, start, stopped
from kill_and_resume import ending, steps_of
from rich.console import Console

from ctr import train
from ctr.config.experiment import Experiment, load_experiment


@dataclass(frozen=True)
class Killed:
    """A run that was killed, with its checkpoints."""

    run: Path
    moment: str
    bests: dict[int, int]
    """Step of each checkpoint -> step of the best that it names."""

    def resumes_from(self, damaged: int) -> int | None:
        """Return the step of the newest intact checkpoint whose best is intact; None without one."""
        return max((step for step, best in self.bests.items() if damaged not in (step, best)), default=None)


@dataclass
class Spot:
    """A file of a checkpoint, and the damages to it."""

    killed: Killed
    step: int
    file: str
    damages: Counter[str] = field(default_factory=Counter)
    differing: int = 0
    """Number of damages after which the result differed from the undisturbed run."""

    def __str__(self) -> str:
        role = "a best" if self.step in self.killed.bests.values() else "not a best"
        return f"{self.killed.moment} | {self.step}, {role} | {self.file}"

    def line(self) -> str:
        """Return the table line of this file."""
        damages = ", ".join(f"{count} {kind}" for kind, count in sorted(self.damages.items()))
        step = self.killed.resumes_from(self.step)
        outcome = f"{self.differing} DIFFER" if self.differing else "same"
        return f"| {self} | {damages} | {'start' if step is None else step} | {outcome} |"


def flip(path: Path, draw: random.Random) -> None:
    """Flip a random bit of a file."""
    content = bytearray(path.read_bytes())
    place = draw.randrange(8 * len(content))
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)


def truncate(path: Path, draw: random.Random) -> None:
    """Cut a file at a random position."""
    os.truncate(path, draw.randrange(path.stat().st_size))


def delete(path: Path, _: random.Random) -> None:
    """Delete a file."""
    path.unlink()


DAMAGES = [flip, flip, truncate, flip, delete]  # in turn


def checkpoint_of(run: Path, step: int) -> Path:
    """Return the folder of a run's checkpoint."""
    return run / "checkpoints" / f"step-{step:09d}"


def bests_of(run: Path) -> dict[int, int]:
    """Return the step of the best by step of the checkpoint that names it; empty while checkpoints change."""
    try:
        return {
            step: json.loads((checkpoint_of(run, step) / "position.json").read_text())["best"]["step"]
            for step in sorted(steps_of(run, "checkpoints/step-*"))
        }
    except (OSError, TypeError):
        return {}


def is_after_new_best(bests: dict[int, int]) -> bool:
    """Return True if the newest checkpoint is a best, and the others name the oldest."""
    first, *_, last = bests
    return bests[last] == last and all(best == first for step, best in bests.items() if step != last)


def is_after_old_best(bests: dict[int, int]) -> bool:
    """Return True if all checkpoints name the oldest as the best."""
    return set(bests.values()) == {next(iter(bests))}


MOMENTS = {"after a new best": is_after_new_best, "after an old best": is_after_old_best}


def kill_when(
    is_moment: Callable[[dict[int, int]], bool], count: int, after: int, command: list[str], run: Path
) -> dict[int, int]:
    """Train until `count` checkpoints exist, the last at `after` or later, and `is_moment` holds; then kill the run.

    Returns:
        The checkpoints of the run, in the form of `bests_of`.

    Raises:
        SystemExit: the run ended first, or saved another checkpoint.
    """

    def is_time() -> bool:
        bests = bests_of(run)
        return len(bests) == count and max(bests) >= after and is_moment(bests)

    process = start(*command, run)
    try:
        with stopped(process, is_time):
            process.kill()
    except Missed:
        raise SystemExit(f"{run}: ended first. Validate or save more often by --set and --every-steps.") from None
    end(process)
    if not is_time():
        raise SystemExit(f"{run}: saved another checkpoint first. Save less often by --every-steps.")
    return bests_of(run)


def resume(experiment: Experiment, run: Path) -> int | None:
    """Resume a run to its end and return the step that it resumed from; None if it started over."""
    shown = io.StringIO()
    train(experiment, run, resume=True, console=Console(file=shown, width=200))
    resumed = re.search(r"resuming from step (\d+)", shown.getvalue())
    return int(resumed[1]) if resumed else None


def damage_checkpoints(config: Path, settings: list[str], damages: int, seed: int, folder: Path) -> int:
    """Print the table and return how many results differed from the undisturbed run."""
    experiment = load_experiment(config, settings)
    resume(experiment, folder / "undisturbed")
    undisturbed = ending(folder / "undisturbed")
    command = ["train", str(config), *(part for setting in settings for part in ("--set", setting)), "--run"]
    spots = []
    for moment, is_moment in MOMENTS.items():
        run, count = folder / moment.replace(" ", "-"), experiment.training.checkpoint.keep + 1
        bests = kill_when(is_moment, count, undisturbed["training"]["steps"] // 3, command, run)
        killed = Killed(run, moment, bests)
        spots += [
            Spot(killed, step, path.name) for step in bests for path in sorted(checkpoint_of(run, step).iterdir())
        ]
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    turns = itertools.cycle(draw.sample(spots, len(spots)))
    for number, spot, damage in zip(range(1, damages + 1), turns, itertools.cycle(DAMAGES), strict=False):
        run = Path(shutil.copytree(spot.killed.run, folder / "run"))
        damage(checkpoint_of(run, spot.step) / spot.file, draw)
        step, expected = resume(experiment, run), spot.killed.resumes_from(spot.step)
        found = ending(run)
        wrong = [name for name in {**undisturbed, **found} if found.get(name) != undisturbed.get(name)]
        wrong += [f"resumed from {step}, not {expected}"] if step != expected else []
        shutil.rmtree(run)
        spot.damages[damage.__name__] += 1
        spot.differing += bool(wrong)
        print(f"{number}: {spot} | {damage.__name__} | {wrong or 'same'}", file=sys.stderr, flush=True)
    print("| killed | checkpoint of step | file | damages | resumed from step | end |\n|---|---|---|---|---|---|")
    print(*(spot.line() for spot in spots if spot.damages), sep="\n")
    differing = sum(spot.differing for spot in spots)
    print(f"\n{damages} damages: {differing} differ")
    return differing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--damages", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--every-steps", type=int, default=30, help="steps between checkpoints")
    parser.add_argument("--folder", type=Path, help="folder for the runs (default: a temporary one)")
    given = parser.parse_args()
    settings = [*given.set, f"training.checkpoint.every={{steps: {given.every_steps}}}"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.folder or Path(temporary)).absolute()
        config = given.config.absolute()
        sys.exit(1 if damage_checkpoints(config, settings, given.damages, given.seed, folder) else 0)


if __name__ == "__main__":
    main()
