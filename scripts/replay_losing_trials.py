"""Replay recorded trials under the rule of `tuning.stop_losers`, and count the endings that were wrong.

    python scripts/replay_losing_trials.py COMPARISON... [--orders 100] [--seed 1]

COMPARISON is a folder of `ctr compare` whose trials trained to their end. The trials of a variant are replayed in their
own order and in random orders. An ending is wrong if the trial would have been the best trial of its order. The table
has a line per comparison: trials that ended, the share of epochs that they leave out, ended trials that trained further
would have passed their bound, and wrong endings.
"""

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ctr.comparison.losing_trials import FinishedTrial, ending_of
from ctr.comparison.plan import STUDY, PlannedRun, planned_trials
from ctr.comparison.results import load_result
from ctr.comparison.study import list_variants, load_study
from ctr.comparison.trial_decisions import finished_trial
from ctr.metrics.catalog import entry


@dataclass
class Replay:
    """Counts over the replayed orders of one or more variants."""

    trials: int = 0
    ended: int = 0
    exceeded: int = 0
    wrong: int = 0
    epochs: float = 0.0
    left_out: float = 0.0

    def merge(self, other: "Replay") -> "Replay":
        """Add the counts of another replay."""
        for name in ("trials", "ended", "exceeded", "wrong", "epochs", "left_out"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    def line(self, name: str) -> str:
        """Return the counts as a line of a Markdown table."""
        saved = self.left_out / self.epochs if self.epochs else 0.0
        return f"| {name} | {self.trials} | {self.ended} | {saved:.0%} | {self.exceeded} | {self.wrong} |"


def replay(trials: Sequence[FinishedTrial]) -> Replay:
    """Apply the rule to the trials of a variant in the given order."""
    finished: list[FinishedTrial] = []
    counts = Replay()
    best = max(trial.best for trial in trials)
    winner = next(trial for trial in trials if trial.best == best)
    for trial in trials:
        counts.trials += 1
        counts.epochs += trial.curve.epochs[-1]
        ending = ending_of(trial.curve, finished)
        if ending is None:
            finished.append(trial)
            continue
        counts.ended += 1
        counts.left_out += trial.curve.epochs[-1] - ending["epochs"]
        counts.exceeded += trial.best >= entry(trial.curve.metric).better.sign * ending["bound"]
        counts.wrong += trial is winner
    return counts


def trials_of(folder: Path) -> dict[str, list[FinishedTrial]]:
    """Return the finished trials of each variant of a comparison."""
    study = load_study(folder / STUDY)
    runs = planned_trials(study, list_variants(study), folder)
    by_variant: dict[str, list[FinishedTrial]] = {}
    for run in runs:
        if (trial := _finished(run)) is not None:
            by_variant.setdefault(run.variant.name, []).append(trial)
    return by_variant


def _finished(run: PlannedRun) -> FinishedTrial | None:
    result = load_result(run)
    return None if result is None or result.report is None else finished_trial(run, result.report, 0)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("comparisons", type=Path, nargs="+", metavar="COMPARISON")
    parser.add_argument("--orders", type=int, default=100, help="random orders of each variant's trials")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    draw = random.Random(given.seed)  # noqa: S311 - not for secrets
    print("| comparison | trials | ended | epochs saved | bound passed | wrong endings |\n|---|---|---|---|---|---|")
    own, shuffled = Replay(), Replay()
    for folder in given.comparisons:
        here, orders = Replay(), Replay()
        for trials in trials_of(folder).values():
            here.merge(replay(trials))
            for _ in range(given.orders):
                orders.merge(replay(draw.sample(trials, len(trials))))
        print(here.line(folder.name))
        print(orders.line(f"{folder.name}, {given.orders} random orders"))
        own.merge(here)
        shuffled.merge(orders)
    print(own.line("all"))
    print(shuffled.line(f"all, {given.orders} random orders"))


if __name__ == "__main__":
    main()
