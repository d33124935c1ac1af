"""Converter of Amazon reviews to behavior sequences: the next item of a user, after the earlier ones."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from convert_files import SETS, Mistake
from convert_logs import open_log
from numpy.typing import NDArray

HISTORY = 50  # maximum items in a row's history


@dataclass(frozen=True)
class Reviews:
    """Reviews in the order of the file; users and items are numbered from 1 by first appearance."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    times: NDArray[np.int64]
    """Seconds since 1970."""
    names: list[str]
    """Names of the users."""
    item_count: int


def read_reviews(path: Path) -> Reviews:
    """Read three keys of one JSON object per line, from a gzipped or plain file.

    Raises:
        Mistake: a line is not a review, or the file is empty.
    """
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    rows: list[tuple[int, int, int]] = []
    with open_log(path, path.name) as stream:
        for number, line in enumerate(stream, 1):
            user, item, time = parse_review(line, f"{path}, line {number}")
            rows.append((users.setdefault(user, len(users) + 1), items.setdefault(item, len(items) + 1), time))
    if not rows:
        raise Mistake(f"{path}: no rows. Download it again.")
    user_ids, item_ids, times = np.array(rows, np.int64).T
    return Reviews(user_ids, item_ids, times, list(users), len(items))


def parse_review(line: bytes, where: str) -> tuple[str, str, int]:
    """Return the reviewer, the item and the time of a line.

    Raises:
        Mistake: the line is not a JSON object, or one of the three values is missing or invalid.
    """
    try:
        review = json.loads(line.rstrip())
    except ValueError as error:  # neither JSON nor UTF-8
        problem = str(error).replace("line 1 column", "column")[:80]
        raise Mistake(f"{where}: not JSON ({problem}). Check that the file is right and complete.") from error
    keys = ["reviewerID", "asin", "unixReviewTime"]
    for key in keys:
        if not isinstance(review, dict) or key not in review:
            raise Mistake(f"{where}: key {key!r} not found. Use a file of reviews with {', '.join(keys)}.")
    user, item, time = (review[key] for key in keys)
    for key, name in (("reviewerID", user), ("asin", item)):
        if not isinstance(name, str) or not name:
            raise Mistake(f"{where}: {key} must be a name. Received: {repr(name)[:80]}")
    if type(time) is not int or not 0 <= time < 1 << 63:  # JSON's true is an int, too
        raise Mistake(f"{where}: unixReviewTime must be seconds since 1970. Received: {repr(time)[:80]}")
    return user, item, time


def read_sequences(path: Path, seed: int) -> dict[str, pa.RecordBatch]:
    """Return the rows of train, valid and test by split, each in a random order.

    Each review except a user's first is a positive row, with the earlier items as history. A negative row repeats it
    with an item that the user never reviewed. A user's last review goes to test, the second last to valid, the others
    to train. With fewer than three reviews, the second last has no history, so the rows go to train.

    Raises:
        Mistake: a line is not a review, or a user reviewed every item.
    """
    reviews, rng = read_reviews(path), np.random.default_rng(seed)
    by_user = np.lexsort((reviews.times, reviews.users))  # stable, so ties keep the order of the file
    users, items = reviews.users[by_user], reviews.items[by_user]
    counts = np.bincount(users)
    before = np.arange(len(users)) - (np.cumsum(counts) - counts)[users]  # number of earlier reviews of the user
    rows = np.flatnonzero(before)
    after, count = (counts[users] - 1 - before)[rows], counts[users[rows]]
    sets = np.where(count < 3, 0, np.select([after == 0, after == 1], [2, 1], 0))

    lengths = np.minimum(before[rows], HISTORY)
    ends = np.cumsum(lengths)
    offsets = np.concatenate([[0], ends])
    places = np.arange(offsets[-1]) + np.repeat(rows - ends, lengths)  # a history ends right before its row
    histories = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(items[places], pa.int32()))

    both = np.concatenate([items[rows], draw_negatives(reviews, users[rows], path, rng)])
    blocks = {}
    for number, name in enumerate(SETS):
        positives = np.flatnonzero(sets == number)
        order = rng.permutation(np.concatenate([positives, positives + len(rows)]))
        row = np.where(order < len(rows), order, order - len(rows))
        blocks[name] = pa.record_batch(
            {
                "label": pa.array(order < len(rows)).cast(pa.int8()),
                "user_id": pa.array(users[rows[row]], pa.int32()),
                "item_id": pa.array(both[order], pa.int32()),
                "hist_items": histories.take(pa.array(row)),
            }
        )
    return blocks


def draw_negatives(
    reviews: Reviews, users: NDArray[np.int64], path: Path, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Sample an item for each of `users`, uniformly among the items that the user never reviewed.

    Raises:
        Mistake: one of `users` reviewed every item.
    """
    base = reviews.item_count + 1
    reviewed = np.unique(reviews.users * base + reviews.items)
    full = np.bincount(reviewed // base)[users] == reviews.item_count
    if full.any():
        name = reviews.names[users[full.argmax()] - 1]
        raise Mistake(f"{path}: {name} reviewed every item, so no negative exists. Check that the file is complete.")
    drawn = np.zeros(len(users), np.int64)
    left = np.arange(len(users))
    while len(left):  # resample items that the user reviewed
        drawn[left] = rng.integers(1, base, len(left))
        left = left[np.isin(users[left] * base + drawn[left], reviewed)]
    return drawn
