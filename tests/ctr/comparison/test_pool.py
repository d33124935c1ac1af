"""Concurrent runs: never more than the budget allows, in the given order, and each end is reported."""

import signal
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from ctr.comparison import pool as pool_module
from ctr.comparison.pool import UNKNOWN, Budget, Failure, Pool, failure_reason


@dataclass
class Process:
    """A process that ends after a number of polls."""

    looks: int
    code: int = 0
    returncode: int | None = None
    signals: list = field(default_factory=list)

    def poll(self):
        self.looks -= 1
        if self.looks < 0:
            self.returncode = self.code
        return self.returncode

    def send_signal(self, number):
        self.signals.append(number)

    def wait(self):
        self.returncode = 75


def run_named(name, variant="small"):
    return SimpleNamespace(label=name, variant=SimpleNamespace(name=variant), folder=Path("runs") / variant / name)


@pytest.fixture
def pool_of(tmp_path, monkeypatch):
    """Function that makes a pool with the given processes, by label of the run."""
    monkeypatch.setattr(pool_module, "POLL_SECONDS", 0)

    def make(processes, budget, memory_of, stop_requested=lambda: False):
        class Faked(Pool):
            def _start(self, run):
                self._file_of(run, "log").write_text(f"error: {run.label} is wrong\n")
                return pool_module._Running(run, processes[run.label], self.memory_of[run.variant.name])

        return Faked(budget, memory_of, tmp_path, [], stop_requested)

    return make


class Seen:
    """Calls of a pool, and the maximum number of concurrent runs."""

    def __init__(self):
        self.running, self.most, self.order, self.ends = [], 0, [], {}

    def started(self, run):
        self.running.append(run)
        self.order.append(run.label)
        self.most = max(self.most, len(self.running))

    def ended(self, run, failure):
        self.running.remove(run)
        self.ends[run.label] = failure

    def waiting(self):
        pass

    def train(self, pool, runs, *needs_no_more):
        pool.train(runs, self.started, self.ended, self.waiting, *needs_no_more)


def test_no_more_run_at_once_than_there_are_processes_for(pool_of):
    names = [f"run-{k}" for k in range(7)]
    processes = {name: Process(k % 3) for k, name in enumerate(names)}
    seen = Seen()
    seen.train(pool_of(processes, Budget(3, 100), {"small": 1}), [run_named(name) for name in names])
    assert (seen.most, seen.order) == (3, names)
    assert seen.ends == dict.fromkeys(names)


def test_no_more_run_at_once_than_memory_holds(pool_of):
    processes = {f"run-{k}": Process(2) for k in range(4)}
    seen = Seen()
    seen.train(pool_of(processes, Budget(4, 10), {"small": 5}), [run_named(name) for name in processes])
    assert seen.most == 2


def test_what_needs_more_than_there_is_runs_alone(pool_of):
    processes = {"small-1": Process(3), "large": Process(1), "small-2": Process(1)}
    runs = [run_named("small-1"), run_named("large", "large"), run_named("small-2")]
    seen = Seen()
    seen.train(pool_of(processes, Budget(4, 10), {"small": 1, "large": 99}), runs)
    assert (seen.most, seen.order) == (1, ["small-1", "large", "small-2"])


def test_what_needs_more_than_the_limit_of_the_user_fails_before_it_starts(pool_of):
    """The large run has no process that could start, and it does not wait for the others."""
    processes = {"small-1": Process(3), "small-2": Process(1)}
    runs = [run_named("small-1"), run_named("large", "large"), run_named("small-2")]
    seen = Seen()
    seen.train(pool_of(processes, Budget(4, 3 << 30, is_limit=True), {"small": 1, "large": 4 << 30}), runs)
    reason = "memory: the run needs up to 4.0 GiB, but the limit for all runs is 3.0 GiB. Raise --memory."
    assert (seen.most, list(seen.ends)) == (2, ["large", "small-2", "small-1"])
    assert seen.ends == {"large": Failure(2, reason), "small-1": None, "small-2": None}


@pytest.mark.parametrize(
    ("budget", "concurrent"),
    [
        (Budget(4, 10), 2),  # 3 and 5
        (Budget(1, 10), 1),
        (Budget(4, 2), 1),  # alone
        (Budget(4, 17), 3),
        (Budget(4, 4, is_limit=True), 1),
        (Budget(4, UNKNOWN), 4),
    ],
)
def test_the_number_of_concurrent_runs_is_what_processes_and_memory_hold(budget, concurrent):
    assert budget.concurrent([9, 5, 3, 9, 9]) == concurrent


def test_a_run_whose_estimate_failed_is_started_under_any_limit(pool_of):
    seen = Seen()
    pool = pool_of({"odd": Process(1, code=2)}, Budget(1, 10, is_limit=True), {"small": UNKNOWN})
    seen.train(pool, [run_named("odd")])
    assert seen.ends == {"odd": Failure(2, "odd is wrong")}


def test_a_failure_is_told_and_the_others_go_on(pool_of):
    processes = {"bad": Process(0, code=2), "diverged": Process(0, code=3), "good": Process(1)}
    seen = Seen()
    seen.train(pool_of(processes, Budget(2, 10), {"small": 1}), [run_named(name) for name in processes])
    assert seen.ends == {"bad": Failure(2, "bad is wrong"), "diverged": Failure(3, "diverged is wrong"), "good": None}
    assert not seen.ends["bad"].is_final
    assert seen.ends["diverged"].is_final


def test_when_asked_to_end_it_asks_every_training_to_and_waits(pool_of):
    processes = {"one": Process(99), "two": Process(99), "three": Process(99)}
    asked = iter([False, False, True])
    seen = Seen()
    pool = pool_of(processes, Budget(2, 10), {"small": 1}, lambda: next(asked))
    seen.train(pool, [run_named(name) for name in processes])
    assert [process.signals for process in processes.values()] == [[signal.SIGTERM], [signal.SIGTERM], []]
    assert [process.returncode for process in processes.values()] == [75, 75, None]
    assert seen.ends == {}


@pytest.mark.parametrize("code", [0, 75, 3, -15])
def test_a_run_that_needs_no_more_is_asked_once_to_end_and_has_not_failed(pool_of, code):
    processes = {"losing": Process(5, code), "good": Process(9)}
    seen, calls = Seen(), []

    def needs_no_more(run):
        calls.append(run.label)
        return run.label == "losing" and calls.count("losing") > 3

    seen.train(pool_of(processes, Budget(2, 10), {"small": 1}), [run_named(name) for name in processes], needs_no_more)
    assert [process.signals for process in processes.values()] == [[signal.SIGTERM], []]
    assert seen.ends == {"losing": None, "good": None}


def test_a_run_that_needs_no_more_before_its_turn_is_not_started(pool_of):
    seen = Seen()
    runs = [run_named("losing"), run_named("good")]
    seen.train(pool_of({"good": Process(1)}, Budget(1, 10), {"small": 1}), runs, lambda run: run.label == "losing")
    assert (seen.order, seen.ends) == (["losing", "good"], {"losing": None, "good": None})


def test_a_run_that_was_asked_to_end_is_not_asked_again_when_all_are(pool_of):
    processes = {"losing": Process(99), "good": Process(99)}
    asked = iter([False, False, True])
    seen = Seen()
    pool = pool_of(processes, Budget(2, 10), {"small": 1}, lambda: next(asked))
    calls = iter([False, False, True, False, False])
    seen.train(pool, [run_named(name) for name in processes], lambda run: next(calls))
    assert [process.signals for process in processes.values()] == [[signal.SIGTERM], [signal.SIGTERM]]


@pytest.mark.parametrize(
    ("code", "log", "reason"),
    [
        (2, "epoch 1\nerror: a is missing\n  and b\n", "a is missing"),
        (3, "warning: x\ndiverged: step 3: the loss is nan\n", "step 3: the loss is nan"),
        (1, "Traceback (most recent call last):\n  File\nValueError: no\n\n", "ValueError: no"),
        (1, "Traceback (most recent call last):\n  File\nValueError: no\nits checkpoints are kept\n", "ValueError: no"),
        (1, "Traceback:\nKeyError: 1\n\nDuring handling:\n\nTraceback:\n  File\nOSError: 2\n", "OSError: 2"),
        (1, "", "exited with code 1"),
        (-9, "epoch 1\n", "killed by SIGKILL, possibly out of memory"),
        (-11, "", "killed by SIGSEGV"),
    ],
)
def test_a_reason_is_one_line(code, log, reason):
    assert failure_reason(code, log) == reason
