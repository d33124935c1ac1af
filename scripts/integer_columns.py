"""Measure how often `ctr psi` takes quantities for ids, and ids for quantities.

    PYTHONPATH=. python scripts/integer_columns.py [FILE.parquet ...]

Without files, the script draws columns of families whose nature is known, and prints how often each is compared as
categories. With files, it prints what is chosen for each of their integer columns, and why.
"""

import sys
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ctr.evaluation.integer_columns import classify_integers

BINS = 10
ROWS = (500, 2_000, 10_000, 50_000)
REPETITIONS = 100
Family: TypeAlias = Callable[[np.random.Generator, int], NDArray]


def ages(rng: np.random.Generator, rows: int) -> NDArray:
    """Ages of adults."""
    return np.clip(rng.gamma(8, 4.7, rows) + 10, 17, 90).astype(int)


def stated_ages(rng: np.random.Generator, rows: int) -> NDArray:
    """Ages, of which a fifth is rounded to a multiple of 5."""
    exact = ages(rng, rows)
    return np.where(rng.random(rows) < 0.2, (exact / 5).round() * 5, exact).astype(int)


def hours(rng: np.random.Generator, rows: int) -> NDArray:
    """Hours of the day, with a daily wave."""
    weights = 1 + 0.6 * np.sin(np.arange(24) * np.pi / 12 - 2)
    return rng.choice(24, rows, p=weights / weights.sum())


def working_hours(rng: np.random.Generator, rows: int) -> NDArray:
    """Hours per week: half are 40, and most others are rounded."""
    exact = np.clip(rng.normal(40, 12, rows), 1, 99)
    rounded = np.where(rng.random(rows) < 0.6, np.clip((exact / 5).round() * 5, 1, 99), exact)
    return np.where(rng.random(rows) < 0.5, 40, rounded).astype(int)


def cents(rng: np.random.Generator, rows: int) -> NDArray:
    """Prices in cents."""
    return np.exp(rng.normal(7, 1, rows)).astype(int)


def retail_cents(rng: np.random.Generator, rows: int) -> NDArray:
    """Prices in cents, most of which end in 99, 95, 50, 49 or 0."""
    ends = rng.choice([99, 95, 50, 49, 0, -1], rows, p=[0.45, 0.15, 0.1, 0.1, 0.1, 0.1])
    ends = np.where(ends < 0, rng.integers(0, 100, rows), ends)
    return np.exp(rng.normal(2.5, 0.8, rows)).astype(int) * 100 + ends


def catalog_cents(rng: np.random.Generator, rows: int) -> NDArray:
    """Prices of 300 products, which are sold in proportion to 1 / rank^0.8."""
    prices = (np.exp(rng.normal(2.5, 0.8, 300)).astype(int) + 1) * 100 - 1
    return prices[population(300, 0.8)(rng, rows)]


def population(ids: int, exponent: float) -> Family:
    """Return a family of ids from 0, whose frequencies 1 / rank^exponent are in random order."""

    def draw(rng: np.random.Generator, rows: int) -> NDArray:
        weights = rng.permutation(np.arange(1, ids + 1) ** -float(exponent))
        return rng.choice(ids, rows, p=weights / weights.sum())

    return draw


def hashed(ids: int, exponent: float) -> Family:
    """Return the same with random codes of 31 bits."""
    return lambda rng, rows: rng.integers(0, 2**31, ids)[population(ids, exponent)(rng, rows)]


def older_are_more_frequent(rng: np.random.Generator, rows: int) -> NDArray:
    """Ids by age, of which the older are more frequent, with a standard deviation of 1 of the log frequency."""
    weights = np.exp(rng.normal(0, 1, 1000)) * np.arange(1, 1001) ** -0.5
    return rng.choice(1000, rows, p=weights / weights.sum())


def by_frequency(rng: np.random.Generator, rows: int) -> NDArray:
    """Ids numbered by frequency, as a vocabulary numbers them."""
    weights = 1 / np.arange(1, 1001)
    return rng.choice(1000, rows, p=weights / weights.sum())


def in_blocks(rng: np.random.Generator, rows: int) -> NDArray:
    """Codes such as 1001 to 1040 and 5001 to 5020."""
    codes = np.concatenate([block * 1000 + np.arange(1, rng.integers(5, 60)) for block in (1, 2, 5, 9, 20)])
    return codes[population(len(codes), 0.8)(rng, rows)]


QUANTITIES: dict[str, Family] = {
    "ages": ages,
    "ages, a fifth rounded to 5": stated_ages,
    "hours of the day": hours,
    "minutes of the day": lambda rng, rows: (rng.normal(840, 240, rows) % 1440).astype(int),
    "hours per week, most rounded": working_hours,
    "Poisson, mean 8": lambda rng, rows: rng.poisson(8, rows),
    "Poisson, mean 30": lambda rng, rows: rng.poisson(30, rows),
    "Poisson, mean 300": lambda rng, rows: rng.poisson(300, rows),
    "geometric, p = 0.1": lambda rng, rows: rng.geometric(0.1, rows),
    "geometric, p = 0.01": lambda rng, rows: rng.geometric(0.01, rows),
    "negative binomial": lambda rng, rows: rng.negative_binomial(0.5, 0.02, rows),
    "counts with a power law": lambda rng, rows: np.minimum(rng.zipf(1.5, rows), 10**9),
    "prices in cents": cents,
    "prices in cents, most end in 99": retail_cents,
    "prices of 300 products": catalog_cents,
    "seconds since 1970": lambda rng, rows: 1_700_000_000 + rng.integers(0, 86_400 * 30, rows),
    "years": lambda rng, rows: 2026 - rng.geometric(0.08, rows),
    "uniform, 0 to 99": lambda rng, rows: rng.integers(0, 100, rows),
}
IDS: dict[str, Family] = {
    **{f"{ids:,} ids, equal": population(ids, 0) for ids in (30, 100, 1000, 10_000)},
    **{f"{ids:,} ids, Zipf 0.5": population(ids, 0.5) for ids in (30, 100, 1000, 10_000)},
    **{f"{ids:,} ids, Zipf 1": population(ids, 1) for ids in (30, 100, 1000, 10_000)},
    "20 codes of 31 bits, Zipf 1": hashed(20, 1),
    "100 codes of 31 bits, Zipf 0.5": hashed(100, 0.5),
    "1,000 codes of 31 bits, equal": hashed(1000, 0),
    "1,000 codes of 31 bits, Zipf 1": hashed(1000, 1),
    "1,000 ids, older ones more frequent": older_are_more_frequent,
    "1,000 ids numbered by frequency": by_frequency,
    "codes in five blocks": in_blocks,
}


def print_families(title: str, families: dict[str, Family]) -> None:
    """Print the percentage of the columns of each family that are compared as categories, by rows."""
    print(f"### {title}: percent compared as categories\n")
    print(f"| values | {' | '.join(f'{rows:,} rows' for rows in ROWS)} |\n|---|{'---|' * len(ROWS)}")
    for name, draw in families.items():
        shares = []
        for rows in ROWS:
            drawn = (draw(np.random.default_rng([rows, seed]), rows) for seed in range(REPETITIONS))
            types = [classify_integers([pa.array(column)], BINS).column_type for column in drawn]
            shares.append(f"{100 * types.count('categorical') / REPETITIONS:.0f}")
        print(f"| {name} | {' | '.join(shares)} |")
    print()


def print_files(paths: list[str]) -> None:
    """Print the choice for each integer column of each file, on all of its rows."""
    for path in paths:
        for field in pq.read_schema(path):
            if pa.types.is_integer(field.type):
                chosen = classify_integers(pq.read_table(path, columns=[field.name])[field.name].chunks, BINS)
                print(f"| {path} | {field.name} | {chosen.column_type} | {chosen.reason} |")


if __name__ == "__main__":
    if sys.argv[1:]:
        print_files(sys.argv[1:])
    else:
        print_families("Quantities", QUANTITIES)
        print_families("Ids", IDS)
