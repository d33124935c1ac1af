"""`ctr report`: print the reports of runs, evaluations and comparisons, and rewrite their pages."""

from pathlib import Path

from rich.console import Console

from ctr.console import PLAIN
from ctr.errors import ConfigError
from ctr.jobs.pages import rewrite_pages
from ctr.report import print_report
from ctr.report.comparison import FILE, show_comparison, write_comparison
from ctr.report.side_by_side import check_markdown, print_side_by_side, side_by_side, to_markdown
from ctr.runs.files import write_text
from ctr.runs.run import Run


def report(folders: list[Path], out: Path | None, console: Console, overwrite: bool = False) -> None:
    """Print the report of each folder, and several runs side by side; rewrite each report.html and report.md.

    Args:
        folders: trained runs, evaluations or comparisons.
        out: Markdown file for the runs side by side, or for a copy of report.md of the only one; None: no file.
        console: the console that prints the reports.
        overwrite: replace an existing file `out`.

    Raises:
        ConfigError: some folders have no report, named after the other reports are printed; or `out` is unsuitable or
            exists.
    """
    if out is not None:
        check_markdown(out, overwrite)
        if len(folders) > 1 and (comparisons := [folder for folder in folders if (folder / FILE).is_file()]):
            raise ConfigError(f"--out: {comparisons[0]} is a comparison. Run `ctr report` with this folder only.")
    runs, mistakes = [], []
    for folder in folders:
        if len(folders) > 1:
            console.print(str(folder), style="bold", **PLAIN)
        try:
            if (folder / FILE).is_file():
                show_comparison(folder, console)
                rewrite_pages(folder, console, write_comparison)
            else:
                runs.append(_print_report(folder, console))
        except ConfigError as error:
            mistakes.append(str(error) if str(folder) in str(error) else f"{folder}: {error}")
    sections = []
    try:
        sections = side_by_side(runs) if len(runs) > 1 else []
    except ConfigError as error:
        mistakes.append(str(error))
    if sections:
        print_side_by_side(sections, console)
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    if out is not None:
        folder = runs[0].folder if runs else folders[0]
        write_text(out, to_markdown(sections) if sections else (folder / "report.md").read_text("utf-8"))
        console.print(f"writing {out}", **PLAIN)


def _print_report(folder: Path, console: Console) -> Run:
    """Print the report of a run or an evaluation, and rewrite its pages."""
    print_report(Run(folder).report(), console)
    rewrite_pages(folder, console)
    return Run(folder)
