"""Measure rows per second from Parquet to updated weights, and the time of each part of a step.

    python scripts/bench_train.py CONFIG [--set KEY=VALUE]... [--rounds 5] [--seconds 5] [--peer COMMAND] [--json FILE]

The measurements take turns, `--rounds` times, so that a busy moment of the machine affects all of them:

    from_parquet  training as by `ctr train`, without validation: read, encode, shuffle, step
    bare_step     the same step on batches in memory
    tower_only    forward, backward and update of the towers only, on an input in memory, without tables
    tower_input   tower_only with the gradient of the input, which every model with tables needs
    read          Parquet to shuffled batches, without training
    peer          with `--peer`: a command whose last line is a JSON object with `rows_per_s`

Then each part of a step is timed. Ratios are between values of the same round. Prints medians and ranges.
"""

import argparse
import json
import resource
import shlex
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ctr.config.experiment import load_experiment
from ctr.training.data import prepare
from ctr.training.devices import set_threads
from ctr.training.plan import plan_model
from ctr.training.step import compiled_step
from ctr.training.trainer import Placed, prefetch_to_device
from features import Batch, Reader
from models import CTRModel
from optimizers import adam

IN_MEMORY = 8  # batches
WARM_UP = 5  # steps before timing starts
RATIOS = (
    ("bare_step", "tower_only"),
    ("bare_step", "tower_input"),
    ("from_parquet", "tower_only"),
    ("from_parquet", "tower_input"),
    ("from_parquet", "peer"),
)


def rows_per_second(work: Iterator[int], seconds: float) -> float:
    """Return the rows per second of an iterator that yields the rows of each batch it processed."""
    for _ in range(WARM_UP):
        next(work)
    rows, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        rows += next(work)
        if time.perf_counter() - started >= seconds:
            tf.test.experimental.sync_devices()  # wait for a GPU, which runs asynchronously
    return rows / elapsed


def endless(reader: Reader) -> Generator[Batch, None, None]:
    """Yield the batches of one epoch after another."""
    epoch = 0
    while True:
        yield from reader.epoch(epoch)
        epoch += 1


def stepping(step: Callable[[Any], Any], batches: Iterator[Any]) -> Iterator[int]:
    """Yield the number of rows of each batch after a step on it."""
    for batch in batches:
        step(batch)
        yield len(batch["label"])


def cycling(batches: list[Any]) -> Iterator[Any]:
    """Yield the same batches in an endless cycle."""
    while True:
        yield from batches


def tensors_of(placed: Generator[Placed, None, None]) -> Iterator[dict[str, tf.Tensor]]:
    """Yield the tensors of batches."""
    with closing(placed):
        for _, tensors in placed:
            yield tensors


def tower_step(model: CTRModel, to_input: bool) -> Callable[[dict[str, tf.Tensor]], Any]:
    """Return a step of the towers only, updated by Adam; `to_input`: with the gradient of their input."""
    owned = zip(model.trainable_variables, model.logical_variables, strict=True)
    towers = [variable for variable, (kind, _) in owned if kind == "tower"]
    optimizer = adam()
    optimizer.build(towers)

    @tf.function(autograph=False)
    def step(batch: dict[str, tf.Tensor]) -> Any:
        gradients, of_input = tower_gradients(model, towers, batch)
        optimizer.apply_gradients(zip(gradients, towers, strict=True))
        return of_input if to_input else None

    return step


def tower_gradients(model: CTRModel, towers: list[tf.Variable], batch: dict[str, tf.Tensor]) -> tuple[Any, Any]:
    """Return the gradients of the towers' variables and of their input `x0`, which is in the batch."""
    with tf.GradientTape() as tape:
        tape.watch(batch["x0"])
        logit = model.tower(batch["x0"], step=model.step, training=True)
        loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(batch["label"], logit))
    *gradients, of_input = tape.gradient(loss, [*towers, batch["x0"]])
    return gradients, of_input


def parts_of(model: CTRModel) -> dict[str, Callable[[dict[str, tf.Tensor]], Any]]:
    """Return the parts of a step, each compiled separately; the tables must be in one group."""
    variables, kinds = model.trainable_variables, [kind for kind, _ in model.logical_variables]
    tables = [v for v, kind in zip(variables, kinds, strict=True) if kind == "table"]
    towers = [v for v, kind in zip(variables, kinds, strict=True) if kind == "tower"]
    router = model.optimizer

    def lookup(batch: dict[str, tf.Tensor]) -> Any:
        return model.tables(batch)["deep"]

    def tower(batch: dict[str, tf.Tensor]) -> Any:
        return tower_gradients(model, towers, batch)

    def slices(batch: dict[str, tf.Tensor]) -> list[tf.IndexedSlices]:
        with tf.GradientTape() as tape:
            out = model.tables(batch)["deep"]
        return tape.gradient(out, tables, output_gradients=batch["x0"] * 1e-6)

    def lookup_and_gradient(batch: dict[str, tf.Tensor]) -> Any:
        return [gradient.values for gradient in slices(batch)]

    def deduplicate(batch: dict[str, tf.Tensor]) -> Any:
        return [gradient.values for gradient in router._deduplicate_sparse_grad(slices(batch))]

    def update_tables(batch: dict[str, tf.Tensor]) -> None:
        router.apply_gradients(zip(slices(batch), tables, strict=True))

    def update_towers(batch: dict[str, tf.Tensor]) -> None:
        router.apply_gradients([(tf.zeros_like(tower), tower) for tower in towers])

    return {
        f.__name__: tf.function(f, autograph=False)
        for f in (lookup, lookup_and_gradient, deduplicate, update_tables, tower, update_towers)
    }


def milliseconds(function: Callable[[Any], Any], batches: list[Any], rounds: int) -> float:
    """Return the median time of a call in milliseconds."""
    times = []
    for place in range(rounds * IN_MEMORY + WARM_UP):
        started = time.perf_counter()
        function(batches[place % IN_MEMORY])
        tf.test.experimental.sync_devices()
        times.append(time.perf_counter() - started)
    return float(np.median(times[WARM_UP:]) * 1e3)


def peer_rate(command: str) -> float:
    """Return the rows per second that a command reports."""
    out = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True).stdout
    return float(json.loads(out.strip().splitlines()[-1])["rows_per_s"])


def spread(values: list[float]) -> dict[str, float]:
    """Return median, minimum and maximum."""
    return {"median": float(np.median(values)), "minimum": min(values), "maximum": max(values)}


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Return every figure."""
    experiment = load_experiment(args.config, args.set)
    settings = experiment.training
    set_threads(settings.threads)
    prepared = prepare(experiment)
    shuffle = experiment.data.shuffle_rows
    reader = Reader(prepared.splits["train"], prepared.encoder, settings.batch_size, experiment.seed, "drop", shuffle)
    model = plan_model(experiment, prepared.encoder).build(reader.batches_per_epoch)
    step = compiled_step(model, reader.encoder)
    tower, tower_to_input = tower_step(model, to_input=False), tower_step(model, to_input=True)
    first = endless(reader)
    batches = [{key: tf.constant(array) for key, array in next(first).items()} for _ in range(IN_MEMORY)]
    first.close()  # type: ignore[attr-defined]
    inputs = [{"x0": model.tables(batch)["deep"], "label": batch["label"]} for batch in batches]
    works: dict[str, Callable[[], Iterator[int]]] = {
        "from_parquet": lambda: stepping(step, tensors_of(prefetch_to_device(endless(reader), model))),
        "bare_step": lambda: stepping(step, cycling(batches)),
        "tower_only": lambda: stepping(tower, cycling(inputs)),
        "tower_input": lambda: stepping(tower_to_input, cycling(inputs)),
        "read": lambda: stepping(lambda batch: None, endless(reader)),
    }
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(args.rounds):
        for name, work in works.items():
            running = work()
            rates[name].append(rows_per_second(running, args.seconds))
            running.close()  # type: ignore[attr-defined]
        if args.peer:
            rates.setdefault("peer", []).append(peer_rate(args.peer))
    both = [{**batch, **given} for batch, given in zip(batches, inputs, strict=True)]
    parts = {name: milliseconds(part, both, args.rounds) for name, part in parts_of(model).items()}
    ratios = {
        f"{one} / {other}": spread([a / b for a, b in zip(rates[one], rates[other], strict=True)])
        for one, other in RATIOS
        if other in rates
    }
    return {
        "config": str(args.config),
        "set": args.set,
        "batch_size": settings.batch_size,
        "precision": settings.precision,
        "threads": settings.threads,
        "device": model.trainable_variables[0].device,
        "distinct_rows": int(np.median([len(np.unique(batch["ids"] + 0)) for batch in batches])),
        "rows_per_second": {name: spread(values) for name, values in rates.items()},
        "ratios": ratios,
        "milliseconds": parts,
        "peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override of a setting")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="seconds of each measurement")
    parser.add_argument("--peer", metavar="COMMAND")
    parser.add_argument("--json", type=Path, metavar="FILE", help="JSON file for all figures")
    args = parser.parse_args()
    found = measure(args)
    for name, rate in found["rows_per_second"].items():
        print(f"{name:<14}{rate['median']:12,.0f} rows/s   ({rate['minimum']:,.0f} to {rate['maximum']:,.0f})")
    for name, ratio in found["ratios"].items():
        print(f"{name:<28}{ratio['median']:6.3f}   ({ratio['minimum']:.3f} to {ratio['maximum']:.3f})")
    for name, cost in found["milliseconds"].items():
        print(f"{name:<22}{cost:8.2f} ms")
    print(f"peak memory {found['peak_memory_gb']:.2f} GiB")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
