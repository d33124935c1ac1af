"""Mistakes outside `model` and `optimizers` are answered without TensorFlow, in the words of the whole check."""

import json
import subprocess
import sys

import pytest
import yaml

from ctr.comparison.study import check_variants, list_variants, load_study
from ctr.config.base_experiment import BaseExperiment, check_base, put_overrides
from ctr.config.experiment import Experiment, check_experiment
from ctr.errors import ConfigError

MISTAKES = {
    "train.epochs=3": "unknown key 'train'; did you mean 'training'?",
    "name=a/b": "name: the name must be usable as a folder",
    "seed=-1": "seed: must be at least 0. Received: -1",
    "data.labels=clicked": "data: unknown key 'labels'; did you mean 'label'?",
    "data.split.by=day": "data.split.by: must be 'rows', 'time'",
    "features.columns.user={type: categories}": "unknown type 'categories'; did you mean 'categorical'?",
    "features.columns.user={dims: 3}": "unknown key 'dims'; did you mean 'dim'?",
    "features.unseen=mine": "features.unseen: ",
    "model.initializer.head_bias=odds": "initializer.head_bias: ",
    "training.epoch=3": "training: unknown key 'epoch'; did you mean 'epochs'?",
    "training.validate_every={epochs: 1, steps: 2}": "needs a length. Set either `epochs` or `steps`.",
    "training.checkpoint.every={}": "needs a length. Set either `steps` or `minutes`.",
    "report.psi.bin=5": "report.psi: unknown key 'bin'; did you mean 'bins'?",
    "report.time={column: ts, by: fortnight}": "report.time.by: ",
    "model=null": None,
    "model.type=dcn_v4": None,
    "optimizers.sparse.*.type=ftl": None,
}
"""Override -> part of its message; None: an answer that needs TensorFlow."""
RUN = """
import json, sys
from ctr.cli import app
for arguments in json.loads(sys.argv[1]):
    try:
        app(arguments)
    except SystemExit as end:
        print("exit", end.code, "tensorflow" in sys.modules, file=sys.stderr)
"""


def message_of(check, *arguments):
    with pytest.raises(ConfigError) as error:
        check(*arguments)
    return str(error.value)


@pytest.mark.parametrize("override", [override for override, words in MISTAKES.items() if words])
def test_the_first_check_has_the_words_of_the_whole_check(override, config):
    values = yaml.safe_load(config.read_text())
    put_overrides(values, [override])
    message = message_of(check_base, values, "tiny.yaml")
    assert MISTAKES[override] in message
    assert message == message_of(check_experiment, values, "tiny.yaml")


@pytest.mark.parametrize("override", [override for override, words in MISTAKES.items() if not words])
def test_model_and_optimizers_are_left_to_the_whole_check(override, config):
    values = yaml.safe_load(config.read_text())
    put_overrides(values, [override])
    check_base(values, "tiny.yaml")
    assert "tiny.yaml: " in message_of(check_experiment, values, "tiny.yaml")


def test_all_mistakes_of_the_first_check_are_listed(config):
    values = yaml.safe_load(config.read_text())
    put_overrides(values, ["seed=-1", "training.epoch=3", "report.threshold=2"])
    lines = message_of(check_base, values, "tiny.yaml").splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["tiny.yaml", "training", "report.threshold"]


def test_an_experiment_has_the_fields_of_the_first_check_in_their_order():
    assert list(Experiment.model_fields) == list(BaseExperiment.model_fields)


@pytest.fixture
def study(tmp_path, config):
    """Return the path of a study with two variants, of which one has a search range in `training`."""
    values = {
        "name": "sizes",
        "experiment": str(config),
        "axes": {
            "size": {
                "small": {"training.batch_size": {"tune": [32, 64], "integer": True}},
                "large": {"training.batch_size": {"tune": [128, 256], "integer": True}},
            }
        },
        "tuning": {"trials": 2},
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def test_a_variant_is_checked_with_sampled_values(study):
    check_variants(load_study(study))
    wrong = load_study(study, ["training.epoch=3"])
    message = message_of(check_variants, wrong)
    assert message == "variant small: training: unknown key 'epoch'; did you mean 'epochs'?"
    sampled = {"training.batch_size": 32}
    assert message == message_of(list_variants(wrong)[0].experiment, sampled, 0)


@pytest.mark.slow
def test_no_such_mistake_imports_tensorflow(config, study, tmp_path):
    broken, spelled = tmp_path / "broken.yaml", tmp_path / "spelled.yaml"
    broken.write_text("name: [")
    values = yaml.safe_load(study.read_text())
    spelled.write_text(yaml.safe_dump({**values, "axis": values["axes"]}))
    wrong = [override for override, words in MISTAKES.items() if words]
    commands = [
        *([name, config, "--set", override] for name in ("train", "inspect") for override in wrong),
        *([name, path] for name in ("train", "inspect", "compare") for path in (broken, tmp_path / "absent.yaml")),
        ["train", study],
        ["compare", spelled],
        ["compare", study, "--set", "training.epoch=3"],
        ["--version"],
    ]
    texts = json.dumps([[str(argument) for argument in command] for command in commands])
    result = subprocess.run([sys.executable, "-c", RUN, texts], capture_output=True, text=True, cwd=tmp_path)
    ends = [line for line in result.stderr.splitlines() if line.startswith("exit ")]
    assert ends == [*["exit 2 False"] * (len(commands) - 1), "exit 0 False"], result.stderr
    assert not (tmp_path / "runs").exists()
