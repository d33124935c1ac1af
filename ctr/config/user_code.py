"""User code that a config or an option names as MODULE:NAME: trust it, import it, check it, hash it."""

import hashlib
import re
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from ctr.errors import ConfigError

INSTALL = "Install the package, or correct the name."
PROJECT = ("ctr", "features", "models", "optimizers")
IDENTIFIER = r"[A-Za-z_]\w*"
MODULE = re.compile(rf"{IDENTIFIER}(\.{IDENTIFIER})*", re.ASCII)
NAME = re.compile(rf"({MODULE.pattern}):{IDENTIFIER}", re.ASCII)

_trusted: set[str] = set()


def trust(*packages: str) -> None:
    """Allow configs and run folders to name code of these packages, in this process from now on.

    It imports nothing. Without it, a config or a run folder runs no code except the project's.

    Args:
        packages: dotted names, such as `my_package`; their submodules are included.

    Raises:
        ConfigError: not a dotted name, or a package of the project or of Python itself.
    """
    for package in packages:
        if not MODULE.fullmatch(package):
            raise ConfigError(f"--trust: must be a package such as my_package. Received: {package!r}")
        if reason := _why_refused(package):
            raise ConfigError(f"--trust: {package!r} {reason}")
    _trusted.update(packages)


def trust_installed(*packages: str) -> None:
    """Trust packages that exist, as `trust`. A name that is wrong would otherwise be found late, or never.

    Raises:
        ConfigError: as `trust`, or no such package is installed or in the working directory.
    """
    trust(*packages)
    places = [*sys.path, str(Path.cwd())]
    for package in packages:
        name = package.partition(".")[0]
        if name not in sys.modules and PathFinder.find_spec(name, places) is None:
            raise ConfigError(f"--trust: no package {name!r} is installed or in {Path.cwd()}. {INSTALL}")


def trusted_packages() -> list[str]:
    """Return the packages that `trust` allowed, for a process that this one starts."""
    return sorted(_trusted)


def is_user_code(name: Any) -> bool:
    """Return True if a `type` is meant as MODULE:NAME, not as a registered name."""
    return isinstance(name, str) and ":" in name


def import_name(name: str) -> Any:
    """Import NAME of MODULE, which may lie in the working directory.

    Args:
        name: `MODULE:NAME`, from the command line or trusted.

    Raises:
        ConfigError: no such module or name, or the module fails while it is imported.
    """
    module, _, target = name.partition(":")
    if not (module and target):
        raise ConfigError(f"must be MODULE:NAME. Received: {name!r}")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # not removed: imported code can import more when it is used
    try:
        return getattr(import_module(module), target)
    except (ImportError, AttributeError) as error:
        package = module.partition(".")[0]
        advice = f"Rename your package: {package!r} belongs to ctr itself." if package in PROJECT else INSTALL
        raise ConfigError(f"cannot import it: {error}. {advice}") from error
    except (Exception, SystemExit) as error:  # user code can raise anything
        raise ConfigError(f"cannot import it: {type(error).__name__}: {error}. {INSTALL}") from error


def import_class(name: str, base: type) -> type:
    """Import a trusted class, and check it before anything calls it.

    Args:
        name: `MODULE:NAME` in a config.
        base: the required base class.

    Raises:
        ConfigError: the name is malformed, belongs to the project or Python, is not trusted or not found, or its class
            is not derived from `base` or lacks a method that subclasses must define.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise ConfigError(f"{name!r} is not a name of code. Use MODULE:NAME, such as my_package.towers:TwoTower.")
    module = match[1]
    if reason := _why_refused(module):
        raise ConfigError(f"{name!r} {reason}")
    if not any(f"{module}.".startswith(f"{package}.") for package in _trusted):
        package = module.partition(".")[0]
        raise ConfigError(
            f"{name!r} is code outside the project, which runs only if you trust it. "
            f'Add --trust {package}, or in Python ctr.trust("{package}").'
        )
    try:
        class_ = import_name(name)
    except ConfigError as error:
        raise ConfigError(f"{name!r}: {error}") from error
    is_derived = isinstance(class_, type) and issubclass(class_, base)
    if not is_derived:
        parent = f"{base.__module__.partition('.')[0]}.{base.__name__}"
        raise ConfigError(f"{name!r} must be a class derived from {parent}.")
    if missing := [
        method for method in getattr(base, "to_define", ()) if getattr(class_, method) is getattr(base, method)
    ]:
        raise ConfigError(f"{name!r} must define {missing[0]!r}.")
    source_sum(class_)  # hashed now, because the file may be edited while this process runs
    return class_


@cache
def source_sum(class_: Callable[..., Any]) -> str:
    """Return the SHA-256 of the file that a class was imported from, at the time of the first call.

    Raises:
        ConfigError: the class is in no file, such as a class of a notebook.
    """
    file = getattr(sys.modules.get(class_.__module__), "__file__", None)
    try:
        with open(str(file), "rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(
            f"{class_.__module__}:{class_.__qualname__} has no source file to record in the run. Put it in a module."
        ) from error


def _why_refused(module: str) -> str | None:
    """Return why a module cannot be user code; None if it can."""
    package = module.partition(".")[0]
    if package in PROJECT:
        return "belongs to ctr itself. Use a registered name, or rename your package."
    if package in sys.stdlib_module_names or package == "__main__":
        return "is not a package of yours. Put the class in a module."
    return None
