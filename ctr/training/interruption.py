"""SIGTERM and SIGINT: the first signal requests a save and stop, the second ends the process immediately."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ctr.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interruption:
    """State of stop requests from the user or the system."""

    def __init__(self) -> None:
        self.stop_requested = False
        self._nothing_to_save: str | None = None

    def at_once(self, message: str) -> None:
        """Raise Interrupted as soon as a signal arrives, or now if one has arrived, because nothing is left to save.

        Args:
            message: message of the error.
        """
        self._nothing_to_save = message
        if self.stop_requested:
            raise Interrupted(message)

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Handle the first signal; the next one is handled by the system default, which ends the process."""
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        self.stop_requested = True
        if self._nothing_to_save is not None:
            raise Interrupted(self._nothing_to_save)


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Record signals instead of ending the process. This works in the main thread only, and does nothing elsewhere."""
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    handlers = {number: signal.signal(number, interruption.receive) for number in SIGNALS}
    try:
        yield interruption
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
