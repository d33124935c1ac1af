"""Record of how a classical model was fitted."""

from typing import Literal, TypeAlias

from typing_extensions import TypedDict

from ctr.metrics.records import record

ClassicalModel: TypeAlias = Literal["logistic", "trees"]
"""`logistic` is logistic regression, `trees` is gradient-boosted trees, both of scikit-learn."""


@record
class ClassicalFit(TypedDict):
    """Fit of a classical model."""

    model: ClassicalModel
    """Name of the classical model."""
    library: str
    """Library with its version, such as `scikit-learn 1.9.1`."""
    examples: int
    """Number of training examples that the model was fitted on."""
    total_examples: int
    """Number of training examples; above `examples`, the model was fitted on a random sample."""
    valid_examples: int
    """Number of validation examples that selected `selected`; 0 without a valid split."""
    inputs: int
    """Number of input columns: one-hot columns and numbers, or columns of the trees."""
    selected: dict[str, float]
    """Settings that validation selected: `C` of `logistic`, the number of `trees`; without a valid split, the fixed
    values."""
    warnings: list[str]
    """Sentences on problems while fitting, such as a fit that did not converge."""
