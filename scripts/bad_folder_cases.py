"""Commands that get another folder or file than they need, or options and arguments of another command."""

import shutil
from pathlib import Path

from breakable_experiment import EVALUATE, PART, RUN, Case, command, table


def write_items() -> None:
    """Put a table of items next to the log."""
    Path("items").mkdir()
    table({"item": ["a"], "name": ["b"], "maker": ["c"]})(Path("items/items.parquet"))


def save_a_step() -> None:
    """Put a file where `ctr train` saves the step at which training diverged."""
    (RUN / "diverged").mkdir()
    shutil.copy(PART, RUN / "diverged/step-000000001.parquet")


FOLDERS: list[Case] = [
    command("a config for two datasets", "init clicks items", "items: has other columns", damage=write_items),
    command("report of a folder of runs", "report runs", "runs: no run in this folder", "Choose runs/tiny"),
    command("report of a report.json", "report runs/tiny/report.json", "a file, expected a folder", "Use runs/tiny"),
    command(
        "report into an existing file",
        "report runs/tiny --out README.md",
        "README.md already exists",
        "--overwrite",
        damage=lambda: Path("README.md").write_text("# Shop\n"),
    ),
    command("report into a folder without rights", "report runs/tiny --out /proc/new.md", "/proc is not a writable"),
    command("a run folder without rights", "train config.yaml --run /proc/new", "/proc/new", "not a writable folder"),
    command("replay of a run that did not diverge", "replay runs/tiny", "runs/tiny: a folder", "diverged"),
    command(
        "replay of a run that diverged",
        "replay runs/tiny",
        "runs/tiny: a folder",
        "Use runs/tiny/diverged/step-000000001.parquet",
        damage=save_a_step,
    ),
    command("evaluating two datasets", f"{EVALUATE} clicks", "clicks: unexpected argument", "quote a glob"),
    command("evaluating with a setting", f"{EVALUATE} --set seed=2", "--set: `ctr evaluate` does not read a config"),
    command("psi of three datasets", "psi clicks clicks clicks", "unexpected argument of `ctr psi`", "quote a glob"),
    command("inspecting two configs", "inspect config.yaml config.yaml", "unexpected argument of `ctr inspect`"),
]
