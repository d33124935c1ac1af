"""Mistakes with FinalNet and FinalMLP, and what each must be answered with."""

from breakable_experiment import TRAIN, Case, set_to, setting


def gate_of_two_widths() -> None:
    """Gate the fields of embeddings that differ in width."""
    set_to("model", {"type": "final_net"})
    set_to("features.columns.user.dim", 3)


FINAL_CONFIGS = [
    setting("an unknown context of FinalMLP", "model", {"type": "final_mlp", "context_1": ["usr"]}, "'usr'", "user"),
    setting(
        "a plain number as a context",
        "model",
        {"type": "final_mlp", "context_2": ["price"]},
        "'price' has no embedding",
    ),
    setting("heads that do not divide", "model", {"type": "final_mlp", "heads": 3}, "model: heads", "Received: 3"),
    setting("odd widths of FinalNet", "model", {"type": "final_net", "hidden": [7]}, "model: hidden", "even", "[7]"),
    setting("a distillation of infinity", "model", {"type": "final_net", "distillation": float("inf")}, "distillation"),
    Case(
        "configs", "a gate on two widths", gate_of_two_widths, TRAIN, ("history has 2 and user has 3", "field_gate: f")
    ),
]
