"""SIGTERM and SIGINT: the first asks a job to save and end, a second one ends the process at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ctr.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """Whether the user, or who runs the machine, has asked for an end."""

    def __init__(self) -> None:
        self.stop_requested = False
        self._nothing_to_save: str | None = None

    def at_once(self, message: str) -> None:
        """From here on there is nothing to save: raise Interrupted where a signal arrives, or has arrived before.

        Args:
            message: of the error.
        """
        self._nothing_to_save = message
        if self.stop_requested:
            raise Interrupted(message)

    def receive(self, number: int, frame: FrameType | None) -> None:
        """The handler of the first signal; the system's own, which ends the process, answers the next."""
        for one in SIGNALS:
            signal.signal(one, signal.SIG_DFL)
        self.stop_requested = True
        if self._nothing_to_save is not None:
            raise Interrupted(self._nothing_to_save)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Note signals instead of dying of them; only a main thread can, in another they do what they did."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.signal(number, interruption.receive) for number in SIGNALS}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
