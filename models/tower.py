"""Interface between a model and its tower."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeAlias

import tensorflow as tf
import tf_keras

from models.batch_loss import BatchLoss
from models.inputs import Inputs
from models.recording import Recorded

Loss: TypeAlias = tf.Tensor | Callable[[tf.Tensor], tf.Tensor] | BatchLoss


class TowerOutput(NamedTuple):
    """Result of a tower with further losses in addition to the cross-entropy of its logit."""

    logit: tf.Tensor
    """Logit, float32 `[batch]`."""
    losses: Mapping[str, Loss]
    """Name -> loss term per example, `[batch]`, a function from labels `[batch]` to it, or a `BatchLoss`.

    An example is the cross-entropy of a stream's own logit. The names must be the same at every call. The model adds
    the mean of each term, weighted by sample weights like the cross-entropy. To scale a term, multiply it in the tower.
    """

    def losses_of(self, label: tf.Tensor, weight: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Return the losses of a batch of examples, each `[batch]`.

        Args:
            label: labels, 0 or 1, `[batch]`.
            weight: sample weights, `[batch]`, on which only a `BatchLoss` depends; None: 1 for each example.
        """
        weight = tf.ones_like(label) if weight is None else weight
        return {name: _terms(loss, label, weight) for name, loss in self.losses.items()}


def _terms(loss: Loss, label: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    if isinstance(loss, BatchLoss):
        return loss.terms(label, weight)
    return loss(label) if callable(loss) else loss


def as_output(result: "tf.Tensor | TowerOutput") -> TowerOutput:
    """Return the result of a tower as a `TowerOutput`, without losses if it is a logit."""
    return result if isinstance(result, TowerOutput) else TowerOutput(result, {})


class Tower(Recorded):
    """Base class of towers, which compute a logit from the embeddings of a batch.

    A subclass defines `blocks` and `call(x0, step, training=False, **branches)`. x0 `[batch, width]` holds the
    embeddings and plain numeric features. `step` is a scalar from which dropout is derived. `branches` are the fields
    that `extend` declared for branches other than `deep`, by branch name: concatenated embeddings, or `Behaviors`. The
    result is the logit, float32 `[batch]`, or a `TowerOutput`. The last layer of the block `head` has the bias of the
    logit, which `start_at` sets.
    """

    to_define: ClassVar[tuple[str, ...]] = ("blocks", "call")
    """Names that a subclass must define."""
    has_wide_weights: ClassVar[bool] = False
    """True if each categorical feature and each cross has a wide weight, so that a cross needs no embedding."""
    has_first_order: ClassVar[bool] = False
    """True if each sequence and each number `as: embedding` has wide weights, too."""
    default_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})
    """Pattern of the tower's own tables, `*` for a feature's name -> settings of their default optimizer."""

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers; every trainable layer is in exactly one block.

        All names exist from the start. `connect` adds the layers that depend on the inputs.
        """
        raise TypeError(f"{type(self).__name__} must define blocks")

    @property
    def logit_biases(self) -> list[tf.Variable]:
        """Biases of the logit, `[1]` each: the logit rises by any number that is added to all of them.

        By default the bias of the last layer of the block `head`. A tower whose logit is the mean of several heads
        returns the bias of each head. Empty if there is no bias, or its variables do not exist yet.
        """
        bias = getattr(self.blocks.get("head", [None])[-1], "bias", None)
        return [] if bias is None else [bias]

    def start_at(self, logit: float) -> None:
        """Set the biases of the logit, so that an untrained model predicts about `logit`.

        Raises:
            ValueError: the tower does not have a `head` with a bias, or its variables do not exist yet.
        """
        if not self.logit_biases:
            raise ValueError(f"{type(self).__name__} must have a head with a bias to start at a logit of {logit:.6g}")
        for bias in self.logit_biases:
            bias.assign([logit])

    def extend(self, inputs: Inputs) -> Inputs:
        """Return the inputs with the tables and fields that this tower reads in addition to x_0; by default, unchanged.

        A pure function: it does not change the tower.
        """
        return inputs

    def connect(self, inputs: Inputs) -> None:
        """Create the layers that depend on the inputs; by default, none.

        `CTRModel` calls it once, before any variable exists.

        Args:
            inputs: result of `extend`.

        Raises:
            ValueError: the tower cannot use the inputs.
        """
