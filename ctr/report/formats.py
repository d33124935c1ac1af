"""How numbers and levels are written, in the terminal and in report.html alike."""

from ctr.metrics.frequency_bands import Band
from ctr.metrics.psi import Drift


def metric(value: float | None) -> str:
    """AUC, log loss, rates: five decimals.

    >>> metric(0.80741499), metric(None)
    ('0.80741', '-')
    """
    return "-" if value is None else f"{value:.5f}"


def psi(value: float | None) -> str:
    """PSI and its noise: four decimals."""
    return "-" if value is None else f"{value:.4f}"


def interval(bounds: list[float]) -> str:
    """Both ends, four decimals.

    >>> interval([0.751734, 0.767899])
    '0.7517 to 0.7679'
    """
    low, high = bounds
    return f"{low:.4f} to {high:.4f}"


def p_value(value: float | None) -> str:
    """Two significant digits; below a ten thousandth it is only said to be so.

    >>> p_value(0.0324), p_value(0.9999), p_value(1e-9)
    ('0.032', '1.0', '< 0.0001')
    """
    if value is None:
        return "-"
    return "< 0.0001" if value < 0.0001 else f"{value:#.2g}"


def signed(value: float | None) -> str:
    """z values: two decimals and their sign."""
    return "-" if value is None else f"{value:+.2f}"


def count(value: float) -> str:
    """Rows: whole, thousands apart."""
    return f"{value:,.0f}"


def percent(share: float) -> str:
    """A share as a percentage with one decimal; what is not nothing never reads as 0, nor what is not all as 100.

    >>> percent(0.25), percent(0.0002), percent(0), percent(0.9999)
    ('25.0 %', '< 0.1 %', '0 %', '> 99.9 %')
    """
    if share == 0:
        return "0 %"
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return "> 99.9 %" if 0.9995 <= share < 1 else f"{100 * share:.1f} %"


def megabytes(size: int) -> str:
    """Bytes as 10^6 bytes, two decimals.

    >>> megabytes(1_234_567), megabytes(88)
    ('1.23', '< 0.01')
    """
    return "< 0.01" if size < 10_000 else f"{size / 1e6:,.2f}"


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> duration(28.31), duration(754), duration(7384)
    ('28.3 s', '12 min 34 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


DRIFT_WORDS = {
    Drift.MAJOR: "unstable",
    Drift.MODERATE: "moderate",
    Drift.TOO_LITTLE_DATA: "insufficient data",
    Drift.STABLE: "stable",
}


def drift(level: Drift) -> str:
    """Return a drift level in words."""
    return DRIFT_WORDS[level]


BAND_WORDS = {
    Band.MISSING: "missing",
    Band.NOT_IN_VOCABULARY: "new, or too rare for the vocabulary",
    Band.FROM_1: "1 to 9",
    Band.FROM_10: "10 to 99",
    Band.FROM_100: "100 to 999",
    Band.FROM_1000: "1,000 or more",
}


def band(seen: Band) -> str:
    """Return how often the training data has an id, in words."""
    return BAND_WORDS[seen]
