"""Contents of environment.json: the versions and the commit of a run."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = ("tensorflow", "tf-keras", "tensorflow-recommenders", "numpy", "pandas", "pyarrow", "scipy", "pydantic")


def environment(*optional: str) -> dict[str, Any]:
    """Return the versions of Python and of the packages that determine results, and the git commit.

    Args:
        optional: names of optional packages that determine results, too.
    """
    versions = {name: version_of(name) for name in (*PACKAGES, *optional)}
    return {"python": platform.python_version(), "packages": versions, "git_commit": _git_commit()}


def version_of(package: str) -> str:
    """Return the version of an installed package."""
    return importlib.metadata.version(package)


def _git_commit() -> str | None:
    """Return the commit of the checkout that this package is imported from; None without one."""
    package = Path(__file__).parent
    try:
        process = subprocess.run(["git", "rev-parse", "HEAD"], cwd=package, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return process.stdout.strip() if process.returncode == 0 else None
