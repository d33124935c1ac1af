"""CompressedDot: dot products of each field with a few compressed vectors instead of with every other field."""

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import tensorflow as tf
import tf_keras

from models.blocks import MAX_WIDTH, MLP, BatchNorm, check_maximum, check_widths, logit_head
from models.inputs import Inputs
from models.recording import Dense, Recorded
from models.seeds import PathInitializer
from models.tower import Tower

Structure: TypeAlias = Literal["stacked", "parallel"]


class FeatureCompression(Recorded):
    """Dot products of n vectors of width k with c compressed vectors: n k c products instead of n^2 k for all pairs.

        Y = X^T C,    output = [X Y, Y],    C [n, c]

    Each group of vectors has its own C, and Y `[k, columns]` is their concatenation: columns = groups * c. With
    `hidden`, Y depends on the example: Y = MLP(flatten(X^T C)), with relu between the layers and a linear last layer.

    Source: AllInt (plain) and CDot (adapting) of bytedance/monolith, monolith/native_training/layers/feature_cross.py;
    groups are an addition of this project.

    Args:
        groups: positions of each group's vectors in X, ascending; each position is in exactly one group.
        compressed: number c of compressed vectors per group. A larger value keeps more and costs more.
        hidden: widths of the MLP; empty: Y does not depend on the example.
        initializer: Keras name of the initializer of the matrices.
        seed: seed of the experiment, from which initial weights and dropout are derived.

    Call: X `[batch, n, k]` -> `[batch, n * columns + k * columns]`.
    """

    def __init__(
        self, groups: Sequence[Sequence[int]], compressed: int, hidden: Sequence[int], initializer: str, seed: int
    ) -> None:
        super().__init__(name="compression")
        self.groups = tuple(tuple(positions) for positions in groups)
        self.compressed, self.hidden = compressed, tuple(hidden)
        self.initializer, self.seed = initializer, seed

    def build(self, input_shape: tf.TensorShape) -> None:
        self.matrices = [
            self.add_weight(
                name=f"matrix_{index}",
                shape=[len(group), self.compressed],
                initializer=PathInitializer(self.initializer, self.seed, f"compression/{index}"),
            )
            for index, group in enumerate(self.groups)
        ]
        flat = input_shape[-1] * len(self.groups) * self.compressed
        self.adaptation = [
            Dense(
                units,
                activation="relu" if index < len(self.hidden) else None,
                kernel_initializer=PathInitializer(self.initializer, self.seed, f"compression/adaptation/{index}"),
                name=f"adaptation_{index}",
            )
            for index, units in enumerate((*self.hidden, flat) if self.hidden else ())
        ]
        super().build(input_shape)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        fields, width, columns = x.shape[1], x.shape[2], len(self.groups) * self.compressed
        members = [x]
        if len(self.groups) > 1:
            vectors = tf.unstack(x, axis=1)
            members = [tf.stack([vectors[position] for position in group], axis=1) for group in self.groups]
        pairs = zip(members, self.matrices, strict=True)
        y = tf.concat([tf.matmul(group, matrix, transpose_a=True) for group, matrix in pairs], axis=2)
        flat = tf.reshape(y, [-1, width * columns])
        for dense in self.adaptation:
            flat = dense(flat)
        dots = tf.matmul(x, tf.reshape(flat, [-1, width, columns]))
        return tf.concat([tf.reshape(dots, [-1, fields * columns]), flat], axis=1)


class CompressedDot(Tower):
    """Dot products of the fields with compressed fields, below or parallel to the MLP `deep`.

        stacked   logit = head(deep([x_0, dots, compressed]))
        parallel  logit = head([dots, compressed, deep(x_0)])

    `[dots, compressed]` is the `FeatureCompression` of the embeddings at the start of x_0, which must all have one
    width. The rest of x_0, such as plain numeric features, reaches only `deep`.

    Args:
        compressed: number of vectors that the fields, or each group of them, are compressed into, at least 1. A larger
            value keeps more and costs more.
        compress_hidden: widths of an MLP that adapts the compressed vectors to the example; empty: no MLP.
        groups: groups of field names that are compressed separately, each field in exactly one group; None: one group
            of all fields.
        structure: arrangement of the dot products and the MLP: `stacked` (below it) or `parallel`.
        hidden: widths of the layers of the MLP `deep`, first to last. More or wider layers fit more and cost more.
        batch_norm: True adds batch normalization before each activation of the MLP; a `BatchNorm`, such as
            `{epsilon: 1.0e-5}`, sets its numbers.
        dropout: fraction of the MLP's activations set to zero in training, 0 to below 1. A larger value regularizes
            more; 0 turns it off.
        initializer: Keras name of the initializer of the kernels, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment, from which initial weights and dropout are derived.

    Call: x_0 `[batch, width]`, step (scalar, for dropout) -> logit `[batch]`; after `connect`.
    """

    def __init__(
        self,
        compressed: int = 4,
        compress_hidden: tuple[int, ...] = (),
        groups: tuple[tuple[str, ...], ...] | None = None,
        structure: Structure = "stacked",
        hidden: tuple[int, ...] = (400, 400, 400),
        batch_norm: bool | BatchNorm = True,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(name="compressed_dot")
        if structure not in get_args(Structure):
            raise ValueError(f"structure must be one of {', '.join(get_args(Structure))}. Received: {structure!r}")
        if min((compressed, *compress_hidden)) < 1:
            raise ValueError(
                f"compressed and compress_hidden must be at least 1. "
                f"Received: compressed={compressed}, compress_hidden={list(compress_hidden)}"
            )
        check_maximum(MAX_WIDTH, compressed=compressed)
        check_widths("compress_hidden", compress_hidden)
        if groups is not None and not all(groups):
            raise ValueError(f"groups must not contain an empty group. Received: {[list(group) for group in groups]}")
        self.compressed, self.compress_hidden, self.structure = compressed, tuple(compress_hidden), structure
        self._groups, self.initializer, self.seed = groups, initializer, seed
        self.compression: FeatureCompression | None = None
        self.deep = MLP(hidden, batch_norm, dropout, initializer, seed, "deep")
        self.head = logit_head(initializer, seed)

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers."""
        compression = [] if self.compression is None else [self.compression]
        return {"compression": compression, "deep": [self.deep], "head": [self.head]}

    def connect(self, inputs: Inputs) -> None:
        """Create the compression of the embeddings at the start of x_0.

        Raises:
            ValueError: the embeddings differ in width or are fewer than two, or `groups` does not name each field once.
        """
        known, width = inputs.fields_of_one_width("compressed_dot")
        groups = [known] if self._groups is None else self._groups
        grouped = [name for group in groups for name in group]
        faults = {
            "missing": [name for name in known if name not in grouped],
            "unknown": [name for name in grouped if name not in known],
            "repeated": [name for name in known if grouped.count(name) > 1],
        }
        if any(faults.values()):
            violations = "; ".join(f"{fault}: {', '.join(names)}" for fault, names in faults.items() if names)
            raise ValueError(f"groups must name each field once. {violations}; known: {', '.join(known)}")
        positions = [sorted(known.index(name) for name in group) for group in groups]
        self.compression = FeatureCompression(
            positions, self.compressed, self.compress_hidden, self.initializer, self.seed
        )
        self.fields, self.width = len(known), width

    def call(self, x0: tf.Tensor, step: tf.Tensor, training: bool = False) -> tf.Tensor:
        assert self.compression is not None, "call connect first"
        vectors = tf.reshape(x0[:, : self.fields * self.width], [-1, self.fields, self.width])
        crossed = self.compression(vectors)
        if self.structure == "stacked":
            x = self.deep(tf.concat([x0, crossed], axis=1), step, training=training)
        else:
            x = tf.concat([crossed, self.deep(x0, step, training=training)], axis=1)
        return tf.squeeze(self.head(x), axis=1)
