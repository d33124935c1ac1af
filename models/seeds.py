"""Random numbers as pure functions of (seed, path), independent of the order in which layers are created."""

import hashlib
import math
from typing import Any

import tensorflow as tf
import tf_keras

MAX_NUMBERS = 2**31  # many TensorFlow kernels count elements with 32 bits


def seed_of(*parts: int | str) -> int:
    """Return a 31-bit seed that depends only on `parts` and is the same in every process.

    >>> seed_of(1, "deep/0") == seed_of(1, "deep/0"), seed_of(1, "deep/0") == seed_of(1, "deep/1")
    (True, False)
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") >> 1


class PathInitializer(tf_keras.initializers.Initializer):
    """Keras initializer, by name, seeded by (seed, path, shape).

    The shape is included because a low-rank cross layer uses one initializer for both of its kernels.

    Args:
        name: Keras name of the initializer, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment.
        path: path of the layer, such as `deep/0`.
        settings: other arguments of the initializer, such as `minval` of `random_uniform`.
    """

    def __init__(self, name: str, seed: int, path: str, **settings: float) -> None:
        self.name, self.seed, self.path, self.settings = name, seed, path, settings

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> tf.Tensor:
        if math.prod(shape) >= MAX_NUMBERS:
            raise ValueError(f"{self.path}: a weight must have fewer than 2^31 numbers. Received: {list(shape)}")
        seed = seed_of(self.seed, self.path, *(int(size) for size in shape))
        config = {**self.settings, "seed": seed}
        return tf_keras.initializers.get({"class_name": self.name, "config": config})(shape, dtype, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "seed": self.seed, "path": self.path, **self.settings}
