"""The model that a first config trains, with its optimizers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ctr.errors import ConfigError
from ctr.starter.sizes import Sizes

WIDE = {"type": "ftrl", "learning_rate": 0.1, "beta": 0.01, "l1": 0.0001, "l2_gradient": 0.001}
"""Optimizer of wide weights. With the usual `beta: 1`, they would learn slowly, because the loss is a mean."""


@dataclass(frozen=True)
class Proposal:
    """A model that `ctr init` can propose."""

    title: str
    """Name in prose."""
    description: str
    """Noun phrase on its parts, without a period."""
    dense: str
    """Dense layers, as a noun phrase."""
    settings: Callable[[Sizes], dict[str, Any]]
    """Settings of the model, without its type."""
    has_wide_weights: bool = False
    """True if the model has wide weights, in tables `wide/*`."""
    categories: int = 0
    """Number of categorical features that it needs."""


def _mlp(sizes: Sizes) -> dict[str, Any]:
    normed = {} if sizes.batch_norm else {"batch_norm": False}
    return {"hidden": sizes.hidden, **normed, "dropout": sizes.dropout}


def _cross(sizes: Sizes) -> dict[str, Any]:
    return {"structure": "parallel", "cross_layers": sizes.cross_layers, **_mlp(sizes)}


def _streams(sizes: Sizes) -> dict[str, Any]:
    stream = {"type": "dnn", **_mlp(sizes)}
    return {"streams": {"easy": {**stream, "dim": sizes.dim // 2}, "hard": stream}}


PROPOSALS = {
    "linear": Proposal(
        title="Logistic regression",
        description="a wide weight for every value, and a weight for every number",
        dense="the bias and the weights of numbers",
        settings=lambda _: {},
        has_wide_weights=True,
        categories=1,
    ),
    "wide_deep": Proposal(
        title="Wide & Deep",
        description="wide weights of categories, as in logistic regression, and an MLP",
        dense="the MLP",
        settings=_mlp,
        has_wide_weights=True,
        categories=1,
    ),
    "deepfm": Proposal(
        title="DeepFM",
        description="wide weights, dot products of pairs of embeddings, and an MLP",
        dense="the MLP and the weights of numbers",
        settings=_mlp,
        has_wide_weights=True,
        categories=2,
    ),
    "dcn_v2": Proposal(
        title="DCN-V2",
        description="an MLP, and a cross network for pairs of features",
        dense="the cross network and the MLP",
        settings=_cross,
    ),
    "two_stream": Proposal(
        title="Two streams",
        description="two MLPs, each with embeddings and a loss of its own",
        dense="the MLPs",
        settings=_streams,
    ),
}
"""Models by their type."""


def propose(name: str | None, sizes: Sizes, categories: int) -> str:
    """Return the model to propose: the one that the user named, or one that suits the size of the data.

    Args:
        name: model that the user named, or None.
        sizes: settings by size.
        categories: number of categorical features.

    Raises:
        ConfigError: the model is not one of `PROPOSALS`, or needs more categorical features.
    """
    if name is None:
        return sizes.model if categories >= PROPOSALS[sizes.model].categories else "dcn_v2"
    if name not in PROPOSALS:
        raise ConfigError(f"--model: unknown model '{name}'. Use one of: {', '.join(PROPOSALS)}.")
    if categories < PROPOSALS[name].categories:
        raise ConfigError(
            f"--model: {name} needs {PROPOSALS[name].categories} or more categorical features, but the dataset has "
            f"{categories}. Use dcn_v2."
        )
    return name
