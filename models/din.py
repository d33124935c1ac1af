"""DIN: a history is summed with weights that depend on the candidate."""

from dataclasses import replace
from typing import Literal

import tensorflow as tf
import tf_keras

from models.blocks import MLP, Activation, check_widths, logit_head
from models.inputs import Behaviors, Field, Inputs
from models.recording import Dense, Recorded
from models.seeds import PathInitializer
from models.tower import Tower


class Attention(Recorded):
    """The local activation unit (Zhou et al. 2018, arXiv 1706.06978, section 4.3).

        score_j = MLP([t, h_j, t - h_j, t * h_j]),    pooled = sum over the history of score_j h_j

    The MLP ends in one linear unit. With `softmax` the scores of a history sum to 1; without, as in the paper, they
    keep how strong an interest is. An empty history gives the zero vector.

    Args:
        hidden: widths of the MLP.
        activation: of the MLP: `sigmoid` or `relu`.
        softmax: over the history.
        initializer: of the kernels, a Keras name.
        seed: the experiment's seed.
        path: of this unit, such as `attention/history`.
        name: of the layer.

    Call: target [batch, dim], behaviors (vectors [batch, length, dim], mask [batch, length]) -> [batch, dim].
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
                activation=activation if place < len(hidden) else None,
                kernel_initializer=PathInitializer(initializer, seed, f"{path}/{place}"),
                name=f"dense_{place}",
            )
            for place, units in enumerate((*hidden, 1))
        ]

    def call(self, target: tf.Tensor, behaviors: Behaviors) -> tf.Tensor:
        vectors, mask = (tf.cast(part, target.dtype) for part in behaviors)
        places = tf.where(mask > 0)  # only what is there is scored: most of a batch of histories is padding
        h = tf.gather_nd(vectors, places)  # [behaviors, dim]
        t = tf.gather(target, places[:, 0])
        x = tf.concat([t, h, t - h, t * h], axis=1)
        for dense in self.scorer:
            x = dense(x)
        scores = tf.scatter_nd(places, tf.squeeze(x, axis=1), tf.shape(mask, tf.int64))
        if self.softmax:
            scores = mask * tf.nn.softmax(tf.where(mask > 0, scores, scores.dtype.min))
        return tf.squeeze(tf.matmul(scores[:, None], vectors), axis=1)


class DIN(Tower):
    """Deep Interest Network (Zhou et al. 2018, arXiv 1706.06978): logit = head(deep([x_0, pooled histories])).

    Each history is pooled by `Attention` to its target, the vector of a categorical of the same width, often of the
    same table. What a sequence's own `pooling` makes of it is part of x_0; with `pooling: none` nothing is.

    Args:
        targets: sequence -> its target.
        attention: hidden widths of the attention units.
        attention_activation: in them: `sigmoid` or `relu`.
        softmax: over a history's scores; the paper has none.
        hidden: widths of the MLP `deep`.
        activation: of the MLP: `relu`, `prelu` or `dice`.
        batch_norm: in the MLP.
        dropout: in the MLP.
        initializer: of the kernels, a Keras name.
        seed: the experiment's seed.

    Call: x_0 [batch, width], step (scalar, for dropout), for each history the branches `din/<sequence>` (`Behaviors`)
    and `din/<sequence>/target` [batch, dim] -> logit [batch].
    """

    def __init__(
        self,
        targets: dict[str, str],
        attention: tuple[int, ...] = (80, 40),
        attention_activation: Literal["sigmoid", "relu"] = "sigmoid",
        softmax: bool = False,
        hidden: tuple[int, ...] = (200, 80),
        activation: Activation = "dice",
        batch_norm: bool = True,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(name="din")
        if not targets:
            raise ValueError("targets: din needs a history and its target, such as {history: item}")
        self._targets = tuple(targets.items())
        self.attention = [
            Attention(  # a feature's name may be no name of a scope
                attention,
                attention_activation,
                softmax,
                initializer,
                seed,
                f"attention/{history}",
                f"attention_{place}",
            )
            for place, history in enumerate(targets)
        ]
        self.deep = MLP(hidden, batch_norm, dropout, initializer, seed, "deep", activation)
        self.head = logit_head(initializer, seed)

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers."""
        return {"attention": self.attention, "deep": [self.deep], "head": [self.head]}

    def extend(self, inputs: Inputs) -> Inputs:
        """Return the inputs with a branch for each history and another for its target."""
        fields = []
        for name, target_name in self._targets:
            history, target = inputs.history(name, "targets"), inputs.category(target_name, "targets")
            if history.table is None or target.table is None:
                raise ValueError(f"targets: {name!r} and {target_name!r} need vectors; a cross of dim 1 has none")
            widths = [inputs.table(table).dim for table in (history.table, target.table)]
            if widths[0] != widths[1]:
                raise ValueError(f"targets: {name!r} and {target_name!r} need vectors of one width. Received: {widths}")
            fields.append(Field(f"{name}/target", target.table, target.column, branch=f"din/{name}/target"))
            fields.append(Field(f"{name}/behaviors", history.table, sequence=name, branch=f"din/{name}"))
        return replace(inputs, fields=(*inputs.fields, *fields))

    def call(self, x0: tf.Tensor, step: tf.Tensor, training: bool = False, **branches: tf.Tensor) -> tf.Tensor:
        pooled = [
            unit(branches[f"din/{history}/target"], branches[f"din/{history}"])
            for unit, (history, _) in zip(self.attention, self._targets, strict=True)
        ]
        x = tf.concat([x0, *(tf.cast(one, x0.dtype) for one in pooled)], axis=1)
        return tf.squeeze(self.head(self.deep(x, step, training=training)), axis=1)
