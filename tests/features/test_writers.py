"""One logical table by four writers: the short form of `scripts/writers.py`."""

import pytest
from writer_cases import few_cases
from writers import check


@pytest.mark.parametrize("case", few_cases(), ids=str)
def test_what_a_writer_wrote_is_read_as_the_logical_table(case, tmp_path):
    assert check(case, tmp_path / "case") == ("read" if case.error is None else "refused")
