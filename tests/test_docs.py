"""The pages of docs/: generated ones equal their generators."""

import pytest
from generated_docs import DOCS, GENERATORS
from generated_docs.markdown import with_part


@pytest.mark.parametrize("generate", GENERATORS, ids=lambda generate: generate.__module__.rpartition(".")[2])
def test_a_generated_page_is_as_its_generator_writes_it(generate):
    for name, text in generate().items():
        assert (DOCS / name).read_text("utf-8") == text, f"docs/{name} is generated: run scripts/make_docs.py"


def test_a_part_is_in_its_page_once():
    with pytest.raises(ValueError, match="expected one part 'x', found 0"):
        with_part("no part", "x", "new")
