"""Reports without their plots, for runs of which nobody looks at the plots.

Drawing is a quarter of the time of a small run; the pages of tests/ctr/report and of hostile names are drawn.
"""

from contextlib import contextmanager
from unittest.mock import patch

from markupsafe import Markup


def leave_out(name, draw):
    """Return an empty plot in place of `ctr.report.svg.svg`."""
    return Markup("<svg ></svg>")


@contextmanager
def undrawn():
    """Every plot is an empty `<svg>`, and matplotlib is not used."""
    with patch("ctr.report.plots.svg", leave_out), patch("ctr.report.comparison_plots.svg", leave_out):
        yield
