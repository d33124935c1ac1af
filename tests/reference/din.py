"""The local activation unit of DIN (arXiv 1706.06978), one behavior at a time, in float64, and Dice."""

import numpy as np

ACTIVATIONS = {"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "relu": lambda x: np.maximum(x, 0)}


def attention(target, vectors, lengths, layers, activation, softmax):
    """Return [batch, dim]: the sum of a row's behaviors, each times its score.

    Args:
        target: [batch, dim].
        vectors: [batch, length, dim].
        lengths: lengths of the histories, [batch].
        layers: (kernel, bias) of the scorer, the last with one unit.
        activation: function after each layer except the last.
        softmax: True to normalize the scores of a history by softmax.
    """
    pooled = np.zeros(target.shape)
    for row, length in enumerate(lengths):
        t, history = target[row].astype(np.float64), vectors[row, :length].astype(np.float64)
        scores = np.zeros(length)
        for place, h in enumerate(history):
            x = np.concatenate([t, h, t - h, t * h])
            for kernel, bias in layers[:-1]:
                x = ACTIVATIONS[activation](x @ kernel + bias)
            kernel, bias = layers[-1]
            scores[place] = (x @ kernel + bias)[0]
        if softmax and length:
            scores = np.exp(scores - scores.max())
            scores /= scores.sum()
        for score, h in zip(scores, history, strict=True):
            pooled[row] += score * h
    return pooled


def dice(x, alpha, mean, variance):
    """Return p x + (1 - p) alpha x, where p is the sigmoid of the standardized x."""
    p = 1 / (1 + np.exp(-(x - mean) / np.sqrt(variance + 1e-8)))
    return p * x + (1 - p) * alpha * x
