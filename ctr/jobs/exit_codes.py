"""Exit codes of the commands.

| code | meaning |
|---|---|
| 0 | success |
| 1 | a bug in ctr, with a traceback |
| 2 | invalid input: a config, data, an option, the disk or the memory |
| 3 | training diverged: loss, gradients or scores are not finite |
| 75 | training interrupted by SIGTERM or SIGINT (Ctrl-C), after a checkpoint was saved; `--resume` continues |
| 130 | stopped with Ctrl-C before training, or in a command that does not train |
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from rich.console import Console

from ctr.console import SafeConsole, strip_control_characters
from ctr.errors import ConfigError, Diverged, Interrupted
from features.errors import DataError

INVALID_INPUT, CTRL_C = 2, 130


@contextmanager
def exit_codes() -> Iterator[Console]:
    """Yield the console of a command, and turn errors in the input into one message and an exit code."""
    try:
        yield SafeConsole()
    except (ConfigError, DataError, OSError) as error:
        _end(INVALID_INPUT, "\n".join([f"error: {error}", *getattr(error, "__notes__", [])]), error)
    except MemoryError as error:
        _end(
            INVALID_INPUT,
            f"error: out of memory: {error}. Use a machine with more memory, or make the model or the batch smaller.",
            error,
        )
    except KeyboardInterrupt as error:
        _end(CTRL_C, "interrupted", error)
    except Interrupted as error:
        _end(error.exit_code, f"interrupted: {error}", error)
    except Diverged as error:
        _end(error.exit_code, f"diverged: {error}", error)


def _end(code: int, message: str, error: BaseException) -> NoReturn:
    print(strip_control_characters(message), file=sys.stderr)
    raise SystemExit(code) from error
