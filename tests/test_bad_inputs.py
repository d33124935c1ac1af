"""Invalid inputs: exit code, a message that follows the error contract, no traceback, no files left behind.

`scripts/bad_inputs.py` runs the same cases, each in its own process with bounded memory and time.
"""

import pytest
from bad_input_cases import CASES
from bad_inputs import Outcome, in_copy, make_good
from generated_docs import DOCS, error_catalog
from typer.testing import CliRunner

from ctr.cli import app
from ctr.runs.checksums import write_checksums
from ctr.runs.files import write_json
from ctr.training.checkpoint import newest
from ctr.training.plan import plan_model

pytestmark = pytest.mark.medium
CATALOG = (DOCS / error_catalog.PAGE).read_text("utf-8").splitlines()


def in_process(arguments):
    result = CliRunner().invoke(app, arguments, prog_name="ctr")
    return Outcome(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A folder with a tiny experiment and a finished run of it."""
    folder = tmp_path_factory.mktemp("good") / "experiment"
    make_good(folder, in_process)
    return folder


@pytest.fixture(scope="module", autouse=True)
def plans_are_kept():
    """Plan a model of the same config and columns only once, because most cases change neither."""
    plans = []

    def planned(experiment, encoder):
        of = experiment, encoder.layout, encoder.statistics.log_odds
        for known, plan in plans:
            if known == of:
                return plan
        plans.append((of, plan_model(experiment, encoder)))
        return plans[-1][1]

    with pytest.MonkeyPatch.context() as patched:
        for job in ("train", "inspect"):
            patched.setattr(f"ctr.jobs.{job}.plan_model", planned)
        yield


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_a_bad_input_is_told_and_leaves_nothing(case, good, tmp_path):
    message, faults = in_copy(good, tmp_path / "experiment", case, in_process)
    assert not faults, message
    assert error_catalog.row(case, message) in CATALOG, "run scripts/bad_inputs.py --markdown"


def test_the_catalog_has_the_cases_and_no_others():
    rows = [line for line in CATALOG if line.startswith("| ") and not line.startswith("| input |")]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [case.what for case in CASES]


def test_a_position_whose_best_checkpoint_is_elsewhere_is_not_gone_on_from(tmp_path):
    checkpoint = tmp_path / "checkpoints" / "step-000000003"
    checkpoint.mkdir(parents=True)
    write_json(checkpoint / "position.json", {"step": 3, "best": {"checkpoint": "../../elsewhere", "step": 3}})
    write_checksums(checkpoint)
    warnings = []
    assert newest(checkpoint.parent, warnings.append) is None
    assert "position.json: damaged: checkpoint and step do not agree" in warnings[0]
