"""Measure how often PSI errs without drift, and which planted drift it finds: the tables of docs/benchmarks/psi.md.

    python scripts/psi_false_alarms.py [--repetitions 500] [--seed 1] [--only numeric category p-values shifts]

A reference is used as in `ctr`: a random half sets the bins, and the other half is counted. Bins are those of the
program. Counts are multinomial samples by the probabilities of the bins, which have the same distribution as counts of
sampled rows. If both datasets have 10,000 rows or more, a tenth of the repetitions suffices, because PSI without drift
is far below every threshold.
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import stats

from ctr.metrics import CategoryBins, QuantileBins, compare, psi
from ctr.metrics.psi import Drift

ROWS = (100, 1_000, 10_000, 100_000, 1_000_000)
BINS = (5, 10, 20, 50, 100)
IDS = ((30, 0, 10), (100, 1, 10), (1_000, 1, 100), (10_000, 0, 10), (100_000, 1, 10), (100_000, 1, 100))
MAJOR_ABOVE = 0.2
LEVELS = {
    Drift.STABLE: "stable",
    Drift.MODERATE: "moderate drift",
    Drift.MAJOR: "major drift",
    Drift.TOO_LITTLE_DATA: "too little data",
}
Random = np.random.Generator
Experiment = Callable[[Random, int, int], dict[str, Any]]


def compared(expected: np.ndarray, actual: np.ndarray) -> dict[str, Any]:
    """Return the comparison of two counts of rows."""
    return compare(expected, actual, expected.sum(), actual.sum(), MAJOR_ABOVE)


def numeric(random: Random, n: int, m: int, bins: int, shift: float = 0.0) -> dict[str, Any]:
    """Compare a normal number with one shifted by `shift` standard deviations."""
    fitted = QuantileBins.fitted(random.normal(size=n // 2), bins)
    expected = random.multinomial(n - n // 2, probabilities(fitted))
    return compared(expected, random.multinomial(m, probabilities(fitted, shift)))


def category(random: Random, n: int, m: int, bins: int, p: np.ndarray, q: np.ndarray) -> dict[str, Any]:
    """Compare a category whose value k has probability p[k] in the reference and q[k] in the current data."""
    values = pa.array(np.arange(len(p)))
    fitted = CategoryBins.fitted(pa.array(np.repeat(np.arange(len(p)), drawn(random, n // 2, p))), bins)
    return compared(fitted.count(values, drawn(random, n - n // 2, p)), fitted.count(values, drawn(random, m, q)))


def weighted(random: Random, n: int, m: int, bins: int, rate: float = 0.1) -> dict[str, Any]:
    """Compare a number that differs between the classes; negatives are sampled at `rate` and weigh 1 / rate."""
    fitted = QuantileBins.fitted(random.normal(random.random(n // 2) < 0.3), bins)
    found, effective = [], []
    for rows in (n - n // 2, m):
        positives = random.binomial(rows, 0.3)
        of_class = [random.multinomial(rows - positives, probabilities(fitted))]
        of_class.append(random.multinomial(positives, probabilities(fitted, 1)))
        found.append(of_class[0] / rate + of_class[1])
        effective.append(found[-1].sum() ** 2 / ((rows - positives) / rate**2 + positives))
    return compare(*found, *effective, MAJOR_ABOVE)


def of_users(random: Random, n: int, m: int, bins: int, each: int = 10) -> dict[str, Any]:
    """Compare a number that is equal in all rows of a user, counted as if rows were independent."""
    fitted = QuantileBins.fitted(random.normal(size=n // 2), bins)
    expected, actual = (random.multinomial(rows // each, probabilities(fitted)) for rows in (n - n // 2, m))
    return compared(each * expected, each * actual)


def probabilities(bins: QuantileBins, shift: float = 0.0) -> np.ndarray:
    """Return the probabilities of the bins for a normal number around `shift`, float64 [size]."""
    return np.append(np.diff(stats.norm.cdf(np.array([-np.inf, *bins.edges, np.inf]) - shift)), 0)


def drawn(random: Random, rows: int, p: np.ndarray) -> np.ndarray:
    """Sample how many of `rows` rows have each value, int64 [values]."""
    if rows > len(p):
        return random.multinomial(rows, p)
    return np.bincount(np.searchsorted(np.cumsum(p)[:-1], random.random(rows), side="right"), minlength=len(p))


def zipf(values: int, exponent: float) -> np.ndarray:
    """Return probabilities proportional to rank^-exponent, float64 [values]."""
    p = np.arange(1.0, values + 1) ** -exponent
    return p / p.sum()


def shares(found: list[dict[str, Any]], is_so: Callable[[dict[str, Any]], bool]) -> str:
    """Return the percentage of True values."""
    return f"{100 * sum(map(is_so, found)) / len(found):.1f}"


def table(titles: list[str], rows: Iterator[list[str]]) -> None:
    """Print a table in Markdown, row by row."""
    print("|", " | ".join(titles), "|\n|" + "---|" * len(titles))
    for row in rows:
        print("|", " | ".join(row), "|", flush=True)
    print()


def run(experiment: Experiment, n: int, m: int, name: str, repetitions: int, seed: int) -> list[dict[str, Any]]:
    """Repeat an experiment; random numbers depend only on the seed, the name and the rows."""
    random = np.random.default_rng([seed, *name.encode(), n, m])
    return [experiment(random, n, m) for _ in range(repetitions)]


def false_alarms(title: str, kinds: dict[str, Experiment], arguments: argparse.Namespace) -> None:
    """Print the percentage of false major drift in the worst case, by the rows of reference and current data."""

    def percent(n: int, m: int) -> str:
        repetitions = arguments.repetitions if min(n, m) < 10_000 else -(-arguments.repetitions // 10)
        cells = [run(one, n, m, name, repetitions, arguments.seed) for name, one in kinds.items()]
        return max((shares(cell, lambda one: one["drift"] == Drift.MAJOR) for cell in cells), key=float)

    names = ", ".join(f"`{name}`" for name in kinds)
    print(f"### {title} without drift: percent with major drift\n\nThe worst of {names}.\n")
    rows = ([f"{n:,}", *(percent(n, m) for m in ROWS)] for n in ROWS)
    table(["reference rows", *(f"{m:,} current rows" for m in ROWS)], rows)


def numeric_false_alarms(arguments: argparse.Namespace) -> None:
    """Print false alarms of numbers, by number of bins and with weights."""
    kinds: dict[str, Experiment] = {f"{bins} bins": partial(numeric, bins=bins) for bins in BINS}
    kinds["10 bins, weighted"] = partial(weighted, bins=10)
    false_alarms("Numbers", kinds, arguments)


def category_false_alarms(arguments: argparse.Namespace) -> None:
    """Print false alarms of categories, by number of values, distribution and bins."""
    kinds: dict[str, Experiment] = {}
    for values, exponent, bins in IDS:
        p = zipf(values, exponent)
        name = f"{values:,} {'Zipf' if exponent else 'equal'}, {bins} bins"
        kinds[name] = partial(category, bins=bins, p=p, q=p)
    false_alarms("Categories", kinds, arguments)


def p_values(arguments: argparse.Namespace) -> None:
    """Print how often p-values are below 5%, 1% and 0.1% without drift."""
    ids, equal = zipf(10_000, 1), zipf(1_000, 0)
    cases: dict[str, Experiment] = {
        "number, 10 bins": partial(numeric, bins=10),
        "number, 100 bins": partial(numeric, bins=100),
        "10,000 ids, Zipf, 10 bins": partial(category, bins=10, p=ids, q=ids),
        "10,000 ids, Zipf, 100 bins": partial(category, bins=100, p=ids, q=ids),
        "1,000 ids, equal, 10 bins": partial(category, bins=10, p=equal, q=equal),
        "number, weighted": partial(weighted, bins=10),
        "number, ten equal rows a user": partial(of_users, bins=10),
    }

    def rows() -> Iterator[list[str]]:
        for (name, one), size in product(cases.items(), (100, 1_000, 10_000)):
            found = run(one, size, size, name, arguments.repetitions, arguments.seed)
            below = [shares(found, lambda one, level=level: one["p_value"] < level) for level in (0.05, 0.01, 0.001)]
            yield [name, f"{size:,}", *below, shares(found, lambda one: one["drift"] == Drift.MAJOR)]

    print("### p-values without drift, in percent\n")
    table(["values", "rows of each", "p < 5%", "p < 1%", "p < 0.1%", "major drift"], rows())


def shifts(arguments: argparse.Namespace) -> None:
    """Print PSI and drift levels of planted drift."""
    before = zipf(10, 0.5)

    def doubled(place: int) -> np.ndarray:
        after = before * (1 - 2 * before[place]) / (1 - before[place])
        after[place] = 2 * before[place]
        return after

    cases: dict[str, tuple[Experiment, float]] = {}
    for shift in (0, 0.1, 0.25, 0.5):
        tenths = stats.norm.cdf(stats.norm.ppf(np.arange(11) / 10) - shift)
        truth = psi(np.full(10, 1e12), np.diff(tenths) * 1e13)
        cases[f"number, {shift} sigma"] = (partial(numeric, bins=10, shift=shift), truth)
    for place in (0, 3):
        after = doubled(place)
        name = f"category of {before[place]:.0%} doubled"
        cases[name] = (partial(category, bins=10, p=before, q=after), psi(before * 1e13, after * 1e13))
    old, new = np.append(before, 0), np.append(0.9 * before, 0.1)
    # the name is part of the seed, so it keeps its space; the table prints it without
    cases[f"new category of {10} %"] = (partial(category, bins=10, p=old, q=new), np.inf)

    def rows() -> Iterator[list[str]]:
        for (name, (one, truth)), size in product(cases.items(), (300, 1_000, 10_000)):
            found = run(one, size, size, name, arguments.repetitions, arguments.seed)
            means = [f"{np.mean([one[key] for one in found]):.4f}" for key in ("psi", "psi_corrected")]
            levels = [shares(found, lambda one, level=level: one["drift"] == level) for level in LEVELS]
            small = shares(found, lambda one: one["p_value"] < 0.001)
            yield [
                name.replace(" %", "%"),
                f"{truth:.4f}" if truth < np.inf else "-",
                f"{size:,}",
                *means,
                *levels,
                small,
            ]

    print("### Planted drift: mean PSI, and levels in percent\n")
    table(["drift", "true PSI", "rows of each", "PSI", "corrected", *LEVELS.values(), "p < 0.1%"], rows())


TABLES = {"numeric": numeric_false_alarms, "category": category_false_alarms, "p-values": p_values, "shifts": shifts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES))
    arguments = parser.parse_args()
    for name in arguments.only:
        TABLES[name](arguments)


if __name__ == "__main__":
    main()
