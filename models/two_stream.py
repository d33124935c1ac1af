"""Two streams: two models with embedding tables and losses of their own, whose logits become one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, NamedTuple, TypeAlias, get_args

import tensorflow as tf
import tf_keras

from models.batch_loss import BatchLoss
from models.inputs import Behaviors, Field, Inputs
from models.recording import Dense, Recorded
from models.seeds import PathInitializer
from models.streams import into_stream, out_of_stream, stream_prefix, with_dim
from models.tower import Loss, Tower, TowerOutput, as_output

STREAMS = ("easy", "hard")
Tables: TypeAlias = Literal["separate", "shared"]
Fusion: TypeAlias = Literal["weighted", "sum", "gate"]


class Stream(NamedTuple):
    """Model of a stream, and the width of its embeddings."""

    tower: Tower
    """Any tower whose head has a bias. Two towers of one kind need different seeds."""
    dim: int | None = None
    """Width of the embeddings of all features in the stream; None: the width of each feature."""


class TwoStream(Tower):
    """Two models of one example, each with tables and a loss of its own (TF4CTR, Li et al. 2024, arXiv 2405.03167).

        weighted  logit = w_easy l_easy + w_hard l_hard,    w trained, 0.5 each at the start
        sum       logit = l_easy + l_hard
        gate      logit = g_easy l_easy + g_hard l_hard,    g = softmax(W [x_easy, x_hard] + b)

    l is the logit of a stream, x its input. Each stream also learns from the labels by itself. With t, the probability
    that it gives to the label:

        loss/easy = loss_weight alpha       (focus + t_easy)^gamma      * cross-entropy of l_easy
        loss/hard = loss_weight (1 - alpha) (2 - focus - t_hard)^gamma  * cross-entropy of l_hard

    So with a gamma above 0, `easy` counts examples more that it predicts well, and `hard` those that it predicts badly.
    The factor has a gradient, too.

    With separate tables, a stream reads `streams/<stream>/<table>` in place of the table of a feature. Tables that a
    model adds are those of its stream in any case, such as `streams/easy/wide/<feature>`. The paper's gate reads the
    last hidden layers. Here it reads the inputs, because any model can be a stream.

    Args:
        streams: model of each stream, `easy` and `hard`, with the width of its embeddings in `dim`.
        tables: `separate` gives each stream embedding tables of its own; with `shared`, both read the tables of the
            features.
        fusion: combination of the two logits, `weighted`, `sum` or `gate`. With `sum`, streams and model cannot all
            be calibrated.
        loss_weight: weight of the losses of both streams, at least 0. With 0, they learn from the logit of the model
            only.
        alpha: share of `loss_weight` of the stream `easy`, 0 to 1.
        focus: constant c of the factors, above 0 and below 1. A larger value makes the factors more equal.
        gamma: exponent of the factors, at least 0. 0 gives plain cross-entropies.
        initializer: Keras name of the initializer of the gate, such as `glorot_uniform` or `he_normal`.
        seed: seed of the experiment, from which initial weights are derived.

    Raises:
        ValueError: a stream is missing or unknown, or an argument is out of its range.

    Call: x_0 `[batch, plain numeric features]`, for a stream without embeddings, step (scalar, for dropout), and the
    branches of each stream's model as `streams/<stream>/<branch>` -> `TowerOutput`: logit `[batch]`, losses of the
    streams.

    >>> from models import DCNV2, DNN
    >>> tower = TwoStream({"easy": Stream(DNN([8], seed=1), dim=4), "hard": Stream(DCNV2(hidden=[8], seed=2))})
    >>> list(tower.blocks)
    ['easy', 'hard', 'fusion']
    """

    def __init__(
        self,
        streams: Mapping[str, Stream],
        tables: Tables = "separate",
        fusion: Fusion = "weighted",
        loss_weight: float = 1.0,
        alpha: float = 0.25,
        focus: float = 0.7,
        gamma: float = 1.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(name="two_stream")
        if set(streams) != set(STREAMS):
            raise ValueError(f"streams must be easy and hard. Received: {', '.join(streams) or 'none'}")
        for name, value, known in (("tables", tables, get_args(Tables)), ("fusion", fusion, get_args(Fusion))):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}. Received: {value!r}")
        _check_losses(loss_weight, alpha, focus, gamma)
        self.separate, self.fusion = tables == "separate", fusion
        self._dims = {name: _checked_dim(name, streams[name].dim, self.separate) for name in STREAMS}
        self._loss_weights = {"easy": loss_weight * alpha, "hard": loss_weight * (1 - alpha)}
        self._focus, self._gamma = focus, gamma
        self.easy, self.hard = (_StreamLayer(name, streams[name].tower) for name in STREAMS)
        self.combine = {"weighted": _WeightedSum, "sum": _Sum, "gate": _Gate}[fusion](initializer, seed)

    @property
    def streams(self) -> dict[str, "_StreamLayer"]:
        """Stream -> the layer that holds its model."""
        return {"easy": self.easy, "hard": self.hard}

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """`easy` and `hard`: the model of the stream; `fusion`: the weights or the gate of the streams, if any."""
        fusion = {} if self.fusion == "sum" else {"fusion": [self.combine]}
        return {"easy": [self.easy], "hard": [self.hard], **fusion}

    @property
    def logit_biases(self) -> list[tf.Variable]:
        """Biases of the streams with a gate, whose weights add up to 1; else none, because trained weights do not."""
        return (
            [bias for one in self.streams.values() for bias in one.tower.logit_biases] if self.fusion == "gate" else []
        )

    def start_at(self, logit: float) -> None:
        """Set the biases of both streams, so that an untrained model predicts about `logit`, and so does each stream.

        With the fusion `sum`, each stream predicts half of it.
        """
        for stream in self.streams.values():
            stream.tower.start_at(logit / 2 if self.fusion == "sum" else logit)

    def extend(self, inputs: Inputs) -> Inputs:
        """Return the inputs with tables and fields of both streams; x_0 keeps the plain numeric features alone."""
        tables = {table.name: table for table in inputs.tables}
        kept = frozenset() if self.separate else frozenset(tables)
        fields: list[Field] = []
        for name, stream in self.streams.items():
            own = into_stream(name, stream.tower.extend(with_dim(inputs, self._dims[name])), kept)
            tables |= {table.name: table for table in own.tables}
            fields += own.fields
        return replace(inputs, tables=tuple(tables.values()), fields=tuple(fields))

    def connect(self, inputs: Inputs) -> None:
        """Create the layers of both models that depend on the inputs."""
        for name, stream in self.streams.items():
            stream.tower.connect(out_of_stream(name, inputs))

    def call(
        self, x0: tf.Tensor, step: tf.Tensor, training: bool = False, **branches: tf.Tensor | Behaviors
    ) -> TowerOutput:
        logits, inputs = [], []
        losses: dict[str, Loss] = {}
        for name, stream in self.streams.items():
            prefix = stream_prefix(name)
            own = {key.removeprefix(prefix): value for key, value in branches.items() if key.startswith(prefix)}
            inputs.append(own.pop("deep", x0))  # a model without embeddings reads the plain numeric features alone
            output = stream(inputs[-1], step, training=training, **own)
            logits.append(output.logit)
            losses |= self.losses_of(name, output)
        return TowerOutput(self.combine(tf.stack(logits, axis=1), tf.concat(inputs, axis=1)), losses)

    def losses_of(self, name: str, output: TowerOutput) -> dict[str, Loss]:
        """Return the loss of a stream's logit, and the losses of its model, with the stream's weight; none if it is 0.

        Args:
            name: `easy` or `hard`.
            output: result of the stream's model.
        """
        weight = self._loss_weights[name]
        if weight == 0:
            return {}

        def of_logit(label: tf.Tensor) -> tf.Tensor:
            losses = tf.nn.sigmoid_cross_entropy_with_logits(label, output.logit)
            if self._gamma == 0:
                return weight * losses
            score = tf.sigmoid(output.logit)
            t = label * score + (1 - label) * (1 - score)
            factor = self._focus + t if name == "easy" else 2 - self._focus - t
            return weight * tf.pow(factor, self._gamma) * losses

        return {name: of_logit, **{f"{name}/{key}": _times(weight, loss) for key, loss in output.losses.items()}}


def _times(weight: float, loss: Loss) -> Loss:
    """Return a weight times a loss, which can be a function."""
    if isinstance(loss, BatchLoss):
        return BatchLoss(lambda label, sample_weight: weight * loss.terms(label, sample_weight))
    return (lambda label: weight * loss(label)) if callable(loss) else weight * loss


class _StreamLayer(Recorded):
    """Model of a stream under the stream's name, which tells the layers of two models of one kind apart."""

    def __init__(self, name: str, tower: Tower) -> None:
        super().__init__(name=name)
        self.tower = tower

    def call(
        self, x0: tf.Tensor, step: tf.Tensor, training: bool = False, **branches: tf.Tensor | Behaviors
    ) -> TowerOutput:
        return as_output(self.tower(x0, step, training=training, **branches))


class _Sum(Recorded):
    """Sum of the logits of the streams, `[batch, 2]` -> `[batch]`."""

    def __init__(self, initializer: str, seed: int) -> None:
        super().__init__(name="fusion", dtype="float32")
        self._initializer = PathInitializer(initializer, seed, "fusion")

    def call(self, logits: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(logits, axis=1)


class _WeightedSum(_Sum):
    """Sum of the logits with trained weights."""

    def build(self, input_shape: tf.TensorShape) -> None:
        half = tf_keras.initializers.Constant(0.5)
        self.stream_weights = self.add_weight(name="stream_weights", shape=[2], initializer=half)
        super().build(input_shape)

    def call(self, logits: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
        return tf.linalg.matvec(logits, self.stream_weights)


class _Gate(_Sum):
    """Mean of the logits, weighted by a softmax of a dense layer on the inputs of both streams, `[batch, width]`."""

    def build(self, input_shape: tf.TensorShape) -> None:
        self.gate = Dense(2, activation="softmax", kernel_initializer=self._initializer, dtype="float32", name="gate")
        super().build(input_shape)

    def call(self, logits: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(self.gate(inputs) * logits, axis=1)


def _check_losses(loss_weight: float, alpha: float, focus: float, gamma: float) -> None:
    """Raise ValueError if an argument of the losses is out of its range; focus keeps both factors above 0."""
    rules = {
        "loss_weight must be at least 0": (loss_weight, loss_weight >= 0),
        "alpha must be in [0, 1]": (alpha, 0 <= alpha <= 1),
        "focus must be above 0 and below 1": (focus, 0 < focus < 1),
        "gamma must be at least 0": (gamma, gamma >= 0),
    }
    for rule, (value, is_valid) in rules.items():
        if not is_valid:
            raise ValueError(f"{rule}. Received: {value}")


def _checked_dim(name: str, dim: int | None, separate: bool) -> int | None:
    """Return the width of a stream's embeddings; raise ValueError if it cannot have one."""
    if dim is not None and not separate:
        raise ValueError(f"streams: {name}: dim needs `tables: separate`. Received: {dim}")
    if dim is not None and dim < 1:
        raise ValueError(f"streams: {name}: dim must be at least 1. Received: {dim}")
    return dim
