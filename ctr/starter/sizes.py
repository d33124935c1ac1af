"""Settings of the model and of its training by the number of rows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Settings that depend on the number of training rows."""

    dim: int
    cross_layers: int
    hidden: tuple[int, ...]
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


STEPS = {
    30_000: Sizes(4, 1, (32,), 0.3, 0.005, 0.01, 256, 20, 0.3),
    150_000: Sizes(8, 2, (128, 64), 0.2, 0.02, 0.01, 1024, 20, 0.3),
    1_000_000: Sizes(16, 2, (256, 128), 0.2, 0.02, 0.02, 1024, 30, 0.3),
    10_000_000: Sizes(16, 3, (256, 128), 0.1, 0.02, 0.01, 4096, 10, 0.1),
}
"""Number of rows -> settings for fewer rows. With few rows, models and embeddings are small and learn slowly, because
they would memorize the rows."""
LARGEST = Sizes(16, 3, (400, 400), 0.0, 0.02, 0.01, 4096, 3, 0.1)


def sizes_for(rows: int) -> Sizes:
    """Return settings for a number of training rows.

    >>> sizes_for(10_000).batch_size, sizes_for(20_000_000).batch_size
    (256, 4096)
    """
    return next((sizes for bound, sizes in STEPS.items() if rows < bound), LARGEST)
