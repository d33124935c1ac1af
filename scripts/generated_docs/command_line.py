"""The reference of the command line, from the commands themselves."""

import shlex
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from ctr.cli import app
from ctr.jobs import exit_codes
from generated_docs.markdown import escaped, table

PAGE = "reference/cli.md"
EXAMPLES = {
    "init": "ctr init shop/ --label purchased > shop.yaml",
    "train": "ctr train shop.yaml --run runs/short --set training.epochs=3",
    "inspect": "ctr inspect shop.yaml",
    "evaluate": "ctr evaluate runs/shop /data/clicks/dt=2026-02-01",
    "compare": "ctr compare study.yaml --processes 2",
    "replay": "ctr replay runs/shop/diverged/step-1200.parquet",
    "report": "ctr report runs/shop runs/short --out report.md",
    "psi": "ctr psi /data/clicks/dt=2026-01-01 /data/clicks/dt=2026-02-01 --time ts --out runs/drift",
}
"""Command -> an example; each command has one."""
PLACEHOLDERS = {"Path": "PATH", "int": "N", "float": "X", "str": "TEXT"}
"""Type of a value -> how the reference writes it, for options without a placeholder of their own."""


def pages() -> dict[str, str]:
    """Return the page."""
    program = get_command(app)
    commands = program.commands
    names = [[f"[`ctr {name}`](#ctr-{name})", _first_line(command)] for name, command in commands.items()]
    parts = [
        "# Command line",
        "Use this page to look up the arguments, options and exit codes of every `ctr` command.",
        table(["command", "purpose"], names),
        "`ctr COMMAND --help` prints the same text in the terminal.",
        table(["option of `ctr` itself", "meaning"], map(_option, program.params)),
        *(_section(name, command) for name, command in commands.items()),
        "## Exit codes",
        _exit_codes(),
    ]
    return {PAGE: "\n\n".join(parts) + "\n"}


def _exit_codes() -> str:
    """Return the table of the module that defines the exit codes."""
    text = exit_codes.__doc__ or ""
    return text[text.index("| code |") :].strip()


def _section(name: str, command: Any) -> str:
    """Return the section of a command."""
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    usage = shlex.join(["ctr", name, *map(_placeholder, arguments)])
    parts = [
        f"## `ctr {name}`",
        *map(escaped, command.help.split("\n\n")),
        f"```\n{usage} [OPTIONS]\n```",
        f"Example:\n\n```\n{EXAMPLES[name]}\n```",
        table(["argument", "meaning"], [[f"`{_placeholder(one)}`", escaped(one.help)] for one in arguments]),
        table(["option", "meaning"], map(_option, options)),
    ]
    return "\n\n".join(parts)


def _first_line(command: Any) -> str:
    """Return the first paragraph of a command's help."""
    return escaped(command.help.partition("\n\n")[0])


def _placeholder(parameter: Any) -> str:
    """Return the name of a value: `CONFIG` of an argument, `PATH` of an option."""
    if parameter.metavar:
        return parameter.metavar
    return parameter.name.upper() if parameter.param_type_name == "argument" else PLACEHOLDERS[_type(parameter)]


def _type(option: Any) -> str:
    return option.bare_type().removeprefix("list[").removesuffix("]")


def _option(option: Any) -> list[str]:
    """Return the row of an option."""
    value = "" if option.is_flag else f" {_placeholder(option)}"
    return [f"`{', '.join(option.opts)}{value}`", " ".join(_meaning(option))]


def _meaning(option: Any) -> Iterator[str]:
    """Yield the sentences on an option: its help, and what its type adds."""
    yield escaped(option.help)
    if option.min is not None:
        yield f"At least {option.min}."
    if option.multiple and "Repeatable" not in option.help:
        yield "Repeatable."
