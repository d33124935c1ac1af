"""The forward pass of DLRM (arXiv 1906.00091) in evaluation mode, one example and one pair at a time."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.reference.dcn_v2 import mlp


def dlrm(x0: np.ndarray, fields: int, interaction: str, weights: Mapping[str, Any]) -> np.ndarray:
    """Return logits [batch].

    Args:
        x0: [batch, width], the vectors of the fields first, then the numbers.
        fields: number of vectors.
        interaction: `dot` or `cat`.
        weights: `bottom` and `deep`: layers of `mlp`; `bottom_output` and `head`: (kernel, bias); `dim`: width of a
            vector.
    """
    dim, logits = weights["dim"], []
    for example in x0:
        vectors = [example[place * dim : (place + 1) * dim] for place in range(fields)]
        numbers, dense = example[fields * dim :], []
        if len(numbers) > 0:
            kernel, bias = weights["bottom_output"]
            dense = np.maximum(mlp(numbers, weights["bottom"]) @ kernel + bias, 0)
            vectors.append(dense)
        if interaction == "dot":
            last = [*dense]
            for i, left in enumerate(vectors):
                last += [sum(a * b for a, b in zip(left, right, strict=True)) for right in vectors[i + 1 :]]
        else:
            last = [number for vector in vectors for number in vector]
        kernel, bias = weights["head"]
        logits.append(mlp(np.array(last), weights["deep"]) @ kernel[:, 0] + bias[0])
    return np.array(logits)
