"""One process at a time in a folder."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ctr.errors import ConfigError


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Keep other processes that ask for the same out of a folder, there or to be made, until this one is done with it.

    The lock is a file beside the folder. It goes at the end, with folders above that were made for it and stayed empty;
    of a process that is killed it stays, keeps nobody out, and goes with the next process that is let in.

    Raises:
        ConfigError: another process is in it.
    """
    above = folder.absolute().parents
    made = [path for path in above if not path.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"), blocking=False)
    try:
        with lock:
            try:
                yield
            finally:
                with suppress(OSError):  # on a disk that has turned read-only it stays; it keeps nobody out
                    Path(lock.lock_file).unlink()
    except Timeout as error:
        raise ConfigError(
            f"{folder}: another process is at work in it; wait for its end, or choose another folder"
        ) from error
    finally:
        for path in made:
            with suppress(OSError):  # it holds something, or is gone
                path.rmdir()
