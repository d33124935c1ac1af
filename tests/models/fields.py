"""Inputs of fields of one width, for tests of the models whose fields meet one another."""

from dataclasses import replace

import numpy as np

from models import Field, Inputs, Table
from tests.models.deep_cross import float64

DIM, FIELDS = 4, 3
INPUTS = Inputs(
    tables=(Table("user", 9, DIM), Table("item", 9, DIM), Table("one", 9, 1)),
    fields=(
        Field("user", "user", column=0),
        Field("bias", "one", column=0, branch="wide"),  # of another branch, so its width does not matter
        Field("item", "item", column=1),
        Field("seller", "user", column=2),
    ),
    numerics=("age", "price"),
    plain=(0, 1),
)
NO_NUMBERS = replace(INPUTS, plain=())
FIELDS_ONLY = replace(NO_NUMBERS, fields=INPUTS.fields[:1] + INPUTS.fields[2:])  # what a tower reads in a model
TWO_WIDTHS = replace(INPUTS, tables=(Table("user", 9, DIM), Table("item", 9, 2), Table("one", 9, 1)))
NO_FIELDS = replace(INPUTS, fields=())


def randomize(layer):
    """Assign random values to every variable, positive ones to variances."""
    random = np.random.default_rng(1)
    for variable in layer.variables:
        values = random.normal(0, 0.5, size=variable.shape)
        variable.assign(np.abs(values) + 0.1 if "variance" in variable.name else values)


def mlp_weights(mlp, value=float64):
    """Return the layers of an MLP in the form that the references take; `value` reads a variable."""
    return [
        {
            "kernel": value(dense.kernel),
            "bias": value(dense.bias) if dense.use_bias else None,
            "norm": norm and [value(v) for v in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)],
        }
        for dense, norm, *_ in mlp.blocks
    ]
