"""Damage one byte of a finished run at a time, and check that no command gives a different result silently.

    PYTHONPATH=. python scripts/damage_run.py CONFIG [--damages 300] [--seed 0] [--set KEY=VALUE] [--folder FOLDER]

Trains and evaluates the config once. Then one byte changes in a fresh copy of the folder, in each file in turn, and
every reader of a finished run reads the copy: the reports in the terminal and as HTML, the run side by side with the
undamaged one, `ctr evaluate`, `--resume`, a warm start, and a comparison. A damage is

- noticed, if an error or a warning names the file, and readers without a warning give the same result as before;
- harmless, if every result is the same as before: nothing reads that file, or users can edit it;
- silent, if a result differs and no message names the file, or a command ends with a traceback.

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
from ctr.report import print_report, render_html
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
"""Function that reads a run's folder, can print, and returns its result as text."""


def shown(run: Path, console: Console) -> str:
    """Print the report in the terminal."""
    print_report(Run(run).report(), console)
    return ""


def page(run: Path, console: Console) -> str:
    """Return the report as HTML."""
    return render_html(run)


def of_evaluation(reader: Reader) -> Reader:
    """Return a reader of the evaluation in the run's folder."""
    return lambda run, console: reader(run / EVALUATION, console)


def side_by_side_with_the_undamaged(run: Path, console: Console) -> str:
    """Return the run and its evaluation side by side with the undamaged ones, as Markdown."""
    good = run.with_name("undamaged")
    return to_markdown(side_by_side([Run(folder) for folder in (good, run, good / EVALUATION, run / EVALUATION)]))


def read_by_a_comparison(run: Path, console: Console) -> str:
    """Return the contents of the files that a comparison reads."""
    return "".join(Run(run).read_text(name) for name in (*BEGUN_WITH, *LINES) if (run / name).exists())


class Commands:
    """Readers that need the experiment or data.

    Args:
        experiment: experiment of the run.
        data: Parquet to evaluate.
    """

    def __init__(self, experiment: Experiment, data: str) -> None:
        self.experiment, self.data = experiment, data

    def evaluated(self, run: Path, console: Console) -> str:
        """Return the report, without durations, and the scores."""
        out = run.with_name("out")
        shutil.rmtree(out, ignore_errors=True)
        report = ctr.evaluate(run, self.data, out, console=console)
        scores = next((out / "scores").iterdir()).read_bytes()
        return f"{ {name: value for name, value in report.items() if name != 'seconds'} }{scores!r}"

    def resumed(self, run: Path, console: Console) -> str:
        """Resume the run, which prints its report."""
        ctr.train(self.experiment, run, resume=True, console=console)
        return ""

    def warm(self, run: Path, console: Console) -> str:
        """Return the experiment and the weights that a warm start would use."""
        training = self.experiment.training.model_copy(update={"warm_start": WarmStart(run=str(run))})
        experiment = self.experiment.model_copy(update={"training": training})
        parent = open_parent(plan_model(experiment, empty_encoder(experiment)), Run(run.with_name("new")))
        assert parent is not None
        model = parent.plan.build()
        load_best(parent.run, model)
        return f"{parent.plan.experiment.to_yaml()}{fingerprint(model)}"

    def readers(self) -> dict[str, Reader]:
        """Return all readers by name."""
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


class Reading(NamedTuple):
    """Result of a reader, and its errors and warnings."""

    found: str
    error: str


def read_run(reader: Reader, run: Path) -> Reading:
    """Return the result of a reader, with errors and warnings separated."""
    console = Console(file=io.StringIO(), width=200)
    try:
        found = reader(run, console)
    except (ConfigError, DataError, OSError) as raised:
        return Reading("", str(raised))
    except Exception as raised:  # noqa: BLE001 - any other exception is a crash
        return Reading(f"crashed: {raised!r}", "")
    printed = console.file.getvalue().splitlines()
    warnings = [line for line in printed if line.startswith("warning: ")]
    return Reading(f"{found}{[line for line in printed if line not in warnings]}", "\n".join(warnings))


def damage(path: Path, rng: np.random.Generator) -> int:
    """Change a random byte to another value and return its position."""
    content = bytearray(path.read_bytes())
    place = int(rng.integers(len(content)))
    content[place] ^= int(rng.integers(1, 256))
    path.write_bytes(content)
    return place


def outcome(name: str, found: dict[str, tuple[str, str]], before: dict[str, tuple[str, str]]) -> str:
    """Return the outcome of a damage to a file, with the readers that were silent."""
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
    parser.add_argument("--folder", type=Path, help="folder for the run and its copies (default: a temporary one)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        sys.exit(1 if damaged(folder, load_experiment(given.config, given.set), given.damages, given.seed) else 0)


def damaged(folder: Path, experiment: Experiment, damages: int, seed: int) -> int:
    """Damage a run of an experiment `damages` times, print the table, and return how many were silent."""
    good, run = folder / "undamaged", folder / "run"
    data = experiment.data
    day = files_of(open_data(data.path or data.test or data.train))[-1].path
    ctr.train(experiment, good)
    ctr.evaluate(good, day, good / EVALUATION)
    readers = Commands(experiment, day).readers()
    shutil.copytree(good, run)
    before = {name: read_run(reader, run) for name, reader in readers.items()}
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
        met = outcome(name, {reader: read_run(read, run) for reader, read in readers.items()}, before)
        counts[name][met.partition(":")[0]] += 1
        if met.startswith("silent"):
            print(f"{name}, byte {place}: {met}", file=sys.stderr, flush=True)
    print(table(counts))
    return sum(found["silent"] for found in counts.values())


def table(counts: dict[str, Counter[str]]) -> str:
    """Return the number of damages by file and outcome, as Markdown."""
    lines = [f"| file | {' | '.join(OUTCOMES)} |", f"|---|{'---:|' * len(OUTCOMES)}"]
    for name, found in counts.items():
        edited = " (users can edit it)" if Path(name).name in MAY_BE_EDITED else ""
        lines.append(f"| `{name}`{edited} | {' | '.join(str(found[one]) for one in OUTCOMES)} |")
    total = Counter[str]()
    for found in counts.values():
        total.update(found)
    return "\n".join([*lines, f"| all {len(counts)} files | {' | '.join(str(total[one]) for one in OUTCOMES)} |"])


if __name__ == "__main__":
    main()
