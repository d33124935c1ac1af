"""Every YAML example in the documentation that shows an experiment, or a section of one, is a valid config."""

import re
from pathlib import Path

import pytest
import yaml

from ctr.config.experiment import Experiment, check_experiment
from ctr.config.user_code import is_user_code

ROOT = Path(__file__).parents[1]
BASE = {
    "name": "example",
    "data": {"train": "train.parquet", "label": "clicked"},
    "features": {"columns": {"user": {}, "item": {}}},
    "model": {"type": "wide_deep"},
}
"""A config that the sections of an example replace or extend."""
SECTIONS = Experiment.model_fields.keys() - {"initializer"}
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def examples(text):
    """The YAML blocks of a page that are an experiment or sections of one; other blocks are studies or fragments."""
    blocks = re.findall(r"^( *)```yaml[^\n]*\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    mappings = [yaml.safe_load(block) for _, block in blocks]
    return [values for values in mappings if isinstance(values, dict) and values.keys() <= SECTIONS]


def completed(values):
    """The example with all that a config needs."""
    if values.keys() >= {"name", "data", "features", "model"}:
        return values
    data = values.get("data", {})
    has_source = "path" in data or "train" in data
    return {**BASE, **values, "data": {"label": "clicked", **data} if has_source else {**BASE["data"], **data}}


def names_user_code(values):
    """Return True if a `type` in the example is MODULE:NAME, which a parser imports."""
    if isinstance(values, dict):
        return is_user_code(values.get("type")) or any(names_user_code(value) for value in values.values())
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_are_valid(page):
    for values in examples(page.read_text("utf-8")):
        if not names_user_code(values):
            check_experiment(completed(values), str(page))


def test_the_reference_has_an_example_of_every_section():
    page = (ROOT / "docs" / "reference" / "config.md").read_text("utf-8")
    shown = {section for values in examples(page) for section in values}
    assert shown == SECTIONS - {"seed"}


def test_an_example_with_an_unknown_key_fails():
    [values] = examples("```yaml\ntraining: {epoch: 3}\n```\n")
    with pytest.raises(Exception, match="unknown key 'epoch'; did you mean 'epochs'"):
        check_experiment(completed(values), "page")
