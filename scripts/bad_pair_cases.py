"""Mistakes with DLRM, AutoInt and FCN, and what each must be answered with."""

from breakable_experiment import TRAIN, Case, set_to, setting


def pairs_of_two_widths() -> None:
    """Multiply pairs of embeddings that differ in width."""
    set_to("model", {"type": "dlrm"})
    set_to("features.columns.user.dim", 3)


PAIR_CONFIGS = [
    setting("an unknown interaction of DLRM", "model", {"type": "dlrm", "interaction": "sum"}, "'dot' or 'cat'", "sum"),
    setting("no width in the bottom of DLRM", "model", {"type": "dlrm", "bottom_hidden": [0]}, "bottom_hidden", "[0]"),
    setting("heads that do not divide the width", "model", {"type": "auto_int", "heads": 3}, "heads", "Received: 3"),
    setting("AutoInt with a plain number and no MLP", "model", {"type": "auto_int", "hidden": []}, "hidden", "price"),
    setting("AutoInt without attention", "model", {"type": "auto_int", "attention_layers": 0}, "attention_layers must"),
    setting("heads of FCN that do not halve", "model", {"type": "fcn", "heads": 2}, "multiple of 2 * heads = 4"),
    setting("FCN without a layer", "model", {"type": "fcn", "exponential_layers": 0, "linear_layers": 0}, "_layers"),
    Case("configs", "pairs of two widths", pairs_of_two_widths, TRAIN, ("dlrm needs", "user 3", "`dim`")),
]
