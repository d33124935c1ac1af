"""When a training saves a checkpoint: at each best, at its end, and every so often."""

import time

from ctr.config.training import StepsOrMinutes
from ctr.training.checkpoint import CheckpointWriter, Position
from models import CTRModel


class Stopwatch:
    """The seconds that a training took, over all its resumptions.

    Args:
        before: seconds that it took until it was resumed.
    """

    def __init__(self, before: float = 0.0) -> None:
        self._before, self._started = before, time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds of training so far."""
        return self._before + time.perf_counter() - self._started


class CheckpointPolicy:
    """Saves the checkpoints of a training.

    Args:
        model: the compiled model.
        writer: what writes them.
        every: steps or minutes from one to the next.
        clock: of the training.
        saved_step: step of the checkpoint that the training continues from; None: it starts.

    Attributes:
        found_best: True from a new best until it is saved.
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
        """Save a new best or the end of a training, or else if it is time; the latter not while one is being written.

        Args:
            position: where training is.
            is_last: True after the last step.

        Raises:
            OSError: the checkpoint before could not be written.
        """
        is_due = is_last or (self._is_time(position.step) and not self.writer.is_saving)
        if self.found_best or is_due:
            self.save(position)

    def save(self, position: Position) -> None:
        """Save a position, unless the last checkpoint is of this step and no best was found since.

        Raises:
            OSError: the checkpoint before could not be written.
        """
        if position.step == self._saved_step and not self.found_best:
            return
        position.seconds = self.clock.seconds
        self.writer.save(self.model, position)
        self.found_best, self._saved_step, self._saved_at = False, position.step, self.clock.seconds

    def wait(self) -> None:
        """Wait until the last checkpoint is written.

        Raises:
            OSError: it could not be.
        """
        self.writer.wait()

    def close(self) -> None:
        """Let the thread that writes end."""
        self.writer.close()

    def _is_time(self, step: int) -> bool:
        if self.every.steps:
            return step > 0 and step % self.every.steps == 0
        return self.clock.seconds - self._saved_at >= 60 * (self.every.minutes or 0)
