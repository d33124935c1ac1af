"""Background threads that compute items ahead of their consumer, in order."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")


def map_ahead(function: Callable[[S], T], items: Iterable[S], threads: int) -> Iterator[T]:
    """Yield the function's results in the order of the items, computed by threads that stay a few items ahead.

    Args:
        function: function to apply; it runs in several threads at once.
        items: items to process.
        threads: number of threads. A larger value keeps more results in memory.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="encode")
    waiting: deque[Future[T]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def read_ahead(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Iterate in a background thread that stays at most `depth` items ahead.

    An exception of `items` is raised at the same position in the iteration. Closing the iterator ends the thread.

    Args:
        items: items to iterate over.
        depth: maximum number of items that wait for the consumer. A larger value keeps more items in memory.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: T | None, error: BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put((item, error), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item, None):
                    return
            put(None, StopIteration())
        except BaseException as error:  # noqa: BLE001 - the consumer raises it again
            put(None, error)
        finally:
            if isinstance(items, Generator):
                items.close()  # in the thread that iterated it

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()
