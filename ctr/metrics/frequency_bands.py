"""Bands of the frequency of ids in the training data."""

from enum import StrEnum


class Band(StrEnum):
    """Frequency of an id in the training data, the rarest first."""

    MISSING = "missing"
    NOT_IN_VOCABULARY = "not_in_vocabulary"
    FROM_1 = "1_to_9"
    FROM_10 = "10_to_99"
    FROM_100 = "100_to_999"
    FROM_1000 = "1000_or_more"


BANDS = tuple(Band)
