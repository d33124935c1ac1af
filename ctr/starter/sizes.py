"""Settings of the model and of its training by the size of the data."""

from dataclasses import dataclass

RARE = 10
"""Rows that an example of the rarer label counts as. With few positives, more negatives teach a model little."""


@dataclass(frozen=True)
class Sizes:
    """Settings that depend on the size of the training data."""

    model: str
    """Model, if the user names none."""
    dim: int
    cross_layers: int
    hidden: tuple[int, ...]
    batch_norm: bool
    dropout: float
    learning_rate: float
    """Learning rate of the embedding tables."""
    l2_gradient: float
    """L2 penalty of the embeddings."""
    batch_size: int
    epochs: int
    """Maximum number of epochs."""
    factor: float
    """Factor of the learning rates after an epoch without improvement."""
    metric: str
    """Metric of early stopping."""


BOTH = "auc - log_loss"
STEPS = {
    30_000: Sizes("wide_deep", 8, 1, (64,), False, 0.3, 0.01, 0.01, 256, 20, 0.3, BOTH),
    150_000: Sizes("dcn_v2", 8, 2, (128, 64), False, 0.3, 0.005, 0.01, 512, 20, 0.3, BOTH),
    1_000_000: Sizes("dcn_v2", 16, 2, (256, 128), True, 0.2, 0.02, 0.02, 1024, 30, 0.3, "auc"),
    10_000_000: Sizes("dcn_v2", 16, 3, (256, 128), True, 0.1, 0.02, 0.01, 4096, 10, 0.1, "auc"),
}
"""Number of effective rows -> settings for fewer. With few rows, embeddings learn slowly and early stopping minds the
log loss, because the model would memorize the rows. With the fewest, wide weights learn like logistic regression."""
LARGEST = Sizes("dcn_v2", 16, 3, (400, 400), True, 0.0, 0.02, 0.01, 4096, 3, 0.1, "auc")


def sizes_for(rows: int, positive_rate: float) -> Sizes:
    """Return settings for training data.

    Args:
        rows: number of training rows.
        positive_rate: fraction of rows with label 1, 0 to 1. A rare label makes the data smaller.

    >>> sizes_for(10_000, 0.5).batch_size, sizes_for(20_000_000, 0.5).batch_size
    (256, 4096)
    >>> sizes_for(200_000, 0.01).batch_size  # 2,000 positives
    256
    """
    effective = min(rows, RARE * rows * min(positive_rate, 1 - positive_rate))
    return next((sizes for bound, sizes in STEPS.items() if effective < bound), LARGEST)
