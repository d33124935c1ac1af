"""Parametrization of tests over a table of optimizers, most of whose cases run in the slow lane only."""

import pytest


def on_cases(cases, fast):
    """Parametrize a test by `case`: cases named in `fast` run in the default lane, the others in the slow lane.

    Args:
        cases: name -> case.
        fast: names of cases that together cover the code paths of all.
    """
    assert cases.keys() >= set(fast)
    rest = dict.fromkeys(cases.keys() - set(fast), pytest.mark.slow)
    return pytest.mark.parametrize(
        "case", [pytest.param(case, id=name, marks=rest.get(name, ())) for name, case in cases.items()]
    )
