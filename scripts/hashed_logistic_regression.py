"""Train a hashed logistic regression on the data of an experiment, as a baseline for any CTR model.

    python scripts/hashed_logistic_regression.py CONFIG [KEY=VALUE ...]
    python scripts/hashed_logistic_regression.py configs/criteo/dcn_v2.yaml data.root=DIR
    python scripts/hashed_logistic_regression.py --runs RUN [RUN ...]

Every value of every feature is one hashed column; a numeric is the integer part of ln(1 + x)^2, as is usual for Criteo.
The strength of the penalty is chosen on the validation split. With `--runs`, finished runs with different seeds, the
model is trained on the data of each, and their mean difference in test AUC is printed. Needs the test extra, and the
data in memory.
"""

import argparse
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ctr.config.experiment import Experiment, load_experiment
from ctr.metrics.paired import auc_row_differences
from ctr.metrics.seeds import difference_over_both, mean_over_seeds
from ctr.training.data import prepare
from features import Encoder, Ragged, RowGroup, Values

HASH_SIZE = 1 << 18
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # values of scikit-learn's C, the inverse of the penalty


def words_of(name: str, values: Values) -> list[list[str]]:
    """Return the hashed words of a feature in each row."""
    if isinstance(values, Ragged):
        ends = np.cumsum(values.lengths)
        words = [f"{name}={value}" for value in values.flat.to_pylist()]
        return [words[end - length : end] for end, length in zip(ends, values.lengths, strict=True)]
    if pa.types.is_floating(values.type):
        values = pc.floor(pc.power(pc.ln(pc.add(pc.max_element_wise(values, 0.0, skip_nulls=False), 1.0)), 2.0))
    return [[f"{name}={value}"] for value in values.to_pylist()]


def rows_of(encoder: Encoder, row_groups: list[RowGroup]) -> tuple[Iterator[list[str]], np.ndarray]:
    """Return words and label of each row of a split."""
    words: list[list[str]] = []
    labels = []
    for group in row_groups:
        table = group.read(encoder.input_columns)
        by_feature = [words_of(name, values) for name, values in encoder.values(table, str(group)).items()]
        words += [list(chain.from_iterable(row)) for row in zip(*by_feature, strict=True)]
        labels.append(encoder.columns.labels(table, str(group)))
    return iter(words), np.concatenate(labels)


def logits_on_test(experiment: Experiment) -> tuple[np.ndarray, np.ndarray]:
    """Return logits, float64 [rows], and labels of the test split, of the model with the best AUC on validation."""
    prepared = prepare(experiment)
    hasher = FeatureHasher(HASH_SIZE, input_type="string")
    splits = {}
    for name, row_groups in prepared.splits.items():
        words, labels = rows_of(prepared.encoder, row_groups)
        splits[name] = (hasher.transform(words), labels)
    auc, logits = {}, {}
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=1000).fit(*splits["train"])
        scores = {name: model.decision_function(splits[name][0]) for name in ("valid", "test")}
        valid, test = (roc_auc_score(splits[name][1], scores[name]) for name in scores)
        auc[strength], logits[strength] = valid, scores["test"]
        print(f"C {strength:<6} valid AUC {valid:.5f}  test AUC {test:.5f}")
    best = max(STRENGTHS, key=auc.__getitem__)
    print(f"chosen on valid: C {best}, test AUC {roc_auc_score(splits['test'][1], logits[best]):.5f}")
    return logits[best], splits["test"][1]


def compare_with(runs: list[Path]) -> None:
    """Print the mean difference in test AUC between runs with different seeds and this model, with a 95% CI.

    The CI is over seeds and examples if the runs have the same test split, else over seeds, as in `ctr compare`.
    """
    pairs, labels = [], []
    for run in runs:
        scores = pq.read_table(run / "scores" / "test.parquet", columns=["logit", "label"])
        logit, label = (scores[name].to_numpy() for name in ("logit", "label"))
        hashed, expected = logits_on_test(load_experiment(run / "config.yaml"))
        if not np.array_equal(label, expected):
            sys.exit(f"error: {run}: the data has another test split than the run. Restore the data, or train again.")
        pairs.append(auc_row_differences(logit, hashed, label))
        labels.append(label)
        print(f"{run}: test AUC {roc_auc_score(label, logit):.5f}, {pairs[-1].value:+.5f}")
    same = all(np.array_equal(label, labels[0]) for label in labels)
    mean = difference_over_both(pairs) if same else mean_over_seeds([pair.value for pair in pairs])
    if mean.low is None or mean.high is None:
        sys.exit(f"runs minus hashed logistic regression: {mean.value:+.5f}, without a 95% CI: {mean.reason}")
    print(f"runs minus hashed logistic regression: {mean.value:+.5f} (95% CI {mean.low:+.5f} to {mean.high:+.5f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--runs", nargs="+", type=Path, metavar="RUN")
    arguments = parser.parse_args()
    if arguments.runs and arguments.config:
        parser.error("CONFIG and --runs cannot be combined")
    if arguments.runs:
        compare_with(arguments.runs)
    elif arguments.config:
        logits_on_test(load_experiment(arguments.config, arguments.settings))
    else:
        parser.error("CONFIG or --runs is needed")


if __name__ == "__main__":
    main()
