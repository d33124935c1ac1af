"""`ctr` in a process that ends with the one that started it: arguments are those of `ctr`.

The other process holds the writing end of this one's standard input, so that its death, by whatever signal, closes it.
"""

import os
import sys
import threading

from ctr.cli import app


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # by itself: a lock of Python's would outlive the interpreter
    os._exit(1)  # at once: a run that is killed goes on from its checkpoint


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    app()
