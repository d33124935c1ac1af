"""Write a synthetic click log: ten days of impressions as Parquet, one file per day, sorted by time.

    python scripts/make_sample_data.py OUT_DIR [--rows 200000] [--seed 1] [--rate 0.005]

The label ``clicked`` is Bernoulli(``p_true``) and the logit of ``p_true`` is a planted sum of

* a bias (overall click rate near 0.2, or `--rate`), an item effect, a small user effect and a small hour-of-day effect;
* two crosses of rank 2, segment x category (a strong term) and device x slot, centered by rows and by columns
  under the exposure distribution, so that no sum of single-feature effects can express them;
* numeric effects: log1p(price), a missing price, a bump in ``user_age`` and the freshness in ``item_age_days``;
* how many items of the user's click history share the displayed item's category.

``channel`` has no effect on the click, but its distribution shifts on days 9 and 10, enough for a drift alarm.
Every other feature is stationary. ``p_true`` is the ceiling no model can beat in expectation, never a feature.
The same arguments always give byte-identical files.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
N_DAYS, N_USERS, N_ITEMS, N_SLOTS = 10, 5_000, 2_000, 6
HOUR = 3_600_000_000  # microseconds
FIRST_DAY = int(np.datetime64("2026-01-01", "us").astype(np.int64))
ITEMS = [f"item_{number:05d}" for number in range(N_ITEMS)]
CATEGORIES = [f"category_{number:02d}" for number in range(20)]
SEGMENTS = ["student", "family", "senior", "commuter", "gamer", "traveller", "business", "bargain"]
CATEGORY_OF_ITEM, SEGMENT_OF_USER = np.arange(N_ITEMS) % len(CATEGORIES), np.arange(N_USERS) % len(SEGMENTS)
DEVICES, DEVICE_SHARE = ["phone", "desktop", "tablet", "tv"], np.array([0.50, 0.30, 0.15, 0.05])
SLOT_SHARE = np.full(N_SLOTS, 1 / N_SLOTS)
CHANNELS = ["search", "direct", "email", "social", "partner"]
CHANNEL_SHARE, SHIFTED_CHANNEL_SHARE = (0.35, 0.25, 0.15, 0.15, 0.10), (0.20, 0.18, 0.10, 0.25, 0.27)
FIRST_SHIFTED_DAY = 8  # counted from 0, so the ninth day
MAX_HISTORY = 20
DAILY_CLICKS = 3  # by which a history moves on from one day to the next


def heavy_tail(rng: np.random.Generator, size: int) -> Floats:
    """Return popularity shares by Zipf-Mandelbrot's law, in random order."""
    weights = rng.permutation(1.0 / (np.arange(size) + 10.0) ** 1.2)
    return np.asarray(weights / weights.sum())


def centered_cross(rng: np.random.Generator, rows: Floats, columns: Floats, sd: float) -> Floats:
    """Return a random table of rank 2, with zero row and column means and deviation `sd` under the given shares."""
    table = rng.normal(size=(len(rows), 2)) @ rng.normal(size=(2, len(columns)))
    table -= (table @ columns)[:, None]
    table -= rows @ table
    return np.asarray(table * sd / np.sqrt(rows @ table**2 @ columns))


def times_of_day(rng: np.random.Generator, per_day: int) -> Ints:
    """Return microseconds since midnight, sorted within each day; evenings are busier than nights."""
    share = (1.0 - 0.7 * np.cos(2 * np.pi * (np.arange(24) - 4) / 24)) / 24
    hour = rng.choice(24, (N_DAYS, per_day), p=share)
    return np.sort(hour * HOUR + rng.integers(0, HOUR, hour.shape), axis=1).ravel()


def draw_clicks(rng: np.random.Generator, item_share: Floats, affinity: Floats) -> Ints:
    """Sample each user's clicks in time order, (user, position): the favorite of four offered items."""
    taste = affinity[SEGMENT_OF_USER] + rng.normal(0.0, 1.0, (N_USERS, len(CATEGORIES)))
    offered = rng.choice(N_ITEMS, (N_USERS, MAX_HISTORY + DAILY_CLICKS * (N_DAYS - 1), 4), p=item_share)
    liking = taste[np.arange(N_USERS)[:, None, None], CATEGORY_OF_ITEM[offered]] + rng.gumbel(size=offered.shape)
    return np.take_along_axis(offered, liking.argmax(axis=2)[:, :, None], axis=2)[:, :, 0]


def histories(clicks: Ints, length: Ints, user: Ints, day: Ints) -> tuple[Ints, Ints]:
    """Return each row's latest `length` clicks before its day, oldest first, as list offsets and flat items."""
    offsets = np.concatenate(([0], np.cumsum(length)))
    position = np.arange(offsets[-1]) + np.repeat(MAX_HISTORY + DAILY_CLICKS * day - offsets[1:], length)
    return offsets, clicks[np.repeat(user, length), position]


def count_matches(category: Ints, offsets: Ints, history: Ints) -> Ints:
    """Count the items of each row's history that have the row's category."""
    matches = CATEGORY_OF_ITEM[history] == np.repeat(category, np.diff(offsets))
    return np.diff(np.concatenate(([0], np.cumsum(matches)))[offsets])


def strings(names: list[str], codes: Ints) -> pa.StringArray:
    """Return the name of each code."""
    return pa.array(names).take(pa.array(codes))


def bias_for(rate: float, logit: Floats) -> float:
    """Return the bias of all logits that makes the mean probability equal `rate`."""
    return float(brentq(lambda bias: expit(logit + bias).mean() - rate, -50, 50))


def make_log(rows: int, seed: int, rate: float | None = None) -> pa.Table:
    """Generate the whole click log, sorted by time; `rate` is its mean click probability."""
    rng = np.random.default_rng(seed)
    user_share, item_share = heavy_tail(rng, N_USERS), heavy_tail(rng, N_ITEMS)
    segment_share = np.bincount(SEGMENT_OF_USER, user_share).astype(np.float64)
    category_share = np.bincount(CATEGORY_OF_ITEM, item_share).astype(np.float64)
    affinity = centered_cross(rng, segment_share, category_share, sd=0.65)
    placement = centered_cross(rng, DEVICE_SHARE, SLOT_SHARE, sd=0.45)

    day, time = np.repeat(np.arange(N_DAYS), rows // N_DAYS), times_of_day(rng, rows // N_DAYS)
    user, item = rng.choice(N_USERS, rows, p=user_share), rng.choice(N_ITEMS, rows, p=item_share)
    segment, category = SEGMENT_OF_USER[user], CATEGORY_OF_ITEM[item]
    device, slot = rng.choice(len(DEVICES), rows, p=DEVICE_SHARE), rng.choice(N_SLOTS, rows, p=SLOT_SHARE)
    channel = rng.choice(len(CHANNELS), rows, p=CHANNEL_SHARE)
    shifted_channel = rng.choice(len(CHANNELS), rows, p=SHIFTED_CHANNEL_SHARE)
    price = np.where(rng.random(rows) < 0.05, np.nan, rng.lognormal(rng.normal(3.0, 0.6, N_ITEMS)[item], 0.5))
    age = np.where(rng.random(N_USERS) < 0.15, np.nan, np.clip(rng.normal(40.0, 13.0, N_USERS), 16, 90).round())[user]
    item_age = rng.lognormal(3.0, 1.2, rows)
    length = rng.integers(0, MAX_HISTORY + 1, N_USERS)[user]
    offsets, history = histories(draw_clicks(rng, item_share, affinity), length, user, day)
    no_history = rng.random(rows) < 0.08
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), strings(ITEMS, history), mask=pa.array(no_history))

    logit = (
        -1.65
        + rng.normal(0.0, 0.3, N_ITEMS)[item]
        + rng.normal(0.0, 0.12, N_USERS)[user]
        + affinity[segment, category]
        + placement[device, slot]
        + np.where(np.isnan(price), -0.9, -1.15 * (np.log1p(price) - 3.0))
        + np.where(np.isnan(age), 0.0, 2.0 * np.exp(-(((age - 38) / 9) ** 2)) - 1.0)
        - 0.3 * (np.log1p(item_age) - 3.0)
        + np.where(no_history, 0.0, 0.15 * np.minimum(count_matches(category, offsets, history), 4))
        + 0.15 * np.sin(2 * np.pi * time / (24 * HOUR))
    )
    if rate is not None:
        logit += bias_for(rate, logit)
    p_true = 1.0 / (1.0 + np.exp(-logit))
    columns = {
        "ts": pa.array(FIRST_DAY + day * 24 * HOUR + time, pa.timestamp("us", tz="UTC")),
        "user": pa.array(rng.choice(10**10, N_USERS, replace=False)[user]),
        "item": strings(ITEMS, item),
        "category": strings(CATEGORIES, category),
        "segment": strings(SEGMENTS, segment),
        "device": strings(DEVICES, device),
        "channel": strings(CHANNELS, np.where(day < FIRST_SHIFTED_DAY, channel, shifted_channel)),
        "slot": pa.array(slot + 1, pa.int8()),
        "price": pa.array(price, from_pandas=True),  # from_pandas: NaN becomes null
        "user_age": pa.array(age, pa.int32(), from_pandas=True),
        "item_age_days": pa.array(item_age.astype(np.float32)),
        "history": lists,
        "clicked": pa.array(rng.random(rows) < p_true).cast(pa.int8()),
        "p_true": pa.array(p_true),
    }
    return pa.table(columns)


def write_days(log: pa.Table, out_dir: Path) -> None:
    """Write one Parquet file per day; a file appears under its name only when complete."""
    out_dir.mkdir(parents=True, exist_ok=True)
    per_day = log.num_rows // N_DAYS
    for day in range(N_DAYS):
        path = out_dir / f"day-{day + 1:02d}.parquet"
        unfinished = path.with_suffix(".tmp")
        pq.write_table(log.slice(day * per_day, per_day), unfinished, compression="zstd", row_group_size=8192)
        unfinished.replace(path)


def main() -> None:
    """Write the sample data from the command line."""
    parser = argparse.ArgumentParser(description="Write a synthetic click log of ten days as Parquet.")
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--rows", type=int, default=200_000, help="a multiple of 10 (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, help="mean click probability, between 0 and 1 (default: near 0.2)")
    arguments = parser.parse_args()
    if arguments.rows <= 0 or arguments.rows % N_DAYS:
        parser.error(f"--rows must be a positive multiple of {N_DAYS}, not {arguments.rows}")
    if arguments.rate is not None and not 0 < arguments.rate < 1:
        parser.error(f"--rate must lie between 0 and 1, not {arguments.rate}")
    write_days(make_log(arguments.rows, arguments.seed, arguments.rate), arguments.out_dir)


if __name__ == "__main__":
    main()
