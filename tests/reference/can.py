"""The co-action unit (arXiv 2011.05625), one behavior at a time, in float64."""

import numpy as np

ACTIVATIONS = {
    "tanh": np.tanh,
    "linear": lambda x: x,
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
}


def micro_mlps(parameters, widths, bias, count):
    """Cut a row's numbers into `count` lists of (matrix, bias or 0), in their order in the row."""
    numbers = list(parameters.astype(np.float64))

    def take(size):
        taken, numbers[:size] = np.array(numbers[:size]), []
        return taken

    mlps = []
    for _ in range(count):
        layers = []
        for place in range(len(widths) - 1):
            matrix = take(widths[place] * widths[place + 1]).reshape(widths[place], widths[place + 1])
            layers.append((matrix, take(widths[place + 1]) if bias else 0.0))
        mlps.append(layers)
    assert numbers == []
    return mlps


def co_action(parameters, vectors, lengths, widths, bias, orders, independent_orders, activation):
    """Return [batch, orders * sum(widths[1:])]: order by order, layer by layer."""
    result = []
    for row, length in enumerate(lengths):
        mlps = micro_mlps(parameters[row], widths, bias, orders if independent_orders else 1)
        total = np.zeros(orders * sum(widths[1:]))
        for behavior in vectors[row, :length].astype(np.float64):
            kept = []
            for order in range(1, orders + 1):
                layers = mlps[order - 1] if independent_orders else mlps[0]
                h = behavior**order
                for matrix, shift in layers[:-1]:
                    h = ACTIVATIONS[activation](h @ matrix + shift)
                    kept.append(h)
                matrix, shift = layers[-1]
                kept.append(h @ matrix + shift)
            total += np.concatenate(kept)
        result.append(total)
    return np.array(result)
