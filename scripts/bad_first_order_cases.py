"""Mistakes with the models of first-order terms, and what each must be answered with."""

from collections.abc import Callable

from breakable_experiment import TRAIN, Case, set_to, setting


def both(model: str, key: str, value: object) -> Callable[[], None]:
    """Return a damage that sets the model and one more setting."""

    def change() -> None:
        set_to("model", {"type": model})
        set_to(key, value)

    return change


FIRST_ORDER_CONFIGS = [
    Case(
        "configs",
        "FM on embeddings of two widths",
        both("fm", "features.columns.user", {"dim": 5}),
        TRAIN,
        ("model: fm needs", "all of one width", "user 5"),
    ),
    Case(
        "configs",
        "an unpooled sequence in a linear model",
        both("linear", "features.columns.history", {"type": "sequence", "pooling": "none"}),
        TRAIN,
        ("features.columns.history", "but linear does not."),
    ),
    Case(
        "configs",
        "a table that a linear model does not have",
        both("linear", "optimizers.sparse", {"user": {"type": "ftrl"}}),
        TRAIN,
        ("optimizers", "'user' matches no name", "wide/user"),
    ),
    setting("a linear model with an MLP", "model", {"type": "linear", "hidden": [8]}, "model", "'hidden'"),
    setting("DeepFM without a layer", "model", {"type": "deepfm", "hidden": []}, "model: hidden must be"),
]
