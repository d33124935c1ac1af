"""Reports whose plots are made but not drawn, for runs of which nobody looks at the plots.

Drawing is two fifths of the time of a small run; the pages of tests/ctr/report, of the command line and of odd data are
drawn.
"""

from contextlib import contextmanager
from unittest.mock import patch


def leave_out(figure, out, **settings):
    """In place of `Figure.savefig`."""
    out.write("<svg></svg>")


@contextmanager
def undrawn():
    """Every plot is an empty `<svg>`, though all that it shows has been handed to matplotlib."""
    with patch("matplotlib.figure.Figure.savefig", leave_out):
        yield
