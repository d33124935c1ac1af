"""What the machine has left: memory, disk."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

FILES = {  # of a control group: its bound, what it uses, and where what it uses is divided
    "v1": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    "v2": ("memory.max", "memory.current", ""),
}


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process may still take, swap left out: of the machine's, and of every control group's it is in.

    Memory that only caches files counts as free. None where the system does not say, which only Linux does.

    Args:
        root: of the file system.
    """
    try:
        machine = _numbers(root / "proc/meminfo")["MemAvailable:"] * 1024
    except (OSError, KeyError):
        return None
    return min([machine, *_left_in_groups(root)])


class OwnMemory(NamedTuple):
    """Bytes of memory of this process."""

    now: int
    peak: int
    private: int
    """The part of `now` that is not backed by mapped files, such as shared libraries."""


def own_memory(root: Path = Path("/")) -> OwnMemory:
    """Return the memory that this process has; 0 where the system does not say.

    Arrow gives back what it keeps unused first.
    """
    pa.default_memory_pool().release_unused()
    try:
        status = _numbers(root / "proc/self/status")
        return OwnMemory(*(1024 * status[key] for key in ("VmRSS:", "VmHWM:", "RssAnon:")))
    except (OSError, KeyError):
        return OwnMemory(0, 0, 0)


def free_disk(folder: Path) -> int:
    """Bytes that may still be written into a folder, which need not exist yet."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free


def _left_in_groups(root: Path) -> Iterator[int]:
    """What each memory control group above this process has left; a container may see its own as the topmost."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        version = "v1" if controllers else "v2"
        top = root / "sys/fs/cgroup" / controllers
        group = top / path.strip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(top):
                yield from _left(folder, *FILES[version])


def _left(folder: Path, bound: str, used: str, prefix: str) -> Iterator[int]:
    """What one group has left; nothing where it has no bound, or its files are not to be seen."""
    try:
        limit, usage = (folder / bound).read_text().strip(), int((folder / used).read_text())
        divided = _numbers(folder / "memory.stat")
    except (OSError, ValueError):
        return
    if limit != "max":
        files = divided.get(f"{prefix}inactive_file", 0) + divided.get(f"{prefix}active_file", 0)
        yield max(int(limit) - usage + files, 0)


def _numbers(path: Path) -> dict[str, int]:
    """The first two words of each line of a file: a name, and its number."""
    words = [line.split() for line in path.read_text().splitlines()]
    return {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdecimal()}
