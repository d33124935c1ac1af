"""Damages one byte of a finished run at a time, and sees whether any command says something else without a word.

    PYTHONPATH=. python scripts/damage_run.py CONFIG [--damages 300] [--seed 0] [--set KEY=VALUE] [--folder FOLDER]

Trains the config once and evaluates it once. Then, each time on a fresh copy, another value is put in the place of one
byte, of each file of the folder in turn, and all that reads a finished run reads it: its reports in the terminal and
as HTML, the run side by side with the undamaged one, `ctr evaluate`, `--resume`, a warm start, and what a comparison
reads. A damage is

- noticed, if an error or a warning names the file, and what is said without one is as it was;
- harmless, if everything is as it was: nothing reads that file, or the user may edit it;
- silent, if something differs and nothing names the file, or a traceback ends the command.

Prints a Markdown table of the files; exit code 1 if any damage was silent.
"""

import argparse
import io
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from rich.console import Console

import ctr
from ctr.config.experiment import Experiment, load_experiment
from ctr.config.training import WarmStart
from ctr.errors import ConfigError
from ctr.report import render_html, show_report
from ctr.report.side_by_side import side_by_side, to_markdown
from ctr.runs.run import BEGUN_WITH, LINES, Run
from ctr.training.checkpoint import fingerprint, load_best
from ctr.training.data import empty_encoder
from ctr.training.plan import plan_model
from ctr.training.warm_start import open_parent
from features import DataError, files_of, open_data

MAY_BE_EDITED = ("report.html", "report.md")
EVALUATION = Path("evaluations/day")
OUTCOMES = ("noticed", "harmless", "silent")

Reader: TypeAlias = Callable[[Path, Console], str]
"""Reads a run's folder, and may print; what it found out, as text."""


def shown(run: Path, console: Console) -> str:
    show_report(Run(run).report(), console)
    return ""


def page(run: Path, console: Console) -> str:
    return render_html(run)


def of_evaluation(reader: Reader) -> Reader:
    return lambda run, console: reader(run / EVALUATION, console)


def side_by_side_with_the_undamaged(run: Path, console: Console) -> str:
    good = run.with_name("undamaged")
    return to_markdown(side_by_side([Run(folder) for folder in (good, run, good / EVALUATION, run / EVALUATION)]))


def read_by_a_comparison(run: Path, console: Console) -> str:
    return "".join(Run(run).read_text(name) for name in (*BEGUN_WITH, *LINES) if (run / name).exists())


class Commands:
    """The readers that take the experiment or data.

    Args:
        experiment: of the run.
        data: Parquet that is evaluated.
    """

    def __init__(self, experiment: Experiment, data: str) -> None:
        self.experiment, self.data = experiment, data

    def evaluated(self, run: Path, console: Console) -> str:
        """Report, without clock readings, and scores."""
        out = run.with_name("out")
        shutil.rmtree(out, ignore_errors=True)
        report = ctr.evaluate(run, self.data, out, console=console)
        scores = next((out / "scores").iterdir()).read_bytes()
        return f"{ {name: value for name, value in report.items() if name != 'seconds'} }{scores!r}"

    def resumed(self, run: Path, console: Console) -> str:
        """What is printed."""
        ctr.train(self.experiment, run, resume=True, console=console)
        return ""

    def warm(self, run: Path, console: Console) -> str:
        """The experiment and the weights that another run would begin with."""
        training = self.experiment.training.model_copy(update={"warm_start": WarmStart(run=str(run))})
        experiment = self.experiment.model_copy(update={"training": training})
        parent = open_parent(plan_model(experiment, empty_encoder(experiment)), Run(run.with_name("new")))
        assert parent is not None
        model = parent.plan.build()
        load_best(parent.run, model)
        return f"{parent.plan.experiment.to_yaml()}{fingerprint(model)}"

    def readers(self) -> dict[str, Reader]:
        """All of them, by name."""
        return {
            "report": shown,
            "report.html": page,
            "report of an evaluation": of_evaluation(shown),
            "report.html of an evaluation": of_evaluation(page),
            "side by side": side_by_side_with_the_undamaged,
            "compare": read_by_a_comparison,
            "evaluate": self.evaluated,
            "warm start": self.warm,
            "--resume": self.resumed,
        }


class Told(NamedTuple):
    """What a reader found out, and what it says is wrong."""

    found: str
    error: str


def told(reader: Reader, run: Path) -> Told:
    console = Console(file=io.StringIO(), width=200)
    try:
        found = reader(run, console)
    except (ConfigError, DataError, OSError) as raised:
        return Told("", str(raised))
    except Exception as raised:  # noqa: BLE001 - whatever it is: a traceback names no file
        return Told(f"crashed: {raised!r}", "")
    printed = console.file.getvalue().splitlines()
    warnings = [line for line in printed if line.startswith("warning: ")]
    return Told(f"{found}{[line for line in printed if line not in warnings]}", "\n".join(warnings))


def damage(path: Path, rng: np.random.Generator) -> int:
    """Put another value in the place of a random byte; returns where."""
    content = bytearray(path.read_bytes())
    place = int(rng.integers(len(content)))
    content[place] ^= int(rng.integers(1, 256))
    path.write_bytes(content)
    return place


def outcome(name: str, found: dict[str, tuple[str, str]], before: dict[str, tuple[str, str]]) -> str:
    """How a damage to a file was met, and by what."""
    noticed = [
        reader for reader, (_, error) in found.items() if error != before[reader][1] and Path(name).name in error
    ]
    changed = [reader for reader in found if found[reader] != before[reader] and reader not in noticed]
    if changed:
        return f"silent: {', '.join(changed)}"
    return "noticed" if noticed else "harmless"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--damages", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--folder", type=Path, help="where the run and its copies go; default: one that is deleted")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        sys.exit(1 if damaged(folder, load_experiment(given.config, given.set), given.damages, given.seed) else 0)


def damaged(folder: Path, experiment: Experiment, damages: int, seed: int) -> int:
    """Damage a run of an experiment so often, and print what came of it; returns how many were silent."""
    good, run = folder / "undamaged", folder / "run"
    data = experiment.data
    day = files_of(open_data(data.path or data.test or data.train))[-1].path
    ctr.train(experiment, good)
    ctr.evaluate(good, day, good / EVALUATION)
    readers = Commands(experiment, day).readers()
    shutil.copytree(good, run)
    before = {name: told(reader, run) for name, reader in readers.items()}
    if "" in {one.found for one in before.values()}:
        raise SystemExit(f"the undamaged run cannot be read: {before}")
    names = sorted(str(path.relative_to(good)) for path in good.rglob("*") if path.is_file())
    rng = np.random.default_rng(seed)
    counts = {name: Counter[str]() for name in names}
    for number in range(damages):
        name = names[number % len(names)]
        shutil.rmtree(run)
        shutil.copytree(good, run)
        place = damage(run / name, rng)
        met = outcome(name, {reader: told(read, run) for reader, read in readers.items()}, before)
        counts[name][met.partition(":")[0]] += 1
        if met.startswith("silent"):
            print(f"{name}, byte {place}: {met}", file=sys.stderr, flush=True)
    print(table(counts))
    return sum(found["silent"] for found in counts.values())


def table(counts: dict[str, Counter[str]]) -> str:
    """Files and how many of their damages had which outcome, as Markdown."""
    lines = [f"| file | {' | '.join(OUTCOMES)} |", f"|---|{'---:|' * len(OUTCOMES)}"]
    for name, found in counts.items():
        edited = " (may be edited)" if Path(name).name in MAY_BE_EDITED else ""
        lines.append(f"| `{name}`{edited} | {' | '.join(str(found[one]) for one in OUTCOMES)} |")
    total = Counter[str]()
    for found in counts.values():
        total.update(found)
    return "\n".join([*lines, f"| all {len(counts)} files | {' | '.join(str(total[one]) for one in OUTCOMES)} |"])


if __name__ == "__main__":
    main()
