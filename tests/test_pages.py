"""Commands of the README and the tutorials, and the runner that compares their output with what the pages show."""

from pathlib import Path

import pytest
from run_pages import bash_in, default_pages, is_same, make_copy, run_console, run_page

PAGE = """# A page

```yaml title="folder/a.yaml"
a: 1
```

```console
$ cat folder/a.yaml
a: 1
$ printf '%s\\n' first second \\
  third fourth
first
...
fourth
```

```python
not_run()
```
"""


@pytest.mark.slow
@pytest.mark.parametrize("page", default_pages(), ids=lambda page: page.stem)
def test_a_page_shows_what_its_commands_print(page: Path, tmp_path: Path):
    make_copy(tmp_path)
    _, differences = run_page(page.read_text(), tmp_path)
    assert not differences, "\n".join(differences)


def test_output_as_shown_is_left_as_it_is(tmp_path: Path):
    assert run_console(PAGE, bash_in(tmp_path), tmp_path) == (PAGE, [])


@pytest.mark.parametrize(
    ("old", "new"), [("\na: 1\n$", "\na: 2 b\n$"), ("first\n...", "fist\n..."), ("...\nfourth", "...\nthird\nfifth")]
)
def test_other_output_is_a_difference_and_is_replaced(tmp_path: Path, old: str, new: str):
    assert old in PAGE
    text, differences = run_console(PAGE.replace(old, new), bash_in(tmp_path), tmp_path)
    assert len(differences) == 1
    assert run_console(text, bash_in(tmp_path), tmp_path)[1] == []


def test_output_that_varies_is_updated_but_not_compared(tmp_path: Path):
    page = "<!-- output varies -->\n\n```console\n$ echo new\nold\n```\n"
    assert run_console(page, bash_in(tmp_path), tmp_path) == (page.replace("old", "new"), [])


def test_a_missing_line_is_a_difference(tmp_path: Path):
    page = "```console\n$ printf 'a\\nb\\n'\na\n```\n"
    text, differences = run_console(page, bash_in(tmp_path), tmp_path)
    assert len(differences) == 1
    assert "a\nb\n```" in text


@pytest.mark.parametrize(
    ("shown", "real", "expected"),
    [
        ("test  20,000  0.80861±0.009", "test 20,000 0.80799±0.009", True),
        ("test  20,000  0.80861±0.009", "test 20,000 0.70861±0.009", False),
        ("1,000 examples/s", "999,123 examples/s", True),
        ("AUC 0.5000", "ROC 0.5000", False),
        ("needs 990.5 MiB", "needs 1.0 GiB", True),
        ("needs 990.5 MiB", "has 990.5 MiB", False),
        ("────────", "──", True),
        ("2 runs", "two runs", False),
    ],
)
def test_lines_are_compared_by_words_and_metrics(shown: str, real: str, expected: bool):
    assert is_same(shown, real) is expected


def test_commands_write_into_the_copy(tmp_path: Path):
    make_copy(tmp_path)
    assert (tmp_path / "README.md").exists()
    assert not (tmp_path / "runs").exists()
    assert bash_in(tmp_path)("./scripts/install && python -c 'import ctr'") == ""


NOTEBOOK = """---
jupyter:
  jupytext:
    formats: md
---

# A notebook

```python
import sys

a = 1
print("a", a)
print("hidden", file=sys.stderr)
a + 1
```

```text
a 1
2
```

```python
a += 1
```
"""


@pytest.mark.slow  # starts a kernel
def test_cells_of_a_notebook_are_run_and_their_output_is_compared(tmp_path: Path):
    assert run_page(NOTEBOOK, tmp_path) == (NOTEBOOK, [])
    text, differences = run_page(NOTEBOOK.replace("```text\na 1", "```text\nb 1"), tmp_path)
    assert len(differences) == 1
    assert text == NOTEBOOK
