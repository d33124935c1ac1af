"""Check of the packages that are installed with `ctr`, whose names are common: a user's own file can hide one."""

import os
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGES = {"features": "Encoder", "models": "CTRModel", "optimizers": "Router"}
"""Package -> a name in its `__init__.py`."""


@cache
def check_packages() -> None:
    """Check that Python finds the `features`, `models` and `optimizers` that are installed with `ctr`.

    None of them is imported.

    Raises:
        ImportError: another file has the name of one, or its place.
    """
    for name, content in PACKAGES.items():
        own, found = Path(__file__).parents[1] / name / "__init__.py", _file_of(name) or "none"
        if not own.is_file():
            raise ImportError(f"{own}: no such file, a part of ctr. Install ctr-trainer again.")
        if os.path.realpath(found) != os.path.realpath(own):
            raise ImportError(
                f"{name}: Python finds {found}, but ctr needs its own package of this name. Rename yours, or run `ctr` "
                f"in place of `python -m ctr`, without its folder in PYTHONPATH."
            )
        if content not in own.read_text(encoding="utf-8"):
            raise ImportError(
                f"{own}: not the file of ctr: another distribution has replaced it. Install ctr-trainer again, in an "
                f"environment without that distribution."
            )


def _file_of(name: str) -> str | None:
    """Return the file that Python runs, or has run, when it imports a package."""
    if (module := sys.modules.get(name)) is not None:
        return getattr(module, "__file__", None)
    spec = find_spec(name)
    return spec.origin if spec is not None and spec.has_location else None
