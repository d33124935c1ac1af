"""A run folder or a config from a stranger runs no code, and changes nothing outside its folder."""

import json
import os
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import ctr
from ctr.cli import app
from ctr.config.experiment import load_experiment
from ctr.jobs.evaluate import _name_of
from ctr.runs.checksums import write_checksums
from ctr.runs.files import read_json, write_json, write_text
from ctr.runs.folders import new_folder
from ctr.runs.run import Run
from ctr.training.checkpoint import newest
from tests.conftest import THREADS, click_log
from tests.ctr.conftest import BY_STEPS, ending, resealed, resume

TAGGED = "name: !!python/object/apply:pathlib.Path.touch [!!python/object/apply:pathlib.Path [{path}]]\n"


@pytest.fixture(scope="module")
def trained(experiment_of, place):
    """A finished run of one epoch."""
    ctr.train(experiment_of("training.epochs=1"), place / "trained")
    return place / "trained"


@pytest.fixture
def finished(trained, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def outside(tmp_path):
    """What is nobody's business."""
    folder = tmp_path / "outside"
    (folder / "step-by-step").mkdir(parents=True)
    for name in (".profile", "thesis.txt", "test.parquet", "step-by-step/one.txt"):
        (folder / name).write_text("years of work")
    yield folder
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} >= {
        ".profile",
        "thesis.txt",
        "test.parquet",
        "step-by-step/one.txt",
    }
    for name in (".profile", "thesis.txt", "test.parquet", "step-by-step/one.txt"):
        assert (folder / name).read_text() == "years of work"


def command(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_yaml_makes_no_objects(finished, place, tmp_path):
    text = (finished / "config.yaml").read_text()
    (finished / "config.yaml").write_text(TAGGED.format(path=tmp_path / "made") + text.partition("\n")[2])
    resealed(finished)
    (finished / "diverged").mkdir()
    (finished / "diverged" / "step-000000001.parquet").write_text("")
    commands = {
        "train": ["train", finished / "config.yaml", "--run", tmp_path / "new"],
        "inspect": ["inspect", finished / "config.yaml", "--run", tmp_path / "new"],
        "--set": ["train", place / "tiny.yaml", "--set", f"name={TAGGED.format(path=tmp_path / 'made')[6:]}"],
        "evaluate": ["evaluate", finished, place / "clicks" / "part-2.parquet"],
        "report": ["report", finished],
        "replay": ["replay", finished / "diverged" / "step-000000001.parquet"],
    }
    for name, arguments in commands.items():
        result = command(*arguments)
        assert result.exit_code == 2, (name, result.output)
        assert "could not determine a constructor for the tag" in result.stderr
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("checkpoint", ["../../outside", "step-000000012/../step-000000012", "/", None, ["x"], 7])
@pytest.mark.parametrize("step", [12, "12", None, [12]])
def test_the_best_checkpoint_lies_in_the_folder(finished, place, checkpoint, step):
    write_json(finished / "checkpoints" / "best.json", {"checkpoint": checkpoint, "step": step})
    resealed(finished)
    result = command("evaluate", finished, place / "clicks" / "part-2.parquet")
    assert result.exit_code == 2
    assert "no checkpoint that can be restored" in result.stderr


HOSTILE = [
    {"best": {"checkpoint": "../../../outside", "step": 5}},
    {"best": {"checkpoint": "/", "step": 5}},
    {"best": {"checkpoint": "..", "step": 5}},
    {"best": ["x"]},
    {"step": "../../outside"},
    {"unknown": 1},
]


@pytest.mark.parametrize("changes", HOSTILE, ids=str)
def test_a_position_names_checkpoints_in_the_folder(unfinished, outside, changes):
    checkpoint = unfinished / "checkpoints" / "step-000000006"
    write_json(checkpoint / "position.json", {**read_json(checkpoint / "position.json"), **changes})
    (checkpoint / "checksums.json").unlink()
    write_checksums(checkpoint)
    warnings = []
    assert newest(unfinished / "checkpoints", warnings.append).step == 5
    assert "step-000000006 cannot be used" in warnings[0]


def test_only_the_lines_of_a_run_are_copied_into_its_checkpoints(experiment_of, unfinished, undisturbed, outside):
    """Whatever files a position says it has read."""
    checkpoint = unfinished / "checkpoints" / "step-000000006"
    position = read_json(checkpoint / "position.json")
    position["sizes"] |= {"../../outside/thesis.txt": 3, "../outside/.profile": 0}
    write_json(checkpoint / "position.json", position)
    (checkpoint / "checksums.json").unlink()
    write_checksums(checkpoint)
    resume(experiment_of(*BY_STEPS), unfinished)
    assert ending(unfinished) == undisturbed(*BY_STEPS)


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "a\\b", ".hidden", "", "/etc"])
def test_the_name_of_an_experiment_is_that_of_a_folder(place, name):
    with pytest.raises(ctr.ConfigError, match="a name becomes a folder: no slash, no leading dot"):
        load_experiment(place / "tiny.yaml", [f"name={json.dumps(name)}"])


@pytest.mark.parametrize(
    "data", ["..", "../..", "/", "x/..", "*/..*", "s3://bucket/../..", "s3://..", "...parquet", "[.][.]", "\\..\\.."]
)
def test_the_name_of_an_evaluation_is_that_of_a_folder(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = _name_of(data)
    assert Path(name).parts == (name,)
    assert name not in ("", ".", "..")


def test_what_resuming_writes_goes_through_no_link(experiment_of, undisturbed, unfinished, outside):
    """Neither files, nor folders, nor what is left half-written; what a link led to before is not read either."""
    for name in ("scores", "reference", "diverged"):
        (unfinished / name).symlink_to(outside)
    for name in ("metrics.jsonl", "timing.jsonl", "report.html", "report.md", "report.html.partial"):
        for path in (unfinished / name, unfinished / f".{name}.partial"):
            path.unlink(missing_ok=True)
            path.symlink_to(outside / "thesis.txt")
    (unfinished / "checkpoints" / ".best.json.partial").symlink_to(outside / ".profile")
    (unfinished / "checkpoints" / ".step-000000012.partial").symlink_to(outside)
    resume(experiment_of(*BY_STEPS), unfinished)
    assert ending(unfinished) == undisturbed(*BY_STEPS)
    assert not [path for path in unfinished.rglob("*") if path.is_symlink()]


def test_checkpoints_may_lie_on_another_disk(experiment_of, undisturbed, unfinished, outside):
    """Nothing else that lies there is touched, such as hidden files."""
    shutil.copytree(unfinished / "checkpoints", outside, dirs_exist_ok=True)
    shutil.rmtree(unfinished / "checkpoints")
    (unfinished / "checkpoints").symlink_to(outside)
    resume(experiment_of(*BY_STEPS), unfinished)
    assert ending(unfinished) == undisturbed(*BY_STEPS)
    assert (outside / "step-000000036").is_dir()


def test_a_whole_run_may_lie_on_another_disk(experiment_of, place, trained, tmp_path):
    disk = Path(shutil.copytree(trained, tmp_path / "disk" / "run"))
    (tmp_path / "run").symlink_to(disk)
    assert command("evaluate", tmp_path / "run", place / "clicks" / "part-2.parquet").exit_code == 0
    ctr.train(experiment_of("training.epochs=2"), tmp_path / "run", overwrite=True)
    assert (tmp_path / "run").is_symlink()
    assert read_json(disk / "report.json")["training"]["epochs"] == 2
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["run"]


def test_a_run_is_replaced_but_not_what_its_links_lead_to(experiment_of, finished, outside):
    for name in ("evaluations", "notes"):
        (finished / name).symlink_to(outside)
    shutil.rmtree(finished / "scores")
    (finished / "scores").symlink_to(outside)
    ctr.train(experiment_of("training.epochs=1"), finished, overwrite=True)
    assert not (finished / "scores").is_symlink()


def test_an_evaluation_takes_the_place_of_a_link(finished, place, outside):
    part = place / "clicks" / "part-2.parquet"
    assert command("evaluate", finished, part).exit_code == 0
    evaluation = finished / "evaluations" / "part-2"
    shutil.move(evaluation, outside / "part-2")
    before = (outside / "part-2" / "report.json").read_bytes()
    evaluation.symlink_to(outside / "part-2")
    (finished / "evaluations" / ".part-2.partial").symlink_to(outside)
    assert command("evaluate", finished, part, "--overwrite").exit_code == 0
    assert not evaluation.is_symlink()
    assert (outside / "part-2" / "report.json").read_bytes() == before


def test_evaluations_are_not_taken_for_others(finished, place, outside):
    (finished / "evaluations").mkdir()
    (finished / "evaluations" / "part-2").symlink_to(outside)
    result = command("evaluate", finished, place / "clicks" / "part-2.parquet", "--overwrite")
    assert result.exit_code == 2
    assert "exists and is not an evaluation" in result.stderr


def test_a_report_takes_the_place_of_a_link(finished, outside):
    for name in ("report.html", "report.md", ".report.html.partial", ".report.md.partial"):
        (finished / name).unlink(missing_ok=True)
        (finished / name).symlink_to(outside / "thesis.txt")
    assert command("report", finished).exit_code == 0
    assert (finished / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert not (finished / "report.html").is_symlink()


def test_files_and_folders_take_the_place_of_links(outside, tmp_path):
    (tmp_path / "file").symlink_to(outside / "thesis.txt")
    (tmp_path / ".file.partial").symlink_to(outside / "thesis.txt")
    write_text(tmp_path / "file", "mine")
    (tmp_path / "folder").symlink_to(outside)
    (tmp_path / ".folder.partial").symlink_to(outside)
    with new_folder(tmp_path / "folder") as partial:
        (partial / "thesis.txt").write_text("mine")
    assert (tmp_path / "file").read_text() == (tmp_path / "folder" / "thesis.txt").read_text() == "mine"
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    (run.folder / "checkpoints").symlink_to(outside)
    run.delete()
    assert not run.folder.exists()


# ---- what names and values may hold

SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
MARKUP, MARKDOWN, ESCAPES = "[red]x[/blink] [/]", "a|b`c`<u>*d*", "\x1b[2J\x9b31m\u202e\a"
NASTY = {SCRIPT: "user", IMAGE: "item", MARKUP: "price", MARKDOWN: "hour", f"x{ESCAPES}y": "history"}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Names of a run, of a data folder, of features and columns, and values, that are more than text."""
    folder = tmp_path_factory.mktemp("hostile")
    rows = click_log(600)
    values = pa.array([list(NASTY)[k % 5] for k in range(600)])
    rows = rows.set_column(rows.schema.get_field_index("item"), "item", values)
    data = folder / "clicks \x1b7\u202e\a `x` <u>"  # no brackets: they would be a glob
    data.mkdir()
    pq.write_table(rows.rename_columns({"user": SCRIPT, "item": IMAGE, "price": MARKUP}), data / "rows.parquet")
    columns = {
        SCRIPT: {"dim": 4},
        IMAGE: {"dim": 4},
        MARKUP: {"type": "numeric"},
        MARKDOWN: {"column": "ts", "part": "hour", "dim": 4},
        f"x{ESCAPES}y": {"column": "history", "type": "sequence", "dim": 4, "max_length": 3},
    }
    config = {
        "name": f"{IMAGE.replace('/', '')}{MARKDOWN}[b]",
        "data": {
            "path": str(data),
            "split": {"by": "rows", "fractions": [0.6, 0.2, 0.2]},
            "label": "clicked",
            "keep": [IMAGE],
        },
        "features": {"columns": columns},
        "model": {"type": "dnn", "hidden": [4]},
        "training": {"epochs": 2, "batch_size": 64, "threads": THREADS, "device": "cpu"},
        "report": {"slices": [IMAGE]},
    }
    (folder / "config.yaml").write_text(json.dumps(config))
    run = folder / f"run {IMAGE}{MARKUP}".replace("/", "")
    return folder, command("train", folder / "config.yaml", "--run", run), run, data / "rows.parquet"


class Page(HTMLParser):
    """What a browser would make of a page: elements, their attributes."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}


def is_plain(text):
    """Whether a terminal shows it and does nothing else."""
    return not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)


def test_names_and_values_are_only_text_in_reports(hostile):
    _, trained, run, rows = hostile
    assert trained.exit_code == 0, trained.output
    assert command("evaluate", run, rows).exit_code == 0
    pages = [run / "report.html", run / "evaluations" / "rows" / "report.html"]
    for page in pages:
        found = Page(page.read_text())
        assert not found.elements & {"script", "img", "u", "iframe", "object"}
        assert not {name for name in found.attributes if name.startswith("on")}
        assert "&lt;script&gt;alert(1)" in page.read_text()
        summary = page.with_suffix(".md").read_text()
        assert not re.search(r"(?<!\\)[<`]", summary)
        assert "\x1b" not in summary + page.read_text()


def test_names_and_values_are_only_text_in_the_terminal(hostile):
    folder, trained, run, rows = hostile
    outputs = [
        trained,
        command("inspect", folder / "config.yaml", "--run", folder / "new"),
        command("evaluate", run, rows, "--out", folder / f"out{ESCAPES}"),
        command("report", run),
        command("report", run, run / "evaluations", folder),
        command("psi", rows, rows, "--out", folder / f"psi{ESCAPES}"),
        command("train", folder / "config.yaml", "--set", f"model.{ESCAPES}=1"),
        command("train", folder / f"{ESCAPES}.yaml"),
    ]
    assert [result.exit_code for result in outputs] == [0, 0, 0, 0, 2, 0, 2, 2]
    for result in outputs:
        assert is_plain(result.output), repr(result.output)
    assert "[red]x[/blink] [/]" in outputs[5].stdout


def test_a_report_of_a_stranger_is_only_text(hostile):
    """What a file says that no training has written."""
    _, _, run, _ = hostile
    copy = Path(shutil.copytree(run, run.with_name("stranger")))
    report = read_json(copy / "report.json")
    report["checks"] = [{"check": SCRIPT, "split": IMAGE, "level": "warning", "sentence": SCRIPT + MARKUP + ESCAPES}]
    report["metrics"]["test"] |= {"auc": None, "auc_interval": None, "reasons": {"auc": MARKUP + IMAGE}}
    write_json(copy / "report.json", report)
    resealed(copy)
    shown = command("report", copy)
    assert shown.exit_code == 0, shown.output
    assert is_plain(shown.output)
    assert MARKUP in shown.output
    assert not Page((copy / "report.html").read_text()).elements & {"script", "img"}
    assert not re.search(r"(?<!\\)<", (copy / "report.md").read_text())


def test_arrays_of_a_run_hold_no_objects(finished, place):
    import numpy as np

    class Touch:
        def __reduce__(self):
            return os.mkdir, (str(finished.parent / "made"),)

    np.save(finished / "reference" / "rows.npy", np.array([Touch()], object), allow_pickle=True)
    (finished / "reference" / "checksums.json").unlink()
    write_checksums(finished / "reference")
    resealed(finished)
    result = command("evaluate", finished, place / "clicks" / "part-2.parquet")
    assert result.exit_code == 2
    assert "reference: damaged: Object arrays cannot be loaded" in result.stderr
    assert not (finished.parent / "made").exists()
