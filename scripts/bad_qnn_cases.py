"""Mistakes with QNN and with the self-ensemble loss, and what each must be answered with."""

from breakable_experiment import setting

QNN_CONFIGS = [
    setting("10^9 rows of QNN", "model", {"type": "qnn", "rows": 10**9}, "model: rows"),
    setting("QNN without a layer", "model", {"type": "qnn", "layers": 0}, "model: layers must be at least 1"),
    setting(
        "two passes without dropout", "training.self_ensemble", True, "model dnn has no dropout", "Set its `dropout`"
    ),
    setting("heads of QNN and a plain number", "model", {"type": "qnn", "heads": 2}, "price", "`heads: 1`"),
]
