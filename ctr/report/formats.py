"""Formats of numbers and levels, shared by the terminal, report.html and report.md."""

from ctr.metrics.frequency_bands import Band
from ctr.metrics.psi import Drift


def metric(value: float | None) -> str:
    """Format AUC, log loss or a rate with five decimals.

    >>> metric(0.80741499), metric(None)
    ('0.80741', '-')
    """
    return "-" if value is None else f"{value:.5f}"


def psi(value: float | None) -> str:
    """Format PSI or a noise floor with four decimals."""
    return "-" if value is None else f"{value:.4f}"


def interval(bounds: list[float]) -> str:
    """Format both ends of an interval with four decimals.

    >>> interval([0.751734, 0.767899])
    '0.7517 to 0.7679'
    """
    low, high = bounds
    return f"{low:.4f} to {high:.4f}"


def p_value(value: float | None) -> str:
    """Format a p-value with two significant digits, or as `< 0.0001`.

    >>> p_value(0.0324), p_value(0.9999), p_value(1e-9)
    ('0.032', '1.0', '< 0.0001')
    """
    if value is None:
        return "-"
    return "< 0.0001" if value < 0.0001 else f"{value:#.2g}"


def signed(value: float | None) -> str:
    """Format a z value with its sign and two decimals."""
    return "-" if value is None else f"{value:+.2f}"


def count(value: float) -> str:
    """Format a count with separators of thousands."""
    return f"{value:,.0f}"


def percent(fraction: float) -> str:
    """Format a fraction as a percentage with one decimal; only 0 reads as 0%, and only 1 as 100.0%.

    >>> percent(0.25), percent(0.0002), percent(0), percent(0.9999)
    ('25.0%', '< 0.1%', '0%', '> 99.9%')
    """
    if fraction == 0:
        return "0%"
    if 0 < fraction < 0.0005:
        return "< 0.1%"
    return "> 99.9%" if 0.9995 <= fraction < 1 else f"{100 * fraction:.1f}%"


def megabytes(size: int) -> str:
    """Format bytes in units of 10^6 bytes, with two decimals.

    >>> megabytes(1_234_567), megabytes(88)
    ('1.23', '< 0.01')
    """
    return "< 0.01" if size < 10_000 else f"{size / 1e6:,.2f}"


def duration(seconds: float) -> str:
    """Format seconds as seconds, minutes or hours.

    >>> duration(28.31), duration(754), duration(7384)
    ('28.3 s', '12 min 34 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


DRIFT_WORDS = {
    Drift.MAJOR: "major",
    Drift.MODERATE: "moderate",
    Drift.TOO_LITTLE_DATA: "too little data",
    Drift.STABLE: "stable",
}


def drift(level: Drift) -> str:
    """Return a drift level in words, for a table."""
    return DRIFT_WORDS[level]


def drift_phrase(level: Drift) -> str:
    """Return a drift level as it reads in a sentence.

    >>> drift_phrase(Drift.MAJOR), drift_phrase(Drift.STABLE)
    ('major drift', 'stable')
    """
    return f"{DRIFT_WORDS[level]} drift" if level.has_drifted else DRIFT_WORDS[level]


BAND_WORDS = {
    Band.MISSING: "missing",
    Band.NOT_IN_VOCABULARY: "not in the vocabulary",
    Band.FROM_1: "1 to 9",
    Band.FROM_10: "10 to 99",
    Band.FROM_100: "100 to 999",
    Band.FROM_1000: "1,000 or more",
}


def band(seen: Band) -> str:
    """Return a band of id frequencies in the training data, in words."""
    return BAND_WORDS[seen]
