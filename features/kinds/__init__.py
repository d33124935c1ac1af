"""Feature types, by the `type` of a config."""

from features.kinds.categorical import Categorical
from features.kinds.cross import Cross, SequenceCross
from features.kinds.feature import Feature
from features.kinds.numeric import Numeric
from features.kinds.sequence import Sequence

KINDS: dict[str, type[Feature]] = {
    "categorical": Categorical,
    "numeric": Numeric,
    "sequence": Sequence,
    "cross": Cross,
    "sequence_cross": SequenceCross,
}
"""`type` of a config -> its class. A new feature type is one class and one entry here."""
