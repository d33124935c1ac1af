"""What the terminal shows while training."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress


class Progress:
    """A bar for the epoch at hand, with rows per second, the mean loss so far and the time left; a line per validation.

    Without a terminal there is no bar.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        self.console, self.epochs = console, epochs
        self._first_step = 0
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

    def start_epoch(self, epoch: int, batches: int, step: int) -> None:
        """A new bar, `step` steps of training lying behind it."""
        self._first_step = step
        self._bar.reset(self._task, total=batches, description=f"epoch {epoch}/{self.epochs}", rate="-", loss="-")

    def update(self, step: int, loss: float, rows_per_second: float) -> None:
        """Move the bar to `step`."""
        done = step - self._first_step
        self._bar.update(self._task, completed=done, rate=f"{rows_per_second:,.0f}", loss=f"{loss:.4f}")

    def validated(self, epoch: int, step: int, logs: dict[str, float], is_better: bool) -> None:
        """One line for a validation."""
        measured = "  ".join(f"{name} {value:.5f}" for name, value in logs.items())
        self.console.print(
            f"epoch {epoch:3d}  step {step:6d}  {measured}{'  best' if is_better else ''}", highlight=False
        )

    def warn(self, message: str) -> None:
        """One line above the bar."""
        self.console.print(f"warning: {message}", highlight=False, markup=False, soft_wrap=True)
