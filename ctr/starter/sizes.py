"""Settings of the model and of its training by the size of the data."""

from dataclasses import dataclass

ROWS_PER_RARE_LABEL = 10
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


AUC_AND_LOG_LOSS = "auc - log_loss"
STEPS = {
    30_000: Sizes(
        model="wide_deep",
        dim=8,
        cross_layers=1,
        hidden=(64,),
        batch_norm=False,
        dropout=0.3,
        learning_rate=0.01,
        l2_gradient=0.01,
        batch_size=256,
        epochs=20,
        factor=0.3,
        metric=AUC_AND_LOG_LOSS,
    ),
    150_000: Sizes(
        model="dcn_v2",
        dim=8,
        cross_layers=2,
        hidden=(128, 64),
        batch_norm=False,
        dropout=0.3,
        learning_rate=0.005,
        l2_gradient=0.01,
        batch_size=512,
        epochs=20,
        factor=0.3,
        metric=AUC_AND_LOG_LOSS,
    ),
    1_000_000: Sizes(
        model="dcn_v2",
        dim=16,
        cross_layers=2,
        hidden=(256, 128),
        batch_norm=True,
        dropout=0.2,
        learning_rate=0.02,
        l2_gradient=0.02,
        batch_size=1024,
        epochs=30,
        factor=0.3,
        metric="auc",
    ),
    10_000_000: Sizes(
        model="dcn_v2",
        dim=16,
        cross_layers=3,
        hidden=(256, 128),
        batch_norm=True,
        dropout=0.1,
        learning_rate=0.02,
        l2_gradient=0.01,
        batch_size=4096,
        epochs=10,
        factor=0.1,
        metric="auc",
    ),
}
"""Number of effective rows -> settings for data with fewer. In small data, models memorize the rows. Embeddings
therefore learn slowly, and early stopping monitors the log loss as well as the AUC. With the fewest rows, wide weights
learn like logistic regression."""
LARGEST = Sizes(
    model="dcn_v2",
    dim=16,
    cross_layers=3,
    hidden=(400, 400),
    batch_norm=True,
    dropout=0.0,
    learning_rate=0.02,
    l2_gradient=0.01,
    batch_size=4096,
    epochs=3,
    factor=0.1,
    metric="auc",
)


def sizes_for(rows: int, positive_rate: float) -> Sizes:
    """Return settings for training data.

    Args:
        rows: number of rows that `ctr init` reads: training rows if files are named after splits, otherwise all rows.
        positive_rate: fraction of rows with label 1, 0 to 1. A rare label makes the data smaller.

    >>> sizes_for(10_000, 0.5).batch_size, sizes_for(20_000_000, 0.5).batch_size
    (256, 4096)
    >>> sizes_for(200_000, 0.01).batch_size  # 2,000 positives
    256
    """
    effective_rows = min(rows, ROWS_PER_RARE_LABEL * rows * min(positive_rate, 1 - positive_rate))
    return next((sizes for bound, sizes in STEPS.items() if effective_rows < bound), LARGEST)
