"""A model that is known by another name, or to other libraries, is an error that says what to use here."""

import pytest
from generated_docs import DOCS

from ctr.config.experiment import load_experiment
from ctr.config.model import ELSEWHERE, MODELS_ELSEWHERE, PAGE
from ctr.errors import ConfigError
from features import plain
from models import MODELS


def message_of(config, *settings):
    with pytest.raises(ConfigError) as error:
        load_experiment(config, list(settings))
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("PNN", f"model: unknown type 'PNN'. Use compressed_dot, the nearest here. {PAGE}"),
        ("DeepFM", "model: unknown type 'DeepFM'; did you mean 'deepfm'?"),
        ("x_deep_fm", f"model: unknown type 'x_deep_fm'. Use dcn_v2, the nearest here. {PAGE}"),
        ("MMoE", f"model: unknown type 'MMoE'. Train one model for each label. {PAGE}"),
        ("DCNv2", "model: unknown type 'DCNv2'; did you mean 'dcn_v2'?"),
        ("wide-deep", "model: unknown type 'wide-deep'; did you mean 'wide_deep'?"),
        ("transformer", "model: unknown type 'transformer'; known: dnn, linear, wide_deep"),
    ],
)
def test_the_error_says_what_to_use(small_config, name, words):
    assert words in message_of(small_config, f"model.type={name}")


def test_the_base_of_can_has_the_same_advice(small_config):
    can = "model={type: can, base: ipnn, pairs: [[item, history]]}"
    assert "model.base: unknown type 'ipnn'. Use compressed_dot" in message_of(small_config, can)


def test_every_name_is_plain_and_leads_to_a_model_and_to_the_page():
    assert {plain(name) for name in ELSEWHERE} == ELSEWHERE.keys()
    assert set(MODELS_ELSEWHERE.values()) <= MODELS.keys()
    page = (DOCS / "how-to" / "migrate.md").read_text("utf-8")
    table = page[page.index("## Models of other libraries") :]
    rows = [row.split("|")[1:3] for row in table.splitlines() if row.startswith("| `")]
    listed = {plain(name): ours.strip(" `") for names, ours in rows for name in names.strip(" `").split("`, `")}
    assert listed == {**dict.fromkeys(ELSEWHERE, "no counterpart"), **MODELS_ELSEWHERE}
