"""Parametrize tests over a table of optimizers, most of whose rows only the slow lane needs."""

import pytest


def on_cases(cases, fast):
    """Parametrize a test by `case`: those named in `fast` run in the default lane, the rest are slow.

    Args:
        cases: name -> case.
        fast: names of the cases that take the code paths of all of them.
    """
    assert cases.keys() >= set(fast)
    rest = dict.fromkeys(cases.keys() - set(fast), pytest.mark.slow)
    return pytest.mark.parametrize(
        "case", [pytest.param(case, id=name, marks=rest.get(name, ())) for name, case in cases.items()]
    )
