"""Lock of a folder: one process at a time."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ctr.errors import ConfigError
from ctr.runs.files import check_writable


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Lock a folder, which need not exist, against other processes that lock it.

    The lock is a file next to the folder. It is deleted at the end, with parent folders that were created for it and
    stayed empty. The lock file of a killed process remains without effect until the next process deletes it.

    Raises:
        ConfigError: another process has locked the folder, or its parent folder cannot be written.
    """
    above = folder.absolute().parents
    created = [path for path in above if not path.exists()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(f".{folder.name}.lock"), blocking=False)
    try:
        with lock:
            try:
                yield
            finally:
                with suppress(OSError):  # on a disk that became read-only it remains, without effect
                    Path(lock.lock_file).unlink()
    except Timeout as error:
        check_writable(folder.parent)  # filelock waits for a file that it cannot create, too
        raise ConfigError(
            f"{folder}: another process is using this folder. Wait until it ends, or choose another folder."
        ) from error
    finally:
        for path in created:
            with suppress(OSError):  # not empty, or already deleted
                path.rmdir()
