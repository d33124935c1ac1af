"""Examples that a classical model is fitted on: encoded, in memory, and bounded in number."""

from dataclasses import dataclass

import numpy as np

from features import Batch, Encoder, RowGroup, count_rows, draw_sample

MAX_EXAMPLES = 1_000_000  # of a split; a larger split is sampled


@dataclass(frozen=True)
class Examples:
    """Encoded examples of one split, in file order."""

    batch: Batch
    """Batch of all examples."""
    total: int
    """Number of examples of the split. It is larger than the batch if the split was sampled."""

    @property
    def rows(self) -> int:
        """Number of examples in the batch."""
        return len(self.batch["label"])

    @property
    def weight(self) -> np.ndarray:
        """Weights of the examples, float64 `[rows]`."""
        return self.batch["weight"].astype(np.float64)


def read_examples(row_groups: list[RowGroup], encoder: Encoder, seed: int, maximum: int = MAX_EXAMPLES) -> Examples:
    """Read and encode a split, or about `maximum` of its examples, each equally likely.

    Memory holds one row group as it is read, and the encoded examples.

    Args:
        row_groups: row groups of the split.
        encoder: encoder fitted on the training data.
        seed: seed of the sample. A split with at most `maximum` examples is read whole, whatever the seed.
        maximum: number of examples above which the split is sampled.

    Raises:
        DataError: the data is invalid.
    """
    tables = draw_sample(row_groups, encoder.input_columns, seed, rows=maximum)
    batches = [encoder(table, str(group)) for group, table in zip(row_groups, tables, strict=True)]
    keys = batches[0].keys()
    return Examples({key: np.concatenate([batch[key] for batch in batches]) for key in keys}, count_rows(row_groups))
