"""Run the commands of Markdown pages as a reader would, and compare what they print with what the pages show.

    python scripts/run_pages.py [--update] [PAGE ...]

Without pages: `README.md`, the tutorials, and the guides that are notebooks or have `console` blocks. A page is run
from top to bottom in a new copy of the project:

* a `yaml` or `python` block with `title="FILE"` writes FILE;
* a `console` block holds commands, each after `$ `, and below each the output that the page shows. A line `...`
  represents the lines between the first and the last ones;
* a page with jupytext's front matter is a notebook: its `python` blocks are cells, and a `text` block right below a
  cell shows its output.

Text has to be the same. Metrics, which are numbers below 1 with three decimals or more, may differ by TOLERANCE; other
numbers, such as times and rates, may differ freely. Below the comment `<!-- output varies -->`, a block is run and
updated, but not compared: another kind of CPU rounds differently, which can turn a verdict around. `--update` writes
the real output into the pages.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import jupytext
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
TOLERANCE = 0.02  # other CPUs round differently, so that the last digits of results differ
SECONDS = 900
NOTEBOOK = "---\njupyter:"
VARIES = "<!-- output varies -->"
CELL = re.compile(r"(^```python\n.*?^```\n)(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE)
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"[+-]?(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?")


@dataclass(frozen=True)
class Command:
    """A command of a page.

    Args:
        text: shell command, without the prompt.
        shown: lines of output that the page shows.
    """

    text: str
    shown: list[str]

    def block(self) -> str:
        """Return the text of the command and its output in a `console` block."""
        return "\n".join([f"$ {self.text}", *self.shown]) + "\n"


Run = Callable[[str], str]
"""A function that runs a shell command and returns its output."""


def default_pages() -> list[Path]:
    """Return the pages whose commands always work."""
    guides = [page for page in sorted((ROOT / "docs" / "how-to").glob("*.md")) if is_run(page.read_text())]
    return [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorials").glob("*.md")), *guides]


def is_run(text: str) -> bool:
    """Return True if a guide is a notebook or has `console` blocks."""
    return text.startswith(NOTEBOOK) or "```console" in text


def commands_of(block: str) -> list[Command]:
    r"""Return the commands of a `console` block.

    >>> commands_of("$ echo a\na\n$ true\n")
    [Command(text='echo a', shown=['a']), Command(text='true', shown=[])]
    """
    commands: list[Command] = []
    continued = False
    for line in block.splitlines():
        if continued:
            commands[-1] = Command(f"{commands[-1].text}\n{line}", [])
        elif line.startswith("$ "):
            commands.append(Command(line[2:], []))
        else:
            commands[-1].shown.append(line)
        continued = (line.startswith("$ ") or continued) and line.endswith("\\")
    return commands


def excerpt(shown: list[str], real: list[str]) -> list[str]:
    """Return the lines of an output that a page shows: as many before and after its `...` line as now.

    >>> excerpt(["old", "...", "last"], ["first", "second", "third"])
    ['first', '...', 'third']
    """
    if "..." not in shown:
        return real
    at = shown.index("...")
    tail = len(shown) - at - 1
    return [*real[:at], "...", *real[len(real) - tail :]]


def is_same(shown: str, real: str) -> bool:
    """Return True if two lines have the same words and nearly the same metrics.

    >>> is_same("AUC 0.80861  8.4 s", "AUC 0.80859 12.9 s"), is_same("AUC 0.80861", "AUC 0.70861")
    (True, False)
    """
    if _words(shown) != _words(real):
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(real), strict=True)
    return all(abs(float(a) - float(b)) <= TOLERANCE for a, b in pairs if _is_metric(a) and _is_metric(b))


def _words(line: str) -> str:
    """Return a line with numbers and units of bytes masked, and columns and rules of any width."""
    masked = re.sub(r"# [KMG]iB", "# B", NUMBER.sub("#", line))
    return re.sub(r"([-─━═])\1+", r"\1", " ".join(masked.split()))


def _is_metric(number: str) -> bool:
    return bool(re.fullmatch(r"[+-]?0\.\d{3,}", number))


def run_console(text: str, run: Run, folder: Path) -> tuple[str, list[str]]:
    """Run the `console` blocks of a page in `folder`; see `run_page`."""
    differences: list[str] = []

    def ran(match: re.Match[str]) -> str:
        language, options, block = match.groups()
        if title := re.search(r'title="([^"]+)"', options):
            (folder / title[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / title[1]).write_text(block)
        if language != "console":
            return match[0]
        varies = text[: match.start()].rstrip().endswith(VARIES)
        updated = []
        for command in commands_of(block):
            real = excerpt(command.shown, [line.rstrip() for line in run(command.text).splitlines()])
            if not varies:
                differences.extend(_differences(f"$ {command.text}", command.shown, real))
            updated.append(Command(command.text, real).block())
        return f"```{language}{options}\n{''.join(updated)}```"

    return FENCE.sub(ran, text), differences


def run_notebook(text: str, folder: Path) -> tuple[str, list[str]]:
    """Run a page that is a notebook in `folder`; see `run_page`."""
    notebook = jupytext.reads(text, "md")
    client = NotebookClient(notebook, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": folder}})
    client.execute(env=environment() | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    outputs = iter([_printed(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"])
    differences: list[str] = []

    def ran(match: re.Match[str]) -> str:
        real, cell, block = next(outputs), match[1], match[2]
        if block is None:
            return match[0]
        shown = block.splitlines()
        real = excerpt(shown, real)
        differences.extend(_differences(cell, shown, real))
        return f"{cell}\n```text\n" + "".join(f"{line}\n" for line in real) + "```\n"

    return CELL.sub(ran, text), differences


def _printed(outputs: list[Any]) -> list[str]:
    """Return the lines that a cell prints to stdout and those of its last value."""
    shown = [output for output in outputs if output.get("name") != "stderr"]
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in shown]
    return [line.rstrip() for text in texts for line in text.splitlines()]


def _differences(title: str, shown: list[str], real: list[str]) -> list[str]:
    return [
        f"{title}\n  shown: {line}\n  real:  {other}"
        for line, other in zip_longest(shown, real, fillvalue="(no line)")
        if not is_same(line, other)
    ]


def run_page(text: str, folder: Path) -> tuple[str, list[str]]:
    """Run a page in `folder`.

    Returns:
        The page with its real output, and a description of each difference.
    """
    if text.startswith(NOTEBOOK):
        return run_notebook(text, folder)
    return run_console(text, bash_in(folder), folder)


def make_copy(folder: Path) -> None:
    """Link the project into a folder, where commands can write `data/`, `runs/` and `comparisons/` of their own."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    tracked = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    for name in {Path(path).parts[0] for path in tracked} - {"scripts", ".venv"}:
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "scripts").mkdir()
    for path in (ROOT / "scripts").iterdir():
        (folder / "scripts" / path.name).symlink_to(path)
    (folder / "scripts" / "install").unlink()  # installed already, perhaps with other extras
    (folder / "scripts" / "install").symlink_to("/bin/true")


def environment() -> dict[str, str]:
    """Return the environment of commands: the programs of this Python first, plain output of 100 columns."""
    path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}


def bash_in(folder: Path) -> Run:
    """Return a function that runs a command in `folder`."""

    def run(command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command], cwd=folder, env=environment(), timeout=SECONDS,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        return done.stdout

    return run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "pages",
        nargs="*",
        type=Path,
        help="Markdown files; default: as above",
    )
    parser.add_argument("--update", action="store_true", help="write the real output into the pages")
    arguments = parser.parse_args()
    failed = False
    for page in arguments.pages or default_pages():
        with tempfile.TemporaryDirectory() as name:
            make_copy(Path(name))
            text, differences = run_page(page.read_text(), Path(name))
        if arguments.update:
            page.write_text(text)
        print(f"{page}: {len(differences)} differences", *differences, sep="\n")
        failed |= bool(differences) and not arguments.update
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
