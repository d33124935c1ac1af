"""How a command ends: 0 done, 1 a bug, 2 the user's mistake, 3 training diverged, 75 interrupted: `--resume`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from rich.console import Console

from ctr.console import SafeConsole, strip_control_characters
from ctr.errors import ConfigError, Diverged, Interrupted
from features.errors import DataError

MISTAKE, CTRL_C = 2, 130


@contextmanager
def exit_codes() -> Iterator[Console]:
    """A console to run a command with: one clear message instead of a traceback, where the mistake is the user's."""
    try:
        yield SafeConsole()
    except (ConfigError, DataError, OSError) as error:
        _end(MISTAKE, "\n".join([f"error: {error}", *getattr(error, "__notes__", [])]), error)
    except MemoryError as error:
        _end(MISTAKE, f"error: memory is not enough: {error}", error)
    except KeyboardInterrupt as error:
        _end(CTRL_C, "interrupted", error)
    except Interrupted as error:
        _end(error.exit_code, f"interrupted: {error}", error)
    except Diverged as error:
        _end(error.exit_code, f"diverged: {error}", error)


def _end(code: int, message: str, error: BaseException) -> NoReturn:
    print(strip_control_characters(message), file=sys.stderr)
    raise SystemExit(code) from error
