"""`ctr train --resume` in a process that ends with the one that started it: CONFIG RUN TRUSTED PATH [CALLBACK]...

TRUSTED names packages, divided by commas; it may be empty. PATH is the other process's `sys.path`, divided as
PYTHONPATH is: what it could import, this one can, after what it has itself.

The other process holds the writing end of this one's standard input, so that its death, by whatever signal, closes it.
"""

import os
import sys
import threading
from pathlib import Path

from ctr.config.experiment import load_experiment
from ctr.config.user_code import trust
from ctr.jobs.exit_codes import exit_codes
from ctr.jobs.train import train
from ctr.training.callbacks import load_callbacks


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # by itself: a lock of Python's would outlive the interpreter
    os._exit(1)  # at once: a run that is killed goes on from its checkpoint


def _train(config: str, folder: Path, trusted: str, path: str, callbacks: list[str]) -> None:
    sys.path += [place for place in path.split(os.pathsep) if place and place not in sys.path]
    with exit_codes() as console:
        trust(*filter(None, trusted.split(",")))
        train(load_experiment(config), folder, False, True, lambda: load_callbacks(callbacks, folder), console)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _train(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:])
