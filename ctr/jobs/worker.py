"""`ctr train --resume` in a process that ends with its parent process: CONFIG RUN TRUSTED PATH MODEL [CALLBACK]...

MODEL is empty, or the name of a classical model to fit instead. TRUSTED is a comma-separated list of packages,
possibly empty. PATH is the `sys.path` of the parent, separated as in PYTHONPATH. It is appended to this process's own
`sys.path`, so modules that the parent can import are available here.

The parent holds the writing end of this process's standard input, which closes when the parent dies by any signal.
"""

import os
import sys
import threading
from pathlib import Path

from pydantic import TypeAdapter

from ctr.config.experiment import load_experiment
from ctr.config.user_code import trust
from ctr.jobs.classical import train_classical
from ctr.jobs.exit_codes import exit_codes
from ctr.jobs.train import train
from ctr.schema.classical import ClassicalModel
from ctr.training.callbacks import load_callbacks


def _end_with_parent() -> None:
    os.read(sys.stdin.fileno(), 1)  # not sys.stdin.read: its lock would outlive the interpreter
    os._exit(1)  # immediately: a killed run resumes from its checkpoint


def _train(config: str, folder: Path, trusted: str, path: str, model: str, callbacks: list[str]) -> None:
    sys.path += [entry for entry in path.split(os.pathsep) if entry and entry not in sys.path]
    with exit_codes() as console:
        trust(*filter(None, trusted.split(",")))
        experiment = load_experiment(config)
        if model:
            train_classical(TypeAdapter(ClassicalModel).validate_python(model), experiment, folder, console)
        else:
            train(experiment, folder, False, True, lambda: load_callbacks(callbacks, folder), console)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _, config_, folder_, trusted_, path_, model_, *callbacks_ = sys.argv
    _train(config_, Path(folder_), trusted_, path_, model_, callbacks_)
