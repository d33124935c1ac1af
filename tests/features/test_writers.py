"""The same logical table by four writers: the short form of `scripts/writers.py`."""

import pytest
from writer_cases import few_cases
from writers import check

CASES = few_cases()
USUAL = [case for case in CASES if "row groups of" in case.name or "row_group_size" in case.name]
"""Cases that differ in options only."""
SLOW = [case for k, case in enumerate(USUAL) if k % 3 or "BROTLI" in case.name]
"""Cases for the slow lane: a third of the usual cases suffices otherwise, and fastparquet takes a second for Brotli."""


@pytest.mark.medium
@pytest.mark.parametrize(
    "case", [pytest.param(case, id=str(case), marks=pytest.mark.slow if case in SLOW else ()) for case in CASES]
)
def test_what_a_writer_wrote_is_read_as_the_logical_table(case, tmp_path):
    assert check(case, tmp_path / "case") == ("read" if case.error is None else "refused")
