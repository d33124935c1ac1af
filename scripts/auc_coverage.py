"""Simulate how often the 95% CI of the AUC contains the true AUC.

    python scripts/auc_coverage.py [--simulations 10000]

Scores are normal with variance 1 in both classes, and the distance of their means sets the true AUC. Each simulation
also samples its number of positives. The table compares three intervals, all with DeLong's variance:

    plain       AUC -+ 1.96 s
    log-odds    ln(AUC / (1 - AUC)) -+ 1.96 s / (AUC (1 - AUC))
    used        log-odds with Student's t in place of 1.96: `ctr.metrics.ranking.auc_interval`

The last column is the fraction of simulations without an interval, because a class has fewer than two rows or the
ranking is perfect. The other columns are of the remaining simulations. With 10,000 simulations, their standard error
is 0.22%.
"""

import argparse
import math

import numpy as np
from scipy import special

from ctr.metrics import ScoreCounts, Undefined
from ctr.metrics.ranking import auc, auc_interval, placements, variance_of_mean

SETTINGS = [  # rows, positive rate, AUC
    (200, 0.1, 0.7),
    (200, 0.2, 0.8),
    (200, 0.5, 0.6),
    (200, 0.5, 0.95),
    (500, 0.1, 0.75),
    (500, 0.3, 0.8),
    (500, 0.5, 0.95),
    (1000, 0.02, 0.7),
    (1000, 0.05, 0.75),
    (1000, 0.2, 0.8),
    (1000, 0.2, 0.95),
    (5000, 0.02, 0.7),
    (5000, 0.02, 0.8),
    (5000, 0.05, 0.75),
    (5000, 0.05, 0.95),
    (5000, 0.2, 0.8),
    (5000, 0.5, 0.9),
]


def hits(rng: np.random.Generator, rows: int, rate: float, truth: float) -> tuple[bool, bool, bool]:
    """Return True for each interval of one simulated dataset that contains the true AUC.

    Raises:
        Undefined: the dataset has no interval.
    """
    label = rng.random(rows) < rate
    logit = rng.normal(math.sqrt(2) * special.ndtri(truth) * label, 1).astype(np.float32)
    counts = ScoreCounts.of(logit, label)
    low, high = auc_interval(counts)
    value = auc(counts)
    above, below = (
        variance_of_mean(placed - value, weight, weight)[0]
        for placed, weight in zip(placements(counts), (counts.positives, counts.negatives), strict=True)
    )
    margin = special.ndtri(0.975) * math.sqrt(above + below)
    in_log_odds = abs(special.logit(value) - special.logit(truth)) <= margin / (value * (1 - value))
    return abs(value - truth) <= margin, bool(in_log_odds), low <= truth <= high


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=10_000)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    print("  rows  positives   AUC    plain  log-odds    used   none")
    for rows, rate, truth in SETTINGS:
        held, defined = np.zeros(3), 0
        for _ in range(args.simulations):
            try:
                held += hits(rng, rows, rate, truth)
                defined += 1
            except Undefined:
                continue
        plain, log_odds, used = held / defined
        none = 1 - defined / args.simulations
        print(
            f"{rows:6}  {rate:9.0%}  {truth:4.2f}  {plain:7.2%}  {log_odds:8.2%}  {used:6.2%}  {none:5.2%}", flush=True
        )


if __name__ == "__main__":
    main()
