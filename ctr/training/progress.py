"""What the terminal shows while training."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

REFRESH_SECONDS = 0.5


class Progress:
    """A bar for the epoch at hand, with rows per second, the mean loss so far and the time left; a line per validation.

    Without a terminal there is no bar.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        self.console, self.epochs = console, epochs
        self._started = self._shown = 0.0
        self._rows_before = 0
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]} rows/s  loss {task.fields[loss]}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", rate="-", loss="-")

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def start_epoch(self, epoch: int, batches: int, batch: int, rows: int) -> None:
        """Begin a bar.

        Args:
            epoch: number of the epoch, from 1.
            batches: in an epoch.
            batch: number of batches of the epoch that are done, above 0 for a resumed run.
            rows: trained on so far.
        """
        self._started = self._shown = time.perf_counter()
        self._rows_before = rows
        described = f"epoch {epoch}/{self.epochs}"
        self._bar.reset(self._task, total=batches, completed=batch, description=described, rate="-", loss="-")

    def update(self, batch: int, rows: int, mean_loss: Callable[[], float]) -> None:
        """Move the bar, if there is one and it was not moved for a while: reading the loss waits for the device.

        Args:
            batch: number of batches of the epoch that are done.
            rows: trained on so far.
            mean_loss: returns the mean loss of the epoch so far.
        """
        now = time.perf_counter()
        if not self._bar.disable and now - self._shown > REFRESH_SECONDS:
            self._shown = now
            rate = (rows - self._rows_before) / (now - self._started)
            self._bar.update(self._task, completed=batch, rate=f"{rate:,.0f}", loss=f"{mean_loss():.4f}")

    def validated(self, epoch: int, step: int, logs: dict[str, float], is_better: bool) -> None:
        """One line for a validation."""
        measured = "  ".join(f"{name} {value:.5f}" for name, value in logs.items())
        self.console.print(
            f"epoch {epoch:3d}  step {step:6d}  {measured}{'  best' if is_better else ''}", highlight=False
        )

    def warn(self, message: str) -> None:
        """One line above the bar."""
        self.console.print(f"warning: {message}", highlight=False, markup=False, soft_wrap=True)
