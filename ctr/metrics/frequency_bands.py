"""Bands of how often the training data has an id."""

from enum import StrEnum


class Band(StrEnum):
    """How often the training data has an id, the rarest first."""

    MISSING = "missing"
    NOT_IN_VOCABULARY = "not_in_vocabulary"
    FROM_1 = "1_to_9"
    FROM_10 = "10_to_99"
    FROM_100 = "100_to_999"
    FROM_1000 = "1000_or_more"


BANDS = tuple(Band)
