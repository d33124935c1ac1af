"""One logical table by four writers: the short form of `scripts/writers.py`."""

import pytest
from writer_cases import few_cases
from writers import check

SLOW = [str(case) for case in few_cases() if case.writer == "fastparquet" and "BROTLI" in case.name]
"""It takes a second to compress by Brotli; what pyarrow compressed so is read by the same code."""


@pytest.mark.medium
@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=str(case), marks=pytest.mark.slow if str(case) in SLOW else ()) for case in few_cases()],
)
def test_what_a_writer_wrote_is_read_as_the_logical_table(case, tmp_path):
    assert check(case, tmp_path / "case") == ("read" if case.error is None else "refused")
