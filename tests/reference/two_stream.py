"""Two streams (arXiv 2405.03167): fusion of two logits, and the losses of the streams, with derivatives."""

import numpy as np


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def fused(easy: np.ndarray, hard: np.ndarray, weights: tuple[float, float]) -> np.ndarray:
    """Return w_easy l_easy + w_hard l_hard, [batch]."""
    return weights[0] * easy + weights[1] * hard


def gated(easy: np.ndarray, hard: np.ndarray, inputs: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Return the logits weighted by softmax(inputs @ kernel + bias), [batch].

    Args:
        easy: [batch].
        hard: [batch].
        inputs: inputs of both streams, [batch, width].
        kernel: [width, 2].
        bias: [2].
    """
    scores = np.exp(inputs @ kernel + bias)
    return (scores[:, 0] * easy + scores[:, 1] * hard) / scores.sum(axis=1)


def stream_losses(
    easy: np.ndarray, hard: np.ndarray, label: np.ndarray, alpha: float, focus: float, gamma: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the loss of each stream, [batch] each: a weight times a factor times -log(t)."""
    t_easy, t_hard = (np.where(label == 1, sigmoid(logit), sigmoid(-logit)) for logit in (easy, hard))
    of_easy = alpha * (focus + t_easy) ** gamma * -np.log(t_easy)
    of_hard = (1 - alpha) * (2 - focus - t_hard) ** gamma * -np.log(t_hard)
    return of_easy, of_hard
