"""User-defined towers and optimizers: named by a config, imported only if trusted, identified by hash."""

import hashlib
import importlib
import io
import json
import re
import shutil
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import yaml
from rich.console import Console
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.config import user_code
from ctr.config.experiment import load_experiment
from ctr.errors import ConfigError
from ctr.training.build import make_tower
from ctr.training.checkpoint import fingerprint
from ctr.training.data import prepare
from ctr.training.plan import plan_model
from tests.conftest import write_clicks
from tests.ctr.conftest import BY_STEPS, EVERY, After, Killed, ending, kill, resealed, write_plain_config
from tests.ctr.undrawn import undrawn

pytestmark = pytest.mark.usefixtures("undrawn_plots")
PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "use-your-own-parts.md").read_text()
TOWERS, ROWS, LOSS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
OTHERS = '''
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import tensorflow as tf
import tf_keras

from models import DNN, Tower
from optimizers import RowOptimizer


class Stock(Tower):
    """A layer of Keras as it comes."""

    def __init__(self, units: int = 8, initializer: str = "glorot_uniform", seed: int = 0, **more: object) -> None:
        super().__init__()
        self.middle, self.head = tf_keras.layers.Dense(units, "relu"), tf_keras.layers.Dense(1, dtype="float32")

    @property
    def blocks(self):
        return {"middle": [self.middle], "head": [self.head]}

    def call(self, x0, step, training=False):
        return tf.squeeze(self.head(self.middle(x0)), axis=1)


class Sized(Stock):
    def __init__(self, dim: int = 8, initializer: str = "glorot_uniform", seed: int = 0) -> None:
        super().__init__(dim)


class Astray(Stock):
    @property
    def blocks(self):
        return {"head": [self.head]}


class Descent(RowOptimizer):
    def __init__(self, learning_rate: float, name: str = "sgd") -> None:
        super().__init__(learning_rate, name=name)

    def update(self, gradient, weight, state, learning_rate, step):
        return weight - learning_rate * gradient, state


class DenseDescent(tf_keras.optimizers.SGD):
    def __init__(self, learning_rate: float = 0.01) -> None:
        super().__init__(learning_rate, jit_compile=False)


class Loud:
    def __init__(self, **settings: object) -> None:
        Path("called.txt").touch()


class LoudOptimizer(tf_keras.optimizers.Optimizer):
    def __init__(self, learning_rate: float = 0.1) -> None:
        Path("called.txt").touch()


def loud(**settings: object) -> None:
    Path("called.txt").touch()


class Untyped(DNN):
    def __init__(self, widths=(8,), initializer: str = "", seed: int = 0) -> None:
        super().__init__()


class Taken(DNN):
    def __init__(self, factory: int = 1, initializer: str = "glorot_uniform", seed: int = 0) -> None:
        super().__init__()


class Unseeded(DNN):
    def __init__(self, initializer: str = "glorot_uniform") -> None:
        super().__init__()


class OfTensors(DNN):
    def __init__(self, start: tf.Tensor, initializer: str = "", seed: int = 0) -> None:
        super().__init__()


class OfNothing(DNN):
    def __init__(self, start: Unheard, initializer: str = "", seed: int = 0) -> None:
        super().__init__()


class OfNoTensors(DNN):
    def __init__(self, start: tf.NoSuchType, initializer: str = "", seed: int = 0) -> None:
        super().__init__()


class Infinite(DNN):
    def __init__(self, clip: float = float("inf"), initializer: str = "", seed: int = 0) -> None:
        super().__init__()


class Unset(DNN):
    def __init__(self, clip: float = None, initializer: str = "", seed: int = 0) -> None:
        super().__init__()


class Activated(DNN):
    def __init__(self, activation: Callable = tf.nn.relu, initializer: str = "", seed: int = 0) -> None:
        super().__init__()


class Positional(DNN):
    def __init__(self, units: int = 3, /, initializer: str = "", seed: int = 0) -> None:
        super().__init__()


class Named(DNN):
    def __init__(self, name: str, initializer: str = "", seed: int = 0) -> None:
        super().__init__()


class Copied(DNN):
    def __init__(self, model_dump: int = 1, initializer: str = "", seed: int = 0) -> None:
        super().__init__()


class Unfinished(Tower):
    def __init__(self, initializer: str = "", seed: int = 0) -> None:
        super().__init__()


class Failing(DNN):
    def __init__(self, units: int = 3, initializer: str = "", seed: int = 0) -> None:
        raise KeyError("units")


class Idle(RowOptimizer):
    pass
'''
TWO_TOWER = "model={type: my_package.towers:TwoTower, hidden: [8, 4]}"
FAILING = "model=my_package.others:Failing"
SIGNED = "optimizers.sparse.user={type: my_package.rows:SignedRows, learning_rate: 0.001}"
CHANGED = "the file of my_package.towers:TwoTower has changed since the run started. Restore the file"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Enter a working directory with data, config and the package of the user."""
    place = tmp_path_factory.mktemp("own")
    write_plain_config(place / "tiny.yaml", write_clicks(place / "clicks"))
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        patched.setattr(sys, "path", [*sys.path])
        patched.setattr(sys, "dont_write_bytecode", True)
        package = place / "my_package"
        package.mkdir()
        sources = {"__init__": "", "towers": TOWERS, "rows": ROWS, "others": OTHERS, "broken": "1 / 0\n"}
        ending = "import tensorflow as tf\n\nimport models\n\n\ndef ending(logit, logit_of_stream):\n"
        sources["losses"] = ending + textwrap.indent(LOSS, "    ")
        sources["quits"] = "import sys\nsys.exit(0)\n"
        for name, source in sources.items():
            (package / f"{name}.py").write_text(source)
        (place / "stranger.py").write_text("from pathlib import Path\nPath('imported.txt').touch()\n" + TOWERS)
        yield place
    forget()


@pytest.fixture(autouse=True)
def untrusted(monkeypatch):
    """Start each test like a new process, which trusts nothing."""
    monkeypatch.setattr(user_code, "_trusted", set())
    forget()


@pytest.fixture
def trusted(untrusted):
    ctr.trust("my_package")


def forget():
    """Let the modules of the user be imported again, as a new process would."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("my_package", "stranger")]:
        del sys.modules[name]
    importlib.invalidate_caches()


def command(*arguments):
    with undrawn():
        return CliRunner().invoke(app, [str(argument) for argument in arguments])


def only_line(result):
    """Return the only line of a command that fails by a user error."""
    assert result.exit_code == 2, result.output
    [line] = result.stderr.splitlines()
    return line


def trained(place, name, *settings):
    """Return the bytes of metrics.jsonl and of the test scores of a run of one epoch."""
    experiment = load_experiment(place / "tiny.yaml", ["training.epochs=1", *settings])
    ctr.train(experiment, place / name, overwrite=True)
    return [(place / name / file).read_bytes() for file in ("metrics.jsonl", "scores/test.parquet")]


@pytest.fixture(scope="module")
def run(own):
    """Train the tower and the optimizer of docs/how-to/use-your-own-parts.md from the command line."""
    settings = ["--set", TWO_TOWER, "--set", SIGNED, "--set", "training.epochs=1"]
    result = command("train", "tiny.yaml", "--run", "two_tower", "--trust", "my_package", *settings)
    assert result.exit_code == 0, result.output
    return own / "two_tower"


@pytest.fixture
def copy(run, tmp_path):
    return Path(shutil.copytree(run, tmp_path / "run"))


@pytest.fixture
def edited(own):
    """Change the file of the tower, as seen by a new process."""
    path = own / "my_package" / "towers.py"
    path.write_text(TOWERS + "# another line\n")
    forget()
    ctr.trust("my_package")
    yield
    path.write_text(TOWERS)
    forget()


def test_a_run_records_the_code_of_its_classes(run):
    files = {"my_package.towers:TwoTower": TOWERS, "my_package.rows:SignedRows": ROWS}
    expected = {name: hashlib.sha256(source.encode()).hexdigest() for name, source in files.items()}
    assert json.loads((run / "code.json").read_text()) == expected
    assert "code.json" in json.loads((run / "checksums.json").read_text())
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["model"] == {
        "type": "my_package.towers:TwoTower",
        "hidden": [8, 4],
        "initializer": {"tables": 0.01, "towers": "glorot_uniform", "head_bias": "log_odds"},
    }


def test_the_loss_of_the_page_depends_on_the_mean_over_the_batch(own):
    logit, label, weight = np.array([0.5, -1.0, 2.0]), np.array([1.0, 1.0, 0.0]), np.array([1.0, 2.0, 0.0])
    tensors = [tf.constant(values, tf.float32) for values in (logit, label, weight)]
    output = importlib.import_module("my_package.losses").ending(tensors[0], tensors[0])
    losses = np.logaddexp(0, logit) - label * logit
    expected = losses * (np.average(losses, weights=weight) - 0.3)
    np.testing.assert_allclose(output.losses_of(*tensors[1:])["stream"], expected, rtol=1e-5)


def test_an_argument_with_a_name_of_streams_reaches_the_class(own, trusted):
    experiment = load_experiment(own / "tiny.yaml", ["model={type: my_package.others:Sized, dim: 3}"])
    assert make_tower(experiment).middle.units == 3


def test_a_run_of_registered_parts_records_no_code(small_run):
    assert not (small_run / "code.json").exists()


def test_a_run_of_an_own_tower_is_evaluated_as_it_was_measured(run, own, copy):
    test = pq.read_table(copy / "scores" / "test.parquet")
    result = command("evaluate", copy, own / "clicks" / "part-2.parquet", "--trust", "my_package")
    assert result.exit_code == 0, result.output
    scored = pq.read_table(copy / "evaluations" / "part-2" / "scores" / "part-2.parquet")
    assert scored["logit"].to_pylist()[-test.num_rows :] == test["logit"].to_pylist()


@pytest.mark.slow
def test_an_own_tower_is_resumed_as_if_it_had_never_stopped(own, trusted, every_checkpoint_is_saved, tmp_path):
    experiment = load_experiment(own / "tiny.yaml", [EVERY, *BY_STEPS, TWO_TOWER, SIGNED])
    ctr.train(experiment, tmp_path / "undisturbed")
    with pytest.raises(Killed):
        ctr.train(experiment, tmp_path / "killed", callbacks=[After(8, kill)])
    ctr.train(experiment, tmp_path / "killed", resume=True)
    assert ending(tmp_path / "killed") == ending(tmp_path / "undisturbed")


@pytest.mark.slow
def test_a_run_begins_with_an_own_tower(run, own, trusted, tmp_path):
    settings = [TWO_TOWER, SIGNED, "training.epochs=1", f"training.warm_start.run={run}"]
    report = ctr.train(load_experiment(own / "tiny.yaml", settings), tmp_path / "next")
    assert report["warm_start"]["tables"]["user"] == {"carried": 11, "new": 0}


@pytest.fixture(scope="module")
def compared(own):
    """Return the folder of a comparison of a registered and a user-defined tower."""
    study = {
        "name": "own",
        "experiment": "tiny.yaml",
        "settings": {"training.epochs": 1},
        "axes": {
            "model": {"dnn": {"model": "dnn"}, "own": {"model": {"type": "my_package.towers:TwoTower", "hidden": [4]}}}
        },
    }
    (own / "study.yaml").write_text(yaml.safe_dump(study))
    result = command("compare", "study.yaml", "--out", "compared", "--trust", "my_package", "--processes", "1")
    assert result.exit_code == 0, result.output
    return own / "compared"


@pytest.mark.slow
def test_variants_of_an_own_tower_are_compared(compared):
    code = json.loads((compared / "runs" / "own" / "seed-1" / "code.json").read_text())
    assert list(code) == ["my_package.towers:TwoTower"]


@pytest.mark.slow
def test_an_own_sparse_optimizer_equals_the_registered_one_of_its_formula(own, trusted):
    own_rows = 'optimizers.sparse={"*": {type: my_package.others:Descent, learning_rate: 0.5}}'
    registered = 'optimizers.sparse={"*": {type: sgd, learning_rate: 0.5}}'
    assert trained(own, "own-rows", own_rows) == trained(own, "sgd-rows", registered)


@pytest.mark.slow
def test_an_own_dense_optimizer_equals_the_registered_one_of_its_formula(own, trusted):
    schedule = "{schedule: exponential, initial: 0.1, k: 0.5}"
    own_dense = f"optimizers.dense={{type: my_package.others:DenseDescent, learning_rate: {schedule}}}"
    registered = f"optimizers.dense={{type: sgd, learning_rate: {schedule}}}"
    assert trained(own, "own-dense", own_dense) == trained(own, "sgd-dense", registered)


def test_layers_of_keras_start_alike_each_time(own, trusted):
    def start(*settings):
        experiment = load_experiment(own / "tiny.yaml", ["model=my_package.others:Stock", *settings])
        return fingerprint(plan_model(experiment, prepare(experiment).encoder).build())

    assert start() == start() != start("seed=2")


@pytest.mark.slow
def test_layers_of_keras_train_alike_each_time(own, trusted):
    stock = "model=my_package.others:Stock"
    assert trained(own, "first", stock) == trained(own, "second", stock)


def test_can_stands_on_an_own_tower(own, trusted):
    base = "{type: my_package.towers:TwoTower, hidden: [4]}"
    can = f"model={{type: can, base: {base}, pairs: [[item, history]], micro_mlp: [4, 2]}}"
    history = "features.columns.history={type: sequence, table: item, max_length: 4, pooling: none}"
    experiment = load_experiment(own / "tiny.yaml", [can, history])
    assert list(experiment.user_code) == ["my_package.towers:TwoTower"]
    assert experiment.model.base.hidden == (4,)


@pytest.fixture
def of_stranger(run, own, tmp_path):
    """Write a run folder and a config that name a stranger's module, whose import leaves a file."""
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    for path in (folder / "config.yaml", folder / "code.json"):
        path.write_text(re.sub(r"my_package\.(towers|rows)", "stranger", path.read_text()))
    (folder / "diverged").mkdir()
    (folder / "diverged" / "step-000000001.parquet").write_text("")
    return resealed(folder)


def test_a_config_or_run_from_a_stranger_imports_nothing(of_stranger, own):
    config, data = of_stranger / "config.yaml", own / "clicks" / "part-2.parquet"
    study = {"name": "s", "experiment": str(config), "axes": {"size": {"training.batch_size": [32, 64]}}}
    (own / "theirs.yaml").write_text(yaml.safe_dump(study))
    commands = [
        ["train", config, "--run", own / "new"],
        ["train", own / "tiny.yaml", "--run", own / "new", "--set", "model=stranger:TwoTower"],
        ["train", own / "tiny.yaml", "--run", own / "new", "--warm-start", of_stranger],
        ["train", own / "tiny.yaml", "--run", of_stranger, "--resume"],
        ["inspect", config],
        ["evaluate", of_stranger, data],
        ["compare", own / "theirs.yaml", "--out", own / "compared-theirs"],
        ["replay", of_stranger / "diverged" / "step-000000001.parquet"],
    ]
    (own / "strange.py").touch()  # its name begins like the stranger's
    for trust in ([], ["--trust", "my_package"], ["--trust", "strange"]):
        for arguments in commands:
            result = command(*arguments, *trust)
            told = result.stderr + result.stdout
            assert result.exit_code == 2, told
            assert "'stranger:TwoTower' is code outside the project, which runs only if you trust it." in told
            assert "--trust stranger" in told
    with pytest.raises(ConfigError, match=r'code outside the project.* in Python ctr\.trust\("stranger"\)'):
        ctr.load_run(of_stranger)
    assert command("report", of_stranger).exit_code == 0
    assert not (own / "imported.txt").exists()
    assert "stranger" not in sys.modules


def test_an_edit_refuses_resume_evaluation_and_warm_start_in_one_line(run, copy, own, edited, tmp_path):
    experiment = load_experiment(own / "tiny.yaml", [TWO_TOWER, SIGNED, "training.epochs=1"])
    begun = load_experiment(own / "tiny.yaml", [TWO_TOWER, SIGNED, f"training.warm_start.run={copy}"])
    refused = [
        lambda: ctr.train(experiment, copy, resume=True),
        lambda: ctr.evaluate(copy, str(own / "clicks" / "part-2.parquet"), tmp_path / "evaluation"),
        lambda: ctr.load_run(copy),
        lambda: ctr.train(begun, tmp_path / "next"),
    ]
    for call in refused:
        with pytest.raises(ConfigError, match=CHANGED) as error:
            call()
        assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "next").exists()
    assert command("report", copy).exit_code == 0


@pytest.mark.slow
def test_an_edit_refuses_to_go_on_with_a_comparison(compared, edited):
    told = only_line(command("compare", "study.yaml", "--out", "compared", "--trust", "my_package"))
    assert "the file of my_package.towers:TwoTower has changed since the run started. Restore it" in told
    assert "or delete compared/runs/own/seed-1: the same `ctr compare` command trains it again." in told


def test_a_run_whose_record_of_code_is_lost_is_refused(copy, own, trusted):
    (copy / "code.json").unlink()
    with pytest.raises(ConfigError, match=r"code\.json"):
        ctr.evaluate(copy, str(own / "clicks" / "part-2.parquet"))


WRONG = {
    "a name of the project": (
        "models.dnn:DNN",
        "'models.dnn:DNN' belongs to ctr itself. Use a registered name, or rename your package.",
    ),
    "another of the project": ("ctr.cli:app", "belongs to ctr itself"),
    "no module": (":TwoTower", "is not a name of code. Use MODULE:NAME, such as my_package.towers:TwoTower."),
    "no class": ("my_package.towers:", "is not a name of code. Use MODULE:NAME"),
    "a path": ("../my_package:TwoTower", "is not a name of code. Use MODULE:NAME"),
    "a relative module": (".my_package:TwoTower", "is not a name of code. Use MODULE:NAME"),
    "a call": ("my_package.others:loud()", "is not a name of code. Use MODULE:NAME"),
    "an attribute of a class": ("my_package.towers:TwoTower.call", "is not a name of code. Use MODULE:NAME"),
    "two names": ("my_package.towers:TwoTower:x", "is not a name of code. Use MODULE:NAME"),
    "no such module": ("my_package.tower:TwoTower", "'my_package.tower:TwoTower': cannot import it: No module named"),
    "no such class": ("my_package.towers:TwoTowers", "has no attribute 'TwoTowers'"),
    "a module that fails": (
        "my_package.broken:X",
        "'my_package.broken:X': cannot import it: ZeroDivisionError: division",
    ),
    "a function": ("my_package.others:loud", "must be a class derived from models.Tower."),
    "a class that is not a tower": ("my_package.others:Loud", "must be a class derived from models.Tower."),
    "an argument without a type": ("my_package.others:Untyped", "widths has no type annotation"),
    "an argument with a name that is taken": ("my_package.others:Taken", "no argument can be named factory"),
    "no seed": ("my_package.others:Unseeded", "it must take seed"),
    "an argument that no config has": ("my_package.others:OfTensors", "constructor's arguments cannot be settings"),
    "a type that does not exist": ("my_package.others:OfNothing", "name 'Unheard' is not defined"),
    "a type missing in its module": ("my_package.others:OfNoTensors", "has no attribute 'NoSuchType'"),
    "a module that quits": ("my_package.quits:X", "'my_package.quits:X': cannot import it: SystemExit: 0"),
    "a module of Python": ("os:PathLike", "'os:PathLike' is not a package of yours. Put the class in a module."),
    "a default without bound": ("my_package.others:Infinite", "the default of clip cannot be saved in a config: inf"),
    "a default of another type": ("my_package.others:Unset", "the default of clip cannot be saved in a config: None"),
    "a function as default": ("my_package.others:Activated", "the default of activation cannot be saved in a config"),
    "an argument without a name": ("my_package.others:Positional", "units is positional only"),
    "a name that must be given": ("my_package.others:Named", "name must have a default, because it is not a key"),
    "a name of pydantic": ("my_package.others:Copied", "no argument can be named model_dump"),
    "no blocks": ("my_package.others:Unfinished", "'my_package.others:Unfinished' must define 'blocks'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_tower_is_refused_before_it_is_called(case, own, trusted):
    name, message = WRONG[case]
    with pytest.raises(ConfigError) as error:
        load_experiment(own / "tiny.yaml", [f"model.type={name!r}"])
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert not (own / "called.txt").exists()


@pytest.mark.parametrize("name", ["my_package.others:LoudOptimizer", "my_package.others:DenseDescent"])
def test_a_table_takes_no_stock_optimizer(name, own, trusted):
    with pytest.raises(ConfigError, match=r"must be a class derived from optimizers\.RowOptimizer"):
        load_experiment(own / "tiny.yaml", [f"optimizers.sparse.user.type={name}"])
    assert not (own / "called.txt").exists()


def test_an_optimizer_without_an_update_is_refused(own, trusted):
    with pytest.raises(ConfigError, match=r"'my_package\.others:Idle' must define 'update'"):
        load_experiment(own / "tiny.yaml", ["optimizers.sparse.user.type=my_package.others:Idle"])


def test_an_error_of_a_constructor_is_one_line(own, tmp_path):
    told = only_line(
        command("train", "tiny.yaml", "--run", tmp_path / "run", "--trust", "my_package", "--set", FAILING)
    )
    assert told == "error: my_package.others:Failing: its constructor raised KeyError: 'units'"


def test_a_run_whose_code_is_not_trusted_is_not_called_damaged(copy, own):
    config = yaml.safe_load((own / "tiny.yaml").read_text())
    (own / "plain.yaml").write_text(yaml.safe_dump(config))
    result = command("train", "plain.yaml", "--run", copy, "--resume")
    assert result.exit_code == 2
    assert "Add --trust my_package" in result.stderr
    assert "damaged" not in result.stderr


def test_arguments_are_checked_by_their_annotations(own, trusted):
    for setting, message in {
        "model={type: my_package.towers:TwoTower, hidden: [wide]}": "model.hidden.0: must be an integer",
        "model={type: my_package.towers:TwoTower, hiden: [4]}": "unknown key 'hiden'; did you mean 'hidden'?",
        "model={type: my_package.towers:TwoTower, seed: 4}": "unknown key 'seed'",
        "optimizers.sparse.user={type: my_package.others:Descent}": "learning_rate: missing setting. Add it.",
    }.items():
        with pytest.raises(ConfigError) as error:
            load_experiment(own / "tiny.yaml", [setting])
        assert message in str(error.value)


def test_a_layer_in_no_block_is_named(own, trusted, tmp_path):
    experiment = load_experiment(own / "tiny.yaml", ["model=my_package.others:Astray"])
    with pytest.raises(ConfigError, match=r"model: Astray: the layer of .*kernel.* must be in one of its blocks"):
        ctr.train(experiment, tmp_path / "run", console=Console(file=io.StringIO()))


@pytest.mark.parametrize(
    "package", ["", "my-package", "my_package:TwoTower", ".my_package", "my_package.", "a b", "/x"]
)
def test_only_packages_are_trusted(package):
    with pytest.raises(ConfigError, match="--trust: must be a package such as my_package"):
        ctr.trust(package)
    assert user_code.trusted_packages() == []


@pytest.mark.parametrize("package", ["os", "sys", "__main__"])
def test_python_is_no_package_of_the_user(package):
    with pytest.raises(ConfigError, match="is not a package of yours"):
        ctr.trust(package)


@pytest.mark.parametrize("package", ["ctr", "features", "models.dnn", "optimizers"])
def test_the_project_needs_no_trust(package):
    assert "belongs to ctr itself" in only_line(command("train", "tiny.yaml", "--trust", package))


@pytest.mark.parametrize("package", ["nowhere", "nowhere.deep"])
def test_a_package_that_does_not_exist_is_not_trusted_on_the_command_line(package):
    line = only_line(command("train", "tiny.yaml", "--trust", package))
    assert line.startswith("error: --trust: no package 'nowhere' is installed or in ")
    assert line.endswith(". Install the package, or correct the name.")


def test_packages_are_found_without_importing_them(own, monkeypatch):
    monkeypatch.chdir(own)
    monkeypatch.setattr(user_code, "_trusted", set())
    sys.modules.pop("my_package", None)
    user_code.trust_installed("my_package", "yaml")
    assert user_code.trusted_packages() == ["my_package", "yaml"]
    assert "my_package" not in sys.modules
