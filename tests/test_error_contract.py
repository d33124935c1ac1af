"""Rules of error messages: each broken rule is reported, and messages in the form of the project break none."""

import pytest
from error_contract import MAX_FIRST_LINE, violations

BANNED = " ".join(["stands", "twice"])  # in two pieces, so that check_prose.py does not list it
GOOD = [
    "error: training: unknown key 'epoch'; did you mean 'epochs'?",
    "clicks.parquet: no column 'user'; known: item, price",
    "optimizers: pattern 'usr' matches no name. Use one of: item, user",
    "seeds: duplicate seed 1. Seeds must be distinct. Received: [1, 1]",
    "clicks.parquet, row group 0: damaged row group: expected 100 rows, found 90. Write the file again.",
    "runs/a: cannot resume with different settings:\n  seed: 1 in the run, 2 now\nRestore them, or add --overwrite.",
    "error   data: clicks: no such file or folder. Check the path.",
    "Usage: ctr train [OPTIONS] {config}\nTry 'ctr train --help' for help.",
]
BROKEN = {
    "clicks and shop.parquet have no common column: add one.": "location",
    "the config has no key and that is a mistake. Add a key.": "location",
    "data: the file is bad. Write it again": "ending",
    "data: the file is bad.": "action",
    f"data: {'x' * MAX_FIRST_LINE} is too long. Use less.": "length",
    f"seeds: a seed {BANNED}. Remove one.": "wording",
    "data: the name is a verb, and reuse or overuse is not advice.": "action",
}


@pytest.mark.parametrize("message", GOOD)
def test_a_message_in_the_form_of_the_project_breaks_no_rule(message):
    assert violations(message) == []


@pytest.mark.parametrize("message", BROKEN)
def test_a_broken_rule_is_named(message):
    assert [violation.partition(":")[0] for violation in violations(message)] == [BROKEN[message]]


def test_every_broken_rule_is_named():
    assert [violation.partition(":")[0] for violation in violations(f"one {BANNED}")] == [
        "location",
        "ending",
        "action",
        "wording",
    ]
