"""The catalog of error messages, a page that `scripts/bad_inputs.py --markdown` writes.

The messages come from running every case, so the page is not among `GENERATORS`. tests/test_bad_inputs.py compares it.
"""

import re
from collections.abc import Sequence
from itertools import groupby

from breakable_experiment import Case

from generated_docs.markdown import table

PAGE = "reference/error-catalog.md"
MAX_CHARACTERS = 200  # of a message
TITLES = {
    "files": "Files",
    "schemas": "Columns and their types",
    "values": "Values",
    "configs": "Experiment configs",
    "commands": "Commands and folders",
    "studies": "Studies",
}
"""Kind of a case -> heading."""
INTRODUCTION = """\
# Error catalog

Use this page to find the cause of an error message. Search it for a part of the message without file names and numbers.

A message names the place first, then the problem with the value, then what to do. The page shows the first line of each
message, up to 200 characters, without amounts of memory. `scripts/bad_inputs.py --markdown` writes it."""


def page(messages: Sequence[tuple[Case, str]]) -> str:
    """Return the page of the messages of all cases, which are in the order of their kinds."""
    parts = [INTRODUCTION]
    for kind, cases in groupby(messages, key=lambda item: item[0].kind):
        rows = [[case.what, f"`{first_line(message)}`"] for case, message in cases]
        parts += [f"## {TITLES[kind]}", table(["input", "message"], rows)]
    return "\n\n".join(parts) + "\n"


def row(case: Case, message: str) -> str:
    """Return the line of a case."""
    return table([], [[case.what, f"`{first_line(message)}`"]]).splitlines()[-1]


def first_line(message: str) -> str:
    r"""Return the first line of a message as code of a table, cut to MAX_CHARACTERS; sizes of memory are left out.

    Of a message in a frame, which an unknown option has, the text in the frame counts.

    >>> first_line("error: memory: the run needs 9.1 GiB, but 3.2 GiB is free. Use less.\nMore.")
    'memory: the run needs ... GiB, but ... GiB is free. Use less.'
    >>> first_line("Usage: ctr\n╭─ Error ───────╮\n│ No option     │\n╰───────────────╯")
    'No option'
    """
    framed = " ".join(re.findall(r"^│ (.*?) *│$", message, flags=re.MULTILINE))
    line = framed or (message.splitlines() or [""])[0].removeprefix("error: ")
    line = re.sub(r"[\d.,]+ [KMGT]iB", "... GiB", line)  # differs from machine to machine
    text = line if len(line) <= MAX_CHARACTERS else f"{line[:MAX_CHARACTERS].rstrip()} ..."
    printable = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return printable.replace("|", "\\|").replace("`", "'")
