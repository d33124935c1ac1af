"""What a model needs of its tower."""

import tf_keras

from models.inputs import Inputs
from models.recording import Recorded


class Tower(Recorded):
    """From the vectors of a batch to its logit.

    A subclass defines `towers` and `call(x0, step, training=False, **parts)`: x0 [batch, width] holds the vectors and
    plain numerics side by side, `step` is a scalar that dropout is a function of, `parts` are the fields that `extend`
    declared for other parts than `deep`, by the part's name, vectors side by side or `Behaviors`; the result is the
    logit, float32 [batch]. The last layer of the tower `head` has the bias of the logit, which `start_at` sets.
    """

    @property
    def towers(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Tower name -> its layers; every trainable layer is in one."""
        raise TypeError(f"{type(self).__name__} must define towers")

    def start_at(self, logit: float) -> None:
        """Set the bias of the logit, so that an untrained model predicts about this.

        Raises:
            ValueError: the tower has no `head` with a bias, or its variables do not exist yet.
        """
        bias = getattr(self.towers.get("head", [None])[-1], "bias", None)
        if bias is None:
            raise ValueError(f"{type(self).__name__} must have a head with a bias to start at a logit of {logit:.6g}")
        bias.assign([logit])

    def extend(self, inputs: Inputs) -> Inputs:
        """The inputs with the tables and fields that this tower has beside those of x0; here there are none."""
        return inputs
