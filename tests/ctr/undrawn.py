"""Reports without plots, for runs whose plots no test reads.

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
    """Replace every plot by an empty `<svg>`, without matplotlib."""
    with patch("ctr.report.plots.svg", leave_out), patch("ctr.report.comparison_plots.svg", leave_out):
        yield
