"""Damage Parquet files at random and train on them up to the model: a clear error or a correct result, nothing else.

    PYTHONPATH=. python scripts/fuzz_parquet.py --cases 2000

A case is a function of its number: a file of a few hundred rows in one of several formats, and one kind of damage. The
file goes through `ctr.training.data.prepare` as training data, a split by time, and an epoch of the reader. The result
must be a one-line `DataError` that names the file, or the encoding by `tests/reference/encoding.py` of the rows that
Arrow reads from the file with page checksums verified. Anything else fails: another exception, another value, a crash
of the interpreter, more than SECONDS. Memory is limited to MEMORY_GB. Parquet only has checksums of pages, and only if
the writer adds them, so other damaged files can be valid files with other values. Such cases are counted separately.
"""

import argparse
import multiprocessing
import os
import resource
import tempfile
import traceback
from collections import Counter
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS, ROW_GROUP, MEMORY_GB, SECONDS = 300, 100, 8, 60
ERROR, SAME, OTHER = (
    "an error that names the file",
    "the result of the undamaged file",
    "the result of what the file says now",
)
EXPECTED = (ERROR, SAME, OTHER)
FORMS = [
    {"compression": "none", "use_dictionary": False},
    {"compression": "none", "use_dictionary": False, "write_page_checksum": True},
    {"compression": "none", "data_page_version": "2.0"},
    {"compression": "snappy"},
    {"compression": "snappy", "write_page_checksum": True},
    {"compression": "zstd", "use_dictionary": False, "data_page_size": 512},
    {"compression": "gzip", "data_page_version": "2.0", "data_page_size": 512, "write_page_checksum": True},
]


def click_log(seed: int) -> pa.Table:
    """Return columns for every kind of feature, with nulls."""
    rng = np.random.default_rng([seed, 1])

    def some(values: list, type_: pa.DataType) -> pa.Array:
        return pa.array([value if rng.random() > 0.1 else None for value in values], type_)

    start = datetime(2026, 1, 1, tzinfo=UTC)
    histories = [[f"item {k}" for k in rng.integers(0, 9, rng.integers(0, 6))] for _ in range(ROWS)]
    return pa.table(
        {
            "y": pa.array(rng.integers(0, 2, ROWS), pa.int8()),
            "w": pa.array(rng.uniform(0.5, 2, ROWS), pa.float32()),
            "user": some(rng.integers(0, 40, ROWS).tolist(), pa.int64()),
            "item": some([f"item {k}" if k else "" for k in rng.integers(0, 9, ROWS)], pa.string()),
            "word": some(rng.choice(["a", "bé", "c"], ROWS).tolist(), pa.string()),
            "shop": some(rng.integers(0, 5, ROWS).tolist(), pa.int32()),
            "at": pa.array([start + timedelta(minutes=7 * k) for k in range(ROWS)], pa.timestamp("us", tz="UTC")),
            "history": some(histories, pa.list_(pa.string())),
            "price": some(rng.lognormal(0, 1, ROWS).tolist(), pa.float64()),
            "age": some(rng.integers(18, 80, ROWS).tolist(), pa.uint8()),
        }
    )


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a file's bytes with damage: flipped bits, changed bytes, a hole, a cut, bytes inserted or removed."""
    data = bytearray(content)
    footer = 8 + int.from_bytes(content[-8:-4], "little")
    end = len(data)
    at = int(rng.integers(end - footer, end) if rng.random() < 0.5 else rng.integers(0, end))  # footers are small
    length = int(rng.integers(1, 40))
    kind = rng.choice(["flip", "change", "hole", "cut", "insert", "remove"], p=[0.6, 0.2, 0.05, 0.05, 0.05, 0.05])
    if kind == "flip":
        data[at] ^= 1 << int(rng.integers(0, 8))
    elif kind == "change":
        data[at : at + length] = rng.bytes(len(data[at : at + length]))
    elif kind == "hole":
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif kind == "cut":
        del data[at:]
    elif kind == "insert":
        data[at:at] = rng.bytes(length)
    else:
        del data[at : at + length]
    return bytes(data)


def outcome(case: int, seed: int, folder: Path) -> str:
    """Return the outcome of one case: one of EXPECTED, or a description of the failure."""
    rng = np.random.default_rng([seed, 2, case])
    path = folder / f"case-{case}.parquet"
    table = click_log(case % 5)
    pq.write_table(table, path, row_group_size=ROW_GROUP, **FORMS[case % len(FORMS)])
    path.write_bytes(damaged(path.read_bytes(), rng))
    try:
        return judged(path, folder, table)
    except Exception:  # noqa: BLE001 - any exception is a failure of the case
        return "".join(traceback.format_exc())
    finally:
        path.unlink()


def judged(path: Path, folder: Path, table: pa.Table) -> str:
    """Return one of EXPECTED, or the two results that differ."""
    from features import DataError
    from tests.reference.encoding import Refused, encoded

    try:
        found = encoded_by_us(path, folder)
    except DataError as error:
        is_clear = any(place in str(error) for place in (str(folder), "training data", "split by time"))
        return ERROR if is_clear and "\n" not in str(error) else f"an unclear error: {error}"
    if is_equal(found, encoded(table.to_pydict())):
        return SAME
    readable = pq.read_table(path, columns=table.column_names, partitioning=None, page_checksum_verification=True)
    try:
        expected = encoded(readable.to_pydict())
    except Refused as refused:
        return f"accepted, but contains: {refused}"
    return OTHER if is_equal(found, expected) else f"a wrong result: {found}, expected {expected}"


def encoded_by_us(path: Path, folder: Path) -> dict[str, np.ndarray]:
    """Return the whole file as one batch, in file order, after all steps of training before the model."""
    from ctr.config.experiment import Experiment
    from ctr.training.data import prepare
    from features import Reader, Split, count_rows, open_data, split_data
    from features.batch import concatenate
    from tests.reference.encoding import FEATURES

    data = {"train": str(path), "valid": str(folder / "valid.parquet"), "label": "y", "weight": "w", "keep": ["at"]}
    values = {"name": "fuzz", "data": data, "features": {"columns": FEATURES}, "model": {"type": "dnn"}}
    prepared = prepare(Experiment.model_validate(values))
    groups, encoder = prepared.splits["train"], prepared.encoder
    parts = split_data(open_data(str(path)), Split(by="time", column="at", fractions=(0.6, 0.2, 0.2)), seed=1)
    assert sum(map(count_rows, parts.values())) == count_rows(groups)
    batches = list(Reader(groups, encoder, batch_size=64, seed=1).epoch(1))
    batch = concatenate([encoder(group.read(encoder.input_columns), str(group)) for group in groups])
    assert sorted(np.concatenate([one["ids"] for one in batches]).tolist()) == sorted(batch["ids"].tolist())
    return batch


def is_equal(batch: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    """Return True if two batches are equal up to float32 rounding."""
    return batch.keys() == expected.keys() and all(
        batch[key].shape == value.shape and np.allclose(batch[key], value, rtol=1e-5, atol=1e-6)
        for key, value in expected.items()
    )


def work(cases: range, seed: int, results: Connection) -> None:
    """Send each case's outcome, in a separate process, which a case can crash."""
    import ctr.training.data  # noqa: F401 - before the memory is limited

    used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_GB * 2**30,) * 2)
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(click_log(0), Path(folder) / "valid.parquet")
        for case in cases:
            results.send((case, outcome(case, seed, Path(folder))))


def run(cases: int, seed: int) -> dict[int, str]:
    """Return outcomes by case; a worker that dies or hangs is replaced by one that continues after the case."""
    outcomes: dict[int, str] = {}
    context = multiprocessing.get_context("spawn")
    while len(outcomes) < cases:
        results, sender = context.Pipe(duplex=False)
        worker = context.Process(target=work, args=(range(len(outcomes), cases), seed, sender))
        worker.start()
        sender.close()
        try:
            while len(outcomes) < cases:
                if not results.poll(SECONDS):
                    outcomes[len(outcomes)] = f"a hang of {SECONDS} s"
                    break
                case, found = results.recv()
                outcomes[case] = found
        except EOFError:
            worker.join()
            outcomes[len(outcomes)] = f"a crash: exit code {worker.exitcode}"
        finally:
            worker.kill()
            worker.join()
    return outcomes


def main() -> None:
    """Run the cases, count their outcomes, and exit with 1 if any failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    outcomes = run(arguments.cases, arguments.seed)
    for found, count in Counter(found if found in EXPECTED else "FAILED" for found in outcomes.values()).items():
        print(f"{count:6,}  {found}")
    failed = {case: found for case, found in outcomes.items() if found not in EXPECTED}
    for case, found in failed.items():
        print(f"\ncase {case}: {found}")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
