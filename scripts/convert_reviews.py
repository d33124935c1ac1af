"""Reviews of Amazon into behavior sequences: what a user reviewed next, after what came before."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from convert_files import SETS, Mistake
from convert_logs import open_log
from numpy.typing import NDArray

HISTORY = 50  # items, at most, that a row looks back on


@dataclass(frozen=True)
class Reviews:
    """The reviews of a file, in its order; users and items are numbered from 1 as they first appear."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    times: NDArray[np.int64]
    """Seconds since 1970."""
    names: list[str]
    """Of the users."""
    item_count: int


def read_reviews(path: Path) -> Reviews:
    """Read one JSON object a line, gzipped or not, of which three keys count.

    Raises:
        Mistake: a line that is no review, or a file without lines.
    """
    users: dict[str, int] = {}
    items: dict[str, int] = {}
    rows: list[tuple[int, int, int]] = []
    with open_log(path, path.name) as stream:
        for number, line in enumerate(stream, 1):
            user, item, time = parse_review(line, f"{path}, line {number}")
            rows.append((users.setdefault(user, len(users) + 1), items.setdefault(item, len(items) + 1), time))
    if not rows:
        raise Mistake(f"{path}: has no rows; download it again")
    user_ids, item_ids, times = np.array(rows, np.int64).T
    return Reviews(user_ids, item_ids, times, list(users), len(items))


def parse_review(line: bytes, where: str) -> tuple[str, str, int]:
    """The reviewer, the item and the time of a line.

    Raises:
        Mistake: the line is no JSON object, or one of the three is not as it should be.
    """
    try:
        review = json.loads(line.rstrip())
    except ValueError as error:  # no JSON, or no UTF-8
        problem = str(error).replace("line 1 column", "column")[:80]
        raise Mistake(f"{where}: not JSON ({problem}); is it the right file, and all of it?") from error
    keys = ["reviewerID", "asin", "unixReviewTime"]
    for key in keys:
        if not isinstance(review, dict) or key not in review:
            raise Mistake(f"{where}: not a review with {', '.join(keys)}, for it has no {key}; is it the right file?")
    user, item, time = (review[key] for key in keys)
    for key, name in (("reviewerID", user), ("asin", item)):
        if not isinstance(name, str) or not name:
            raise Mistake(f"{where}: {key} is a name; this is {repr(name)[:80]}")
    if type(time) is not int or not 0 <= time < 1 << 63:  # JSON's true is an int, too
        raise Mistake(f"{where}: unixReviewTime is seconds since 1970; this is {repr(time)[:80]}")
    return user, item, time


def read_sequences(path: Path, seed: int) -> dict[str, pa.RecordBatch]:
    """The rows of train, valid and test, by the name of their file, each set in a random order.

    Each review but the first of its user is a positive row, with the items before it; a negative row repeats it with
    an item that the user never reviewed. A user's last review goes to test, the second last to valid, the others to
    train. A user with fewer than three reviews has no second last one with items before it: its rows go to train.

    Raises:
        Mistake: a line that is no review, or a user who reviewed every item.
    """
    reviews, rng = read_reviews(path), np.random.default_rng(seed)
    by_user = np.lexsort((reviews.times, reviews.users))  # stable: ties stay in the order of the file
    users, items = reviews.users[by_user], reviews.items[by_user]
    counts = np.bincount(users)
    before = np.arange(len(users)) - (np.cumsum(counts) - counts)[users]  # how many reviews of the user are earlier
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
    """An item for each of `users`, each of those that the user never reviewed as likely as the others.

    Raises:
        Mistake: one of `users` reviewed every item.
    """
    base = reviews.item_count + 1
    reviewed = np.unique(reviews.users * base + reviews.items)
    full = np.bincount(reviewed // base)[users] == reviews.item_count
    if full.any():
        name = reviews.names[users[full.argmax()] - 1]
        raise Mistake(f"{path}: {name} reviewed every item, so none is left for a negative row; is it all of the file?")
    drawn = np.zeros(len(users), np.int64)
    left = np.arange(len(users))
    while len(left):  # what the user reviewed is drawn again
        drawn[left] = rng.integers(1, base, len(left))
        left = left[np.isin(users[left] * base + drawn[left], reviewed)]
    return drawn
