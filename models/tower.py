"""What a model needs of its tower."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeAlias

import tensorflow as tf
import tf_keras

from models.inputs import Inputs
from models.recording import Recorded

Loss: TypeAlias = tf.Tensor | Callable[[tf.Tensor], tf.Tensor]


class TowerOutput(NamedTuple):
    """What a tower returns that trains on more than the cross-entropy of its logit."""

    logit: tf.Tensor
    """float32 [batch]."""
    losses: Mapping[str, Loss]
    """Name -> a term of the loss for each example, [batch], or a function from labels [batch] to it, such as the
    cross-entropy of a stream's own logit; the same names at every call.

    The model adds the mean of each, weighted by sample weights as the cross-entropy, so a coefficient is the tower's to
    apply.
    """

    def losses_of(self, label: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return the losses of examples with these labels, each [batch].

        Args:
            label: 0 or 1, [batch].
        """
        return {name: loss(label) if callable(loss) else loss for name, loss in self.losses.items()}


class Tower(Recorded):
    """From the vectors of a batch to its logit.

    A subclass defines `blocks` and `call(x0, step, training=False, **branches)`: x0 [batch, width] holds the vectors
    and plain numerics side by side, `step` is a scalar that dropout is a function of, `branches` are the fields that
    `extend` declared for other branches than `deep`, by the branch's name, vectors side by side or `Behaviors`; the
    result is the logit, float32 [batch], or a `TowerOutput`. The last layer of the block `head` has the bias of the
    logit, which `start_at` sets.
    """

    to_define: ClassVar[tuple[str, ...]] = ("blocks", "call")
    """Names that a subclass must define."""
    has_wide_weights: ClassVar[bool] = False
    """True if each categorical and each cross has a wide weight, so that a cross needs no vector."""
    default_optimizers: ClassVar[Mapping[str, Mapping[str, Any]]] = MappingProxyType({})
    """Pattern of own tables, `*` for the name of a categorical or a cross -> settings of their default optimizer."""

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers; every trainable layer is in one block.

        All names are there from the start; layers that depend on the inputs follow with `connect`.
        """
        raise TypeError(f"{type(self).__name__} must define blocks")

    def start_at(self, logit: float) -> None:
        """Set the bias of the logit, so that an untrained model predicts about this.

        Raises:
            ValueError: the tower has no `head` with a bias, or its variables do not exist yet.
        """
        bias = getattr(self.blocks.get("head", [None])[-1], "bias", None)
        if bias is None:
            raise ValueError(f"{type(self).__name__} must have a head with a bias to start at a logit of {logit:.6g}")
        bias.assign([logit])

    def extend(self, inputs: Inputs) -> Inputs:
        """Return the inputs with the tables and fields that this tower reads besides those of x0; here there are none.

        A pure function: the tower stays as it is.
        """
        return inputs

    def connect(self, inputs: Inputs) -> None:
        """Make the layers that depend on the inputs; here there are none.

        `CTRModel` calls it once, before any variable exists.

        Args:
            inputs: as `extend` gave them.

        Raises:
            ValueError: inputs that the tower cannot use.
        """
