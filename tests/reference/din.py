"""The local activation unit of DIN (arXiv 1706.06978), a behavior at a time, in float64; and Dice."""

import numpy as np

ACTIVATIONS = {"sigmoid": lambda x: 1 / (1 + np.exp(-x)), "relu": lambda x: np.maximum(x, 0)}


def attention(target, vectors, lengths, layers, activation, softmax):
    """[batch, dim]: the behaviors of a row, each times its score.

    Args:
        target: [batch, dim].
        vectors: [batch, length, dim].
        lengths: of the histories.
        layers: (kernel, bias) of the scorer, the last with one unit.
        activation: after all but the last.
        softmax: over the scores of a history.
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
    """p x + (1 - p) alpha x, p the sigmoid of the standardized x."""
    p = 1 / (1 + np.exp(-(x - mean) / np.sqrt(variance + 1e-8)))
    return p * x + (1 - p) * alpha * x
