"""Train a hashed logistic regression on the data of an experiment, as a baseline for any CTR model.

    python scripts/hashed_logistic_regression.py CONFIG [KEY=VALUE ...]
    python scripts/hashed_logistic_regression.py configs/criteo/dcn_v2.yaml data.root=DIR

Every value of every feature is one hashed column; a numeric is the integer part of ln(1 + x)^2, as is usual for Criteo.
The strength of the penalty is chosen on the validation split. Needs the test extra, and the data in memory.
"""

import argparse
from collections.abc import Iterator
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.feature_extraction import FeatureHasher
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ctr.config.experiment import load_experiment
from ctr.training.data import prepare
from features import Encoder, Ragged, RowGroup, Values

HASH_SIZE = 1 << 18
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # values of scikit-learn's C, the inverse of the penalty


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    arguments = parser.parse_args()
    prepared = prepare(load_experiment(arguments.config, arguments.settings))
    hasher = FeatureHasher(HASH_SIZE, input_type="string")
    sets = {}
    for name, row_groups in prepared.splits.items():
        words, labels = rows_of(prepared.encoder, row_groups)
        sets[name] = (hasher.transform(words), labels)
    auc = {}
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=1000).fit(*sets["train"])
        auc[strength] = {n: roc_auc_score(y, model.decision_function(x)) for n, (x, y) in sets.items() if n != "train"}
        print(f"C {strength:<6} valid AUC {auc[strength]['valid']:.5f}  test AUC {auc[strength]['test']:.5f}")
    best = max(STRENGTHS, key=lambda strength: auc[strength]["valid"])
    print(f"chosen on valid: C {best}, test AUC {auc[best]['test']:.5f}")


if __name__ == "__main__":
    main()
