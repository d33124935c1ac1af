"""Times at which a run saves a checkpoint: at each new best, at the end, and at regular intervals."""

import time

from ctr.config.lengths import StepsOrMinutes
from ctr.training.checkpoint import CheckpointWriter, Position
from models import CTRModel


class Stopwatch:
    """Training time of a run, including the time before it was resumed.

    Args:
        elapsed: seconds of training before the run was resumed.
    """

    def __init__(self, elapsed: float = 0.0) -> None:
        self._elapsed, self._started = elapsed, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return self._elapsed + time.perf_counter() - self._started


class CheckpointPolicy:
    """Saves the checkpoints of a run.

    Args:
        model: compiled model.
        writer: writer of the checkpoints.
        every: steps or minutes between two checkpoints.
        clock: stopwatch of the run.
        saved_step: step of the checkpoint that the run is resumed from; None for a new run.

    Attributes:
        found_best: True after a new best until it is saved.
    """

    def __init__(
        self,
        model: CTRModel,
        writer: CheckpointWriter,
        every: StepsOrMinutes,
        clock: Stopwatch,
        saved_step: int | None = None,
    ) -> None:
        self.model, self.writer, self.every, self.clock = model, writer, every, clock
        self.found_best = False
        self._saved_step, self._saved_at = saved_step, clock.seconds

    def save_if_due(self, position: Position, is_last: bool) -> None:
        """Save a new best, the end of a run, or a regular checkpoint that is due.

        A regular checkpoint is skipped while another is being written.

        Args:
            position: position in training.
            is_last: True after the last step.

        Raises:
            OSError: the previous checkpoint could not be written.
        """
        is_due = is_last or (self._is_time(position.step) and not self.writer.is_saving)
        if self.found_best or is_due:
            self.save(position)

    def save(self, position: Position) -> None:
        """Save a position, unless the last checkpoint is at this step and there is no new best.

        Raises:
            OSError: the previous checkpoint could not be written.
        """
        if position.step == self._saved_step and not self.found_best:
            return
        position.seconds = self.clock.seconds
        self.writer.save(self.model, position)
        self.found_best, self._saved_step, self._saved_at = False, position.step, self.clock.seconds

    def wait(self) -> None:
        """Wait until the last checkpoint is written.

        Raises:
            OSError: the checkpoint could not be written.
        """
        self.writer.wait()

    def close(self) -> None:
        """Stop the writing thread."""
        self.writer.close()

    def _is_time(self, step: int) -> bool:
        if self.every.steps:
            return step > 0 and step % self.every.steps == 0
        return self.clock.seconds - self._saved_at >= 60 * (self.every.minutes or 0)
