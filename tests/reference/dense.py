"""Tower optimizers in float64, each from its formula; t = 1, 2, ... counts the steps.

Each takes a weight, a gradient for each step and the settings, and returns the weight after the last step. A matrix is
a weight with two or more axes; vectors have no decay and no ratio of norms.
"""

import math

import numpy as np


def steps(weight, gradients):
    """Return the weight and the gradients in float64."""
    return weight.astype(np.float64), [gradient.astype(np.float64) for gradient in gradients]


def adamw(weight, gradients, *, learning_rate, weight_decay, beta_1, beta_2, epsilon, amsgrad=False):
    w, g = steps(weight, gradients)
    m = v = u = np.zeros_like(w)
    for t in range(1, len(g) + 1):
        if w.ndim >= 2:
            w = w * (1 - learning_rate * weight_decay)
        m = beta_1 * m + (1 - beta_1) * g[t - 1]
        v = beta_2 * v + (1 - beta_2) * g[t - 1] ** 2
        u = np.maximum(u, v) if amsgrad else v
        w = w - learning_rate * math.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(u) + epsilon)
    return w


def uncorrected_adam(weight, gradients, *, learning_rate, beta_1, beta_2, epsilon, amsgrad=False):
    w, g = steps(weight, gradients)
    m = v = u = np.zeros_like(w)
    for one in g:
        m, v = beta_1 * m + (1 - beta_1) * one, beta_2 * v + (1 - beta_2) * one * one
        u = np.maximum(u, v) if amsgrad else v
        w = w - learning_rate * m / (np.sqrt(u) + epsilon)
    return w


def adagrad(weight, gradients, *, learning_rate, initial_accumulator, epsilon, max_accumulator=math.inf):
    """Bound the sum once: squares are not negative, so bounding it at each step gives the same."""
    w, g = steps(weight, gradients)
    sums = np.minimum(initial_accumulator + np.cumsum(np.square(g), axis=0), max_accumulator)
    return w - (learning_rate * np.array(g) / np.sqrt(sums + epsilon)).sum(axis=0)


def rmsprop(weight, gradients, *, learning_rate, rho, momentum, epsilon, centered=False, bias_correction=False):
    """Compute the averages directly, with weights (1 - rho) rho^age of the gradients; corrected weights sum to 1."""
    w, g = steps(weight, gradients)
    m = np.zeros_like(w)
    for t in range(1, len(g) + 1):
        shares = (1 - rho) * float(rho) ** np.arange(t - 1, -1, -1)
        shares = shares / shares.sum() if bias_correction else shares
        v = np.tensordot(shares, np.square(g[:t]), axes=1)
        a = np.tensordot(shares, np.array(g[:t]), axes=1)
        m = momentum * m + learning_rate * g[t - 1] / np.sqrt((v - a**2 if centered else v) + epsilon)
        w = w - m
    return w


def sgd(weight, gradients, *, learning_rate, momentum=0.0, nesterov=False):
    """Compute the velocity as a decaying sum; with a constant learning rate, it can be inside or outside the sum."""
    w, g = steps(weight, gradients)
    fading = np.zeros_like(w)
    for one in g:
        fading = momentum * fading + one
        w = w - learning_rate * (one + momentum * fading if nesterov else fading)
    return w


def ema_momentum(weight, gradients, *, learning_rate, beta, bias_correction):
    """Compute the average directly, with weights (1 - beta) beta^age of the gradients, which sum to 1 - beta^t."""
    w, g = steps(weight, gradients)
    for t in range(1, len(g) + 1):
        shares = (1 - beta) * float(beta) ** np.arange(t - 1, -1, -1)
        average = np.tensordot(shares, np.array(g[:t]), axes=1)
        w = w - learning_rate * (average / shares.sum() if bias_correction else average)
    return w


def lion(weight, gradients, *, learning_rate, beta_1, beta_2, weight_decay):
    w, g = steps(weight, gradients)
    m = np.zeros_like(w)
    for one in g:
        decayed = w * (1 - learning_rate * weight_decay) if w.ndim >= 2 else w
        w = decayed - learning_rate * np.sign(beta_1 * m + (1 - beta_1) * one)
        m = beta_2 * m + (1 - beta_2) * one
    return w


def adafactor(weight, gradients, *, learning_rate, decay, epsilon_1, epsilon_2, clip_threshold):
    """Factor matrices by the outer product of the paper, one at a time."""
    w, g = steps(weight, gradients)
    shape = w.shape
    matrices = w.ndim >= 2
    w = w.reshape([-1, *shape[-2:]]) if matrices else w[None]
    g = [one.reshape(w.shape) for one in g]
    r, c, v = [0.0] * len(w), [0.0] * len(w), [0.0] * len(w)
    for t, one in enumerate(g, start=1):
        b = 1 - t**-decay
        u = np.empty_like(w)
        for i, part in enumerate(one):
            squared = part**2 + epsilon_1
            if matrices:
                r[i] = b * r[i] + (1 - b) * squared.sum(axis=1)
                c[i] = b * c[i] + (1 - b) * squared.sum(axis=0)
                u[i] = part / np.sqrt(np.outer(r[i], c[i]) / r[i].sum())
            else:
                v[i] = b * v[i] + (1 - b) * squared
                u[i] = part / np.sqrt(v[i])
        u = u / max(1, math.sqrt((u**2).mean()) / clip_threshold)
        w = w - min(learning_rate, t**-0.5) * max(epsilon_2, math.sqrt((w**2).mean())) * u
    return w.reshape(shape)


def lamb(weight, gradients, *, learning_rate, beta_1, beta_2, epsilon, weight_decay):
    w, g = steps(weight, gradients)
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, one in enumerate(g, start=1):
        m, v = beta_1 * m + (1 - beta_1) * one, beta_2 * v + (1 - beta_2) * one**2
        u = m / (1 - beta_1**t) / (np.sqrt(v / (1 - beta_2**t)) + epsilon)
        ratio = 1.0
        if w.ndim >= 2:
            u = u + weight_decay * w
            length, reach = np.linalg.norm(w.ravel()), np.linalg.norm(u.ravel())
            ratio = length / reach if length and reach else 1.0
        w = w - learning_rate * ratio * u
    return w


def lars(weight, gradients, *, learning_rate, momentum, trust, weight_decay):
    w, g = steps(weight, gradients)
    v = np.zeros_like(w)
    for one in g:
        rate, pull = learning_rate, one
        if w.ndim >= 2:
            length, slope = np.linalg.norm(w.ravel()), np.linalg.norm(one.ravel())
            if length and slope + weight_decay * length:
                rate = learning_rate * trust * length / (slope + weight_decay * length)
            pull = one + weight_decay * w
        v = momentum * v + rate * pull
        w = w - v
    return w


def amos(weight, gradients, *, learning_rate, beta, scale):
    """Update a matrix column by column; a vector is one column without decay."""
    w, g = steps(weight, gradients)
    xi, shape, is_matrix = learning_rate, w.shape, w.ndim >= 2
    columns = w.reshape([-1, shape[-1]]) if is_matrix else w.reshape([-1, 1])
    s = scale / math.sqrt(len(columns)) if is_matrix else scale / 2
    columns = columns.copy()
    for j in range(columns.shape[1]):
        v = b = 0.0
        for t, one in enumerate(g, start=1):
            part = one.reshape(columns.shape)[:, j]
            v = beta * v + (1 - beta) * (part**2).mean()
            corrected = v / (1 - beta**t)
            y = (1 + 0.25 * math.sqrt(xi) * b) ** -0.5 * xi**2 * (part**2).mean() / corrected
            pull = xi * s * part / math.sqrt(corrected) + (0.5 * y * columns[:, j] if is_matrix else 0)
            columns[:, j] -= pull / (1 + 0.25 * math.sqrt(xi * s) * b)
            b += y * (1 + b)
    return columns.reshape(shape)


def around_sgd(
    weight,
    gradients,
    *,
    learning_rate,
    momentum,
    l1_gradient=0.0,
    l2_gradient=0.0,
    normalized=False,
    every=1,
    alpha=1.0,
):
    """Apply gradient descent inside penalties, normalization and Lookahead; synchronization keeps the velocity."""
    w, g = steps(weight, gradients)
    slow, v = w, np.zeros_like(w)
    for t in range(1, len(g) + 1):
        penalty = l1_gradient * np.sign(w) + l2_gradient * w if w.ndim >= 2 else 0
        v = momentum * v - learning_rate * (g[t - 1] + penalty)
        length = learning_rate * np.linalg.norm(w) / np.linalg.norm(v) if normalized and w.ndim >= 2 else 1
        w = w + length * v
        if t % every == 0:
            slow = w = (1 - alpha) * slow + alpha * w
    return w
