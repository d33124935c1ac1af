"""Training progress in the terminal."""

import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

REFRESH_SECONDS = 0.5


class Progress:
    """Shows a bar for the current epoch, with speed, mean loss and time left, and prints a line per validation.

    Without a terminal there is no bar.

    Args:
        console: output.
        epochs: maximum number of epochs.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        self.console, self.epochs = console, epochs
        self._started = self._shown = 0.0
        self._rows_before = 0
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]} examples/s  loss {task.fields[loss]}"),
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
        """Start the bar of an epoch.

        Args:
            epoch: number of the epoch, from 1.
            batches: number of batches per epoch.
            batch: number of finished batches of the epoch, above 0 for a resumed run.
            rows: number of training examples so far.
        """
        self._started = self._shown = time.perf_counter()
        self._rows_before = rows
        description = f"epoch {epoch}/{self.epochs}"
        self._bar.reset(self._task, total=batches, completed=batch, description=description, rate="-", loss="-")

    def update(self, batch: int, rows: int, mean_loss: Callable[[], float]) -> None:
        """Update the bar, at most every half second, because reading the loss waits for the device.

        Args:
            batch: number of finished batches of the epoch.
            rows: number of training examples so far.
            mean_loss: function that returns the mean loss of the epoch so far.
        """
        now = time.perf_counter()
        if not self._bar.disable and now - self._shown > REFRESH_SECONDS:
            self._shown = now
            rate = (rows - self._rows_before) / (now - self._started)
            self._bar.update(self._task, completed=batch, rate=f"{rate:,.0f}", loss=f"{mean_loss():.4f}")

    def validated(self, epoch: int, step: int, logs: dict[str, float], is_better: bool) -> None:
        """Print a line for a validation."""
        measured = "  ".join(f"{name} {value:.5f}" for name, value in logs.items())
        self.console.print(
            f"epoch {epoch:3d}  step {step:6d}  {measured}{'  best' if is_better else ''}", highlight=False
        )

    def epoch_ended(self, epoch: int, step: int, losses: dict[str, float]) -> None:
        """Print one line for an epoch without validation.

        Args:
            epoch: number of finished epochs.
            step: number of finished steps.
            losses: mean of each loss over the epoch.
        """
        self.validated(epoch, step, losses, is_better=False)

    def warn(self, message: str) -> None:
        """Print a warning above the bar."""
        self.console.print(f"warning: {message}", highlight=False, markup=False, soft_wrap=True)
