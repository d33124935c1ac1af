"""Row sparsity of tables, and their deployed size."""

import ctr
from ctr.training.data import prepare
from ctr.training.plan import plan_model
from features.batch import SPECIAL_ROWS


def test_zero_rows_are_counted_without_the_special_ones_and_their_bytes_left_out(make_experiment):
    experiment = make_experiment("model={type: wide_deep, hidden: [8], initializer: {tables: 0.3}}")

    tables = {t["name"]: t for t in ctr.sparsity_report(plan_model(experiment, prepare(experiment).encoder).build())}

    wide, deep = tables["wide/user"], tables["user"]  # before training, a wide table is zero and a deep one is not
    assert wide["all_zero_embeddings"] == wide["rows"] - SPECIAL_ROWS
    assert wide["weight_bytes"] == 4 * wide["rows"]
    assert wide["nonzero_weight_bytes"] == 4 * SPECIAL_ROWS
    assert wide["bytes"] == 3 * wide["weight_bytes"]  # FTRL has two state numbers per weight
    assert deep["all_zero_embeddings"] == 0
    assert deep["nonzero_weight_bytes"] == deep["weight_bytes"] == 4 * deep["dim"] * deep["rows"]
