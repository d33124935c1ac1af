"""`ctr train --resume` in a process that ends with its parent process: CONFIG RUN TRUSTED PATH [CALLBACK]...

TRUSTED is a comma-separated list of packages, possibly empty. PATH is the `sys.path` of the parent, separated as in
PYTHONPATH. It is appended to this process's own `sys.path`, so modules that the parent can import are available here.

The parent holds the writing end of this process's standard input, which closes when the parent dies by any signal.
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
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read: its lock would outlive the interpreter
    os._exit(1)  # immediately: a killed run resumes from its checkpoint


def _train(config: str, folder: Path, trusted: str, path: str, callbacks: list[str]) -> None:
    sys.path += [entry for entry in path.split(os.pathsep) if entry and entry not in sys.path]
    with exit_codes() as console:
        trust(*filter(None, trusted.split(",")))
        train(load_experiment(config), folder, False, True, lambda: load_callbacks(callbacks, folder), console)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _train(sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:])
