"""Pages of a report that is printed again. No TensorFlow is imported."""

import errno
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from ctr.console import PLAIN
from ctr.report import write_html


def rewrite_pages(folder: Path, console: Console, write: Callable[[Path], object] = write_html) -> None:
    """Write the pages of a report that was printed again, or print that they stay, because the folder is read-only.

    Args:
        folder: folder of the report.
        console: the console.
        write: function that writes the pages.
    """
    try:
        write(folder)
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        console.print(f"report.html was not rewritten, because {folder} is read-only", **PLAIN)
    else:
        console.print(f"report: {folder / 'report.html'}", **PLAIN)
