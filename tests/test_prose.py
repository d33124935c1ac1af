"""Checks of wording, and that the prose of the project passes them."""

import subprocess
import sys
from pathlib import Path

import pytest
from check_prose import ROOT, check_file, paragraphs, prose_files, sentences


@pytest.mark.parametrize(
    "folder", ["*.md", "*.py", "configs", "docs", "ctr", "features", "models", "optimizers", "scripts", "tests"]
)
def test_the_project_follows_the_rules(folder: str):
    paths = [path for path in prose_files([folder]) if "/" not in path or not folder.startswith("*")]
    assert paths
    hits = [hit for path in paths for hit in check_file(path)]
    assert not hits, "\n".join(map(str, hits))


@pytest.mark.parametrize(
    ("name", "text", "advice"),
    [
        ("page.md", "The run begins anew.", "restart"),
        ("page.md", "A share of 2.1 % of rows.", "2.1%"),
        ("page.md", "A folder that it has not.", "does not have"),
        ("page.md", "## What comes out", "heading"),
        ("page.md", "## Does it work?", "heading"),
        ("page.md", "One; two; three.", "semicolon"),
        ("page.md", " ".join(["word"] * 31) + ".", "31 words"),
        ("page.md", "\n".join(["A line."] * 7), "6 lines"),
        ("page.html", "<p>9 checks found nothing</p>", "passed"),
        ("page.yaml", "a: 1  # beside the others", "next to"),
        ("code.py", '"""Of the rows."""', "open with a verb"),
        ("code.py", 'class A:\n    b = 1\n    """Whether so."""', "open with a verb"),
        ("code.py", 'def f(a):\n    """Return it.\n\n    Args:\n        a: of the run.\n    """', "noun phrase"),
        ("code.py", "x = 1  # put it back", "restore"),
        ("code.py", "x = f'{y} is told {z}'", "reported"),
        ("code.py", "def f():\n    raise ValueError('the label rate')", "positive rate"),
    ],
)
def test_a_place_is_found(tmp_path: Path, name: str, text: str, advice: str):
    (tmp_path / name).write_text(text)
    assert advice in "\n".join(map(str, check_file(str(tmp_path / name))))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "---\na: 1\nb: 2\nc: 3\nd: 4\ne: 5\nf: 6\n---\n\nAUC has not improved, and the run has not begun."),
        ("page.md", "There is no such file. It takes 2.1% of memory.\n\n```\nOne; two; three; four.\n```\n"),
        ("page.md", "## Resume a run\n\n| " + "word " * 40 + "|\n"),
        ("page.md", "- " + "word " * 16 + ".\n- " + "word " * 16 + ".\n"),
        (
            "code.py",
            'def f(a):\n    """Return a.\n\n    Args:\n        a: number of rows, as in `b`.\n    """\n    a % 3',
        ),
    ],
)
def test_plain_text_passes(tmp_path: Path, name: str, text: str):
    (tmp_path / name).write_text(text)
    assert check_file(str(tmp_path / name)) == []


def test_text_is_split_into_paragraphs_and_sentences():
    text = "# Title\n\nOne `a. B` word. Two [words. Or](x.md) more?\nThree.\n\n- An item.\n- Another\n  line.\n"
    assert list(paragraphs(text)) == [
        (3, "One `a. B` word. Two [words. Or](x.md) more?\nThree."),
        (6, "An item."),
        (7, "Another\n  line."),
    ]
    assert sentences("One `a. B` word. Two e.g. more (or less). Three: four.") == [
        "One code word.",
        "Two e.g. more (or less).",
        "Three: four.",
    ]


def test_every_word_is_spelled_correctly():
    typos = Path(sys.executable).parent / "typos"
    checked = subprocess.run([typos, "--format", "brief"], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
