"""A run with damaged checkpoints resumes from the newest intact one whose best is intact, and ends the same."""

import shutil

import pytest

import ctr
from ctr.runs.files import read_json
from ctr.training.checkpoint import newest
from tests.ctr.conftest import BY_STEPS, After, Killed, ending, kill, resume

pytestmark = pytest.mark.usefixtures("every_checkpoint_is_saved", "undrawn_plots")
FILES = [
    "checksums.json",
    "contents.parquet",
    "metrics.jsonl",
    "position.json",
    "state.data-00000-of-00001",
    "state.index",
    "timing.jsonl",
]
SETTINGS = [*BY_STEPS, "training.epochs=5"]
# Killed after this step, a run has these checkpoints, and each names this best.
NEW_BEST = 11, {5: 5, 9: 5, 10: 10}
OLD_BEST = 38, {30: 30, 33: 30, 36: 30}


@pytest.fixture(scope="module")
def killed_after(experiment_of, place):
    """Return a function that returns the folder of a run killed after a step."""

    def after(step):
        run = place / f"killed-{step}"
        if not run.exists():
            with pytest.raises(Killed):
                ctr.train(experiment_of(*SETTINGS), run, callbacks=[After(step, kill)])
        return run

    return after


@pytest.fixture
def copy_of_killed(killed_after, tmp_path):
    """Return a function that returns a copy of that folder, which a test can change."""
    return lambda step: shutil.copytree(killed_after(step), tmp_path / "run")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def checkpoint_of(run, step):
    return run / "checkpoints" / f"step-{step:09d}"


@pytest.mark.parametrize(("step", "bests"), [NEW_BEST, OLD_BEST], ids=["after a new best", "after an old best"])
def test_every_kept_checkpoint_has_its_best(killed_after, step, bests):
    folder = killed_after(step) / "checkpoints"
    positions = [read_json(path) for path in sorted(folder.glob("step-*/position.json"))]
    assert {position["step"]: position["best"]["step"] for position in positions} == bests
    assert {path.name for path in folder.glob("step-*/*")} == set(FILES)


@pytest.mark.parametrize(
    ("step", "resumed_from"),
    [(NEW_BEST[0], {5: 10, 9: 10, 10: 9}), (OLD_BEST[0], {30: None, 33: 36, 36: 33})],
    ids=["after a new best", "after an old best"],
)
@pytest.mark.parametrize("damage", [flip, truncate, lambda path: path.unlink()], ids=["one bit", "half", "missing"])
def test_any_damaged_file_leaves_the_newest_intact_checkpoint_with_its_best(copy_of_killed, step, resumed_from, damage):
    run = copy_of_killed(step)
    for damaged, expected in resumed_from.items():
        for file in FILES:
            path, warnings = checkpoint_of(run, damaged) / file, []
            content = path.read_bytes()
            damage(path)
            position = newest(run / "checkpoints", warnings.append)
            path.write_bytes(content)
            assert (position and position.step) == expected, path
            later = [other for other in resumed_from if expected is None or other > expected]
            assert [warning.split(" cannot")[0] for warning in warnings] == [
                f"step-{other:09d}" for other in reversed(later)
            ]
            assert all(f"step-{damaged:09d}" in warning and "damaged" in warning for warning in warnings)
            assert all(file in warning or file == "checksums.json" for warning in warnings)


@pytest.mark.parametrize(
    ("step", "damaged", "resumed_from"),
    [
        pytest.param(NEW_BEST[0], [10], 9, id="the new best"),
        pytest.param(NEW_BEST[0], [9, 10], 5, id="all of the last", marks=pytest.mark.slow),
        pytest.param(NEW_BEST[0], [5, 10], None, id="both bests", marks=pytest.mark.slow),
        pytest.param(OLD_BEST[0], [30], None, id="the best of all"),
    ],
)
@pytest.mark.slow
def test_a_run_with_damaged_checkpoints_ends_the_same(
    experiment_of, undisturbed, copy_of_killed, step, damaged, resumed_from
):
    run = copy_of_killed(step)
    for other in damaged:
        flip(checkpoint_of(run, other) / "state.data-00000-of-00001")
    shown = resume(experiment_of(*SETTINGS), run)
    if resumed_from is None:
        assert f"warning: {run}: no usable checkpoint; restarting from the first step" in shown
        assert "resuming from step" not in shown
    else:
        assert f"resuming from step {resumed_from}\n" in shown
    assert ending(run) == undisturbed(*SETTINGS)


def test_a_damaged_best_is_named_by_each_later_checkpoint(copy_of_killed):
    run, warnings = copy_of_killed(OLD_BEST[0]), []
    (checkpoint_of(run, 30) / "state.index").unlink()
    assert newest(run / "checkpoints", warnings.append) is None
    lost = f"{checkpoint_of(run, 30)}: damaged: state.index is missing."
    named = "its best checkpoint, step-000000030, cannot be used"
    assert warnings == [
        f"step-000000036 cannot be used: {named}: {lost}",
        f"step-000000033 cannot be used: {named}: {lost}",
        f"step-000000030 cannot be used: {lost}",
    ]
