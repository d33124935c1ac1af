"""Free memory and disk space of the machine."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

FILES = {  # of a control group: files with its limit and its usage, and the prefix of keys in memory.stat
    "v1": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
    "v2": ("memory.max", "memory.current", ""),
}


def free_memory(root: Path = Path("/")) -> int | None:
    """Return the bytes of memory that this process can still allocate, within the machine and its control groups.

    Swap is not counted. Memory that only caches files counts as free. None on systems other than Linux.

    Args:
        root: root of the file system.
    """
    try:
        machine = _numbers(root / "proc/meminfo")["MemAvailable:"] * 1024
    except (OSError, KeyError):
        return None
    return min([machine, *_left_in_groups(root)])


class OwnMemory(NamedTuple):
    """Memory of this process in bytes."""

    current: int
    peak: int
    private: int
    """Bytes of `current` without mapped files, such as shared libraries."""


def own_memory(root: Path = Path("/")) -> OwnMemory:
    """Return the memory of this process, after Arrow has released unused memory; 0 on systems other than Linux."""
    pa.default_memory_pool().release_unused()
    try:
        status = _numbers(root / "proc/self/status")
        return OwnMemory(*(1024 * status[key] for key in ("VmRSS:", "VmHWM:", "RssAnon:")))
    except (OSError, KeyError):
        return OwnMemory(0, 0, 0)


def free_disk(folder: Path) -> int:
    """Return the bytes that can still be written to a folder, which need not exist."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free


def _left_in_groups(root: Path) -> Iterator[int]:
    """Yield the bytes left in each memory control group of this process; a container can see its own as the topmost."""
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


def _left(folder: Path, limit_file: str, usage_file: str, prefix: str) -> Iterator[int]:
    """Yield the bytes left in one group; nothing if it has no limit or its files are not visible."""
    try:
        limit, usage = (folder / limit_file).read_text().strip(), int((folder / usage_file).read_text())
        statistics = _numbers(folder / "memory.stat")
    except (OSError, ValueError):
        return
    if limit != "max":
        files = statistics.get(f"{prefix}inactive_file", 0) + statistics.get(f"{prefix}active_file", 0)
        yield max(int(limit) - usage + files, 0)


def _numbers(path: Path) -> dict[str, int]:
    """Return name -> number, the first two words of each line of a file."""
    words = [line.split() for line in path.read_text().splitlines()]
    return {line[0]: int(line[1]) for line in words if len(line) > 1 and line[1].isdecimal()}
