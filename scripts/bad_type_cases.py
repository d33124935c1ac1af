"""Values of a wrong type in a config, and YAML with a mistake at its end, for the cases of `bad_inputs.py`."""

from breakable_experiment import Case, setting, text

TYPE_CONFIGS: list[Case] = [
    text("a list without its end", "name: tiny\ndata: [1,2", "line 2, column 11", "expected ',' or ']'"),
    text("a pattern without quotes", "optimizers: {sparse: {*: ftrl}}\n", "line 1, column 24", "Quote text"),
    setting("a path next to training files", "data.train", "clicks", "data: `path` excludes `train`", "data.path=null"),
    setting("a number where a list belongs", "model.hidden", 64, "model.hidden: must be a list, such as [64]"),
    setting("a number where a section belongs", "training", 3, "training: must be a mapping of settings"),
    setting("a number for a path", "data.path", 3, "data.path: must be a path, or a list of paths"),
    setting("one fraction", "data.split.fractions", [1], "data.split.fractions: must be 2 or 3 numbers"),
    setting("a pair of one", "model", {"type": "can", "base": "dnn", "pairs": [["item"]]}, "pairs.0: must have 2"),
    setting("a number for a name", "name", 7, "name: must be text, in quotes", "Received: 7"),
    setting("yes for a rate", "model.dropout", True, "model.dropout: must be a number, not true", "Received: True"),
    setting("yes for a learning rate", "optimizers.dense", {"type": "adam", "learning_rate": True}, "Received: True"),
    setting("a word for a default width", "features.defaults.dim", "big", "features.defaults.dim: must be an integer"),
]
