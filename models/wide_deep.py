"""Wide & Deep: a linear model that remembers beside an MLP that generalizes."""

from dataclasses import replace
from types import MappingProxyType

import tensorflow as tf
import tf_keras

from models.blocks import MLP, logit_head
from models.inputs import Field, Inputs, Table
from models.tower import Tower


class WideDeep(Tower):
    """Wide & Deep (Cheng et al. 2016, arXiv 1606.07792, equation 3).

        logit = sum of wide weights + head(deep(x_0)),    head with a bias

    Each categorical and each cross has one wide weight per value, in a table of width 1 called `wide/<feature>` that
    starts at zero, so that wide and deep part may have optimizers of their own. A cross of a sequence adds the weights
    of all its pairs.

    Args:
        hidden: widths of the MLP `deep`.
        batch_norm: in the MLP.
        dropout: in the MLP.
        initializer: of the kernels, a Keras name.
        seed: the experiment's seed.

    Call: x_0 [batch, width], step (scalar, for dropout), wide [batch, categories and crosses] -> logit [batch].
    """

    has_wide_weights = True
    default_optimizers = MappingProxyType({"wide/*": {"type": "ftrl", "learning_rate": 0.1, "l1": 0.001}})

    def __init__(
        self,
        hidden: tuple[int, ...] = (400, 400, 400),
        batch_norm: bool = True,
        dropout: float = 0.0,
        initializer: str = "glorot_uniform",
        seed: int = 0,
    ) -> None:
        super().__init__(name="wide_deep")
        if not hidden:
            raise ValueError("hidden must be one or more widths. Received: []")
        self.deep = MLP(hidden, batch_norm, dropout, initializer, seed, "deep")
        self.head = logit_head(initializer, seed)

    @property
    def blocks(self) -> dict[str, list[tf_keras.layers.Layer]]:
        """Block name -> its layers."""
        return {"deep": [self.deep], "head": [self.head]}

    def extend(self, inputs: Inputs) -> Inputs:
        """The inputs with a table `wide/<name>` for each category and each cross of a sequence."""
        categories = {f"wide/{category.name}": category for category in inputs.categories}
        crossed = {f"wide/{history.name}": history for history in inputs.histories if history.crossed}
        if not categories and not crossed:
            raise ValueError("the wide part needs a categorical or a cross")
        tables = [Table(name, feature.rows, 1, stddev=0.0) for name, feature in (categories | crossed).items()]
        fields = [Field(name, name, category.column, branch="wide") for name, category in categories.items()]
        fields += [Field(n, n, sequence=history.name, pooling="sum", branch="wide") for n, history in crossed.items()]
        return replace(inputs, tables=(*inputs.tables, *tables), fields=(*inputs.fields, *fields))

    def call(self, x0: tf.Tensor, step: tf.Tensor, wide: tf.Tensor, training: bool = False) -> tf.Tensor:
        deep = self.head(self.deep(x0, step, training=training))
        return tf.squeeze(deep, axis=1) + tf.reduce_sum(wide, axis=1)
