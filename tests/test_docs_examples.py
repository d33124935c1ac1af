"""Every YAML example in the documentation that shows an experiment, a section of one, or a study is valid."""

import re
from pathlib import Path

import pytest
import yaml

from ctr.comparison.study import load_study
from ctr.config.experiment import Experiment, check_experiment
from ctr.config.user_code import is_user_code
from ctr.errors import ConfigError

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


def blocks(text):
    """Return the YAML blocks of a page that are mappings."""
    found = re.findall(r"^( *)```yaml[^\n]*\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    return [values for _, block in found if isinstance(values := yaml.safe_load(block), dict)]


def examples(text):
    """Return the YAML blocks of a page that are an experiment or sections of one."""
    return [values for values in blocks(text) if values.keys() <= SECTIONS]


def studies(text):
    """Return the YAML blocks of a page that are a study or its axes, completed to whole studies."""
    needed = {"name": "example", "experiment": BASE}
    return [{**needed, **values, "experiment": BASE} for values in blocks(text) if "axes" in values]


def completed(values):
    """Return the example, completed to a whole config."""
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_studies_are_valid(page, tmp_path):
    for values in studies(page.read_text("utf-8")):
        (tmp_path / "study.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
        assert load_study(tmp_path / "study.yaml", None).name == values["name"]


def test_the_reference_has_an_example_of_every_section():
    page = (ROOT / "docs" / "reference" / "config.md").read_text("utf-8")
    shown = {section for values in examples(page) for section in values}
    assert shown == SECTIONS - {"seed"}


def test_an_example_with_an_unknown_key_fails():
    [values] = examples("```yaml\ntraining: {epoch: 3}\n```\n")
    with pytest.raises(ConfigError, match="unknown key 'epoch'; did you mean 'epochs'"):
        check_experiment(completed(values), "page")


def test_a_study_with_an_unknown_key_fails(tmp_path):
    [values] = studies("```yaml\naxes: {epochs: {training.epochs: [1, 2]}}\nseed: [1]\n```\n")
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match="unknown key 'seed'; did you mean 'seeds'"):
        assert load_study(tmp_path / "study.yaml", None).name == values["name"]
