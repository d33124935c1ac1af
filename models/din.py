"""DIN: the embeddings of a behavior sequence are summed with weights that depend on the candidate."""

from dataclasses import replace
from typing import Literal

import tensorflow as tf
import tf_keras

from models.blocks import MLP, Activation, BatchNorm, check_widths, logit_head
from models.inputs import Behaviors, Field, Inputs
from models.recording import Dense, Recorded
from models.seeds import PathInitializer
from models.tower import Tower


class Attention(Recorded):
    """Local activation unit (Zhou et al. 2018, arXiv 1706.06978, section 4.3).

        score_j = MLP([t, h_j, t - h_j, t * h_j]),    pooled = sum over j of score_j h_j

    The MLP ends in one linear unit. With `softmax`, the scores of a sequence sum to 1. Without it, as in the paper,
    they keep the strength of the interest. An empty sequence gives the zero vector.

    Args:
        hidden: widths of the MLP.
        activation: activation of the MLP: `sigmoid` or `relu`.
        softmax: True normalizes the scores of a sequence by a softmax.
        initializer: Keras name of the initializer of the kernels, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment, from which initial weights and dropout are derived.
        path: path of the unit in the model, such as `attention/hist_items`.
        name: name of the layer.

    Call: target `[batch, dim]`, behaviors (embeddings `[batch, length, dim]`, mask `[batch, length]`) -> `[batch,
    dim]`.
    """

    def __init__(
        self,
        hidden: tuple[int, ...],
        activation: Literal["sigmoid", "relu"],
        softmax: bool,
        initializer: str,
        seed: int,
        path: str,
        name: str,
    ) -> None:
        super().__init__(name=name)
        check_widths("attention", hidden)
        self.softmax = softmax
        self.scorer = [
            Dense(
                units,
                activation=activation if index < len(hidden) else None,
                kernel_initializer=PathInitializer(initializer, seed, f"{path}/{index}"),
                name=f"dense_{index}",
            )
            for index, units in enumerate((*hidden, 1))
        ]

    def call(self, target: tf.Tensor, behaviors: Behaviors) -> tf.Tensor:
        vectors, mask = (tf.cast(tensor, target.dtype) for tensor in behaviors)
        positions = tf.where(mask > 0)  # padding, which is most of a batch of sequences, is not scored
        h = tf.gather_nd(vectors, positions)  # [behaviors, dim]
        t = tf.gather(target, positions[:, 0])
        x = tf.concat([t, h, t - h, t * h], axis=1)
        for dense in self.scorer:
            x = dense(x)
        scores = tf.scatter_nd(positions, tf.squeeze(x, axis=1), tf.shape(mask, tf.int64))
        if self.softmax:
            scores = mask * tf.nn.softmax(tf.where(mask > 0, scores, scores.dtype.min))
        return tf.squeeze(tf.matmul(scores[:, None], vectors), axis=1)


class DIN(Tower):
    """Deep Interest Network (Zhou et al. 2018, arXiv 1706.06978): logit = head(deep([x_0, pooled sequences])).

    `Attention` pools each behavior sequence by its candidate: a categorical feature with an embedding of the same
    width, often from the same table. The result of a sequence's own `pooling` is part of x_0; with `pooling: none`
    there is no such part.

    Args:
        targets: sequence feature -> its candidate, a categorical feature.
        attention: widths of the hidden layers of the attention units. More or wider layers fit more and cost more per
            behavior.
        attention_activation: activation in the attention units: `sigmoid` or `relu`.
        softmax: True normalizes the scores of a sequence by a softmax; the paper does not.
        hidden: widths of the layers of the MLP `deep`, first to last. More or wider layers fit more and cost more.
        activation: activation of the MLP: `relu`, `prelu` or `dice`.
        batch_norm: True adds batch normalization before each activation of the MLP; a `BatchNorm`, such as
            `{epsilon: 1.0e-5}`, sets its numbers.
        dropout: fraction of the MLP's activations set to zero in training, 0 to below 1. A larger value regularizes
            more; 0 turns it off.
        initializer: Keras name of the initializer of the kernels, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment, from which initial weights and dropout are derived.

    Call: x_0 `[batch, width]`, step (scalar, for dropout), for each sequence the branches `din/<sequence>`
    (`Behaviors`) and `din/<sequence>/target` `[batch, dim]` -> logit `[batch]`.
    """

    def __init__(
        self,
        targets: dict[str, str],
        attention: tuple[int, ...] = (80, 40),
        attention_activation: Literal["sigmoid", "relu"] = "sigmoid",
        softmax: bool = False,
        hidden: tuple[int, ...] = (200, 80),
        activation: Activation = "dice",
        batch_norm: bool | BatchNorm = True,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(name="din")
        if not targets:
            raise ValueError("targets: din needs a sequence and its candidate. Add one, such as {hist_items: item_id}.")
        self._targets = tuple(targets.items())
        self.attention = [
            Attention(  # named by index, because a feature's name is not always a valid scope
                attention,
                attention_activation,
                softmax,
                initializer,
                seed,
                f"attention/{sequence}",
                f"attention_{index}",
            )
            for index, sequence in enumerate(targets)
        ]
        self.deep = MLP(hidden, batch_norm, dropout, initializer, seed, "deep", activation)
        self.head = logit_head(initializer, seed)

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers."""
        return {"attention": self.attention, "deep": [self.deep], "head": [self.head]}

    def extend(self, inputs: Inputs) -> Inputs:
        """Return the inputs with one branch for each sequence and one for its candidate."""
        fields = []
        for name, target_name in self._targets:
            sequence, target = inputs.sequence(name, "targets"), inputs.category(target_name, "targets")
            if sequence.table is None or target.table is None:
                raise ValueError(
                    f"targets: {name!r} and {target_name!r} need embeddings, which a cross of dim 1 lacks. Set its dim."
                )
            widths = [inputs.table(table).dim for table in (sequence.table, target.table)]
            if widths[0] != widths[1]:
                raise ValueError(f"targets: {name!r} and {target_name!r} must have one dim. Received: {widths}")
            fields.append(Field(f"{name}/target", target.table, target.column, branch=f"din/{name}/target"))
            fields.append(Field(f"{name}/behaviors", sequence.table, sequence=name, branch=f"din/{name}"))
        return replace(inputs, fields=(*inputs.fields, *fields))

    def call(self, x0: tf.Tensor, step: tf.Tensor, training: bool = False, **branches: tf.Tensor) -> tf.Tensor:
        pooled = [
            unit(branches[f"din/{sequence}/target"], branches[f"din/{sequence}"])
            for unit, (sequence, _) in zip(self.attention, self._targets, strict=True)
        ]
        x = tf.concat([x0, *(tf.cast(vector, x0.dtype) for vector in pooled)], axis=1)
        return tf.squeeze(self.head(self.deep(x, step, training=training)), axis=1)
